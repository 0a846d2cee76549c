//! Maintenance that was announced: when a channel's network does not work, and when new sales stop going there ahead of
//! it (S9).
//!
//! Everything here is a function of the windows, the wall clock and whether it is trusted. Windows may be of any length,
//! come again every day or week (by the place's own clock), and overlap: what overlaps or touches is one. New sales stop
//! `lead` before a window begins, so that what is under way then has its outcome first.
//!
//! A clock that is not trusted closes nothing: a till whose clock is wrong would lose a channel for no reason, and one
//! that is really closed is noticed by the breaker. It is said to be unsure.

mod when;

pub use when::{Span, When};

use serde::{Deserialize, Serialize};

use crate::batch::Now;

/// Most windows that touch and are told as one: a year of days.
const MOST_JOINED: usize = 366;

/// A window of one channel. In records too: variants and fields are only ever added as they are there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Channel.
    pub channel: String,
    /// When.
    pub when: When,
    /// What it means for sales.
    pub kind: Kind,
    /// New sales stop so long before it, ms; None, or less than a sale of the channel may take: as long as that.
    pub lead_ms: Option<i64>,
    /// What it is, for people; may be empty.
    pub reason: String,
}

/// What a window means for sales.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The channel takes none.
    #[default]
    Down,
    /// It takes some, badly: others come first.
    Degraded,
}

/// How a channel stands between its windows.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No window says anything of now.
    Open,
    /// It works badly.
    Degraded {
        /// Until then, Unix ms.
        until_ms: i64,
    },
    /// A window comes: no new sales.
    Draining {
        /// Its beginning, Unix ms.
        from_ms: i64,
        /// Its end, Unix ms.
        until_ms: i64,
    },
    /// In a window.
    Closed {
        /// Its end, and that of all that touch it, Unix ms.
        until_ms: i64,
    },
    /// It has windows, and nobody knows what time it is.
    Unsure,
}

impl Standing {
    /// Lower-kebab code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Degraded { .. } => "degraded",
            Self::Draining { .. } => "draining",
            Self::Closed { .. } => "closed",
            Self::Unsure => "unsure",
        }
    }
}

/// How a channel stands, and what comes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Now.
    pub standing: Standing,
    /// The next window that has not begun, if there is one and the time is known.
    pub next: Option<(Span, Kind)>,
}

/// How a channel stands now. `least_lead_ms`: how long a sale that begins now may take to have its outcome.
pub fn outlook(windows: &[Window], channel: &str, now: Now, least_lead_ms: i64) -> Outlook {
    let mine = || windows.iter().filter(|w| w.channel == channel);
    if mine().next().is_none() {
        return Outlook { standing: Standing::Open, next: None };
    }
    if !now.trusted {
        return Outlook { standing: Standing::Unsure, next: None };
    }
    let (at, offset) = (now.wall_ms, now.utc_offset_min);
    let down = || mine().filter(|w| w.kind == Kind::Down);
    let next_after = |at: i64| {
        let spans = mine().filter_map(|w| {
            let span = w.when.after(at, offset)?;
            let joins = w.kind == Kind::Down;
            let until_ms = if joins { joined(&down(), span.until_ms, offset) } else { span.until_ms };
            Some((Span { until_ms, ..span }, w.kind))
        });
        spans.min_by_key(|(span, kind)| (span.from_ms, *kind != Kind::Down, span.until_ms))
    };
    let covers = |w: &Window| w.when.covering(at, offset).map(|span| span.until_ms);
    if let Some(until) = down().filter_map(covers).max() {
        let until_ms = joined(&down(), until, offset);
        // What touches this window is a part of it: the next one begins after its end.
        return Outlook { standing: Standing::Closed { until_ms }, next: next_after(until_ms) };
    }
    let next = next_after(at);
    let drains = down().filter_map(|w| {
        let span = w.when.after(at, offset)?;
        let lead = w.lead_ms.unwrap_or(0).max(least_lead_ms).max(0);
        (span.from_ms.saturating_sub(lead) <= at).then_some(span)
    });
    if let Some(span) = drains.min_by_key(|span| span.from_ms) {
        let until_ms = joined(&down(), span.until_ms, offset);
        return Outlook { standing: Standing::Draining { from_ms: span.from_ms, until_ms }, next };
    }
    let degraded = mine().filter(|w| w.kind == Kind::Degraded).filter_map(covers).max();
    let standing = degraded.map_or(Standing::Open, |until_ms| Standing::Degraded { until_ms });
    Outlook { standing, next }
}

/// The end of everything that overlaps or touches a window that ends then.
fn joined<'a>(windows: &(impl Iterator<Item = &'a Window> + Clone), until_ms: i64, offset: i32) -> i64 {
    let mut until = until_ms;
    for _ in 0..MOST_JOINED {
        let longer = windows.clone().filter_map(|w| w.when.covering(until, offset)).map(|s| s.until_ms).max();
        match longer {
            Some(later) if later > until => until = later,
            _ => break,
        }
    }
    until
}

/// A time as people at the place read it: `2026-12-01 14:30`.
pub fn local_text(wall_ms: i64, utc_offset_min: i32) -> String {
    let then = Now { wall_ms, trusted: true, utc_offset_min };
    format!("{} {:02}:{:02}", then.today(), then.minute() / 60, then.minute() % 60)
}
