//! The device key, its generations, and what is derived from them.

use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::body::{EpochKeys, RecordKey};
use crate::frame::{FrameHead, HEADER_LEN, Hash, OpenError};
use crate::keyring::KeyringError;
use crate::records::{RecordKeys, Records};

/// The key that binds every record to this device: without it no frame can be made or altered unseen.
///
/// It has generations, each in force from an epoch on: a record is checked with the generation of its own epoch and
/// with no other, so that a retired key, should it become known, makes no new record. The caller keeps the secrets (a
/// systemd credential, a [`Keyring`](crate::Keyring)); the journal never stores them, only fingerprints that tell a
/// wrong key from damage. Clones are one key.
///
/// With [`sealing`](Self::sealing) it also has the keys that the records' bodies are sealed with. Without, a journal writes
/// bodies in clear: for tools and tests; a till always seals.
#[derive(Clone)]
pub struct DeviceKey(Arc<Inner>);

struct Inner {
    generations: RwLock<Vec<Generation>>,
    records: OnceLock<Records>,
    /// Nothing is known: frames are taken at their word, for a look at their form and links.
    links_only: bool,
}

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
        let generations = RwLock::new(vec![Generation::new(0, secret)]);
        Self(Arc::new(Inner { generations, records: OnceLock::new(), links_only: false }))
    }

    /// No key: every frame whose checksum holds counts as authentic. For a check of the links by who has no key, and for
    /// nothing that changes or trusts anything.
    pub(crate) fn links_only() -> Self {
        Self(Arc::new(Inner { generations: RwLock::default(), records: OnceLock::new(), links_only: true }))
    }

    pub(crate) fn is_links_only(&self) -> bool {
        self.0.links_only
    }

    /// The same with a further generation, in force from `first_epoch` on. One that is known for that epoch is
    /// replaced.
    #[must_use]
    pub fn with(self, first_epoch: u32, secret: &[u8; 32]) -> Self {
        self.add(first_epoch, secret);
        self
    }

    /// The same with the keys of the records: what is written from now on is sealed. The first source given stays.
    #[must_use]
    pub fn sealing(self, records: impl RecordKeys + 'static) -> Self {
        // Given twice it is the same keyring: a till has one.
        let _stays = self.0.records.set(Records::new(records));
        self
    }

    pub(crate) fn add(&self, first_epoch: u32, secret: &[u8; 32]) {
        let mut generations = self.0.generations.write().unwrap_or_else(PoisonError::into_inner);
        generations.retain(|g| g.first_epoch != first_epoch);
        generations.push(Generation::new(first_epoch, secret));
        generations.sort_by_key(|g| g.first_epoch);
    }

    /// Wipes the key from memory. From then on no record can be made, and none read is found authentic: for the end
    /// of a process, after the journal was closed.
    pub fn forget(&self) {
        self.0.generations.write().unwrap_or_else(PoisonError::into_inner).clear();
        if let Some(records) = self.0.records.get() {
            records.forget();
        }
    }

    /// What the records of an epoch are sealed with, made when there is none; `None` when nothing is sealed.
    pub(crate) fn sealer(&self, epoch: u32) -> Result<Option<Arc<EpochKeys>>, KeyringError> {
        self.0.records.get().map(|records| records.make(epoch)).transpose()
    }

    /// Opens a sealed body; gives the payload and what opens this one only.
    pub(crate) fn open(&self, head: &FrameHead, body: &[u8]) -> Result<(Vec<u8>, RecordKey), OpenError> {
        let epoch = head.epoch;
        let records = self.0.records.get().ok_or_else(|| OpenError::NoKey {
            epoch,
            detail: "the journal was opened without the keyring".into(),
        })?;
        let key = records.keys(epoch)?.of(head.seq, body).ok_or(OpenError::WrongKey { epoch })?;
        let payload = key.open(head, body).ok_or(OpenError::WrongKey { epoch })?;
        Ok((payload, key))
    }

    /// Destroys the keys of the records of all epochs below `epoch`.
    pub(crate) fn destroy_records_below(&self, epoch: u32) -> Result<(), KeyringError> {
        self.0.records.get().map_or(Ok(()), |records| records.destroy_below(epoch))
    }

    /// The mark of the generation that is in force in an epoch.
    pub fn fingerprint(&self, epoch: u32) -> Fingerprint {
        self.in_force(epoch, |g| g.fingerprint).unwrap_or_default()
    }

    /// Whether some generation has this mark.
    pub(crate) fn knows(&self, fingerprint: &str) -> bool {
        let generations = self.0.generations.read().unwrap_or_else(PoisonError::into_inner);
        generations.iter().any(|g| hex::encode(g.fingerprint) == fingerprint)
    }

    fn in_force<T>(&self, epoch: u32, f: impl FnOnce(&Generation) -> T) -> Option<T> {
        let generations = self.0.generations.read().unwrap_or_else(PoisonError::into_inner);
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
