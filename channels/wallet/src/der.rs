//! Just enough DER (ITU-T X.690 §8, §10) to take an RSA key out of a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7,
//! RFC 8017 A.1.1), and that out of a certificate. Anything unusual is `None`: a key file is either plain or refused.

/// OID 1.2.840.113549.1.1.1 (rsaEncryption) followed by NULL parameters.
const RSA_ALGORITHM: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

pub(crate) const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const INTEGER: u8 = 0x02;
/// `[0]`, constructed: a certificate's version.
const VERSION: u8 = 0xa0;
/// UTCTime.
pub(crate) const UTC_TIME: u8 = 0x17;
/// GeneralizedTime.
pub(crate) const GENERALIZED_TIME: u8 = 0x18;

/// The parts of a certificate that are read.
pub(crate) struct Parts<'a> {
    /// Serial number, without the sign byte.
    pub(crate) serial: &'a [u8],
    /// Content of the object identifier of what it is signed with.
    pub(crate) signed_with: &'a [u8],
    /// Content of the issuer's Name.
    pub(crate) issuer: &'a [u8],
    /// Content of the subject's Name.
    pub(crate) subject: &'a [u8],
    /// Tag and text of the first moment of validity.
    pub(crate) not_before: (u8, &'a [u8]),
    /// Tag and text of the last one.
    pub(crate) not_after: (u8, &'a [u8]),
    /// SubjectPublicKeyInfo, whole.
    pub(crate) spki: &'a [u8],
}

/// SET.
pub(crate) const SET: u8 = 0x31;
/// OBJECT IDENTIFIER.
pub(crate) const OBJECT: u8 = 0x06;
/// OID 2.5.4.3 (commonName).
const COMMON_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];

/// The one common name of a Name's content (RFC 5280 §4.1.2.4). Nothing where there is none, or more than one: whose name
/// would it be?
pub(crate) fn common_name(mut name: &[u8]) -> Option<String> {
    let mut found = None;
    while !name.is_empty() {
        let (mut set, after) = take(name, SET)?;
        while !set.is_empty() {
            let (attribute, rest) = take(set, SEQUENCE)?;
            if let Some(value) = attribute.strip_prefix(COMMON_NAME)
                && found.replace(directory_string(value)?).is_some()
            {
                return None;
            }
            set = rest;
        }
        name = after;
    }
    found
}

