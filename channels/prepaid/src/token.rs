//! From what a reader reads to the token that the ledger keeps (channels.md C7).
//!
//! The token is half of HMAC-SHA-256 (RFC 2104, FIPS 180-4) over the kind of the card and its number, under a key that is
//! not in the journal: without the key a stolen ledger names no card, and the numbers of a small range cannot be tried
//! one by one.

use ring::hmac;
use thiserror::Error;
use till_plugin::{Instrument, Sensitive};

use crate::ledger::{Medium, Token};

/// Shortest secret, bytes.
pub const SHORTEST_KEY: usize = 32;
/// Shortest number that is taken: shorter ones are guessed.
pub const SHORTEST_NUMBER: usize = 8;
/// Longest number.
pub const LONGEST_NUMBER: usize = 64;
/// Lengths of a contactless card's serial number, bytes (ISO/IEC 14443-3: 4, 7 or 10; ISO/IEC 15693: 8).
const UID: std::ops::RangeInclusive<usize> = 4..=32;

/// A card key that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the secret card_key has {0} bytes, it needs 32: make it with `head -c 32 /dev/urandom | base64` and keep a copy in a safe, without it no card is known any more"
)]
pub struct KeyTooShort(usize);

/// What was presented is no card of this shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotACard {
    /// Not a stored-value card at all.
    #[error(
        "this channel takes the shop's own stored-value cards only: use the channel of what was presented"
    )]
    Kind,
    /// Another issuer's number.
    #[error(
        "the number does not begin as the numbers of this shop's cards do (setting `prefixes`): use another way to pay"
    )]
    Prefix,
    /// Not 8 to 64 letters and digits, or not a UID.
    #[error("the card's number could not be used: present the card again")]
    Number,
}

/// The key of all tokens.
#[derive(Debug)]
pub struct CardKey(Sensitive<Vec<u8>>);

/// A card as it was presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// How it identified itself.
    pub medium: Medium,
    /// What of its number may be shown.
    pub last4: [u8; 4],
    number: Sensitive<Vec<u8>>,
}

impl CardKey {
    /// From the secret's file: white space at its end is an editor's.
    pub fn new(secret: &Sensitive<Vec<u8>>) -> Result<Self, KeyTooShort> {
        let key = secret.expose().trim_ascii_end();
        if key.len() < SHORTEST_KEY {
            Err(KeyTooShort(key.len()))
        } else {
            Ok(Self(Sensitive::new(key.into())))
        }
    }

    /// The card's token.
    pub fn token(&self, card: &Identity) -> Token {
        let kind: &[u8] = match card.medium {
            Medium::Number => b"till prepaid 1 number\0",
            Medium::Uid => b"till prepaid 1 uid\0",
            Medium::Authenticated => b"till prepaid 1 authenticated\0",
        };
        self.mac(kind, card.number.expose())
    }

    /// Shows that it is the key the ledger was begun with, and nothing else of it.
    pub fn check(&self) -> Token {
        self.mac(b"till prepaid 1 check\0", b"")
    }

    fn mac(&self, kind: &[u8], number: &[u8]) -> Token {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose());
        let mut context = hmac::Context::with_key(&key);
        context.update(kind);
        context.update(number);
        let mut token = Token::default();
        token.copy_from_slice(&context.sign().as_ref()[..16]);
        token
    }
}

/// The card that an instrument is, if it is one of this shop: numbers must begin with one of `prefixes`.
pub fn identify(instrument: &Instrument, prefixes: &[String]) -> Result<Identity, NotACard> {
    match instrument {
        Instrument::Stripe(card) => number(card.pan.expose(), prefixes),
        Instrument::Code(code) => number(code.text.expose().trim(), prefixes),
        Instrument::StoredValue(card) => {
            let id = card.identifier.expose();
            if card.authenticated {
                return serial(Medium::Authenticated, id);
            }
            // A number that was typed in is the card that its stripe or code is.
            match std::str::from_utf8(id).map(|text| number(text.trim(), prefixes)) {
                Ok(Ok(typed)) => Ok(typed),
                _ => serial(Medium::Uid, id),
            }
        }
        _ => Err(NotACard::Kind),
    }
}

