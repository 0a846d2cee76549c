//! Working keys under the terminal master key, and PIN blocks (channels.md §1.4, §1.5).

use super::sm4;
use des::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use des::{Des, TdesEde2};
use thiserror::Error;

/// A DES key that is neither 8 nor 16 bytes long, or an SM4 key that has not 16.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a DES key has 8 or 16 bytes and an SM4 key 16, this one has {length}")]
pub struct BadKey {
    /// Bytes given.
    pub length: usize,
}

/// A single (8 bytes) or double (16 bytes) length DES key.
pub(super) enum BlockKey {
    Single(Box<Des>),
    Double(Box<TdesEde2>),
}

impl BlockKey {
    pub(super) fn new(key: &[u8]) -> Result<Self, BadKey> {
        let bad = || BadKey { length: key.len() };
        if key.len() == 8 {
            Des::new_from_slice(key).map(|k| Self::Single(Box::new(k))).map_err(|_| bad())
        } else {
            TdesEde2::new_from_slice(key).map(|k| Self::Double(Box::new(k))).map_err(|_| bad())
        }
    }

    pub(super) fn encrypt(&self, block: [u8; 8]) -> [u8; 8] {
        let mut block = block.into();
        match self {
            Self::Single(key) => key.encrypt_block(&mut block),
            Self::Double(key) => key.encrypt_block(&mut block),
        }
        block.into()
    }

    pub(super) fn decrypt(&self, block: [u8; 8]) -> [u8; 8] {
        let mut block = block.into();
        match self {
            Self::Single(key) => key.decrypt_block(&mut block),
            Self::Double(key) => key.decrypt_block(&mut block),
        }
        block.into()
    }

    fn ecb(&self, data: &[u8]) -> Vec<u8> {
        data.chunks_exact(8).flat_map(|chunk| self.encrypt(chunk.try_into().unwrap_or_default())).collect()
    }
}

/// How field 62 of a sign-in answer is laid out; asked for by the terminal in field 60.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// `001`: PIK8 CV4 MAK8 CV4.
    Single,
    /// `003`: PIK16 CV4 MAK8 and 8 zero bytes (or MAK16) CV4.
    Double,
    /// `004`: as `003`, then TDK16 CV4.
    DoubleWithTrack,
    /// `005`: PIK16 CV4 MAK16 CV4, all by SM4.
    Sm4,
}

impl KeyForm {
    /// The form that this network management code asks for.
    pub fn from_code(code: &str) -> Option<Self> {
        match code {
            "001" => Some(Self::Single),
            "003" => Some(Self::Double),
            "004" => Some(Self::DoubleWithTrack),
            "005" => Some(Self::Sm4),
            _ => None,
        }
    }
}

/// The working keys of one sign-in, in clear. They live in memory only.
#[derive(Clone, PartialEq, Eq)]
pub struct WorkingKeys {
    /// PIN key, 8 or 16 bytes.
    pub pik: Vec<u8>,
    /// MAC key, 8 or 16 bytes.
    pub mak: Vec<u8>,
    /// Track key, 16 bytes; empty where the form has none.
    pub tdk: Vec<u8>,
}

impl WorkingKeys {
    /// Fresh random keys for this form. `double_mak` hands out 16 bytes where the form has room for them.
    pub fn random(form: KeyForm, double_mak: bool) -> Result<Self, getrandom::Error> {
        let random = |length: usize| -> Result<Vec<u8>, getrandom::Error> {
            let mut key = vec![0; length];
            getrandom::fill(&mut key)?;
            // Odd parity, as key management everywhere in this trade expects of DES, which itself ignores the bit.
            for byte in key.iter_mut().filter(|_| form != KeyForm::Sm4) {
                *byte = (*byte & 0xFE) | u8::from((*byte & 0xFE).count_ones().is_multiple_of(2));
            }
            Ok(key)
        };
        let double = form != KeyForm::Single;
        Ok(Self {
            pik: random(if double { 16 } else { 8 })?,
            mak: random(if form == KeyForm::Sm4 || (double && double_mak) { 16 } else { 8 })?,
            tdk: if form == KeyForm::DoubleWithTrack { random(16)? } else { Vec::new() },
        })
    }

    /// Field 62 of the sign-in answer: the keys under the terminal master key, each with its check value.
    pub fn sealed(&self, form: KeyForm, tmk: &[u8]) -> Result<Vec<u8>, BadKey> {
        if form == KeyForm::Sm4 {
            return Ok([sm4::wrapped(tmk, &self.pik)?, sm4::wrapped(tmk, &self.mak)?].concat());
        }
        let tmk = BlockKey::new(tmk)?;
        let mut out = tmk.ecb(&self.pik);
        out.extend_from_slice(&check_value(&self.pik)?);
        out.extend(tmk.ecb(&self.mak));
        if form != KeyForm::Single && self.mak.len() == 8 {
            out.extend_from_slice(&[0; 8]);
        }
        out.extend_from_slice(&check_value(&self.mak)?);
        if form == KeyForm::DoubleWithTrack {
            out.extend(tmk.ecb(&self.tdk));
            out.extend_from_slice(&check_value(&self.tdk)?);
        }
        Ok(out)
    }
}

