//! Public keys of the card schemes (CAPK; EMV Book 2 §11.2): what a terminal proves cards with.
//!
//! Objects by a public client: 9F06 RID, 9F22 index, DF02 modulus, DF03 check value, DF04 exponent, DF05 last day (eight
//! digits; some hosts four bytes of BCD), DF06 hash algorithm, DF07 signature algorithm.

use super::tlv::{self, Picked, Rule, TlvError};
use jiff::civil::Date;
use sha1::{Digest, Sha1};
use std::fmt;

const RID: u32 = 0x9F06;
const INDEX: u32 = 0x9F22;
const MODULUS: u32 = 0xDF02;
const CHECK: u32 = 0xDF03;
const EXPONENT: u32 = 0xDF04;
const LAST_DAY: u32 = 0xDF05;
const HASH: u32 = 0xDF06;
const SIGNATURE: u32 = 0xDF07;

const fn rule(tag: u32, least: usize, most: usize, must: bool) -> Rule {
    Rule { tag, least, most, must }
}

const RULES: [Rule; 8] = [
    rule(RID, 5, 5, true),
    rule(INDEX, 1, 1, true),
    rule(MODULUS, 64, 248, true),
    rule(CHECK, 20, 32, true),
    rule(EXPONENT, 1, 3, true),
    rule(LAST_DAY, 4, 8, true),
    rule(HASH, 1, 1, false),
    rule(SIGNATURE, 1, 1, false),
];

/// Which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyName {
    /// Registered identifier of the scheme.
    pub rid: [u8; 5],
    /// Its number there.
    pub index: u8,
}

impl KeyName {
    /// Field 62 of a request for this key.
    pub fn question(self) -> Vec<u8> {
        [&[0x9F, 0x06, 5][..], &self.rid, &[0x9F, 0x22, 1, self.index]].concat()
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} index {:02X}", hex::encode_upper(self.rid), self.index)
    }
}

/// What is wrong with a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Its objects.
    #[error(transparent)]
    Tlv(#[from] TlvError),
    /// Even, or with a zero at its head.
    #[error("the modulus of {0} is no RSA modulus")]
    Modulus(KeyName),
    /// Neither 3 nor 65537.
    #[error("the exponent of {0} is neither 3 nor 65537")]
    Exponent(KeyName),
    /// No day.
    #[error("the last day of {0} is no date")]
    LastDay(KeyName),
    /// The SHA-1 over RID, index, modulus and exponent is another (EMV Book 2 §11.2.2).
    #[error("the check value of {0} is wrong")]
    Check(KeyName),
}

/// A key of a scheme, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemeKey {
    /// Which.
    pub name: KeyName,
    /// Modulus.
    pub modulus: Vec<u8>,
    /// Exponent.
    pub exponent: Vec<u8>,
    /// Last day of its life.
    pub last_day: Date,
}

/// What a host sent for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// A key.
    Key(SchemeKey),
    /// One of another algorithm than RSA and SHA-1 (SM2 and SM3, `04`), which nothing here proves with.
    Other(KeyName),
}

impl Sent {
    /// Which key it is.
    pub fn name(&self) -> KeyName {
        match self {
            Self::Key(key) => key.name,
            Self::Other(name) => *name,
        }
    }
}

impl SchemeKey {
    /// Reads one.
    pub fn read(bytes: &[u8]) -> Result<Sent, KeyError> {
        let objects = tlv::ber(bytes)?;
        let said = |tag: u32| objects.iter().find(|(there, _)| *there == tag).map(|(_, value)| *value);
        // Of those the other objects have other lengths; looked at before these are.
        let hash = said(HASH).is_some_and(|said| said != [1]);
        let signature = said(SIGNATURE).is_some_and(|said| !matches!(said, [0 | 1]));
        if hash || signature {
            return Ok(Sent::Other(name_of(&Picked::new(objects, &RULES[..2])?)?));
        }
        let picked = Picked::new(objects, &RULES)?;
        let name = name_of(&picked)?;
        let (modulus, exponent) = (picked.must(MODULUS)?, picked.must(EXPONENT)?);
        if modulus.first() == Some(&0) || modulus.last().is_none_or(|last| last & 1 == 0) {
            return Err(KeyError::Modulus(name));
        }
        if !matches!(exponent, [3] | [1, 0, 1]) {
            return Err(KeyError::Exponent(name));
        }
        let last_day = day(picked.must(LAST_DAY)?).ok_or(KeyError::LastDay(name))?;
        let mut sha = Sha1::new();
        for part in [&name.rid[..], &[name.index], modulus, exponent] {
            sha.update(part);
        }
        if picked.must(CHECK)? != sha.finalize().as_slice() {
            return Err(KeyError::Check(name));
        }
        let (modulus, exponent) = (modulus.to_vec(), exponent.to_vec());
        Ok(Sent::Key(Self { name, modulus, exponent, last_day }))
    }