fn number(text: &str, prefixes: &[String]) -> Result<Identity, NotACard> {
    let fits = (SHORTEST_NUMBER..=LONGEST_NUMBER).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric());
    if !fits {
        return Err(NotACard::Number);
    }
    let starts = |p: &String| text.get(..p.len()).is_some_and(|head| head.eq_ignore_ascii_case(p));
    if !prefixes.iter().any(starts) {
        return Err(NotACard::Prefix);
    }
    let upper = Sensitive::new(text.to_ascii_uppercase().into_bytes());
    let mut last4 = [0; 4];
    last4.copy_from_slice(&upper.expose()[text.len() - 4..]);
    Ok(Identity { medium: Medium::Number, last4, number: upper })
}

/// The last two bytes of a serial number are shown, as hexadecimal digits.
fn serial(medium: Medium, id: &[u8]) -> Result<Identity, NotACard> {
    let [.., a, b] = *id else { return Err(NotACard::Number) };
    if !UID.contains(&id.len()) {
        return Err(NotACard::Number);
    }
    let digit = |n: u8| b"0123456789ABCDEF"[usize::from(n & 15)];
    let last4 = [digit(a >> 4), digit(a), digit(b >> 4), digit(b)];
    Ok(Identity { medium, last4, number: Sensitive::new(id.into()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use till_plugin::Extra;
    use till_plugin::instrument::{ScannedCode, StoredValueCard};

    fn key(byte: u8) -> CardKey {
        CardKey::new(&Sensitive::new(vec![byte; 32])).unwrap()
    }

    fn code(text: &str) -> Instrument {
        Instrument::Code(ScannedCode { text: Sensitive::new(text.into()), symbology: None })
    }

    fn tapped(id: &[u8], authenticated: bool) -> Instrument {
        Instrument::StoredValue(StoredValueCard {
            identifier: Sensitive::new(id.into()),
            authenticated,
            masked: String::new(),
            extra: Extra::new(),
        })
    }

    fn token(instrument: &Instrument) -> Token {
        key(7).token(&identify(instrument, &["8600".into(), "VIP".into()]).unwrap())
    }

    #[test]
    fn the_token_is_hmac_sha_256_and_another_keys_token_is_another() {
        // RFC 4231 has no case with this text: computed with Python's hmac module.
        let card = identify(&code("8600000000000005"), &["8600".into()]).unwrap();
        assert_eq!(u128::from_be_bytes(key(7).token(&card)), 0x41e2_fc76_b335_d584_ab98_1b96_ebb8_3459);
        assert_ne!(key(7).token(&card), key(8).token(&card));
        assert_ne!(key(7).check(), key(8).check());
    }

    #[test]
    fn a_card_is_the_same_however_its_number_comes_in_but_a_copied_uid_is_not_the_chip() {
        let card = token(&code("8600000000000005"));
        assert_eq!(card, token(&code(" 8600000000000005\r\n")));
        assert_eq!(card, token(&tapped(b"8600000000000005", false)));
        assert_eq!(token(&code("vip00012345")), token(&code("VIP00012345")));
        let uid = [4, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6];
        assert_ne!(token(&tapped(&uid, false)), token(&tapped(&uid, true)));
        let shown = identify(&tapped(&uid, false), &[]).unwrap();
        assert_eq!((shown.medium, &shown.last4), (Medium::Uid, b"E5F6"));
    }

    #[test]
    fn another_issuers_number_and_rubbish_are_no_card() {
        let of = |text: &str| identify(&code(text), &["8600".into()]).map(drop);
        assert_eq!(of("6200000000000005"), Err(NotACard::Prefix));
        assert_eq!(identify(&code("8600000000000005"), &[]).map(drop), Err(NotACard::Prefix));
        for bad in ["8600", "86000000-0000005", "８６００００００", &"8600".repeat(17), ""] {
            assert_eq!(of(bad), Err(NotACard::Number), "{bad}");
        }
        assert_eq!(identify(&Instrument::ShowCode, &[String::new()]).map(drop), Err(NotACard::Kind));
        for bad in [&b""[..], b"\x01", b"\x01\x02\x03", &[1; 33]] {
            assert_eq!(identify(&tapped(bad, true), &[]).map(drop), Err(NotACard::Number));
        }
    }

    #[test]
    fn no_number_is_shown() {
        let card = identify(&code("8600000000001234"), &["8600".into()]).unwrap();
        let shown = format!("{card:?} {:?}", key(7));
        assert!(!shown.contains("86000000"), "{shown}");
        assert!(!shown.contains("7, 7"), "{shown}");
        assert!(
            CardKey::new(&Sensitive::new(b"short\n".to_vec())).unwrap_err().to_string().contains("5 bytes")
        );
    }
}
