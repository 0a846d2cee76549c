//! A supervisor suspends channels and resumes them, at any time: with a customer at the till, before and after a restart.

use till_core::{Input, Refusal};

use super::refused;
use crate::profile::CHANNELS;
use crate::world::World;

/// A turn of the supervisor; false: nobody comes by.
pub(super) fn turn(w: &mut World) -> bool {
    let suspended = w.till().suspensions().now().len();
    // In the evening everything is put right; before, most channels are left to sell with.
    if w.operator.is_evening() {
        return suspended > 0 && w.rng.chance(30) && resume_one(w);
    }
    if !w.rng.chance(6) {
        return false;
    }
    if suspended > 2 || (suspended > 0 && w.rng.chance(45)) {
        return resume_one(w);
    }
    let channel = w.rng.pick(&CHANNELS).0;
    suspend(w, channel);
    true
}

pub(super) fn suspend(w: &mut World, channel: &str) {
    let is = w.watch.is_suspended(channel);
    let ask = |operator: &str| Input::Suspend {
        channel: channel.into(),
        reason: "the rate is wrong".into(),
        operator: operator.into(),
    };
    if w.rng.chance(10) {
        refused(&w.asked(&ask(" ")), "S11: nobody suspended a channel", |r| matches!(r, Refusal::Wanted(_)));
    }
    let told = w.asked(&ask("first"));
    if is {
        refused(&told, "S11: a suspended channel was suspended", |r| matches!(r, Refusal::Suspended { .. }));
    } else {
        assert!(!matches!(told, Ok(Err(_))), "S11: a channel cannot be suspended: {told:?}");
    }
}

fn resume_one(w: &mut World) -> bool {
    let channel = w.rng.pick(&CHANNELS).0;
    let of = w.till().suspensions().now().keys().next().cloned();
    // Now and then one that is not suspended.
    let channel = of.filter(|_| w.rng.chance(80)).unwrap_or_else(|| channel.to_owned());
    let is = w.watch.is_suspended(&channel);
    let told = w.asked(&Input::ResumeChannel {
        channel,
        reason: "they put it right".into(),
        operator: "second".into(),
    });
    if is {
        assert!(!matches!(told, Ok(Err(_))), "S11: a channel cannot be resumed: {told:?}");
    } else {
        refused(&told, "S11: what was not suspended was resumed", |r| {
            matches!(r, Refusal::NotSuspended { .. })
        });
    }
    true
}

/// Somebody suspends the channel of what was just presented, before its request is prepared.
pub(super) fn in_this_moment(w: &mut World) {
    if !w.operator.suspends || !w.rng.chance(8) {
        return;
    }
    let attempt = w.till().foreground().filter(|p| !p.training).and_then(|p| p.open_attempt());
    if let Some(channel) = attempt.map(|a| a.channel.clone()) {
        suspend(w, &channel);
    }
}
