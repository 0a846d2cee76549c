//! What the host says to the totals of a batch and to its details (channels.md §1.7).

use crate::answers::Answer;
use crate::dialect::Action;
use crate::message::Message;
use crate::outcome;
use till_plugin::channel::{SettleOutcome, Unknown, UnknownReason};

/// Digits of one half of field 48: amount, count, amount, count.
const HALF: usize = 30;

/// What a reply to a settlement means. Both halves of field 48 end in the host's result: 1 balanced, 2 not, 3 error.
pub fn of_settlement(request: &Message, answer: &Answer) -> SettleOutcome {
    match answer.rule.action {
        Action::Approved => {}
        // Totals differ, said as a response code.
        _ if answer.code == "95" => return SettleOutcome::Unbalanced,
        Action::RetryLater => {
            let text = format!("the host cannot settle now: {} ({})", answer.rule.text, answer.code);
            return SettleOutcome::Unknown(Unknown::new(UnknownReason::HostFault, text));
        }
        _ => return SettleOutcome::Refused(outcome::declined(&answer.code, &answer.rule)),
    }
    let unreadable = |what: &str| SettleOutcome::Unknown(Unknown::new(UnknownReason::Mismatch, what));
    let ours = request.text(48).unwrap_or_default();
    let theirs = answer.message.text(48).filter(|text| text.len() == ours.len() && text.is_ascii());
    let Some(theirs) = theirs else {
        return unreadable("the host's answer to the settlement has no result");
    };
    let mut balanced = true;
    for (at, may_be_left_out) in [(0, false), (HALF + 1, true)] {
        let half = |text: &str| text.get(at..at + HALF).map(str::to_owned);
        let nothing = half(ours).is_some_and(|totals| totals.bytes().all(|digit| digit == b'0'));
        match theirs.as_bytes().get(at + HALF) {
            // Balanced means balanced with what we sent: other totals beside it are an answer to something else.
            Some(b'1') if half(ours) == half(theirs) => {}
            Some(b'1') => return unreadable("the host calls totals balanced that are not the ones sent"),
            Some(b'0') if may_be_left_out && nothing => {}
            Some(b'2') => balanced = false,
            Some(b'3') => return SettleOutcome::Refused(outcome::settlement_error()),
            _ => return unreadable("the host's answer to the settlement has an unknown result"),
        }
    }
    if balanced { SettleOutcome::Balanced } else { SettleOutcome::Unbalanced }
}
