//! A payment as the fold of its records.

use till_plugin::channel::{Approval, QueryOutcome, UndoOutcome, UnknownReason};
use till_plugin::{Extra, Money};

use crate::payment::{
    Attempt, AttemptState, LegKind, Payment, PaymentId, PaymentState, Proposal, Purpose, Verdict,
};
use crate::planted::planted;
use crate::record::Record;

/// A payment that was just opened.
pub(crate) fn opened(record: &Record, wall_ms: i64, seq: u64) -> Option<Payment> {
    let training = matches!(record, Record::OpenedTraining { .. });
    let (id, key, amount, subject, operator, purpose) = match record {
        Record::Opened { payment, key, amount, subject, operator } => {
            (payment, key, amount, subject, operator, Purpose::Sale)
        }
        Record::OpenedFor { payment, key, amount, subject, operator, purpose }
        | Record::OpenedTraining { payment, key, amount, subject, operator, purpose } => {
            (payment, key, amount, subject, operator, purpose.clone())
        }
        _ => return None,
    };
    Some(Payment {
        id: *id,
        amount: *amount,
        training,
        purpose,
        subject: subject.clone(),
        operator: operator.clone(),
        key: key.clone(),
        state: PaymentState::Draft,
        reason: String::new(),
        attempts: Vec::new(),
        completed: false,
        returning: None,
        accepted: false,
        proposal: None,
        acknowledged: None,
        cancel_requested: false,
        parked: false,
        recovered: false,
        receipt_number: None,
        receipt_job: None,
        opened_wall_ms: wall_ms,
        changed_wall_ms: wall_ms,
        seq,
    })
}

/// Takes a record into its payment.
pub(crate) fn fold(p: &mut Payment, record: &Record, wall_ms: i64, seq: u64) {
    p.changed_wall_ms = wall_ms;
    p.seq = seq;
    if let Some(attempt) = created(p, record) {
        if attempt.kind.is_tender() {
            p.state = PaymentState::Tendering;
            p.reason.clear();
        }
        p.parked &= !attempt.kind.is_tender() && !attempt.wants_instrument;
        p.attempts.push(attempt);
        return;
    }
    match record {
        Record::On { attempt, event } => {
            if let Some(a) = p.attempts.iter().position(|a| a.ids.attempt == *attempt) {
                of_attempt(p, a, event, wall_ms, seq);
            }
        }
        Record::Reopened { attempt, approval, .. } => {
            if let Some(a) = p.attempts.iter_mut().find(|a| a.ids.attempt == *attempt) {
                a.state = AttemptState::Reversing;
                a.abandoned = true;
                a.waiting = false;
                a.undos = 0;
                a.undos_unsent = 0;
                a.never_existed = 0;
                a.approval = Some(approval.clone());
            }
        }
        Record::Abandoned { attempt, .. } => {
            if let Some(a) = p.attempts.iter_mut().find(|a| a.ids.attempt == *attempt) {
                a.abandoned = true;
                a.waiting = false;
                a.state = AttemptState::Reversing;
                a.undo_reason.get_or_insert(till_plugin::channel::UndoReason::Abandoned);
            }
            p.parked = false;
            standing(p);
        }
        Record::HoldExpired { attempt, .. } => {
            if let Some(a) = p.attempts.iter_mut().find(|a| a.ids.attempt == *attempt) {
                a.expired = true;
            }
            standing(p);
        }
        Record::ReviewProposed { attempt, verdict, reason, operator, .. } => {
            p.proposal = Some(Proposal {
                attempt: *attempt,
                verdict: *verdict,
                operator: operator.clone(),
                reason: reason.clone(),
            });
        }
        Record::ReviewDecided { attempt, verdict, receipt_number, print, .. } => {
            reviewed(p, *attempt, *verdict, *receipt_number, *print);
        }
        _ => {
            if !of_payment(p, record) {
                let under_way = p.attempts.iter().rposition(|a| a.state.is_open() && !a.abandoned);
                if let Some(a) = under_way {
                    of_attempt(p, a, record, wall_ms, seq);
                }
            }
        }
    }
}

