//! What happens on the way between till and network.

use std::time::{Duration, Instant};

use till_plugin::channel::{DeclineClass, Outcome, QueryOutcome, UndoOutcome, UndoReason, UnknownReason};

use super::SHORT;
use crate::adapter::Adapter;
use crate::road::{Act, Cut, End, Road};
use crate::till::{OWED, Settled, Till};

/// Longer than any call here takes that keeps its deadline of [`SHORT`], shorter than the channels' own patience.
const LATE: Duration = Duration::from_secs(8);

const ENDS: [End; 2] = [End::Close, End::Reset];

fn road<A: Adapter>(till: &Till<A>) -> &Road {
    till.road.as_ref().expect("a network")
}

pub(super) fn unreachable<A: Adapter>() {
    let mut till = Till::<A>::new();
    let sale = till.sale(OWED);
    till.road.as_mut().expect("a network").close();
    for _ in 0..2 {
        let outcome = till.send(&sale);
        let Outcome::NotSent(decline) = outcome else { panic!("{}: {outcome:?}", A::NAME) };
        assert_eq!(decline.class, DeclineClass::Channel, "{decline:?}");
    }
    till.books(0, &"a closed door");
    // An undo that did not leave is no try, and nothing is undone by it.
    if till.said.resolve.undo.is_some() {
        till.until_undo();
        let told = till.undo(&sale, UndoReason::NoAnswer);
        assert!(matches!(told, UndoOutcome::NotSent(_) | UndoOutcome::Unknown(_)), "{told:?}");
    }
    if till.said.resolve.query.is_some() {
        let told = till.query(&sale);
        assert!(matches!(told, QueryOutcome::Unknown(_)), "{}: {told:?}", A::NAME);
    }
}

/// Sends one payment down a road where this happens to its request; settles it on a clear road.
fn sent<A: Adapter>(act: &Act) -> (Till<A>, Outcome) {
    let mut till = Till::<A>::new();
    let sale = till.sale(OWED);
    let before = road(&till).asked();
    road(&till).plan([act.clone()]);
    let outcome = till.send(&sale);
    road(&till).plan([]);
    match &outcome {
        Outcome::NotSent(_) => assert_eq!(road(&till).asked(), before, "{}: {act:?}: it had left", A::NAME),
        Outcome::Declined(decline) => panic!("{}: {act:?}: {decline:?}", A::NAME),
        Outcome::Approved(_) | Outcome::Unknown(_) => {}
    }
    let settled = till.settle(&sale, outcome.clone(), |_, _| {});
    till.agree(&settled, act);
    (till, outcome)
}

pub(super) fn stages<A: Adapter>() {
    for end in ENDS {
        let (till, outcome) = sent::<A>(&Act::Slam(end));
        assert!(!matches!(outcome, Outcome::Approved(_)));
        till.books(0, &"a connection that ended at once");
        for part in [1, 20, 60, 100] {
            let (till, outcome) = sent::<A>(&Act::CutRequest(part, end));
            super::unknown::<A>(outcome, &part);
            till.books(0, &"a part of a request");
        }
        let (_, outcome) = sent::<A>(&Act::NoAnswer(end));
        super::unknown::<A>(outcome, &end);
    }
}

pub(super) fn slow<A: Adapter>() {
    let (till, outcome) = sent::<A>(&Act::Slow(Duration::from_micros(300)));
    assert!(matches!(outcome, Outcome::Approved(_)), "{}: {outcome:?}", A::NAME);
    till.books(OWED, &"a slow answer");
}

pub(super) fn doubled<A: Adapter>() {
    let (mut till, _) = sent::<A>(&Act::Double);
    // The second answer is nobody's when the next payment waits for its own.
    let before = till.net.kept(&till.bench).unwrap_or(0);
    let sale = till.sale(700);
    assert_eq!(till.through(&sale), Settled::Taken(700));
    till.books(before + 700, &"a doubled answer");
}

pub(super) fn cut_short<A: Adapter>() {
    let cuts = [
        Cut::First(1),
        Cut::First(2),
        Cut::First(3),
        Cut::First(13),
        Cut::Half,
        Cut::AllBut(20),
        Cut::AllBut(2),
        Cut::AllBut(1),
    ];
    for (number, cut) in cuts.into_iter().enumerate() {
        let (_, outcome) = sent::<A>(&Act::CutAnswer(cut, ENDS[number % 2]));
        super::unknown::<A>(outcome, &cut);
    }
}

pub(super) fn endless<A: Adapter>() {
    for (first, rest) in A::endless() {
        let mut till = Till::<A>::new();
        let sale = till.sale(OWED);
        let shown = String::from_utf8_lossy(&first).into_owned();
        road(&till).plan([Act::Flood(first, rest)]);
        till.bench.set_remaining(Some(SHORT));
        let begun = Instant::now();
        let outcome = till.send(&sale);
        assert!(begun.elapsed() < LATE, "{}: {shown:?}", A::NAME);
        super::unknown::<A>(outcome.clone(), &shown);
        till.bench.set_remaining(None);
        let settled = till.settle(&sale, outcome, |_, _| {});
        till.agree(&settled, &shown);
    }
}

pub(super) fn silent<A: Adapter>() {
    for act in [Act::Silence, Act::Lost] {
        let mut till = Till::<A>::new();
        let sale = till.sale(OWED);
        road(&till).plan([act.clone()]);
        till.bench.set_remaining(Some(SHORT));
        let begun = Instant::now();
        let outcome = till.send(&sale);
        assert!(begun.elapsed() < LATE, "{}: {act:?}: {:?}", A::NAME, begun.elapsed());
        assert_eq!(super::unknown::<A>(outcome.clone(), &act).reason, UnknownReason::NoAnswer, "{act:?}");
        // The question and the undo keep theirs as well.
        if till.said.resolve.query.is_some() {
            road(&till).plan([Act::Silence]);
            let told = till.query(&sale);
            assert!(matches!(told, QueryOutcome::Unknown(_)), "{}: {told:?}", A::NAME);
        }
        if till.said.resolve.undo.is_some() {
            till.until_undo();
            till.bench.set_remaining(Some(SHORT));
            road(&till).plan([Act::Silence, Act::Silence]);
            let told = till.undo(&sale, UndoReason::NoAnswer);
            assert!(matches!(told, UndoOutcome::Unknown(_)), "{}: {told:?}", A::NAME);
        }
        assert!(begun.elapsed() < LATE * 3, "{}: {:?}", A::NAME, begun.elapsed());
        road(&till).plan([]);
        till.bench.set_remaining(None);
        let settled = till.settle(&sale, outcome, |_, _| {});
        till.agree(&settled, &act);
    }
}
