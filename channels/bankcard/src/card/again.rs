//! The card of what follows a payment: presented again, or known from what was kept of the payment.
//!
//! It only names the account. No PIN is asked for and no chip data is sent: the holder was asked when the money was taken
//! or held, and a chip has nothing to decide when it goes back (the simplified flow of terminals).

use super::{CardData, CardError, NoPin, check_pan, checked_track, expiry_of};
use crate::recovery::Kept;
use till_plugin::instrument::{ChipCard, Cvm, Instrument};

impl CardData {
    /// From the card presented again.
    pub fn again(instrument: &Instrument) -> Result<Self, CardError> {
        match instrument {
            Instrument::Stripe(card) => Self::stripe(card, None, NoPin::Accept.into()),
            Instrument::Chip(card) => Self::chip_again(card),
            _ => Err(CardError::Instrument),
        }
    }

    fn chip_again(card: &ChipCard) -> Result<Self, CardError> {
        check_pan(card.pan.expose())?;
        let track2 = card.track2.as_ref().map(|track| checked_track(track, card.pan.expose())).transpose()?;
        Ok(Self {
            pan: card.pan.clone(),
            expiry: track2.as_ref().and_then(|track| expiry_of(track.expose())),
            track2,
            entry: if card.contactless { "07" } else { "05" },
            sequence: card.pan_sequence.map(|number| format!("{number:03}")),
            emv: None,
            pin_block: None,
            cvm: Cvm::None,
            masked: card.pan.masked_pan(),
            scheme: (!card.label.trim().is_empty()).then(|| card.label.trim().to_owned()),
        })
    }

    /// From what was kept of the payment: its number and expiry, as if they were typed.
    pub fn kept(kept: &Kept) -> Result<Self, CardError> {
        let pan = kept.pan().ok_or(CardError::Pan)?;
        check_pan(pan.expose())?;
        Ok(Self {
            masked: pan.masked_pan(),
            pan,
            expiry: kept.expiry(),
            track2: None,
            entry: "01",
            sequence: kept.sequence(),
            emv: None,
            pin_block: None,
            cvm: Cvm::None,
            scheme: None,
        })
    }
}