/// Records that are about the payment as a whole.
fn of_payment(p: &mut Payment, record: &Record) -> bool {
    match record {
        Record::AmountConfirmed { .. } => p.state = PaymentState::Ready,
        Record::CancelRequested { .. } => p.cancel_requested = true,
        Record::Cancelled { reason, .. } => {
            p.state = PaymentState::Cancelled;
            p.cancel_requested = true;
            p.reason.clone_from(reason);
            if let Some(a) = p.attempts.last_mut().filter(|a| a.state == AttemptState::Created) {
                a.state = AttemptState::NotSent;
            }
            // One that was given up before may still wait for people.
            if p.attempts.iter().any(|a| a.state == AttemptState::Review) {
                p.state = PaymentState::Review;
            }
        }
        Record::ReturnDecided { reason, .. } => {
            p.returning = Some(reason.clone());
            // Nobody said that the sale of before a restart stands: that customer has left, the till is free.
            p.parked |= p.acknowledged.is_some();
            p.acknowledged = None;
            p.state = PaymentState::Returning;
            p.reason.clone_from(reason);
        }
        Record::PaymentToReview { text, .. } => {
            p.state = PaymentState::Review;
            p.reason.clone_from(text);
        }
        Record::AcknowledgementAsked { .. } => p.acknowledged = Some(false),
        Record::Acknowledged { .. } => p.acknowledged = Some(true),
        Record::CopyRequested { receipt, copy, .. } => {
            if let Some(a) = p.attempts.iter_mut().find(|a| a.receipt == Some(*receipt)) {
                a.copies = if planted!(CopyUnnumbered) { 0 } else { *copy };
            }
        }
        Record::Resealed { attempt: 0, recovery: sealed, .. } => {
            if let Purpose::TopUp { recovery, .. } = &mut p.purpose {
                recovery.clone_from(sealed);
            }
        }
        Record::Resealed { .. } if planted!(ResealForgotten) => {}
        Record::Resealed { attempt, recovery, .. } => {
            if let Some(a) = p.attempts.iter_mut().find(|a| a.ids.attempt == *attempt) {
                a.recovery = Some(recovery.clone());
            }
        }
        Record::Resumed { .. } => p.parked = false,
        Record::Parked { .. } => p.parked = true,
        // Evidence; it changes nothing.
        Record::LateAnswer { .. } | Record::Dispute { .. } => {}
        _ => return false,
    }
    true
}

/// An attempt that a record creates.
fn created(p: &Payment, record: &Record) -> Option<Attempt> {
    let blank = |ids: &till_plugin::channel::AttemptIds,
                 kind,
                 amount: Money,
                 resolve: &till_plugin::channel::ResolveProfile| {
        Attempt {
            ids: ids.clone(),
            kind,
            of: 0,
            amount,
            channel: String::new(),
            family: till_plugin::Family::new(""),
            masked: String::new(),
            token: String::new(),
            key: String::new(),
            reason: String::new(),
            operator: None,
            batch: 1,
            wants_instrument: false,
            state: AttemptState::Created,
            abandoned: false,
            expired: false,
            receipt: None,
            receipt_job: None,
            copies: 0,
            resolve: resolve.clone(),
            recovery: None,
            approval: None,
            decline: None,
            unknown: None,
            queries: 0,
            not_found: 0,
            asked_ms: 0,
            hurried: false,
            undos: 0,
            undos_unsent: 0,
            never_existed: 0,
            waiting: false,
            undo_reason: None,
            money_returned: false,
            sent_seq: 0,
            sent_wall_ms: 0,
        }
    };
    Some(match record {
        Record::AttemptCreated { ids, decision, family, masked, token, resolve, .. } => Attempt {
            channel: decision.chosen.clone().unwrap_or_default(),
            family: family.clone(),
            masked: masked.clone(),
            token: token.clone(),
            ..blank(ids, LegKind::Sale, p.amount, resolve)
        },
        Record::Tendered { ids, kind, amount, batch, decision, family, masked, token, resolve, .. } => {
            Attempt {
                channel: decision.chosen.clone().unwrap_or_default(),
                family: family.clone(),
                masked: masked.clone(),
                token: token.clone(),
                batch: *batch,
                ..blank(ids, *kind, *amount, resolve)
            }
        }
        Record::LegCreated {
            ids,
            kind,
            of,
            amount,
            batch,
            channel,
            resolve,
            key,
            reason,
            operator,
            wants_instrument,
            ..
        } => {
            let original = p.attempt(*of);
            Attempt {
                of: *of,
                channel: channel.clone(),
                family: original.map_or(till_plugin::Family::new(""), |o| o.family.clone()),
                masked: original.map_or_else(String::new, |o| o.masked.clone()),
                key: key.clone(),
                reason: reason.clone(),
                operator: operator.clone(),
                batch: *batch,
                wants_instrument: *wants_instrument,
                ..blank(ids, *kind, *amount, resolve)
            }
        }
        _ => return None,
    })
}

