//! What a channel's configuration says of merchant authentication.

use till_core::merchant::Terms;

use super::MerchantConfig;
use super::file::MerchantAuth;
use super::load::{ConfigError, bad};

/// A working day.
const VALID_S: u32 = 8 * 3_600;
/// Wrong tries in a row.
const TRIES: u32 = 5;

/// Checks it; `channel`: whose.
pub(super) fn merchant(channel: &str, written: &MerchantAuth) -> Result<MerchantConfig, ConfigError> {
    let wrong = |key: &str, text: String| bad(format!("channel.{channel}.merchant-auth.{key}"), text);
    let number = &written.number;
    if !(1..=32).contains(&number.len()) || !number.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(wrong("number", format!("{number:?} is not 1 to 32 letters and digits")));
    }
    let file = &written.password_hash;
    if file.starts_with('$') {
        // What is refused is not shown: it may be the hash itself.
        let text =
            "names a file in the secrets folder; the hash itself does not belong into the configuration";
        return Err(wrong("password-hash", text.into()));
    }
    if file.is_empty() || file.len() > 64 || file.contains('/') || file.starts_with('.') {
        return Err(wrong(
            "password-hash",
            "is the name of a file in the secrets folder, without a path".into(),
        ));
    }
    let valid_s = written.valid_s.unwrap_or(VALID_S);
    if !(60..=86_400).contains(&valid_s) {
        return Err(wrong("valid-s", format!("{valid_s}: write 60 to 86400, a day")));
    }
    let tries = written.tries.unwrap_or(TRIES);
    if !(1..=10).contains(&tries) {
        return Err(wrong("tries", format!("{tries}: write 1 to 10")));
    }
    let terms = Terms { tries, valid_ms: u64::from(valid_s) * 1_000 };
    Ok(MerchantConfig { number: number.clone(), password_hash: file.clone(), terms })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<MerchantConfig, String> {
        let written: MerchantAuth = toml::from_str(text).map_err(|e| e.to_string())?;
        merchant("bank", &written).map_err(|e| e.to_string())
    }

    #[test]
    fn what_is_written_holds_and_what_is_left_out_is_a_day_and_five_tries() {
        let usual = read("number='8984'\npassword-hash='bank-password'").unwrap();
        assert_eq!(usual.terms, Terms { tries: 5, valid_ms: 28_800_000 });
        let own = read("number='8984'\npassword-hash='p'\nvalid-s=60\ntries=1").unwrap();
        assert_eq!(own.terms, Terms { tries: 1, valid_ms: 60_000 });
    }

    #[test]
    fn what_nobody_meant_is_refused_and_a_hash_is_not_repeated() {
        for (text, part) in [
            ("number='8984'", "password-hash"),
            ("number=''\npassword-hash='p'", "number"),
            ("number='89 84'\npassword-hash='p'", "letters and digits"),
            ("number='8984'\npassword-hash='a/b'", "without a path"),
            ("number='8984'\npassword-hash='p'\nvalid-s=59", "60 to 86400"),
            ("number='8984'\npassword-hash='p'\ntries=0", "1 to 10"),
            ("number='8984'\npassword-hash='p'\npassword='x'", "password"),
            ("number='8984'\npassword-hash='$argon2id$secret'", "does not belong"),
        ] {
            let e = read(text).unwrap_err();
            assert!(e.contains(part) && !e.contains("argon2id"), "{text}: {e}");
        }
    }
}
