//! What holds without anything going wrong, and what never leaves.

use till_plugin::channel::{Authorise, DeclineClass, FollowKind, Operation, Outcome, Prepared};
use till_plugin::driver::DeviceState;
use till_plugin::{Channel, Money, Sensitive};

use crate::adapter::Adapter;
use crate::till::{OWED, Settled, Till, cny};

pub(super) fn taken<A: Adapter>() {
    let mut till = Till::<A>::new();
    let mut kept = 0;
    for minor in [OWED, 1, 700] {
        let (sale, approval) = till.paid(minor);
        kept += minor;
        assert_eq!(approval.amount, cny(minor));
        let echo = &approval.echo;
        let trace = format!("{:06}", sale.request.ids.trace);
        if let Some(order) = &echo.order {
            assert!(*order == sale.request.ids.order || *order == trace, "{order}");
        }
        for (told, ours) in [(&echo.merchant, &till.said.merchant), (&echo.terminal, &till.said.terminal)] {
            assert!(told.is_none() || ours.is_none() || told == ours, "{echo:?}");
        }
        assert!(!approval.reference.is_empty());
        till.books(kept, &"a payment");
    }
}

pub(super) fn refused<A: Adapter>() {
    let mut till = Till::<A>::new();
    let poor = till.net.poor(cny(OWED));
    let request = till.asked(cny(OWED), poor);
    let decline = match till.call(|c| c.prepare(&request)) {
        Err(decline) => decline,
        Ok(prepared) => match till.call(|c| c.authorise(&request, &prepared)) {
            Outcome::Declined(decline) => decline,
            other => panic!("{}: not declined: {other:?}", A::NAME),
        },
    };
    assert_ne!(decline.class, DeclineClass::Channel, "a poor customer is no fault of the channel's");
    assert!(
        !decline.code.is_empty() && !decline.text.is_empty() && !decline.text_zh.is_empty(),
        "{decline:?}"
    );
    till.books(0, &decline);
    // And the next customer pays.
    till.paid(700);
    till.books(700, &"the next customer");
}

pub(super) fn not_sendable<A: Adapter>() {
    let mut till = Till::<A>::new();
    let mut wrong = Vec::new();
    for amount in [cny(0), cny(-1), cny(i64::MIN), cny(i64::MAX), Money::new(OWED, "EUR".parse().unwrap())] {
        let instrument = till.net.instrument(1, cny(OWED));
        wrong.push(till.asked(amount, instrument));
    }
    let foreign = till.net.foreign();
    wrong.push(till.asked(cny(OWED), foreign));
    if !till.said.operations.contains(&Operation::PreAuthorisation) {
        let instrument = till.net.instrument(1, cny(OWED));
        let held = till.asked(cny(OWED), instrument);
        wrong.push(Authorise { hold: true, ..held });
    }
    let (requests, asked) = (till.net.requests(), till.road.as_ref().map(super::super::road::Road::asked));
    for request in wrong {
        let refused = till.call(|c| c.prepare(&request));
        assert!(refused.is_err(), "{}: {request:?}", A::NAME);
        // After a restart the daemon may come with what it never prepared.
        let bare = Prepared { recovery: Sensitive::new(Vec::new()), masked: String::new() };
        let outcome = till.call(|c| c.authorise(&request, &bare));
        let no = matches!(outcome, Outcome::NotSent(_) | Outcome::Declined(_));
        assert!(no, "{}: {request:?}: {outcome:?}", A::NAME);
    }
    assert_eq!(till.net.requests(), requests);
    assert_eq!(till.road.as_ref().map(super::super::road::Road::asked), asked);
    till.books(0, &"nothing that may be sent");
}

pub(super) fn twice<A: Adapter>() {
    for reopen in [false, true] {
        let mut till = Till::<A>::new();
        let (sale, first) = till.paid(OWED);
        for _ in 0..2 {
            if reopen {
                till.reopen();
            }
            match till.send(&sale) {
                Outcome::Approved(again) => assert_eq!(again.amount, first.amount),
                Outcome::Unknown(_) => {}
                other => panic!("{}: what was taken is told not to be: {other:?}", A::NAME),
            }
            till.books(OWED, &"the same request again");
        }
    }
}

pub(super) fn restarted<A: Adapter>() {
    let mut till = Till::<A>::new();
    till.restarting = true;
    let sale = till.sale(OWED);
    let outcome = till.send(&sale);
    let Outcome::Approved(approval) = outcome else { panic!("{}: {outcome:?}", A::NAME) };
    let mut kept = OWED;
    if till.call(|c| c.leg_rules()).iter().any(|rule| rule.operation == Operation::Refund) {
        let refund = till.follow_on(FollowKind::Refund, &sale, &approval, 850);
        let outcome = till.follow_through(&refund);
        assert!(matches!(outcome, Outcome::Approved(_)), "{}: {outcome:?}", A::NAME);
        kept -= 850;
    }
    till.books(kept, &"steps with restarts between");
    // What is unknown is settled across restarts too.
    let Some((_, answer_lost)) = till.net.lost() else { return };
    let mut till = Till::<A>::new();
    till.restarting = true;
    let sale = till.sale(OWED);
    let outcome = super::send_struck(&mut till, &sale, &answer_lost);
    super::unknown::<A>(outcome.clone(), &answer_lost);
    let settled = till.settle(&sale, outcome, |_, _| {});
    assert!(matches!(settled, Settled::Taken(OWED) | Settled::Nothing), "{settled:?}");
    till.agree(&settled, &"a lost answer with restarts between");
}

pub(super) fn probe<A: Adapter>() {
    let mut till = Till::<A>::new();
    let health = till.call(Channel::probe).unwrap();
    assert_eq!(health.state, DeviceState::Ready, "{}", health.text);
    till.books(0, &"a probe");
    till.paid(OWED);
    till.call(Channel::probe).unwrap();
    till.books(OWED, &"a probe");
    if let Some(road) = till.road.as_mut() {
        road.close();
        let health = till.call(Channel::probe).unwrap();
        assert_ne!(health.state, DeviceState::Ready, "{}", health.text);
        assert!(!health.text.is_empty());
    }
}

pub(super) fn clock<A: Adapter>() {
    let mut till = Till::<A>::new();
    let sale = till.sale(OWED);
    let requests = till.net.requests();
    till.bench.trust_clock(false);
    let refused = till.call(|c| c.prepare(&sale.request)).unwrap_err();
    assert_eq!(refused.code, "clock-not-synchronised");
    let outcome = till.send(&sale);
    assert!(matches!(outcome, Outcome::NotSent(_)), "{outcome:?}");
    assert_eq!(till.net.requests(), requests);
    till.bench.trust_clock(true);
    assert_eq!(till.through(&sale), Settled::Taken(OWED));
}
