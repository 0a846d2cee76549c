//! One key on disk: 32 secret bytes wrapped under the master key, bound to the file's name.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | magic `TILW` |
//! | 1 | version, 1 |
//! | 1 | length of the name |
//! | n | name, as the file's |
//! | 16 | fingerprint of the master key |
//! | 24 | nonce |
//! | 32+16 | XChaCha20-Poly1305 of the secret; all bytes before the nonce are its associated data |

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::error::{KeyringError, Result};

const MAGIC: &[u8; 4] = b"TILW";
const VERSION: u8 = 1;
const FIXED: usize = 6;
const MARK: usize = 16;
const NONCE: usize = 24;
const SECRET: usize = 32;
const TAG: usize = 16;

/// 32 secret bytes; wiped when dropped.
pub(super) type Secret = Zeroizing<[u8; SECRET]>;

/// 32 fresh random bytes.
pub(super) fn random() -> Result<Secret> {
    let mut out = Zeroizing::new([0; SECRET]);
    getrandom::fill(&mut *out).map_err(|_| KeyringError::NoRandomness)?;
    Ok(out)
}

/// What wraps: derived from the master secret, which itself is not kept.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Master {
    wrapping: [u8; 32],
    mark: [u8; MARK],
}

/// Why bytes give no secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unwrapped {
    /// Whole, but of another master key.
    OtherMaster,
    /// Cut, altered, or another file's.
    Damaged,
}

impl Master {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        let mut mark = [0; MARK];
        mark.copy_from_slice(&blake3::derive_key("org.tilld keyring v1 master mark", secret)[..MARK]);
        Self { wrapping: blake3::derive_key("org.tilld keyring v1 wrapping", secret), mark }
    }

    pub(super) fn wrap(&self, name: &str, secret: &[u8; 32]) -> Result<Vec<u8>> {
        let mut nonce = [0u8; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| KeyringError::NoRandomness)?;
        let mut out = self.head(name);
        let body = XChaCha20Poly1305::new((&self.wrapping).into())
            .encrypt(&XNonce::from(nonce), Payload { msg: secret, aad: &out })
            // The cipher refuses only what is longer than 256 GiB.
            .map_err(|_| KeyringError::NoRandomness)?;
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&body);
        Ok(out)
    }

    pub(super) fn unwrap(&self, name: &str, bytes: &[u8]) -> std::result::Result<Secret, Unwrapped> {
        let head = self.head(name);
        if bytes.len() != head.len() + NONCE + SECRET + TAG {
            return Err(Unwrapped::Damaged);
        }
        let (found, rest) = bytes.split_at(head.len());
        if found != head {
            let same_form = found[..head.len() - MARK] == head[..head.len() - MARK];
            return Err(if same_form { Unwrapped::OtherMaster } else { Unwrapped::Damaged });
        }
        let mut nonce = [0u8; NONCE];
        nonce.copy_from_slice(&rest[..NONCE]);
        let clear = XChaCha20Poly1305::new((&self.wrapping).into())
            .decrypt(&XNonce::from(nonce), Payload { msg: &rest[NONCE..], aad: &head })
            .map(Zeroizing::new)
            .map_err(|_| Unwrapped::Damaged)?;
        let mut out = Zeroizing::new([0; SECRET]);
        if clear.len() != SECRET {
            return Err(Unwrapped::Damaged);
        }
        out.copy_from_slice(&clear);
        Ok(out)
    }

    fn head(&self, name: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED + name.len() + MARK + NONCE + SECRET + TAG);
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&self.mark);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_key_opens_under_its_name_and_master_only_and_no_altered_byte_passes() {
        let master = Master::new(&[1; 32]);
        let bytes = master.wrap("epoch-3", &[9; 32]).unwrap();
        assert_eq!(*master.unwrap("epoch-3", &bytes).unwrap(), [9; 32]);
        assert_eq!(master.unwrap("epoch-4", &bytes), Err(Unwrapped::Damaged), "moved to another name");
        assert_eq!(Master::new(&[2; 32]).unwrap("epoch-3", &bytes), Err(Unwrapped::OtherMaster));
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << bit;
                assert!(master.unwrap("epoch-3", &bad).is_err(), "bit {bit} of byte {at} altered unseen");
            }
            assert_eq!(master.unwrap("epoch-3", &bytes[..at]), Err(Unwrapped::Damaged));
        }
        assert!(!bytes.windows(8).any(|w| w == [9; 8]), "the key lies there in clear");
    }
}
