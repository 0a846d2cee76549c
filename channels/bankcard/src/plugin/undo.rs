//! Undoing what is unknown: the reversal (channels.md §1.6), of a sale and of what follows one alike.

use super::{Bankcard, unknown_of};
use crate::dialect::Action;
use crate::exchange::Exchanged;
use crate::outcome;
use crate::recovery::Kept;
use crate::reversal::{self, Finished};
use till_plugin::channel::{FollowUp, UndoOutcome, UndoReason, Unknown, UnknownReason};

const OF_ANOTHER: &str = "the recovery data is of another payment: settle it with the acquirer by hand";

impl Bankcard {
    pub(super) fn do_undo(&mut self, original: &FollowUp, reason: UndoReason) -> UndoOutcome {
        let outcome = self.reverse(original, reason);
        let settled = match &outcome {
            UndoOutcome::NotSent(_) => false,
            // The last try is over: the daemon parks the reversal for a person, and other payments go on.
            UndoOutcome::Unknown(_) => original.attempt >= self.config.dialect.reversal.max_sends,
            _ => true,
        };
        let now = self.now_ms();
        self.slot.tried(original.ids.batch, original.ids.trace, settled, now);
        outcome
    }

    fn reverse(&mut self, original: &FollowUp, reason: UndoReason) -> UndoOutcome {
        let undecided = |text: String| UndoOutcome::Unknown(Unknown::new(UnknownReason::Garbage, text));
        let armed = match Kept::from_bytes(original.recovery.expose()) {
            Ok(kept) if !kept.is_of(original.ids.trace, original.ids.batch) => {
                return undecided(OF_ANOTHER.into());
            }
            Ok(Kept::Reversal(armed)) => armed,
            Ok(Kept::Notice(_)) => return UndoOutcome::Refused(outcome::never_reversed()),
            Err(error) => return undecided(error.to_string()),
        };
        let amount = format!("{:012}", original.amount.minor());
        if armed.amount() != Some(amount.as_str()) {
            return undecided(OF_ANOTHER.into());
        }
        let message = match armed.message(&self.config.dialect, reversal::reason_code(reason)) {
            Ok(message) => message,
            Err(error) => return undecided(error.to_string()),
        };
        let now = self.now_ms();
        let Some(keys) = self.session.for_reversal(now).cloned() else {
            self.tell_signed_in(false);
            return UndoOutcome::NotSent(outcome::not_signed_in());
        };
        let exchanged = self.exchange(&message, Some(&keys));
        match &exchanged {
            Exchanged::NotSent(why) => UndoOutcome::NotSent(outcome::not_sent(why.clone())),
            Exchanged::Answer(answer) => {
                match reversal::finished(&self.config.dialect, answer) {
                    Finished::Undone => {
                        self.counts.reversed += 1;
                        let reference = answer.trimmed(37).map(str::to_owned);
                        UndoOutcome::Undone { money_moved: true, reference }
                    }
                    Finished::NeverExisted => UndoOutcome::NeverExisted,
                    Finished::Kept => {
                        if answer.rule.action == Action::SignInAgain {
                            // The host does not take these keys: the next try needs new ones.
                            self.session.forget();
                            self.lose_keys_trust();
                        }
                        let text =
                            format!("the reversal is not finished: {} ({})", answer.rule.text, answer.code);
                        UndoOutcome::Unknown(Unknown::new(UnknownReason::HostFault, text))
                    }
                }
            }
            Exchanged::BadSeal => {
                self.counts.bad_macs += 1;
                self.session.forget();
                self.lose_keys_trust();
                UndoOutcome::Unknown(unknown_of(&exchanged))
            }
            _ => UndoOutcome::Unknown(unknown_of(&exchanged)),
        }
    }
}
