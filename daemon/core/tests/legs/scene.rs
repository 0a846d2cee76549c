//! A till with a channel for every leg, and payments of it brought to where a test begins.

use till_core::input::{Context, Presented};
use till_core::routing::LegTerms;
use till_core::{
    AttemptState, Effect, Input, LegKind, PaymentState, Purpose, Refusal, Step, Verdict, decide,
};
use till_plugin::Family;
use till_plugin::channel::{
    Decline, DeclineClass, Operation, Outcome, ResolveProfile, UndoOutcome, Unknown, UnknownReason,
};

use crate::samples::{Bench, ID, approval, bank, context, fen, presented, wallet};

pub(crate) fn terms(kind: LegKind, resolve: ResolveProfile) -> LegTerms {
    LegTerms { kind, resolve, instrument: false, partial: true }
}

pub(crate) fn asks() -> ResolveProfile {
    ResolveProfile { undo: None, ..wallet() }
}

/// `channel` does everything, `other` (cash) refunds, `card` is a prepaid channel that loads.
pub(crate) fn till() -> Bench {
    let mut ctx: Context = context(wallet());
    ctx.routes[0].operations.push(Operation::PreAuthorisation);
    ctx.routes[0].legs = vec![
        terms(LegKind::Void, bank()),
        terms(LegKind::Refund, asks()),
        LegTerms { partial: true, ..terms(LegKind::Capture, wallet()) },
        terms(LegKind::Release, wallet()),
    ];
    ctx.routes[1].legs = vec![terms(LegKind::Refund, asks())];
    let mut card = crate::samples::route("card", "prepaid", wallet());
    card.legs = vec![terms(LegKind::Load, asks())];
    ctx.routes.push(card);
    Bench::new(ctx)
}

pub(crate) fn cash() -> Presented {
    Presented { family: Family::new("cash"), evidence: "operator".into(), ..presented() }
}

pub(crate) fn part(p: Presented, minor: i64) -> Presented {
    Presented { amount: Some(fen(minor)), ..p }
}

pub(crate) fn refused(b: &Bench, input: &Input) -> Refusal {
    decide(&b.till, input, &b.ctx).expect_err("it must be refused")
}

pub(crate) fn ask(kind: LegKind, of: u32, amount: Option<i64>) -> Input {
    Input::Leg {
        payment: ID,
        kind,
        of,
        amount: amount.map(fen),
        key: String::new(),
        reason: "wrong tea".into(),
        operator: Some("li".into()),
    }
}

pub(crate) fn number(b: &Bench) -> u32 {
    b.attempt().ids.attempt
}

pub(crate) fn prepared(b: &mut Bench) -> Step {
    let (attempt, result) = (number(b), Ok((vec![9; 60], "28**3456".into())));
    b.take(&Input::Prepared { payment: ID, attempt, result })
}

pub(crate) fn answered(b: &mut Bench, outcome: Outcome) -> Step {
    let attempt = number(b);
    b.take(&Input::Answered { payment: ID, attempt, outcome })
}

/// The leg or tender under way is sent and approved.
pub(crate) fn approve(b: &mut Bench) -> Step {
    prepared(b);
    let amount = b.attempt().amount;
    answered(b, Outcome::Approved(approval(amount)))
}

pub(crate) fn lost(b: &mut Bench) -> Step {
    answered(b, Outcome::Unknown(Unknown::new(UnknownReason::NoAnswer, "no answer")))
}

pub(crate) fn go_on(b: &mut Bench) -> Step {
    b.take(&Input::GoOn { payment: ID })
}

pub(crate) fn money(b: &Bench) -> (i64, i64, i64) {
    let p = b.payment().expect("the payment");
    (p.paid().minor(), p.returned().minor(), p.remaining().minor())
}

pub(crate) fn paid() -> Bench {
    let mut b = till();
    b.open_and_confirm();
    b.present();
    approve(&mut b);
    assert_eq!(b.state(), PaymentState::Paid);
    b
}

/// A card for a hold over CNY 1.00 was presented.
pub(crate) fn hold_begun() -> Bench {
    let mut b = till();
    b.take(&Input::Open {
        payment: ID,
        purpose: Purpose::Hold,
        key: String::new(),
        amount: fen(100),
        subject: "room".into(),
        operator: None,
        training: false,
    });
    b.take(&Input::Confirm { payment: ID, amount: fen(100) });
    b.present();
    assert_eq!(b.attempt().kind, LegKind::Hold);
    b
}

pub(crate) fn held() -> Bench {
    let mut b = hold_begun();
    approve(&mut b);
    assert_eq!(b.state(), PaymentState::Authorised);
    b
}

pub(crate) fn going_on(step: &Step) -> bool {
    step.effects.iter().any(|e| matches!(e, Effect::GoOn { .. }))
}

/// No answer to the attempt under way, and nobody waits for one: the customer pays otherwise.
pub(crate) fn give_up(b: &mut Bench) {
    prepared(b);
    lost(b);
    b.take(&Input::Abandon { payment: ID, reason: "pays otherwise".into(), operator: Some("li".into()) });
}

/// The network refuses to undo the first attempt, which was given up: people must find out.
pub(crate) fn not_undone(b: &mut Bench) {
    b.take(&Input::Resolve { payment: ID, attempt: 1 });
    let settled = Decline::local(DeclineClass::Customer, "settled", "settled already");
    b.take(&Input::Undone { payment: ID, attempt: 1, outcome: UndoOutcome::Refused(settled) });
    assert_eq!(b.payment().map(|p| p.attempts[0].state), Some(AttemptState::Review));
}

/// That it happened, or that the payment is as it is (attempt 0).
pub(crate) fn two_people_say(b: &mut Bench, attempt: u32) {
    let verdict = Verdict::Happened;
    let reason = "statement".into();
    b.take(&Input::ProposeReview { payment: ID, attempt, verdict, reason, operator: "li".into() });
    b.take(&Input::ConfirmReview { payment: ID, attempt, verdict, operator: "wang".into() });
}
