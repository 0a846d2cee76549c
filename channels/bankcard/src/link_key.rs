//! A key between terminal and host, whichever cipher the dialect's sign-in form names.

use crate::dialect::Cipher;
use crate::sm4::{self, Sm4Key};
use crate::tdes::DesKey;
use zeroize::Zeroizing;

/// A master or working key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkKey {
    /// DES or triple DES.
    Des(DesKey),
    /// SM4.
    Sm4(Sm4Key),
}

impl LinkKey {
    /// Takes a key; `None` when the cipher has none of this length.
    pub fn new(cipher: Cipher, bytes: &[u8]) -> Option<Self> {
        match cipher {
            Cipher::Des => DesKey::new(bytes).map(Self::Des),
            Cipher::Sm4 => Sm4Key::new(bytes).map(Self::Sm4),
        }
    }

    /// Its cipher.
    pub fn cipher(&self) -> Cipher {
        match self {
            Self::Des(_) => Cipher::Des,
            Self::Sm4(_) => Cipher::Sm4,
        }
    }

    /// Length in bytes.
    pub fn length(&self) -> usize {
        match self {
            Self::Des(key) => key.length(),
            Self::Sm4(_) => size_of::<sm4::Block>(),
        }
    }

    /// The check value: the first eight bytes of the cipher of zeros, usually cut to its first three or four.
    pub fn check_value(&self) -> [u8; 8] {
        match self {
            Self::Des(key) => key.check_value(),
            Self::Sm4(key) => sm4::left_half(key.encrypt([0; 16])),
        }
    }

    /// Deciphers block by block (ECB); `None` when `wrapped` is not whole blocks.
    pub fn unwrap_ecb(&self, wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        // Room for all of it at once: a vector that grows leaves its old bytes behind.
        let mut clear = Zeroizing::new(Vec::with_capacity(wrapped.len()));
        match self {
            Self::Des(key) => {
                let (blocks, rest) = wrapped.as_chunks();
                for block in blocks {
                    clear.extend_from_slice(Zeroizing::new(key.decrypt(*block)).as_slice());
                }
                rest.is_empty().then_some(clear)
            }
            Self::Sm4(key) => {
                let (blocks, rest) = wrapped.as_chunks();
                for block in blocks {
                    clear.extend_from_slice(Zeroizing::new(key.decrypt(*block)).as_slice());
                }
                rest.is_empty().then_some(clear)
            }
        }
    }
}

impl From<DesKey> for LinkKey {
    fn from(key: DesKey) -> Self {
        Self::Des(key)
    }
}

impl From<Sm4Key> for LinkKey {
    fn from(key: Sm4Key) -> Self {
        Self::Sm4(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bank's published test key sheet (blog.csdn.net/M_Kerry/article/details/104625499): a working key under its master
    /// key, and the check value that came with it.
    #[test]
    fn a_published_sm4_working_key_has_the_check_value_that_came_with_it() {
        let master =
            LinkKey::new(Cipher::Sm4, &hex::decode("1234567890ABCDEFABCDEF0987654321").unwrap()).unwrap();
        let clear = master.unwrap_ecb(&hex::decode("3D66234C49E4296FF9C78D8BACBD6A76").unwrap()).unwrap();
        let working = LinkKey::new(Cipher::Sm4, &clear).unwrap();
        assert_eq!(hex::encode_upper(working.check_value()), "861E83E31FAEBF10");
        assert_eq!((working.length(), working.cipher()), (16, Cipher::Sm4));
    }

    #[test]
    fn half_a_block_is_no_key() {
        for (cipher, half) in [(Cipher::Des, 12), (Cipher::Sm4, 24)] {
            let key = LinkKey::new(cipher, &[7; 16]).unwrap();
            assert!(key.unwrap_ecb(&vec![0; half]).is_none(), "{cipher:?}");
        }
    }
}
