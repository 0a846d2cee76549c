//! What a wallet's channel reads of an X.509 certificate (RFC 5280 §4.1): serial number, validity, RSA key.
//!
//! Whether the certificate may be believed is not decided here: it came from the settings, or sealed with a key that only
//! the wallet has.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use thiserror::Error;

use crate::der;
use crate::keys::{self, PlatformKey, SignError};

/// Why a certificate cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// Not one PEM section.
    #[error("the certificate is not one PEM section ({0}); copy it again from the wallet's console")]
    Pem(&'static str),
    /// Not X.509, or not of a form wallets use.
    #[error(
        "the certificate is not X.509 with serial number, validity and key; copy it again from the wallet's console"
    )]
    Form,
    /// Its key.
    #[error(transparent)]
    Key(#[from] SignError),
}

/// A certificate, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Serial number, upper-case hexadecimal without leading zero bytes.
    pub serial: String,
    /// Valid from, Unix milliseconds.
    pub not_before_ms: i64,
    /// Valid until, Unix milliseconds.
    pub not_after_ms: i64,
    /// Its RSA key.
    pub key: PlatformKey,
}

impl Certificate {
    /// Reads one PEM section.
    pub fn from_pem(pem: &str) -> Result<Self, CertificateError> {
        Self::from_der(&keys::unwrap_text(pem).map_err(CertificateError::Pem)?)
    }

    /// Reads DER.
    pub fn from_der(bytes: &[u8]) -> Result<Self, CertificateError> {
        let parts = der::certificate(bytes).ok_or(CertificateError::Form)?;
        let serial = hex::encode_upper(parts.serial);
        let time = |(tag, text)| moment(tag, text).ok_or(CertificateError::Form);
        Ok(Self {
            serial,
            not_before_ms: time(parts.not_before)?,
            not_after_ms: time(parts.not_after)?,
            key: PlatformKey::from_spki(parts.spki)?,
        })
    }

    /// Its serial number in decimal digits, as UnionPay writes it (`certId`).
    pub fn decimal_serial(&self) -> String {
        decimal(&self.serial)
    }

    /// Every certificate of a text with any number of PEM sections.
    pub fn all_of_pem(pem: &str) -> Result<Vec<Self>, CertificateError> {
        const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
        pem.split(BEGIN).skip(1).map(|rest| Self::from_pem(&format!("{BEGIN}{rest}"))).collect()
    }

    /// Whether it is valid at that moment (Unix milliseconds).
    pub const fn is_valid_at(&self, wall_ms: i64) -> bool {
        self.not_before_ms <= wall_ms && wall_ms <= self.not_after_ms
    }
}

/// Hexadecimal digits as decimal ones.
pub(crate) fn decimal(hexadecimal: &str) -> String {
    let mut digits = vec![0_u8];
    for nibble in hexadecimal.chars().filter_map(|c| c.to_digit(16)) {
        let mut carry = nibble;
        for digit in &mut digits {
            carry += u32::from(*digit) * 16;
            *digit = u8::try_from(carry % 10).unwrap_or(0);
            carry /= 10;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 10).unwrap_or(0));
            carry /= 10;
        }
    }
    digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
}

/// UTCTime or GeneralizedTime as RFC 5280 §4.1.2.5 restricts them: seconds there, `Z` at the end.
fn moment(tag: u8, text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match (tag, text.len()) {
        (der::UTC_TIME, 12) => {
            let (short, rest) = text.split_at_checked(2)?;
            let year: i16 = digits(short)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        (der::GENERALIZED_TIME, 14) => {
            let (year, rest) = text.split_at_checked(4)?;
            (digits(year)?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| -> Option<i8> { digits(rest.get(at..at + 2)?) };
    let civil = DateTime::new(year, part(0)?, part(2)?, part(4)?, part(6)?, part(8)?, 0).ok()?;
    Some(Offset::UTC.to_timestamp(civil).ok()?.as_millisecond())
}

fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use proptest::prelude::*;

    fn made() -> String {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
        let der = rustls::pki_types::PrivatePkcs8KeyDer::from(der.as_ref().to_vec());
        let key = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_RSA_SHA256).unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&[0xD7, 0xCE, 0x59, 0xD1, 0xF5, 0x22]));
        params.not_before = rcgen::date_time_ymd(2021, 4, 27);
        params.not_after = rcgen::date_time_ymd(2061, 4, 25);
        params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn serial_validity_and_key_are_read_as_another_library_wrote_them() {
        let pem = made();
        let certificate = Certificate::from_pem(&pem).unwrap();
        assert_eq!(certificate.serial, "D7CE59D1F522");
        assert_eq!(certificate.decimal_serial(), 0xD7CE_59D1_F522_u64.to_string());
        assert_eq!(certificate.not_before_ms, 1_619_481_600_000);
        assert_eq!(certificate.not_after_ms, 2_881_612_800_000);
        assert!(certificate.is_valid_at(1_788_192_000_000) && !certificate.is_valid_at(0));
        let two = Certificate::all_of_pem(&format!("{pem}\n{pem}")).unwrap();
        assert_eq!(two, [certificate.clone(), certificate]);
        assert_eq!(Certificate::all_of_pem("").unwrap(), []);
    }

    #[test]
    fn a_certificate_with_anything_missing_or_after_it_is_refused() {
        let der = keys::unwrap_text(&made()).unwrap();
        for cut in 0..der.len() {
            assert!(Certificate::from_der(&der[..cut]).is_err(), "cut at {cut}");
        }
        let longer: Vec<u8> = der.iter().copied().chain([0]).collect();
        assert_eq!(Certificate::from_der(&longer), Err(CertificateError::Form));
    }

    proptest! {
        #[test]
        fn no_bytes_crash_it(bytes in proptest::collection::vec(any::<u8>(), 0..400), at in 0_usize..1000, flip in any::<u8>()) {
            let _ = Certificate::from_der(&bytes);
            static DER: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| keys::unwrap_text(&made()).unwrap());
            let mut der = DER.clone();
            let at = at % der.len();
            der[at] ^= flip;
            let _ = Certificate::from_der(&der);
        }
    }
}
