//! Offline data authentication: that a card's data was signed by its issuer, and the issuer by the scheme (EMV Book 2 §5, §6;
//! UnionPay and Visa: dynamic signature given with the cryptogram). Only the public operation: nothing here is secret.
//!
//! An online-only till does not need it to be paid. It is for telling a forged card from a misread one; the settings say
//! whether its result is only counted or required.

use num_bigint::BigUint;
use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use super::store::Store;
use super::terminal::Sale;

/// Longest and shortest modulus that is taken, bytes.
const MODULUS: std::ops::RangeInclusive<usize> = 64..=248;

/// A scheme's public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capk {
    /// Registered identifier.
    pub rid: [u8; 5],
    /// Its number.
    pub index: u8,
    /// Modulus.
    pub modulus: Vec<u8>,
    /// Exponent.
    pub exponent: Vec<u8>,
}

/// The keys of the terminal, and what is done with the result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    keys: Vec<Capk>,
    required: bool,
}

impl Keys {
    /// Keys; `required`: a card that does not prove itself is refused.
    pub fn new(keys: Vec<Capk>, required: bool) -> Self {
        Self { keys, required }
    }

    /// Whether a card that does not prove itself is refused.
    pub const fn required(&self) -> bool {
        self.required
    }

    /// A key.
    pub fn find(&self, rid: &[u8], index: u8) -> Option<&Capk> {
        self.keys.iter().find(|k| k.rid == rid && k.index == index)
    }
}

/// Why a proof fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OdaError {
    /// A certificate or key is missing or has an impossible length.
    #[error("a key or certificate of the card is missing or malformed")]
    Malformed,
    /// No such key of the scheme here.
    #[error("the scheme's key that the card names is not known here")]
    UnknownKey,
    /// Header, format, algorithm or trailer is not what it must be: not signed by this key.
    #[error("a signature of the card does not fit its key")]
    Signature,
    /// The hash differs.
    #[error("signed data of the card was changed")]
    Hash,
    /// A certificate has ended.
    #[error("a certificate of the card has expired")]
    Expired,
    /// The certificate is another card's.
    #[error("a certificate belongs to another card")]
    OtherCard,
}

/// What it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oda {
    /// The card offers nothing that could be proved here.
    NotDone,
    /// Proved.
    Proved,
    /// Not.
    Failed(OdaError),
}

impl Oda {
    /// For messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotDone => "it offers no proof",
            Self::Proved => "proved",
            Self::Failed(OdaError::UnknownKey) => "unknown scheme key",
            Self::Failed(OdaError::Expired) => "expired certificate",
            Self::Failed(_) => "wrong signature",
        }
    }
}

/// A recovered public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Modulus.
    pub modulus: Vec<u8>,
    /// Exponent.
    pub exponent: Vec<u8>,
}

/// RSA's public operation on a block as long as the modulus.
pub fn recover(modulus: &[u8], exponent: &[u8], block: &[u8]) -> Result<Zeroizing<Vec<u8>>, OdaError> {
    let sound = MODULUS.contains(&modulus.len())
        && modulus.first() != Some(&0)
        && modulus.last().is_some_and(|b| b & 1 == 1);
    // 3 and 65537 are all that EMV has; anything longer would only cost time.
    let small = matches!(exponent, [3] | [1, 0, 1] | [0, 0, 3] | [0, 1, 0, 1]);
    if !sound || !small || block.len() != modulus.len() {
        return Err(OdaError::Malformed);
    }
    let n = BigUint::from_bytes_be(modulus);
    let m = BigUint::from_bytes_be(block);
    if m >= n {
        return Err(OdaError::Signature);
    }
    let clear = Zeroizing::new(m.modpow(&BigUint::from_bytes_be(exponent), &n).to_bytes_be());
    let mut whole = Zeroizing::new(vec![0; modulus.len()]);
    let at = modulus.len() - clear.len();
    whole[at..].copy_from_slice(&clear);
    Ok(whole)
}

