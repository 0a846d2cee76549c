//! Watches the folders in which something shows that is plugged in, so that nobody waits for the end of a pause.
//!
//! udev's database comes last: a node whose record is there has its permissions and its links. `/dev` is watched for
//! machines without udev. Only a hint: a device that is missed here is found by the next try.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

const FOLDERS: [&str; 4] = ["run/udev/data", "dev", "dev/input", "dev/usb"];

/// One device makes several nodes: told when so long nothing more has come, …
const QUIET: Duration = Duration::from_millis(150);
/// … but not later than this, and not more often.
const AT_LEAST: Duration = Duration::from_secs(1);

/// Starts watching; ends when nobody listens any more.
pub(super) fn start(root: PathBuf, news: watch::Sender<u64>) {
    // Before this returns: what comes after the first look is not missed.
    let watched = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(io::Error::from);
    let watched = watched.inspect(|fd| arm(fd, &root)).and_then(crate::actor::watched);
    match watched {
        Ok(fd) => {
            tokio::spawn(follow(fd, root, news));
        }
        Err(e) => {
            tracing::warn!(error = %e, "devices that are plugged in are found late: inotify gives no watch");
        }
    }
}

async fn follow(fd: AsyncFd<OwnedFd>, root: PathBuf, news: watch::Sender<u64>) {
    loop {
        tokio::select! {
            () = news.closed() => return,
            ready = next(&fd) => if ready.is_err() { return },
        }
        let told_by = Instant::now() + AT_LEAST;
        while let Ok(Ok(())) = timeout_at(told_by.min(Instant::now() + QUIET), next(&fd)).await {}
        // A folder that came with it (the first input device makes /dev/input) is watched from now on.
        arm(fd.get_ref(), &root);
        news.send_modify(|n| *n += 1);
        sleep(told_by.saturating_duration_since(Instant::now())).await;
    }
}

/// Waits for events and takes them all.
async fn next(fd: &AsyncFd<OwnedFd>) -> io::Result<()> {
    loop {
        let mut ready = fd.readable().await?;
        match ready.try_io(|fd| drain(fd.get_ref())) {
            Ok(done) => return done,
            Err(_would_block) => {}
        }
    }
}

fn drain(fd: &OwnedFd) -> io::Result<()> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(fd, &mut buffer);
    // Which file it was does not matter: everybody who waits looks for himself.
    reader.next()?;
    loop {
        match reader.next() {
            Ok(_) => {}
            Err(Errno::WOULDBLOCK) => return Ok(()),
            Err(e) => return Err(e.into()),
        }
    }
}

/// Watches every folder, or what there is above it. Watching one again changes nothing.
fn arm(fd: &OwnedFd, root: &Path) {
    let flags = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::CLOSE_WRITE | WatchFlags::ATTRIB;
    for folder in FOLDERS {
        let folder = root.join(folder);
        let above = folder.ancestors().take_while(|a| *a != root);
        for dir in above {
            // In /dev a terminal is written to and closed all day long; udev's files are written once.
            let flags =
                if dir.starts_with(root.join("dev")) { flags - WatchFlags::CLOSE_WRITE } else { flags };
            if inotify::add_watch(fd, dir, flags | WatchFlags::ONLYDIR).is_ok() {
                break;
            }
        }
    }
}
