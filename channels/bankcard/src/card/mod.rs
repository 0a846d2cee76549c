//! What a card reader gave, as a request needs it, and what this channel refuses before anything is sent.

mod again;
#[cfg(test)]
mod tests;

use crate::dialect::Dialect;
use crate::tlv;
use std::fmt;
use till_plugin::Sensitive;
use till_plugin::instrument::{ChipCard, Cvm, Instrument, StripeCard};
use zeroize::Zeroizing;

/// A card that cannot be used on this channel; the text is for the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// Not a card this channel can read.
    #[error("this channel takes stripe, chip and contactless cards with clear card data only")]
    Instrument,
    /// The stripe says there is a chip.
    #[error("this card has a chip: insert or tap it")]
    UseChip,
    /// The card asks for a PIN and there is no PIN pad.
    #[error("this card asks for its PIN and there is no PIN pad for it: use another way to pay")]
    NeedsPin,
    /// The account number is not 12 to 19 digits.
    #[error("the card number could not be read: present the card again")]
    Pan,
    /// Track data does not belong to the account number or holds other characters than a track may.
    #[error("the card's track could not be read: present the card again")]
    Track,
    /// The chip's data is not readable or has no application cryptogram.
    #[error("the chip's data could not be read: present the card again")]
    Chip,
    /// The chip declined by itself, or approved by itself, which this channel does not support.
    #[error("the chip did not ask for an online authorisation: use another way to pay")]
    NotOnline,
    /// The PIN block is not eight bytes, or not of the kind of key that this acquirer takes.
    #[error(
        "the PIN pad's block is not of this acquirer's kind: enter the PIN again, or use another way to pay"
    )]
    PinBlock,
}

/// What to do with a card that asks for a PIN when there is no PIN pad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoPin {
    /// Refuse it before anything is sent (the rule; channels.md C10).
    #[default]
    Refuse,
    /// Send it without a PIN, entry mode `..2`; the acquirer decides.
    Accept,
}

/// When a card that asks for its PIN may go out without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PinRule {
    /// Without a pad.
    pub no_pin: NoPin,
    /// There is a pad, and the acquirer takes its blocks.
    pub pad: bool,
    /// The amount is within what the acquirer takes by tap without a PIN.
    pub small: bool,
}

impl From<NoPin> for PinRule {
    fn from(no_pin: NoPin) -> Self {
        Self { no_pin, ..Self::default() }
    }
}

impl PinRule {
    /// A card whose PIN is owed.
    const fn refuses(self) -> bool {
        self.pad || matches!(self.no_pin, NoPin::Refuse)
    }
}

/// A PIN block as a pad gave it.
#[derive(Clone)]
pub struct PinBlock {
    /// Field 52.
    pub block: Zeroizing<[u8; 8]>,
    /// Key serial number of a DUKPT key; None: it is under the acquirer's own PIN key.
    pub ksn: Option<[u8; 10]>,
}

impl PinBlock {
    /// Of a request; the key serial number in hexadecimal. Only the kind of key that the dialect names is taken: under
    /// another one the host would find no PIN.
    pub fn read(dialect: &Dialect, block: &Sensitive<Vec<u8>>, ksn: Option<&str>) -> Result<Self, CardError> {
        let block = <[u8; 8]>::try_from(block.expose().as_slice()).map_err(|_| CardError::PinBlock)?;
        let ksn = ksn.map(hex::decode).transpose().map_err(|_| CardError::PinBlock)?;
        let ksn = ksn.map(<[u8; 10]>::try_from).transpose().map_err(|_| CardError::PinBlock)?;
        if ksn.is_some() != dialect.request.takes_derived_keys() {
            return Err(CardError::PinBlock);
        }
        Ok(Self { block: Zeroizing::new(block), ksn })
    }
}

/// Card data of one request. Wiped on drop, never printed.
#[derive(Clone)]
pub struct CardData {
    /// Account number.
    pub pan: Sensitive<String>,
    /// `YYMM`.
    pub expiry: Option<Sensitive<String>>,
    /// Track 2 with `=`.
    pub track2: Option<Sensitive<String>>,
    /// First two digits of field 22.
    pub entry: &'static str,
    /// Field 23, three digits.
    pub sequence: Option<String>,
    /// Field 55 as it goes out.
    pub emv: Option<Zeroizing<Vec<u8>>>,
    /// Enciphered by the pad.
    pub pin_block: Option<PinBlock>,
    /// How the holder was or will be verified, for the receipt.
    pub cvm: Cvm,
    /// What may be shown.
    pub masked: String,
    /// Application label of a chip.
    pub scheme: Option<String>,
}

impl fmt::Debug for CardData {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "CardData({})", self.masked)
    }
}

impl CardData {
    /// Takes an instrument apart, or says why it is not for this channel.
    pub fn read(
        dialect: &Dialect,
        instrument: &Instrument,
        pin_block: Option<PinBlock>,
        rule: impl Into<PinRule>,
    ) -> Result<Self, CardError> {
        match instrument {
            Instrument::Stripe(card) => Self::stripe(card, pin_block, rule.into()),
            Instrument::Chip(card) => Self::chip(dialect, card, pin_block, rule.into()),
            _ => Err(CardError::Instrument),
        }
    }

