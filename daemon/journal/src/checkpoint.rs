//! The journal's own record: how much there was and where the chain stood.

use crate::frame::Hash;

/// Records between two checkpoints.
pub(crate) const EVERY: u64 = 1000;

/// A checkpoint's payload. Written every 1000 records, at an epoch's end and at a clean stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Records in the epoch before this one.
    pub epoch_records: u64,
    /// Records in the journal before this one (pruned ones counted).
    pub total_records: u64,
    /// The journal was closed cleanly after this record.
    pub clean_stop: bool,
    /// Hash of the record before.
    pub head: Hash,
    /// Where the newest snapshot was closed; zero when there was none (always in records of version 1).
    pub last_snapshot: u64,
    /// Where the newest summary of removed records stands; zero when nothing was ever removed.
    pub last_summary: u64,
}

/// Version 1 had neither of the two marks at the end.
const VERSION: u8 = 2;
const LEN_1: usize = 1 + 8 + 8 + 1 + 32;
const LEN: usize = LEN_1 + 8 + 8;

impl Checkpoint {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(LEN);
        out.push(VERSION);
        out.extend_from_slice(&self.epoch_records.to_le_bytes());
        out.extend_from_slice(&self.total_records.to_le_bytes());
        out.push(u8::from(self.clean_stop));
        out.extend_from_slice(&self.head);
        out.extend_from_slice(&self.last_snapshot.to_le_bytes());
        out.extend_from_slice(&self.last_summary.to_le_bytes());
        out
    }

    /// Reads the payload of a record of kind [`KIND_CHECKPOINT`](crate::KIND_CHECKPOINT).
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let known = matches!((payload.first(), payload.len()), (Some(1), LEN_1) | (Some(&VERSION), LEN));
        if !known || payload[17] > 1 {
            return None;
        }
        let mark =
            |at: usize| payload.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
        Some(Self {
            epoch_records: u64::from_le_bytes(payload[1..9].try_into().ok()?),
            total_records: u64::from_le_bytes(payload[9..17].try_into().ok()?),
            clean_stop: payload[17] == 1,
            head: payload[18..LEN_1].try_into().ok()?,
            last_snapshot: mark(LEN_1),
            last_summary: mark(LEN_1 + 8),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_and_the_first_version_is_still_read() {
        let checkpoint = Checkpoint {
            epoch_records: 3,
            total_records: 4,
            clean_stop: true,
            head: [9; 32],
            last_snapshot: 77,
            last_summary: 88,
        };
        let bytes = checkpoint.encode();
        assert_eq!(Checkpoint::decode(&bytes), Some(checkpoint));
        let mut old = bytes[..LEN_1].to_vec();
        old[0] = 1;
        assert_eq!(
            Checkpoint::decode(&old),
            Some(Checkpoint { last_snapshot: 0, last_summary: 0, ..checkpoint })
        );
        for at in 0..bytes.len() {
            assert_eq!(Checkpoint::decode(&bytes[..at]), None);
        }
    }
}