/// Checks header, format and trailer of a recovered block and its hash over what is inside and what stands beside it; gives
/// what is between format and hash.
fn opened(block: &[u8], format: u8, beside: &[&[u8]]) -> Result<Zeroizing<Vec<u8>>, OdaError> {
    let (inside, rest) = block.split_at_checked(block.len().saturating_sub(21)).ok_or(OdaError::Signature)?;
    let (hash, trailer) = rest.split_at_checked(20).ok_or(OdaError::Signature)?;
    let [0x6A, kind, body @ ..] = inside else { return Err(OdaError::Signature) };
    if *kind != format || trailer != [0xBC] {
        return Err(OdaError::Signature);
    }
    let mut sha = Sha1::new();
    sha.update(inside.get(1..).unwrap_or_default());
    for part in beside {
        sha.update(part);
    }
    if sha.finalize().as_slice() != hash {
        return Err(OdaError::Hash);
    }
    Ok(Zeroizing::new(body.to_vec()))
}

/// Whether a certificate that ends with a month (`MMYY`, BCD) is still good on a date (`YY`, `MM`, `DD`).
fn current(ends: &[u8], date: [u8; 3]) -> Result<(), OdaError> {
    let two = |b: u8| (b >> 4 <= 9 && b & 0x0F <= 9).then(|| (b >> 4) * 10 + (b & 0x0F));
    match ends {
        [month, year] => match (two(*month), two(*year)) {
            (Some(month @ 1..=12), Some(year)) if (year, month) >= (date[0], date[1]) => Ok(()),
            _ => Err(OdaError::Expired),
        },
        _ => Err(OdaError::Malformed),
    }
}

/// The key inside a certificate: the part that fitted, and the remainder beside it.
fn key(fitted: &[u8], remainder: &[u8], length: u8, exponent: &[u8]) -> Result<PublicKey, OdaError> {
    let length = usize::from(length);
    if !MODULUS.contains(&length) {
        return Err(OdaError::Malformed);
    }
    let modulus = if length <= fitted.len() {
        let (modulus, filling) = fitted.split_at(length);
        if filling.iter().any(|b| *b != 0xBB) || !remainder.is_empty() {
            return Err(OdaError::Malformed);
        }
        modulus.to_vec()
    } else {
        [fitted, remainder].concat()
    };
    if modulus.len() != length {
        return Err(OdaError::Malformed);
    }
    Ok(PublicKey { modulus, exponent: exponent.to_vec() })
}

/// Whether digits of a number, left-aligned and filled with `F`, begin `pan` (all of it: `whole`).
fn belongs(digits: &[u8], pan: &str, whole: bool) -> bool {
    let shown: String = hex::encode_upper(digits);
    let own = shown.trim_end_matches('F');
    own.len() >= 3 && if whole { own == pan } else { pan.starts_with(own) }
}

/// The issuer's key from its certificate (tag 90, 9F32, 92).
pub fn issuer(
    capk: &Capk,
    certificate: &[u8],
    exponent: &[u8],
    remainder: &[u8],
    pan: &str,
    date: [u8; 3],
) -> Result<PublicKey, OdaError> {
    let block = recover(&capk.modulus, &capk.exponent, certificate)?;
    let body = opened(&block, 0x02, &[remainder, exponent])?;
    // Issuer 4, ends 2, serial 3, hash algorithm 1, key algorithm 1, key length 1, exponent length 1, key.
    let [i0, i1, i2, i3, m, y, _, _, _, 1, 1, length, elength, fitted @ ..] = body.as_slice() else {
        return Err(OdaError::Signature);
    };
    if usize::from(*elength) != exponent.len() {
        return Err(OdaError::Malformed);
    }
    if !belongs(&[*i0, *i1, *i2, *i3], pan, false) {
        return Err(OdaError::OtherCard);
    }
    current(&[*m, *y], date)?;
    key(fitted, remainder, *length, exponent)
}

/// The card's key from its certificate (9F46, 9F47, 9F48). `signed`: the card's static data.
pub fn card(
    issuer: &PublicKey,
    certificate: &[u8],
    exponent: &[u8],
    remainder: &[u8],
    signed: &[u8],
    pan: &str,
    date: [u8; 3],
) -> Result<PublicKey, OdaError> {
    let block = recover(&issuer.modulus, &issuer.exponent, certificate)?;
    let body = opened(&block, 0x04, &[remainder, exponent, signed])?;
    // Number 10, ends 2, serial 3, hash algorithm 1, key algorithm 1, key length 1, exponent length 1, key.
    let (number, rest) = body.split_at_checked(10).ok_or(OdaError::Signature)?;
    let [m, y, _, _, _, 1, 1, length, elength, fitted @ ..] = rest else { return Err(OdaError::Signature) };
    if usize::from(*elength) != exponent.len() {
        return Err(OdaError::Malformed);
    }
    if !belongs(number, pan, true) {
        return Err(OdaError::OtherCard);
    }
    current(&[*m, *y], date)?;
    key(fitted, remainder, *length, exponent)
}

