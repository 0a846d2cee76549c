//! A serial code scanner as a pseudo-terminal: bytes with gaps, suffix and noise (devices.md §2.1).

use super::{DeviceError, LinkGuard};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What goes wrong during a scan. Positions count bytes of the code from 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ScanFault {
    /// Bytes of garbage before the code, as at a wrong baud rate or at plug-in.
    Noise {
        /// Hex.
        hex: String,
    },
    /// A byte arrives with these bits flipped.
    Flip {
        /// Which byte.
        at: usize,
        /// Bits.
        mask: u8,
    },
    /// A pause before a byte.
    Pause {
        /// Which byte.
        at: usize,
        /// How long, milliseconds.
        ms: u64,
    },
    /// The scan stops after so many bytes; no suffix.
    Half {
        /// Bytes sent.
        bytes: usize,
    },
    /// The same scan again after a pause.
    Double {
        /// The pause, milliseconds.
        gap_ms: u64,
    },
    /// Everything in one write: two scans in one read.
    Burst {},
}

/// One scan. A payment code is a secret for its minute of life: never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Scan {
    code: Vec<u8>,
    /// Behind the code; CR LF is common.
    pub suffix: Vec<u8>,
    /// From one byte to the next; a byte takes 1.04 ms at 9600 8N1.
    pub gap: Duration,
    /// What goes wrong.
    pub faults: Vec<ScanFault>,
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan")
            .field("bytes", &self.code.len())
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

impl Scan {
    /// A scan of this code at 9600 baud with CR LF behind it.
    pub fn new(code: impl Into<Vec<u8>>) -> Self {
        Self {
            code: code.into(),
            suffix: b"\r\n".to_vec(),
            gap: Duration::from_micros(1042),
            faults: Vec::new(),
        }
    }

    /// Adds a fault.
    #[must_use]
    pub fn with(mut self, fault: ScanFault) -> Self {
        self.faults.push(fault);
        self
    }

    /// What is written when: pauses before bytes.
    pub fn timeline(&self) -> Vec<(Duration, Vec<u8>)> {
        let mut steps = Vec::new();
        for fault in &self.faults {
            if let ScanFault::Noise { hex } = fault {
                steps.extend(
                    hex::decode(hex).unwrap_or_default().into_iter().map(|byte| (self.gap, vec![byte])),
                );
            }
        }
        self.once(&mut steps);
        for fault in &self.faults {
            if let ScanFault::Double { gap_ms } = fault {
                let first = steps.len();
                self.once(&mut steps);
                if let Some((pause, _)) = steps.get_mut(first) {
                    *pause += Duration::from_millis(*gap_ms);
                }
            }
        }
        if self.faults.contains(&ScanFault::Burst {}) {
            steps = vec![(Duration::ZERO, steps.into_iter().flat_map(|(_, bytes)| bytes).collect())];
        }
        steps
    }

    fn once(&self, steps: &mut Vec<(Duration, Vec<u8>)>) {
        let mut length = self.code.len() + self.suffix.len();
        for fault in &self.faults {
            if let ScanFault::Half { bytes } = fault {
                length = length.min(*bytes).min(self.code.len());
            }
        }
        for (at, byte) in self.code.iter().chain(&self.suffix).copied().enumerate().take(length) {
            let (mut byte, mut pause) = (byte, self.gap);
            for fault in &self.faults {
                match fault {
                    ScanFault::Flip { at: here, mask } if *here == at => byte ^= mask,
                    ScanFault::Pause { at: here, ms } if *here == at => pause += Duration::from_millis(*ms),
                    _ => {}
                }
            }
            steps.push((pause, vec![byte]));
        }
    }

    /// Writes the scan in real time, for example to a serial port with a null-modem cable to the till.
    pub fn play(&self, to: &mut impl Write) -> std::io::Result<()> {
        let mut due = Instant::now();
        for (pause, bytes) in self.timeline() {
            due += pause;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            to.write_all(&bytes)?;
            to.flush()?;
        }
        Ok(())
    }
}

