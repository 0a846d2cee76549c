//! What several fuzz targets share.
#![allow(clippy::missing_panics_doc, clippy::expect_used)] // a target that panics has found something

use std::sync::LazyLock;

use till_plugin::channel::Outcome;
use till_wallet::keys::PlatformKey;

/// A public key whose private half was thrown away: whatever verifies with it is forged.
const PUBLIC: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAuLPrA7QhGKq6ossTP6nya20+rVgpXQaDYaEOIHxFzeKHnHOAUO6MmXzKBIjQQZ+mS+5MmjJfMCTjZ3mcBconHu+7SphZG3Z/3hV132UYYKQhFRB0/ZdFAzlALCRF+Nvzz23JfxGjKehpyy+Q/PhTAezeMdKdhnxwYbGwfLijw0ACO+d7GP4B6RD9/apjsPipdUWTl3gJSUOxw7Ypw0NR4erxhyxGSH4ikyos+SwZdB/LIEzVZrVjkmEtUbc24QN4/PTKG5RmuMd/leJ9QfK7FNtg9XQ9s6HkS73OHsKxT3zPpA1JAyfvT0b/YgIBHfaaVNU/ClaHJnPzFQnu9dz9BwIDAQAB";

/// The same, read.
pub static NOBODYS_KEY: LazyLock<PlatformKey> =
    LazyLock::new(|| PlatformKey::from_text(PUBLIC).expect("the key above"));

/// The order that was asked for, of CNY 128.50.
pub const ORDER: &str = "T0120260901000001";
/// What it costs, minor units.
pub const OWED: i64 = 12_850;
/// A refund of it.
pub const REFUND: &str = "T0120260901000002";

/// Holds of what an answer to a sale of [`OWED`] is read as: only one that names all of it (`exact`) approves, it is said in
/// printable words, and an answer proves that the request had left.
pub fn of_a_sale(outcome: &Outcome, exact: bool) {
    match outcome {
        Outcome::Approved(a) => assert!(exact && a.amount.minor() == OWED),
        Outcome::Declined(d) => assert!(!d.text.chars().chain(d.text_zh.chars()).any(char::is_control)),
        Outcome::NotSent(_) => panic!("an answer is proof that the request left"),
        Outcome::Unknown(_) => {}
    }
}

/// Pieces of the input, each behind two bytes of length; the last may be cut.
pub fn behind_lengths(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, tail) = rest.split_first_chunk::<2>()?;
        let (piece, tail) = tail.split_at(usize::from(u16::from_le_bytes(*length)).min(tail.len()));
        rest = tail;
        Some(piece)
    })
}
