//! Pre-authorisations: completed, released, run out.

use till_core::{Input, LegKind, Payment, PaymentState, Refusal};

use crate::samples::{Bench, ID, fen};
use crate::scene::{
    approve, ask, give_up, go_on, held, hold_begun, money, not_undone, refused, two_people_say,
};

#[test]
fn a_hold_is_completed_once_in_whole_or_in_part() {
    for amount in [100, 60] {
        let mut b = held();
        assert_eq!((b.payment().map(Payment::held), money(&b)), (Some(fen(100)), (0, 0, 100)));
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

/// A hold that was given up, and maybe replaced, and could not be undone: in review.
fn given_up(replaced: bool) -> Bench {
    let mut b = hold_begun();
    give_up(&mut b);
    if replaced {
        b.present();
        approve(&mut b);
    }
    not_undone(&mut b);
    b
}

#[test]
fn i02_a_hold_that_was_given_up_is_released_and_never_completed() {
    for accepted in [false, true] {
        let mut b = given_up(false);
        two_people_say(&mut b, 1);
        assert_eq!(b.state(), PaymentState::Review);
        if accepted {
            two_people_say(&mut b, 0);
        }
        for of in [0, 1] {
            let said = refused(&b, &ask(LegKind::Capture, of, Some(60))).to_string();
            assert!(said.contains("given up") && said.contains("release it"), "{said}");
        }
        b.take(&ask(LegKind::Release, 0, None));
        approve(&mut b);
        assert_eq!(money(&b), (0, 0, 100), "accepted: {accepted}");
        assert!(matches!(refused(&b, &ask(LegKind::Release, 0, None)), Refusal::NoLeg { .. }));
    }
}

/// Both stand: the one that was given up does not wait for the end of the other.
#[test]
fn i02_the_hold_that_was_given_up_is_released_beside_the_one_that_replaced_it() {
    let mut b = given_up(true);
    two_people_say(&mut b, 1);
    assert_eq!(b.payment().and_then(Payment::hold).map(|a| a.ids.attempt), Some(2));
    b.take(&ask(LegKind::Release, 1, None));
    approve(&mut b);
    assert_eq!((b.state(), b.payment().map(Payment::held)), (PaymentState::Authorised, Some(fen(100))));
    b.take(&ask(LegKind::Capture, 0, None));
    approve(&mut b);
    assert_eq!((b.state(), money(&b).0), (PaymentState::Paid, 100));
}
