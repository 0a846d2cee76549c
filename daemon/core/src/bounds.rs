//! What comes from outside is cut to what one journal record holds.
//!
//! An approval that cannot be journalled would stop the till with the money already taken. So everything that a plugin
//! or a caller says is bounded here before it becomes part of a record: texts are shortened, facts that must not be
//! shortened are left out whole, and every record fits whatever was said.

use till_plugin::channel::{Approval, Decline, Echo, QueryOutcome, UndoOutcome, Unknown, answered};
use till_plugin::{Extra, Family};

use crate::routing::{Candidate, Decision, Exclusion, RuleWeight, Verdict, Weights};

/// Largest encoded record, bytes: what one journal frame carries (`till_journal::MAX_PAYLOAD`, compared by a test).
pub const MAX_RECORD: usize = 3903;

/// Largest sealed recovery data, bytes: the 2 KiB that a plugin may have, and the seal around them.
pub const MAX_RECOVERY: usize = 2048 + 64;

/// Longest idempotency key, bytes. A longer one is refused: two long keys cut alike would become one payment.
pub const MAX_KEY: usize = 256;

/// Longest subject, bytes.
pub(crate) const SUBJECT: usize = 256;
/// Longest name of a person, bytes.
pub(crate) const PERSON: usize = 128;
/// Longest name of a rule, bytes; the configuration holds them to it.
pub(crate) const RULE: usize = 32;
/// Longest line for people, bytes.
pub(crate) const LINE: usize = 480;
/// Longest number, code or reference, bytes.
const NUMBER: usize = 128;
/// All receipt lines of an approval together, bytes.
const RECEIPT: usize = 1500;
/// All extra facts of an approval together, bytes.
const EXTRA: usize = 800;

/// At most `bytes` bytes of the text, whole characters, without control characters (they could forge lines of a log or
/// a receipt).
pub(crate) fn cut(text: &str, bytes: usize) -> String {
    // What fits and holds nothing that may be a control character (those above ASCII begin with 0xc2) stays as it is.
    // Looked at to its end, whatever is found: so it is done many bytes at a time.
    let odd = |b: &u8| u8::from(*b < b' ') | u8::from(*b == 0x7f) | u8::from(*b == 0xc2);
    if text.len() <= bytes && text.as_bytes().iter().map(odd).fold(0, |found, b| found | b) == 0 {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len().min(bytes));
    for c in text.chars().filter(|c| !c.is_control()) {
        if out.len() + c.len_utf8() > bytes {
            break;
        }
        out.push(c);
    }
    out
}

fn cut_option(text: Option<&str>, bytes: usize) -> Option<String> {
    text.map(|t| cut(t, bytes))
}

/// Who did it, bounded.
pub(crate) fn person(operator: Option<&str>) -> Option<String> {
    cut_option(operator, PERSON)
}

/// An account as it may be shown: never more than the first six and last four digits (PCI DSS 4.0 §3.4.1), whatever a
/// plugin believed to be masked.
pub(crate) fn masked(text: &str) -> String {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if digits <= 10 {
        return cut(text, 96);
    }
    let mut seen = 0;
    let hidden: String = text
        .chars()
        .map(|c| {
            if !c.is_ascii_digit() {
                return c;
            }
            seen += 1;
            if seen > 6 && seen + 4 <= digits { '*' } else { c }
        })
        .collect();
    cut(&hidden, 96)
}

pub(crate) fn family(family: &Family) -> Family {
    Family::new(cut(family.as_str(), 64))
}

pub(crate) fn approval(a: &Approval) -> Approval {
    Approval {
        amount: a.amount,
        echo: Echo {
            order: cut_option(a.echo.order.as_deref(), 64),
            merchant: cut_option(a.echo.merchant.as_deref(), 64),
            terminal: cut_option(a.echo.terminal.as_deref(), 64),
        },
        reference: cut(&a.reference, NUMBER),
        authorisation_code: cut_option(a.authorisation_code.as_deref(), 32),
        account: a.account.as_deref().map(masked),
        scheme: cut_option(a.scheme.as_deref(), 64),
        host_time: cut_option(a.host_time.as_deref(), 32),
        cvm: a.cvm,
        change: a.change,
        open_drawer: a.open_drawer,
        receipt: receipt(&a.receipt),
        extra: extra(&a.extra),
    }
}

/// The lines from the top that fit; `…` stands where more were.
fn receipt(lines: &[(String, String)]) -> Vec<(String, String)> {
    let mut room = RECEIPT;
    let mut kept = Vec::new();
    for (label, value) in lines {
        let (label, value) = (cut(label, 64), cut(value, 256));
        let Some(left) = room.checked_sub(label.len() + value.len() + 4) else {
            kept.push(("…".into(), String::new()));
            break;
        };
        room = left;
        kept.push((label, value));
    }
    kept
}

