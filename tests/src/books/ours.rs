//! A payment as the till tells it: what its attempts did, by the rules of money alone.

use till_dbus::types::{AttemptDetails, PaymentDetails};

/// A payment.
pub(super) struct Payment<'a>(pub &'a PaymentDetails);

/// What an attempt does: sale, hold, void, refund, capture, release, load.
pub(super) fn kind(a: &AttemptDetails) -> &str {
    a.kind.as_deref().unwrap_or("sale")
}

/// Money may still move through it.
fn is_open(a: &AttemptDetails) -> bool {
    !matches!(a.state.as_str(), "not-sent" | "approved" | "declined" | "reversed")
}

impl<'a> Payment<'a> {
    /// Attempts through which money may still move.
    pub(super) fn open(&self) -> impl Iterator<Item = &'a AttemptDetails> {
        self.0.attempts.iter().filter(|a| is_open(a))
    }

    /// All is known of it.
    pub(super) fn is_settled(&self) -> bool {
        self.open().next().is_none()
    }

    /// How much an attempt is about.
    pub(super) fn amount(&self, a: &AttemptDetails) -> i64 {
        a.amount.unwrap_or(self.0.amount)
    }

    /// Attempts on a channel.
    pub(super) fn on(&self, channel: &str) -> impl Iterator<Item = &'a AttemptDetails> {
        self.0.attempts.iter().filter(move |a| a.channel == channel)
    }

    fn sum(&self, which: impl Fn(&AttemptDetails) -> bool) -> i64 {
        let done = self.0.attempts.iter().filter(|a| a.state == "approved" && which(a));
        done.map(|a| self.amount(a)).sum()
    }

    /// Whether something of these kinds was done to an attempt.
    pub(super) fn was(&self, of: &AttemptDetails, kinds: &[&str]) -> bool {
        self.sum(|a| a.of == Some(of.attempt) && kinds.contains(&kind(a))) > 0
    }

    /// What was given back of an attempt by refunds.
    pub(super) fn refunded(&self, of: &AttemptDetails) -> i64 {
        self.sum(|a| a.of == Some(of.attempt) && kind(a) == "refund")
    }

    fn taken(&self) -> i64 {
        self.sum(|a| matches!(kind(a), "sale" | "capture"))
    }

    fn back(&self) -> i64 {
        self.sum(|a| matches!(kind(a), "void" | "refund"))
    }

    /// Held and not ended.
    pub(super) fn held(&self) -> i64 {
        let ended = |a: &AttemptDetails| self.was(a, &["capture", "release"]) || self.0.held == Some(0);
        self.sum(|a| kind(a) == "hold" && !ended(a))
    }

    /// Taken by a channel and not given back.
    pub(super) fn kept_by(&self, channel: &str) -> i64 {
        let here = |a: &AttemptDetails| a.channel == channel;
        self.sum(|a| here(a) && matches!(kind(a), "sale" | "capture"))
            - self.sum(|a| here(a) && matches!(kind(a), "void" | "refund"))
    }

    /// What it put onto the shop's own cards; below zero: it was paid with one.
    pub(super) fn on_cards(&self) -> i64 {
        self.sum(|a| kind(a) == "load") - self.kept_by("prepaid")
    }

    /// Whether what it says of itself follows from its attempts.
    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        let p = self.0;
        let (taken, back, loaded) = (self.taken(), self.back(), self.sum(|a| kind(a) == "load"));
        let kept = taken - back;
        let told = (p.paid, p.returned.unwrap_or(0));
        let top_up = p.purpose.as_deref() == Some("top-up");
        let fits = match p.state.as_str() {
            "draft" => p.attempts.is_empty(),
            // Nobody has it, or all of it went back.
            "ready" | "cancelled" => kept == 0 && loaded == 0,
            "returned" => kept == 0 && back > 0 && loaded == 0,
            "part-paid" => kept > 0 && kept < p.amount,
            "authorised" => self.held() > 0 && p.held == Some(self.held()) && taken == 0,
            "paid" if top_up => kept == p.amount && loaded == p.amount,
            // A completion may be over less than was held.
            "paid" if self.sum(|a| kind(a) == "hold") > 0 => taken > 0,
            "paid" => taken >= p.amount,
            "delivering" => top_up && loaded == 0,
            _ => true,
        };
        if told != (taken, back) || !(0..=p.amount).contains(&kept) || !fits {
            let (id, state, owed) = (&p.id, &p.state, p.amount);
            wrong.push(format!(
                "payment {id}: {state}, says {told:?} of {owed} was paid and returned; its attempts took {taken}, gave \
                 {back} back, loaded {loaded}, hold {}",
                self.held()
            ));
        }
        for a in p.attempts.iter().filter(|a| a.state == "approved") {
            let of = a.of.and_then(|n| p.attempts.iter().find(|o| o.attempt == n));
            let follows = match (kind(a), of.map(kind)) {
                ("sale" | "hold" | "load", _) => true,
                ("void" | "refund", Some("sale" | "capture")) | ("capture" | "release", Some("hold")) => {
                    of.is_some_and(|o| o.channel == a.channel && o.state == "approved")
                }
                _ => false,
            };
            if !follows {
                wrong.push(format!(
                    "payment {}: {} {} follows nothing that stands",
                    p.id,
                    kind(a),
                    a.attempt
                ));
            }
        }
        for a in &p.attempts {
            let given = self.sum(|l| l.of == Some(a.attempt) && matches!(kind(l), "void" | "refund"));
            if given > self.amount(a) {
                wrong.push(format!("payment {}: {given} of {} given back", p.id, self.amount(a)));
            }
        }
    }
}
