//! The reader on a line: a Unix socket, TCP, or a pseudo-terminal; or on a bus, as a socket of packets.

use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::bus::{Bus, Front};
use super::ccid::Acr122;
use super::chip::{Chip, Out, Seen};
use super::fault::Hand;
use super::slot::Slot;
use crate::players::{DeviceError, LinkGuard};

/// What stands between the chip and the till.
enum Before {
    Line,
    /// What it says waits to be fetched.
    Bus(Front),
    Reader(Acr122),
    Slot(Slot),
}

struct State {
    chip: Chip,
    /// Where what the chip says goes now.
    line: Option<OwnedFd>,
    /// What stands between it and the till.
    before: Before,
    closing: bool,
}

impl State {
    fn power_cycle(&mut self) {
        self.chip.power_cycle();
        match &mut self.before {
            Before::Line => {}
            Before::Bus(front) => front.power_cycle(),
            Before::Reader(reader) => reader.power_cycle(&mut self.chip),
            Before::Slot(reader) => reader.power_cycle(&mut self.chip),
        }
    }
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what the chip says, with its pauses. False when the line is to be cut.
    fn say(&self, outs: Vec<Out>) -> bool {
        match &mut self.lock().before {
            Before::Line => {}
            Before::Bus(front) => {
                front.hold(outs, Instant::now());
                return true;
            }
            // A look that waits without end is not handed through.
            Before::Reader(_) | Before::Slot(_) => return true,
        }
        for out in outs {
            match out {
                Out::Bytes(after, bytes) => {
                    std::thread::sleep(after);
                    let line = self.lock().line.as_ref().and_then(|l| l.try_clone().ok());
                    if line.is_none_or(|l| File::from(l).write_all(&bytes).is_err()) {
                        return false;
                    }
                }
                Out::Cut => {
                    self.lock().line = None;
                    return false;
                }
            }
        }
        true
    }

    /// Serves one connection of packets until it ends.
    fn serve_packets(&self, line: OwnedFd) {
        let Ok(ours) = line.try_clone() else { return };
        {
            let mut state = self.lock();
            state.power_cycle();
            state.line = Some(line);
        }
        self.changed.notify_all();
        let mut buffer = [0; 8192];
        loop {
            let count = match rustix::net::recv(&ours, &mut buffer[..], RecvFlags::empty()) {
                Ok((0, _)) | Err(_) => break,
                Ok((count, _)) => count,
            };
            let packet = buffer.get(..count).unwrap_or_default();
            let answer = {
                let State { chip, before, .. } = &mut *self.lock();
                match before {
                    Before::Line => None,
                    Before::Bus(front) => front
                        .transaction(chip, packet, Instant::now())
                        .map(|answer| vec![(Duration::ZERO, answer)]),
                    Before::Reader(reader) => reader.message(chip, packet),
                    Before::Slot(reader) => reader.message(chip, packet),
                }
            };
            self.changed.notify_all();
            let told = answer.is_some_and(|all| {
                all.iter().all(|(after, packet)| {
                    std::thread::sleep(*after);
                    rustix::net::send(&ours, packet, SendFlags::NOSIGNAL).is_ok()
                })
            });
            if !told {
                break;
            }
        }
        self.lock().line = None;
    }

    /// Serves one connection until it ends.
    fn serve(&self, line: OwnedFd) {
        let Ok(reading) = line.try_clone() else { return };
        let mut reading = File::from(reading);
        {
            let mut state = self.lock();
            // A till that connects finds the reader as after power-on, asleep.
            state.power_cycle();
            state.line = Some(line);
        }
        self.changed.notify_all();
        let mut buffer = [0; 512];
        loop {
            let count = match reading.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(count) => count,
            };
            let outs = self.lock().chip.receive(buffer.get(..count).unwrap_or_default());
            let goes_on = self.say(outs);
            self.changed.notify_all();
            if !goes_on {
                break;
            }
        }
        self.lock().line = None;
    }
}

