//! The channel's settings, and their check. A wrong one is refused when the channel opens, never at the first customer.

use std::path::PathBuf;

use serde::Deserialize;
use till_plugin::PluginError;
use till_wallet::given;

use crate::message::Environment;

/// The `settings` table of this channel. Unknown keys are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Merchant number, 15 letters and digits.
    pub mer_id: String,
    /// Terminal number, 8 letters and digits.
    pub term_id: String,
    /// Which UnionPay.
    #[serde(default = "environment")]
    pub environment: Environment,
    /// The gateway's scheme and host, where it is another than the environment's.
    pub gateway: Option<String>,
    /// File with the PEM of the merchant's signing certificate.
    pub merchant_certificate_file: Option<PathBuf>,
    /// The same PEM as text, in place of a file.
    pub merchant_certificate_pem: Option<String>,
    /// File with the PEM of UnionPay's root certificates: what answers are believed by.
    pub root_file: Option<PathBuf>,
    /// The same PEM as text, in place of a file.
    pub root_pem: Option<String>,
    /// File with the PEM of the certificates between the root and an answer's.
    pub middle_file: Option<PathBuf>,
    /// The same PEM as text, in place of a file.
    pub middle_pem: Option<String>,
    /// File with the PEM of the CA certificates that may sign the gateway's TLS certificate. Required for `https`, unless
    /// `ca_pem` is given.
    pub ca_file: Option<PathBuf>,
    /// The same PEM as text, in place of a file.
    pub ca_pem: Option<String>,
    /// Where UnionPay may post notifications; the default is its own word for "nowhere".
    #[serde(default = "notify_url")]
    pub notify_url: String,
    /// How long a shown code can be paid, seconds.
    #[serde(default = "show_s")]
    pub show_s: u32,
    /// Longest TCP connect, milliseconds.
    #[serde(default = "connect_timeout_ms")]
    pub connect_timeout_ms: u32,
    /// Longest exchange with the gateway, milliseconds.
    #[serde(default = "exchange_timeout_ms")]
    pub exchange_timeout_ms: u32,
    /// First query this long after an outcome became unknown, milliseconds.
    #[serde(default = "query_first_ms")]
    pub query_first_ms: u32,
    /// Pause between queries, milliseconds.
    #[serde(default = "query_every_ms")]
    pub query_every_ms: u32,
    /// When to stop asking and reverse, milliseconds after the payment.
    #[serde(default = "query_until_ms")]
    pub query_until_ms: u32,
    /// How long to ask about a void, refund, completion or release before a person decides, milliseconds.
    #[serde(default = "follow_until_ms")]
    pub follow_until_ms: u32,
    /// Pause after the first reversal that did not finish, milliseconds; doubles each time.
    #[serde(default = "reverse_pause_ms")]
    pub reverse_pause_ms: u32,
    /// Longest pause between reversals, milliseconds.
    #[serde(default = "reverse_pause_max_ms")]
    pub reverse_pause_max_ms: u32,
    /// Allows `http://`. For simulators only: anybody on the way can then read the payment code.
    #[serde(default)]
    pub insecure_http_for_tests: bool,
}

const fn environment() -> Environment {
    Environment::Production
}
fn notify_url() -> String {
    "http://www.specialUrl.com".into()
}
const fn show_s() -> u32 {
    120
}
const fn connect_timeout_ms() -> u32 {
    5_000
}
const fn exchange_timeout_ms() -> u32 {
    15_000
}
const fn query_first_ms() -> u32 {
    1_000
}
const fn query_every_ms() -> u32 {
    5_000
}
const fn query_until_ms() -> u32 {
    60_000
}
const fn follow_until_ms() -> u32 {
    600_000
}
const fn reverse_pause_ms() -> u32 {
    3_000
}
const fn reverse_pause_max_ms() -> u32 {
    300_000
}

