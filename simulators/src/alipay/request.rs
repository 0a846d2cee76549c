//! A request from its form to something the methods can work with: signature first, then the public parameters, then
//! the business content. Nothing of the business is looked at before the signature is good.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, civil::DateTime};
use serde_json::{Map, Value};

use super::{amount::Fen, ledger::zone, refusal::Refusal};
use crate::wallet::form::Parameters;
use crate::wallet::keys::VerifyingKey;
use crate::wallet::{Digest, digest_of};

/// The methods this gateway serves.
pub const METHODS: &[&str] = &[
    "alipay.trade.pay",
    "alipay.trade.query",
    "alipay.trade.cancel",
    "alipay.trade.refund",
    "alipay.trade.fastpay.refund.query",
    "alipay.trade.precreate",
    "alipay.trade.close",
    DOWNLOAD,
];

/// Gives out a certificate of the gateway's; moves nothing.
pub(crate) const DOWNLOAD: &str = "alipay.open.app.alipaycert.download";

/// Who may ask, and how far off their clock may be.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) app_id: String,
    pub(crate) app_key: VerifyingKey,
    pub(crate) tolerance: Duration,
    /// Certificate mode: the numbers that requests must carry, of the app's certificate and of the roots.
    pub(crate) numbers: Option<(String, String)>,
}

impl Guard {
    /// Whether the request is signed by the app it names. Everything before this is untrusted.
    pub(crate) fn verify(&self, form: &Parameters) -> Result<(), Refusal> {
        let app_id = form.get("app_id").ok_or(Refusal::MISSING_APP_ID)?;
        let signature = form.get("sign").ok_or(Refusal::MISSING_SIGNATURE)?;
        let sign_type = form.get("sign_type").ok_or(Refusal::MISSING_SIGNATURE_TYPE)?;
        if app_id != self.app_id {
            return Err(Refusal::INVALID_APP_ID);
        }
        if sign_type != "RSA2" {
            return Err(Refusal::INVALID_SIGNATURE_TYPE);
        }
        let (app, roots) = self.numbers.as_ref().map_or((None, None), |(a, r)| (Some(&**a), Some(&**r)));
        if form.get("app_cert_sn").filter(|number| !number.is_empty()) != app {
            return Err(Refusal::APP_CERT_NOT_EXIST);
        }
        if roots.is_some() && form.get("alipay_root_cert_sn") != roots {
            return Err(Refusal::INVALID_ROOT_CERT_SN);
        }
        if !self.app_key.verifies(form.sign_string("sign").as_bytes(), signature) {
            return Err(Refusal::INVALID_SIGNATURE);
        }
        Ok(())
    }

    /// Whether the public parameters of a verified request are in order, by the gateway's clock.
    pub(crate) fn check(&self, form: &Parameters, now: Timestamp) -> Result<&'static str, Refusal> {
        let method = form.get("method").ok_or(Refusal::MISSING_METHOD)?;
        let method = METHODS.iter().find(|known| **known == method).ok_or(Refusal::INVALID_METHOD)?;
        if form.get("version").ok_or(Refusal::MISSING_VERSION)? != "1.0" {
            return Err(Refusal::INVALID_PARAMETER);
        }
        if !form.get("charset").is_some_and(|charset| charset.eq_ignore_ascii_case("utf-8")) {
            return Err(Refusal::INVALID_CHARSET);
        }
        if form.get("format").is_some_and(|format| !format.eq_ignore_ascii_case("JSON")) {
            return Err(Refusal::INVALID_FORMAT);
        }
        let timestamp = form.get("timestamp").ok_or(Refusal::MISSING_TIMESTAMP)?;
        let sent = read_timestamp(timestamp).ok_or(Refusal::INVALID_TIMESTAMP)?;
        let off = now.duration_since(sent).abs();
        if SignedDuration::try_from(self.tolerance).is_ok_and(|tolerance| off > tolerance) {
            return Err(Refusal::INVALID_TIMESTAMP);
        }
        Ok(method)
    }
}

/// `yyyy-MM-dd HH:mm:ss`, exactly, in UTC+8.
fn read_timestamp(text: &str) -> Option<Timestamp> {
    let shape = text.len() == 19
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            10 => byte == b' ',
            13 | 16 => byte == b':',
            _ => byte.is_ascii_digit(),
        });
    let civil = DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok().filter(|_| shape)?;
    civil.to_zoned(zone()).ok().map(|zoned| zoned.timestamp())
}

/// The business content of one request. Holds the wallet code: no `Debug`.
pub(crate) struct Content(Map<String, Value>);