/// Whole facts only: half a fact would be a wrong one.
fn extra(extra: &Extra) -> Extra {
    let mut room = EXTRA;
    let mut kept = Extra::new();
    // What was answered is compared with what was agreed: it comes first, and there is little of it.
    let said = |(key, _): &(&String, &String)| answered::FACTS.contains(&key.as_str());
    for (key, value) in extra.iter().filter(said).chain(extra.iter().filter(|f| !said(f))) {
        let value = if said(&(key, value)) { &cut(value, answered::LONGEST) } else { value };
        if let Some(left) = room.checked_sub(key.len() + value.len() + 4) {
            room = left;
            kept.insert(key.clone(), value.clone());
        }
    }
    kept
}

pub(crate) fn decline(d: &Decline) -> Decline {
    Decline {
        class: d.class,
        code: cut(&d.code, NUMBER),
        text: cut(&d.text, LINE),
        text_zh: cut(&d.text_zh, LINE),
        next: d.next,
    }
}

/// A code to show goes to the customer's display, never to the disk.
fn unknown(u: &Unknown) -> Unknown {
    Unknown { reason: u.reason, text: cut(&u.text, LINE), show_code: None }
}

pub(crate) fn query(outcome: &QueryOutcome) -> QueryOutcome {
    match outcome {
        QueryOutcome::Paid(a) => QueryOutcome::Paid(approval(a)),
        QueryOutcome::NotPaid(d) => QueryOutcome::NotPaid(decline(d)),
        QueryOutcome::Unknown(u) => QueryOutcome::Unknown(unknown(u)),
        other @ (QueryOutcome::InProgress | QueryOutcome::NotFound) => other.clone(),
    }
}

pub(crate) fn undo(outcome: &UndoOutcome) -> UndoOutcome {
    match outcome {
        UndoOutcome::Undone { money_moved, reference } => UndoOutcome::Undone {
            money_moved: *money_moved,
            reference: cut_option(reference.as_deref(), NUMBER),
        },
        UndoOutcome::NeverExisted => UndoOutcome::NeverExisted,
        UndoOutcome::Refused(d) => UndoOutcome::Refused(decline(d)),
        UndoOutcome::NotSent(d) => UndoOutcome::NotSent(decline(d)),
        UndoOutcome::Unknown(u) => UndoOutcome::Unknown(unknown(u)),
    }
}

/// Channel ids come from the configuration, which bounds them; why one does not work comes from outside.
pub(crate) fn decision(d: Decision) -> Decision {
    let rule = |w: Weights| Weights { rule: w.rule.map(|r| RuleWeight { id: cut(&r.id, RULE), ..r }), ..w };
    let candidates = d.candidates.into_iter().take(16).map(|c| {
        let verdict = match c.verdict {
            Verdict::Excluded(Exclusion::Failed(reason)) => {
                Verdict::Excluded(Exclusion::Failed(cut(&reason, 96)))
            }
            Verdict::Excluded(Exclusion::Suspended(by, why)) => {
                Verdict::Excluded(Exclusion::Suspended(by, cut(&why, 96)))
            }
            Verdict::Excluded(Exclusion::Rule(id)) => Verdict::Excluded(Exclusion::Rule(cut(&id, RULE))),
            Verdict::Excluded(Exclusion::Profile(id)) => {
                Verdict::Excluded(Exclusion::Profile(cut(&id, RULE)))
            }
            Verdict::Best(w) => Verdict::Best(rule(w)),
            Verdict::Fits(w) => Verdict::Fits(rule(w)),
            other => other,
        };
        Candidate { verdict, channel: c.channel }
    });
    Decision {
        candidates: candidates.collect(),
        family: family(&d.family),
        evidence: cut(&d.evidence, 64),
        config: cut(&d.config, 64),
        ..d
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_show_ten_digits_at_most() {
        assert_eq!(masked("6200000000000005"), "620000******0005");
        assert_eq!(masked("6200 0000 0000 0005"), "6200 00** **** 0005");
        assert_eq!(masked("620000******0005"), "620000******0005");
        assert_eq!(masked("138****8000"), "138****8000");
        assert_eq!(masked("13800138000"), "138001*8000");
        assert_eq!(masked("abc***@example.com"), "abc***@example.com");
        assert_eq!(masked(""), "");
    }

    #[test]
    fn texts_are_cut_between_characters_and_cannot_forge_lines() {
        assert_eq!(cut("中文", 5), "中");
        assert_eq!(cut("a\nb\u{1b}[2J", 99), "ab[2J");
        assert_eq!(cut("a\u{7f}b\u{85}c\u{9b}2J£é", 99), "abc2J£é");
        assert_eq!(cut("plain", 5), "plain");
        assert_eq!(cut("plain", 4), "plai");
    }
}
