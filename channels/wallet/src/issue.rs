//! Who issued a certificate, under which number, and to whom: what a wallet names certificates by (RFC 5280 §4.1, RFC 2253).
//!
//! The key is not looked at, so certificates with keys that no wallet signs with are read too.

use crate::certificate::{CertificateError, decimal};
use crate::der::{self, OBJECT, SEQUENCE, SET};

/// OID 1.2.840.113549.1.1: everything below it is RSA of PKCS #1.
const PKCS1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];

/// What RFC 2253 has a keyword for (its table in §2.3), by the content of the object identifier.
const KEYWORDS: &[(&[u8], &str)] = &[
    (&[0x55, 0x04, 0x03], "CN"),
    (&[0x55, 0x04, 0x06], "C"),
    (&[0x55, 0x04, 0x07], "L"),
    (&[0x55, 0x04, 0x08], "ST"),
    (&[0x55, 0x04, 0x09], "STREET"),
    (&[0x55, 0x04, 0x0a], "O"),
    (&[0x55, 0x04, 0x0b], "OU"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19], "DC"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01], "UID"),
];

/// What is read of a certificate beside its key and its validity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// The issuer's name as RFC 2253 writes it, last part first: `CN=…,OU=…,O=…,C=…`.
    pub issuer: String,
    /// Serial number, decimal digits.
    pub serial: String,
    /// The common name of whom it was issued to; none where there is not exactly one.
    pub common_name: Option<String>,
    /// Whether the issuer signed it with RSA (any algorithm of PKCS #1).
    pub by_rsa: bool,
}

impl Issue {
    /// Reads DER.
    pub fn from_der(bytes: &[u8]) -> Result<Self, CertificateError> {
        let read = || {
            let parts = der::certificate(bytes)?;
            Some(Self {
                issuer: rfc2253(parts.issuer)?,
                serial: decimal(&hex::encode(parts.serial)),
                common_name: der::common_name(parts.subject),
                by_rsa: parts.signed_with.starts_with(PKCS1),
            })
        };
        read().ok_or(CertificateError::Form)
    }
}

/// A Name's content as text: parts from the last to the first, joined by `,`; those of one part by `+`.
fn rfc2253(mut name: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    while !name.is_empty() {
        let (mut set, after) = der::take(name, SET)?;
        let mut attributes = Vec::new();
        while !set.is_empty() {
            let (content, rest) = der::take(set, SEQUENCE)?;
            attributes.push(attribute(content)?);
            set = rest;
        }
        if attributes.is_empty() {
            return None;
        }
        parts.push(attributes.join("+"));
        name = after;
    }
    parts.reverse();
    Some(parts.join(","))
}

/// One attribute: keyword and text, or, where there is no keyword or no text, `#` and the value's DER in hexadecimal (§2.4).
fn attribute(content: &[u8]) -> Option<String> {
    let (oid, value) = der::take(content, OBJECT)?;
    let keyword = KEYWORDS.iter().find(|(known, _)| *known == oid).map(|(_, keyword)| *keyword);
    Some(match (keyword, der::directory_string(value)) {
        (Some(keyword), Some(text)) => format!("{keyword}={}", escaped(&text)),
        (Some(keyword), None) => format!("{keyword}=#{}", hex::encode(value)),
        (None, _) => format!("{}=#{}", dotted(oid)?, hex::encode(value)),
    })
}

/// The text with what would end it marked by `\`. RFC 2253 asks for less (`=` may stand, `#` but at the beginning); the
/// wallets write names as OpenJDK does.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (first, last) = (text.len() - text.trim_start_matches(' ').len(), text.trim_end_matches(' ').len());
    for (at, c) in text.char_indices() {
        if ",=+<>#;\"\\".contains(c) || (c == ' ' && (at < first || at >= last)) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// An object identifier's content as numbers with dots (X.690 §8.19).
fn dotted(oid: &[u8]) -> Option<String> {
    let mut numbers = Vec::new();
    let mut number = 0_u64;
    for &byte in oid {
        number = number.checked_mul(128)?.checked_add(u64::from(byte & 0x7f))?;
        if byte & 0x80 == 0 {
            numbers.push(std::mem::take(&mut number));
        }
    }
    let (&first, rest) = numbers.split_first().filter(|_| oid.last().is_some_and(|byte| byte & 0x80 == 0))?;
    let top = (first / 40).min(2);
    let all = [top, first - top * 40].into_iter().chain(rest.iter().copied());
    Some(all.map(|n| n.to_string()).collect::<Vec<_>>().join("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::DnType;

    fn issued(name: &[(DnType, &str)], serial: &[u8]) -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, text) in name {
            params.distinguished_name.push(kind.clone(), *text);
        }
        params.serial_number = Some(rcgen::SerialNumber::from_slice(serial));
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_name_is_written_from_its_last_part_to_its_first() {
        let der = issued(
            &[
                (DnType::CountryName, "CN"),
                (DnType::OrganizationName, "Ant Financial"),
                (DnType::OrganizationalUnitName, "Certification Authority"),
                (DnType::CommonName, "某某 R1"),
            ],
            &[0x20, 0x20, 0x05, 0x18, 0x62, 0x03, 0x9d, 0x40, 0x90, 0x89, 0x7b, 0xa4, 0xd5, 0x1c, 0x21, 0x26],
        );
        let issue = Issue::from_der(&der).unwrap();
        assert_eq!(issue.issuer, "CN=某某 R1,OU=Certification Authority,O=Ant Financial,C=CN");
        assert_eq!(issue.serial, 0x2020_0518_6203_9d40_9089_7ba4_d51c_2126_u128.to_string());
        assert_eq!(issue.common_name.as_deref(), Some("某某 R1"));
        assert!(!issue.by_rsa, "rcgen signs with a curve unless told otherwise");
    }

    #[test]
    fn what_would_end_a_part_is_marked_and_what_has_no_keyword_is_written_as_bytes() {
        let mail = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
        let der = issued(&[(DnType::OrganizationName, " A, \"B\" = #1+2; \\ "), (mail, "a@b")], &[1]);
        let issue = Issue::from_der(&der).unwrap();
        assert_eq!(
            issue.issuer,
            "1.2.840.113549.1.9.1=#0c03614062,O=\\ A\\, \\\"B\\\" \\= \\#1\\+2\\; \\\\\\ "
        );
        assert_eq!((issue.serial.as_str(), issue.common_name), ("1", None));
        assert_eq!(dotted(&[0x55, 0x04, 0x03]).unwrap(), "2.5.4.3");
        assert_eq!(dotted(&[0x81, 0x34, 0x03]).unwrap(), "2.100.3");
        assert_eq!((dotted(&[]), dotted(&[0x55, 0x84])), (None, None));
    }

    proptest! {
        #[test]
        fn no_bytes_crash_it(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Issue::from_der(&bytes);
            let _ = rfc2253(&bytes);
            let _ = dotted(&bytes);
        }
    }
}