impl Content {
    /// Reads `biz_content`.
    pub(crate) fn read(form: &Parameters) -> Result<Self, Refusal> {
        match form.get("biz_content").map(serde_json::from_str) {
            Some(Ok(Value::Object(members))) => Ok(Self(members)),
            _ => Err(Refusal::INVALID_PARAMETER),
        }
    }

    /// A text member; empty counts as absent. Amounts and numbers sent as JSON numbers are refused: the protocol's types
    /// are text, and a number has been through a float.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(Refusal::BAD_PARAMETER),
        }
    }

    /// A text member that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name)?.ok_or(Refusal::BAD_PARAMETER)
    }

    /// The till's order number, if sent: at most 64 of letters, digits, `_` and `-`.
    pub(crate) fn order(&self) -> Result<Option<&str>, Refusal> {
        self.number("out_trade_no")
    }

    /// A number of the till's.
    pub(crate) fn number(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let number = self.text(name)?;
        let fits = |text: &str| {
            text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        };
        if number.is_none_or(fits) { Ok(number) } else { Err(Refusal::BAD_PARAMETER) }
    }

    /// An amount that must be there.
    pub(crate) fn amount(&self, name: &str) -> Result<Fen, Refusal> {
        Fen::read(self.required(name)?).ok_or(Refusal::BAD_PARAMETER)
    }

    /// How long the customer may take: `timeout_express`, 1m to 15d.
    pub(crate) fn timeout(&self, otherwise: Duration) -> Result<Duration, Refusal> {
        let Some(text) = self.text("timeout_express")? else { return Ok(otherwise) };
        let read = || {
            let (number, unit) = text.split_at_checked(text.len() - 1)?;
            let minutes = match unit {
                "m" => 1,
                "h" => 60,
                "d" => 24 * 60,
                _ => return None,
            };
            let number = number.parse::<u64>().ok().filter(|_| number.bytes().all(|b| b.is_ascii_digit()))?;
            let minutes = number.checked_mul(minutes)?;
            (1..=15 * 24 * 60).contains(&minutes).then(|| Duration::from_mins(minutes))
        };
        read().ok_or(Refusal::BAD_PARAMETER)
    }

    /// Digest of everything but the wallet code: what makes a repetition a repetition, however its JSON is spelled.
    pub(crate) fn terms(&self, method: &str) -> Digest {
        // serde_json's map is sorted by key, so the order in which the till writes them does not matter.
        let terms: Map<_, _> = self
            .0
            .iter()
            .filter(|(name, _)| *name != "auth_code")
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        digest_of(&format!("{method}{}", Value::Object(terms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(json: &str) -> Content {
        let Value::Object(members) = serde_json::from_str(json).unwrap() else { panic!("not an object") };
        Content(members)
    }

    #[test]
    fn timestamps_have_one_form_and_beijing_time() {
        assert_eq!(read_timestamp("2026-09-01 09:20:00"), "2026-09-01T01:20:00Z".parse().ok());
        for bad in
            ["2026-9-1 09:20:00", "2026-09-01T09:20:00", "2026-09-01 09:20", "2026-13-01 09:20:00", "", "x"]
        {
            assert_eq!(read_timestamp(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_repetition_is_one_however_it_is_spelled_and_with_any_code() {
        let one = content(r#"{"a":"1","b":"2","auth_code":"28"}"#);
        assert_eq!(one.terms("m"), content(r#"{ "b":"2", "a":"1","auth_code":"29"}"#).terms("m"));
        assert_ne!(one.terms("m"), content(r#"{"a":"1","b":"3"}"#).terms("m"));
        assert_ne!(one.terms("m"), one.terms("n"));
    }

    #[test]
    fn members_of_the_wrong_shape_are_refused() {
        let odd = content(r#"{"total_amount":12.5,"out_trade_no":"a b","timeout_express":"5x"}"#);
        assert_eq!(odd.amount("total_amount"), Err(Refusal::BAD_PARAMETER));
        assert_eq!(odd.order(), Err(Refusal::BAD_PARAMETER));
        assert_eq!(odd.timeout(Duration::ZERO), Err(Refusal::BAD_PARAMETER));
        for (text, minutes) in [("1m", 1), ("2h", 120), ("15d", 21_600)] {
            let timeout = content(&format!(r#"{{"timeout_express":"{text}"}}"#)).timeout(Duration::ZERO);
            assert_eq!(timeout, Ok(Duration::from_mins(minutes)));
        }
        for bad in ["0m", "16d", "m", "-1m", "+1m", "1", "１m", "99999999999999999999d"] {
            let timeout = content(&format!(r#"{{"timeout_express":"{bad}"}}"#)).timeout(Duration::ZERO);
            assert_eq!(timeout, Err(Refusal::BAD_PARAMETER), "{bad}");
        }
    }
}
