//! Who the card belongs to and how its holder is verified: account number, track 2 equivalent, and the rules of small
//! amounts without PIN and signature (小额免密免签, channels.md §6).

use till_plugin::Sensitive;
use till_plugin::instrument::Cvm;
use zeroize::Zeroizing;

use super::aid::Scheme;
use super::store::Store;

/// Why the card's identity is not usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HolderError {
    /// Neither 57 nor 5A.
    #[error("the card does not tell its number")]
    Missing,
    /// Not digits, too short or too long, or another form.
    #[error("the card's number or track 2 is malformed")]
    Malformed,
    /// Two different numbers.
    #[error("the card tells two different numbers (57 and 5A)")]
    Mismatch,
}

/// Account number and track 2.
pub struct Holder {
    /// Account number, 12–19 digits.
    pub pan: Sensitive<String>,
    /// Digits with `=`.
    pub track2: Option<Sensitive<String>>,
    /// PAN sequence number (5F34).
    pub sequence: Option<u8>,
}

/// Digits of compressed numeric data; the separator `D` as `=`; ends at `F`.
fn digits(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    let mut ended = false;
    for nibble in bytes.iter().flat_map(|b| [b >> 4, b & 0x0F]) {
        match nibble {
            0..=9 if !ended => text.push(char::from(b'0' + nibble)),
            0xD if !ended => text.push('='),
            0xF => ended = true,
            _ => return None,
        }
    }
    Some(text)
}

/// Reads them.
pub fn holder(store: &Store) -> Result<Holder, HolderError> {
    let track2 = match store.get(0x57) {
        Some(bytes) if bytes.len() <= 19 => Some(digits(bytes).ok_or(HolderError::Malformed)?),
        Some(_) => return Err(HolderError::Malformed),
        None => None,
    };
    let from_track = match track2.as_ref().map(|t| t.split_once('=')) {
        Some(Some((pan, rest))) if !rest.contains('=') => Some(pan),
        Some(_) => return Err(HolderError::Malformed),
        None => None,
    };
    let own = match store.get(0x5A) {
        Some(bytes) if bytes.len() <= 10 => Some(digits(bytes).ok_or(HolderError::Malformed)?),
        Some(_) => return Err(HolderError::Malformed),
        None => None,
    };
    let pan = match (from_track, own.as_ref().map(|t| t.as_str())) {
        (Some(a), Some(b)) if a != b => return Err(HolderError::Mismatch),
        (Some(pan), _) | (None, Some(pan)) => pan,
        (None, None) => return Err(HolderError::Missing),
    };
    if !(12..=19).contains(&pan.len()) || !pan.bytes().all(|b| b.is_ascii_digit()) {
        return Err(HolderError::Malformed);
    }
    let sequence = match store.get(0x5F34) {
        Some([bcd]) if bcd >> 4 <= 9 && bcd & 0x0F <= 9 => Some((bcd >> 4) * 10 + (bcd & 0x0F)),
        Some(_) => return Err(HolderError::Malformed),
        None => None,
    };
    Ok(Holder {
        pan: Sensitive::new(pan.to_owned()),
        track2: track2.as_ref().map(|t| Sensitive::new(t.as_str().to_owned())),
        sequence,
    })
}

/// What the card asks of its holder (card transaction qualifiers 9F6C: Visa and UnionPay).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Online PIN.
    pub pin: bool,
    /// Signature.
    pub signature: bool,
    /// The holder was verified on the phone.
    pub on_device: bool,
}

/// Reads 9F6C.
pub fn asked(store: &Store, scheme: Option<Scheme>) -> Asked {
    match (scheme, store.get(0x9F6C)) {
        (Some(Scheme::Visa | Scheme::UnionPay), Some([first, second, ..])) => {
            Asked { pin: first & 0x80 != 0, signature: first & 0x40 != 0, on_device: second & 0x80 != 0 }
        }
        _ => Asked::default(),
    }
}

/// Which of UnionPay's applications it is: debit cards are asked for the PIN whenever the card says so, others only above
/// the limit.
pub fn debit(aid: &[u8]) -> bool {
    aid.starts_with(&[0xA0, 0, 0, 3, 0x33, 1, 1]) && aid.get(7).is_none_or(|kind| *kind == 1)
}

/// The decision. `above`: the amount is above the limit of small payments.
///
/// The PIN is owed if the card asks for it, to a debit card at any amount, to others above the limit only. A signature is owed
/// above the limit. Verification on the phone settles both.
pub fn verification(asked: Asked, debit: bool, above: bool) -> (bool, bool) {
    if asked.on_device {
        return (false, false);
    }
    (asked.pin && (debit || above), above)
}

/// The decision as one word: a PIN outweighs a signature.
pub fn cvm(asked: Asked, debit: bool, above: bool) -> Cvm {
    match verification(asked, debit, above) {
        (true, _) => Cvm::OnlinePin,
        (false, true) => Cvm::Signature,
        (false, false) if asked.on_device => Cvm::OnDevice,
        (false, false) => Cvm::None,
    }
}

/// CVM results (9F34) of a decision (EMV Book 4 annex A4): method, condition, result.
pub const fn results(cvm: Cvm) -> [u8; 3] {
    match cvm {
        // Enciphered PIN online: its result is the issuer's.
        Cvm::OnlinePin => [0x02, 0x03, 0x00],
        Cvm::Signature => [0x1E, 0x03, 0x00],
        _ => [0x1F, 0x03, 0x02],
    }
}