/// Static data (tag 93); gives the data authentication code.
pub fn static_data(issuer: &PublicKey, signature: &[u8], signed: &[u8]) -> Result<[u8; 2], OdaError> {
    let block = recover(&issuer.modulus, &issuer.exponent, signature)?;
    match opened(&block, 0x03, &[signed])?.as_slice() {
        [1, a, b, ..] => Ok([*a, *b]),
        _ => Err(OdaError::Signature),
    }
}

/// Dynamic data (9F4B); gives what the card put into it. `told`: what the terminal told the card.
pub fn dynamic_data(card: &PublicKey, signature: &[u8], told: &[u8]) -> Result<Zeroizing<Vec<u8>>, OdaError> {
    let block = recover(&card.modulus, &card.exponent, signature)?;
    let body = opened(&block, 0x05, &[told])?;
    match body.as_slice() {
        [1, length, rest @ ..] => {
            let own = rest.get(..usize::from(*length)).ok_or(OdaError::Malformed)?;
            Ok(Zeroizing::new(own.to_vec()))
        }
        _ => Err(OdaError::Signature),
    }
}

/// Static data to be authenticated: signed records, then what 9F4A names (the profile 82 is all it may name).
fn static_input(store: &Store, records: &[u8]) -> Result<Zeroizing<Vec<u8>>, OdaError> {
    let profile = match store.get(0x9F4A) {
        None | Some([]) => &[][..],
        Some([0x82]) => store.get(0x82).ok_or(OdaError::Malformed)?,
        Some(_) => return Err(OdaError::Malformed),
    };
    let mut whole = Zeroizing::new(Vec::with_capacity(records.len() + profile.len()));
    whole.extend_from_slice(records);
    whole.extend_from_slice(profile);
    Ok(whole)
}

/// Does what the card's profile (82) and data allow: dynamic (fDDA: signature 9F4B given with the options, over 9F37, 9F02,
/// 5F2A and 9F69; qPBOC and qVSDC), else static.
pub fn authenticate(keys: &Keys, aid: &[u8], store: &Store, records: &[u8], sale: &Sale, pan: &str) -> Oda {
    let offered = store.exact::<2>(0x82).is_some_and(|p| p[0] & 0x61 != 0) && store.get(0x90).is_some();
    if !offered {
        return Oda::NotDone;
    }
    match try_it(keys, aid, store, records, sale, pan) {
        Ok(true) => Oda::Proved,
        Ok(false) => Oda::NotDone,
        Err(error) => Oda::Failed(error),
    }
}

fn try_it(
    keys: &Keys,
    aid: &[u8],
    store: &Store,
    records: &[u8],
    sale: &Sale,
    pan: &str,
) -> Result<bool, OdaError> {
    let get = |tag: u32| store.get(tag).ok_or(OdaError::Malformed);
    let rid = aid.get(..5).ok_or(OdaError::Malformed)?;
    let capk = match get(0x8F)? {
        [index] => keys.find(rid, *index).ok_or(OdaError::UnknownKey)?,
        _ => return Err(OdaError::Malformed),
    };
    let rest = store.get(0x92).unwrap_or_default();
    let issuer = issuer(capk, get(0x90)?, get(0x9F32)?, rest, pan, sale.date)?;
    let signed = static_input(store, records)?;
    if store.get(0x9F46).is_none() {
        return match store.get(0x93) {
            Some(signature) => static_data(&issuer, signature, &signed).map(|_| true),
            None => Ok(false),
        };
    }
    let rest = store.get(0x9F48).unwrap_or_default();
    let own = card(&issuer, get(0x9F46)?, get(0x9F47)?, rest, &signed, pan, sale.date)?;
    let Some(signature) = store.get(0x9F4B) else { return Ok(false) };
    let values = super::terminal::told(sale);
    let mut told = Zeroizing::new(Vec::with_capacity(32));
    told.extend_from_slice(&sale.unpredictable);
    // Without 9F69 only the random number is signed (the old fDDA); with it, version 01, amount and currency too.
    if let Some(related) = store.get(0x9F69) {
        told.extend_from_slice(&values.0);
        told.extend_from_slice(&values.1);
        told.extend_from_slice(related);
    }
    dynamic_data(&own, signature, &told)?;
    Ok(true)
}
