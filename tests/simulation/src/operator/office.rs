//! Somebody who does not sell: opens the drawer, has papers not printed, takes notices for the books; and the daemon
//! seals anew what unfinished payments keep.

use till_core::{Input, PaymentId, Refusal};

use super::refused;
use crate::world::World;

/// Who is told of what was paid (S48).
const SINKS: [&str; 3] = ["books", "fiscal", "points"];

/// A turn; false: nobody comes by.
pub(super) fn turn(w: &mut World) -> bool {
    if !w.rng.chance(12) {
        return false;
    }
    match w.rng.below(5) {
        0 => no_sale(w),
        1 => cancel_paper(w),
        2 => expire_paper(w),
        3 => take_notices(w),
        _ => seal_anew(w),
    }
    true
}

/// S23: for a reason only.
fn no_sale(w: &mut World) {
    let ask = |reason: &str| Input::NoSale { reason: reason.into(), operator: Some("op".into()) };
    if w.rng.chance(20) {
        refused(&w.asked(&ask("  ")), "S23: the drawer opened for no reason", |r| {
            matches!(r, Refusal::NotPayable(_))
        });
    }
    let told = w.asked(&ask("change"));
    assert!(!matches!(told, Ok(Err(_))), "S23: the drawer does not open: {told:?}");
}

fn a_job(w: &mut World) -> Option<u64> {
    let jobs: Vec<u64> = w.till().jobs().keys().copied().collect();
    jobs.get(w.rng.index(jobs.len().max(1))).copied()
}

fn cancel_paper(w: &mut World) {
    let Some(job) = a_job(w) else { return };
    let told = w.asked(&Input::CancelJob { job });
    assert!(!matches!(told, Ok(Err(_))), "S64: paper that waits cannot be given up: {told:?}");
    if matches!(told, Ok(Ok(_))) && w.rng.chance(50) {
        refused(&w.asked(&Input::CancelJob { job }), "S64: given up twice", |r| {
            matches!(r, Refusal::NoJob(_))
        });
    }
}

fn expire_paper(w: &mut World) {
    let Some(job) = a_job(w) else { return };
    let told = w.asked(&Input::ExpireJob { job });
    if !w.ctx.clock_trusted {
        refused(&told, "S64: paper was given up by a clock that nobody believes", |r| {
            matches!(r, Refusal::Stale)
        });
    }
}

/// S48: up to a record that exists; what was taken stays taken.
fn take_notices(w: &mut World) {
    let sink = w.rng.pick(&SINKS).to_owned();
    let newest = w.till().seq();
    let ahead = w.rng.chance(10);
    let seq = if ahead { newest + 1 } else { w.rng.below(newest + 1) };
    let told = w.asked(&Input::TakeNotices { sink, seq });
    if ahead {
        refused(&told, "S48: a notice was taken that there is none of", |r| {
            matches!(r, Refusal::NotPayable(_))
        });
    } else {
        assert!(!matches!(told, Ok(Err(_))), "S48: notices are not taken: {told:?}");
    }
}

/// Of any unfinished payment, at any time: the daemon does it before it destroys the key of a closed batch.
fn seal_anew(w: &mut World) {
    let of = |p: &till_core::Payment| {
        let sealed = p.attempts.iter().filter_map(|a| Some((a.ids.attempt, a.recovery.clone()?)));
        sealed.map(|(attempt, recovery)| (p.id, attempt, recovery)).collect::<Vec<_>>()
    };
    let sealed: Vec<(PaymentId, u32, Vec<u8>)> = w.till().open_payments().flat_map(of).collect();
    let Some((payment, attempt, mut recovery)) = sealed.get(w.rng.index(sealed.len().max(1))).cloned() else {
        return;
    };
    recovery.push(b'*');
    let told = w.asked(&Input::Resealed { payment, attempt, recovery });
    assert!(
        !matches!(told, Ok(Err(_))),
        "S66: what an unfinished payment keeps is not sealed anew: {told:?}"
    );
}
