//! What is asked of the disk: space, kind of file system, durable creation, ballast.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FallocateFlags, fallocate, fstatfs, statvfs};

use crate::error::{JournalError, Result};

/// Bytes a caller may still write where `path` lies; zero when that cannot be told.
pub(crate) fn free_bytes(path: &Path) -> u64 {
    let at = if path.exists() { path } else { path.parent().unwrap_or(path) };
    statvfs(at).map_or(0, |s| s.f_bavail.saturating_mul(s.f_frsize))
}

/// File systems that do not keep a synced write through a power cut, or whose sync has other rules.
const REFUSED: &[(u64, &str)] = &[
    (0x4d44, "vfat"),
    (0x2011_bab0, "exfat"),
    (0x794c_7630, "overlayfs"),
    (0x0102_1994, "tmpfs"),
    (0x8584_58f6, "ramfs"),
    (0x9123_683e, "btrfs"),
    (0x6969, "nfs"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "fuse"),
];

/// Refuses the file systems above unless `forced`.
pub(crate) fn check_filesystem(dir: &Path, forced: bool) -> Result<()> {
    let handle = File::open(dir).map_err(|e| JournalError::io("open", dir, e))?;
    let stat = fstatfs(&handle).map_err(|e| JournalError::io("inspect", dir, e.into()))?;
    // The type is signed and of different width on different targets; the magic is its low 32 bits.
    #[allow(clippy::useless_conversion)] // an i64 here, an i32 or u32 elsewhere
    let magic = u64::from_ne_bytes(i64::from(stat.f_type).to_ne_bytes()) & 0xffff_ffff;
    match REFUSED.iter().find(|(m, _)| *m == magic) {
        Some((_, kind)) if !forced => Err(JournalError::UnsuitableFilesystem { dir: dir.to_owned(), kind }),
        _ => Ok(()),
    }
}

/// Syncs a file or directory.
pub(crate) fn sync_path(path: &Path) -> Result<()> {
    File::open(path).and_then(|f| f.sync_all()).map_err(|e| JournalError::io("sync", path, e))
}

/// Syncs everything below `dir`, then `dir`.
pub(crate) fn sync_tree(dir: &Path) -> Result<()> {
    for entry in list(dir)? {
        if entry.is_dir() {
            sync_tree(&entry)?;
        } else {
            sync_path(&entry)?;
        }
    }
    sync_path(dir)
}

/// The entries of a directory in name order; none when it does not exist.
pub(crate) fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(JournalError::io("list", dir, e)),
    };
    let mut out = Vec::new();
    for entry in entries {
        out.push(entry.map_err(|e| JournalError::io("list", dir, e))?.path());
    }
    out.sort();
    Ok(out)
}

/// Makes a directory and its name durable.
pub(crate) fn make_dir(dir: &Path) -> Result<()> {
    match fs::create_dir(dir) {
        Ok(()) => sync_path(dir.parent().unwrap_or(dir)),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(JournalError::io("create", dir, e)),
    }
}

/// Renames and makes both directories' entries durable.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|e| JournalError::io("rename", from, e))?;
    let (old, new) = (from.parent(), to.parent());
    if let Some(dir) = new {
        sync_path(dir)?;
    }
    match old {
        Some(dir) if old != new => sync_path(dir),
        _ => Ok(()),
    }
}

/// Opens for writing; the journal's files are its owner's alone.
pub(crate) fn create(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| JournalError::io("create", path, e))
}

/// A file of nothing that is given up when the disk is full, so that started payments can still be finished.
#[derive(Debug)]
pub(crate) struct Ballast {
    path: PathBuf,
    size: u64,
    held: AtomicU64,
}

impl Ballast {
    pub(crate) fn new(dir: &Path, size: u64) -> Self {
        let path = dir.join("ballast");
        let held = fs::metadata(&path).map_or(0, |m| m.len());
        Self { path, size, held: AtomicU64::new(held) }
    }

    /// Bytes held now.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether it is smaller than it should be.
    pub(crate) fn is_missing(&self) -> bool {
        self.held() < self.size
    }

    /// Bytes to take from the disk to be whole.
    pub(crate) fn wanted(&self) -> u64 {
        self.size.saturating_sub(self.held())
    }

    /// Takes the space. A full disk is no error: the ballast stays missing.
    pub(crate) fn take(&self) -> Result<()> {
        if self.size == 0 {
            return Ok(());
        }
        let file = create(&self.path)?;
        match fallocate(&file, FallocateFlags::empty(), 0, self.size) {
            Ok(()) => {
                file.sync_all().map_err(|e| JournalError::io("sync", &self.path, e))?;
                self.held.store(self.size, Ordering::Relaxed);
                Ok(())
            }
            // Without fallocate the space cannot be promised; without space there is nothing to hold.
            Err(_) => self.release(),
        }
    }

    /// Gives the space back.
    pub(crate) fn release(&self) -> Result<()> {
        self.held.store(0, Ordering::Relaxed);
        match fs::remove_file(&self.path) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(JournalError::io("remove", &self.path, e)),
        }
    }
}
