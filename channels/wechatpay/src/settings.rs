//! The channel's settings, and their check. A wrong one is refused when the channel opens, never at the first customer.

use std::path::PathBuf;

use serde::Deserialize;
use till_plugin::PluginError;
use till_wallet::given;
use till_wallet::words::is_id;

use crate::v2::sign::Method;

/// The platform asks that a reverse comes no sooner than this after the payment, milliseconds (channels §3.3).
pub const REVERSE_NOT_BEFORE_MS: u32 = 15_000;

/// Which interface of the platform is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interface {
    /// JSON, RSA seals.
    V3,
    /// XML, MD5 or HMAC seals; for merchants still on it.
    V2,
}

/// The `settings` table of this channel. Unknown keys are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which interface.
    #[serde(default = "api")]
    pub api: Interface,
    /// Application id, `wx…`.
    pub appid: String,
    /// Merchant number, digits.
    pub mchid: String,
    /// Serial number of the merchant's API certificate, hexadecimal; required for v3.
    pub merchant_serial: Option<String>,
    /// The platform's public key: PEM, or one line of base64.
    pub platform_public_key: Option<String>,
    /// Its id, `PUB_KEY_ID_…`.
    pub platform_public_key_id: Option<String>,
    /// A second public key, while the platform changes from one to another.
    pub next_platform_public_key: Option<String>,
    /// Its id.
    pub next_platform_public_key_id: Option<String>,
    /// PEM of the platform's certificates, any number, for merchants without a public key.
    pub platform_certificates: Option<String>,
    /// File with the PEM of the CA certificates that may sign the gateway's certificate. Required for `https`, unless
    /// `ca_pem` is given.
    pub ca_file: Option<PathBuf>,
    /// The same PEM as text, in place of a file.
    pub ca_pem: Option<String>,
    /// File with the PEM of the merchant's API certificate; v2 asks for it to reverse and refund.
    pub merchant_certificate_file: Option<PathBuf>,
    /// The same PEM as text, in place of a file.
    pub merchant_certificate_pem: Option<String>,
    /// The platform's entry: scheme and host.
    #[serde(default = "gateway")]
    pub gateway: String,
    /// A second entry to the same system, tried where nothing could be sent to the first.
    pub second_gateway: Option<String>,
    /// Where the platform may post notifications; without it no code is shown.
    pub notify_url: Option<String>,
    /// Merchant's shop number, up to 32 characters.
    pub store_id: Option<String>,
    /// Merchant's terminal number, up to 32 characters.
    pub terminal_id: Option<String>,
    /// What the wallet shows when the sale itself names no subject.
    #[serde(default = "subject")]
    pub subject: String,
    /// v2: how both sides seal.
    #[serde(default = "v2_sign_type")]
    pub v2_sign_type: Method,
    /// v2: the till's address as the merchant states it.
    #[serde(default = "v2_device_ip")]
    pub v2_device_ip: String,
    /// Longest TCP connect, milliseconds.
    #[serde(default = "connect_timeout_ms")]
    pub connect_timeout_ms: u32,
    /// Longest exchange with the platform, milliseconds.
    #[serde(default = "exchange_timeout_ms")]
    pub exchange_timeout_ms: u32,
    /// First query this long after an outcome became unknown, milliseconds; the rule is 5 s.
    #[serde(default = "query_every_ms")]
    pub query_first_ms: u32,
    /// Pause between queries, milliseconds; the rule is 5 to 10 s.
    #[serde(default = "query_every_ms")]
    pub query_every_ms: u32,
    /// When to stop asking and reverse, milliseconds after the payment; the rule is 45 s.
    #[serde(default = "query_until_ms")]
    pub query_until_ms: u32,
    /// How long to ask about a refund before a person decides, milliseconds.
    #[serde(default = "refund_until_ms")]
    pub refund_until_ms: u32,
    /// No reverse sooner than this after the payment, milliseconds; less than 15 s only with a simulator.
    #[serde(default = "reverse_not_before_ms")]
    pub reverse_not_before_ms: u32,
    /// Pause after the first reverse that did not finish, milliseconds; doubles each time.
    #[serde(default = "reverse_pause_ms")]
    pub reverse_pause_ms: u32,
    /// Longest pause between reverses, milliseconds.
    #[serde(default = "reverse_pause_max_ms")]
    pub reverse_pause_max_ms: u32,
    /// Allows `http://`. For simulators only: anybody on the way can then read the payment code.
    #[serde(default)]
    pub insecure_http_for_tests: bool,
}