    /// As the setting `scheme-keys` of a contactless reader is written: `RID:INDEX:EXPONENT:MODULUS`, hexadecimal.
    pub fn setting(&self) -> String {
        let hex = |bytes: &[u8]| hex::encode_upper(bytes);
        let KeyName { rid, index } = self.name;
        format!("{}:{index:02X}:{}:{}", hex(&rid), hex(&self.exponent), hex(&self.modulus))
    }
}

fn name_of(picked: &Picked<'_>) -> Result<KeyName, TlvError> {
    let rid = picked.must(RID)?.try_into().map_err(|_| TlvError::Value(RID))?;
    let [index] = picked.must(INDEX)? else { return Err(TlvError::Value(INDEX)) };
    Ok(KeyName { rid, index: *index })
}

/// `YYYYMMDD` as eight characters or as four bytes of BCD.
fn day(bytes: &[u8]) -> Option<Date> {
    let text = match bytes.len() {
        4 => hex::encode(bytes),
        8 => std::str::from_utf8(bytes).ok()?.to_owned(),
        _ => return None,
    };
    let part = |from, to| text.get(from..to).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    Date::new(part(0, 4)?.parse().ok()?, part(4, 6)?.parse().ok()?, part(6, 8)?.parse().ok()?).ok()
}

/// One entry of a list of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedKey {
    /// Which.
    pub name: KeyName,
    /// Last day of its life, where it is told.
    pub last_day: Option<Date>,
}

