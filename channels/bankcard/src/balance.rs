//! The answer to a balance inquiry: field 54 (channels.md §1.2), and the sentences of an inquiry that told nothing.
//!
//! An inquiry moves no money, so nothing about it is unknown for long and nothing is ever reversed: it told a balance, or
//! it did not. What it told is for the caller alone: no text here holds an amount.

use crate::answers::Answer;
use crate::dialect::{Action, Dialect};
use crate::exchange::Exchanged;
use crate::outcome;
use till_plugin::channel::{Decline, DeclineClass, NextStep, balance, pin};
use till_plugin::{Currency, Money};

/// Length of one amount: account type 2, amount type 2, currency 3, sign, twelve digits (channels.md §1.2).
const ENTRY: usize = 20;
/// Amount type: what can be spent.
const AVAILABLE: &[u8] = b"02";
/// Account type: the account that nobody named.
const UNNAMED: &[u8] = b"00";

/// Why field 54 tells no balance. The texts name no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BalanceError {
    /// There is no field 54.
    #[error("the answer holds no balance (field 54)")]
    Missing,
    /// It is no row of amounts.
    #[error("the answer's balance (field 54) is not readable")]
    Unreadable,
    /// It is one, of other amounts or other currencies.
    #[error("the answer (field 54) holds no available balance in this acquirer's currency")]
    NotAvailable,
}