const fn api() -> Interface {
    Interface::V3
}
fn gateway() -> String {
    "https://api.mch.weixin.qq.com".into()
}
fn subject() -> String {
    "门店消费".into()
}
const fn v2_sign_type() -> Method {
    Method::HmacSha256
}
fn v2_device_ip() -> String {
    "127.0.0.1".into()
}
const fn connect_timeout_ms() -> u32 {
    5_000
}
const fn exchange_timeout_ms() -> u32 {
    15_000
}
const fn query_every_ms() -> u32 {
    5_000
}
const fn query_until_ms() -> u32 {
    45_000
}
const fn refund_until_ms() -> u32 {
    600_000
}
const fn reverse_not_before_ms() -> u32 {
    REVERSE_NOT_BEFORE_MS
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
        let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        if !(8..=32).contains(&self.mchid.len()) || !digits(&self.mchid) {
            return no("mchid is not a number of 8 to 32 digits; copy it from the merchant console");
        }
        if !is_id(&self.appid, 32) {
            return no("appid is not 1 to 32 letters and digits; copy it (wx…) from the open platform");
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
        let (file, pem) =
            (self.merchant_certificate_file.as_deref(), self.merchant_certificate_pem.as_deref());
        given::at_most_one("merchant_certificate", file, pem)?;
        if self.notify_url.as_ref().is_some_and(|u| !u.starts_with("https://") || u.len() > 256) {
            return no("notify_url is not an https:// address of at most 256 characters");
        }
        if self.query_every_ms < 50 {
            return no("query_every_ms is below 50; write milliseconds, 5000 is the rule");
        }
        if self.reverse_pause_ms < 50 || self.reverse_pause_max_ms < self.reverse_pause_ms {
            return no("reverse_pause_ms is below 50 or above reverse_pause_max_ms; write milliseconds");
        }
        if self.reverse_not_before_ms < REVERSE_NOT_BEFORE_MS && !self.insecure_http_for_tests {
            return no(
                "reverse_not_before_ms is below 15000; WeChat Pay takes no reverse sooner than 15 s after the payment",
            );
        }
        match self.api {
            Interface::V3 => self.check_v3(),
            Interface::V2 => {
                let certified =
                    self.merchant_certificate_file.is_some() || self.merchant_certificate_pem.is_some();
                if !certified && !self.insecure_http_for_tests {
                    return no(
                        "merchant_certificate_file is not set; interface v2 reverses and refunds only with the merchant's certificate",
                    );
                }
                if self.v2_device_ip.parse::<std::net::IpAddr>().is_err() {
                    return no("v2_device_ip is not an IP address");
                }
                Ok(())
            }
        }
    }

    fn check_v3(&self) -> Result<(), PluginError> {
        let hexadecimal =
            |s: &String| (1..=64).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_hexdigit());
        if !self.merchant_serial.as_ref().is_some_and(hexadecimal) {
            return Err(PluginError::settings(
                "merchant_serial is not the hexadecimal serial number of the merchant's API certificate; copy it from the \
                 merchant console (API security)",
            ));
        }
        for (key, id) in [
            (&self.platform_public_key, &self.platform_public_key_id),
            (&self.next_platform_public_key, &self.next_platform_public_key_id),
        ] {
            if key.is_some() != id.is_some() || id.as_ref().is_some_and(|id| !is_id(id, 64)) {
                return Err(PluginError::settings(
                    "a platform public key and its id (PUB_KEY_ID_…) belong together; set both or neither",
                ));
            }
        }
        Ok(())
    }

    /// The CA certificates' PEM; empty when none is set.
    pub fn ca(&self) -> Result<String, PluginError> {
        given::pem("ca_file", self.ca_file.as_deref(), self.ca_pem.as_deref())
    }

    /// The merchant certificate's PEM; empty when none is set.
    pub fn merchant_certificate(&self) -> Result<String, PluginError> {
        let (file, pem) =
            (self.merchant_certificate_file.as_deref(), self.merchant_certificate_pem.as_deref());
        given::pem("merchant_certificate_file", file, pem)
    }
}

/// A description the platform takes: no controls, at most 127 bytes; nothing when nothing is left.
pub fn fit_subject(text: &str) -> Option<String> {
    fit(text, 127)
}

/// A reason for a refund the platform takes: at most 80 bytes.
pub fn fit_reason(text: &str) -> Option<String> {
    fit(text, 80)
}

fn fit(text: &str, longest: usize) -> Option<String> {
    let mut fit = String::new();
    for c in text.chars() {
        let c = if c.is_control() || matches!(c, '<' | '>' | '&') { ' ' } else { c };
        if fit.len() + c.len_utf8() > longest {
            break;
        }
        fit.push(c);
    }
    Some(fit.trim().to_owned()).filter(|t| !t.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use till_plugin::Settings;

    fn with(more: &str) -> Result<(), String> {
        let json = format!(
            "{{\"appid\":\"wxd930ea5d5a258f4f\",\"mchid\":\"1900000001\",\"merchant_serial\":\"5F1C72E2\"{more}}}"
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
            (",\"reverse_not_before_ms\":14999", "15 s"),
            (",\"store_id\":\"a b\"", "store_id"),
            (",\"subject\":\" \"", "subject"),
            (",\"ca_file\":\"/a\",\"ca_pem\":\"b\"", "ca_file"),
            (",\"notify_url\":\"http://x\"", "notify_url"),
            (",\"platform_public_key\":\"x\"", "its id"),
            (",\"next_platform_public_key_id\":\"x\"", "its id"),
            (",\"api\":\"v2\"", "merchant_certificate_file"),
            (",\"api\":\"v2\",\"merchant_certificate_pem\":\"x\",\"v2_device_ip\":\"till\"", "v2_device_ip"),
        ] {
            assert!(with(bad).unwrap_err().contains(named), "{bad}");
        }
        with(",\"reverse_not_before_ms\":100,\"insecure_http_for_tests\":true").unwrap();
        assert!(with(",\"v2_sign_type\":\"SHA1\"").is_err());
        for json in
            ["{\"appid\":\"wx1\",\"mchid\":\"me\"}", "{\"appid\":\"w x\",\"mchid\":\"1900000001\"}", "{}"]
        {
            let got = Settings::from_json(json).parse::<Config>().and_then(|c| c.check());
            assert!(got.is_err(), "{json}");
        }
    }

    #[test]
    fn a_subject_fits_into_its_bytes_and_carries_no_markup() {
        assert_eq!(fit_subject("茶 & 点心<1>\n").unwrap(), "茶   点心 1");
        assert_eq!(fit_subject("\n&"), None);
        assert!(fit_subject(&"长".repeat(300)).unwrap().len() <= 127);
    }
}
