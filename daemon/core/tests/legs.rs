//! What follows a payment: parts, holds, voids, refunds, top-ups, returns, people's decisions.

#![allow(clippy::expect_used)]

mod samples;

use samples::{Bench, ID, approval, bank, context, decline, fen, open, presented, wallet};
use till_core::input::{Context, Presented};
use till_core::routing::LegTerms;
use till_core::{
    AttemptState, Effect, Input, LegKind, PaymentId, PaymentState, Purpose, Record, Refusal, Step, Till,
    Verdict, decide,
};
use till_plugin::channel::{
    Operation, Outcome, QueryOutcome, ResolveProfile, UndoOutcome, Unknown, UnknownReason,
};
use till_plugin::{Family, Money};

fn terms(kind: LegKind, resolve: ResolveProfile) -> LegTerms {
    LegTerms { kind, resolve, instrument: false, partial: true }
}

fn asks() -> ResolveProfile {
    ResolveProfile { undo: None, ..wallet() }
}

/// `channel` does everything, `other` (cash) refunds, `card` is a prepaid channel that loads.
fn till() -> Bench {
    let mut ctx: Context = context(wallet());
    ctx.routes[0].operations.push(Operation::PreAuthorisation);
    ctx.routes[0].legs = vec![
        terms(LegKind::Void, bank()),
        terms(LegKind::Refund, asks()),
        LegTerms { partial: true, ..terms(LegKind::Capture, wallet()) },
        terms(LegKind::Release, wallet()),
    ];
    ctx.routes[1].legs = vec![terms(LegKind::Refund, asks())];
    let mut card = samples::route("card", "prepaid", wallet());
    card.legs = vec![terms(LegKind::Load, asks())];
    ctx.routes.push(card);
    Bench::new(ctx)
}

fn cash() -> Presented {
    Presented { family: Family::new("cash"), evidence: "operator".into(), ..presented() }
}

fn part(p: Presented, minor: i64) -> Presented {
    Presented { amount: Some(fen(minor)), ..p }
}

fn refused(b: &Bench, input: &Input) -> Refusal {
    decide(&b.till, input, &b.ctx).expect_err("it must be refused")
}

