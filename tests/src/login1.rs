//! A logind that hands out locks against sleep, from the public D-Bus interface of systemd-logind.

use std::io::{PipeReader, Read};
use std::os::fd::OwnedFd;

use tokio::sync::mpsc;

/// A lock that was handed out.
pub struct Inhibitor {
    /// What, who, why, mode.
    pub asked: (String, String, String, String),
    held: PipeReader,
}

impl Inhibitor {
    /// Waits until it is given back.
    pub async fn released(mut self) -> std::io::Result<()> {
        let read = tokio::task::spawn_blocking(move || self.held.read_to_end(&mut Vec::new()));
        read.await?.map(|_| ())
    }
}

/// The running one. Dropping it takes it from the bus.
pub struct Login1 {
    locks: mpsc::UnboundedReceiver<Inhibitor>,
    _connection: zbus::Connection,
}

impl Login1 {
    /// Comes to a bus.
    pub async fn start(address: &str) -> zbus::Result<Self> {
        let (given, locks) = mpsc::unbounded_channel();
        let connection = zbus::connection::Builder::address(address)
            .serve_at("/org/freedesktop/login1", Manager { given })
            .name("org.freedesktop.login1")
            .build()
            .await?;
        Ok(Self { locks, _connection: connection })
    }

    /// The next lock that somebody took.
    pub async fn taken(&mut self) -> Option<Inhibitor> {
        self.locks.recv().await
    }
}

struct Manager {
    given: mpsc::UnboundedSender<Inhibitor>,
}

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    fn inhibit(
        &self,
        what: String,
        who: String,
        why: String,
        mode: String,
    ) -> zbus::fdo::Result<zbus::OwnedFd> {
        let (held, theirs) = std::io::pipe().map_err(|e| zbus::fdo::Error::Failed(e.to_string()))?;
        let _gone = self.given.send(Inhibitor { asked: (what, who, why, mode), held });
        Ok(OwnedFd::from(theirs).into())
    }
}
