//! One payment's evidence: what the till's journal holds of it, signed by the device, verified anywhere.
//!
//! Who verifies needs this crate (or `b3sum` and `openssl`, see docs/integrators.md) and the till's public key; no journal
//! and no shared secret. Nothing of other payments is in the file: they are hidden behind hashes.
//!
//! # The file
//! JSON lines, each with one key that says what it is; in this order:
//!
//! | line | holds |
//! |---|---|
//! | `head` | whose till, which payment, where the journal stood |
//! | `stretch` | one a stretch of up to 1024 records that a record of the payment lies in: its Merkle root |
//! | `record` | one a record: the frame as it lies on disk, its key when it is sealed there, its way to the stretch's root, and what it says, readable |
//! | `receipt` | the receipt as text; `null` when there is none |
//! | `seal` | BLAKE3 of every line before it, and the Ed25519 signature (RFC 8032) over them |
//!
//! The key beside a frame opens that frame and no other (version 2 of the file; one of version 1 has frames in clear, and
//! is verified like ever). The verifier opens each, and computes its mark again: a sealed frame says one text only.
//!
//! A stretch is always the same 1024 records (1 to 1024, 1025 to 2048 …), only the journal's newest and oldest may be
//! partial. So two evidence files of one till, for two payments, exported at two times, must name the same root for the
//! same stretch: whoever rewrites a record must rewrite every file that was ever given out. The proof of a record is
//! at most ten hashes, however far the payment's records lie apart.
//!
//! # What it proves
//! That the holder of the device's key vouches for exactly these records, at these places. It does not prove by itself
//! when they were written, nor that the till tells the truth: times are the till's own.

mod file;
mod frame;
mod identity;
mod make;
pub mod merkle;
mod verify;

pub use file::JournalState;
pub use frame::{Frame, FrameFault};
pub use identity::{Identity, KeyError, PublicKey};
pub use make::{Entry, Evidence, MakeError, Stretch};
pub use verify::{EvidenceError, Report, ReportRecord, ReportStretch, verify_evidence};

/// Records of a stretch.
pub const STRETCH: u64 = 1024;

/// First and last record of the stretch that `seq` (from 1) lies in.
pub const fn stretch_of(seq: u64) -> (u64, u64) {
    let first = (seq.saturating_sub(1) / STRETCH) * STRETCH + 1;
    (first, first.saturating_add(STRETCH - 1))
}
