//! SM4 (GB/T 32907-2016) on single blocks, with keys that are wiped and never printed.

use sm4::Sm4;
use sm4::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use std::fmt;
use zeroize::Zeroizing;

/// One cipher block.
pub type Block = [u8; 16];

/// The first eight bytes: what check values and MACs take of a block.
pub(crate) fn left_half(block: Block) -> [u8; 8] {
    std::array::from_fn(|at| block[at])
}

/// An SM4 key: 16 bytes, no other length. Behind a pointer, so that a move leaves no copy.
#[derive(Clone, PartialEq, Eq)]
pub struct Sm4Key(Box<Zeroizing<Block>>);

impl Sm4Key {
    /// Takes a key; `None` unless it has 16 bytes.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut key = Box::new(Zeroizing::new([0; 16]));
        (bytes.len() == key.len()).then(|| key.copy_from_slice(bytes))?;
        Some(Self(key))
    }

    /// Enciphers one block.
    pub fn encrypt(&self, block: Block) -> Block {
        let mut data = Array::from(block);
        self.cipher().encrypt_block(&mut data);
        data.into()
    }

    /// Deciphers one block.
    pub fn decrypt(&self, block: Block) -> Block {
        let mut data = Array::from(block);
        self.cipher().decrypt_block(&mut data);
        data.into()
    }

    /// Round keys of one use; they wipe themselves.
    fn cipher(&self) -> Sm4 {
        Sm4::new((&**self.0).into())
    }
}

impl fmt::Debug for Sm4Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Sm4Key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(hex_text: &str) -> Block {
        hex::decode(hex_text).unwrap().try_into().unwrap()
    }

    /// GB/T 32907-2016, annex A, example 1: plain text and key alike.
    #[test]
    fn the_example_of_the_standard() {
        let plain = block("0123456789ABCDEFFEDCBA9876543210");
        let key = Sm4Key::new(&plain).unwrap();
        let cipher = block("681EDF34D206965E86B3E94F536E4246");
        assert_eq!(key.encrypt(plain), cipher);
        assert_eq!(key.decrypt(cipher), plain);
    }

    /// Example 2: the same a million times over.
    #[test]
    fn the_long_example_of_the_standard() {
        let plain = block("0123456789ABCDEFFEDCBA9876543210");
        let cipher = Sm4Key::new(&plain).unwrap().cipher();
        let mut data = Array::from(plain);
        for _ in 0..1_000_000 {
            cipher.encrypt_block(&mut data);
        }
        assert_eq!(<Block>::from(data), block("595298C7C6FD271F0402F804C33D3F66"));
    }

    #[test]
    fn other_lengths_are_no_keys_and_nothing_is_printed() {
        for length in [0, 8, 15, 17, 24, 32] {
            assert!(Sm4Key::new(&vec![0; length]).is_none(), "{length}");
        }
        assert_eq!(format!("{:?}", Sm4Key::new(&[7; 16]).unwrap()), "Sm4Key");
    }
}
