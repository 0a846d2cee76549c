//! Parameter downloads: contactless limits, keys of the schemes, card applications (channels.md §1.3, §6).
//!
//! Sans-I/O: [`job`] says what to ask next and takes the answer, [`tlv`] reads it, [`limits`], [`keys`] and
//! [`applications`] say whether it is sound, [`stored`] keeps what is in force over restarts. A download is taken whole or
//! not at all. Its replies carry no MAC in this protocol: only TLS, the bounds in the settings and the check values of keys
//! stand between an open network and what is used.

pub mod applications;
pub mod job;
pub mod keys;
pub mod limits;
pub mod stored;
pub mod tlv;

use applications::Application;
use keys::{SchemeKey, Sent};
use limits::ContactlessLimits;
use serde::Deserialize;
use std::fmt;
use till_plugin::Currency;

/// What may be downloaded, as the setting `downloads` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Download {
    /// Up to which amount a tap owes neither PIN nor signature.
    ContactlessLimits,
    /// Public keys of the card schemes.
    Keys,
    /// Card applications.
    Applications,
}

impl Download {
    /// All.
    pub const ALL: [Self; 3] = [Self::ContactlessLimits, Self::Keys, Self::Applications];

    /// Its name in the settings and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ContactlessLimits => "contactless-limits",
            Self::Keys => "keys",
            Self::Applications => "applications",
        }
    }

    /// What a host asks for with this nibble of its header: 4 keys, 5 applications (by one public client; 1 is the
    /// terminal's parameters, of which the contactless limits are what is downloaded here).
    pub const fn asked_by(nibble: u8) -> Option<Self> {
        match nibble {
            1 => Some(Self::ContactlessLimits),
            4 => Some(Self::Keys),
            5 => Some(Self::Applications),
            _ => None,
        }
    }
}

impl fmt::Display for Download {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// A finished download, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Contactless limits.
    Limits(ContactlessLimits),
    /// Keys.
    Keys(Vec<SchemeKey>),
    /// Applications.
    Applications(Vec<Application>),
}

impl Content {
    /// Reads the parts of a download as they came; says in words what is wrong with them.
    pub fn read(what: Download, parts: &[Vec<u8>], currency: Currency) -> Result<Self, String> {
        match what {
            Download::ContactlessLimits => {
                let [only] = parts else { return Err("it has not one part".into()) };
                ContactlessLimits::read(only, currency).map(Self::Limits).map_err(|error| error.to_string())
            }
            Download::Keys => {
                let keys = parts.iter().map(|part| match SchemeKey::read(part) {
                    Ok(Sent::Key(key)) => Ok(key),
                    Ok(Sent::Other(name)) => Err(format!("{name} is of another algorithm")),
                    Err(error) => Err(error.to_string()),
                });
                keys.collect::<Result<_, _>>().map(Self::Keys)
            }
            Download::Applications => {
                let all = parts.iter().map(|part| Application::read(part).map_err(|error| error.to_string()));
                all.collect::<Result<_, _>>().map(Self::Applications)
            }
        }
    }

    /// In a few words, for people.
    pub fn told(&self) -> String {
        match self {
            Self::Limits(limits) => {
                let some = |money: till_plugin::Money| match money.minor() {
                    0 => "none".to_owned(),
                    _ => money.to_string(),
                };
                let cards = match limits.cards {
                    limits::Cards::None => "off",
                    limits::Cards::Credit => "credit cards",
                    limits::Cards::All => "all cards",
                };
                let (no_pin, no_signature) = (some(limits.no_pin), some(limits.no_signature));
                format!("no PIN to {no_pin} ({cards}), no signature to {no_signature}")
            }
            Self::Keys(keys) => match keys.iter().map(|key| key.last_day).min() {
                Some(first) => format!("{} scheme keys, the first ends {first}", keys.len()),
                None => "no scheme keys".into(),
            },
            Self::Applications(all) => format!("{} applications", all.len()),
        }
    }
}
