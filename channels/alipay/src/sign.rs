//! RSA2: how requests are signed and answers verified (channels §2.1).
//!
//! The sign string is every non-empty parameter except `sign`, sorted by name, `k=v` joined by `&`, values as
//! they are before URL encoding; the signature is RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2), base64.
//! The keys themselves are [`till_wallet::keys`].

use std::collections::BTreeMap;

pub use till_wallet::keys::{PlatformKey, SignError, SigningKey as AppKey};
use zeroize::Zeroizing;

/// Request parameters by name. Values are wiped on drop: `biz_content` holds the customer's payment code.
pub type Params = BTreeMap<&'static str, Zeroizing<String>>;

/// The text a request is signed over.
pub fn sign_string(params: &Params) -> Zeroizing<String> {
    let size = params.iter().map(|(k, v)| k.len() + v.len() + 2).sum();
    let mut text = Zeroizing::new(String::with_capacity(size));
    for (name, value) in params.iter().filter(|(name, value)| **name != "sign" && !value.is_empty()) {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    text
}

/// The form body: the same parameters with their `sign`, percent-encoded (RFC 3986 unreserved kept as is).
pub fn form_body(params: &Params) -> Zeroizing<Vec<u8>> {
    // Worst case three bytes for one: the buffer must not grow, a moved buffer would leave a copy behind.
    let size = params.iter().map(|(k, v)| k.len() + v.len() * 3 + 2).sum();
    let mut body = Zeroizing::new(Vec::with_capacity(size));
    for (name, value) in params {
        if !body.is_empty() {
            body.push(b'&');
        }
        body.extend_from_slice(name.as_bytes());
        body.push(b'=');
        percent_encode(value.as_bytes(), &mut body);
    }
    body
}

fn percent_encode(bytes: &[u8], into: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            into.push(byte);
        } else {
            into.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}
