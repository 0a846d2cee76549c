//! Trying a store before trusting it: sled may error, panic, abort or hang on a damaged directory.
//!
//! With [`Probe::Command`] the try runs in a child process, which can be killed and whose panic costs nothing. With
//! [`Probe::Thread`] it runs in a thread of this process: a panic is caught (unless [`install_panic_policy`] was
//! called, which then ends the process, so install it after opening or use the command), but a hang cannot be
//! ended: `open` then fails with `ProbeHung` and only a restart helps. A daemon uses the command.
//!
//! [`install_panic_policy`]: crate::install_panic_policy

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::error::{JournalError, Result};
use crate::frame::{Frame, Hash};
use crate::store::Store;

/// How a store is tried before it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// Runs this program with these arguments and the store's directory as the last one. It must end in
    /// [`probe_main`]; usually the daemon itself (`/proc/self/exe journal-probe`).
    Command {
        /// The program.
        program: PathBuf,
        /// Arguments before the directory.
        args: Vec<OsString>,
    },
    /// In a thread of this process; see the module's words on what that cannot do.
    Thread,
}

/// What a good store holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Walked {
    pub(crate) count: u64,
    /// Newest record and its hash; zero in an empty store.
    pub(crate) last: u64,
    pub(crate) hash: Hash,
}

/// What a probe found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good(Walked),
    Bad(String),
    /// Not the store's fault: somebody holds it.
    Locked,
    /// Not the store's fault: it cannot be opened while the disk is full.
    Full,
}

/// Walks the whole store without the device key: opens, every frame's form and CRC, strict order, links.
fn walk(dir: &Path) -> Result<Walked> {
    let store = Store::open(dir)?;
    let bad = |detail: String| JournalError::Store { what: "check", detail };
    let mut at = store.first_seq()?.unwrap_or(1);
    let mut prev = None;
    let mut walked = Walked::default();
    loop {
        let page = store.page(at, 512)?;
        if page.is_empty() {
            return Ok(walked);
        }
        for (seq, bytes) in page {
            if seq != at {
                return Err(bad(format!("record {at} is missing")));
            }
            let (record, len) = Frame::decode(&bytes).map_err(|e| bad(format!("record {seq}: {e}")))?;
            if record.seq != seq || len != bytes.len() || prev.is_some_and(|p| p != record.prev_hash) {
                return Err(bad(format!("record {seq} does not follow the one before it")));
            }
            prev = Some(record.hash);
            walked = Walked { count: walked.count + 1, last: seq, hash: record.hash };
            at = at.saturating_add(1);
        }
    }
}

/// The child's side of [`Probe::Command`]: tries the store in `dir`, prints one line, ends with 0 when it is good.
pub fn probe_main(dir: &Path) -> ExitCode {
    crate::install_panic_policy();
    let (line, code) = probe_line(dir);
    println!("{line}");
    ExitCode::from(code)
}

/// What [`probe_main`] prints and ends with. A panic or a hang is the caller's: only a process of its own bears it.
pub fn probe_line(dir: &Path) -> (String, u8) {
    match walk(dir) {
        Ok(Walked { count, last, hash }) => (format!("good {count} {last} {}", hex::encode(hash)), 0),
        Err(JournalError::StorageFull { .. }) => ("full".into(), 4),
        Err(JournalError::Locked { .. }) => ("locked".into(), 5),
        Err(e) => (format!("bad {e}"), 3),
    }
}

/// Tries the store in `dir` as `probe` says.
pub(crate) fn try_store(probe: &Probe, dir: &Path, limit: Duration) -> Result<Verdict> {
    match probe {
        Probe::Command { program, args } => in_child(program, args, dir, limit),
        Probe::Thread => in_thread(dir, limit),
    }
}

fn in_child(program: &Path, args: &[OsString], dir: &Path, limit: Duration) -> Result<Verdict> {
    let mut child = Command::new(program)
        .args(args)
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| JournalError::io("start the store probe", program, e))?;
    let Some(mut out) = child.stdout.take() else {
        return Ok(Verdict::Bad("probe without output".into()));
    };
    let (tx, rx) = mpsc::channel();
    // The pipe's end is the child's end: no polling, and a limit on the wait.
    let reader = thread::spawn(move || {
        let mut text = String::new();
        let _ = out.by_ref().take(4096).read_to_string(&mut text);
        let _ = tx.send(text);
    });
    let answer = rx.recv_timeout(limit);
    if answer.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|e| JournalError::io("wait for the store probe", program, e))?;
    let _ = reader.join();
    Ok(match answer {
        Ok(text) if status.success() && text.starts_with("good") => Verdict::Good(parse_good(&text)),
        Ok(text) if text.starts_with("full") => Verdict::Full,
        Ok(text) if text.starts_with("locked") => Verdict::Locked,
        Ok(text) if text.starts_with("bad ") => Verdict::Bad(text[4..].trim().to_owned()),
        Ok(_) => Verdict::Bad(format!("the probe ended with {status}")),
        Err(_) => Verdict::Bad(format!("the probe hung for {} s and was killed", limit.as_secs())),
    })
}

fn parse_good(text: &str) -> Walked {
    let mut words = text.split_whitespace().skip(1);
    let mut number = || words.next().and_then(|w| w.parse().ok()).unwrap_or_default();
    let (count, last) = (number(), number());
    let mut hash = [0; 32];
    if words.next().is_none_or(|w| hex::decode_to_slice(w, &mut hash).is_err()) {
        hash = [0; 32];
    }
    Walked { count, last, hash }
}

fn in_thread(dir: &Path, limit: Duration) -> Result<Verdict> {
    let (tx, rx) = mpsc::channel();
    let owned = dir.to_owned();
    let worker = thread::Builder::new()
        .name("till-journal-probe".into())
        .spawn(move || {
            let _ = tx.send(walk(&owned));
        })
        .map_err(|e| JournalError::io("start a thread for", dir, e))?;
    match rx.recv_timeout(limit) {
        Ok(Ok(walked)) => {
            let _ = worker.join();
            Ok(Verdict::Good(walked))
        }
        Ok(Err(JournalError::StorageFull { .. })) => Ok(Verdict::Full),
        Ok(Err(JournalError::Locked { .. })) => Ok(Verdict::Locked),
        Ok(Err(e)) => Ok(Verdict::Bad(e.to_string())),
        Err(mpsc::RecvTimeoutError::Disconnected) => Ok(Verdict::Bad("the probe panicked".into())),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(JournalError::ProbeHung { seconds: limit.as_secs() }),
    }
}