fn ask(kind: LegKind, of: u32, amount: Option<i64>) -> Input {
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

fn number(b: &Bench) -> u32 {
    b.attempt().ids.attempt
}

fn prepared(b: &mut Bench) -> Step {
    let (attempt, result) = (number(b), Ok((vec![9; 60], "28**3456".into())));
    b.take(&Input::Prepared { payment: ID, attempt, result })
}

fn answered(b: &mut Bench, outcome: Outcome) -> Step {
    let attempt = number(b);
    b.take(&Input::Answered { payment: ID, attempt, outcome })
}

/// The leg or tender under way is sent and approved.
fn approve(b: &mut Bench) -> Step {
    prepared(b);
    let amount = b.attempt().amount;
    answered(b, Outcome::Approved(approval(amount)))
}

fn lost(b: &mut Bench) -> Step {
    answered(b, Outcome::Unknown(Unknown::new(UnknownReason::NoAnswer, "no answer")))
}

fn go_on(b: &mut Bench) -> Step {
    b.take(&Input::GoOn { payment: ID })
}

fn money(b: &Bench) -> (i64, i64, i64) {
    let p = b.payment().expect("the payment");
    (p.paid().minor(), p.returned().minor(), p.remaining().minor())
}

fn paid() -> Bench {
    let mut b = till();
    b.open_and_confirm();
    b.present();
    approve(&mut b);
    assert_eq!(b.state(), PaymentState::Paid);
    b
}

fn held() -> Bench {
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
    approve(&mut b);
    assert_eq!(b.state(), PaymentState::Authorised);
    b
}

fn going_on(step: &Step) -> bool {
    step.effects.iter().any(|e| matches!(e, Effect::GoOn { .. }))
}

#[test]
fn s44_parts_add_up_to_the_amount_and_the_rest_is_exact() {
    let mut b = till();
    b.open_and_confirm();
    b.take(&Input::Present { payment: ID, presented: part(cash(), 30) });
    let step = approve(&mut b);
    assert_eq!((b.state(), money(&b)), (PaymentState::PartPaid, (30, 0, 70)));
    assert!(
        step.effects.contains(&Effect::Arm { payment: ID, amount: fen(70) }),
        "the readers wait for the rest"
    );
    assert!(
        !step.effects.iter().any(|e| matches!(e, Effect::QueueJob { .. })),
        "no receipt before all is paid"
    );
    let more = refused(&b, &Input::Present { payment: ID, presented: part(cash(), 71) });
    assert!(matches!(more, Refusal::TooMuch { .. }), "{more}");
    let busy = refused(&b, &open(PaymentId([8; 16]), "", fen(1), ""));
    assert!(matches!(busy, Refusal::Busy { .. }), "{busy}");
    // A decline of the second part loses nothing of the first.
    b.present();
    prepared(&mut b);
    answered(&mut b, Outcome::Declined(decline("51")));
    assert_eq!((b.state(), money(&b)), (PaymentState::PartPaid, (30, 0, 70)));
    b.present();
    assert_eq!(b.attempt().amount, fen(70));
    let step = approve(&mut b);
    assert_eq!((b.state(), money(&b)), (PaymentState::Paid, (100, 0, 0)));
    assert!(step.effects.iter().any(|e| matches!(e, Effect::QueueJob { job: 1 })), "one receipt");
}

#[test]
fn a_cancelled_part_paid_payment_gives_back_every_part_by_its_own_channel() {
    let mut b = till();
    b.open_and_confirm();
    b.take(&Input::Present { payment: ID, presented: part(cash(), 30) });
    approve(&mut b);
    b.take(&Input::Present { payment: ID, presented: part(presented(), 50) });
    approve(&mut b);
    let step = b.cancel();
    assert!(going_on(&step));
    assert_eq!(b.state(), PaymentState::Returning);
    // The newest first: a void, because its channel can and its batch is open.
    go_on(&mut b);
    assert_eq!(
        (b.attempt().kind, b.attempt().of, b.attempt().channel.as_str()),
        (LegKind::Void, 2, "channel")
    );
    assert!(going_on(&approve(&mut b)));
    go_on(&mut b);
    assert_eq!(
        (b.attempt().kind, b.attempt().of, b.attempt().channel.as_str()),
        (LegKind::Refund, 1, "other")
    );
    approve(&mut b);
    assert_eq!((b.state(), money(&b)), (PaymentState::Returned, (80, 80, 100)));
    assert!(b.till.foreground().is_none());
}

#[test]
fn a_cancelled_payment_gives_back_beside_the_next_customer() {
    let mut b = till();
    b.ctx.routes[0].resolve = asks();
    b.open_and_confirm();
    b.present();
    prepared(&mut b);
    b.cancel();
    let amount = b.attempt().amount;
    let step = answered(&mut b, Outcome::Approved(approval(amount)));
    assert!(going_on(&step), "cancelled, but the network said yes");
    let second = PaymentId([8; 16]);
    b.take(&open(second, "k", fen(3), "tea"));
    while going_on(&go_on(&mut b)) {
        assert_eq!(b.till.foreground().map(|p| p.id), Some(second), "one payment holds the till");
    }
    approve(&mut b);
    assert_eq!((b.state(), money(&b)), (PaymentState::Returned, (100, 100, 100)));
    assert_eq!(b.till.foreground().map(|p| p.id), Some(second));
}

#[test]
fn a_void_that_is_refused_becomes_a_refund_and_what_cannot_go_back_goes_to_people() {
    let mut b = till();
    b.open_and_confirm();
    b.take(&Input::Present { payment: ID, presented: part(presented(), 50) });
    approve(&mut b);
    b.cancel();
    go_on(&mut b);
    prepared(&mut b);
    answered(&mut b, Outcome::Declined(decline("12")));
    assert_eq!(b.state(), PaymentState::Returning);
    go_on(&mut b);
    assert_eq!(b.attempt().kind, LegKind::Refund);
    prepared(&mut b);
    answered(&mut b, Outcome::Declined(decline("12")));
    let step = go_on(&mut b);
    assert!(matches!(step.record, Some(Record::PaymentToReview { .. })));
    assert_eq!(
        (b.state(), money(&b)),
        (PaymentState::Review, (50, 0, 50)),
        "the money is still shown as taken"
    );
    // Two people accept it as it stands, or somebody refunds by hand with the card there.
    b.take(&ask(LegKind::Refund, 1, None));
    approve(&mut b);
    assert_eq!((b.state(), money(&b)), (PaymentState::Returned, (50, 50, 100)));
}

#[test]
fn s51_refunds_never_exceed_what_was_taken_whatever_the_order() {
    let mut b = paid();
    b.take(&ask(LegKind::Refund, 0, Some(60)));
    let second = refused(&b, &ask(LegKind::Refund, 0, Some(10)));
    assert!(matches!(second, Refusal::NoLeg { .. }), "one at a time: {second}");
    approve(&mut b);
    assert_eq!((b.state(), money(&b)), (PaymentState::Paid, (100, 60, 60)));
    let over = refused(&b, &ask(LegKind::Refund, 0, Some(41)));
    assert!(matches!(over, Refusal::TooMuch { left, .. } if left == fen(40)), "{over}");
    let void = refused(&b, &ask(LegKind::Void, 0, None));
    assert!(matches!(void, Refusal::NoLeg { .. }), "a part went back already: {void}");
    // A refund that nobody knows about is asked for, never sent again, and blocks the next.
    b.take(&ask(LegKind::Refund, 0, Some(40)));
    prepared(&mut b);
    lost(&mut b);
    assert_eq!(b.attempt().state, AttemptState::Querying);
    assert!(matches!(refused(&b, &ask(LegKind::Refund, 0, Some(1))), Refusal::NoLeg { .. }));
    let n = number(&b);
    b.take(&Input::Resolve { payment: ID, attempt: n });
    b.take(&Input::Queried { payment: ID, attempt: n, outcome: QueryOutcome::Paid(approval(fen(40))) });
    assert_eq!((b.state(), money(&b)), (PaymentState::Returned, (100, 100, 100)));
    assert!(matches!(refused(&b, &ask(LegKind::Refund, 0, Some(1))), Refusal::NoLeg { .. }));
}

#[test]
fn i10_any_sequence_of_refund_requests_and_outcomes_stays_within_what_was_taken() {
    use proptest::prelude::*;
    proptest!(|(steps in proptest::collection::vec((1_i64..120, 0_u8..5), 1..12))| {
        let mut b = paid();
        for (minor, end) in steps {
            if let Ok(step) = decide(&b.till, &ask(LegKind::Refund, 0, Some(minor)), &b.ctx) {
                b.apply(&step);
                prepared(&mut b);
                match end {
                    0 => drop(answered(&mut b, Outcome::Declined(decline("51")))),
                    1 => {
                        lost(&mut b);
                        let n = number(&b);
                        b.take(&Input::Resolve { payment: ID, attempt: n });
                        let outcome = QueryOutcome::NotPaid(decline("no"));
                        b.take(&Input::Queried { payment: ID, attempt: n, outcome });
                    }
                    2 => drop(b.restart()),
                    _ => {
                        let amount = b.attempt().amount;
                        answered(&mut b, Outcome::Approved(approval(amount)));
                    }
                }
            }
            let (paid, returned, _) = money(&b);
            prop_assert!(returned <= paid && paid == 100, "{returned} of {paid} went back");
            let open = b.payment().map_or(0, |p| p.attempts.iter().filter(|a| a.state.is_open()).count());
            prop_assert!(open <= 1);
        }
    });
}

#[test]
fn the_same_key_is_the_same_refund_also_after_a_restart() {
    let mut b = paid();
    let keyed = |amount| Input::Leg {
        payment: ID,
        kind: LegKind::Refund,
        of: 0,
        amount: Some(fen(amount)),
        key: "refund-1".into(),
        reason: String::new(),
        operator: None,
    };
    b.take(&keyed(40));
    approve(&mut b);
    b.restart();
    assert_eq!(decide(&b.till, &keyed(40), &b.ctx), Ok(Step::default()), "no second leg");
    assert!(matches!(refused(&b, &keyed(41)), Refusal::KeyReuse { .. }));
    // The key of a payment is no key of a refund.
    let stolen = Input::Open {
        payment: PaymentId([8; 16]),
        purpose: Purpose::Sale,
        key: "refund-1".into(),
        amount: fen(40),
        subject: "tea".into(),
        operator: None,
        training: false,
    };
    assert!(matches!(refused(&b, &stolen), Refusal::KeyReuse { .. }));
}

#[test]
fn a_refund_under_way_at_a_restart_is_asked_about_and_never_sent_again() {
    let mut b = paid();
    b.take(&ask(LegKind::Refund, 0, Some(40)));
    prepared(&mut b);
    let steps = b.restart();
    assert!(matches!(steps[0].record, Some(Record::BecameUnknown { reason: UnknownReason::Restarted, .. })));
    assert_eq!(b.attempt().state, AttemptState::Querying);
    assert!(b.till.foreground().is_none(), "the till is free");
    // One that had not left yet is over.
    let mut b = paid();
    b.take(&ask(LegKind::Refund, 0, Some(40)));
    b.restart();
    assert_eq!((b.attempt().state, b.state()), (AttemptState::NotSent, PaymentState::Paid));
}

#[test]
fn an_unknown_void_is_undone_and_the_payment_stands() {
    let mut b = paid();
    b.take(&ask(LegKind::Void, 0, None));
    prepared(&mut b);
    lost(&mut b);
    assert_eq!(b.attempt().state, AttemptState::Reversing, "a void's reversal");
    let n = number(&b);
    b.take(&Input::Resolve { payment: ID, attempt: n });
    let outcome = UndoOutcome::Undone { money_moved: true, reference: None };
    b.take(&Input::Undone { payment: ID, attempt: n, outcome });
    assert_eq!((b.state(), money(&b)), (PaymentState::Paid, (100, 0, 0)));
    b.take(&ask(LegKind::Void, 0, None));
    approve(&mut b);
    assert_eq!((b.state(), money(&b)), (PaymentState::Returned, (100, 100, 100)));
    let p = b.payment().expect("it");
    assert_eq!(p.standing_of(&p.attempts[0]), "voided");
}

#[test]
fn a_hold_is_completed_once_in_whole_or_in_part() {
    for amount in [100, 60] {
        let mut b = held();
        assert_eq!((b.payment().map(till_core::Payment::held), money(&b)), (Some(fen(100)), (0, 0, 100)));
        assert!(b.till.foreground().is_none(), "other customers can pay while it stands");
        let over = refused(&b, &ask(LegKind::Capture, 0, Some(101)));
        assert!(matches!(over, Refusal::TooMuch { .. }), "{over}");
        b.take(&ask(LegKind::Capture, 0, Some(amount)));
        approve(&mut b);
        assert_eq!((b.state(), money(&b).0), (PaymentState::Paid, amount));
        let p = b.payment().expect("it");
        assert_eq!(p.standing_of(&p.attempts[0]), if amount == 100 { "captured" } else { "part-captured" });
        for kind in [LegKind::Capture, LegKind::Release] {
            assert!(matches!(refused(&b, &ask(kind, 0, None)), Refusal::NoLeg { .. }), "{kind:?} twice");
        }
        b.take(&ask(LegKind::Refund, 0, Some(amount)));
        approve(&mut b);
        assert_eq!(b.state(), PaymentState::Returned);
    }
}

#[test]
fn a_hold_is_released_cancelled_or_runs_out_and_takes_nothing() {
    let mut b = held();
    b.take(&ask(LegKind::Release, 0, None));
    approve(&mut b);
    assert_eq!((b.state(), money(&b)), (PaymentState::Cancelled, (0, 0, 100)));

    let mut b = held();
    b.cancel();
    go_on(&mut b);
    assert_eq!(b.attempt().kind, LegKind::Release);
    approve(&mut b);
    assert_eq!(b.state(), PaymentState::Cancelled);

    let mut b = held();
    let expire = Input::ExpireHold { payment: ID };
    assert_eq!(refused(&b, &expire), Refusal::Stale);
    b.ctx.wall_ms += b.ctx.hold_valid_ms;
    b.ctx.clock_trusted = false;
    assert_eq!(refused(&b, &expire), Refusal::Stale, "a clock that is not trusted ends no hold");
    b.ctx.clock_trusted = true;
    b.take(&expire);
    assert_eq!(
        (b.state(), b.payment().map(|p| p.reason.clone())),
        (PaymentState::Cancelled, Some("hold-expired".into()))
    );
    assert!(matches!(refused(&b, &ask(LegKind::Capture, 0, None)), Refusal::NoLeg { .. }));
}

fn top_up() -> Bench {
    let mut b = till();
    let purpose =
        Purpose::TopUp { channel: "card".into(), recovery: vec![1; 40], masked: "**** 0005".into() };
    b.take(&Input::Open {
        payment: ID,
        purpose,
        key: String::new(),
        amount: fen(100),
        subject: "top-up".into(),
        operator: None,
        training: false,
    });
    b.take(&Input::Confirm { payment: ID, amount: fen(100) });
    b.present();
    b
}

#[test]
fn s57_a_top_up_is_paid_and_loaded_or_neither() {
    let mut b = top_up();
    let step = approve(&mut b);
    assert_eq!(b.state(), PaymentState::Delivering);
    assert!(
        !step.effects.iter().any(|e| matches!(e, Effect::QueueJob { .. })),
        "no receipt before the value is there"
    );
    assert!(going_on(&step));
    go_on(&mut b);
    assert_eq!((b.attempt().kind, b.attempt().channel.as_str()), (LegKind::Load, "card"));
    approve(&mut b);
    assert_eq!((b.state(), money(&b)), (PaymentState::Paid, (100, 0, 0)));
    assert_eq!(b.payment().and_then(|p| p.receipt_number), Some(1));

    // Refused for good: the customer gets the money back.
    let mut b = top_up();
    approve(&mut b);
    go_on(&mut b);
    prepared(&mut b);
    assert!(going_on(&answered(&mut b, Outcome::Declined(decline("blocked")))));
    go_on(&mut b);
    assert_eq!(b.state(), PaymentState::Returning);
    go_on(&mut b);
    approve(&mut b);
    assert_eq!((b.state(), money(&b)), (PaymentState::Returned, (100, 100, 100)));
}

#[test]
fn s57_a_crash_between_tender_and_load_goes_on_with_the_load() {
    let mut b = top_up();
    approve(&mut b);
    let steps = b.restart();
    assert!(steps.iter().any(going_on), "{steps:?}");
    assert!(b.till.foreground().is_none());
    go_on(&mut b);
    prepared(&mut b);
    // Dies while the load is on its way: it is asked about under the same number, not loaded twice.
    b.restart();
    let n = number(&b);
    let step = b.take(&Input::Resolve { payment: ID, attempt: n });
    assert!(matches!(step.effects.as_slice(), [Effect::Query { kind: LegKind::Load, .. }]));
    b.take(&Input::Queried { payment: ID, attempt: n, outcome: QueryOutcome::Paid(approval(fen(100))) });
    assert_eq!((b.state(), b.payment().map(till_core::Payment::loaded)), (PaymentState::Paid, Some(true)));
}

#[test]
fn a_part_paid_payment_survives_a_restart_and_is_resumed_or_given_back() {
    let mut b = till();
    b.open_and_confirm();
    b.take(&Input::Present { payment: ID, presented: part(cash(), 30) });
    approve(&mut b);
    b.restart();
    assert_eq!((b.state(), money(&b)), (PaymentState::PartPaid, (30, 0, 70)));
    assert!(b.till.foreground().is_none(), "the next customer can pay");
    let other = PaymentId([8; 16]);
    b.take(&open(other, "", fen(5), "tea"));
    let busy = refused(&b, &Input::Resume { payment: ID, operator: None });
    assert!(matches!(busy, Refusal::Busy { .. }), "{busy}");
    b.take(&Input::Cancel { payment: other, operator: None });
    b.take(&Input::Resume { payment: ID, operator: None });
    b.present();
    approve(&mut b);
    assert_eq!((b.state(), money(&b)), (PaymentState::Paid, (100, 0, 0)));
}

#[test]
fn an_abandoned_attempt_never_ends_as_kept_money_and_another_may_begin() {
    let mut b = till();
    b.send();
    lost(&mut b);
    let give_up =
        Input::Abandon { payment: ID, reason: "customer in a hurry".into(), operator: Some("li".into()) };
    let step = b.take(&give_up);
    assert!(step.effects.iter().any(|e| matches!(e, Effect::Arm { .. })));
    assert_eq!(b.state(), PaymentState::Ready);
    b.take(&Input::Present { payment: ID, presented: cash() });
    approve(&mut b);
    assert_eq!((b.state(), money(&b)), (PaymentState::Paid, (100, 0, 0)));
    // The first one is still being undone, in the background, and the yes that comes now is not believed.
    assert_eq!(b.payment().map(|p| p.attempts[0].state), Some(AttemptState::Reversing));
    b.take(&Input::Answered { payment: ID, attempt: 1, outcome: Outcome::Approved(approval(fen(100))) });
    assert_eq!(money(&b), (100, 0, 0));
    b.take(&Input::Resolve { payment: ID, attempt: 1 });
    b.take(&Input::Undone {
        payment: ID,
        attempt: 1,
        outcome: UndoOutcome::Undone { money_moved: true, reference: None },
    });
    assert_eq!((b.state(), money(&b)), (PaymentState::Paid, (100, 0, 0)));
    assert_eq!(b.payment().map(|p| p.attempts[0].state), Some(AttemptState::Reversed));
}

fn in_review() -> Bench {
    let mut b = paid();
    b.take(&ask(LegKind::Refund, 0, Some(40)));
    prepared(&mut b);
    lost(&mut b);
    let n = number(&b);
    loop {
        let step = b.take(&Input::Resolve { payment: ID, attempt: n });
        if matches!(step.record, Some(Record::WentToReview { .. })) {
            return b;
        }
        b.take(&Input::Queried { payment: ID, attempt: n, outcome: QueryOutcome::InProgress });
    }
}

#[test]
fn a_review_needs_two_people_who_say_the_same() {
    for (verdict, returned) in [(Verdict::Happened, 40), (Verdict::DidNot, 0)] {
        let mut b = in_review();
        assert_eq!((b.state(), money(&b)), (PaymentState::Review, (100, 0, 0)));
        assert!(matches!(refused(&b, &ask(LegKind::Refund, 0, Some(1))), Refusal::NoLeg { .. }));
        let propose = |operator: &str, reason: &str| Input::ProposeReview {
            payment: ID,
            attempt: 2,
            verdict,
            reason: reason.into(),
            operator: operator.into(),
        };
        let confirm = |operator: &str, verdict| Input::ConfirmReview {
            payment: ID,
            attempt: 2,
            verdict,
            operator: operator.into(),
        };
        assert!(matches!(refused(&b, &confirm("wang", verdict)), Refusal::Review { .. }), "nothing proposed");
        assert!(matches!(refused(&b, &propose("li", " ")), Refusal::Review { .. }), "no reason");
        b.take(&propose("li", "bank statement of 21 November"));
        for same in ["li", " LI ", ""] {
            assert!(
                matches!(refused(&b, &confirm(same, verdict)), Refusal::Review { .. }),
                "{same:?} is not a second"
            );
        }
        let other = if verdict == Verdict::Happened { Verdict::DidNot } else { Verdict::Happened };
        assert!(matches!(refused(&b, &confirm("wang", other)), Refusal::Review { .. }));
        b.take(&confirm("wang", verdict));
        assert_eq!((b.state(), money(&b)), (PaymentState::Paid, (100, returned, returned)));
    }
}

#[test]
fn a_sale_found_after_a_restart_is_given_back_unless_somebody_acknowledges_it() {
    for acknowledged in [true, false] {
        let mut b = till();
        b.ctx.undo_after_ms = Some(60_000);
        b.send();
        b.restart();
        b.take(&Input::Resolve { payment: ID, attempt: 1 });
        let step = b.take(&Input::Queried {
            payment: ID,
            attempt: 1,
            outcome: QueryOutcome::Paid(approval(fen(100))),
        });
        assert!(going_on(&step) && b.state() == PaymentState::Paid);
        let step = go_on(&mut b);
        assert!(step.effects.contains(&Effect::AskAcknowledgement { payment: ID, after_ms: 60_000 }));
        if acknowledged {
            b.take(&Input::Acknowledge { payment: ID, operator: Some("li".into()) });
            assert_eq!(refused(&b, &Input::NotAcknowledged { payment: ID }), Refusal::Stale);
            assert_eq!(b.state(), PaymentState::Paid);
        } else {
            b.restart();
            let step = go_on(&mut b);
            assert!(
                step.effects.iter().any(|e| matches!(e, Effect::AskAcknowledgement { .. })),
                "asked again"
            );
            b.take(&Input::NotAcknowledged { payment: ID });
            go_on(&mut b);
            approve(&mut b);
            assert_eq!((b.state(), money(&b)), (PaymentState::Returned, (100, 100, 100)));
        }
    }
}

#[test]
fn the_same_card_and_amount_twice_is_asked_about() {
    let mut b = till();
    b.ctx.duplicate_window_ms = 600_000;
    b.ctx.routes[0].families.push(Family::new("card-stripe"));
    let card = Presented { family: Family::new("card-stripe"), token: "card-1".into(), ..presented() };
    b.open_and_confirm();
    b.take(&Input::Present { payment: ID, presented: card.clone() });
    prepared(&mut b);
    answered(&mut b, Outcome::Declined(decline("55")));
    // A declined try is none.
    b.take(&Input::Present { payment: ID, presented: card.clone() });
    approve(&mut b);
    let second = PaymentId([8; 16]);
    b.take(&open(second, "k2", fen(100), "tea"));
    b.take(&Input::Confirm { payment: second, amount: fen(100) });
    let again = Input::Present { payment: second, presented: card.clone() };
    assert!(matches!(refused(&b, &again), Refusal::PossibleDuplicate { payment: ID, .. }));
    let other = Presented { amount: Some(fen(99)), ..card.clone() };
    assert!(decide(&b.till, &Input::Present { payment: second, presented: other }, &b.ctx).is_ok());
    let said = Presented { duplicate_reason: "two teas".into(), ..card };
    let step = b.take(&Input::Present { payment: second, presented: said });
    assert!(
        matches!(step.record, Some(Record::Tendered { ref duplicate_reason, .. }) if duplicate_reason == "two teas")
    );
}

#[test]
fn a_leg_that_wants_the_card_again_takes_only_that_card() {
    let mut b = till();
    b.ctx.routes[0].legs[1].instrument = true;
    b.open_and_confirm();
    let card = Presented { token: "card-1".into(), ..presented() };
    b.take(&Input::Present { payment: ID, presented: card.clone() });
    approve(&mut b);
    let step = b.take(&ask(LegKind::Refund, 0, Some(40)));
    assert!(step.effects.contains(&Effect::Arm { payment: ID, amount: fen(40) }));
    assert!(b.till.foreground().is_some(), "the readers are for this customer");
    let wrong = Presented { token: "card-2".into(), ..presented() };
    assert_eq!(refused(&b, &Input::Present { payment: ID, presented: wrong }), Refusal::OtherCard(ID));
    b.take(&Input::Present { payment: ID, presented: card });
    approve(&mut b);
    assert_eq!(money(&b), (100, 40, 40));
    // The card does not come: the leg ends unsent.
    b.take(&ask(LegKind::Refund, 0, Some(10)));
    b.cancel();
    assert_eq!((b.attempt().state, b.state()), (AttemptState::NotSent, PaymentState::Paid));
}

#[test]
fn i22_a_leg_goes_by_the_channel_of_its_original_and_not_while_that_is_down() {
    let mut b = paid();
    b.take(&Input::Select { channel: Some("other".into()), operator: None });
    b.take(&ask(LegKind::Refund, 0, Some(40)));
    assert_eq!(b.attempt().channel, "channel");
    approve(&mut b);
    b.ctx.routes[0].health = till_core::routing::RouteHealth::Failed { reason: "no line".into() };
    assert!(matches!(refused(&b, &ask(LegKind::Refund, 0, Some(10))), Refusal::NoLeg { .. }));
}

#[test]
fn a_payment_that_left_memory_is_adopted_for_its_refund_and_replay_gives_the_same() {
    let mut b = paid();
    let old = b.payment().expect("it").clone();
    let mut records: Vec<Record> = Vec::new();
    for n in 0..200_u8 {
        let id = PaymentId([n; 16]);
        if id == ID {
            continue;
        }
        let key = format!("k{n}");
        b.take(&open(id, &key, fen(5), ""));
        b.take(&Input::Cancel { payment: id, operator: None });
    }
    assert!(b.payment().is_none(), "it left memory");
    assert!(matches!(refused(&b, &ask(LegKind::Refund, 0, Some(40))), Refusal::NoPayment(_)));
    let mut replay: Till = b.till.clone();
    b.till.adopt(old.clone());
    let step = b.take(&ask(LegKind::Refund, 0, Some(40)));
    records.extend(step.record);
    assert_eq!(replay.lacks(&records[0]), Some(ID));
    replay.adopt(old);
    replay.apply(b.till.seq(), b.ctx.wall_ms, &records[0]);
    assert_eq!(replay, b.till);
}

#[test]
fn a_snapshot_is_the_state() {
    let mut b = held();
    b.take(&open(PaymentId([8; 16]), "k", fen(3), "tea"));
    let bytes = b.till.to_snapshot().expect("it encodes");
    assert_eq!(Till::from_snapshot(&bytes).as_ref(), Ok(&b.till));
    assert!(Till::from_snapshot(&bytes[..bytes.len() - 1]).is_err());
    assert!(Till::from_snapshot(&[&[9], &bytes[1..]].concat()).is_err());
    assert_eq!(Money::zero(fen(1).currency()), fen(0));
}