/// Takes a record into one attempt.
fn of_attempt(p: &mut Payment, at: usize, record: &Record, wall_ms: i64, seq: u64) {
    let a = &mut p.attempts[at];
    match record {
        Record::NotSent { decline, .. } => {
            a.state = AttemptState::NotSent;
            a.decline = Some(decline.clone());
        }
        Record::LegPresented { masked, token, .. } => {
            a.masked.clone_from(masked);
            a.token.clone_from(token);
            a.wants_instrument = false;
        }
        Record::Sent { recovery, masked, .. } => {
            a.state = AttemptState::Sent;
            a.recovery = Some(recovery.clone());
            if !masked.is_empty() {
                a.masked.clone_from(masked);
            }
            a.sent_seq = seq;
            a.sent_wall_ms = wall_ms;
        }
        Record::Approved { approval, receipt_number, print, .. } => {
            a.state = AttemptState::Approved;
            a.approval = Some(approval.clone());
            receipt(p, at, *receipt_number, *print);
        }
        Record::Declined { decline, .. } => {
            a.state = AttemptState::Declined;
            a.decline = Some(decline.clone());
        }
        Record::BecameUnknown { reason, undo, .. } => {
            a.unknown = Some(*reason);
            a.undo_reason = *undo;
            a.waiting = false;
            if planted!(DisarmedEarly) {
                a.recovery = None;
            }
            a.state = if undo.is_some() { AttemptState::Reversing } else { AttemptState::Querying };
            if *reason == UnknownReason::Restarted {
                a.hurried = true;
                p.recovered = true;
                p.parked = true;
            }
        }
        Record::QueryStarted { .. } => {
            if !a.hurried {
                a.asked_ms = a.asked_ms.saturating_add(query_pause(a));
            }
            a.hurried = false;
            a.queries = a.queries.saturating_add(1);
            a.waiting = true;
        }
        Record::QueryOpen { outcome, .. } => {
            a.waiting = false;
            match outcome {
                QueryOutcome::NotFound => a.not_found = a.not_found.saturating_add(1),
                QueryOutcome::Unknown(u) if u.reason == UnknownReason::Restarted => {
                    a.hurried = true;
                    p.recovered = true;
                    p.parked = true;
                }
                _ => {}
            }
        }
        Record::UndoDecided { reason, approval, .. } => {
            a.state = AttemptState::Reversing;
            a.waiting = false;
            a.undo_reason = Some(*reason);
            if approval.is_some() {
                a.approval.clone_from(approval);
            }
        }
        Record::UndoStarted { .. } => {
            a.undos = a.undos.saturating_add(1);
            a.waiting = true;
            if planted!(UndoneBeforeAnswer) {
                a.state = AttemptState::Reversed;
            }
        }
        Record::UndoAnswered { outcome, .. } => undo_answered(p, at, outcome),
        Record::WentToReview { text, .. } => {
            a.state = AttemptState::Review;
            p.reason.clone_from(text);
            if p.attempts[at].abandoned && p.open_attempt().is_some() {
                // The customer is paying by another attempt; the payment shows it when that one ends.
                return;
            }
            p.state = PaymentState::Review;
            return;
        }
        _ => {}
    }
    if p.attempts[at].state.is_final() {
        // A card that came for what a given-up attempt took came for nothing else.
        p.parked |= p.attempt(p.attempts[at].of).is_some_and(|of| of.abandoned);
        // The reversal is disarmed only by this (W2).
        if !p.attempts[at].abandoned || p.open_attempt().is_none() {
            standing(p);
        }
    }
}

