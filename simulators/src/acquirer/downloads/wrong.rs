//! What a host may do wrong in a download besides what it may do wrong with any answer ([`super::super::faults`]).

use super::model::{PublicKey, object};
use serde::Deserialize;

/// What goes wrong, always until it is set otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wrong {
    /// Every page of a list has new entries and says that more follow.
    EndlessList,
    /// Every page of a list is empty and says that more follow.
    EmptyPages,
    /// The first page comes again for every other.
    PageTwice,
    /// The check value of keys is of other keys.
    CheckValue,
    /// The last three bytes of field 62 are missing.
    Truncated,
    /// An object of 65,535 bytes is announced, and a few come.
    HugeLength,
    /// Another key than the one that was asked for.
    AnotherKey,
    /// A byte before it that is no mark.
    NoMark,
    /// Field 60 of the answer names another download.
    AnotherCode,
}

impl Wrong {
    /// Field 62 as it goes out.
    pub(super) fn spoil(self, net: &str, question: &[u8], told: Vec<u8>) -> Vec<u8> {
        let list = matches!(net, "372" | "382");
        match self {
            Self::EndlessList if list => endless(net, question),
            Self::EmptyPages if list => b"2".to_vec(),
            // Asked from the beginning the page is as it should be; later the same comes as the next one.
            Self::PageTwice if list && question != b"100" => page_once_more(net),
            Self::Truncated if told.len() > 3 => told[..told.len() - 3].to_vec(),
            Self::HugeLength if net == "394" => b"FF8054999".to_vec(),
            Self::HugeLength if told.len() > 1 => {
                [&b"1"[..], &[0xDF, 0x02, 0x82, 0xFF, 0xFF, 1, 2, 3]].concat()
            }
            Self::AnotherKey if net == "370" => {
                let other = PublicKey::made_up("A000000999", 0x77, 128, "20401231");
                [&b"1"[..], &other.told(None)].concat()
            }
            Self::NoMark if !told.is_empty() && net != "394" => [&b"9"[..], &told[1..]].concat(),
            _ => told,
        }
    }
}

/// Entries that nobody has had yet: their names have the count in them.
fn endless(net: &str, question: &[u8]) -> Vec<u8> {
    let count = std::str::from_utf8(question).ok().and_then(|text| text.get(1..)?.parse::<u8>().ok());
    let count = count.unwrap_or_default();
    let mut page = b"2".to_vec();
    for more in 0..5u8 {
        let number = count.wrapping_add(more);
        if net == "372" {
            page.extend(PublicKey::made_up("A000000333", number, 128, "20401231").entry());
        } else {
            page.extend(object("9F06", &[0xA0, 0, 0, 3, 0x33, number]));
        }
    }
    page
}

/// What the default list begins with.
fn page_once_more(net: &str) -> Vec<u8> {
    if net == "372" {
        [&b"2"[..], &PublicKey::made_up("A000000333", 0x08, 144, "20401231").entry()].concat()
    } else {
        [&b"2"[..], &object("9F06", &[0xA0, 0, 0, 3, 0x33, 1, 1, 1])].concat()
    }
}
