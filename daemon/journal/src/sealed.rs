//! Sealing of small secrets that a record must carry across a crash.
//!
//! A reversal may need the card number (channels.md C3): it goes into the journal only sealed, with a key that is
//! not in the journal, bound to its payment and record kind so that it cannot be moved elsewhere.
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with a random 24-byte nonce.
//!
//! | version 2 | version 1 | what |
//! |---|---|---|
//! | 1 | 1 | version |
//! | 4 | – | epoch of the key, little endian |
//! | 24 | 24 | nonce |
//! | n+16 | n+16 | the sealed secret |
//!
//! Version 2 is written by the [keyring](crate::Keyring), version 1 was by one [`SealingKey`] for everything.

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::frame::Subject;

const VERSION: u8 = 1;
const VERSION_EPOCH: u8 = 2;
const NONCE: usize = 24;
const TAG: usize = 16;
const OVERHEAD_1: usize = 1 + NONCE + TAG;
/// Bytes a sealed secret is longer than the secret, at most.
pub const SEAL_OVERHEAD: usize = OVERHEAD_1 + 4;

/// Why sealing or opening failed. The texts never hold the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The system gave no random bytes.
    #[error("no random bytes for the nonce; nothing was sealed")]
    NoRandomness,
    /// The cipher refused the input.
    #[error("the secret could not be sealed")]
    Seal,
    /// Too short or of an unknown version.
    #[error("not a sealed secret of a known version")]
    Format,
    /// Wrong key, wrong payment, wrong kind, or altered bytes.
    #[error("the sealed secret does not open: other key, other payment, other kind, or altered")]
    Open,
    /// Its epoch's key was destroyed on purpose: nobody opens it any more.
    #[error(
        "the sealed secret is gone for good: the key of its epoch {epoch} was destroyed after its batch was closed"
    )]
    Shredded {
        /// The epoch that it was sealed in.
        epoch: u32,
    },
    /// Its epoch's key should be there and is not.
    #[error(
        "the key of epoch {epoch} is missing or damaged; restore the folder of keys that belongs to this journal"
    )]
    NoKey {
        /// The epoch that it was sealed in.
        epoch: u32,
    },
    /// The keys were wiped from memory because the service stops.
    #[error("the keys were wiped from memory because the service stops; start it again")]
    Forgotten,
}

/// The key secrets are sealed with: 32 bytes of its own, not the device key.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SealingKey([u8; 32]);

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

impl SealingKey {
    /// Derives the sealing key from 32 secret bytes.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(blake3::derive_key("org.tilld journal v1 sealing", secret))
    }

    /// Seals `secret` for one payment and record kind.
    pub fn seal(&self, subject: &Subject, kind: u16, secret: &[u8]) -> Result<Vec<u8>, SealError> {
        encrypt(&self.0, vec![VERSION], subject, kind, secret)
    }

    /// Opens what [`SealingKey::seal`] made for the same payment and kind.
    pub fn open(&self, subject: &Subject, kind: u16, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        if sealed.len() < OVERHEAD_1 || sealed[0] != VERSION {
            return Err(SealError::Format);
        }
        decrypt(&self.0, sealed, 1, subject, kind)
    }
}

/// The epoch whose key opens a sealed secret; zero for one of before the keyring, `None` when it is no sealed secret.
pub fn epoch_of(sealed: &[u8]) -> Option<u32> {
    match sealed {
        [VERSION, ..] if sealed.len() >= OVERHEAD_1 => Some(0),
        [VERSION_EPOCH, a, b, c, d, ..] if sealed.len() >= SEAL_OVERHEAD => {
            // Epoch 0 is what version 1 means.
            Some(u32::from_le_bytes([*a, *b, *c, *d])).filter(|epoch| *epoch > 0)
        }
        _ => None,
    }
}

pub(crate) fn seal_with(
    key: &[u8; 32],
    epoch: u32,
    subject: &Subject,
    kind: u16,
    secret: &[u8],
) -> Result<Vec<u8>, SealError> {
    let mut head = vec![VERSION_EPOCH];
    head.extend_from_slice(&epoch.to_le_bytes());
    encrypt(&epoch_key(key), head, subject, kind, secret)
}

