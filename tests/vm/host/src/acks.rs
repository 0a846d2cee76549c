//! What the guest's front-end was told, and how much its disk had been given by then.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::log;

/// One thing that was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    /// Entries of the log when it was heard: a cut at or behind it must keep it.
    pub(crate) entries: usize,
    /// The record.
    pub(crate) seq: u64,
    /// The payment, hex.
    pub(crate) payment: String,
    /// Its state.
    pub(crate) state: String,
}

/// Hears one guest until it is gone, and writes each of its lines behind the number of entries that the log had then.
///
/// # Errors
/// The socket or the files.
pub(crate) fn listen(socket: &Path, log: &Path, out: &Path) -> io::Result<()> {
    let listener = UnixListener::bind(socket)?;
    let mut out = File::create(out)?;
    let (guest, _) = listener.accept()?;
    let log = File::open(log)?;
    for line in BufReader::new(guest).lines() {
        let line = line?;
        writeln!(out, "{} {line}", log::count(&log)?)?;
        out.flush()?;
    }
    Ok(())
}

/// Reads what [`listen`] wrote; half a last line is nothing.
///
/// # Errors
/// The file.
pub(crate) fn read(path: &Path) -> io::Result<Vec<Ack>> {
    let text = std::fs::read_to_string(path)?;
    let parse = |line: &str| -> Option<Ack> {
        let mut words = line.split(' ');
        let (entries, seq) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let (payment, state) = (words.next()?.to_owned(), words.next()?.to_owned());
        Some(Ack { entries, seq, payment, state })
    };
    Ok(text.lines().filter_map(parse).collect())
}
