//! Idempotency keys of callers: which payment a key belongs to, and whether a repeat says the same.
//!
//! Memory is bounded: the newest [`KEYS`] keys are known, each by a digest (about 75 bytes, 2.5 MB in all, whatever the
//! callers' keys look like). At 500 payments a day that is two months; a key is repeated within minutes.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use till_plugin::Money;

use crate::payment::PaymentId;

/// Keys remembered.
pub const KEYS: usize = 32_768;

type Digest = [u8; 16];

/// The keys in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Keys {
    known: BTreeMap<Digest, Use>,
    oldest_first: VecDeque<Digest>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Use {
    payment: PaymentId,
    body: Digest,
}

impl Keys {
    pub(crate) fn payment(&self, key: &str) -> Option<PaymentId> {
        self.known.get(&digest(&[key.as_bytes()])).map(|u| u.payment)
    }

    /// The payment of the key, and whether it was opened over the same amount and subject.
    pub(crate) fn repeat(&self, key: &str, amount: Money, subject: &str) -> Option<(PaymentId, bool)> {
        let known = self.known.get(&digest(&[key.as_bytes()]))?;
        Some((known.payment, known.body == body(amount, subject)))
    }

    pub(crate) fn add(&mut self, key: &str, payment: PaymentId, amount: Money, subject: &str) {
        if key.is_empty() {
            return;
        }
        let digest = digest(&[key.as_bytes()]);
        if self.known.insert(digest, Use { payment, body: body(amount, subject) }).is_none() {
            self.oldest_first.push_back(digest);
        }
        if self.oldest_first.len() > KEYS
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

fn body(amount: Money, subject: &str) -> Digest {
    digest(&[&amount.minor().to_le_bytes(), amount.currency().code().as_bytes(), subject.as_bytes()])
}

/// Half a BLAKE3 digest over length-prefixed parts: nobody finds two texts with the same one. In one piece: for texts as
/// short as these a hasher that could take more costs twice as much.
fn digest(parts: &[&[u8]]) -> Digest {
    let mut whole = Vec::with_capacity(parts.iter().map(|part| size_of::<u64>() + part.len()).sum());
    for part in parts {
        whole.extend_from_slice(&(part.len() as u64).to_le_bytes());
        whole.extend_from_slice(part);
    }
    let mut half = Digest::default();
    half.copy_from_slice(&blake3::hash(&whole).as_bytes()[..16]);
    half
}

#[cfg(test)]
mod tests {
    use super::*;
    use till_plugin::Currency;

    fn id(n: usize) -> PaymentId {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(n as u64).to_le_bytes());
        PaymentId(id)
    }

    #[test]
    fn the_newest_keys_are_known_and_memory_is_bounded() {
        let mut keys = Keys::default();
        let fen = |n| Money::new(n, Currency::CNY);
        for n in 0..KEYS + 10 {
            keys.add(&format!("key-{n}"), id(n), fen(1), "s");
        }
        assert_eq!((keys.known.len(), keys.oldest_first.len()), (KEYS, KEYS));
        assert_eq!(keys.payment("key-9"), None);
        assert_eq!(keys.payment("key-10"), Some(id(10)));
        assert_eq!(keys.repeat("key-10", fen(1), "s"), Some((id(10), true)));
        assert_eq!(keys.repeat("key-10", fen(2), "s"), Some((id(10), false)));
        assert_eq!(keys.repeat("key-10", fen(1), "t"), Some((id(10), false)));
        // The same key again takes no second place.
        keys.add("key-10", id(10), fen(1), "s");
        assert_eq!(keys.oldest_first.len(), KEYS);
    }
}