pub(crate) fn open_with(
    key: &[u8; 32],
    epoch: u32,
    subject: &Subject,
    kind: u16,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    if epoch_of(sealed) != Some(epoch) {
        return Err(SealError::Format);
    }
    decrypt(&epoch_key(key), sealed, 5, subject, kind)
}

fn epoch_key(key: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(blake3::derive_key("org.tilld journal v2 epoch sealing", key))
}

/// `head`, nonce, sealed secret. The head, the payment and the kind are bound to it.
fn encrypt(
    key: &[u8; 32],
    head: Vec<u8>,
    subject: &Subject,
    kind: u16,
    secret: &[u8],
) -> Result<Vec<u8>, SealError> {
    let mut nonce = [0u8; NONCE];
    getrandom::fill(&mut nonce).map_err(|_| SealError::NoRandomness)?;
    let body = XChaCha20Poly1305::new(key.into())
        .encrypt(&XNonce::from(nonce), Payload { msg: secret, aad: &context(&head, subject, kind) })
        .map_err(|_| SealError::Seal)?;
    let mut out = head;
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&body);
    Ok(out)
}

/// The caller has checked that head, nonce and tag are there.
fn decrypt(
    key: &[u8; 32],
    sealed: &[u8],
    head: usize,
    subject: &Subject,
    kind: u16,
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (head, rest) = sealed.split_at(head);
    let mut nonce = [0u8; NONCE];
    nonce.copy_from_slice(&rest[..NONCE]);
    XChaCha20Poly1305::new(key.into())
        .decrypt(&XNonce::from(nonce), Payload { msg: &rest[NONCE..], aad: &context(head, subject, kind) })
        .map(Zeroizing::new)
        .map_err(|_| SealError::Open)
}

fn context(head: &[u8], subject: &Subject, kind: u16) -> Vec<u8> {
    [head, subject, &kind.to_le_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_for_the_same_payment_kind_and_key() {
        let key = SealingKey::new(&[7; 32]);
        let sealed = key.seal(&[1; 16], 5, b"4111111111111111").unwrap();
        assert!(!sealed.windows(16).any(|w| w == b"4111111111111111"), "the number is readable on disk");
        assert_eq!(key.open(&[1; 16], 5, &sealed).unwrap().as_slice(), b"4111111111111111");
        assert_eq!(key.open(&[2; 16], 5, &sealed), Err(SealError::Open));
        assert_eq!(key.open(&[1; 16], 6, &sealed), Err(SealError::Open));
        assert_eq!(SealingKey::new(&[8; 32]).open(&[1; 16], 5, &sealed), Err(SealError::Open));
        assert_ne!(sealed, key.seal(&[1; 16], 5, b"4111111111111111").unwrap(), "a nonce was used twice");
    }

    #[test]
    fn a_seal_of_the_first_version_still_opens() {
        // Made by the version before the keyring: key [7; 32], payment [1; 16], kind 5.
        let old = "01b3be3a656b83cefa123613bc5c080b1353fb99c1c0700cfbea1d41b7b0eee2fe3568cc74eeea8b04915b98ab63106ffe3d077f2c18dc7477";
        let sealed = hex::decode(old).unwrap();
        assert_eq!(epoch_of(&sealed), Some(0));
        let opened = SealingKey::new(&[7; 32]).open(&[1; 16], 5, &sealed).unwrap();
        assert_eq!(opened.as_slice(), b"4111111111111111");
    }

    #[test]
    fn altered_or_short_bytes_do_not_open() {
        let key = SealingKey::new(&[7; 32]);
        let sealed = key.seal(&[1; 16], 5, b"secret").unwrap();
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert!(key.open(&[1; 16], 5, &bad).is_err(), "byte {at} altered unseen");
            assert!(key.open(&[1; 16], 5, &sealed[..at]).is_err());
        }
    }
}
