//! DES and triple DES on single blocks, with keys that are wiped and never printed.

use des::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use des::{Des, TdesEde2, TdesEde3};
use std::fmt;
use zeroize::Zeroizing;

/// One cipher block.
pub type Block = [u8; 8];

/// A DES key of 8, 16 or 24 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct DesKey(Zeroizing<Vec<u8>>);

impl DesKey {
    /// Takes a key; `None` unless it has 8, 16 or 24 bytes.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        matches!(bytes.len(), 8 | 16 | 24).then(|| Self(Zeroizing::new(bytes.to_vec())))
    }

    /// Length in bytes.
    pub fn length(&self) -> usize {
        self.0.len()
    }

    /// The key's bytes, for wrapping by tests and check values only.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Enciphers one block.
    pub fn encrypt(&self, block: Block) -> Block {
        self.run(block, true)
    }

    /// Deciphers one block.
    pub fn decrypt(&self, block: Block) -> Block {
        self.run(block, false)
    }

    /// The check value: the cipher of eight zero bytes, usually cut to its first three or four.
    pub fn check_value(&self) -> Block {
        self.encrypt([0; 8])
    }

    fn run(&self, block: Block, encrypt: bool) -> Block {
        let mut data = Array::from(block);
        // The length was checked in `new`, so exactly one arm fits.
        if let Ok(cipher) = TdesEde3::new_from_slice(&self.0) {
            apply(&cipher, &mut data, encrypt);
        } else if let Ok(cipher) = TdesEde2::new_from_slice(&self.0) {
            apply(&cipher, &mut data, encrypt);
        } else if let Ok(cipher) = Des::new_from_slice(&self.0) {
            apply(&cipher, &mut data, encrypt);
        }
        data.into()
    }
}

fn apply<C>(cipher: &C, data: &mut des::cipher::Block<C>, encrypt: bool)
where
    C: BlockCipherEncrypt + BlockCipherDecrypt,
{
    if encrypt { cipher.encrypt_block(data) } else { cipher.decrypt_block(data) }
}

impl fmt::Debug for DesKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "DesKey({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(hex_text: &str) -> DesKey {
        DesKey::new(&hex::decode(hex_text).unwrap()).unwrap()
    }

    /// The DES example everyone uses (FIPS 46 worked example), and triple DES with equal halves, which must be single DES.
    #[test]
    fn known_block() {
        let block = 0x0123_4567_89AB_CDEF_u64.to_be_bytes();
        let cipher = 0x85E8_1354_0F0A_B405_u64.to_be_bytes();
        assert_eq!(key("133457799BBCDFF1").encrypt(block), cipher);
        assert_eq!(key("133457799BBCDFF1133457799BBCDFF1").encrypt(block), cipher);
        assert_eq!(key("133457799BBCDFF1133457799BBCDFF1").decrypt(cipher), block);
        assert_ne!(key("133457799BBCDFF10123456789ABCDEF").encrypt(block), cipher);
    }

    #[test]
    fn other_lengths_are_no_keys_and_nothing_is_printed() {
        assert!(DesKey::new(&[0; 7]).is_none() && DesKey::new(&[]).is_none());
        assert_eq!(format!("{:?}", key("133457799BBCDFF1")), "DesKey(8 bytes)");
    }
}
