//! SM4 (GB/T 32907-2016) as a host uses it: keys under keys, MACs, PIN blocks of sixteen bytes.
//!
//! No acquirer's document is public. What is: code 005, 53.2 = 3, keys in ECB with a check value over zeros, MACs in CBC and by
//! the folding of "UnionPay ECB" in blocks of sixteen (channels.md §1.5), ANSI X9.8 drawn out to sixteen bytes.

use super::keys::{BadKey, PinCheck, account_nibbles, read_pin};
use sm4::Sm4;
use sm4::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

/// One block.
pub(super) type Wide = [u8; 16];

fn cipher(key: &[u8]) -> Result<Sm4, BadKey> {
    Sm4::new_from_slice(key).map_err(|_| BadKey { length: key.len() })
}

/// One block under this key.
pub(super) fn encrypt(key: &[u8], block: Wide) -> Result<Wide, BadKey> {
    let mut block = block.into();
    cipher(key)?.encrypt_block(&mut block);
    Ok(block.into())
}

/// One block from under this key.
pub(super) fn decrypt(key: &[u8], block: Wide) -> Result<Wide, BadKey> {
    let mut block = block.into();
    cipher(key)?.decrypt_block(&mut block);
    Ok(block.into())
}

/// A key of sixteen bytes under another one, and four bytes of its check value.
pub(super) fn wrapped(tmk: &[u8], key: &[u8]) -> Result<Vec<u8>, BadKey> {
    let clear = Wide::try_from(key).map_err(|_| BadKey { length: key.len() })?;
    let mut out = encrypt(tmk, clear)?.to_vec();
    out.extend_from_slice(&encrypt(key, [0; 16])?[..4]);
    Ok(out)
}

fn padded(data: &[u8]) -> impl Iterator<Item = Wide> {
    data.chunks(16).map(|chunk| std::array::from_fn(|at| chunk.get(at).copied().unwrap_or(0)))
}

fn xored(a: Wide, b: Wide) -> Wide {
    std::array::from_fn(|at| a[at] ^ b[at])
}

fn left(block: Wide) -> [u8; 8] {
    std::array::from_fn(|at| block[at])
}

/// CBC from zeros, padded with zeros; the left half of the last block.
pub(super) fn cbc_mac(key: &[u8], data: &[u8]) -> Result<[u8; 8], BadKey> {
    let last = padded(data).try_fold([0; 16], |chain, block| encrypt(key, xored(chain, block)))?;
    Ok(left(last))
}

/// All blocks on one another, as thirty-two characters; the first sixteen enciphered, the last put on, enciphered again.
pub(super) fn folded_mac(key: &[u8], data: &[u8]) -> Result<[u8; 8], BadKey> {
    let text = hex::encode_upper(padded(data).fold([0; 16], xored)).into_bytes();
    let halves: Vec<Wide> = padded(&text).collect();
    let [first, second] = halves[..] else { return Err(BadKey { length: key.len() }) };
    Ok(left(encrypt(key, xored(encrypt(key, first)?, second))?))
}

/// Opens a PIN block of sixteen bytes and compares: length and PIN in front, F behind, the account's twelve digits on its
/// last six bytes. `pan` is empty for "without PAN".
pub(super) fn check_pin(pik: &[u8], block: Wide, pan: &str, expected: &str) -> Result<PinCheck, BadKey> {
    let clear = decrypt(pik, block)?;
    let account = account_nibbles::<32>(pan);
    let nibbles: Vec<u8> =
        clear.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]).zip(account).map(|(c, a)| c ^ a).collect();
    Ok(read_pin(&nibbles, expected))
}

/// What a PIN pad makes; for tests.
#[cfg(test)]
pub(super) fn pin_block(pik: &[u8], pin: &str, pan: &str) -> Wide {
    let mut nibbles = vec![0, u8::try_from(pin.len()).unwrap()];
    nibbles.extend(pin.bytes().map(|b| b - b'0'));
    nibbles.resize(32, 0x0F);
    let account = account_nibbles::<32>(pan);
    let clear = std::array::from_fn(|i| {
        (nibbles[2 * i] ^ account[2 * i]) << 4 | (nibbles[2 * i + 1] ^ account[2 * i + 1])
    });
    encrypt(pik, clear).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Vec<u8> {
        hex::decode(text).unwrap()
    }

    /// Computed apart from this code with `openssl enc -sm4-cbc` and `-sm4-ecb`.
    #[test]
    fn known_answers_of_both_macs() {
        let key = key("00112233445566778899AABBCCDDEEFF");
        assert_eq!(
            hex::encode_upper(cbc_mac(&key, b"0200amount 100, and one block more").unwrap()),
            "0F473DBBECC0A71A"
        );
        assert_eq!(
            hex::encode_upper(folded_mac(&key, b"0200amount 100, and one block more").unwrap()),
            "3506104E6015415D"
        );
    }

    /// A published example of a PIN under a published key (blog.csdn.net/M_Kerry/article/details/104625499).
    #[test]
    fn a_published_pin_block_has_this_form() {
        let pan = "6230606601007726888";
        let pik = [7; 16];
        assert_eq!(
            hex::encode_upper(decrypt(&pik, pin_block(&pik, "123654", pan)).unwrap()),
            "06123654FFFFFFFFFFFF99FEFF88D977"
        );
        let block = pin_block(&pik, "123654", pan);
        assert_eq!(check_pin(&pik, block, pan, "123654"), Ok(PinCheck::Right));
        assert_eq!(check_pin(&pik, block, pan, "123655"), Ok(PinCheck::Wrong));
        assert_ne!(check_pin(&pik, block, "6200000000000005", "123654"), Ok(PinCheck::Right));
        assert_eq!(check_pin(&[8; 16], block, pan, "123654"), Ok(PinCheck::Unreadable));
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        for length in [0, 8, 15, 24] {
            assert_eq!(cbc_mac(&vec![1; length], b"m"), Err(BadKey { length }));
        }
    }
}
