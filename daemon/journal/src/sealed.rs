//! Sealing of small secrets that a record must carry across a crash.
//!
//! A reversal may need the card number (channels.md C3): it goes into the journal only sealed, with a key that is
//! not kept on the journal's medium, bound to its payment and record kind so that it cannot be moved elsewhere.
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with a random 24-byte nonce.

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::frame::Subject;

const VERSION: u8 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;
/// Bytes a sealed secret is longer than the secret.
pub const SEAL_OVERHEAD: usize = 1 + NONCE + TAG;

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
        let mut nonce = [0u8; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| SealError::NoRandomness)?;
        let cipher = XChaCha20Poly1305::new((&self.0).into());
        let body = cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: secret, aad: &context(subject, kind) })
            .map_err(|_| SealError::Seal)?;
        let mut out = Vec::with_capacity(SEAL_OVERHEAD + secret.len());
        out.push(VERSION);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&body);
        Ok(out)
    }

    /// Opens what [`SealingKey::seal`] made for the same payment and kind.
    pub fn open(&self, subject: &Subject, kind: u16, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        if sealed.len() < SEAL_OVERHEAD || sealed[0] != VERSION {
            return Err(SealError::Format);
        }
        let mut nonce = [0u8; NONCE];
        nonce.copy_from_slice(&sealed[1..=NONCE]);
        XChaCha20Poly1305::new((&self.0).into())
            .decrypt(
                &XNonce::from(nonce),
                Payload { msg: &sealed[1 + NONCE..], aad: &context(subject, kind) },
            )
            .map(Zeroizing::new)
            .map_err(|_| SealError::Open)
    }
}

fn context(subject: &Subject, kind: u16) -> [u8; 19] {
    let mut aad = [0u8; 19];
    aad[0] = VERSION;
    aad[1..17].copy_from_slice(subject);
    aad[17..].copy_from_slice(&kind.to_le_bytes());
    aad
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
