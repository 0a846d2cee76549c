//! What a host keeps for its terminals.

use super::wrong::Wrong;
use serde::Deserialize;
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;

/// A scheme's key as this host has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicKey {
    /// Registered identifier, ten hex digits.
    pub rid: String,
    /// Its number.
    pub index: u8,
    /// Modulus, hex digits.
    pub modulus: String,
    /// Exponent, hex digits.
    pub exponent: String,
    /// Last day, `YYYYMMDD`.
    pub until: String,
}

impl PublicKey {
    /// A key for tests: a number of the asked length that nobody has factors of on purpose, and no scheme's.
    pub fn made_up(rid: &str, index: u8, bytes: usize, until: &str) -> Self {
        // Digest after digest of its name; the ends as a modulus has them.
        let mut modulus = Vec::new();
        while modulus.len() < bytes {
            let seed = format!("{rid}/{index}/{}", modulus.len());
            modulus.extend(Sha1::digest(seed.as_bytes()));
        }
        modulus.truncate(bytes);
        if let Some(first) = modulus.first_mut() {
            *first |= 0x80;
        }
        if let Some(last) = modulus.last_mut() {
            *last |= 1;
        }
        let (modulus, exponent) = (hex::encode_upper(modulus), "03".to_owned());
        Self { rid: rid.into(), index, modulus, exponent, until: until.into() }
    }

    /// 9F06 and 9F22: how a terminal asks for it.
    pub(super) fn name(&self) -> Vec<u8> {
        [object("9F06", &bytes(&self.rid)), object("9F22", &[self.index])].concat()
    }

    /// Its entry in the list, with its last day.
    pub(super) fn entry(&self) -> Vec<u8> {
        [self.name(), object("DF05", self.until.as_bytes())].concat()
    }

    /// All of it, with the SHA-1 over identifier, number, modulus and exponent (EMV Book 2 §11.2.2).
    pub(super) fn told(&self, wrong: Option<Wrong>) -> Vec<u8> {
        let (modulus, exponent) = (bytes(&self.modulus), bytes(&self.exponent));
        let mut check = Sha1::new();
        check.update(bytes(&self.rid));
        check.update([self.index]);
        check.update(&modulus);
        check.update(&exponent);
        let mut check = check.finalize().to_vec();
        if wrong == Some(Wrong::CheckValue)
            && let Some(first) = check.first_mut()
        {
            *first ^= 1;
        }
        [
            self.entry(),
            object("DF06", &[1]),
            object("DF07", &[1]),
            object("DF02", &modulus),
            object("DF04", &exponent),
            object("DF03", &check),
        ]
        .concat()
    }
}

/// A card application as this host has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// Its name, hex digits.
    pub aid: String,
    /// Tag and content of all else, hex digits both.
    #[serde(default)]
    pub objects: BTreeMap<String, String>,
}

impl Application {
    /// 9F06: how a terminal asks for it, and its entry in the list.
    pub(super) fn name(&self) -> Vec<u8> {
        object("9F06", &bytes(&self.aid))
    }

    pub(super) fn told(&self) -> Vec<u8> {
        let mut told = self.name();
        for (tag, value) in &self.objects {
            told.extend(object(tag, &bytes(value)));
        }
        told
    }
}

/// What a host has for its terminals, and what it does wrong.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// Contactless parameters: tag (six hex digits) and value as text. None: it has nothing of them.
    pub contactless: BTreeMap<String, String>,
    /// Keys.
    pub keys: Vec<PublicKey>,
    /// Applications.
    pub applications: Vec<Application>,
    /// Entries in a page of a list.
    pub page: usize,
    /// Asks terminals for work in the header of every answer: 1 parameters, 4 keys, 5 applications; 0: nothing.
    pub asks: u8,
    /// What it does wrong.
    pub wrong: Option<Wrong>,
}

impl Default for Parameters {
    /// No PIN to 300.00, no signature to 500.00; three keys in pages of two; two applications.
    fn default() -> Self {
        let contactless = [
            ("FF803A", "010"),
            ("FF803C", "060"),
            ("FF8054", "1"),
            ("FF8055", "0"),
            ("FF8056", "0"),
            ("FF8057", "1"),
            ("FF8058", "000000030000"),
            ("FF8059", "000000050000"),
            ("FF805A", "1"),
            ("FF805D", "0"),
        ];
        let application = |aid: &str| Application {
            aid: aid.into(),
            objects: [
                ("DF01", "00"),
                ("9F09", "0030"),
                ("DF11", "D84000A800"),
                ("DF12", "D84004F800"),
                ("DF13", "0010000000"),
                ("DF20", "000009999999"),
                ("DF21", "000000030000"),
            ]
            .map(|(tag, value)| (tag.to_owned(), value.to_owned()))
            .into(),
        };
        Self {
            contactless: contactless.map(|(tag, value)| (tag.to_owned(), value.to_owned())).into(),
            keys: vec![
                PublicKey::made_up("A000000333", 0x08, 144, "20401231"),
                PublicKey::made_up("A000000333", 0x09, 176, "20401231"),
                PublicKey::made_up("A000000333", 0x0A, 248, "20401231"),
            ],
            applications: ["A000000333010101", "A000000333010102"].map(application).into(),
            page: 2,
            asks: 0,
            wrong: None,
        }
    }
}

fn bytes(digits: &str) -> Vec<u8> {
    hex::decode(digits).unwrap_or_default()
}

/// Tag, length, value.
pub(super) fn object(tag: &str, value: &[u8]) -> Vec<u8> {
    let mut whole = bytes(tag);
    match u8::try_from(value.len()) {
        Ok(short) if short < 0x80 => whole.push(short),
        Ok(middle) => whole.extend([0x81, middle]),
        Err(_) => {
            whole.push(0x82);
            whole.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    whole.extend(value);
    whole
}
