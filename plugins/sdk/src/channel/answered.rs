//! What an answer says of the shop's contract: the merchant as it is displayed, its MCC, what the network charges.
//!
//! A channel that hears such a thing says it as an [extra fact](crate::Extra) of the [`Approval`](super::Approval), as it
//! came but for blanks around it. The daemon compares it with what the configuration says was agreed (pos.md S15): what
//! differs leaves the money as it is, and suspends the channel. The merchant's *id* is no such fact: it goes into
//! [`Echo::merchant`](super::Echo), and a wrong one makes the whole answer worth nothing (W4).

use crate::Extra;

/// Displayed name of the merchant, UTF-8.
pub const MERCHANT_NAME: &str = "answered.merchant-name";
/// Merchant category code (ISO 18245), four digits.
pub const MCC: &str = "answered.mcc";
/// The merchant that the money is paid out to.
pub const PAYEE: &str = "answered.payee";
/// The rate that is charged, whole millionths of the amount (0.6 % is `6000`).
pub const RATE_PPM: &str = "answered.rate-ppm";
/// The fee of this payment, minor units of its currency.
pub const FEE: &str = "answered.fee";

/// All of them.
pub const FACTS: [&str; 5] = [MERCHANT_NAME, MCC, PAYEE, RATE_PPM, FEE];

/// Longest value that is kept, bytes; the rest is cut off.
pub const LONGEST: usize = 64;

/// Says a fact, if the answer has it.
pub fn say(extra: &mut Extra, fact: &str, value: Option<&str>) {
    let Some(value) = value.map(str::trim).filter(|v| !v.is_empty()) else { return };
    let end = (0..=LONGEST.min(value.len())).rev().find(|at| value.is_char_boundary(*at)).unwrap_or(0);
    extra.insert(fact.into(), value[..end].into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_said_as_it_came_and_a_long_one_is_cut_between_characters() {
        let mut extra = Extra::new();
        say(&mut extra, MCC, Some("  "));
        say(&mut extra, PAYEE, None);
        assert!(extra.is_empty());
        say(&mut extra, MERCHANT_NAME, Some(" 商户 甲  "));
        assert_eq!(extra[MERCHANT_NAME], "商户 甲");
        say(&mut extra, MERCHANT_NAME, Some(&"商".repeat(30)));
        assert_eq!(extra[MERCHANT_NAME], "商".repeat(21));
    }
}
