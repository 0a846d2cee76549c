//! What was agreed with a network, and what its answers say (pos.md S15): no *jump codes*.
//!
//! The facts that a channel heard are in the approval ([`answered`]). Where one differs, the record of the approval also
//! says what was agreed, and that alone suspends the channel when it is folded: no crash comes between, and no replay
//! needs the configuration (decision 0040).

use till_plugin::channel::{Approval, answered};
use till_plugin::{Extra, Money};

use crate::fees::{FeePlan, ROUNDING};

/// Prefix of what was agreed, in the extra facts of a recorded approval. Only the core writes it.
pub const PREFIX: &str = "agreed.";

/// The agreed profile of a channel, as configured; what is not there is not compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// Displayed name of the merchant.
    pub merchant_name: Option<String>,
    /// Merchant category code, four digits.
    pub mcc: Option<String>,
    /// The merchant that the money is paid out to.
    pub payee: Option<String>,
    /// Rate, millionths. A fee that an answer names is compared with the fee plan of the channel, or with this rate.
    pub rate_ppm: Option<u32>,
}

/// Something that is not what was agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What, lower-kebab: `merchant-name`, `mcc`, `payee`, `rate-ppm`, `fee`.
    pub fact: &'static str,
    /// As agreed.
    pub agreed: String,
    /// As answered.
    pub answered: String,
}

/// The fact's own name.
fn bare(fact: &'static str) -> &'static str {
    fact.strip_prefix("answered.").unwrap_or(fact)
}

impl Agreed {
    /// What of an answer differs. `amount`: of the sale, None for what gives back, which has no fee.
    pub fn differs(&self, plan: Option<&FeePlan>, amount: Option<Money>, said: &Extra) -> Vec<Difference> {
        let mut found = Vec::new();
        let mut compare = |fact: &'static str, agreed: Option<String>, same: &dyn Fn(&str, &str) -> bool| {
            if let (Some(agreed), Some(answered)) = (agreed, said.get(fact))
                && !same(&agreed, answered.trim())
            {
                found.push(Difference { fact: bare(fact), agreed, answered: answered.clone() });
            }
        };
        let text = |agreed: &str, answered: &str| agreed.trim() == answered;
        let number =
            |a: &str, b: &str| matches!((a.parse::<u64>(), b.parse::<u64>()), (Ok(a), Ok(b)) if a == b);
        let near = |a: &str, b: &str| {
            let parsed = (a.parse::<i64>(), b.parse::<i64>());
            matches!(parsed, (Ok(a), Ok(b)) if a.abs_diff(b) <= ROUNDING.unsigned_abs())
        };
        // A long name is compared as far as a channel says it.
        let cut = |name: &String| {
            let mut extra = Extra::new();
            answered::say(&mut extra, answered::MERCHANT_NAME, Some(name));
            extra.remove(answered::MERCHANT_NAME).unwrap_or_default()
        };
        compare(answered::MERCHANT_NAME, self.merchant_name.as_ref().map(cut), &text);
        compare(answered::MCC, self.mcc.clone(), &text);
        compare(answered::PAYEE, self.payee.as_ref().map(cut), &text);
        compare(answered::RATE_PPM, self.rate_ppm.map(|r| r.to_string()), &number);
        let fee = self.rate_ppm.zip(amount).map(|(rate_ppm, amount)| {
            let of_rate = FeePlan { rate_ppm, ..FeePlan::default() };
            plan.unwrap_or(&of_rate).of(amount).minor().to_string()
        });
        compare(answered::FEE, fee, &near);
        found
    }
}

/// Takes out what a plugin says under a name of ours, and writes down what was agreed where it differs.
pub(crate) fn mark(approval: &mut Approval, found: &[Difference]) {
    approval.extra.retain(|key, _| !key.starts_with(PREFIX));
    for d in found {
        approval.extra.insert([PREFIX, d.fact].concat(), d.agreed.clone());
    }
}

/// What a recorded approval says that differs.
pub fn differences(extra: &Extra) -> Vec<Difference> {
    let one = |fact: &'static str| {
        let agreed = extra.get(&[PREFIX, bare(fact)].concat())?.clone();
        Some(Difference { fact: bare(fact), agreed, answered: extra.get(fact)?.clone() })
    };
    if !extra.keys().any(|key| key.starts_with(PREFIX)) {
        return Vec::new();
    }
    answered::FACTS.into_iter().filter_map(one).collect()
}

/// Differences as one line, in no language: `mcc 5411 ≠ 6012; fee 60 ≠ 38`.
pub fn line(found: &[Difference]) -> String {
    let one = |d: &Difference| format!("{} {} ≠ {}", d.fact, d.agreed, d.answered);
    found.iter().map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use till_plugin::Currency;

    use super::*;

    fn agreed() -> Agreed {
        Agreed {
            merchant_name: Some("老王茶馆".into()),
            mcc: Some("5812".into()),
            payee: Some("2088001".into()),
            rate_ppm: Some(6_000),
        }
    }

    fn said(facts: &[(&str, &str)]) -> Extra {
        facts.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn fen(minor: i64) -> Money {
        Money::new(minor, Currency::CNY)
    }

    #[test]
    fn s15_each_fact_alone_is_told_and_what_is_not_said_or_not_agreed_is_not() {
        let good = [
            (answered::MERCHANT_NAME, "老王茶馆 "),
            (answered::MCC, "5812"),
            (answered::PAYEE, "2088001"),
            (answered::RATE_PPM, "06000"),
            (answered::FEE, "60"),
        ];
        assert_eq!(agreed().differs(None, Some(fen(10_000)), &said(&good)), []);
        assert_eq!(agreed().differs(None, Some(fen(10_000)), &Extra::new()), []);
        for (at, (fact, _)) in good.iter().enumerate() {
            let mut one = good;
            one[at].1 = "38";
            let found = agreed().differs(None, Some(fen(10_000)), &said(&one));
            assert_eq!(found.iter().map(|d| d.fact).collect::<Vec<_>>(), [bare(fact)], "{fact}");
            assert_eq!(
                Agreed::default().differs(None, Some(fen(10_000)), &said(&one)),
                [],
                "nothing was agreed"
            );
        }
    }

    #[test]
    fn s15_a_fee_is_that_of_the_plan_but_for_a_rounding_and_what_gives_back_has_none() {
        let plan = FeePlan { rate_ppm: 6_000, max: Some(50), ..FeePlan::default() };
        let fee = |minor: &str| said(&[(answered::FEE, minor)]);
        for (charged, differs) in [("50", false), ("51", false), ("49", false), ("60", true), ("", true)] {
            let found = agreed().differs(Some(&plan), Some(fen(10_000)), &fee(charged));
            assert_eq!(!found.is_empty(), differs, "{charged:?}: {found:?}");
        }
        assert_eq!(agreed().differs(Some(&plan), None, &fee("0")), []);
    }

    #[test]
    fn s15_only_the_core_says_what_was_agreed() {
        let mut approval = Approval::bare(Money::new(1, Currency::CNY), "r");
        approval.extra = said(&[("agreed.mcc", "1111"), (answered::MCC, "2222"), ("other", "x")]);
        mark(&mut approval, &[]);
        assert_eq!(differences(&approval.extra), [], "a plugin suspends nobody");
        let found = agreed().differs(None, None, &approval.extra);
        mark(&mut approval, &found);
        assert_eq!(differences(&approval.extra), found);
        assert_eq!(line(&found), "mcc 5812 ≠ 2222");
        assert_eq!(approval.extra["other"], "x");
    }
}
