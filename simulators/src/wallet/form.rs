//! Requests as they came: form parameters decoded strictly, and the string that their signature covers.

use std::collections::BTreeMap;

/// The parameters of one request, by name. Values are secret here: one of them holds the customer's wallet code, so
/// `Debug` shows the names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<String, String>);

impl std::fmt::Debug for Parameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why a form was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// A `%` not followed by two hex digits.
    #[error(
        "a percent sign is not followed by two hex digits; encode the form as application/x-www-form-urlencoded"
    )]
    Escape,
    /// The decoded bytes are no UTF-8.
    #[error("a parameter is not UTF-8; send charset=utf-8")]
    Charset,
    /// One name stands twice with different values.
    #[error("a parameter stands twice with different values; send it once")]
    Twice,
}

impl Parameters {
    /// Reads the query of the address and the body: a parameter may stand in either, and in both if alike.
    pub fn read(query: &[u8], body: &[u8]) -> Result<Self, FormError> {
        let mut all = BTreeMap::new();
        for pair in [query, body].into_iter().flat_map(|text| text.split(|byte| *byte == b'&')) {
            if pair.is_empty() {
                continue;
            }
            let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &pair[..0]),
            };
            let (name, value) = (decode(name)?, decode(value)?);
            if all.get(&name).is_some_and(|before| *before != value) {
                return Err(FormError::Twice);
            }
            all.insert(name, value);
        }
        Ok(Self(all))
    }

    /// The value of a parameter; one sent empty counts as absent, as it does for the signature.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Sets a parameter; an empty value takes it away.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if value.is_empty() {
            self.0.remove(name);
        } else {
            self.0.insert(name.to_owned(), value);
        }
    }

    /// The parameters as text: bare as a gateway sends them, or percent-encoded as a browser carries them.
    pub(crate) fn text(&self, encoded: bool) -> String {
        let pair = |(name, value): (&String, &String)| {
            if encoded { format!("{name}={}", encode(value)) } else { format!("{name}={value}") }
        };
        self.0.iter().map(pair).collect::<Vec<_>>().join("&")
    }

    /// The string a signature covers: every non-empty parameter but the signature itself, sorted by name, `name=value`
    /// joined by `&`, values before URL encoding.
    pub fn sign_string(&self, signature: &str) -> String {
        let signed = self.0.iter().filter(|(name, value)| *name != signature && !value.is_empty());
        signed.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }
}

fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b' ' => out.push('+'),
            b'*' | b'-' | b'.' | b'_' => out.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => out.push(byte.into()),
            byte => drop(write!(out, "%{byte:02X}")),
        }
        out
    })
}

fn decode(text: &[u8]) -> Result<String, FormError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || {
                    let digit = rest.next().and_then(|byte| char::from(*byte).to_digit(16));
                    digit.and_then(|digit| u8::try_from(digit).ok()).ok_or(FormError::Escape)
                };
                digit()? << 4 | digit()?
            }
            other => *other,
        });
    }
    String::from_utf8(bytes).map_err(|_| FormError::Charset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Parameters, FormError> {
        Parameters::read(b"", body.as_bytes())
    }

    #[test]
    fn the_sign_string_is_sorted_decoded_and_without_sign_and_empties() {
        let form = read("b=2%2B2&a=%E6%94%B6+%E9%93%B6&sign=zzz&empty=&sign_type=RSA2").unwrap();
        assert_eq!(form.sign_string("sign"), "a=收 银&b=2+2&sign_type=RSA2");
        assert_eq!(form.get("empty"), None);
    }

    #[test]
    fn a_parameter_in_the_address_counts_and_a_contradiction_is_refused() {
        let form = Parameters::read(b"charset=utf-8", b"charset=utf-8&a=1").unwrap();
        assert_eq!(form.sign_string("sign"), "a=1&charset=utf-8");
        assert_eq!(Parameters::read(b"charset=utf-8", b"charset=gbk"), Err(FormError::Twice));
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for bad in ["a=%", "a=%4", "a=%zz", "a=%+1"] {
            assert_eq!(read(bad), Err(FormError::Escape), "{bad}");
        }
        assert_eq!(read("a=%FF%FE"), Err(FormError::Charset));
    }

    #[test]
    fn what_is_written_encoded_is_read_back() {
        let mut form = Parameters::default();
        form.set("a", "银 联+&=%");
        form.set("b", "");
        assert_eq!(form.text(false), "a=银 联+&=%");
        assert_eq!(read(&form.text(true)).unwrap(), form);
    }

    #[test]
    fn debug_shows_no_value() {
        let form = read("biz_content=%7B%22auth_code%22%3A%22280000000000000001%22%7D").unwrap();
        assert_eq!(format!("{form:?}"), r#"{"biz_content"}"#);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = Parameters::read(&bytes, &bytes);
        }
    }
}
