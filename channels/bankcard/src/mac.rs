//! Message authentication codes (channels.md §1.5) and their comparison in constant time.

use crate::codec::Decoded;
use crate::dialect::{Dialect, MacAlgorithm, MacForm, MacScope};
use crate::link_key::LinkKey;
use crate::sm4::{self, Sm4Key};
use crate::tdes::{Block, DesKey};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Why no MAC can be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MacError {
    /// The algorithm wants another key length, or a key of the other cipher.
    #[error(
        "the MAC key has {0} bytes, which the dialect's algorithm does not take; check mac.algorithm and sign_in"
    )]
    KeyLength(usize),
}

/// Field 64 for the covered wire bytes.
pub fn field64(dialect: &Dialect, key: &LinkKey, covered: &[u8]) -> Result<Block, MacError> {
    let block = block(dialect.mac.algorithm, key, covered)?;
    Ok(match dialect.mac.form {
        MacForm::Raw => block,
        MacForm::Hex => first_hex(block),
        MacForm::Half => [block[0], block[1], block[2], block[3], 0, 0, 0, 0],
    })
}

/// Whether `received` is the right field 64. Takes the same time wherever they differ.
pub fn matches(dialect: &Dialect, key: &LinkKey, covered: &[u8], received: &[u8]) -> Result<bool, MacError> {
    Ok(bool::from(field64(dialect, key, covered)?.ct_eq(received)))
}

/// The bytes of `payload` that the dialect's MAC covers.
pub fn covered(dialect: &Dialect, decoded: &Decoded, payload: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(match &dialect.mac.scope {
        MacScope::Message => decoded.covered(payload).to_vec(),
        MacScope::Fields(numbers) => numbers
            .iter()
            .filter_map(|number| decoded.wire_value(payload, *number))
            .flatten()
            .copied()
            .collect(),
    })
}

/// The eight-byte MAC block over `data`, zero-padded to whole blocks.
pub fn block(algorithm: MacAlgorithm, key: &LinkKey, data: &[u8]) -> Result<Block, MacError> {
    let wrong = MacError::KeyLength(key.length());
    match (algorithm, key) {
        (MacAlgorithm::Sm4Cbc, LinkKey::Sm4(key)) => {
            Ok(sm4::left_half(blocks(data).fold([0; 16], |chain, next| key.encrypt(xor(chain, next)))))
        }
        (MacAlgorithm::Sm4Ecb, LinkKey::Sm4(key)) => Ok(sm4::left_half(sm4_ecb(key, data))),
        (_, LinkKey::Des(key)) => des(algorithm, key, data).ok_or(wrong),
        _ => Err(wrong),
    }
}

fn des(algorithm: MacAlgorithm, key: &DesKey, data: &[u8]) -> Option<Block> {
    match (algorithm, key.length()) {
        (MacAlgorithm::CupEcb, 8 | 16 | 24) => Some(cup_ecb(key, data)),
        (MacAlgorithm::X99, 8) | (MacAlgorithm::TdesCbc, 16 | 24) => {
            Some(blocks(data).fold([0; 8], |chain, next| key.encrypt(xor(chain, next))))
        }
        (MacAlgorithm::X919, 16) => {
            let (left, right) = key.bytes().split_at(8);
            let (left, right) = (DesKey::new(left)?, DesKey::new(right)?);
            let chain = blocks(data).fold([0; 8], |chain, next| left.encrypt(xor(chain, next)));
            Some(left.encrypt(right.decrypt(chain)))
        }
        _ => None,
    }
}

/// Folds everything into one block, writes it as hexadecimal, and chains the two halves of that text.
fn cup_ecb(key: &DesKey, data: &[u8]) -> Block {
    let folded = blocks(data).fold([0; 8], xor);
    let last = first_hex([folded[4], folded[5], folded[6], folded[7], 0, 0, 0, 0]);
    key.encrypt(xor(key.encrypt(first_hex(folded)), last))
}

/// The same with blocks of sixteen bytes, which are thirty-two characters.
fn sm4_ecb(key: &Sm4Key, data: &[u8]) -> sm4::Block {
    let folded: sm4::Block = blocks(data).fold([0; 16], xor);
    let digits: [u8; 32] = std::array::from_fn(|at| hex_digit(&folded, at));
    let half = |from: usize| std::array::from_fn(|at| digits[from + at]);
    key.encrypt(xor(key.encrypt(half(0)), half(16)))
}

fn blocks<const SIZE: usize>(data: &[u8]) -> impl Iterator<Item = [u8; SIZE]> + '_ {
    data.chunks(SIZE).map(|chunk| {
        let mut block = [0; SIZE];
        block[..chunk.len()].copy_from_slice(chunk);
        block
    })
}

fn xor<const SIZE: usize>(left: [u8; SIZE], right: [u8; SIZE]) -> [u8; SIZE] {
    std::array::from_fn(|at| left[at] ^ right[at])
}

/// The first four bytes as eight upper-case hexadecimal characters.
fn first_hex(block: Block) -> Block {
    std::array::from_fn(|at| hex_digit(&block, at))
}