fn undo_answered(p: &mut Payment, at: usize, outcome: &UndoOutcome) {
    let a = &mut p.attempts[at];
    let background = a.abandoned;
    a.waiting = false;
    match outcome {
        UndoOutcome::Undone { money_moved, .. } => {
            a.state = AttemptState::Reversed;
            a.money_returned = *money_moved;
        }
        UndoOutcome::NeverExisted => {
            a.never_existed = a.never_existed.saturating_add(1);
            if never_existed_stands(a, a.never_existed) {
                a.state = AttemptState::Reversed;
            }
        }
        UndoOutcome::NotSent(_) => {
            a.undos_unsent = a.undos_unsent.saturating_add(1);
            p.parked |= !background;
        }
        UndoOutcome::Unknown(_) | UndoOutcome::Refused(_) => p.parked |= !background,
    }
}

fn receipt(p: &mut Payment, at: usize, number: u64, print: bool) {
    if number == 0 {
        return;
    }
    let a = &mut p.attempts[at];
    a.receipt = Some(number);
    a.receipt_job = print.then_some(number);
    if a.kind.is_tender() || matches!(a.kind, LegKind::Capture | LegKind::Load) {
        p.receipt_number = Some(number);
        p.receipt_job = print.then_some(number);
    }
}

/// Two people found out what the machine could not.
fn reviewed(p: &mut Payment, attempt: u32, verdict: Verdict, number: u64, print: bool) {
    let reason = p.proposal.take().map(|x| x.reason).unwrap_or_default();
    if attempt == 0 {
        // The payment is accepted as it stands.
        p.returning = None;
        p.accepted = true;
        p.completed = true;
        p.state = PaymentState::Paid;
        p.reason = "reviewed".into();
        standing(p);
        return;
    }
    let Some(at) = p.attempts.iter().position(|a| a.ids.attempt == attempt) else { return };
    let a = &mut p.attempts[at];
    match verdict {
        Verdict::Happened => {
            a.state = AttemptState::Approved;
            let said = a.amount;
            a.approval.get_or_insert_with(|| found(said, &reason));
            receipt(p, at, number, print);
        }
        Verdict::DidNot => a.state = AttemptState::Reversed,
    }
    p.parked = true;
    standing(p);
}

/// The approval of what two people found: no host reference, the reason in its place.
fn found(amount: Money, reason: &str) -> Approval {
    let extra = Extra::from([("review".to_owned(), reason.to_owned())]);
    Approval { extra, ..Approval::bare(amount, "") }
}

