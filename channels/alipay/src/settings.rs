//! The channel's settings, and their check. A wrong one is refused when the channel opens, never at the first customer.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use till_plugin::PluginError;
use till_wallet::given;
pub use till_wallet::words::is_id;

/// The `settings` table of this channel. Unknown keys are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Application id at the open platform, digits.
    pub app_id: String,
    /// Key mode: Alipay's public key (not the application's): PEM, or the one line of base64 the console shows.
    pub alipay_public_key: Option<String>,
    /// Certificate mode: file with the PEM of the application's certificate.
    pub app_certificate_file: Option<PathBuf>,
    /// The same PEM as text, in place of a file.
    pub app_certificate_pem: Option<String>,
    /// Certificate mode: file with the PEM of Alipay's certificate, and behind it of what stands between it and a root.
    pub alipay_certificate_file: Option<PathBuf>,
    /// The same PEM as text, in place of a file.
    pub alipay_certificate_pem: Option<String>,
    /// Certificate mode: file with the PEM of Alipay's root certificates.
    pub alipay_root_file: Option<PathBuf>,
    /// The same PEM as text, in place of a file.
    pub alipay_root_pem: Option<String>,
    /// File with the PEM of the CA certificates that may sign the gateway's certificate. Required for `https`,
    /// unless `ca_pem` is given.
    pub ca_file: Option<PathBuf>,
    /// The same PEM as text, in place of a file.
    pub ca_pem: Option<String>,
    /// The gateway.
    #[serde(default = "gateway")]
    pub gateway: String,
    /// Where Alipay may post notifications. A till behind NAT has none.
    pub notify_url: Option<String>,
    /// Merchant's shop number, up to 32 characters.
    pub store_id: Option<String>,
    /// Merchant's terminal number, up to 32 characters.
    pub terminal_id: Option<String>,
    /// What the wallet shows when the sale itself names no subject.
    #[serde(default = "subject")]
    pub subject: String,
    /// After this Alipay closes an unpaid trade: `1m` to `15d`. Longer than `query_until_ms`.
    #[serde(default = "timeout_express")]
    pub timeout_express: String,
    /// Longest TCP connect, milliseconds.
    #[serde(default = "connect_timeout_ms")]
    pub connect_timeout_ms: u32,
    /// Longest exchange with the gateway, milliseconds.
    #[serde(default = "exchange_timeout_ms")]
    pub exchange_timeout_ms: u32,
    /// First query this long after an outcome became unknown, milliseconds.
    #[serde(default = "query_first_ms")]
    pub query_first_ms: u32,
    /// Pause between queries, milliseconds; the rule is 3 to 5 s.
    #[serde(default = "query_every_ms")]
    pub query_every_ms: u32,
    /// When to stop asking and cancel, milliseconds after the pay; the rule is 30 to 60 s.
    #[serde(default = "query_until_ms")]
    pub query_until_ms: u32,
    /// Pause after the first cancel that did not finish, milliseconds; doubles each time.
    #[serde(default = "cancel_pause_ms")]
    pub cancel_pause_ms: u32,
    /// Longest pause between cancels, milliseconds.
    #[serde(default = "cancel_pause_max_ms")]
    pub cancel_pause_max_ms: u32,
    /// Allows `http://`. For simulators only: anybody on the way can then read the payment code.
    #[serde(default)]
    pub insecure_http_for_tests: bool,
}

fn gateway() -> String {
    "https://openapi.alipay.com/gateway.do".into()
}
fn subject() -> String {
    "门店消费".into()
}
fn timeout_express() -> String {
    "2m".into()
}
const fn connect_timeout_ms() -> u32 {
    5_000
}
const fn exchange_timeout_ms() -> u32 {
    15_000
}
const fn query_first_ms() -> u32 {
    2_000
}
const fn query_every_ms() -> u32 {
    4_000
}
const fn query_until_ms() -> u32 {
    45_000
}
const fn cancel_pause_ms() -> u32 {
    2_000
}
const fn cancel_pause_max_ms() -> u32 {
    300_000
}

