//! The parts of a dialect, as checked values.

use serde::Deserialize;
use std::time::Duration;
use till_plugin::Currency;

/// How a length prefix is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum LengthForm {
    /// Two bytes, big-endian.
    #[serde(rename = "binary-2")]
    Binary2,
    /// Four decimal digits in two bytes.
    #[serde(rename = "bcd-2")]
    Bcd2,
    /// Four ASCII digits.
    #[serde(rename = "ascii-4")]
    Ascii4,
}

/// Framing on the stream.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frame {
    /// How the prefix is written.
    pub length: LengthForm,
    /// Whether the prefix counts its own bytes too.
    #[serde(default)]
    pub length_counts_itself: bool,
    /// Longest payload (without prefix) that is accepted or sent, in bytes.
    pub max_bytes: usize,
}

/// How MTI, bitmap, lengths or digits are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Alphabet {
    /// Packed decimal, two digits a byte.
    Bcd,
    /// One ASCII character a digit.
    Ascii,
    /// Bytes as they are (bitmap only).
    Binary,
    /// Hexadecimal ASCII (bitmap only).
    Hex,
}

/// Encodings that all fields share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of TPDU before the header, 0 to 16.
    pub tpdu_bytes: usize,
    /// Bytes of header before the MTI, 0 to 64.
    pub header_bytes: usize,
    /// `Bcd` or `Ascii`.
    pub mti: Alphabet,
    /// `Binary` or `Hex`.
    pub bitmap: Alphabet,
    /// LL and LLL: `Bcd` or `Ascii`.
    pub lengths: Alphabet,
    /// n and z fields: `Bcd` or `Ascii`.
    pub digits: Alphabet,
    /// The nibble (`D`) or character that stands for `=` in track data.
    pub track_separator: char,
}

/// What goes before every request's MTI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// TPDU, exactly [`Layout::tpdu_bytes`] long.
    pub tpdu: Vec<u8>,
    /// Header, exactly [`Layout::header_bytes`] long.
    pub header: Vec<u8>,
}

/// MAC algorithms in use on terminal links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum MacAlgorithm {
    /// The "UnionPay ECB" folding (channels.md §1.5).
    #[serde(rename = "cup-ecb")]
    CupEcb,
    /// ANSI X9.9: single DES in CBC, zero IV, zero padding.
    #[serde(rename = "x9.9")]
    X99,
    /// ANSI X9.19 / ISO 9797-1 algorithm 3, double-length key.
    #[serde(rename = "x9.19")]
    X919,
    /// Triple DES in CBC, zero IV, zero padding, double-length key.
    #[serde(rename = "3des-cbc")]
    TdesCbc,
    /// SM4 in CBC, zero IV, zero padding, the left eight bytes of the last block.
    #[serde(rename = "sm4-cbc")]
    Sm4Cbc,
    /// The "UnionPay ECB" folding over blocks of sixteen bytes, enciphered with SM4, the left eight bytes.
    #[serde(rename = "sm4-ecb")]
    Sm4Ecb,
}

impl MacAlgorithm {
    /// The cipher its key is for.
    pub fn cipher(self) -> Cipher {
        match self {
            Self::Sm4Cbc | Self::Sm4Ecb => Cipher::Sm4,
            _ => Cipher::Des,
        }
    }
}

/// How the eight-byte MAC block becomes field 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MacForm {
    /// The first four bytes as eight upper-case hexadecimal characters.
    Hex,
    /// The eight bytes.
    Raw,
    /// The first four bytes, then four zero bytes.
    Half,
}

/// What the MAC covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MacScope {
    /// Wire bytes from the MTI up to, not including, field 64.
    Message,
    /// The wire bytes of these fields' values (0 is the MTI), without their lengths, those absent left out.
    Fields(Vec<u8>),
}

/// Message authentication of a dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mac {
    /// The algorithm.
    pub algorithm: MacAlgorithm,
    /// Its form in field 64.
    pub form: MacForm,
    /// What it covers.
    pub scope: MacScope,
    /// Message types we sign.
    pub requests: Vec<String>,
    /// Message types we believe only with a right MAC.
    pub replies: Vec<String>,
    /// Response codes that may come without a MAC; they count as a decline, never as more.
    pub unsigned_declines: Vec<String>,
}

