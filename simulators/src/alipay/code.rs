//! The form of Alipay's wallet codes.

/// Whether a text can be a wallet code of this scheme: 16 to 24 digits that begin with 25 to 30.
pub fn is_wallet_code(code: &str) -> bool {
    (16..=24).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_digit())
        && code.get(..2).is_some_and(|prefix| ("25"..="30").contains(&prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_schemes_prefixes_and_lengths_are_wallet_codes() {
        for good in ["250000000000000001", "3000000000000000", "289999999999999999999999"] {
            assert!(is_wallet_code(good), "{good}");
        }
        for bad in [
            "240000000000000001",
            "310000000000000001",
            "280000000000000",
            "2800000000000000000000000",
            "28000000000000000a",
            "２８0000000000000000",
            "",
        ] {
            assert!(!is_wallet_code(bad), "{bad}");
        }
    }
}
