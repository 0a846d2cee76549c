//! Plays recordings ([`super::recording`]) with their own timing through a socket pair.
//!
//! `in` goes to the plugin at its time (of kind `hidraw`: as one report), masked bytes as `0` (reports: as zero); `out` is
//! what the plugin must have written before the recording goes on (within ten seconds of its time), where masked bytes
//! may be any; `gone` unplugs, and the next opening goes on with what follows. After the last line the device stays,
//! silent. Recordings that others are to see must not hold real card data: redact them, or make them with test cards.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use till_plugin::host::{TransportInfo, TransportKind};
use till_plugin::proto::traffic::Run;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::net::packet_pair;
use super::recording::{MAX_FILE, Recording, RecordingError, Step};
use super::{Held, OpenError, OpenTransport};

const OUT_PATIENCE: Duration = Duration::from_secs(10);

/// Where each recording goes on when it is opened again: the number of a step.
#[derive(Clone, Debug, Default)]
pub(super) struct Positions(Arc<Mutex<BTreeMap<PathBuf, usize>>>);

impl Positions {
    fn get(&self, path: &Path) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied().unwrap_or(0)
    }

    fn set(&self, path: PathBuf, step: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path, step);
    }
}

/// Opens a recording and begins to play it, from where it was unplugged last.
pub(super) fn open(path: &Path, positions: &Positions) -> Result<OpenTransport, OpenError> {
    let bad = |error| OpenError::Recording { path: path.into(), error };
    let file = |e: &std::io::Error| OpenError::file(path, e);
    let length = std::fs::metadata(path).map_err(|e| file(&e))?.len();
    if length > MAX_FILE {
        return Err(bad(RecordingError::TooBig(length)));
    }
    let text = std::fs::read_to_string(path).map_err(|e| file(&e))?;
    let recording = Recording::parse(&text).map_err(bad)?;
    let (ours, fd) = ends(recording.kind).map_err(|e| file(&e))?;
    let (stop, stopped) = oneshot::channel();
    let name = path.display().to_string();
    let info = TransportInfo { kind: recording.kind, name: name.clone() };
    let (positions, key) = (positions.clone(), path.to_path_buf());
    tokio::spawn(async move {
        let count = recording.steps.len();
        let from = positions.get(&key);
        // It lives until the position is kept: who sees the device go may open it again at once.
        let mut player = Player {
            device: ours,
            filler: if super::packets(recording.kind) { 0 } else { b'0' },
            written: 0,
        };
        tokio::select! {
            ended = player.play(&recording.steps[from.min(count)..]) => match ended {
                // After the last session: from the start again.
                Ok(steps) => positions.set(key, if from + steps < count { from + steps } else { 0 }),
                // Not what was written: it may be card data.
                Err(what) => tracing::warn!(recording = name, "replay ended: {what}"),
            },
            _ = stopped => {}
        }
    });
    let label = info.name.clone();
    Ok(OpenTransport { info, label, fd, claim: None, _held: Held::Player { _stop: stop } })
}

/// The player's end and the plugin's; reports and transactions stay apart.
fn ends(kind: TransportKind) -> std::io::Result<(UnixStream, OwnedFd)> {
    if super::packets(kind) {
        let (ours, theirs) = packet_pair()?;
        return Ok((UnixStream::from_std(ours)?, theirs));
    }
    let (ours, theirs) = UnixStream::pair()?;
    Ok((ours, theirs.into_std()?.into()))
}

struct Player {
    device: UnixStream,
    /// What stands for a masked byte.
    filler: u8,
    written: usize,
}

impl Player {
    /// Plays until the device goes; gives how many steps that were.
    async fn play(&mut self, steps: &[(Duration, Step)]) -> Result<usize, String> {
        let start = Instant::now();
        let zero = steps.first().map_or(Duration::ZERO, |(at, step)| match step {
            // A later opening begins now; the first steps have their time since the start of the recording.
            Step::Open => *at,
            _ => Duration::ZERO,
        });
        for (n, (at, step)) in steps.iter().enumerate() {
            sleep_until(start + at.saturating_sub(zero)).await;
            match step {
                Step::In(runs) => {
                    let bytes = self.filled(runs);
                    self.device.write_all(&bytes).await.map_err(|e| e.to_string())?;
                }
                Step::Out(runs) => self.expect(runs).await?,
                Step::Open => {}
                Step::Gone => return Ok(n + 1),
            }
        }
        // The device stays, and takes whatever is written to it.
        let mut rest = [0; 4096];
        while self.device.read(&mut rest).await.is_ok_and(|n| n > 0) {}
        Ok(steps.len())
    }

    fn filled(&self, runs: &[Run]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for run in runs {
            match run {
                Run::Known(known) => bytes.extend_from_slice(known),
                Run::Masked(_) => bytes.resize(bytes.len() + run.len(), self.filler),
            }
        }
        bytes
    }

    async fn expect(&mut self, runs: &[Run]) -> Result<(), String> {
        for run in runs {
            let mut got = vec![0; run.len()];
            let written = self.written;
            match timeout(OUT_PATIENCE, self.device.read_exact(&mut got)).await {
                Err(_) => {
                    let to = written + run.len();
                    return Err(format!("the plugin did not write byte {written} to {to} in time"));
                }
                Ok(Err(e)) => return Err(e.to_string()),
                Ok(Ok(_)) => {}
            }
            if let Run::Known(expected) = run
                && let Some(at) = got.iter().zip(expected).position(|(a, b)| a != b)
            {
                return Err(format!("the plugin wrote another byte {} than was recorded", written + at));
            }
            self.written += run.len();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    /// What a plugin reads until the device goes.
    async fn session(path: &Path, positions: &Positions) -> Vec<u8> {
        let transport = open(path, positions).unwrap();
        let mut end = std::os::unix::net::UnixStream::from(transport.fd.try_clone().unwrap());
        end.set_nonblocking(false).unwrap();
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            end.read_to_end(&mut bytes).unwrap();
            bytes
        });
        read.await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_opening_goes_on_where_the_device_went_away_and_masked_bytes_have_their_length() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.recording");
        // The second session has its time since the start; nobody waits an hour for it.
        let text = "# till-recording 2 serial\n0 open\n0 in 41 *3 42\n5 gone\n3600000 open\n3600005 in 43\n3600009 gone\n";
        std::fs::write(&path, text).unwrap();
        let positions = Positions::default();
        for expected in [&b"A000B"[..], b"C", b"A000B", b"C"] {
            assert_eq!(session(&path, &positions).await, expected);
        }
    }
}