/// Where the payment stands once an attempt has ended (or a hold, or a review): the fold of all its attempts.
fn standing(p: &mut Payment) {
    if p.attempts.iter().any(|a| a.state == AttemptState::Review) {
        p.state = PaymentState::Review;
        return;
    }
    if !p.accepted && p.surplus().next().is_some() {
        p.state = PaymentState::Review;
        p.reason = "an attempt that was given up took money all the same: give it back".into();
        return;
    }
    if p.open_attempt().is_some() {
        return;
    }
    let (paid, kept) = (p.paid(), p.kept());
    if paid.is_positive() && paid.minor() >= p.amount.minor() {
        p.completed = true;
    }
    if p.accepted {
        p.state = PaymentState::Paid;
        return;
    }
    let all_back = paid.is_positive() && !kept.is_positive();
    if p.returning.is_some() {
        if p.returnable().next().is_none() {
            p.state = if paid.is_positive() { PaymentState::Returned } else { PaymentState::Cancelled };
        } else if p.state != PaymentState::Review {
            p.state = PaymentState::Returning;
        }
        return;
    }
    if all_back {
        p.state = PaymentState::Returned;
        p.reason = "returned".into();
        return;
    }
    if let Purpose::Hold = p.purpose
        && let Some(hold) = p.attempts.iter().rev().find(|a| a.kind == LegKind::Hold && a.stands())
    {
        let was = p.standing_of(hold);
        p.state = match was {
            "authorised" => PaymentState::Authorised,
            "captured" | "part-captured" => PaymentState::Paid,
            _ => PaymentState::Cancelled,
        };
        p.completed |= p.state == PaymentState::Paid;
        p.reason = if p.state == PaymentState::Authorised { String::new() } else { was.into() };
        return;
    }
    if p.completed {
        p.state = match &p.purpose {
            Purpose::TopUp { .. } if !p.loaded() => PaymentState::Delivering,
            _ => PaymentState::Paid,
        };
        p.reason.clear();
    } else if kept.is_positive() {
        p.state = PaymentState::PartPaid;
        p.reason = why(p);
    } else if p.cancel_requested {
        if p.state != PaymentState::Cancelled {
            p.reason = "cancelled".into();
        }
        p.state = PaymentState::Cancelled;
    } else if p.parked {
        // The customer has left long ago: nothing waits for another attempt.
        p.state = PaymentState::Cancelled;
        let last = p.attempts.last();
        p.reason = last.map_or("", |a| if a.stands() { "returned" } else { a.state.as_str() }).into();
    } else {
        p.state = PaymentState::Ready;
        p.reason = why(p);
    }
}

/// Why the last attempt took nothing.
fn why(p: &Payment) -> String {
    match p.attempts.last() {
        Some(a) if a.stands() => String::new(),
        Some(a) => {
            a.decline.as_ref().map_or_else(|| a.state.as_str().into(), |d| d.code.chars().take(64).collect())
        }
        None => String::new(),
    }
}

/// The payment of a set of records, whatever else is among them.
pub(crate) fn payment<'a>(
    id: PaymentId,
    records: impl IntoIterator<Item = (u64, i64, &'a Record)>,
) -> Option<Payment> {
    let mut payment: Option<Payment> = None;
    for (seq, wall_ms, record) in records {
        if record.payment() != Some(id) {
            continue;
        }
        match &mut payment {
            Some(p) => fold(p, record, wall_ms, seq),
            None => payment = opened(record, wall_ms, seq),
        }
    }
    payment
}

/// Pause before the next query, ms: the rule's first, then its regular one. Never so short that it becomes a flood.
pub(crate) fn query_pause(a: &Attempt) -> u64 {
    let Some(rule) = &a.resolve.query else { return 0 };
    u64::from(if a.queries == 0 { rule.first_ms } else { rule.every_ms.max(SHORTEST_PAUSE_MS) })
}

/// Shortest pause between two exchanges of a resolver, ms, whatever a plugin asks for.
pub(crate) const SHORTEST_PAUSE_MS: u32 = 200;

/// "Never existed" ends the attempt: at once where the connection keeps the order of messages (no query rule: the
/// answer 25 to a reversal), at the second time where the request can still be on its way when the undo is answered.
pub(crate) const fn never_existed_stands(a: &Attempt, answers: u32) -> bool {
    a.resolve.query.is_none() || answers >= 2
}
