//! The power-cut laboratory: records what a program does to its files, builds every kind of disk a cut may leave.
//!
//! * [`recorder`] is ptrace, so the subject is the real program with all its threads and child processes, unchanged;
//! * [`model`] is the disk: what is durable, what may be there, under rules as strict as POSIX or as kind as ext4;
//! * [`cuts`] takes cuts all over a recording and gives each different disk once.
//!
//! Nothing in here knows a till. Nothing in here is installed.

pub mod cuts;
mod filter;
mod memory;
pub mod model;
pub mod recorder;

use std::sync::Arc;

/// One thing the subject did to the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// A file was made.
    Create {
        /// Its path.
        path: String,
    },
    /// A directory was made.
    Mkdir {
        /// Its path.
        path: String,
    },
    /// Bytes were written.
    Write {
        /// File.
        path: String,
        /// Offset, bytes.
        at: u64,
        /// Bytes.
        data: Arc<[u8]>,
    },
    /// The length was set.
    Truncate {
        /// File.
        path: String,
        /// New length, bytes.
        len: u64,
    },
    /// Blocks were reserved (`fallocate` without a mode).
    Allocate {
        /// File.
        path: String,
        /// Length it has at least now, bytes.
        end: u64,
    },
    /// Makes durable what was recorded before index `since` (when the call began).
    Sync {
        /// File or directory.
        path: String,
        /// Index of the first operation that it does not cover.
        since: usize,
        /// `fdatasync`: no metadata but what the data needs.
        data_only: bool,
    },
    /// A name was changed.
    Rename {
        /// Old path.
        from: String,
        /// New path.
        to: String,
    },
    /// A second name was given.
    Link {
        /// Path there was.
        from: String,
        /// New path.
        to: String,
    },
    /// A name was removed.
    Unlink {
        /// Path.
        path: String,
    },
    /// Nothing; stands where a test took an operation away.
    Nothing,
}

/// Somebody outside was told something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// Operations that had ended when the telling began.
    pub at: usize,
    /// Who counts.
    pub thread: u64,
    /// What must be there from now on, in the witness's own count.
    pub count: u64,
}

/// What the subject did, in order.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// On the disk.
    pub ops: Vec<Op>,
    /// To the world.
    pub acks: Vec<Ack>,
}

/// SplitMix64: small, seedable, the same everywhere.
#[derive(Debug, Clone)]
pub struct Rng(pub u64);

impl Rng {
    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; zero when `end` is.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end.max(1) as u64).unwrap_or(0)
    }
}