/// One character of the bytes as upper-case hexadecimal.
fn hex_digit(bytes: &[u8], at: usize) -> u8 {
    let nibble = if at.is_multiple_of(2) { bytes[at / 2] >> 4 } else { bytes[at / 2] & 15 };
    if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(hex_text: &str) -> LinkKey {
        DesKey::new(&hex::decode(hex_text).unwrap()).unwrap().into()
    }

    fn sm4(hex_text: &str) -> LinkKey {
        Sm4Key::new(&hex::decode(hex_text).unwrap()).unwrap().into()
    }

    /// SM4-CBC over one block is the cipher of that block, so the example of GB/T 32907 holds; and a text of three blocks and
    /// one byte, its MAC by `openssl enc -sm4-cbc -iv 0 -nopad` over the text with fifteen zero bytes behind it.
    #[test]
    fn known_answers_of_sm4_cbc() {
        let standard = "0123456789ABCDEFFEDCBA9876543210";
        let mac = block(MacAlgorithm::Sm4Cbc, &sm4(standard), &hex::decode(standard).unwrap()).unwrap();
        assert_eq!(hex::encode_upper(mac), "681EDF34D206965E");
        let text = b"PCK1209339432640F07BEC962141300010024402220516956";
        let mac = block(MacAlgorithm::Sm4Cbc, &sm4("C5945F5BDF1E2DD83C6BFCA9699975F3"), text).unwrap();
        assert_eq!(hex::encode_upper(mac), "55BD7EFE36472A82");
    }

    /// The rule of blog.csdn.net/weixin_39142884/article/details/139765880, followed step by step with `openssl enc -sm4-ecb`.
    #[test]
    fn known_answer_of_sm4_ecb() {
        let text = b"PCK1209339432640F07BEC962141300010024402220516956";
        let mac = block(MacAlgorithm::Sm4Ecb, &sm4("C5945F5BDF1E2DD83C6BFCA9699975F3"), text).unwrap();
        assert_eq!(hex::encode_upper(mac), "92A99A50748E9DCE");
    }

    /// X9.9 over one block is the cipher of that block (the algorithm's definition), so the FIPS 46 example holds.
    #[test]
    fn one_block_of_cbc_is_plain_des() {
        let mac =
            block(MacAlgorithm::X99, &key("133457799BBCDFF1"), &0x0123_4567_89AB_CDEF_u64.to_be_bytes())
                .unwrap();
        assert_eq!(mac, 0x85E8_1354_0F0A_B405_u64.to_be_bytes());
    }

    /// ISO 9797-1 algorithm 3 with both halves equal is algorithm 1 (decrypt undoes encrypt).
    #[test]
    fn x919_with_equal_halves_is_x99() {
        let data: Vec<u8> = (0..61).collect();
        let single = block(MacAlgorithm::X99, &key("31A285E0C4D31F6B"), &data).unwrap();
        let double = block(MacAlgorithm::X919, &key("31A285E0C4D31F6B31A285E0C4D31F6B"), &data).unwrap();
        assert_eq!(single, double);
        let tdes = block(MacAlgorithm::TdesCbc, &key("31A285E0C4D31F6B31A285E0C4D31F6B"), &data).unwrap();
        assert_eq!(single, tdes);
    }

    #[test]
    fn a_key_of_the_wrong_length_is_refused_and_not_stretched() {
        assert_eq!(block(MacAlgorithm::X919, &key("31A285E0C4D31F6B"), b"x"), Err(MacError::KeyLength(8)));
        let double = key("31A285E0C4D31F6B31A285E0C4D31F6B");
        assert_eq!(block(MacAlgorithm::X99, &double, b"x"), Err(MacError::KeyLength(16)));
        for algorithm in [MacAlgorithm::Sm4Cbc, MacAlgorithm::Sm4Ecb] {
            assert_eq!(block(algorithm, &double, b"x"), Err(MacError::KeyLength(16)));
        }
        let other = sm4("31A285E0C4D31F6B31A285E0C4D31F6B");
        for algorithm in [MacAlgorithm::CupEcb, MacAlgorithm::X919, MacAlgorithm::TdesCbc] {
            assert_eq!(block(algorithm, &other, b"x"), Err(MacError::KeyLength(16)));
        }
    }

    #[test]
    fn one_flipped_bit_anywhere_is_noticed() {
        let cup = Dialect::parse(crate::dialect::CUP).unwrap();
        every_bit_counts(&cup, &key("31A285E0C4D31F6B"));
        let by_sm4 = Dialect::overlaid(include_str!("../tests/dialects/sm4.toml")).unwrap();
        every_bit_counts(&by_sm4, &sm4("31A285E0C4D31F6B31A285E0C4D31F6B"));
    }

    fn every_bit_counts(dialect: &Dialect, key: &LinkKey) {
        let data: Vec<u8> = (0..100).collect();
        let right = field64(dialect, key, &data).unwrap();
        assert!(matches(dialect, key, &data, &right).unwrap());
        for bit in 0..data.len() * 8 {
            let mut bent = data.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches(dialect, key, &bent, &right).unwrap(), "bit {bit}");
        }
        for bit in 0..64 {
            let mut bent = right;
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches(dialect, key, &data, &bent).unwrap(), "MAC bit {bit}");
        }
        assert!(!matches(dialect, key, &data, &right[..7]).unwrap());
        assert!(!matches(dialect, key, &data, b"").unwrap());
    }
}
