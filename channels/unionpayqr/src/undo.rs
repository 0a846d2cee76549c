//! Undoing a payment whose outcome is not known (channels §4.3).
//!
//! A code payment or hold is reversed within its clearing day (23:00 to 23:00). Behind that, and where the reversal is refused,
//! the order itself is asked, and what was taken is given back under a number that is always the same, so once. A shown
//! code cannot be closed: it ends by its time, and what was paid in the last moment is given back.

use till_plugin::channel::{FollowUp, Outcome, UndoOutcome, Unknown, UnknownReason};
use till_wallet::amount::Fen;

use crate::ask::{After, Ask, Number};
use crate::codes::Operation;
use crate::day::{clearing_day, next_day_ms};
use crate::legs::SHOWN;
use crate::outcome::{self, Expected, First, Reversed, Standing};
use crate::plugin::{UnionPayQr, not_made};

/// After the end of a shown code's time a payment may still be on its way for so long, milliseconds.
const LATE_MS: i64 = 60_000;

fn later(reason: UnknownReason, text: impl Into<String>) -> UndoOutcome {
    UndoOutcome::Unknown(Unknown::new(reason, text))
}

impl UnionPayQr {
    /// Until when the code that is shown for it can be paid, Unix milliseconds.
    pub(crate) fn shown_until_ms(&self, wall_ms: i64) -> i64 {
        wall_ms.saturating_add(i64::from(self.config.show_s) * 1_000)
    }

    /// Undoes a sale or hold. Safe to repeat.
    pub(crate) fn undo_of(&mut self, original: &FollowUp, number: &Number, amount: Fen) -> UndoOutcome {
        if original.recovery.expose() == SHOWN {
            return self.end_shown(original, number, amount);
        }
        let today = clearing_day(original.ids.wall_ms) == clearing_day(self.host.now().wall_ms);
        if !today {
            return self.undo_late(original, number, amount);
        }
        let answered = match self.ask(&Ask::Reverse { number }) {
            Ok(answered) => answered,
            Err(no) => return UndoOutcome::NotSent(not_made(&no)),
        };
        match outcome::reversed(&self.codes, &answered, self.expected(number, amount, &["99"])) {
            Reversed::Done => UndoOutcome::Undone { money_moved: false, reference: None },
            Reversed::NotFound => UndoOutcome::NeverExisted,
            Reversed::NotSent(no) => UndoOutcome::NotSent(no),
            Reversed::Unknown(unknown) => {
                self.alarm(Operation::Reverse, &unknown);
                UndoOutcome::Unknown(unknown)
            }
            Reversed::Refused(code) => self.refused(&code, number, amount),
        }
    }

    /// The reversal is refused within the day: the order says whether there is anything to reverse.
    fn refused(&mut self, code: &str, number: &Number, amount: Fen) -> UndoOutcome {
        match self.stands(number, amount, &["01", "02"]) {
            Standing::Not(_) => UndoOutcome::Undone { money_moved: false, reference: None },
            Standing::Returned => UndoOutcome::Undone { money_moved: true, reference: None },
            Standing::NotFound => UndoOutcome::NeverExisted,
            _ => later(
                UnknownReason::HostFault,
                format!(
                    "UnionPay refuses the reversal ({code}); it is sent again, and given back after 23:00"
                ),
            ),
        }
    }

    /// The clearing day is over: what was taken is given back.
    fn undo_late(&mut self, original: &FollowUp, number: &Number, amount: Fen) -> UndoOutcome {
        let back = Number::new(&format!("R{}", number.order), next_day_ms(original.ids.wall_ms));
        match self.stands(number, amount, &["01", "02"]) {
            Standing::Done(paid) => self.give_back(back, &paid.reference, amount),
            Standing::Taken(reference) => self.give_back(back, &reference, amount),
            Standing::Returned => UndoOutcome::Undone { money_moved: true, reference: None },
            Standing::Not(_) => UndoOutcome::Undone { money_moved: false, reference: None },
            Standing::NotFound => UndoOutcome::NeverExisted,
            Standing::Open => later(UnknownReason::InProgress, "UnionPay is still working on the payment"),
            Standing::Unknown(unknown) => UndoOutcome::Unknown(unknown),
        }
    }

