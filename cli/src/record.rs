//! `record`: what passes a device's transport, into a file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use till_dbus::{Device1Proxy, Options, paths};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use crate::args::Record;
use crate::exit::{FAILED, Failure, REFUSED};
use crate::session::Session;

/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(1);

/// What a finished recording says of itself.
#[derive(Default)]
struct Summary {
    bytes: u64,
    steps: u64,
    content: String,
    dropped: String,
    end: String,
    /// A line that is not whole yet.
    partial: Vec<u8>,
}

impl Summary {
    fn take(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        for b in bytes {
            if *b == b'\n' {
                let line = std::mem::take(&mut self.partial);
                self.line(&String::from_utf8_lossy(&line));
            } else if self.partial.len() < 512 {
                self.partial.push(*b);
            }
        }
    }

    fn line(&mut self, line: &str) {
        let Some(comment) = line.strip_prefix("# ") else {
            self.steps += 1;
            return;
        };
        for (key, to) in
            [("content: ", &mut self.content), ("dropped: ", &mut self.dropped), ("end: ", &mut self.end)]
        {
            if let Some(value) = comment.strip_prefix(key) {
                value.clone_into(to);
            }
        }
    }
}

/// Where the recording goes: a file appears under its name only once it is whole.
pub(crate) enum Target {
    Standard,
    File { made: File, partial: PathBuf, name: PathBuf },
}

fn failure(file: &Path, e: &io::Error) -> Failure {
    Failure {
        exit: REFUSED,
        code: "Io".into(),
        text: format!("{}: {e}", file.display()),
        hint: Some("name a file that does not exist yet, in a folder that you may write to".into()),
    }
}

impl Target {
    /// Nothing is written over.
    pub(crate) fn refuse_existing(file: &Path) -> Result<(), Failure> {
        if file.as_os_str() != "-" && file.symlink_metadata().is_ok() {
            return Err(failure(file, &io::ErrorKind::AlreadyExists.into()));
        }
        Ok(())
    }

    pub(crate) fn new(file: PathBuf) -> Result<Self, Failure> {
        Self::refuse_existing(&file)?;
        if file.as_os_str() == "-" {
            return Ok(Self::Standard);
        }
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let partial = file.with_file_name(name);
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial);
        let made = made.map_err(|e| failure(&partial, &e))?;
        Ok(Self::File { made, partial, name: file })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Standard => io::stdout().lock().write_all(bytes),
            Self::File { made, .. } => made.write_all(bytes),
        }
    }

    /// Gives it its name, which nobody may have taken meanwhile.
    pub(crate) fn finish(self) -> Result<Option<PathBuf>, Failure> {
        let Self::File { made, partial, name } = self else { return Ok(None) };
        let named = made.sync_all().and_then(|()| fs::hard_link(&partial, &name));
        let _left_behind = fs::remove_file(&partial);
        named.map_err(|e| failure(&name, &e))?;
        Ok(Some(name))
    }

    pub(crate) fn give_up(self) {
        if let Self::File { partial, .. } = self {
            let _left_behind = fs::remove_file(&partial);
        }
    }
}

pub(crate) async fn run(s: &Session, args: Record) -> Result<(), Failure> {
    let device = Device1Proxy::new(&s.connection, paths::device(&args.device)?).await?;
    let file = args.file.unwrap_or_else(|| format!("{}.recording", args.device).into());
    let mut target = Target::new(file)?;
    let options = || Options::from([("seconds", args.seconds.into()), ("bytes", args.bytes.into())]);
    let begun = if args.raw_with_card_data {
        device.record_raw(options()).await
    } else {
        device.record(options()).await
    };
    let pipe = match begun {
        Ok(pipe) => pipe,
        Err(e) => {
            target.give_up();
            return Err(e.into());
        }
    };
    let mut summary = Summary::default();
    if let Err(e) = follow(s, &device, pipe.into(), &mut target, &mut summary).await {
        target.give_up();
        return Err(e);
    }
    let name = target.finish()?;
    report(s, &args.device, name, &summary)
}