impl Config {
    /// Refuses what could only fail later.
    pub fn check(&self) -> Result<(), PluginError> {
        let no = |text: &str| Err(PluginError::settings(text));
        let plain = |t: &str, length| t.len() == length && t.bytes().all(|b| b.is_ascii_alphanumeric());
        if !plain(&self.mer_id, 15) {
            return no("mer_id is not 15 letters and digits; copy it from the UnionPay merchant console");
        }
        if !plain(&self.term_id, 8) {
            return no("term_id is not 8 letters and digits; write the terminal number that was registered");
        }
        for (what, file, pem) in [
            ("merchant_certificate", &self.merchant_certificate_file, &self.merchant_certificate_pem),
            ("root", &self.root_file, &self.root_pem),
        ] {
            if file.is_some() == pem.is_some() {
                return Err(PluginError::settings(format!("set one of {what}_file and {what}_pem")));
            }
        }
        given::at_most_one("middle", self.middle_file.as_deref(), self.middle_pem.as_deref())?;
        given::at_most_one("ca", self.ca_file.as_deref(), self.ca_pem.as_deref())?;
        let web = self.notify_url.starts_with("http://") || self.notify_url.starts_with("https://");
        if !web || self.notify_url.len() > 256 || !self.notify_url.bytes().all(|b| b.is_ascii_graphic()) {
            return no("notify_url is not an http(s):// address of at most 256 characters");
        }
        if !(10..=86_400).contains(&self.show_s) {
            return no("show_s is not 10 to 86400 seconds");
        }
        if self.query_every_ms < 50 {
            return no("query_every_ms is below 50; write milliseconds, 5000 is the default");
        }
        if self.reverse_pause_ms < 50 || self.reverse_pause_max_ms < self.reverse_pause_ms {
            return no("reverse_pause_ms is below 50 or above reverse_pause_max_ms; write milliseconds");
        }
        Ok(())
    }

    /// The gateway's address.
    pub fn gateway(&self) -> &str {
        self.gateway.as_deref().unwrap_or(self.environment.gateway())
    }

    /// The CA certificates' PEM; empty when none is set.
    pub fn ca(&self) -> Result<String, PluginError> {
        given::pem("ca_file", self.ca_file.as_deref(), self.ca_pem.as_deref())
    }

    /// The merchant certificate's PEM.
    pub fn merchant_certificate(&self) -> Result<String, PluginError> {
        let (file, pem) =
            (self.merchant_certificate_file.as_deref(), self.merchant_certificate_pem.as_deref());
        given::pem("merchant_certificate_file", file, pem)
    }

    /// PEM of the roots, and of what stands below them.
    pub fn authorities(&self) -> Result<(String, String), PluginError> {
        Ok((
            given::pem("root_file", self.root_file.as_deref(), self.root_pem.as_deref())?,
            given::pem("middle_file", self.middle_file.as_deref(), self.middle_pem.as_deref())?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use till_plugin::Settings;

    fn with(more: &str) -> Result<(), String> {
        let json = format!(
            "{{\"mer_id\":\"777290058110048\",\"term_id\":\"12345678\",\"merchant_certificate_pem\":\"x\",\"root_pem\":\"y\"{more}}}"
        );
        Settings::from_json(json).parse::<Config>().and_then(|c| c.check()).map_err(|e| e.message)
    }

    #[test]
    fn the_required_settings_are_enough_and_a_typing_error_is_named() {
        with("").unwrap();
        assert!(with(",\"gatway\":\"x\"").unwrap_err().contains("gatway"));
    }

    #[test]
    fn settings_that_would_fail_at_the_first_customer_fail_now() {
        for (bad, named) in [
            (",\"query_every_ms\":4", "query_every_ms"),
            (",\"reverse_pause_max_ms\":100", "reverse_pause_ms"),
            (",\"show_s\":1", "show_s"),
            (",\"root_file\":\"/a\"", "root_file"),
            (",\"merchant_certificate_file\":\"/a\"", "merchant_certificate"),
            (",\"middle_file\":\"/a\",\"middle_pem\":\"b\"", "middle_file"),
            (",\"ca_file\":\"/a\",\"ca_pem\":\"b\"", "ca_file"),
            (",\"notify_url\":\"ftp://x\"", "notify_url"),
            (",\"environment\":\"live\"", "environment"),
        ] {
            let said = with(bad).unwrap_err();
            assert!(said.contains(named) || said.contains("unknown variant"), "{bad}: {said}");
        }
        let short = "{\"mer_id\":\"7772900581100\",\"term_id\":\"12345678\"}";
        assert!(Settings::from_json(short).parse::<Config>().and_then(|c| c.check()).is_err());
    }
}
