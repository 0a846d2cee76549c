//! The slot that the till sees: each message carried out, and nothing else. What a card says is in memory that is wiped, and in no text.

use zeroize::Zeroizing;

use crate::message::{self, Failure, Presence, Wish};

/// What a card came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// There is none, or it was taken away.
    #[error("no card")]
    None,
    /// It does not answer.
    #[error("the card does not answer")]
    Mute,
    /// Another program has it.
    #[error("another program has the card")]
    Busy,
    /// The reader is gone, or pcscd is: the till must open it anew.
    #[error("{0}")]
    Gone(&'static str),
}

/// Where cards are.
pub trait Cards {
    /// Whether one lies there.
    fn presence(&mut self) -> Result<Presence, CardError>;
    /// Activates it, anew if it is active: its answer to reset.
    fn power_on(&mut self) -> Result<Vec<u8>, CardError>;
    /// Lets it go.
    fn power_off(&mut self);
    /// Gives it a command: its answer.
    fn transmit(&mut self, apdu: &[u8]) -> Result<Zeroizing<Vec<u8>>, CardError>;
}

/// Answers a message; an error ends the connection. `None`: it was none.
pub fn answer(cards: &mut impl Cards, bytes: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, CardError> {
    let Some((sequence, wish)) = message::parse(bytes) else { return Ok(None) };
    let done = match wish {
        Wish::Status => cards.presence().map(|there| message::status(sequence, there)),
        Wish::On => cards.power_on().map(|atr| message::data(sequence, &atr)),
        Wish::Off => {
            cards.power_off();
            Ok(message::status(sequence, Presence::Inactive))
        }
        Wish::Transfer(apdu) if apdu.len() < 4 => {
            Ok(message::failed(sequence, Presence::Active, Failure::Length))
        }
        // What begins with FFh is the reader's own (PC/SC part 3): only the card's number is asked of it, nothing is set.
        Wish::Transfer([0xFF, instruction, parameter, ..]) if (*instruction, *parameter) != (0xCA, 0) => {
            Ok(message::data(sequence, &[0x6D, 0x00]))
        }
        Wish::Transfer(apdu) => cards.transmit(apdu).map(|said| message::data(sequence, &said)),
        Wish::Other => Ok(message::failed(sequence, Presence::None, Failure::Unknown)),
        Wish::Misshapen => Ok(message::failed(sequence, Presence::None, Failure::Length)),
    };
    match done {
        Ok(said) => Ok(Some(said)),
        Err(CardError::None) => Ok(Some(message::failed(sequence, Presence::None, Failure::Mute))),
        Err(CardError::Mute) => Ok(Some(message::failed(sequence, Presence::Inactive, Failure::Mute))),
        Err(CardError::Busy) => Ok(Some(message::failed(sequence, Presence::Inactive, Failure::Busy))),
        Err(gone @ CardError::Gone(_)) => Err(gone),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::HEADER;

    #[derive(Default)]
    struct Fake {
        fails: Option<CardError>,
        heard: Vec<Vec<u8>>,
        on: u32,
    }

    impl Cards for Fake {
        fn presence(&mut self) -> Result<Presence, CardError> {
            self.fails.map_or(Ok(Presence::Inactive), Err)
        }

        fn power_on(&mut self) -> Result<Vec<u8>, CardError> {
            self.on += 1;
            self.fails.map_or(Ok(vec![0x3B, 0x80, 0x80, 1, 1]), Err)
        }

        fn power_off(&mut self) {
            self.on = 0;
        }

        fn transmit(&mut self, apdu: &[u8]) -> Result<Zeroizing<Vec<u8>>, CardError> {
            self.heard.push(apdu.to_vec());
            self.fails.map_or(Ok(Zeroizing::new(vec![0x90, 0])), Err)
        }
    }

    fn wish(kind: u8, data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap().to_le_bytes();
        [&[kind], length.as_slice(), &[0, 9, 0, 0, 0], data].concat()
    }

    fn said(cards: &mut Fake, message: &[u8]) -> Vec<u8> {
        answer(cards, message).unwrap().unwrap().to_vec()
    }

    #[test]
    fn each_message_is_carried_out_and_answered_with_its_number() {
        let mut cards = Fake::default();
        assert_eq!(said(&mut cards, &wish(0x65, &[])), [0x81, 0, 0, 0, 0, 0, 9, 1, 0, 0]);
        assert_eq!(
            said(&mut cards, &wish(0x62, &[])),
            [0x80, 5, 0, 0, 0, 0, 9, 0, 0, 0, 0x3B, 0x80, 0x80, 1, 1]
        );
        assert_eq!(
            said(&mut cards, &wish(0x6F, &[0, 0xB2, 1, 12, 0])),
            [0x80, 2, 0, 0, 0, 0, 9, 0, 0, 0, 0x90, 0]
        );
        assert_eq!(said(&mut cards, &wish(0x63, &[])), [0x81, 0, 0, 0, 0, 0, 9, 1, 0, 0]);
        assert_eq!((cards.heard, cards.on), (vec![vec![0, 0xB2, 1, 12, 0]], 0));
    }

    #[test]
    fn of_the_readers_own_commands_only_the_cards_number_gets_through() {
        let mut cards = Fake::default();
        let number = [0xFF, 0xCA, 0, 0, 0];
        assert!(said(&mut cards, &wish(0x6F, &number)).ends_with(&[0x90, 0]));
        // Lights, firmware, direct commands to a chip, the historical bytes.
        for own in [
            [0xFF, 0, 0x40, 0x0E, 4].as_slice(),
            &[0xFF, 0, 0x48, 0, 0],
            &[0xFF, 0, 0, 0, 2, 0xD4, 2],
            &[0xFF, 0xCA, 1, 0, 0],
        ] {
            assert!(said(&mut cards, &wish(0x6F, own)).ends_with(&[0x6D, 0]));
        }
        assert_eq!(cards.heard, [number]);
    }

    #[test]
    fn what_happens_to_a_card_is_a_failure_and_what_happens_to_the_reader_ends_the_line() {
        for (why, status, error) in
            [(CardError::None, 0x42, 0xFE), (CardError::Mute, 0x41, 0xFE), (CardError::Busy, 0x41, 0xE0)]
        {
            let mut cards = Fake { fails: Some(why), ..Fake::default() };
            for message in [wish(0x62, &[]), wish(0x6F, &[0, 0xA4, 4, 0])] {
                assert_eq!(said(&mut cards, &message)[5..], [0, 9, status, error, 0], "{why:?}");
            }
        }
        let gone = CardError::Gone("pcscd ended");
        let mut cards = Fake { fails: Some(gone), ..Fake::default() };
        assert_eq!(answer(&mut cards, &wish(0x62, &[])), Err(gone));
        assert_eq!(answer(&mut cards, &wish(0x65, &[])), Err(gone));
    }

    #[test]
    fn cut_over_long_and_huge_messages_reach_no_card() {
        let mut cards = Fake::default();
        for bad in [wish(0x6F, &[0; 262]), wish(0x6F, &[0; 9_000]), wish(0x6F, &[0, 0xA4]), wish(0x6F, &[])] {
            assert_eq!(said(&mut cards, &bad)[7] & 0xC0, 0x40);
        }
        let mut cut = wish(0x6F, &[0, 0xA4, 4, 0]);
        cut.pop();
        assert_eq!(said(&mut cards, &cut)[7..9], [0x42, 1]);
        assert_eq!(said(&mut cards, &wish(0x6B, &[]))[7..9], [0x42, 0]);
        let mut other = wish(0x62, &[]);
        other[5] = 1;
        assert_eq!(said(&mut cards, &other)[7..9], [0x42, 0], "there is one slot");
        assert_eq!(answer(&mut cards, &cut[..9]), Ok(None));
        assert!(cards.heard.is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_get_one_answer_of_the_announced_length(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut cards = Fake::default();
            if let Some(said) = answer(&mut cards, &bytes).unwrap() {
                let length = u32::from_le_bytes([said[1], said[2], said[3], said[4]]);
                prop_assert_eq!(usize::try_from(length).unwrap() + HEADER, said.len());
                prop_assert_eq!(said[6], bytes[6]);
            } else {
                prop_assert!(bytes.len() < HEADER);
            }
        }
    }
}
