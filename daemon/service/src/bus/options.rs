//! The `a{sv} options` of every method: known keys only, each of its type.

use std::collections::HashMap;

use till_plugin::{Currency, Money};
use zbus::OwnedVariant;

use super::errors::Error;

/// Options as they arrive.
pub(super) type Options = HashMap<String, OwnedVariant>;

/// Longest text of a caller, bytes.
const MAX_TEXT: usize = 256;

/// Refuses keys that the method does not have.
pub(super) fn only(options: &Options, known: &[&str]) -> Result<(), Error> {
    match options.keys().find(|k| !known.contains(&k.as_str())) {
        None => Ok(()),
        Some(key) if known.is_empty() => {
            Err(Error::InvalidArgs(format!("unknown option {:?}: this method has none", short(key))))
        }
        Some(key) => Err(Error::InvalidArgs(format!(
            "unknown option {:?}; there are: {}",
            short(key),
            known.join(", ")
        ))),
    }
}

/// A text option of at most `max` characters, without control characters.
pub(super) fn text(options: &Options, key: &str, max: usize) -> Result<Option<String>, Error> {
    let Some(value) = options.get(key) else { return Ok(None) };
    let text: &str =
        value.try_into().map_err(|_| Error::InvalidArgs(format!("option {key:?} must be a string")))?;
    if text.chars().count() > max || text.len() > MAX_TEXT.max(max * 4) {
        return Err(Error::InvalidArgs(format!("option {key:?} is longer than {max} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::InvalidArgs(format!("option {key:?} has control characters in it")));
    }
    Ok(Some(text.to_owned()))
}

/// A yes-or-no option.
pub(super) fn flag(options: &Options, key: &str) -> Result<Option<bool>, Error> {
    let Some(value) = options.get(key) else { return Ok(None) };
    bool::try_from(value)
        .map(Some)
        .map_err(|_| Error::InvalidArgs(format!("option {key:?} must be true or false (b)")))
}

/// A number option.
pub(super) fn number(options: &Options, key: &str) -> Result<Option<u32>, Error> {
    let Some(value) = options.get(key) else { return Ok(None) };
    u32::try_from(value)
        .map(Some)
        .map_err(|_| Error::InvalidArgs(format!("option {key:?} must be an unsigned number (u)")))
}

/// A large number option.
pub(super) fn big(options: &Options, key: &str) -> Result<Option<u64>, Error> {
    let Some(value) = options.get(key) else { return Ok(None) };
    u64::try_from(value)
        .map(Some)
        .map_err(|_| Error::InvalidArgs(format!("option {key:?} must be an unsigned number (t)")))
}

/// A number option that may be below zero.
pub(super) fn signed(options: &Options, key: &str) -> Result<Option<i64>, Error> {
    let Some(value) = options.get(key) else { return Ok(None) };
    i64::try_from(value)
        .map(Some)
        .map_err(|_| Error::InvalidArgs(format!("option {key:?} must be a number (x)")))
}

/// An amount option: minor units of the payment's currency (x).
pub(super) fn amount(options: &Options, key: &str, currency: Currency) -> Result<Option<Money>, Error> {
    let Some(value) = options.get(key) else { return Ok(None) };
    i64::try_from(value)
        .map(|minor| Some(Money::new(minor, currency)))
        .map_err(|_| Error::InvalidArgs(format!("option {key:?} must be an amount in minor units (x)")))
}

fn short(key: &str) -> String {
    key.chars().take(40).collect()
}