/// Request field values that acquirers choose differently.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestRules {
    /// The only currency this acquirer takes; field 49 carries its ISO 4217 number.
    pub currency: Currency,
    /// Whether field 2 is sent beside track 2.
    pub pan_with_track2: bool,
    /// Field 53 with a PIN block; empty: left out.
    pub pin_control: String,
    /// Field 53 without a PIN block; empty: left out.
    pub no_pin_control: String,
    /// Field with the key serial number of a DUKPT key beside field 52; 0: the acquirer takes no such keys.
    #[serde(default)]
    pub pin_ksn_field: u8,
    /// Field 26 beside field 52; empty: left out.
    pub pin_capture_length: String,
    /// 60.4.
    pub terminal_capability: String,
    /// 60.5.
    pub ic_condition: String,
    /// 60.3 of a sign-in, also the key of the form in `[sign_in]`.
    pub sign_in_code: String,
    /// 60.3 of a sign-off.
    pub sign_off_code: String,
    /// 60.3 of an echo.
    pub echo_code: String,
    /// 60.3 of a settlement.
    pub settlement_code: String,
    /// 60.3 of uploaded records and notices.
    pub upload_code: String,
    /// 60.3 of the end of a batch whose totals agreed.
    pub upload_end_code: String,
    /// 60.3 of the end of a batch whose details were uploaded.
    pub upload_end_unbalanced_code: String,
    /// First two digits of an uploaded record.
    pub upload_card_class: String,
    /// Most that a completion may take of its hold, per cent.
    pub completion_percent: u16,
    /// Field 63 of sign-in and settlement.
    pub operator: String,
    /// Tags of field 55 in wire order, upper-case hexadecimal.
    pub emv_tags: Vec<String>,
}

/// Deadlines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Longest time to connect.
    pub connect: Duration,
    /// Longest time from the last byte sent to the matching reply.
    pub answer: Duration,
    /// How long working keys live after a sign-in.
    pub key_life: Duration,
}

/// How reversals are built and finished.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReversalRules {
    /// Sends before the reversal is parked for a person.
    pub max_sends: u32,
    /// Connect failures, counted apart, before it is parked.
    pub max_connect_failures: u32,
    /// Response codes that finish it.
    pub done: Vec<String>,
    /// Chip data tags that a reversal repeats, in this order, upper-case hexadecimal.
    pub keep_emv_tags: Vec<String>,
    /// Reasons for which tag 9F36 is left out.
    pub drop_counter_for: Vec<String>,
}

impl RequestRules {
    /// Whether PIN blocks come under keys that a pad derives, and no others.
    pub const fn takes_derived_keys(&self) -> bool {
        self.pin_ksn_field != 0
    }

    /// Field 49: three digits.
    pub fn currency_number(&self) -> String {
        format!("{:03}", self.currency.numeric())
    }
}

/// The cipher of the keys between terminal and host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cipher {
    /// DES, and triple DES with keys of 16 and 24 bytes.
    #[default]
    Des,
    /// SM4 (GB/T 32907-2016), keys of 16 bytes.
    Sm4,
}

/// A working key's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyName {
    /// PIN key.
    Pik,
    /// MAC key.
    Mak,
    /// Track data key.
    Tdk,
}

/// One key inside field 62.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPart {
    /// Which key.
    pub key: KeyName,
    /// Wrapped length: 8 or 16, for SM4 16. A 16-byte DES MAK whose second half is zero on the wire is a single-length key.
    pub bytes: usize,
    /// Check value bytes that follow, 3 to 8.
    pub check: usize,
}

/// The layout of field 62 for one sign-in code.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInForm {
    /// Cipher of the keys and of the master key they are under.
    #[serde(default)]
    pub cipher: Cipher,
    /// Bytes before the first key (a type byte in some dialects).
    #[serde(default)]
    pub skip: usize,
    /// Keys in wire order.
    pub parts: Vec<KeyPart>,
}

impl SignInForm {
    /// How long field 62 must be.
    pub fn length(&self) -> usize {
        self.skip + self.parts.iter().map(|part| part.bytes + part.check).sum::<usize>()
    }
}
