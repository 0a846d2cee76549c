//! Writing segments: the spare, the live one, and one made anew from the store.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};

use super::{HEADER_LEN, Header};
use crate::disk;
use crate::error::{JournalError, Result};

pub(crate) const SPARE: &str = "spare.new";
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// The segment that takes the commits.
#[derive(Debug)]
pub(crate) struct Writer {
    file: File,
    path: PathBuf,
    pub(crate) header: Header,
    at: u64,
}

impl Writer {
    /// Starts a segment: from the spare when there is one of the right size, else made here.
    pub(crate) fn start(dir: &Path, header: Header) -> Result<Self> {
        let path = header.path(dir);
        // Taken under its own name first: the spare's name may be given to a new spare at any moment.
        let aside = path.with_extension("log.new");
        let file = match std::fs::rename(dir.join(SPARE), &aside) {
            Ok(()) if has_length(&aside, header.size) => std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(&aside)
                .map_err(|e| JournalError::io("open", &aside, e))?,
            _ => zeroed(&aside, header.size)?,
        };
        file.write_all_at(&header.encode(), 0).map_err(|e| JournalError::io("write", &aside, e))?;
        file.sync_all().map_err(|e| JournalError::io("sync", &aside, e))?;
        disk::rename(&aside, &path)?;
        Ok(Self { file, path, header, at: HEADER_LEN as u64 })
    }

    /// Goes on in a segment that was read back; what follows `at` is made zero first.
    pub(crate) fn resume(path: &Path, header: Header, at: usize, clean: bool) -> Result<Self> {
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|e| JournalError::io("open", path, e))?;
        if !clean {
            // A stale frame behind the new ones must never be taken for a continuation.
            zero(&file, path, at as u64, header.size)?;
        }
        // Also when clean: the frames read may lie in the page cache only, after a kill between write and sync.
        file.sync_all().map_err(|e| JournalError::io("sync", path, e))?;
        Ok(Self { file, path: path.to_owned(), header, at: at as u64 })
    }

    /// Bytes that still fit.
    pub(crate) fn room(&self) -> u64 {
        self.header.size.saturating_sub(self.at)
    }

    /// Writes frames and syncs them. On error nothing may be acknowledged any more.
    pub(crate) fn commit(&mut self, frames: &[u8]) -> Result<()> {
        self.file.write_all_at(frames, self.at).map_err(|e| JournalError::io("write", &self.path, e))?;
        self.file.sync_data().map_err(|e| JournalError::io("sync", &self.path, e))?;
        self.at += frames.len() as u64;
        Ok(())
    }
}

/// Prepares the next segment's file ahead of its use.
pub(crate) fn prepare_spare(dir: &Path, size: u64) -> Result<()> {
    if has_length(&dir.join(SPARE), size) {
        return Ok(());
    }
    // Under a name of its own until it is whole, so that a half-made spare is never taken.
    let making = dir.join("making.new");
    let file = zeroed(&making, size)?;
    file.sync_all().map_err(|e| JournalError::io("sync", &making, e))?;
    disk::rename(&making, &dir.join(SPARE))
}

/// Writes a whole segment anew from frames in order, in place of whatever is there under its name.
pub(crate) fn rewrite(dir: &Path, header: &Header, frames: &[u8]) -> Result<()> {
    let path = header.path(dir);
    let aside = path.with_extension("log.new");
    let file = zeroed(&aside, header.size)?;
    file.write_all_at(&header.encode(), 0).map_err(|e| JournalError::io("write", &aside, e))?;
    file.write_all_at(frames, HEADER_LEN as u64).map_err(|e| JournalError::io("write", &aside, e))?;
    file.sync_all().map_err(|e| JournalError::io("sync", &aside, e))?;
    disk::rename(&aside, &path)
}

/// A spare from before counts: it got its name after its zeros were synced.
fn has_length(path: &Path, size: u64) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.len() == size)
}

fn zeroed(path: &Path, size: u64) -> Result<File> {
    let file = disk::create(path)?;
    // Asks for the blocks in one piece and notices a full disk before the first byte; then the zeros make them
    // written blocks, so that a commit changes no extent (see the module's head). Not every file system has it.
    match fallocate(&file, FallocateFlags::empty(), 0, size) {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
        Err(e) => return Err(give_up(path, JournalError::io("allocate", path, e.into()))),
    }
    match zero(&file, path, 0, size) {
        Ok(()) => Ok(file),
        Err(e) => Err(give_up(path, e)),
    }
}

/// Frees what a failed preallocation took.
fn give_up(path: &Path, error: JournalError) -> JournalError {
    let _ = std::fs::remove_file(path);
    error
}

fn zero(file: &File, path: &Path, from: u64, to: u64) -> Result<()> {
    let mut at = from;
    while at < to {
        let len = usize::try_from(to - at).unwrap_or(usize::MAX).min(ZEROS.len());
        file.write_all_at(&ZEROS[..len], at).map_err(|e| JournalError::io("write", path, e))?;
        at += len as u64;
    }
    Ok(())
}
