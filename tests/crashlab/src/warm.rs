//! Stores tried in a process that lives on. `tilld` tries a store in a child of its own before it opens it; starting that,
//! and sled's threads in it, is most of what judging a disk costs. So here the child only asks a process that has its
//! threads already, and only one question in [`OWN_EVERY`] is put to a child as `tilld`'s: the code that tries the store is
//! the same. A store that makes it panic ends it: the child is left without an answer and ends
//! badly, as its own panic would have had it, and another is started.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use till_journal::Probe;
use tilld::service::recover::own_probe;

use crate::LabError;

/// One disk in so many is tried exactly as `tilld` does.
pub const OWN_EVERY: usize = 16;

/// The process, and whom to ask.
pub struct Warm {
    server: Option<Child>,
    dir: tempfile::TempDir,
    ask: PathBuf,
    asked: usize,
}

impl Warm {
    /// Not started yet. `ask`: the program `crashlab-ask`.
    pub fn new(ask: PathBuf) -> Result<Self, LabError> {
        Ok(Self { server: None, dir: crate::scratch()?, ask, asked: 0 })
    }

    /// How the stores of the next disk are tried.
    pub fn probe(&mut self) -> Result<Probe, LabError> {
        self.asked += 1;
        if self.asked % OWN_EVERY == 1 {
            return Ok(own_probe());
        }
        let socket = self.dir.path().join("probe");
        if !self.lives() {
            self.start(&socket)?;
        }
        Ok(Probe::Command { program: self.ask.clone(), args: vec![socket.into()] })
    }

    fn lives(&mut self) -> bool {
        self.server.as_mut().is_some_and(|server| matches!(server.try_wait(), Ok(None)))
    }

    fn start(&mut self, socket: &Path) -> Result<(), LabError> {
        self.stop();
        let _gone = std::fs::remove_file(socket);
        // Bound here, so that it is there when the first child asks.
        let listener = UnixListener::bind(socket).map_err(LabError::file("socket of the probe"))?;
        let mut server = Command::new("/proc/self/exe");
        server.arg("probe-server").stdin(Stdio::from(OwnedFd::from(listener)));
        server.stdout(Stdio::null()).stderr(Stdio::null());
        self.server = Some(server.spawn().map_err(LabError::file("the probe"))?);
        Ok(())
    }

    fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _gone = server.kill();
            let _reaped = server.wait();
        }
    }
}

impl Drop for Warm {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The server's side: standard input is the socket. A store that hangs is an alarm, at which the judge is killed, and this
/// with it.
pub fn serve() -> std::io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let listener = UnixListener::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    // As in tilld's child: a panic, also one of sled's threads, ends it.
    till_journal::install_panic_policy();
    loop {
        answer(&listener.accept()?.0)?;
    }
}

fn answer(mut stream: &UnixStream) -> std::io::Result<()> {
    let mut dir = String::new();
    BufReader::new(stream).read_line(&mut dir)?;
    let (line, code) = till_journal::probe_line(Path::new(dir.trim_end()));
    writeln!(stream, "{code} {}", line.replace('\n', " "))
}
