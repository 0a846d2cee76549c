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
}

const VERSION: u8 = 1;
const LEN: usize = 1 + 8 + 8 + 1 + 32;

impl Checkpoint {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(LEN);
        out.push(VERSION);
        out.extend_from_slice(&self.epoch_records.to_le_bytes());
        out.extend_from_slice(&self.total_records.to_le_bytes());
        out.push(u8::from(self.clean_stop));
        out.extend_from_slice(&self.head);
        out
    }

    /// Reads the payload of a record of kind [`KIND_CHECKPOINT`](crate::KIND_CHECKPOINT).
    pub fn decode(payload: &[u8]) -> Option<Self> {
        if payload.len() != LEN || payload[0] != VERSION || payload[17] > 1 {
            return None;
        }
        Some(Self {
            epoch_records: u64::from_le_bytes(payload[1..9].try_into().ok()?),
            total_records: u64::from_le_bytes(payload[9..17].try_into().ok()?),
            clean_stop: payload[17] == 1,
            head: payload[18..].try_into().ok()?,
        })
    }
}
