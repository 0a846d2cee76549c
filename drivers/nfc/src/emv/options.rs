//! Answers of GET PROCESSING OPTIONS, GENERATE AC and READ RECORD (EMV Book 3 §6.5.5, §6.5.8, §6.5.11, §10.2).

use super::store::{Store, StoreError};
use super::tlv;

/// Most records of one application.
const RECORDS: usize = 48;

/// Why an answer is not usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// Neither of the two forms.
    #[error("the card's answer has neither of the two forms that EMV knows")]
    Form,
    /// The profile of the interchange is missing.
    #[error("the card does not say what it supports (82)")]
    NoProfile,
    /// The file locator is malformed.
    #[error("the card's file locator (94) is malformed")]
    Locator,
    /// It names more records than a card may.
    #[error("the card's file locator names more than {RECORDS} records")]
    TooManyRecords,
    /// A record is no template 70.
    #[error("a record of the card is no template 70")]
    Record,
    /// The objects in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A run of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Short file identifier, 1–30.
    pub sfi: u8,
    /// First record.
    pub first: u8,
    /// Last record.
    pub last: u8,
    /// How many of them are signed.
    pub signed: u8,
}

/// Takes an answer of GET PROCESSING OPTIONS into the store: template 80 (profile and locator) or 77 (objects).
pub fn options(answer: &[u8], store: &mut Store) -> Result<(), OptionsError> {
    tlv::check(answer).map_err(StoreError::from)?;
    if let Some(plain) = tlv::only(answer, 0x80) {
        let (profile, locator) = plain.split_first_chunk::<2>().ok_or(OptionsError::NoProfile)?;
        store.put(0x82, profile)?;
        store.put(0x94, locator)?;
    } else if let Some(objects) = tlv::only(answer, 0x77) {
        store.put_all(objects)?;
    } else {
        return Err(OptionsError::Form);
    }
    store.exact::<2>(0x82).map(drop).ok_or(OptionsError::NoProfile)
}

/// Takes an answer of GENERATE AC into the store: template 80 (CID, ATC, AC, IAD) or 77.
pub fn cryptogram(answer: &[u8], store: &mut Store) -> Result<(), OptionsError> {
    tlv::check(answer).map_err(StoreError::from)?;
    if let Some(plain) = tlv::only(answer, 0x80) {
        if !(11..=43).contains(&plain.len()) {
            return Err(OptionsError::Form);
        }
        for (tag, range) in [(0x9F27, 0..1), (0x9F36, 1..3), (0x9F26, 3..11), (0x9F10, 11..plain.len())] {
            store.put(tag, &plain[range])?;
        }
        Ok(())
    } else if let Some(objects) = tlv::only(answer, 0x77) {
        Ok(store.put_all(objects)?)
    } else {
        Err(OptionsError::Form)
    }
}

/// Reads a file locator.
pub fn locator(bytes: &[u8]) -> Result<Vec<Run>, OptionsError> {
    if !bytes.len().is_multiple_of(4) {
        return Err(OptionsError::Locator);
    }
    let mut runs = Vec::new();
    let mut records = 0;
    for part in bytes.chunks_exact(4) {
        let &[file, first, last, signed] = part else { return Err(OptionsError::Locator) };
        let sfi = file >> 3;
        let sound = file.trailing_zeros() >= 3 && (1..=30).contains(&sfi) && first > 0 && last >= first;
        if !sound || signed > last - first + 1 {
            return Err(OptionsError::Locator);
        }
        records += usize::from(last - first) + 1;
        if records > RECORDS {
            return Err(OptionsError::TooManyRecords);
        }
        runs.push(Run { sfi, first, last, signed });
    }
    Ok(runs)
}

/// Takes a record into the store and gives what of it is signed (EMV Book 3 §10.3: files 1–10 without the template, others
/// as they are).
pub fn record<'a>(sfi: u8, answer: &'a [u8], store: &mut Store) -> Result<&'a [u8], OptionsError> {
    let inside = tlv::check(answer).ok().and_then(|()| tlv::only(answer, 0x70));
    match inside {
        Some(objects) => {
            store.put_all(objects)?;
            Ok(if sfi <= 10 { objects } else { answer })
        }
        // Proprietary files hold what they like; they just prove nothing.
        None if sfi > 10 => Ok(answer),
        None => Err(OptionsError::Record),
    }
}