/// A scanner on a pseudo-terminal. Dropping it unplugs it (the till reads end of file or EIO) and removes the link.
pub struct ScannerPty {
    ours: Arc<std::fs::File>,
    /// Held open so that a till that closes and opens again finds the line alive.
    _theirs: OwnedFd,
    device: PathBuf,
    link: Option<LinkGuard>,
    heard: Arc<(Mutex<Vec<u8>>, Condvar)>,
    /// Closing it ends the listening thread, which holds our side open as well.
    stop: Option<OwnedFd>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl ScannerPty {
    /// Opens a pseudo-terminal pair in raw mode and puts a symbolic link to it at `link`, if asked.
    pub fn open(link: Option<&Path>) -> Result<Self, DeviceError> {
        let failed =
            |source: rustix::io::Errno| DeviceError::Open { path: "/dev/ptmx".into(), source: source.into() };
        let ours = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .map_err(failed)?;
        rustix::pty::grantpt(&ours).map_err(failed)?;
        rustix::pty::unlockpt(&ours).map_err(failed)?;
        let name = rustix::pty::ptsname(&ours, Vec::new()).map_err(failed)?;
        let device = PathBuf::from(name.to_string_lossy().into_owned());
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs = rustix::fs::open(&device, flags, Mode::empty()).map_err(failed)?;
        let mut termios = rustix::termios::tcgetattr(&theirs).map_err(failed)?;
        termios.make_raw();
        rustix::termios::tcsetattr(&theirs, OptionalActions::Now, &termios).map_err(failed)?;
        let link = match link {
            Some(path) => {
                let guard = LinkGuard::replace(path)?;
                std::os::unix::fs::symlink(&device, path)
                    .map_err(|source| DeviceError::Open { path: path.to_owned(), source })?;
                Some(guard)
            }
            None => None,
        };
        let ours = Arc::new(std::fs::File::from(ours));
        let heard = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let (stopped, stop) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(failed)?;
        let (theirs_ours, theirs_heard) = (Arc::clone(&ours), Arc::clone(&heard));
        let thread = std::thread::Builder::new()
            .name("scanner".into())
            .spawn(move || listen(&theirs_ours, &stopped, &theirs_heard))
            .map_err(|source| DeviceError::Open { path: device.clone(), source })?;
        Ok(Self { ours, _theirs: theirs, device, link, heard, stop: Some(stop), thread: Some(thread) })
    }

    /// What the till opens: the link, or the device itself.
    pub fn path(&self) -> &Path {
        self.link.as_ref().map_or(&self.device, LinkGuard::path)
    }

    /// Writes a scan in real time.
    pub fn scan(&self, scan: &Scan) -> std::io::Result<()> {
        scan.play(&mut &*self.ours)
    }

    /// What the till has sent to the scanner (trigger, beep, configuration).
    pub fn heard(&self) -> Vec<u8> {
        self.heard.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the till has sent at least so many bytes; false after `timeout`.
    pub fn wait_heard(&self, bytes: usize, timeout: Duration) -> bool {
        let guard = self.heard.0.lock().unwrap_or_else(PoisonError::into_inner);
        let short = |heard: &mut Vec<u8>| heard.len() < bytes;
        let waited = self.heard.1.wait_timeout_while(guard, timeout, short);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

fn listen(from: &std::fs::File, stopped: &OwnedFd, heard: &(Mutex<Vec<u8>>, Condvar)) {
    use rustix::event::{PollFd, PollFlags, poll};
    let mut buffer = [0; 256];
    loop {
        let mut fds = [PollFd::new(from, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
        if poll(&mut fds, None).is_err() || !fds[1].revents().is_empty() {
            return;
        }
        let mut from = from;
        let Ok(count @ 1..) = from.read(&mut buffer) else { return };
        let bytes = buffer.get(..count).unwrap_or_default();
        heard.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        heard.1.notify_all();
    }
}

impl Drop for ScannerPty {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
