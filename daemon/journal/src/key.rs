//! The device key, its generations, and what is derived from them.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::frame::{HEADER_LEN, Hash};

/// The key that binds every record to this device: without it no frame can be made or altered unseen.
///
/// It has generations, each in force from an epoch on: a record is checked with the generation of its own epoch and
/// with no other, so that a retired key, should it become known, makes no new record. The caller keeps the secrets (a
/// systemd credential, a [`Keyring`](crate::Keyring)); the journal never stores them, only fingerprints that tell a
/// wrong key from damage. Clones are one key.
#[derive(Clone)]
pub struct DeviceKey(Arc<RwLock<Vec<Generation>>>);

/// Public mark of a generation: equal marks, equal keys.
pub type Fingerprint = [u8; 16];

#[derive(Zeroize, ZeroizeOnDrop)]
struct Generation {
    first_epoch: u32,
    link: [u8; 32],
    payload: [u8; 32],
    hand_over: [u8; 32],
    fingerprint: Fingerprint,
}

impl Generation {
    fn new(first_epoch: u32, secret: &[u8; 32]) -> Self {
        let mut fingerprint = [0u8; 16];
        let full = blake3::derive_key("org.tilld journal v1 key fingerprint", secret);
        fingerprint.copy_from_slice(&full[..16]);
        Self {
            first_epoch,
            link: blake3::derive_key("org.tilld journal v1 chain", secret),
            payload: blake3::derive_key("org.tilld journal v1 payload digest", secret),
            hand_over: blake3::derive_key("org.tilld journal v1 key hand-over", secret),
            fingerprint,
        }
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceKey(..)")
    }
}

impl DeviceKey {
    /// Derives the journal's keys from the device's 32 secret bytes, in force from the first epoch on.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(Arc::new(RwLock::new(vec![Generation::new(0, secret)])))
    }

    /// The same with a further generation, in force from `first_epoch` on. One that is known for that epoch is
    /// replaced.
    #[must_use]
    pub fn with(self, first_epoch: u32, secret: &[u8; 32]) -> Self {
        self.add(first_epoch, secret);
        self
    }

    pub(crate) fn add(&self, first_epoch: u32, secret: &[u8; 32]) {
        let mut generations = self.0.write().unwrap_or_else(PoisonError::into_inner);
        generations.retain(|g| g.first_epoch != first_epoch);
        generations.push(Generation::new(first_epoch, secret));
        generations.sort_by_key(|g| g.first_epoch);
    }

    /// Wipes the key from memory. From then on no record can be made, and none read is found authentic: for the end
    /// of a process, after the journal was closed.
    pub fn forget(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The mark of the generation that is in force in an epoch.
    pub fn fingerprint(&self, epoch: u32) -> Fingerprint {
        self.in_force(epoch, |g| g.fingerprint).unwrap_or_default()
    }

    /// Whether some generation has this mark.
    pub(crate) fn knows(&self, fingerprint: &str) -> bool {
        let generations = self.0.read().unwrap_or_else(PoisonError::into_inner);
        generations.iter().any(|g| hex::encode(g.fingerprint) == fingerprint)
    }

    fn in_force<T>(&self, epoch: u32, f: impl FnOnce(&Generation) -> T) -> Option<T> {
        let generations = self.0.read().unwrap_or_else(PoisonError::into_inner);
        generations.iter().rev().find(|g| g.first_epoch <= epoch).map(f)
    }

    /// Keyed, so that a short payload left out of a proof cannot be guessed from its digest.
    pub(crate) fn payload_digest(&self, epoch: u32, payload: &[u8]) -> Hash {
        self.in_force(epoch, |g| *blake3::keyed_hash(&g.payload, payload).as_bytes()).unwrap_or_default()
    }

    /// One link of the chain; `None` once the key is forgotten. The CRC (bytes 12–15) is left out: it covers the hash.
    pub(crate) fn link(&self, epoch: u32, header: &[u8; HEADER_LEN], payload_digest: &Hash) -> Option<Hash> {
        let mut block = [0u8; HEADER_LEN - 4 + 32];
        block[..12].copy_from_slice(&header[..12]);
        block[12..HEADER_LEN - 4].copy_from_slice(&header[16..]);
        block[HEADER_LEN - 4..].copy_from_slice(payload_digest);
        self.in_force(epoch, |g| *blake3::keyed_hash(&g.link, &block).as_bytes())
    }

    /// What the generation of `epoch` says to taking the chain over.
    pub(crate) fn hand_over(&self, epoch: u32, what: &[u8]) -> Option<Hash> {
        self.in_force(epoch, |g| *blake3::keyed_hash(&g.hand_over, what).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_epoch_has_the_generation_in_force_then_and_a_forgotten_key_has_none() {
        let key = DeviceKey::new(&[1; 32]).with(9, &[3; 32]).with(5, &[2; 32]);
        let of = |n: u8| DeviceKey::new(&[n; 32]).fingerprint(1);
        let marks: Vec<_> = [1, 4, 5, 8, 9, 100].map(|epoch| key.fingerprint(epoch)).into();
        assert_eq!(marks, [of(1), of(1), of(2), of(2), of(3), of(3)]);
        assert!(key.knows(&hex::encode(of(2))) && !key.knows(&hex::encode(of(4))));
        let clone = key.clone();
        key.forget();
        assert_eq!(clone.link(5, &[0; HEADER_LEN], &[0; 32]), None, "s79: a clone still has the key");
    }
}
