//! Requests as signed forms: how Alipay and UnionPay take them (channels §2.1, §4.2).

use std::collections::BTreeMap;

use zeroize::Zeroizing;

/// Request parameters by name. Values are wiped on drop: one of them holds the customer's payment code.
pub type Params = BTreeMap<&'static str, Zeroizing<String>>;

/// The text a signature covers: every non-empty parameter except the signature itself, sorted by name, `k=v` joined by `&`,
/// values as they are before URL encoding.
pub fn sign_string(params: &Params, signature: &str) -> Zeroizing<String> {
    let size = params.iter().map(|(k, v)| k.len() + v.len() + 2).sum();
    let mut text = Zeroizing::new(String::with_capacity(size));
    for (name, value) in params.iter().filter(|(name, value)| **name != signature && !value.is_empty()) {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    text
}

/// The form body: the parameters, percent-encoded (RFC 3986 unreserved kept as is).
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
