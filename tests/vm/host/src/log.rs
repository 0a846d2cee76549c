//! What a guest wrote to a disk, as QEMU's `blklogwrites` filter records it (the format of the kernel's dm-log-writes,
//! Documentation/admin-guide/device-mapper/log-writes.rst), and the disks that a power cut may leave of it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use till_powercut::Rng;

const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;
const MARK: u64 = 8;
/// What a disk writes as a whole or not at all.
const SECTOR: usize = 512;

/// One entry.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Byte of the disk.
    to: u64,
    /// Bytes.
    len: usize,
    flags: u64,
    /// Where the bytes are in the log.
    data: u64,
}

/// A recording.
pub(crate) struct Log {
    file: File,
    entries: Vec<Entry>,
}

fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    if let Some(part) = bytes.get(at * 8..at * 8 + 8) {
        word.copy_from_slice(part);
    }
    u64::from_le_bytes(word)
}

/// Entries that are complete in a log which is still written: a cheap look at its first block.
pub(crate) fn count(file: &File) -> io::Result<u64> {
    let mut head = [0; 28];
    file.read_exact_at(&mut head, 0)?;
    Ok(word(&head, 2))
}

/// What became of the writes behind the last flush before a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// None of them came to the disk.
    All,
    /// Each as a whole or not.
    Writes,
    /// Each sector or not.
    Sectors,
    /// All came: a kill of the machine, not of its disk.
    None,
}

impl Log {
    /// Reads all entries.
    ///
    /// # Errors
    /// The file, or it is no such log.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut head = [0; 28];
        file.read_exact_at(&mut head, 0)?;
        let sector = u64::from(u32::from_le_bytes([head[24], head[25], head[26], head[27]]));
        if (word(&head, 0), word(&head, 1)) != (MAGIC, VERSION) || sector == 0 {
            return Err(io::Error::other(format!("{}: not a log of writes, version 1", path.display())));
        }
        let (mut at, mut entries) = (sector, Vec::new());
        for _ in 0..word(&head, 2) {
            let mut entry = [0; 32];
            file.read_exact_at(&mut entry, at)?;
            at += sector;
            let (to, sectors, flags, mark) =
                (word(&entry, 0), word(&entry, 1), word(&entry, 2), word(&entry, 3));
            let data = at;
            let bytes = if flags & DISCARD != 0 { 0 } else { sectors * sector };
            at += if flags & MARK != 0 { mark.next_multiple_of(sector) } else { bytes };
            let len = usize::try_from(bytes).map_err(io::Error::other)?;
            entries.push(Entry { to: to * sector, len, flags, data });
        }
        Ok(Self { file, entries })
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many of them are flushes.
    pub(crate) fn flushes(&self) -> usize {
        self.entries.iter().filter(|e| e.flags & FLUSH != 0).count()
    }

    /// Makes of a copy of the disk at the recording's beginning one that a cut after the first `cut` entries may leave: what a flush was
    /// answered for is there; what came after the last one as `loss` says.
    ///
    /// # Errors
    /// The files.
    pub(crate) fn replay(&self, disk: &File, cut: usize, loss: Loss, rng: &mut Rng) -> io::Result<usize> {
        let entries = self.entries.get(..cut).unwrap_or(&self.entries);
        let sure = entries.iter().rposition(|e| e.flags & FLUSH != 0).map_or(0, |last| last + 1);
        let mut lost = 0;
        for (number, entry) in entries.iter().enumerate() {
            // A disk may ignore a discard, and what was there then stays.
            if entry.flags & (DISCARD | MARK) != 0 || entry.len == 0 {
                continue;
            }
            let mut bytes = vec![0; entry.len];
            self.file.read_exact_at(&mut bytes, entry.data)?;
            if number < sure || entry.flags & FUA != 0 || loss == Loss::None {
                disk.write_all_at(&bytes, entry.to)?;
                continue;
            }
            let piece = if loss == Loss::Sectors { SECTOR } else { entry.len };
            let mut to = entry.to;
            for part in bytes.chunks(piece) {
                if loss != Loss::All && rng.below(2) == 0 {
                    disk.write_all_at(part, to)?;
                } else {
                    lost += 1;
                }
                to += part.len() as u64;
            }
        }
        Ok(lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of these entries, sectors of 512 bytes: (sector, flags, byte that fills it; None: no data).
    fn log(entries: &[(u64, u64, Option<u8>)]) -> tempfile::NamedTempFile {
        let mut bytes = Vec::new();
        for word in [MAGIC, VERSION, entries.len() as u64] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(512_u32.to_le_bytes());
        bytes.resize(512, 0);
        for (sector, flags, fill) in entries {
            let from = bytes.len();
            for word in [*sector, u64::from(fill.is_some()), *flags, 0] {
                bytes.extend(word.to_le_bytes());
            }
            bytes.resize(from + 512, 0);
            if let Some(fill) = fill {
                bytes.extend([*fill; 512]);
            }
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    fn disk(log: &Log, cut: usize, loss: Loss, seed: u64) -> Vec<u8> {
        let file = tempfile::tempfile().unwrap();
        file.set_len(2048).unwrap();
        log.replay(&file, cut, loss, &mut Rng(seed)).unwrap();
        let mut bytes = vec![0; 2048];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes.chunks(512).map(|sector| sector[0]).collect()
    }

    #[test]
    fn what_was_flushed_is_kept_and_what_was_not_may_be_lost() {
        let file = log(&[
            (0, 0, Some(1)),
            (1, 0, Some(2)),
            (0, FLUSH, None),
            (2, 0, Some(3)),
            (3, FUA, Some(4)),
            (0, 0, Some(5)),
        ]);
        let log = Log::open(file.path()).unwrap();
        assert_eq!((log.len(), log.flushes(), count(file.as_file()).unwrap()), (6, 1, 6));
        assert_eq!(disk(&log, 2, Loss::All, 1), [0, 0, 0, 0], "nothing was promised yet");
        assert_eq!(disk(&log, 6, Loss::None, 1), [5, 2, 3, 4]);
        assert_eq!(disk(&log, 6, Loss::All, 1), [1, 2, 0, 4], "forced through is kept");
        let kinds: std::collections::BTreeSet<Vec<u8>> =
            (0..64).map(|seed| disk(&log, 6, Loss::Sectors, seed)).collect();
        assert_eq!(kinds.len(), 4, "each of two sectors or not");
        assert!(kinds.iter().all(|k| k[1] == 2 && k[3] == 4));
    }

    #[test]
    fn what_is_no_log_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [7; 600]).unwrap();
        assert!(Log::open(file.path()).is_err());
        std::fs::write(file.path(), b"").unwrap();
        assert!(Log::open(file.path()).is_err());
    }
}
