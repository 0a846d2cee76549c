//! Between a simulated device of this project, which listens on a socket, and the kernel's gadget, whose host is the till: the
//! twins say what a real reader, scanner or printer would, and it goes over USB.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send,
    socket_with,
};

use crate::error::VmError;

const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);
const NODEV: i32 = rustix::io::Errno::NODEV.raw_os_error();

/// A simulated device's cable. Dropping it ends the copying, not the device.
pub(crate) struct Bridge {
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
    passed: Arc<AtomicUsize>,
}

/// Opens a device's own end. A printer's says ENODEV until the system has chosen its interface too.
fn open(end: &Path) -> Result<File, VmError> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let deadline = Instant::now() + PATIENCE;
    loop {
        match OpenOptions::new().read(true).write(true).custom_flags(flags).open(end) {
            Ok(file) => return Ok(file),
            Err(e) if e.raw_os_error() == Some(NODEV) && Instant::now() < deadline => sleep(LOOK),
            Err(e) => return Err(VmError::file(end)(e)),
        }
    }
}

impl Bridge {
    fn start(run: impl FnOnce(&OwnedFd, &AtomicUsize) + Send + 'static) -> Result<Self, VmError> {
        let (stopped, stop) = rustix::pipe::pipe().map_err(VmError::wrong)?;
        let passed = Arc::new(AtomicUsize::new(0));
        let theirs = passed.clone();
        let thread = std::thread::spawn(move || run(&stopped, &theirs));
        Ok(Self { stop: Some(stop), thread: Some(thread), passed })
    }

    /// A device of reports (`till_simulators::hid`): its socket and the gadget's end. Passes at most so many reports to the till.
    pub(crate) fn reports(twin: &Path, end: &Path, most: usize) -> Result<Self, VmError> {
        let device = open(end)?;
        let system = |e: rustix::io::Errno| VmError::file(twin)(e.into());
        let twin_socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(system)?;
        connect(&twin_socket, &SocketAddrUnix::new(twin).map_err(system)?).map_err(system)?;
        Self::start(move |stopped, passed| reports(&twin_socket, &device, stopped, passed, most))
    }

    /// A receipt printer (`till_simulators::printer`): its address and the gadget's end. Passes at most so many bytes to the paper.
    pub(crate) fn printer(twin: SocketAddr, end: &Path, most: usize) -> Result<Self, VmError> {
        let device = open(end)?;
        let line = TcpStream::connect(twin)
            .and_then(|l| l.set_nonblocking(true).map(|()| l))
            .map_err(VmError::wrong)?;
        Self::start(move |stopped, passed| stream(&line, &device, stopped, passed, most))
    }

    /// Reports or bytes that went to the till's side, or for a printer to the paper.
    pub(crate) fn passed(&self) -> usize {
        self.passed.load(SeqCst)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Waits for either end; false when it is to stop. A gadget's driver does not always wake who waits: a look now and then.
fn ready(fds: &mut [PollFd<'_>; 3]) -> bool {
    let look = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    poll(fds, Some(&look)).is_ok() && fds[2].revents().is_empty()
}

fn reports(twin: &OwnedFd, device: &File, stopped: &OwnedFd, passed: &AtomicUsize, most: usize) {
    let mut waiting: Option<Vec<u8>> = None;
    let mut buffer = [0; 4096];
    loop {
        let want = if waiting.is_none() { PollFlags::IN } else { PollFlags::empty() };
        let mut fds = [
            PollFd::from_borrowed_fd(twin.as_fd(), want),
            PollFd::from_borrowed_fd(device.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(stopped.as_fd(), PollFlags::IN),
        ];
        if !ready(&mut fds) {
            return;
        }
        if waiting.is_none() {
            match recv(twin, &mut buffer, RecvFlags::DONTWAIT) {
                Ok((0, _)) => return,
                Ok((n, _)) => waiting = buffer.get(..n).map(<[u8]>::to_vec),
                Err(_nothing) => {}
            }
        }
        let mut device = device;
        if let Some(report) = waiting.take() {
            if passed.load(SeqCst) >= most {
                // The cable is cut here: the rest is said into the air.
            } else {
                match device.write(&report) {
                    Ok(_) => drop(passed.fetch_add(1, SeqCst)),
                    Err(e) if e.kind() == ErrorKind::WouldBlock => waiting = Some(report),
                    Err(_gone) => return,
                }
            }
        }
        if let Ok(n @ 1..) = device.read(&mut buffer) {
            let _heard = send(twin, &buffer[..n], SendFlags::NOSIGNAL);
        }
    }
}

fn stream(line: &TcpStream, device: &File, stopped: &OwnedFd, passed: &AtomicUsize, most: usize) {
    let (mut to_paper, mut to_till) = (Vec::new(), Vec::new());
    let mut buffer = [0; 4096];
    let (mut line, mut device) = (line, device);
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(line.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(device.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(stopped.as_fd(), PollFlags::IN),
        ];
        if !ready(&mut fds) {
            return;
        }
        if to_till.is_empty() {
            match line.read(&mut buffer) {
                Ok(0) => return,
                Ok(n) => to_till.extend_from_slice(&buffer[..n]),
                Err(_nothing) => {}
            }
        }
        // While the paper takes nothing, nothing more is taken from the till: its printer is full.
        if to_paper.is_empty()
            && let Ok(n @ 1..) = device.read(&mut buffer)
        {
            let room = most.saturating_sub(passed.load(SeqCst)).min(n);
            to_paper.extend_from_slice(&buffer[..room]);
        }
        if !to_till.is_empty()
            && let Ok(n) = device.write(&to_till)
        {
            to_till.drain(..n);
        }
        if !to_paper.is_empty()
            && let Ok(n) = line.write(&to_paper)
        {
            to_paper.drain(..n);
            passed.fetch_add(n, SeqCst);
        }
    }
}