/// UTF8String, PrintableString, TeletexString (as far as it is ASCII) or BMPString.
pub(crate) fn directory_string(bytes: &[u8]) -> Option<String> {
    match *bytes.first()? {
        tag @ 0x0c => String::from_utf8(whole(bytes, tag)?.to_vec()).ok(),
        tag @ (0x13 | 0x14) => {
            let text = std::str::from_utf8(whole(bytes, tag)?).ok()?;
            text.is_ascii().then(|| text.to_owned())
        }
        tag @ 0x1e => {
            let (units, []) = whole(bytes, tag)?.as_chunks::<2>() else { return None };
            let units: Vec<u16> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

/// One element with this tag: its content, and what follows it.
pub(crate) fn take(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => {
            let (&length, rest) = rest.split_first()?;
            (usize::from(length), rest)
        }
        0x82 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None, // longer than any RSA key
    };
    rest.split_at_checked(length)
}

fn whole(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    take(bytes, tag).filter(|(_, rest)| rest.is_empty()).map(|(content, _)| content)
}

/// The PKCS#1 RSAPublicKey inside a SubjectPublicKeyInfo, or nothing when it is not one of RSA.
pub(crate) fn rsa_key_of_spki(spki: &[u8]) -> Option<&[u8]> {
    let (algorithm, rest) = take(whole(spki, SEQUENCE)?, SEQUENCE)?;
    let key = whole(rest, BIT_STRING)?.strip_prefix(&[0])?; // no unused bits
    (algorithm == RSA_ALGORITHM).then_some(key)
}

/// Takes a certificate (RFC 5280 §4.1) apart.
pub(crate) fn certificate(bytes: &[u8]) -> Option<Parts<'_>> {
    let (signed, rest) = take(whole(bytes, SEQUENCE)?, SEQUENCE)?;
    let (algorithm, rest) = take(rest, SEQUENCE)?;
    let (signed_with, _) = take(algorithm, OBJECT)?;
    whole(rest, BIT_STRING)?;
    let (_, rest) = take(signed, VERSION)?;
    let (serial, rest) = take(rest, INTEGER)?;
    let (_, rest) = take(rest, SEQUENCE)?; // signature algorithm, once more
    let (issuer, rest) = take(rest, SEQUENCE)?;
    let (validity, rest) = take(rest, SEQUENCE)?;
    let (subject, rest) = take(rest, SEQUENCE)?;
    let (_, after) = take(rest, SEQUENCE)?;
    let spki = rest.get(..rest.len().checked_sub(after.len())?)?;
    let time = |bytes| {
        take(bytes, UTC_TIME)
            .map(|(text, rest)| ((UTC_TIME, text), rest))
            .or_else(|| take(bytes, GENERALIZED_TIME).map(|(text, rest)| ((GENERALIZED_TIME, text), rest)))
    };
    let (not_before, rest) = time(validity)?;
    let (not_after, rest) = time(rest)?;
    let serial = serial.strip_prefix(&[0]).unwrap_or(serial);
    (rest.is_empty() && !serial.is_empty()).then_some(Parts {
        serial,
        signed_with,
        issuer,
        subject,
        not_before,
        not_after,
        spki,
    })
}

/// How many bits the modulus of an RSAPublicKey has.
pub(crate) fn rsa_modulus_bits(key: &[u8]) -> Option<usize> {
    let (modulus, rest) = take(whole(key, SEQUENCE)?, INTEGER)?;
    whole(rest, INTEGER)?;
    let modulus = modulus.strip_prefix(&[0]).unwrap_or(modulus);
    let top = usize::try_from(modulus.first()?.leading_zeros()).ok()?;
    (modulus.len() * 8).checked_sub(top)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_key_file_can_crash_the_channel(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = rsa_key_of_spki(&bytes);
            let _ = rsa_modulus_bits(&bytes);
            let _ = common_name(&bytes);
        }
    }

    fn named(values: &[(u8, &[u8])]) -> Vec<u8> {
        let mut name = Vec::new();
        for (tag, value) in values {
            let mut attribute = COMMON_NAME.to_vec();
            attribute.extend([*tag, u8::try_from(value.len()).unwrap()]);
            attribute.extend_from_slice(value);
            let length = u8::try_from(attribute.len()).unwrap();
            name.extend([SET, length + 2, SEQUENCE, length]);
            name.extend_from_slice(&attribute);
        }
        name
    }

    #[test]
    fn a_common_name_is_read_in_every_string_form_and_two_are_none() {
        assert_eq!(common_name(&named(&[(0x0c, "银联".as_bytes())])).unwrap(), "银联");
        assert_eq!(
            common_name(&named(&[(0x14, b"041@Z12@00040000:SIGN")])).unwrap(),
            "041@Z12@00040000:SIGN"
        );
        assert_eq!(common_name(&named(&[(0x1e, &[0x94, 0xf6, 0x80, 0x54])])).unwrap(), "银联");
        assert_eq!(common_name(&named(&[(0x1e, &[0x94, 0xf6, 0x80])])), None);
        assert_eq!(common_name(&named(&[(0x13, "银".as_bytes())])), None);
        assert_eq!(common_name(&named(&[(0x13, b"a"), (0x13, b"b")])), None);
        assert_eq!(common_name(&[]), None);
    }

    #[test]
    fn a_key_with_anything_after_it_is_refused() {
        let mut key = vec![SEQUENCE, 6, INTEGER, 1, 0x81, INTEGER, 1, 3];
        assert_eq!(rsa_modulus_bits(&key), Some(8));
        key.push(0);
        assert_eq!(rsa_modulus_bits(&key), None);
    }
}
