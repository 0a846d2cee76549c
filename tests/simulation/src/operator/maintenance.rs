//! Maintenance is announced while the till runs, changed and taken back (S9): by a supervisor, by files, by signed messages.

use till_core::announce::{AnnounceRefusal, Announcement, SIGNED, Source};
use till_core::windows::{Kind, Span, When, Window};
use till_core::{Input, Refusal};

use super::refused;
use crate::profile::CHANNELS;
use crate::world::World;

const MINUTE_MS: i64 = 60_000;

/// A turn; false: nothing is announced.
pub(super) fn turn(w: &mut World) -> bool {
    if w.standing.is_none() || w.operator.is_evening() || !w.rng.chance(6) {
        return false;
    }
    let (source, id) = w.rng.pick(&[
        (Source::Supervisor, "line work"),
        (Source::Supervisor, "upgrade"),
        (Source::File, "bank"),
        (Source::Signed, SIGNED),
    ]);
    if w.rng.chance(30) {
        take_back(w, source, id);
    } else {
        announce(w, source, id);
    }
    true
}

fn announce(w: &mut World, source: Source, id: &str) {
    let windows = (0..=w.rng.below(2)).map(|_| window(w)).collect();
    let newest = w.till().announced().issue();
    let old = source == Source::Signed && newest > 0 && w.rng.chance(30);
    let issue = match source {
        Source::Signed if old => newest - w.rng.below(newest.min(2)),
        Source::Signed => newest + 1 + w.rng.below(2),
        _ => 0,
    };
    let announcement = Announcement { source, issue, windows };
    let told = w.asked(&Input::Announce { id: id.into(), announcement, operator: Some("boss".into()) });
    if old {
        refused(&told, "S9: an older message replaced a newer one", |r| {
            matches!(r, Refusal::Announce(AnnounceRefusal::Outdated { .. }))
        });
    } else {
        assert!(!matches!(told, Ok(Err(_))), "S9: maintenance cannot be announced: {told:?}");
    }
}

/// Minutes long, soon or already.
fn window(w: &mut World) -> Window {
    let from_ms = w.ctx.wall_ms + w.rng.minor(5 * MINUTE_MS) - 2 * MINUTE_MS;
    Window {
        channel: w.rng.pick(&CHANNELS).0.into(),
        when: When::Once(Span { from_ms, until_ms: from_ms + (1 + w.rng.minor(4)) * MINUTE_MS }),
        kind: if w.rng.chance(15) { Kind::Degraded } else { Kind::Down },
        lead_ms: w.rng.chance(50).then(|| w.rng.minor(3 * MINUTE_MS)),
        reason: "announced".into(),
    }
}

fn take_back(w: &mut World, source: Source, id: &str) {
    let known = w.till().announced().get(id).map(|a| a.source);
    // What came signed is taken back by a supervisor; a file takes back what files say.
    let by = if source == Source::File { Source::File } else { Source::Supervisor };
    let told = w.asked(&Input::Withdraw { id: id.into(), source: by, operator: Some("boss".into()) });
    if by == Source::Supervisor && known.is_none() {
        refused(&told, "S9: what nobody announced was taken back", |r| {
            matches!(r, Refusal::Announce(AnnounceRefusal::Unknown(_)))
        });
    } else {
        assert!(!matches!(told, Ok(Err(_))), "S9: maintenance cannot be taken back: {told:?}");
    }
}