/// The balance that a field 54 tells: the available amount in `currency`, negative where it is owed (`D`).
///
/// A host may tell several accounts of one card. The one that nobody named (type 00) is the card's own; without it the
/// first one counts. Every amount must be readable, also those that are not asked for.
pub fn read(field54: &[u8], currency: Currency) -> Result<Money, BalanceError> {
    if field54.is_empty() {
        return Err(BalanceError::Missing);
    }
    if !field54.len().is_multiple_of(ENTRY) {
        return Err(BalanceError::Unreadable);
    }
    let own = format!("{:03}", currency.numeric());
    let mut found: Option<(&[u8], i64)> = None;
    for entry in field54.chunks_exact(ENTRY) {
        let (head, digits) = entry.split_at(8);
        let (account, kind, number, sign) = (&head[..2], &head[2..4], &head[4..7], head[7]);
        let readable = [account, kind, number, digits].iter().all(|part| part.iter().all(u8::is_ascii_digit));
        if !readable || !matches!(sign, b'C' | b'D') {
            return Err(BalanceError::Unreadable);
        }
        if kind != AVAILABLE || number != own.as_bytes() {
            continue;
        }
        let minor = digits.iter().fold(0_i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        let better = found.is_none_or(|(before, _)| before != UNNAMED && account == UNNAMED);
        if better {
            found = Some((account, if sign == b'D' { -minor } else { minor }));
        }
    }
    found.map(|(_, minor)| Money::new(minor, currency)).ok_or(BalanceError::NotAvailable)
}

/// What a verified answer tells.
pub fn of_answer(dialect: &Dialect, answer: &Answer) -> Result<Money, Decline> {
    if answer.rule.action != Action::Approved {
        return Err(outcome::declined(&answer.code, &answer.rule));
    }
    read(answer.message.get(54).unwrap_or_default(), dialect.request.currency)
        .map_err(|error| bad_answer(&error.to_string()))
}

/// Why an inquiry without a verified answer told nothing. `None` for an answer.
pub fn untold(exchanged: &Exchanged) -> Option<Decline> {
    match exchanged {
        Exchanged::Answer(_) => None,
        Exchanged::NotSent(why) => Some(outcome::refusal(
            DeclineClass::Channel,
            "not-sent",
            format!("the balance was not asked for: {why}"),
            "未发送，请稍后重试",
            NextStep::Later,
        )),
        Exchanged::NoAnswer(why) | Exchanged::Broken(why) => Some(unanswered(why)),
        Exchanged::Garbage(_) | Exchanged::BadSeal | Exchanged::Mismatch(_) => {
            let why = outcome::unknown(exchanged).map(|unknown| unknown.text).unwrap_or_default();
            Some(bad_answer(&why))
        }
    }
}

/// Nothing moved, and nothing is owed: it can be asked again.
fn unanswered(why: &str) -> Decline {
    outcome::refusal(
        DeclineClass::Channel,
        balance::UNANSWERED,
        format!("the acquirer did not answer ({why}): no money moved, ask again"),
        "收单行无应答，资金未变动，请重试",
        NextStep::Later,
    )
}

fn bad_answer(why: &str) -> Decline {
    outcome::refusal(
        DeclineClass::Channel,
        balance::BAD_ANSWER,
        format!(
            "the acquirer's answer cannot be believed: {why}; no money moved, ask again or call the acquirer"
        ),
        "收单行应答有误，资金未变动，请重试或联系收单行",
        NextStep::Later,
    )
}

/// The dialect has no field 54, or no MAC over it.
pub fn not_offered() -> Decline {
    outcome::refusal(
        DeclineClass::Merchant,
        "unsupported",
        "in this acquirer's dialect an answer holds no balance (field 54), or its MAC does not cover it",
        "收单行不支持余额查询",
        NextStep::OtherMethod,
    )
}

/// The PIN is owed: with a pad it is entered and the inquiry comes again; without one this is the end of it.
pub fn pin_owed(pad: bool) -> Decline {
    let (text, zh) = if pad {
        (
            "a balance inquiry takes the card's PIN: enter it on the PIN pad",
            "查询余额须输入密码，请在密码键盘上输入",
        )
    } else {
        (
            "this acquirer wants the card's PIN for a balance inquiry, and there is no PIN pad that it takes: connect one, \
             or set balance_without_pin if the acquirer's contract allows it",
            "查询余额须输入密码，本机无可用的密码键盘",
        )
    };
    outcome::refusal(DeclineClass::Customer, pin::NEEDED, text, zh, NextStep::OtherMethod)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(field54: &str) -> Result<i64, BalanceError> {
        read(field54.as_bytes(), Currency::CNY).map(Money::minor)
    }

    #[test]
    fn one_amount_is_told_with_its_sign() {
        assert_eq!(told("1002156C000000567890"), Ok(567_890));
        assert_eq!(told("3002156D000000001200"), Ok(-1_200));
        assert_eq!(told("0002156C999999999999"), Ok(999_999_999_999));
        assert_eq!(told("0002156D000000000000"), Ok(0));
    }

    #[test]
    fn of_several_the_available_one_in_our_currency_counts_and_the_cards_own_account_first() {
        let (ledger, dollars) = ("1001156C000000000001", "1002840C000000000002");
        let (savings, credit) = ("1002156C000000000003", "3002156C000000000004");
        let own = "0002156C000000000005";
        assert_eq!(told(&[ledger, dollars, savings].concat()), Ok(3));
        assert_eq!(told(&[credit, savings].concat()), Ok(4), "the first");
        assert_eq!(told(&[savings, own, credit].concat()), Ok(5));
        assert_eq!(told(&[own, "0002156C000000000006"].concat()), Ok(5));
        assert_eq!(told(&[ledger, dollars].concat()), Err(BalanceError::NotAvailable));
    }

    #[test]
    fn what_is_no_row_of_amounts_tells_nothing() {
        assert_eq!(told(""), Err(BalanceError::Missing));
        for bad in [
            "1002156C00000056789",
            "1002156C0000005678901",
            "1002156C00000056789A",
            "1002156X000000567890",
            "1002156c000000567890",
            "1 02156C000000567890",
            "10021 6C000000567890",
            "1002156C+00000567890",
            "1002156C-00000567890",
            "1002156C000000567890A002156C000000567890",
            "1002156C0000005678901001156",
        ] {
            assert_eq!(told(bad), Err(BalanceError::Unreadable), "{bad}");
        }
    }
}
