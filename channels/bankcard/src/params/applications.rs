//! Card applications a terminal takes, and its limits for each (AID parameters). Objects by a public client; of all of them
//! only the form is checked here: they are a reader's business.

use super::tlv::{self, Picked, Rule, TlvError};
use std::fmt;

const AID: u32 = 0x9F06;

const fn rule(tag: u32, least: usize, most: usize) -> Rule {
    Rule { tag, least, most, must: tag == AID }
}

/// Name, partial selection, version (two tags), action codes, floor limit, random selection (four), terminal's online PIN,
/// electronic cash limit, and the three contactless limits (floor, transaction, verification; BCD).
const RULES: [Rule; 17] = [
    rule(AID, 5, 16),
    rule(0xDF01, 1, 1),
    rule(0x9F08, 2, 2),
    rule(0x9F09, 2, 2),
    rule(0xDF11, 5, 5),
    rule(0xDF12, 5, 5),
    rule(0xDF13, 5, 5),
    rule(0x9F1B, 4, 4),
    rule(0xDF15, 4, 4),
    rule(0xDF16, 1, 1),
    rule(0xDF17, 1, 1),
    rule(0xDF14, 1, 252),
    rule(0xDF18, 1, 1),
    rule(0x9F7B, 6, 6),
    rule(0xDF19, 6, 6),
    rule(0xDF20, 6, 6),
    rule(0xDF21, 6, 6),
];

/// Amounts in BCD.
const AMOUNTS: [u32; 4] = [0x9F7B, 0xDF19, 0xDF20, 0xDF21];

/// Name of a card application.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Aid(Vec<u8>);

impl Aid {
    /// Field 62 of a request for it.
    pub fn question(&self) -> Vec<u8> {
        let length = u8::try_from(self.0.len()).unwrap_or(u8::MAX);
        [&[0x9F, 0x06, length][..], &self.0].concat()
    }
}

impl fmt::Display for Aid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&hex::encode_upper(&self.0))
    }
}

/// One application, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// Its name.
    pub aid: Aid,
    /// Its version (9F09, else 9F08).
    pub version: Option<[u8; 2]>,
}

impl Application {
    /// Reads one.
    pub fn read(bytes: &[u8]) -> Result<Self, TlvError> {
        let picked = Picked::new(tlv::ber(bytes)?, &RULES)?;
        for tag in AMOUNTS {
            let packed = |byte: &u8| byte >> 4 <= 9 && byte & 0x0F <= 9;
            if picked.get(tag).is_some_and(|amount| !amount.iter().all(packed)) {
                return Err(TlvError::Value(tag));
            }
        }
        let version = picked.get(0x9F09).or_else(|| picked.get(0x9F08));
        Ok(Self {
            aid: Aid(picked.must(AID)?.to_vec()),
            version: version.and_then(|version| version.try_into().ok()),
        })
    }
}

/// Reads a page of the list: name after name.
pub fn page(bytes: &[u8]) -> Result<Vec<Aid>, TlvError> {
    let objects = tlv::ber(bytes)?;
    let names = objects.into_iter().filter(|(tag, _)| *tag == AID);
    names.map(|object| Ok(Aid(Picked::new(vec![object], &RULES[..1])?.must(AID)?.to_vec()))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::keys::tests::object;
    use super::*;

    const NAME: &[u8] = &[0xA0, 0, 0, 3, 0x33, 1, 1, 2];

    fn read(more: &[(u32, &[u8])]) -> Result<Application, TlvError> {
        let objects = [&[(AID, NAME)][..], more].concat();
        let bytes: Vec<u8> = objects.iter().flat_map(|(tag, value)| object(*tag, value)).collect();
        Application::read(&bytes)
    }

    #[test]
    fn an_application_has_a_name_and_objects_of_the_right_form() {
        let application = read(&[(0x9F08, &[0, 0x20]), (0x9F09, &[0, 0x30]), (0xDF21, &[0, 0, 0, 3, 0, 0])]);
        let application = application.unwrap();
        assert_eq!(
            (application.aid.to_string().as_str(), application.version),
            ("A000000333010102", Some([0, 0x30]))
        );
        assert_eq!(application.aid.question(), object(AID, NAME));
        assert_eq!(read(&[(0xDF21, &[0, 0, 0, 0x0A, 0, 0])]), Err(TlvError::Value(0xDF21)));
        assert!(matches!(read(&[(0xDF11, &[0; 6])]), Err(TlvError::Size { tag: 0xDF11, .. })));
        assert_eq!(Application::read(&object(0xDF01, &[1])), Err(TlvError::Missing(AID)));
    }

    #[test]
    fn a_page_is_names_and_a_name_has_5_to_16_bytes() {
        let two = [object(AID, NAME), object(AID, &NAME[..5])].concat();
        assert_eq!(page(&two).unwrap().len(), 2);
        assert!(page(&object(AID, &[1; 17])).is_err() && page(&object(AID, &[1; 4])).is_err());
    }
}
