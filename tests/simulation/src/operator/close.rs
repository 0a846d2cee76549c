//! The end of a day: people close it, decide about settlements that were given up, and go home for the night.

use till_core::batch::PartId;
use till_core::{Input, Refusal, Till};

use super::refused;
use crate::run;
use crate::world::World;

/// A settlement that was given up: it waits for somebody.
pub(crate) fn stalled(till: &Till) -> Option<(u32, PartId)> {
    till.batches().frozen().find_map(|b| {
        let (id, _) = b.parts().find(|(_, p)| p.gave_up.is_some() && !p.state.is_closed())?;
        Some((b.number, id))
    })
}

/// Somebody closes the day, at any time.
pub(super) fn close_day(w: &mut World) {
    let something = w.till().batches().open().is_some_and(|b| b.parts().any(|(_, p)| p.matters()));
    // Whether an empty day is closed depends on the date.
    if !something && w.wall_clock != run::Clock::Wild {
        return;
    }
    // Now and then with a sign-in on its way, which is answered while the network already settles.
    if w.rng.chance(20) {
        super::desk::sign_in(w);
    }
    let before = w.till().open_batch();
    if let Ok(Ok(done)) = w.asked(&Input::CloseBatch { operator: Some("op".into()) })
        && done.wrote
    {
        w.tally.see("days closed by hand");
        assert_eq!(w.till().open_batch(), before + 1, "I13: the next batch is open at once");
    }
}

/// The shop is closed for a day or more, the till off or idle; or somebody sets the clock a day back.
pub(super) fn night(w: &mut World) {
    let days = w.rng.pick(&[1, 1, 3, -1]);
    w.pass_days(days);
}

/// Somebody looks after a settlement that does not go on.
pub(super) fn settle_by_hand(w: &mut World) {
    let Some((batch, part)) = stalled(w.till()) else { return leave_alone(w) };
    if w.rng.chance(70) {
        let again = Input::SettleAgain { batch, part, operator: Some("op".into()) };
        let told = w.asked(&again);
        assert!(!matches!(told, Ok(Err(_))), "a settlement that was given up does not go on: {told:?}");
        w.tally.see("settled again by hand");
        return;
    }
    close_by_hand(w, batch, &part);
}

fn close_by_hand(w: &mut World, batch: u32, part: &PartId) {
    let close = |operator: &str, reason: &str| Input::CloseAnyway {
        batch,
        part: part.clone(),
        reason: reason.into(),
        operator: operator.into(),
    };
    if w.rng.chance(30) {
        let told = w.asked(&close("first", " "));
        refused(&told, "W8: a batch was closed without a reason", |r| matches!(r, Refusal::Batch { .. }));
    }
    let why = "the network has no line";
    if !matches!(w.asked(&close("first", why)), Ok(Ok(_))) {
        return;
    }
    if w.rng.chance(30) {
        let told = w.asked(&close("First ", why));
        assert!(!matches!(told, Ok(Ok(done)) if done.wrote), "W8: one person alone closed a part");
    }
    if let Ok(Ok(_)) = w.asked(&close("second", why)) {
        w.tally.see("closed without the network");
    }
}

/// Nothing was given up: nothing may be begun again, and now and then somebody closes a part that only takes long.
fn leave_alone(w: &mut World) {
    let part = w.till().batches().frozen().find_map(|b| {
        let (id, _) = b.parts().find(|(_, p)| !p.state.is_closed())?;
        Some((b.number, id))
    });
    let Some((batch, part)) = part else { return };
    if w.rng.chance(20) {
        return close_by_hand(w, batch, &part);
    }
    let again = Input::SettleAgain { batch, part, operator: Some("op".into()) };
    refused(&w.asked(&again), "a settlement that goes on by itself was begun again", |r| {
        matches!(r, Refusal::Batch { .. })
    });
}
