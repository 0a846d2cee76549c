//! How a host is set up.

use super::downloads::Parameters;
use super::fields::CodecError;
use super::mac::MacAlgorithm;
use serde::Deserialize;
use std::fmt;
use thiserror::Error;

/// A terminal known to this host.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terminal {
    /// Field 41, eight characters.
    pub tid: String,
    /// Field 42, fifteen characters.
    pub mid: String,
    /// Terminal master key, 32 hex digits; a test key, injected into the terminal by other means.
    #[serde(deserialize_with = "from_hex")]
    pub tmk: Vec<u8>,
    /// Hand out a 16-byte MAC key where the sign-in form has room for it.
    #[serde(default)]
    pub double_mak: bool,
    /// Batch to start with.
    #[serde(default = "first_batch")]
    pub batch: u32,
}

const fn first_batch() -> u32 {
    1
}

fn from_hex<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    hex::decode(text).map_err(|_| serde::de::Error::custom("a key is written in hex digits"))
}

fn key_from_hex<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<[u8; 16], D::Error> {
    let bytes = from_hex(deserializer)?;
    bytes.try_into().map_err(|_| serde::de::Error::custom("a base key has 32 hex digits"))
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminal").field("tid", &self.tid).field("mid", &self.mid).finish_non_exhaustive()
    }
}

impl Default for Terminal {
    /// The terminal of the published examples: 12345678 at merchant 123456789012345, TMK 0123…3210.
    fn default() -> Self {
        Self {
            tid: "12345678".into(),
            mid: "123456789012345".into(),
            tmk: vec![
                0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 0xFE, 0xDC, 0xBA, 0x98, 0x76, 0x54, 0x32,
                0x10,
            ],
            double_mak: false,
            batch: 1,
        }
    }
}

/// What the host's approvals say of the shop; what is not there is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// Displayed name of the merchant: field 43, in GB 18030.
    pub name: Option<String>,
    /// Merchant category code: field 18.
    pub mcc: Option<String>,
}

impl Profile {
    /// Puts fields 18 and 43 into an approval.
    pub(super) fn put(&self, answer: &mut super::message::Message) {
        if let Some(mcc) = &self.mcc {
            answer.set(18, mcc.as_str());
        }
        if let Some(name) = &self.name {
            let mut bytes = encoding_rs::GB18030.encode(name).0.into_owned();
            bytes.resize(40, b' ');
            answer.set(43, bytes);
        }
    }
}

/// How the host is set up; the JSON form is what `till-sim acquirer --config` reads.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostConfig {
    /// Terminals allowed to speak.
    pub terminals: Vec<Terminal>,
    /// How field 64 is made. With an SM4 MAC all keys are SM4 keys, the terminals' master keys too, and terminals sign in with 005.
    pub mac: MacAlgorithm,
    /// A field table in the form of `cup.toml`; empty = the common one, for SM4 with PIN blocks of 16 bytes.
    pub fields: String,
    /// Count cards outside the 62 range in the second half of field 48.
    pub split_foreign: bool,
    /// Take no payment of any batch while one is being settled (90), and none of the next batch before that one is closed
    /// (77). Without it payments are booked by the batch of field 60.2, and only the batch being settled is shut.
    pub settle_blocks_sales: bool,
    /// A hold may be completed several times, until nothing of it is left. Without it the first completion ends the hold and
    /// gives the rest back.
    pub several_completions: bool,
    /// Balance inquiries without a PIN are answered 55; that counts as no wrong try.
    pub balance_wants_pin: bool,
    /// What approvals say of the shop.
    pub profile: Profile,
    /// Base key of the PIN pads that this acquirer has loaded (X9.24-1), 32 hex digits; the standard's example.
    #[serde(deserialize_with = "key_from_hex")]
    pub pin_base_key: [u8; 16],
    /// Field with a pad's key serial number; without it a PIN block is under the PIN key of the sign-in.
    pub pin_ksn_field: u8,
    /// What terminals may download.
    pub parameters: Parameters,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self {
            terminals: vec![Terminal::default()],
            mac: MacAlgorithm::default(),
            fields: String::new(),
            split_foreign: false,
            settle_blocks_sales: false,
            several_completions: false,
            balance_wants_pin: false,
            profile: Profile::default(),
            pin_base_key: *b"\x01\x23\x45\x67\x89\xAB\xCD\xEF\xFE\xDC\xBA\x98\x76\x54\x32\x10",
            pin_ksn_field: 62,
            parameters: Parameters::default(),
        }
    }
}

/// A configuration this host cannot run with.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The field table.
    #[error(transparent)]
    Table(#[from] CodecError),
    /// A terminal's numbers or key.
    #[error("terminal {tid:?}: {what}")]
    Terminal {
        /// Which.
        tid: String,
        /// What is wrong with it.
        what: &'static str,
    },
}
