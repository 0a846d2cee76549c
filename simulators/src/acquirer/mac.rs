//! Message authentication codes seen on acquirer links (channels.md §1.5).

use super::keys::{BadKey, BlockKey};
use super::sm4;
use serde::Deserialize;

/// How field 64 is made. The acquirer decides; the common one is `cup-ecb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MacAlgorithm {
    /// "UnionPay ECB": XOR of all blocks, as 16 hex characters, enciphered in two steps; 8 hex characters on the line.
    #[default]
    CupEcb,
    /// ANSI X9.9: DES-CBC, zero IV, zero padding, with the first 8 key bytes.
    X99,
    /// ANSI X9.19 (ISO 9797-1 algorithm 3): X9.9 with the left half, last block through the right half.
    X919,
    /// DES-CBC in EDE over every block with the whole key.
    TdesCbc,
    /// SM4-CBC, zero IV, zero padding; the left half of the last block.
    Sm4Cbc,
    /// As `cup-ecb`, in blocks of sixteen bytes and by SM4; the left half, as bytes.
    Sm4Ecb,
}

impl MacAlgorithm {
    /// Whether the host's keys are SM4 keys.
    pub fn is_sm4(self) -> bool {
        matches!(self, Self::Sm4Cbc | Self::Sm4Ecb)
    }

    /// Field 64 for these bytes (MTI to field 63, bit 64 of the bitmap set).
    pub fn mac(self, key: &[u8], data: &[u8]) -> Result<[u8; 8], BadKey> {
        match self {
            Self::CupEcb => Ok(cup_ecb(&BlockKey::new(key)?, data)),
            Self::X99 => Ok(cbc(&BlockKey::new(key.get(..8).unwrap_or(key))?, data)),
            Self::TdesCbc => Ok(cbc(&BlockKey::new(key)?, data)),
            Self::Sm4Cbc => sm4::cbc_mac(key, data),
            Self::Sm4Ecb => sm4::folded_mac(key, data),
            Self::X919 => {
                let (Some(left), Some(right), 16) = (key.get(..8), key.get(8..), key.len()) else {
                    return Err(BadKey { length: key.len() });
                };
                let (left, right) = (BlockKey::new(left)?, BlockKey::new(right)?);
                Ok(left.encrypt(right.decrypt(cbc(&left, data))))
            }
        }
    }
}

fn blocks(data: &[u8]) -> impl Iterator<Item = [u8; 8]> {
    data.chunks(8).map(|chunk| {
        let mut block = [0; 8];
        block[..chunk.len()].copy_from_slice(chunk);
        block
    })
}

fn xor(a: [u8; 8], b: [u8; 8]) -> [u8; 8] {
    std::array::from_fn(|i| a[i] ^ b[i])
}

fn hex_chars(block: [u8; 8]) -> ([u8; 8], [u8; 8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let char_at = |i: usize| {
        let byte = block[i / 2];
        HEX[usize::from(if i.is_multiple_of(2) { byte >> 4 } else { byte & 0x0F })]
    };
    (std::array::from_fn(char_at), std::array::from_fn(|i| char_at(i + 8)))
}

fn cup_ecb(key: &BlockKey, data: &[u8]) -> [u8; 8] {
    let folded = blocks(data).fold([0; 8], xor);
    let (first, last) = hex_chars(folded);
    let mac = key.encrypt(xor(key.encrypt(first), last));
    hex_chars(mac).0
}

fn cbc(key: &BlockKey, data: &[u8]) -> [u8; 8] {
    blocks(data).fold([0; 8], |chain, block| key.encrypt(xor(chain, block)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed apart from this code, with `openssl enc -des-ecb` and `-des-ede`, from the rule in channels.md §1.5.
    #[test]
    fn known_answers_of_union_pay_ecb() {
        let key = hex::decode("112233445566778899AABBCCDDEEFF00").unwrap();
        assert_eq!(&MacAlgorithm::CupEcb.mac(&key[..8], b"0200amount 100").unwrap(), b"B434A72A");
        assert_eq!(&MacAlgorithm::CupEcb.mac(&key, b"0200amount 100").unwrap(), b"91B70F3E");
    }

    #[test]
    fn one_bit_of_the_message_changes_the_mac() {
        let key = [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88];
        let one = MacAlgorithm::CupEcb.mac(&key, b"0200amount 100").unwrap();
        let two = MacAlgorithm::CupEcb.mac(&key, b"0200amount 101").unwrap();
        assert_ne!(one, two);
        assert!(one.iter().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(b)), "ASCII hex on the line");
    }

    #[test]
    fn a_double_key_with_equal_halves_is_the_single_key() {
        let single = [0x0E; 8];
        for algorithm in [MacAlgorithm::CupEcb, MacAlgorithm::TdesCbc] {
            assert_eq!(algorithm.mac(&single, b"message"), algorithm.mac(&[0x0E; 16], b"message"));
        }
        assert_eq!(MacAlgorithm::X919.mac(&[0x0E; 16], b"m"), MacAlgorithm::X99.mac(&single, b"m"));
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        assert_eq!(MacAlgorithm::CupEcb.mac(&[1; 7], b"m"), Err(BadKey { length: 7 }));
        assert_eq!(MacAlgorithm::X919.mac(&[1; 8], b"m"), Err(BadKey { length: 8 }));
    }
}