/// First four bytes of eight zero bytes under the clear key.
pub fn check_value(key: &[u8]) -> Result<[u8; 4], BadKey> {
    let [a, b, c, d, ..] = BlockKey::new(key)?.encrypt([0; 8]);
    Ok([a, b, c, d])
}

/// What a PIN block turned out to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinCheck {
    /// The card's PIN.
    Right,
    /// A well-formed block with another PIN.
    Wrong,
    /// Not an ISO 9564-1 format 0 block: other key, other PAN, other format.
    Unreadable,
}

/// Opens a PIN block (ISO 9564-1 format 0) and compares. `pan` is empty for "X9.8 without PAN" (field 53.1 = 1).
pub fn check_pin(pik: &[u8], block: [u8; 8], pan: &str, expected: &str) -> Result<PinCheck, BadKey> {
    let clear = BlockKey::new(pik)?.decrypt(block);
    let account = account_nibbles::<16>(pan);
    let nibbles: Vec<u8> =
        clear.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]).zip(account).map(|(c, a)| c ^ a).collect();
    Ok(read_pin(&nibbles, expected))
}

/// Length, PIN, and nothing but F behind it.
pub(super) fn read_pin(nibbles: &[u8], expected: &str) -> PinCheck {
    let [0, length @ 4..=12, rest @ ..] = nibbles else { return PinCheck::Unreadable };
    let (pin, filler) = rest.split_at(usize::from(*length));
    if pin.iter().any(|n| *n > 9) || filler.iter().any(|n| *n != 0x0F) {
        return PinCheck::Unreadable;
    }
    let same = pin.iter().map(|n| b'0' + n).eq(expected.bytes());
    if same { PinCheck::Right } else { PinCheck::Wrong }
}

/// The 12 rightmost PAN digits without the check digit, behind zeros.
pub(super) fn account_nibbles<const SIZE: usize>(pan: &str) -> [u8; SIZE] {
    let digits: Vec<u8> = pan.bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect();
    let without_check = digits.split_last().map_or(&[][..], |(_, rest)| rest);
    let last = &without_check[without_check.len().saturating_sub(12)..];
    let mut nibbles = [0u8; SIZE];
    for (slot, digit) in nibbles[SIZE - last.len()..].iter_mut().zip(last) {
        *slot = *digit;
    }
    nibbles
}

/// The block a PIN pad makes (ISO 9564-1 format 0), enciphered; for tests of this simulator and of scripts.
#[cfg(test)]
pub(super) fn pin_block(pik: &[u8], pin: &str, pan: &str) -> [u8; 8] {
    let mut nibbles = vec![0, u8::try_from(pin.len()).unwrap()];
    nibbles.extend(pin.bytes().map(|b| b - b'0'));
    nibbles.resize(16, 0x0F);
    let account = account_nibbles::<16>(pan);
    let clear = std::array::from_fn(|i| {
        (nibbles[2 * i] ^ account[2 * i]) << 4 | (nibbles[2 * i + 1] ^ account[2 * i + 1])
    });
    BlockKey::new(pik).unwrap().encrypt(clear)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAN: &str = "6200000000000005";

    #[test]
    fn a_pin_block_is_bound_to_key_and_card() {
        let pik = hex::decode("5BA4D213F76E8C90E1C2A4B6D8F03579").unwrap();
        let block = pin_block(&pik, "123456", PAN);
        assert_eq!(check_pin(&pik, block, PAN, "123456"), Ok(PinCheck::Right));
        assert_eq!(check_pin(&pik, block, PAN, "123457"), Ok(PinCheck::Wrong));
        let other = check_pin(&pik, block, "4111111111111111", "123456").unwrap();
        assert_ne!(other, PinCheck::Right);
        assert_eq!(check_pin(&pik, [0; 8], PAN, "123456"), Ok(PinCheck::Unreadable));
        assert_eq!(check_pin(&pik, pin_block(&pik, "1234", ""), "", "1234"), Ok(PinCheck::Right));
    }

    #[test]
    fn issued_keys_are_new_each_time_and_have_the_asked_form() {
        let tmk = [0x11; 16];
        for (code, length) in [("001", 24), ("003", 40), ("004", 60)] {
            let form = KeyForm::from_code(code).unwrap();
            let keys = WorkingKeys::random(form, false).unwrap();
            assert!(keys != WorkingKeys::random(form, false).unwrap(), "a sign-in must change the keys");
            assert_eq!(keys.sealed(form, &tmk).unwrap().len(), length);
            assert!(keys.pik.iter().chain(&keys.mak).all(|b| b.count_ones() % 2 == 1), "odd parity");
        }
        let keys = WorkingKeys::random(KeyForm::Double, true).unwrap();
        assert_eq!((keys.mak.len(), keys.sealed(KeyForm::Double, &tmk).unwrap().len()), (16, 40));
    }
}
