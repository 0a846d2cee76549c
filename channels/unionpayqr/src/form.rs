//! An answer's body to its fields: `k=v` joined by `&` (channels §4.1).
//!
//! The gateway sends it bare, line breaks of a certificate and all; what a browser carries is percent-encoded. A bare body has
//! bytes that an encoded one cannot have (the blank in `BEGIN CERTIFICATE` alone), so there is one reading of each.

use std::collections::BTreeMap;

use thiserror::Error;

/// Most fields of an answer. A real one has about thirty.
const MOST_FIELDS: usize = 128;

/// Why a body is no list of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FormError {
    /// Not text.
    #[error("it is not UTF-8")]
    Text,
    /// A percent sign without two hexadecimal digits behind it.
    #[error("a percent sign is not followed by two hexadecimal digits")]
    Escape,
    /// A part without a name or an equals sign.
    #[error("a part of it has no name or no equals sign")]
    Part,
    /// A name stands twice: which of the two was meant?
    #[error("a field stands twice")]
    Twice,
    /// More fields than any answer.
    #[error("it has more than {MOST_FIELDS} fields")]
    Many,
}

/// The fields by name.
pub type Fields = BTreeMap<String, String>;

/// Reads a body.
pub fn read(body: &[u8]) -> Result<Fields, FormError> {
    let text = std::str::from_utf8(body).map_err(|_| FormError::Text)?;
    // WHATWG's form encoding leaves `*-._`, RFC 3986 `-._~`.
    let encoded = |b: u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'%' | b'+' | b'&' | b'=' | b'*' | b'-' | b'.' | b'_' | b'~')
    };
    let is_encoded = body.iter().all(|b| encoded(*b));
    let mut fields = Fields::new();
    for part in parts(text.trim_end_matches(['\r', '\n'])) {
        let (name, value) =
            part.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or(FormError::Part)?;
        let (name, value) =
            if is_encoded { (decoded(name)?, decoded(value)?) } else { (name.to_owned(), value.to_owned()) };
        if fields.len() >= MOST_FIELDS {
            return Err(FormError::Many);
        }
        if fields.insert(name, value).is_some() {
            return Err(FormError::Twice);
        }
    }
    Ok(fields)
}

/// The parts between the `&` that stand outside braces: a value may hold a group of its own, `{a=1&b=2}`.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |c| {
        match c {
            '{' => depth = depth.saturating_add(1),
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == '&' && depth == 0
    })
    .filter(|part| !part.is_empty())
}

fn decoded(text: &str) -> Result<String, FormError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || {
                    let digit = rest.next().and_then(|b| char::from(b).to_digit(16));
                    digit.and_then(|d| u8::try_from(d).ok()).ok_or(FormError::Escape)
                };
                digit()? << 4 | digit()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| FormError::Text)
}

/// The text that the signature of these fields covers: every non-empty field but itself, sorted, values as they are.
pub fn sign_string(fields: &Fields) -> String {
    let signed = fields.iter().filter(|(name, value)| *name != "signature" && !value.is_empty());
    signed.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use till_wallet::form::{Params, form_body};

    #[test]
    fn bare_and_encoded_bodies_are_the_same_fields() {
        let bare = "cert=-----BEGIN CERTIFICATE-----\r\nMI+/=\r\n-----END CERTIFICATE-----&respMsg=成功[0000000]&data={a=1&b=2}&signature=ab+/==";
        let encoded = "cert=-----BEGIN+CERTIFICATE-----%0D%0AMI%2B%2F%3D%0D%0A-----END+CERTIFICATE-----&respMsg=%E6%88%90%E5%8A%9F%5B0000000%5D&data=%7Ba%3D1%26b%3D2%7D&signature=ab%2B%2F%3D%3D";
        let fields = read(bare.as_bytes()).unwrap();
        assert_eq!(fields, read(encoded.as_bytes()).unwrap());
        assert_eq!(fields["data"], "{a=1&b=2}");
        assert_eq!(sign_string(&read(b"b=2&a=1&c=&signature=x").unwrap()), "a=1&b=2");
    }

    #[test]
    fn whatever_is_not_plain_is_refused() {
        for (bad, why) in [
            (&b"a=1&a=2"[..], FormError::Twice),
            (b"a=1&a=1", FormError::Twice),
            (b"a=%4", FormError::Escape),
            (b"a=%zz", FormError::Escape),
            (b"a=%ff", FormError::Text),
            (b"\xff=1", FormError::Text),
            (b"=1", FormError::Part),
            (b"<html>", FormError::Part),
        ] {
            assert_eq!(read(bad), Err(why), "{bad:?}");
        }
        let many: Vec<String> = (0..200).map(|n| format!("k{n}=1")).collect();
        assert_eq!(read(many.join("&").as_bytes()), Err(FormError::Many));
        assert_eq!(read(b"").unwrap(), Fields::new());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }

        #[test]
        fn what_the_till_would_write_is_read_back(value in "\\PC{0,60}", other in ".{0,20}") {
            let params = Params::from([("a", value.clone().into()), ("b", other.clone().into())]);
            let fields = read(&form_body(&params)).unwrap();
            prop_assert_eq!((&fields["a"], &fields["b"]), (&value, &other));
        }
    }
}
