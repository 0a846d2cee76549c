//! Object paths. A client takes them from the daemon where it can; these helpers are for ids that people type.

use zbus::{ObjectPath, OwnedObjectPath};

use crate::Error;

/// The till itself, and its ObjectManager.
pub const ROOT: &str = "/org/tilld/Till1";

/// The path of a payment, from its 32 hexadecimal digits.
pub fn payment(id: &str) -> Result<OwnedObjectPath, Error> {
    if id.len() != 32 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Error::InvalidArgs(format!(
            "{:?} is not a payment id; it is 32 hexadecimal digits, as `tillctl payments` shows",
            short(id)
        )));
    }
    path(&format!("{ROOT}/payment/p{}", id.to_ascii_lowercase()))
}

/// The path of a channel, from its id.
pub fn channel(id: &str) -> Result<OwnedObjectPath, Error> {
    configured("channel", id)
}

/// The path of a device, from its id.
pub fn device(id: &str) -> Result<OwnedObjectPath, Error> {
    configured("device", id)
}

/// The payment id in a payment's path; None for other objects.
pub fn payment_id<'p>(path: &'p ObjectPath<'_>) -> Option<&'p str> {
    path.as_str().strip_prefix(ROOT)?.strip_prefix("/payment/p")
}

/// `/`, which stands for "no object".
pub fn is_none(path: &ObjectPath<'_>) -> bool {
    path.as_str() == "/"
}

fn configured(kind: &str, id: &str) -> Result<OwnedObjectPath, Error> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if id.is_empty() || id.len() > 32 || !id.bytes().all(good) {
        return Err(Error::InvalidArgs(format!(
            "{:?} is not the id of a {kind}: lower-case letters, digits and dashes, as `tillctl {kind}s` shows",
            short(id)
        )));
    }
    path(&format!("{ROOT}/{kind}/{}", id.replace('-', "_")))
}

fn path(text: &str) -> Result<OwnedObjectPath, Error> {
    OwnedObjectPath::try_from(text).map_err(|e| Error::InvalidArgs(format!("{text}: {e}")))
}

fn short(id: &str) -> String {
    id.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_become_paths_and_back_and_nothing_else_gets_into_a_path() {
        let id = "0193a1b2c3d4e5f60718293a4b5c6d7e";
        let path = payment(id).unwrap();
        assert_eq!(payment_id(&path), Some(id));
        assert_eq!(channel("wallet-2").unwrap().as_str(), "/org/tilld/Till1/channel/wallet_2");
        for bad in ["", "../x", "a/b", "Ä", "A", &"a".repeat(33)] {
            assert!(channel(bad).is_err() && device(bad).is_err() && payment(bad).is_err(), "{bad}");
        }
    }
}
