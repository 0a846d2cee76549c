//! A hidraw node as a socket of packets: one report a packet, to every till that has it open.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen,
    recv, send, socket_with,
};

use crate::players::{DeviceError, LinkGuard};

#[derive(Default)]
struct Tills {
    open: Vec<Arc<OwnedFd>>,
    accepted: u64,
    /// Output reports, in order.
    heard: Vec<Vec<u8>>,
}

/// A HID device without a mind of its own. Dropping it unplugs it and removes the socket.
pub struct HidNode {
    tills: Arc<(Mutex<Tills>, Condvar)>,
    stop: Option<OwnedFd>,
    thread: Option<std::thread::JoinHandle<()>>,
    link: LinkGuard,
}

fn lock(tills: &Mutex<Tills>) -> MutexGuard<'_, Tills> {
    tills.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HidNode {
    /// Listens at `path`; a socket left behind there is replaced.
    pub fn listen(path: &Path) -> Result<Self, DeviceError> {
        let failed = |e: rustix::io::Errno| DeviceError::Open { path: path.to_owned(), source: e.into() };
        let link = LinkGuard::replacing(path)?;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(failed)?;
        bind(&socket, &SocketAddrUnix::new(path).map_err(failed)?).map_err(failed)?;
        listen(&socket, 4).map_err(failed)?;
        let (stopped, stop) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(failed)?;
        let tills = Arc::<(Mutex<Tills>, Condvar)>::default();
        let theirs = Arc::clone(&tills);
        let thread = std::thread::Builder::new()
            .name("hid".into())
            .spawn(move || serve(&socket, &stopped, &theirs))
            .map_err(|source| DeviceError::Open { path: path.to_owned(), source })?;
        Ok(Self { tills, stop: Some(stop), thread: Some(thread), link })
    }

    /// Where the till connects: `{ kind = "unix", path = …, as = "hidraw" }`.
    pub fn path(&self) -> PathBuf {
        self.link.path().to_owned()
    }

    /// Sends one report; answers how many tills took it. Without one it is lost, as with a node nobody has open.
    pub fn report(&self, report: &[u8]) -> usize {
        let mut tills = lock(&self.tills.0);
        tills.open.retain(|till| send(till, report, SendFlags::NOSIGNAL).is_ok());
        tills.open.len()
    }

    /// Hangs up on every till (ENODEV). New connections are accepted: it was plugged in again.
    pub fn unplug(&self) {
        let mut tills = lock(&self.tills.0);
        for till in tills.open.drain(..) {
            // The serving thread may hold it in its poll; the till must see the end at once.
            let _ = rustix::net::shutdown(&till, rustix::net::Shutdown::Both);
        }
    }

    /// Output reports so far.
    pub fn heard(&self) -> Vec<Vec<u8>> {
        lock(&self.tills.0).heard.clone()
    }

    /// The last output report with this id.
    pub(super) fn last_heard(&self, id: u8) -> Option<Vec<u8>> {
        lock(&self.tills.0).heard.iter().rev().find(|report| report.first() == Some(&id)).cloned()
    }

    /// Waits until the output reports are as wanted; false after `timeout`.
    pub fn wait_heard(&self, timeout: Duration, wanted: impl Fn(&[Vec<u8>]) -> bool) -> bool {
        self.wait(timeout, |tills| wanted(&tills.heard))
    }

    /// Waits until so many connections have been accepted since the start; false after `timeout`.
    pub fn wait_connections(&self, count: u64, timeout: Duration) -> bool {
        self.wait(timeout, |tills| tills.accepted >= count)
    }

    fn wait(&self, timeout: Duration, wanted: impl Fn(&Tills) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        let mut tills = lock(&self.tills.0);
        while !wanted(&tills) {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            tills = self.tills.1.wait_timeout(tills, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// Accepts tills and takes what they send, until told to stop.
fn serve(socket: &OwnedFd, stopped: &OwnedFd, shared: &(Mutex<Tills>, Condvar)) {
    loop {
        let open = lock(&shared.0).open.clone();
        let mut fds = vec![PollFd::new(stopped, PollFlags::IN), PollFd::new(socket, PollFlags::IN)];
        fds.extend(open.iter().map(|till| PollFd::new(till, PollFlags::IN)));
        if poll(&mut fds, None).is_err() || !fds[0].revents().is_empty() {
            return;
        }
        let ready: Vec<bool> = fds.iter().skip(1).map(|fd| !fd.revents().is_empty()).collect();
        if ready.first() == Some(&true)
            && let Ok(till) = accept_with(socket, SocketFlags::CLOEXEC)
        {
            let mut tills = lock(&shared.0);
            tills.open.push(Arc::new(till));
            tills.accepted += 1;
        }
        for (till, _) in open.iter().zip(ready.iter().skip(1)).filter(|(_, ready)| **ready) {
            let mut report = [0; 256];
            let count = recv(till, &mut report, RecvFlags::DONTWAIT).map_or(0, |(count, _)| count);
            let mut tills = lock(&shared.0);
            if count == 0 {
                tills.open.retain(|other| !Arc::ptr_eq(other, till));
            } else {
                tills.heard.push(report[..count].to_vec());
            }
        }
        shared.1.notify_all();
    }
}

impl Drop for HidNode {
    fn drop(&mut self) {
        self.unplug();
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