/// How the listening thread is woken to end.
enum Door {
    Unix(PathBuf),
    Packets(PathBuf),
    Tcp(SocketAddr),
    Pty,
}

/// A contactless reader. Dropping it unplugs it.
pub struct NfcReader {
    shared: Arc<Shared>,
    door: Door,
    device: PathBuf,
    _link: Option<LinkGuard>,
    /// Held open so that a till that closes and opens again finds the line alive.
    _theirs: Option<OwnedFd>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl NfcReader {
    fn start(
        door: Door,
        device: PathBuf,
        link: Option<LinkGuard>,
        theirs: Option<OwnedFd>,
        before: Before,
        run: impl FnOnce(Arc<Shared>) + Send + 'static,
    ) -> Result<Self, DeviceError> {
        let state = State { chip: Chip::new(), line: None, before, closing: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("nfc".into())
            .spawn(move || run(own))
            .map_err(|source| DeviceError::Open { path: device.clone(), source })?;
        Ok(Self { shared, door, device, _link: link, _theirs: theirs, thread: Some(thread) })
    }

    /// Listens on a Unix socket, one till at a time. A socket left behind by a dead process is replaced.
    pub fn on_socket(path: &Path) -> Result<Self, DeviceError> {
        let failed = |source| DeviceError::Open { path: path.to_owned(), source };
        if UnixStream::connect(path).is_ok() {
            return Err(DeviceError::InUse { path: path.to_owned() });
        }
        let link = LinkGuard::replacing(path)?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        Self::start(
            Door::Unix(path.to_owned()),
            path.to_owned(),
            Some(link),
            None,
            Before::Line,
            move |shared| {
                for stream in listener.incoming().flatten() {
                    if shared.lock().closing {
                        return;
                    }
                    shared.serve(stream.into());
                }
            },
        )
    }

    /// On a bus: listens on a Unix socket of packets (SOCK_SEQPACKET), one transaction each, one till at a time.
    pub fn on_bus(path: &Path, bus: Bus) -> Result<Self, DeviceError> {
        Self::on_packets(path, Before::Bus(Front::new(bus)))
    }

    /// In an ACR122U: listens on a Unix socket of packets, one CCID message each, one till at a time.
    pub fn on_ccid(path: &Path) -> Result<Self, DeviceError> {
        Self::on_packets(path, Before::Reader(Acr122::default()))
    }

    /// A USB reader that finds cards by itself: as [`NfcReader::on_ccid`].
    pub fn on_slot(path: &Path) -> Result<Self, DeviceError> {
        Self::on_packets(path, Before::Slot(Slot::default()))
    }

    fn on_packets(path: &Path, before: Before) -> Result<Self, DeviceError> {
        let failed = |e: rustix::io::Errno| DeviceError::Open { path: path.to_owned(), source: e.into() };
        if knock(path).is_ok() {
            return Err(DeviceError::InUse { path: path.to_owned() });
        }
        let link = LinkGuard::replacing(path)?;
        let listener = packets().map_err(failed)?;
        rustix::net::bind(&listener, &SocketAddrUnix::new(path).map_err(failed)?).map_err(failed)?;
        rustix::net::listen(&listener, 4).map_err(failed)?;
        let door = Door::Packets(path.to_owned());
        Self::start(door, path.to_owned(), Some(link), None, before, move |shared| {
            while let Ok(till) = rustix::net::accept_with(&listener, SocketFlags::CLOEXEC) {
                if shared.lock().closing {
                    return;
                }
                shared.serve_packets(till);
            }
        })
    }

    /// Listens on TCP, one till at a time.
    pub fn on_tcp(listen: SocketAddr) -> Result<Self, DeviceError> {
        let shown = PathBuf::from(listen.to_string());
        let failed = |source| DeviceError::Open { path: shown.clone(), source };
        let listener = TcpListener::bind(listen).map_err(failed)?;
        let at = listener.local_addr().map_err(failed)?;
        Self::start(Door::Tcp(at), at.to_string().into(), None, None, Before::Line, move |shared| {
            for stream in listener.incoming().flatten() {
                if shared.lock().closing {
                    return;
                }
                drop(stream.set_nodelay(true));
                shared.serve(stream.into());
            }
        })
    }

    /// Opens a pseudo-terminal, with a symbolic link to it if asked.
    pub fn on_pty(link: Option<&Path>) -> Result<Self, DeviceError> {
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
        let (guard, shown) = match link {
            Some(path) => {
                let guard = LinkGuard::replacing(path)?;
                std::os::unix::fs::symlink(&device, path)
                    .map_err(|source| DeviceError::Open { path: path.to_owned(), source })?;
                (Some(guard), path.to_owned())
            }
            None => (None, device),
        };
        Self::start(Door::Pty, shown, guard, Some(theirs), Before::Line, move |shared| shared.serve(ours))
    }

    /// What the till opens: a path, or an address.
    pub fn path(&self) -> &Path {
        &self.device
    }

    /// Where it listens, for TCP.
    pub const fn addr(&self) -> Option<SocketAddr> {
        match &self.door {
            Door::Tcp(at) => Some(*at),
            Door::Unix(_) | Door::Packets(_) | Door::Pty => None,
        }
    }

    /// Somebody holds something before the reader.
    pub fn present(&self, hand: Hand) {
        let outs = self.shared.lock().chip.present(hand);
        self.shared.say(outs);
        self.shared.changed.notify_all();
    }

    /// And takes it away; what it is now comes back, its counters moved on.
    pub fn remove(&self) -> Hand {
        let hand = self.shared.lock().chip.remove();
        self.shared.changed.notify_all();
        hand
    }

    /// Hangs up on the till.
    pub fn unplug(&self) {
        let line = self.shared.lock().line.take();
        if let Some(line) = line {
            // For a socket; a pseudo-terminal stays, as a UART does when the module behind it loses its power.
            let _ = rustix::net::shutdown(&line, rustix::net::Shutdown::Both);
        }
    }

    /// The module's power fails and comes back: it sleeps and knows nothing.
    pub fn power_cycle(&self) {
        self.shared.lock().power_cycle();
    }

    /// What it has seen.
    pub fn seen(&self) -> Seen {
        self.shared.lock().chip.seen()
    }

    /// Waits until it has seen something; false after `timeout`.
    pub fn wait(&self, timeout: Duration, mut enough: impl FnMut(Seen) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.lock();
        while !enough(state.chip.seen()) {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Waits until the reader looks for cards and finds nothing: whatever lay there has been noticed to be gone.
    pub fn wait_looking(&self, timeout: Duration) -> bool {
        let from = self.seen().empty;
        self.wait(timeout, |seen| seen.empty >= from + 4)
    }

    /// A whole tap: holds it there until the card has made a cryptogram or something went wrong, then takes it away.
    /// Gives whether either happened in time.
    pub fn tap(&self, hand: Hand, timeout: Duration) -> bool {
        let before = self.seen();
        self.present(hand);
        let done = self.wait(timeout, |s| s.cryptograms > before.cryptograms || s.faults > before.faults);
        // The records behind a cryptogram: until the reader lets go, or looks again.
        let looks = self.seen().looks;
        let after = done && self.wait(timeout, |s| s.looks > looks || !s.field);
        self.remove();
        after
    }
}

impl Drop for NfcReader {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.unplug();
        let woken = match &self.door {
            Door::Unix(path) => UnixStream::connect(path).is_ok(),
            Door::Packets(path) => knock(path).is_ok(),
            Door::Tcp(at) => TcpStream::connect(at).is_ok(),
            // Its thread sits in a read that nothing ends; it ends with the process.
            Door::Pty => false,
        };
        if woken && let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn packets() -> rustix::io::Result<OwnedFd> {
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// Connects and goes.
fn knock(path: &Path) -> rustix::io::Result<()> {
    rustix::net::connect(&packets()?, &SocketAddrUnix::new(path)?)
}