    /// A shown code is given up.
    fn end_shown(&mut self, original: &FollowUp, number: &Number, amount: Fen) -> UndoOutcome {
        let ends = self.shown_until_ms(original.ids.wall_ms).saturating_add(LATE_MS);
        let over = self.host.now().wall_ms > ends;
        let back = Number::new(&format!("R{}", number.order), original.ids.wall_ms);
        match self.stands(number, amount, &["01"]) {
            Standing::Done(paid) => self.give_back(back, &paid.reference, amount),
            Standing::Taken(reference) => self.give_back(back, &reference, amount),
            Standing::Returned => UndoOutcome::Undone { money_moved: true, reference: None },
            Standing::Not(_) => UndoOutcome::Undone { money_moved: false, reference: None },
            Standing::NotFound if over => UndoOutcome::NeverExisted,
            Standing::NotFound | Standing::Open => later(
                UnknownReason::InProgress,
                "the code can still be paid for a moment; it is asked about again",
            ),
            Standing::Unknown(unknown) => UndoOutcome::Unknown(unknown),
        }
    }

    /// Refunds the whole under a number of the payment's own: the same number moves nothing a second time.
    fn give_back(
        &mut self,
        back: Result<Number, crate::ask::AskError>,
        reference: &str,
        amount: Fen,
    ) -> UndoOutcome {
        let number = match back {
            Ok(number) => number,
            Err(e) => return UndoOutcome::NotSent(not_made(&e.into())),
        };
        let ask = Ask::Follow { after: After::Refund, number: &number, amount, of: reference };
        let kinds = &["04"];
        let answered = match self.ask(&ask) {
            Ok(answered) => answered,
            Err(no) => return UndoOutcome::NotSent(not_made(&no)),
        };
        let expected = self.expected(&number, amount, kinds);
        let no = match outcome::first(&self.codes, Operation::Follow, &answered, expected) {
            First::Ended(Outcome::NotSent(no)) => return UndoOutcome::NotSent(no),
            First::Ended(Outcome::Declined(no)) => Some(no),
            _ => None,
        };
        // A refusal of the second sending is none of the first: only the refund itself says.
        match (self.stands(&number, amount, kinds), no) {
            (Standing::Done(done), _) => {
                UndoOutcome::Undone { money_moved: true, reference: Some(done.reference) }
            }
            (Standing::Not(no), _) | (Standing::NotFound, Some(no)) => UndoOutcome::Refused(no),
            (Standing::Unknown(unknown), _) => UndoOutcome::Unknown(unknown),
            _ => later(UnknownReason::InProgress, "UnionPay is sending the money back"),
        }
    }

    /// Asks what became of a request. With no time left that is not known.
    pub(crate) fn stands(&mut self, number: &Number, amount: Fen, kinds: &[&str]) -> Standing {
        if !self.time_for_more() {
            return Standing::Unknown(Unknown::new(
                UnknownReason::NoAnswer,
                "there was no time left to ask what became of it",
            ));
        }
        let standing = match self.ask(&Ask::Query { number }) {
            Err(no) => Standing::Unknown(Unknown::new(UnknownReason::NoAnswer, not_made(&no).text)),
            Ok(answered) => outcome::standing(&self.codes, &answered, self.expected(number, amount, kinds)),
        };
        if let Standing::Unknown(unknown) = &standing {
            self.alarm(Operation::Query, unknown);
        }
        standing
    }

    pub(crate) fn expected<'a>(
        &'a self,
        number: &'a Number,
        amount: Fen,
        kinds: &'a [&'a str],
    ) -> Expected<'a> {
        Expected { mer_id: &self.config.mer_id, number, amount, kinds }
    }
}