impl Config {
    /// Refuses what could only fail later.
    pub fn check(&self) -> Result<(), PluginError> {
        let no = |text: &str| Err(PluginError::settings(text));
        if !(8..=32).contains(&self.app_id.len()) || !self.app_id.bytes().all(|b| b.is_ascii_digit()) {
            return no(
                "app_id is not a number of 8 to 32 digits; copy it from the application's page at open.alipay.com",
            );
        }
        self.check_mode()?;
        let Some(lives) = lifetime(&self.timeout_express) else {
            return no("timeout_express is not a time from 1m to 15d (a number and m, h or d); write 2m");
        };
        if Duration::from_millis(self.query_until_ms.into()) >= lives {
            return no(
                "query_until_ms is not shorter than timeout_express; the trade would end before it is asked about",
            );
        }
        if self.query_every_ms < 100 || self.connect_timeout_ms < 100 || self.exchange_timeout_ms < 500 {
            return no(
                "query_every_ms or connect_timeout_ms is below 100, or exchange_timeout_ms below 500; write milliseconds",
            );
        }
        if self.cancel_pause_ms < 100 || self.cancel_pause_max_ms < self.cancel_pause_ms {
            return no("cancel_pause_ms is below 100 or above cancel_pause_max_ms; write milliseconds");
        }
        for (key, value) in [("store_id", &self.store_id), ("terminal_id", &self.terminal_id)] {
            if value.as_ref().is_some_and(|v| !is_id(v, 32)) {
                return Err(PluginError::settings(format!("{key} is not 1 to 32 letters, digits, - or _")));
            }
        }
        if fit_subject(&self.subject).is_none() {
            return no("subject is empty; write what the customer should read in the wallet");
        }
        given::at_most_one("ca", self.ca_file.as_deref(), self.ca_pem.as_deref())?;
        if self.notify_url.as_ref().is_some_and(|u| !u.starts_with("https://") || u.len() > 256) {
            return no(
                "notify_url is not an https:// address of at most 256 characters; leave it out for a till behind NAT",
            );
        }
        Ok(())
    }

    /// The CA certificates' PEM; empty when none is set.
    pub fn ca(&self) -> Result<String, PluginError> {
        given::pem("ca_file", self.ca_file.as_deref(), self.ca_pem.as_deref())
    }
}

/// A subject the gateway takes: no `/`, `=`, `&`, no controls, at most 128 characters; nothing when nothing is left.
pub fn fit_subject(text: &str) -> Option<String> {
    let fit: String = text
        .chars()
        .map(|c| if c.is_control() || matches!(c, '/' | '=' | '&') { ' ' } else { c })
        .take(128)
        .collect();
    Some(fit.trim().to_owned()).filter(|t| !t.is_empty())
}

fn lifetime(text: &str) -> Option<Duration> {
    let unit = match text.as_bytes().last()? {
        b'm' => 60,
        b'h' => 3_600,
        b'd' => 86_400,
        _ => return None,
    };
    let digits = text.get(..text.len() - 1)?;
    if digits.is_empty()
        || digits.len() > 5
        || digits.starts_with('0')
        || !digits.bytes().all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let seconds = digits.parse::<u64>().ok()? * unit;
    (60..=15 * 86_400).contains(&seconds).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use till_plugin::Settings;

    fn with(more: &str) -> Result<(), String> {
        let json = format!("{{\"app_id\":\"2021000000000001\",\"alipay_public_key\":\"x\"{more}}}");
        Settings::from_json(json).parse::<Config>().and_then(|c| c.check()).map_err(|e| e.message)
    }

    #[test]
    fn the_two_required_settings_are_enough_and_a_typing_error_is_named() {
        with("").unwrap();
        assert!(with(",\"gatway\":\"x\"").unwrap_err().contains("gatway"));
    }

    #[test]
    fn settings_that_would_fail_at_the_first_customer_fail_now() {
        for (bad, named) in [
            (",\"timeout_express\":\"30s\"", "timeout_express"),
            (",\"timeout_express\":\"16d\"", "timeout_express"),
            (",\"timeout_express\":\"\"", "timeout_express"),
            (",\"timeout_express\":\"1m\",\"query_until_ms\":60000", "query_until_ms"),
            (",\"query_every_ms\":4", "query_every_ms"),
            (",\"cancel_pause_max_ms\":100", "cancel_pause_ms"),
            (",\"store_id\":\"a b\"", "store_id"),
            (",\"subject\":\" \"", "subject"),
            (",\"ca_file\":\"/a\",\"ca_pem\":\"b\"", "ca_file"),
            (",\"notify_url\":\"http://x\"", "notify_url"),
        ] {
            assert!(with(bad).unwrap_err().contains(named), "{bad}");
        }
        let short =
            Settings::from_json("{\"app_id\":\"me\",\"alipay_public_key\":\"x\"}").parse::<Config>().unwrap();
        assert!(short.check().unwrap_err().message.contains("app_id"));
    }

    #[test]
    fn a_subject_never_carries_what_the_gateway_refuses() {
        assert_eq!(fit_subject("茶 & 点心/1=2\n").unwrap(), "茶   点心 1 2");
        assert_eq!(fit_subject("&/="), None);
        assert_eq!(fit_subject(&"长".repeat(300)).unwrap().chars().count(), 128);
    }
}
