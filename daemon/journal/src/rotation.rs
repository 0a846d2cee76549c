//! A new device key: the old one hands the chain over, at an epoch's boundary.
//!
//! The hand-over is a record of kind [`KIND_KEY_LINK`] near the end of the last epoch of the old key. The old key's
//! chain covers it, and it carries what only the new key could say of the place in the chain where it stands: each of
//! the two vouches for the other, and nobody without both can join two chains.

use zeroize::Zeroizing;

use crate::committer::Order;
use crate::error::{JournalError, Result};
use crate::frame::{Hash, Record};
use crate::journal::Journal;
use crate::key::{DeviceKey, Fingerprint};
use crate::ticket::{Answer, ticket};

/// Kind of the records that hand the chain over to a new device key.
pub const KIND_KEY_LINK: u16 = 0xfffe;

const VERSION: u8 = 1;
const BODY: usize = 1 + 4 + 16 + 16;

/// A key hand-over, as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyLink {
    /// First epoch of the new key.
    pub epoch: u32,
    /// Mark of the old key.
    pub old: Fingerprint,
    /// Mark of the new key.
    pub new: Fingerprint,
    seal: Hash,
}

impl KeyLink {
    /// The payload that hands the chain, standing at `prev_hash`, over to the key of `epoch`; `None` when the key does
    /// not change there.
    pub(crate) fn encode(key: &DeviceKey, epoch: u32, prev_hash: &Hash) -> Option<Vec<u8>> {
        let (old, new) = (key.fingerprint(epoch.saturating_sub(1)), key.fingerprint(epoch));
        if old == new {
            return None;
        }
        let mut out = vec![VERSION];
        out.extend_from_slice(&epoch.to_le_bytes());
        out.extend_from_slice(&old);
        out.extend_from_slice(&new);
        let seal = key.hand_over(epoch, &[&out[..], prev_hash].concat())?;
        out.extend_from_slice(&seal);
        Some(out)
    }

    /// Reads the payload of a record of kind [`KIND_KEY_LINK`].
    pub fn decode(payload: &[u8]) -> Option<Self> {
        if payload.len() != BODY + 32 || payload[0] != VERSION {
            return None;
        }
        Some(Self {
            epoch: u32::from_le_bytes(payload[1..5].try_into().ok()?),
            old: payload[5..21].try_into().ok()?,
            new: payload[21..37].try_into().ok()?,
            seal: payload[37..].try_into().ok()?,
        })
    }

    /// Whether `record` is a hand-over to the key of `epoch` that both keys vouch for. That the record itself is
    /// authentic (the old key's word) was checked when it was read.
    pub(crate) fn holds(record: &Record, key: &DeviceKey, epoch: u32) -> bool {
        let Some(link) = Self::decode(&record.payload) else { return false };
        record.kind == KIND_KEY_LINK
            && link.epoch == epoch
            && link.old == key.fingerprint(record.epoch)
            && link.new == key.fingerprint(epoch)
            && key.hand_over(epoch, &[&record.payload[..BODY], &record.prev_hash].concat()) == Some(link.seal)
    }
}

/// Makes the new secret durable, with the first epoch it is for.
type Persist = Box<dyn FnOnce(u32) -> std::result::Result<(), String> + Send>;

pub(crate) struct Rotation {
    pub(crate) secret: Zeroizing<[u8; 32]>,
    pub(crate) persist: Persist,
    pub(crate) answer: Answer,
}

impl Journal {
    /// Goes over to a new device key: closes the epoch, writes the hand-over, begins the next epoch under the new key.
    /// Returns that epoch.
    ///
    /// `persist` is called first, on the committer's thread, with the epoch: it makes the secret durable, so that the
    /// next start gives it to [`DeviceKey::with`]. If it fails nothing has changed. A crash after it is harmless: the
    /// new key is then in force from whenever that epoch begins. With too little space for a new epoch the answer is
    /// `StorageFull`, and the key takes over when the epoch can begin. Waits for the answer; appends wait meanwhile.
    pub fn rotate_key(
        &self,
        secret: &[u8; 32],
        persist: impl FnOnce(u32) -> std::result::Result<(), String> + Send + 'static,
    ) -> Result<u32> {
        let (answer, ticket) = ticket();
        let rotation = Rotation { secret: Zeroizing::new(*secret), persist: Box::new(persist), answer };
        self.order_rotation(Order::Rotate(Box::new(rotation)));
        ticket.wait()?;
        Ok(self.stats().epoch)
    }
}

/// The error of a `persist` that failed.
pub(crate) fn not_kept(detail: String) -> JournalError {
    JournalError::KeyNotKept { detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;
    use crate::frame::Frame;

    fn record(kind: u16, epoch: u32, payload: Vec<u8>) -> Record {
        Record {
            seq: 9,
            epoch,
            kind,
            group_left: 0,
            commit_index: 0,
            boot_id: [1; 16],
            stamp: Stamp { wall_ms: 1, boottime_ms: 1, clock_ok: true },
            subject: [0; 16],
            payload,
            prev_hash: [5; 32],
            hash: [0; 32],
        }
    }

    #[test]
    fn a_hand_over_holds_at_its_place_between_its_keys_and_nowhere_else() {
        let key = DeviceKey::new(&[1; 32]).with(4, &[2; 32]);
        assert_eq!(KeyLink::encode(&key, 3, &[5; 32]), None, "the key does not change there");
        let payload = KeyLink::encode(&key, 4, &[5; 32]).unwrap();
        let good = record(KIND_KEY_LINK, 3, payload.clone());
        assert!(KeyLink::holds(&good, &key, 4));
        assert!(!KeyLink::holds(&good, &key, 5), "for another epoch");
        assert!(!KeyLink::holds(&good, &DeviceKey::new(&[1; 32]).with(4, &[3; 32]), 4), "to another key");
        assert!(!KeyLink::holds(&good, &DeviceKey::new(&[3; 32]).with(4, &[2; 32]), 4), "from another key");
        assert!(!KeyLink::holds(&record(7, 3, payload.clone()), &key, 4), "of another kind");
        let mut moved = good.clone();
        moved.prev_hash = [6; 32];
        assert!(!KeyLink::holds(&moved, &key, 4), "elsewhere in the chain");
        for at in 0..payload.len() {
            let mut bad = payload.clone();
            bad[at] ^= 1;
            assert!(!KeyLink::holds(&record(KIND_KEY_LINK, 3, bad), &key, 4), "byte {at} altered unseen");
        }
    }

    #[test]
    fn a_retired_key_makes_no_record_of_a_later_epoch_and_the_new_one_none_of_an_earlier() {
        let key = DeviceKey::new(&[1; 32]).with(4, &[2; 32]);
        for (secret, epoch, good) in [(1, 3, true), (1, 4, false), (2, 3, false), (2, 4, true)] {
            let mut bytes = Vec::new();
            record(7, epoch, vec![1]).seal_into(&DeviceKey::new(&[secret; 32]), &mut bytes);
            assert_eq!(Frame::decode_exact(&bytes, &key).is_ok(), good, "key {secret} in epoch {epoch}");
        }
    }
}
