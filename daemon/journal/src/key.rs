//! The device key and what is derived from it.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::frame::{HEADER_LEN, Hash};

/// The key that binds every record to this device: without it no frame can be made or altered unseen.
///
/// The caller keeps the 32 bytes (a systemd credential, a TPM, a file off the journal's medium); the journal
/// never stores them, only a fingerprint that tells a wrong key from damage.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct DeviceKey {
    link: [u8; 32],
    payload: [u8; 32],
    fingerprint: [u8; 16],
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceKey(..)")
    }
}

impl DeviceKey {
    /// Derives the journal's keys from the device's 32 secret bytes.
    pub fn new(secret: &[u8; 32]) -> Self {
        let mut fingerprint = [0u8; 16];
        let full = blake3::derive_key("org.tilld journal v1 key fingerprint", secret);
        fingerprint.copy_from_slice(&full[..16]);
        Self {
            link: blake3::derive_key("org.tilld journal v1 chain", secret),
            payload: blake3::derive_key("org.tilld journal v1 payload digest", secret),
            fingerprint,
        }
    }

    /// Public mark of the key: equal marks, equal keys.
    pub fn fingerprint(&self) -> [u8; 16] {
        self.fingerprint
    }

    /// Keyed, so that a short payload left out of a proof cannot be guessed from its digest.
    pub(crate) fn payload_digest(&self, payload: &[u8]) -> Hash {
        *blake3::keyed_hash(&self.payload, payload).as_bytes()
    }

    /// One link of the chain. The CRC (bytes 12–15) is left out: it covers the hash.
    pub(crate) fn link(&self, header: &[u8; HEADER_LEN], payload_digest: &Hash) -> Hash {
        let mut block = [0u8; HEADER_LEN - 4 + 32];
        block[..12].copy_from_slice(&header[..12]);
        block[12..HEADER_LEN - 4].copy_from_slice(&header[16..]);
        block[HEADER_LEN - 4..].copy_from_slice(payload_digest);
        *blake3::keyed_hash(&self.link, &block).as_bytes()
    }
}
