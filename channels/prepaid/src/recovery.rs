//! What the daemon keeps, sealed, between preparing and asking: which card it was about, by its token.

use till_plugin::Sensitive;

use crate::ledger::{Medium, Token};
use crate::token::Identity;

const VERSION: u8 = 1;
const LENGTH: usize = 1 + 1 + 4 + 16;

/// A card without its number.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub token: Token,
    pub medium: Medium,
    pub last4: [u8; 4],
}

impl Known {
    pub(crate) const fn new(token: Token, card: &Identity) -> Self {
        Self { token, medium: card.medium, last4: card.last4 }
    }

    /// Version, medium, last four characters, token.
    pub(crate) fn to_recovery(self) -> Sensitive<Vec<u8>> {
        let medium = match self.medium {
            Medium::Number => 0,
            Medium::Uid => 1,
            Medium::Authenticated => 2,
        };
        let mut bytes = vec![VERSION, medium];
        bytes.extend(self.last4);
        bytes.extend(self.token);
        Sensitive::new(bytes)
    }

    pub(crate) fn from_recovery(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; LENGTH] = bytes.try_into().ok()?;
        let medium = match bytes {
            [VERSION, 0, ..] => Medium::Number,
            [VERSION, 1, ..] => Medium::Uid,
            [VERSION, 2, ..] => Medium::Authenticated,
            _ => return None,
        };
        let (last4, token) = bytes[2..].split_first_chunk()?;
        Some(Self { token: token.try_into().ok()?, medium, last4: *last4 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_found_again_from_recovery_data_and_other_bytes_are_none() {
        for medium in [Medium::Number, Medium::Uid, Medium::Authenticated] {
            let known = Known { token: [5; 16], medium, last4: *b"0005" };
            let bytes = known.to_recovery();
            assert_eq!(Known::from_recovery(bytes.expose()), Some(known));
            assert_eq!(Known::from_recovery(&bytes.expose()[1..]), None);
        }
        assert_eq!(Known::from_recovery(&[2; LENGTH]), None);
        assert_eq!(Known::from_recovery(&[]), None);
    }
}