/// Reads to the end of the recording. Ctrl-C asks the till to end it; a second one does not wait for that.
async fn follow(
    s: &Session,
    device: &Device1Proxy<'_>,
    pipe: std::os::fd::OwnedFd,
    target: &mut Target,
    summary: &mut Summary,
) -> Result<(), Failure> {
    let mut pipe = pipe::Receiver::from_owned_fd(pipe)?;
    let mut bytes = vec![0; 16 * 1024];
    let mut progress = tokio::time::interval(PROGRESS);
    let shown = !s.json && io::stderr().is_terminal();
    let since = Instant::now();
    let mut stopping = false;
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    loop {
        tokio::select! {
            read = pipe.read(&mut bytes) => match read? {
                0 => break,
                n => {
                    target.write(&bytes[..n])?;
                    summary.take(&bytes[..n]);
                }
            },
            _ = interrupt.recv() => {
                if std::mem::replace(&mut stopping, true) {
                    break;
                }
                // It may have ended this very moment: then the pipe ends too.
                let _ended = device.stop_recording(Options::new()).await;
            }
            _ = progress.tick() => if shown {
                let what = s.look.say("recording, Ctrl-C ends it", "录制中，按 Ctrl-C 结束");
                eprint!("\r{what}: {} s, {} · {} B ", since.elapsed().as_secs(), summary.steps, summary.bytes);
            }
        }
    }
    if shown {
        eprintln!();
    }
    Ok(())
}

fn report(s: &Session, device: &str, file: Option<PathBuf>, summary: &Summary) -> Result<(), Failure> {
    if summary.end.is_empty() {
        return Err(Failure {
            exit: FAILED,
            code: "Torn".into(),
            text: "the recording ended without its last line: the till went away".into(),
            hint: file.map(|f| format!("what there is of it is in {}", f.display())),
        });
    }
    let Some(file) = file else { return Ok(()) };
    let shown = file.display().to_string();
    let json = json!({
        "device": device, "file": shown, "steps": summary.steps, "bytes": summary.bytes,
        "dropped": summary.dropped.parse::<u64>().unwrap_or(0), "content": summary.content, "end": summary.end,
    });
    let line = format!(
        "{} → {shown}\n  {}\n  {}",
        s.look.say("recorded", "已录制"),
        crate::look::clean(&summary.end),
        crate::look::clean(&summary.content)
    );
    s.did(&line, &json)
}

/// A device's counters.
pub(crate) async fn statistics(s: &Session, id: &str) -> Result<(), Failure> {
    let device = Device1Proxy::new(&s.connection, paths::device(id)?).await?;
    let (counters, since) = device.statistics(Options::new()).await?;
    let counters: std::collections::BTreeMap<_, _> = counters.into_iter().collect();
    s.show(&json!({ "device": id, "since": since, "counters": counters }), |look| {
        let from = jiff::Timestamp::from_millisecond(since).unwrap_or_default().to_zoned(look.zone.clone());
        let mut text = format!("{} {}\n", look.say("since", "自"), from.strftime("%Y-%m-%d %H:%M"));
        for (name, n) in &counters {
            crate::look::line(&mut text, &format!("  {:<24} {n}", crate::look::clean(name)));
        }
        text
    })
}

/// Begins a device's counters at zero.
pub(crate) async fn reset_statistics(s: &Session, id: &str) -> Result<(), Failure> {
    let device = Device1Proxy::new(&s.connection, paths::device(id)?).await?;
    device.reset_statistics(s.options()).await?;
    let line = s.look.say("its counters begin at zero", "计数器已清零");
    s.did(line, &json!({ "device": id, "reset": true }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_tells_what_is_in_it_however_its_lines_are_cut() {
        let text = b"# till-recording 2 serial\n# content: text: why\n0 open\n12 in *18 0d\n# dropped: 3\n# end: stopped, after 2 steps\n";
        for cut in 0..text.len() {
            let mut s = Summary::default();
            s.take(&text[..cut]);
            s.take(&text[cut..]);
            assert_eq!((s.steps, s.bytes, s.dropped.as_str()), (2, text.len() as u64, "3"));
            assert_eq!((s.content.as_str(), s.end.as_str()), ("text: why", "stopped, after 2 steps"));
        }
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all_and_never_over_another() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("scanner.recording");
        let mut target = Target::new(file.clone()).ok().unwrap();
        target.write(b"half").unwrap();
        assert!(!file.exists());
        fs::write(&file, "somebody else's").unwrap();
        assert!(target.finish().is_err());
        assert_eq!(fs::read(&file).unwrap(), b"somebody else's");
        assert!(Target::new(file.clone()).is_err());
        fs::remove_file(&file).unwrap();
        Target::new(file.clone()).ok().unwrap().finish().ok().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left behind");
    }
}