/// Reads a page of the list: RID, index, and last day where the host tells it, entry after entry.
pub fn page(bytes: &[u8]) -> Result<Vec<ListedKey>, KeyError> {
    let objects = tlv::ber(bytes)?;
    let mut entries = Vec::new();
    let mut rest = objects.as_slice();
    while let Some((head, others)) = rest.split_first() {
        let length = others.iter().position(|(tag, _)| *tag == RID).unwrap_or(others.len());
        let (own, after) = others.split_at(length);
        let entry =
            Picked::new([&[*head][..], own].concat(), &[RULES[0], RULES[1], rule(LAST_DAY, 4, 8, false)])?;
        let name = name_of(&entry)?;
        let last_day = match entry.get(LAST_DAY) {
            Some(text) => Some(day(text).ok_or(KeyError::LastDay(name))?),
            None => None,
        };
        entries.push(ListedKey { name, last_day });
        rest = after;
    }
    Ok(entries)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A key as a host sends it, with a number of ours for a modulus: nobody proves a card with it.
    pub(crate) fn sent(index: u8, change: impl FnOnce(&mut Vec<(u32, Vec<u8>)>)) -> Vec<u8> {
        let (rid, modulus, exponent) = ([0xA0, 0, 0, 3, 0x33], vec![0xC5; 128], vec![3]);
        let mut sha = Sha1::new();
        for part in [&rid[..], &[index], &modulus, &exponent] {
            sha.update(part);
        }
        let mut objects = vec![
            (RID, rid.to_vec()),
            (INDEX, vec![index]),
            (LAST_DAY, b"20301231".to_vec()),
            (HASH, vec![1]),
            (SIGNATURE, vec![1]),
            (MODULUS, modulus),
            (EXPONENT, exponent),
            (CHECK, sha.finalize().to_vec()),
        ];
        change(&mut objects);
        objects.iter().flat_map(|(tag, value)| object(*tag, value)).collect()
    }

    pub(crate) fn object(tag: u32, value: &[u8]) -> Vec<u8> {
        let tag: Vec<u8> = tag.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
        let length = u8::try_from(value.len()).unwrap();
        let length = if length < 0x80 { vec![length] } else { vec![0x81, length] };
        [tag, length, value.to_vec()].concat()
    }

    fn changed(tag: u32, value: &[u8]) -> Result<Sent, KeyError> {
        SchemeKey::read(&sent(9, |objects| {
            objects.iter_mut().filter(|(there, _)| *there == tag).for_each(|(_, old)| *old = value.to_vec());
        }))
    }

    const NAME: KeyName = KeyName { rid: [0xA0, 0, 0, 3, 0x33], index: 9 };

    #[test]
    fn a_key_is_what_its_check_value_says() {
        let Ok(Sent::Key(key)) = SchemeKey::read(&sent(9, |_| ())) else { panic!("no key") };
        assert_eq!((key.name, key.last_day), (NAME, Date::new(2030, 12, 31).unwrap()));
        assert!(key.setting().starts_with("A000000333:09:03:C5C5"), "{}", key.setting());
        assert_eq!(NAME.to_string(), "A000000333 index 09");
        assert_eq!(NAME.question(), hex::decode("9F0605A0000003339F220109").unwrap());
        assert!(changed(LAST_DAY, &[0x20, 0x30, 0x12, 0x31]).is_ok());
    }

    #[test]
    fn one_wrong_bit_anywhere_in_what_is_checked_is_no_key() {
        let good = sent(9, |_| ());
        let Ok(Sent::Key(whole)) = SchemeKey::read(&good) else { panic!("no key") };
        for bit in 0..good.len() * 8 {
            let mut bent = good.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            let Ok(Sent::Key(read)) = SchemeKey::read(&bent) else { continue };
            // Only the day, and what says nothing (00 or 01 for RSA), is outside the check value.
            assert_eq!(SchemeKey { last_day: whole.last_day, ..read }, whole, "bit {bit}");
        }
        for cut in 0..good.len() {
            assert!(SchemeKey::read(&good[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_key_is_named() {
        assert_eq!(changed(CHECK, &[7; 20]), Err(KeyError::Check(NAME)));
        assert_eq!(changed(CHECK, &[7; 32]), Err(KeyError::Check(NAME)));
        assert_eq!(changed(EXPONENT, &[5]), Err(KeyError::Exponent(NAME)));
        assert_eq!(changed(EXPONENT, &[0, 0, 3]), Err(KeyError::Exponent(NAME)));
        assert_eq!(changed(MODULUS, &[0xC4; 128]), Err(KeyError::Modulus(NAME)));
        assert_eq!(changed(MODULUS, &[&[0][..], &[0xC5; 127]].concat()), Err(KeyError::Modulus(NAME)));
        for day in [&b"20301131"[..], b"2030123a", b"20301"] {
            assert_eq!(changed(LAST_DAY, day), Err(KeyError::LastDay(NAME)));
        }
        assert!(matches!(
            changed(MODULUS, &[1; 249]),
            Err(KeyError::Tlv(TlvError::Size { tag: MODULUS, .. }))
        ));
        assert!(matches!(changed(RID, &[1; 4]), Err(KeyError::Tlv(TlvError::Size { tag: RID, .. }))));
    }

    #[test]
    fn keys_of_another_algorithm_are_told_apart_from_wrong_ones() {
        assert_eq!(changed(SIGNATURE, &[4]), Ok(Sent::Other(NAME)));
        assert_eq!(changed(HASH, &[4]), Ok(Sent::Other(NAME)));
    }

    #[test]
    fn a_page_of_the_list_is_read_with_and_without_days() {
        let dayless = NAME.question();
        let dated = [&NAME.question()[..], &object(LAST_DAY, b"20301231")].concat();
        let list = page(&[&dated[..], &dayless].concat()).unwrap();
        assert_eq!(list.iter().map(|key| key.last_day.is_some()).collect::<Vec<_>>(), [true, false]);
        assert!(page(&dated[3..]).is_err());
        assert!(page(&[&dated[..], &dayless[..8]].concat()).is_err(), "an entry without its index");
        assert_eq!(page(&[]).unwrap(), []);
    }

    /// The key of a public test vector, where the vectors are.
    #[test]
    fn a_published_key_has_the_check_value_that_is_published_with_it() {
        let Ok(text) = std::fs::read_to_string("/work/shared/vectors/devices-emv_oda.json") else {
            println!("left out: /work/shared/vectors is not there");
            return;
        };
        let vectors: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut seen = 0;
        for case in vectors["cases"].as_array().unwrap() {
            let of = |what: &str| hex::decode(case["capk"][what].as_str().unwrap()).unwrap();
            let bytes: Vec<u8> = [
                (RID, of("rid")),
                (INDEX, of("index")),
                (MODULUS, of("modulus")),
                (EXPONENT, of("exponent")),
            ]
            .into_iter()
            .chain([(CHECK, of("hash")), (LAST_DAY, b"20301231".to_vec())])
            .flat_map(|(tag, value)| object(tag, &value))
            .collect();
            assert!(matches!(SchemeKey::read(&bytes), Ok(Sent::Key(_))));
            seen += 1;
        }
        assert!(seen > 0);
    }
}
