//! The channel's settings, as written in `tilld.toml`, checked before anything is connected.

use crate::card::NoPin;
use crate::dialect::Dialect;
use crate::messages::Terminal;
use crate::params::Download;
use serde::Deserialize;
use std::path::PathBuf;
use till_plugin::channel::FollowKind;
use till_plugin::{PluginError, Settings};

/// Settings as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    address: String,
    terminal: String,
    merchant: String,
    #[serde(default)]
    no_pin: NoPin,
    #[serde(default)]
    no_pin_limit: u32,
    #[serde(default)]
    balance_without_pin: bool,
    #[serde(default = "pin_key")]
    pin_key: String,
    #[serde(default = "yes")]
    tls: bool,
    tls_ca: Option<PathBuf>,
    tls_name: Option<String>,
    tls_client_certificate: Option<PathBuf>,
    tmk_check: Option<String>,
    #[serde(default = "card_again")]
    card_again: Vec<FollowKind>,
    #[serde(default)]
    completion: Completion,
    #[serde(default)]
    repeat_notices: bool,
    #[serde(default)]
    settle_blocks_sales: bool,
    #[serde(default)]
    downloads: Vec<Download>,
    #[serde(default = "daily")]
    download_hours: u16,
    #[serde(default)]
    download_when_asked: bool,
    #[serde(default)]
    dialect: toml::Table,
}

fn yes() -> bool {
    true
}

fn daily() -> u16 {
    24
}

fn pin_key() -> String {
    "pin".into()
}

fn card_again() -> Vec<FollowKind> {
    vec![FollowKind::Void, FollowKind::Refund]
}

/// How held money is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Completion {
    /// Asked (0200, type 20): reversed like a sale when its answer is lost.
    #[default]
    Request,
    /// Told (0220, type 24): never reversed.
    Notice,
}

/// How to reach the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Security {
    /// TLS.
    Tls {
        /// PEM file with the acquirer's roots.
        ca: PathBuf,
        /// Name the server's certificate must be for.
        name: String,
        /// PEM file with our certificate; its key is the secret `tls-client-key`.
        client_certificate: Option<PathBuf>,
    },
    /// Plain TCP.
    Plain,
}

/// What is downloaded, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downloads {
    /// What, in this order.
    pub wanted: Vec<Download>,
    /// Again after this long, besides after each sign-in.
    pub every_ms: Option<u64>,
    /// Also when the host asks for it in its header.
    pub when_asked: bool,
}

/// Checked settings.
#[derive(Debug)]
pub struct Config {
    /// `host:port`.
    pub address: String,
    /// How to reach it.
    pub security: Security,
    /// Who we are.
    pub terminal: Terminal,
    /// Cards that ask for a PIN without a pad.
    pub no_pin: NoPin,
    /// Cards by tap owe no PIN up to this amount, minor units.
    pub no_pin_limit: i64,
    /// Whether a till without a pad may ask for balances without a PIN.
    pub balance_without_pin: bool,
    /// Name of the key in the PIN pad.
    pub pin_key: String,
    /// Check value of the master key.
    pub tmk_check: Option<String>,
    /// What follows a payment only with its card presented again.
    pub card_again: Vec<FollowKind>,
    /// How held money is taken.
    pub completion: Completion,
    /// Whether an unanswered notice may be repeated to learn what became of it.
    pub repeat_notices: bool,
    /// Whether the network takes no payment of any batch while one is being settled.
    pub settle_blocks_sales: bool,
    /// Parameter downloads.
    pub downloads: Downloads,
    /// How the acquirer speaks.
    pub dialect: Dialect,
}

