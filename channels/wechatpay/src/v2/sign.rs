//! The seal of interface v2: every non-empty field except `sign`, sorted by name, `k=v` joined by `&`, then `&key=` and the
//! merchant's key; its MD5 or HMAC-SHA256 in upper-case hexadecimal (channels §3.2).

use md5::{Digest as _, Md5};
use ring::hmac;
use serde::Deserialize;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// How seals are made. Both sides use the one that the request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Method {
    /// The published default, broken as a hash; what keeps it standing is the key at its end.
    #[serde(rename = "MD5")]
    Md5,
    /// The better one.
    #[serde(rename = "HMAC-SHA256")]
    HmacSha256,
}

impl Method {
    /// The interface's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::HmacSha256 => "HMAC-SHA256",
        }
    }
}

/// The text a seal is made of, without the key.
pub fn sign_string<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Zeroizing<String> {
    let mut sorted: Vec<(&str, &str)> =
        fields.filter(|(name, value)| *name != "sign" && !value.is_empty()).collect();
    sorted.sort_unstable();
    let size = sorted.iter().map(|(k, v)| k.len() + v.len() + 2).sum();
    let mut text = Zeroizing::new(String::with_capacity(size));
    for (name, value) in sorted {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    text
}

/// The seal of fields.
pub fn sign<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>, method: Method, key: &str) -> String {
    let text = sign_string(fields);
    let mut whole = Zeroizing::new(String::with_capacity(text.len() + key.len() + 5));
    whole.push_str(&text);
    whole.push_str("&key=");
    whole.push_str(key);
    match method {
        Method::Md5 => hex::encode_upper(Md5::digest(whole.as_bytes())),
        Method::HmacSha256 => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
            hex::encode_upper(hmac::sign(&key, whole.as_bytes()))
        }
    }
}

/// Whether `seal` is right for these fields; takes as long for every wrong one.
pub fn verifies<'a>(
    fields: impl Iterator<Item = (&'a str, &'a str)>,
    method: Method,
    key: &str,
    seal: &str,
) -> bool {
    sign(fields, method, key).as_bytes().ct_eq(seal.as_bytes()).into()
}
