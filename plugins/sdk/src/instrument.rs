//! What the customer presents: a code, a card, cash. The clear data inside travels only from a reader's host through
//! the daemon to the host of the channel that needs it.

use serde::{Deserialize, Serialize};

use crate::sensitive::{Sensitive, wire};
use crate::{Extra, Money};

/// A kind of instrument as routing sees it. Open: a channel plugin may bring its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Family(String);

impl Family {
    /// Magnetic stripe card.
    pub const CARD_STRIPE: &'static str = "card-stripe";
    /// Magnetic stripe card from a reader that encrypts. A family of its own, so that only a channel that names it is given
    /// ciphertext.
    pub const CARD_ENCRYPTED: &'static str = "card-encrypted";
    /// Contact chip card.
    pub const CARD_CHIP: &'static str = "card-chip";
    /// Contactless card or phone (QuickPass and others).
    pub const CARD_CONTACTLESS: &'static str = "card-contactless";
    /// Alipay code shown by the customer.
    pub const QR_ALIPAY: &'static str = "qr-alipay";
    /// WeChat Pay code shown by the customer.
    pub const QR_WECHAT: &'static str = "qr-wechat";
    /// UnionPay code shown by the customer.
    pub const QR_UNIONPAY: &'static str = "qr-unionpay";
    /// A code that the till shows and the customer scans.
    pub const QR_SHOWN: &'static str = "qr-shown";
    /// Stored-value card of this merchant.
    pub const PREPAID: &'static str = "prepaid";
    /// Notes and coins.
    pub const CASH: &'static str = "cash";

    /// A family by its lower-kebab name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a reader read or an operator entered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Instrument {
    /// A scanned code.
    Code(ScannedCode),
    /// A swiped card, in clear.
    Stripe(StripeCard),
    /// A swiped card from a reader that encrypts: the till never sees the account number.
    Encrypted(EncryptedSwipe),
    /// A tapped or inserted chip card, as far as an online request needs it.
    Chip(ChipCard),
    /// A stored-value card by its identifier.
    StoredValue(StoredValueCard),
    /// No instrument: the till is to show a code.
    ShowCode,
    /// Cash that the customer handed over.
    Cash {
        /// What was handed over; at least the amount due.
        tendered: Money,
    },
}

/// A code as scanned, without the scanner's suffix and AIM prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScannedCode {
    /// The text. A payment code is a bearer credential for about a minute.
    #[serde(with = "wire")]
    pub text: Sensitive<String>,
    /// AIM symbology identifier without the bracket (`Q1`, `E0`), where the scanner sends one (ISO/IEC 15424).
    pub symbology: Option<String>,
}

/// Magnetic stripe data, sentinels and LRC removed (ISO/IEC 7813, ISO 4909).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StripeCard {
    /// Track 1 between its sentinels, format code first.
    #[serde(with = "wire::option")]
    pub track1: Option<Sensitive<String>>,
    /// Track 2 between its sentinels, `=` as separator.
    #[serde(with = "wire::option")]
    pub track2: Option<Sensitive<String>>,
    /// Track 3 between its sentinels.
    #[serde(with = "wire::option")]
    pub track3: Option<Sensitive<String>>,
    /// Account number, 12–19 digits.
    #[serde(with = "wire")]
    pub pan: Sensitive<String>,
    /// Expiry `YYMM`; absent where the card leaves it out.
    #[serde(with = "wire::option")]
    pub expiry: Option<Sensitive<String>>,
    /// Three-digit service code; absent where the card leaves it out. First digit 2 or 6: there is a chip.
    pub service_code: Option<String>,
    /// First six and last four digits, the rest stars.
    pub masked: String,
    /// Whether the account number passes the Luhn check. A report, never a reason to change digits.
    pub luhn: bool,
}

/// A swipe that left the reader encrypted. Its keys are in the reader and at the acquirer: nothing on the till opens it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptedSwipe {
    /// Key management of the ciphertext, lower-kebab: one of [`EncryptedSwipe::TDES_PIN`] and its neighbours; an open set. A
    /// channel refuses one that its acquirer does not have.
    pub scheme: String,
    /// Key serial number: 10 bytes (ANSI X9.24-1) or 12 (X9.24-3).
    pub ksn: Vec<u8>,
    /// Ciphertext by track number (1 to 3), each track by itself (CBC from a zero block, padded with zeros), sentinels inside.
    pub tracks: Vec<(u8, Vec<u8>)>,
    /// Masked account number as the reader gives it.
    pub masked: String,
    /// Expiry `YYMM` where the reader shows it.
    pub expiry: Option<String>,
    /// Service code where the reader shows it.
    pub service_code: Option<String>,
}

impl EncryptedSwipe {
    /// DUKPT of ANSI X9.24-1, TDES, under the PIN variant of the transaction key.
    pub const TDES_PIN: &'static str = "dukpt-tdes-pin";
    /// DUKPT of ANSI X9.24-1, TDES, under the data key (its variant enciphered by itself).
    pub const TDES_DATA: &'static str = "dukpt-tdes-data";
}

/// Chip data for an online authorisation (EMV Book 3; field 55 of the card networks).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChipCard {
    /// Tapped (true) or inserted.
    pub contactless: bool,
    /// Application identifier, 5–16 bytes.
    pub aid: Vec<u8>,
    /// Application label as shown to people.
    pub label: String,
    /// Data objects as BER-TLV.
    #[serde(with = "wire")]
    pub tlv: Sensitive<Vec<u8>>,
    /// Track 2 equivalent (tag 57) as digits with `=`.
    #[serde(with = "wire::option")]
    pub track2: Option<Sensitive<String>>,
    /// Account number.
    #[serde(with = "wire")]
    pub pan: Sensitive<String>,
    /// PAN sequence number (tag 5F34).
    pub pan_sequence: Option<u8>,
    /// Masked account number.
    pub masked: String,
    /// How the holder was verified on the card or phone.
    pub cvm: Cvm,
}

/// Cardholder verification that has happened, or is still owed.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Cvm {
    /// None done, none asked.
    None,
    /// On the customer's own device (fingerprint, face, code).
    OnDevice,
    /// Online PIN is asked for.
    OnlinePin,
    /// Signature is asked for.
    Signature,
}

/// A stored-value card by identifier only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredValueCard {
    /// Identifier as the reader gives it (UID or printed number).
    #[serde(with = "wire")]
    pub identifier: Sensitive<Vec<u8>>,
    /// Whether the card proved itself cryptographically; a bare UID can be copied.
    pub authenticated: bool,
    /// What may be shown.
    pub masked: String,
    /// Room for later facts.
    pub extra: Extra,
}

impl Instrument {
    /// What may be shown, logged and journalled of it.
    pub fn masked(&self) -> String {
        match self {
            Self::Code(code) => code.text.masked(2, 4),
            Self::Stripe(card) => card.masked.clone(),
            Self::Encrypted(card) => card.masked.clone(),
            Self::Chip(card) => card.masked.clone(),
            Self::StoredValue(card) => card.masked.clone(),
            Self::ShowCode | Self::Cash { .. } => String::new(),
        }
    }
}