    fn stripe(card: &StripeCard, pin_block: Option<PinBlock>, rule: PinRule) -> Result<Self, CardError> {
        check_pan(card.pan.expose())?;
        let track2 = card.track2.as_ref().map(|track| checked_track(track, card.pan.expose())).transpose()?;
        // The track itself is asked before the reader's word: both must allow the stripe.
        let from_track = track2.as_ref().and_then(|track| service_code(track.expose()));
        let services = [from_track.as_ref().map(|code| code.as_str()), card.service_code.as_deref()];
        let any = |digit: usize, of: &[u8]| {
            services
                .iter()
                .flatten()
                .filter_map(|code| code.as_bytes().get(digit))
                .any(|byte| of.contains(byte))
        };
        if any(0, b"26") {
            return Err(CardError::UseChip);
        }
        // ISO/IEC 7813: third digit 0, 3, 5 PIN required; 6, 7 PIN where there is a pad.
        let owes = (any(2, b"035") && rule.refuses()) || (any(2, b"67") && rule.pad);
        if owes && pin_block.is_none() {
            return Err(CardError::NeedsPin);
        }
        let cvm = if pin_block.is_some() { Cvm::OnlinePin } else { Cvm::Signature };
        Ok(Self {
            pan: card.pan.clone(),
            expiry: card
                .expiry
                .clone()
                .or_else(|| track2.as_ref().and_then(|track| expiry_of(track.expose())))
                .filter(|expiry| digits(expiry.expose(), 4)),
            entry: if track2.is_some() { "02" } else { "01" },
            track2,
            sequence: None,
            emv: None,
            pin_block,
            cvm,
            masked: card.pan.masked_pan(),
            scheme: None,
        })
    }

    fn chip(
        dialect: &Dialect,
        card: &ChipCard,
        pin_block: Option<PinBlock>,
        rule: PinRule,
    ) -> Result<Self, CardError> {
        check_pan(card.pan.expose())?;
        let track2 = card.track2.as_ref().map(|track| checked_track(track, card.pan.expose())).transpose()?;
        let tlv = card.tlv.expose();
        // 9F27: 80 asks for an online answer; 40 (approved off-line) and 00 (declined) do not.
        match tlv::find(tlv, &[0x9F, 0x27]) {
            Some([kind]) if kind & 0xC0 == 0x80 => {}
            Some(_) => return Err(CardError::NotOnline),
            None => return Err(CardError::Chip),
        }
        if tlv::find(tlv, &[0x9F, 0x26]).is_none_or(|cryptogram| cryptogram.len() != 8) {
            return Err(CardError::Chip);
        }
        // Small amounts by tap owe neither PIN nor signature, whatever the reader was set to.
        let free = rule.small && card.contactless;
        if card.cvm == Cvm::OnlinePin && pin_block.is_none() && !free && rule.refuses() {
            return Err(CardError::NeedsPin);
        }
        let emv = Zeroizing::new(tlv::choose(tlv, &dialect.request.emv_tags).ok_or(CardError::Chip)?);
        let cvm = match (pin_block.is_some(), card.cvm) {
            (true, _) => Cvm::OnlinePin,
            (false, Cvm::OnlinePin) if free => Cvm::None,
            (false, Cvm::OnlinePin) => Cvm::Signature,
            (false, other) => other,
        };
        Ok(Self {
            pan: card.pan.clone(),
            expiry: track2.as_ref().and_then(|track| expiry_of(track.expose())),
            track2,
            entry: if card.contactless { "07" } else { "05" },
            sequence: card.pan_sequence.map(|number| format!("{number:03}")),
            emv: Some(emv),
            pin_block,
            cvm,
            masked: card.pan.masked_pan(),
            scheme: (!card.label.trim().is_empty()).then(|| card.label.trim().to_owned()),
        })
    }

    /// Field 22: entry and PIN capability (1 PIN sent, 2 none).
    pub fn entry_mode(&self) -> String {
        format!("{}{}", self.entry, if self.pin_block.is_some() { '1' } else { '2' })
    }
}

fn check_pan(pan: &str) -> Result<(), CardError> {
    let sound = (12..=19).contains(&pan.len()) && pan.bytes().all(|byte| byte.is_ascii_digit());
    if sound { Ok(()) } else { Err(CardError::Pan) }
}

fn checked_track(track: &Sensitive<String>, pan: &str) -> Result<Sensitive<String>, CardError> {
    let text = track.expose();
    let allowed = text.len() <= 37 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'=');
    let own = text.split('=').next() == Some(pan);
    if allowed && own { Ok(track.clone()) } else { Err(CardError::Track) }
}

/// Expiry `YYMM`, the four digits after the separator.
fn expiry_of(track2: &str) -> Option<Sensitive<String>> {
    let rest = track2.split_once('=')?.1;
    rest.get(..4).filter(|text| digits(text, 4)).map(|text| Sensitive::new(text.to_owned()))
}

/// Service code, the three digits after the expiry.
fn service_code(track2: &str) -> Option<Zeroizing<String>> {
    let rest = track2.split_once('=')?.1;
    rest.get(4..7).filter(|text| digits(text, 3)).map(|text| Zeroizing::new(text.to_owned()))
}

fn digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
}
