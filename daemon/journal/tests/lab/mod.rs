//! The power-cut laboratory: records what a program does to its files, builds every kind of disk a cut may leave.
//!
//! The recorder is ptrace, so the subject is the real program with all its threads and child processes. The model is
//! stricter than ext4: a name is durable only after its directory was synced, `sync_file_range` is worth nothing,
//! and what was not synced may be there, not there, or there in part, sector by sector.

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

pub(crate) mod model;
pub(crate) mod recorder;
pub(crate) mod run;

/// One thing the subject did to the disk, or told the world.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Create {
        path: String,
    },
    Mkdir {
        path: String,
    },
    Write {
        path: String,
        at: u64,
        data: Vec<u8>,
    },
    Truncate {
        path: String,
        len: u64,
    },
    Allocate {
        path: String,
        end: u64,
    },
    /// Makes durable what was recorded before index `since` (when the call began).
    Sync {
        path: String,
        since: usize,
    },
    Rename {
        from: String,
        to: String,
    },
    Link {
        from: String,
        to: String,
    },
    Unlink {
        path: String,
    },
    /// Told outside: this record is safe.
    Ack {
        thread: u64,
        count: u64,
    },
}

/// SplitMix64: small, seedable, the same everywhere.
pub(crate) struct Rng(pub u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }
}