impl Config {
    /// Reads and checks.
    pub fn read(settings: &Settings) -> Result<Self, PluginError> {
        let written: Written = settings.parse()?;
        let dialect = Dialect::overlaid_by(written.dialect)
            .map_err(|error| PluginError::settings(format!("setting dialect: {error}")))?;
        let host = match written.address.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) => host,
            _ => {
                return Err(PluginError::settings(
                    "setting address: write it as host:port, such as 10.0.0.5:8583",
                ));
            }
        };
        let security = match (written.tls, written.tls_ca) {
            (false, _) => Security::Plain,
            (true, Some(ca)) => Security::Tls {
                ca,
                name: written.tls_name.unwrap_or_else(|| host.trim_matches(['[', ']']).to_owned()),
                client_certificate: written.tls_client_certificate,
            },
            (true, None) => {
                return Err(PluginError::settings(
                    "setting tls_ca: name the PEM file with the acquirer's root certificates, or set tls = false on a private line",
                ));
            }
        };
        let printable = |text: &str, length: usize| {
            text.len() == length && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !printable(&written.terminal, 8) {
            return Err(PluginError::settings(
                "setting terminal: the acquirer's terminal number, 8 characters",
            ));
        }
        if !printable(&written.merchant, 15) {
            return Err(PluginError::settings(
                "setting merchant: the acquirer's merchant number, 15 characters",
            ));
        }
        let key = written.pin_key.as_bytes();
        if !(1..=16).contains(&key.len()) || !key.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-') {
            return Err(PluginError::settings(
                "setting pin_key: the key's name in the PIN pad, 1 to 16 letters, digits or dashes",
            ));
        }
        let hours = u64::from(written.download_hours);
        let wanted = written.downloads;
        for what in Download::ALL {
            if wanted.iter().filter(|there| **there == what).count() > 1 {
                return Err(PluginError::settings(format!("setting downloads: {what} stands there twice")));
            }
        }
        Ok(Self {
            address: written.address,
            security,
            terminal: Terminal { id: written.terminal, merchant: written.merchant },
            no_pin: written.no_pin,
            no_pin_limit: written.no_pin_limit.into(),
            balance_without_pin: written.balance_without_pin,
            pin_key: written.pin_key,
            tmk_check: written.tmk_check,
            card_again: written.card_again,
            completion: written.completion,
            repeat_notices: written.repeat_notices,
            settle_blocks_sales: written.settle_blocks_sales,
            downloads: Downloads {
                wanted,
                every_ms: (hours > 0).then_some(hours * 3_600_000),
                when_asked: written.download_when_asked,
            },
            dialect,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::MacAlgorithm;

    fn read(change: impl FnOnce(&mut serde_json::Value)) -> Result<Config, String> {
        let mut settings = serde_json::json!({
            "address": "127.0.0.1:8583", "terminal": "12345678", "merchant": "123456789012345", "tls": false,
        });
        change(&mut settings);
        Config::read(&Settings::from_json(settings.to_string())).map_err(|error| error.message)
    }

    #[test]
    fn what_is_left_out_is_the_strict_choice() {
        let config = read(|_| ()).unwrap();
        assert_eq!((config.no_pin, config.balance_without_pin), (NoPin::Refuse, false));
        assert_eq!(config.dialect.name, "cup");
        let none = Downloads { wanted: Vec::new(), every_ms: Some(86_400_000), when_asked: false };
        assert_eq!(config.downloads, none);
        assert_eq!(config.card_again, [FollowKind::Void, FollowKind::Refund]);
        assert_eq!((config.completion, config.repeat_notices), (Completion::Request, false));
        let error = read(|settings| _ = settings.as_object_mut().unwrap().remove("tls")).unwrap_err();
        assert!(error.contains("tls_ca"), "{error}");
    }

    #[test]
    fn the_certificate_must_be_for_the_host_unless_another_name_is_given() {
        let tls = |extra: serde_json::Value| {
            read(|settings| {
                settings["tls"] = true.into();
                settings["tls_ca"] = "/etc/tilld/acquirer.pem".into();
                settings["address"] = "pos.example:8583".into();
                settings["tls_name"] = extra;
            })
        };
        let name = |config: Config| match config.security {
            Security::Tls { name, .. } => name,
            Security::Plain => panic!("plain"),
        };
        assert_eq!(name(tls(serde_json::Value::Null).unwrap()), "pos.example");
        assert_eq!(name(tls("other.example".into()).unwrap()), "other.example");
    }

    #[test]
    fn a_dialect_table_lies_over_the_shipped_one() {
        let config = read(|settings| {
            settings["dialect"] = serde_json::json!({
                "mac": { "algorithm": "x9.19", "form": "raw" }, "timing": { "answer": 40000 },
                "envelope": { "tpdu": "6000840000" },
            });
        });
        let dialect = config.unwrap().dialect;
        assert_eq!(dialect.mac.algorithm, MacAlgorithm::X919);
        assert_eq!(dialect.timing.answer.as_secs(), 40);
        assert_eq!(dialect.envelope.tpdu, [0x60, 0, 0x84, 0, 0]);
    }

    #[test]
    fn wrong_settings_are_named() {
        for (key, value, word) in [
            ("address", "nowhere".into(), "address"),
            ("address", ":1".into(), "address"),
            ("address", "host:0".into(), "address"),
            ("terminal", "1234567".into(), "terminal"),
            ("merchant", "12345678901234五".into(), "merchant"),
            ("no_pin", "maybe".into(), "maybe"),
            ("no_pin_limit", (-1).into(), "-1"),
            ("pin_key", "".into(), "pin_key"),
            ("card_again", serde_json::json!(["void", "sale"]), "sale"),
            ("completion", "later".into(), "later"),
            ("downloads", serde_json::json!(["keys", "everything"]), "everything"),
            ("downloads", serde_json::json!(["keys", "keys"]), "keys stands there twice"),
            ("adress", "x:1".into(), "adress"),
            ("dialect", serde_json::json!({ "mac": { "algorithm": "none" } }), "none"),
        ] {
            let error = read(|settings| settings[key] = value).unwrap_err();
            assert!(error.contains(word), "{key}: {error}");
        }
    }
}
