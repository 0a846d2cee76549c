//! Profiles (pos.md S13): which channels are offered, and how they are preferred, at which times.
//!
//! A function of the profiles, the wall clock and whether it is trusted, as maintenance is ([`crate::windows`]), with the
//! same notion of times ([`When`]). The first profile of the list whose time it is is the one in force: two are never
//! mixed. A clock that is not trusted puts none in force: then what is configured outside profiles holds.
//!
//! A sale goes by the profile of the moment it was opened: a customer who was offered a way to pay can take it.

use std::collections::BTreeMap;

use crate::batch::Now;
use crate::windows::When;

/// A sale that is older, or younger, goes by the profile of now, ms.
const ONE_SALE_MS: i64 = 86_400_000;
/// Boundaries that are looked at for the next change: more than any list of profiles has in a year of days.
const MOST_STEPS: usize = 1_024;

/// One profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Name, for people and records.
    pub id: String,
    /// Not before this, Unix ms.
    pub from_ms: Option<i64>,
    /// Not from this on, Unix ms.
    pub until_ms: Option<i64>,
    /// At one of these times; empty: always between the two.
    pub when: Vec<When>,
    /// Channels that are offered though they are not otherwise.
    pub on: Vec<String>,
    /// Channels that are not offered.
    pub off: Vec<String>,
    /// Priorities in place of the configured ones.
    pub priority: BTreeMap<String, u32>,
}

impl Profile {
    /// Whether it is its time.
    pub fn covers(&self, at_ms: i64, utc_offset_min: i32) -> bool {
        self.from_ms.is_none_or(|from| from <= at_ms)
            && self.until_ms.is_none_or(|until| at_ms < until)
            && (self.when.is_empty() || self.when.iter().any(|w| w.covering(at_ms, utc_offset_min).is_some()))
    }

    /// The first moment after a time at which it may begin or end.
    fn boundary(&self, at_ms: i64, utc_offset_min: i32) -> Option<i64> {
        let ends = self.when.iter().filter_map(|w| w.covering(at_ms, utc_offset_min)).map(|s| s.until_ms);
        let begins = self.when.iter().filter_map(|w| w.after(at_ms, utc_offset_min)).map(|s| s.from_ms);
        let bounds = self.from_ms.into_iter().chain(self.until_ms);
        ends.chain(begins).chain(bounds).filter(|t| *t > at_ms).min()
    }
}

/// The profile in force at a time; None: none is.
pub fn in_force(profiles: &[Profile], at_ms: i64, utc_offset_min: i32) -> Option<&Profile> {
    profiles.iter().find(|p| p.covers(at_ms, utc_offset_min))
}

/// The profile that a sale goes by. `since_ms`: when it was opened.
pub fn of_sale(profiles: &[Profile], now: Now, since_ms: Option<i64>) -> Option<&Profile> {
    if !now.trusted {
        return None;
    }
    let near = |since: &i64| now.wall_ms.saturating_sub(*since).unsigned_abs() <= ONE_SALE_MS.unsigned_abs();
    let at_ms = since_ms.filter(near).unwrap_or(now.wall_ms);
    in_force(profiles, at_ms, now.utc_offset_min)
}

/// What is in force, and what comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// The profile in force; empty: none.
    pub id: String,
    /// The next change, Unix ms, and the profile then (empty: none); None: there is none, or nobody knows the time.
    pub next: Option<(i64, String)>,
}

/// What is in force now, and what comes.
pub fn outlook(profiles: &[Profile], now: Now) -> Outlook {
    if !now.trusted {
        return Outlook::default();
    }
    let offset = now.utc_offset_min;
    let id = |at: i64| in_force(profiles, at, offset).map(|p| p.id.clone()).unwrap_or_default();
    let first = id(now.wall_ms);
    let mut at = now.wall_ms;
    for _ in 0..MOST_STEPS {
        let Some(next) = profiles.iter().filter_map(|p| p.boundary(at, offset)).min() else { break };
        let then = id(next);
        if then != first {
            return Outlook { id: first, next: Some((next, then)) };
        }
        at = next;
    }
    Outlook { id: first, next: None }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::windows::Span;
    use proptest::prelude::*;

    const HOUR: i64 = 3_600_000;
    /// Monday 2026-09-28, 00:00 at UTC+8.
    const MONDAY: i64 = 1_790_524_800_000;

    fn now(wall_ms: i64) -> Now {
        Now { wall_ms, trusted: true, utc_offset_min: 480 }
    }

    fn profile(id: &str, when: Vec<When>) -> Profile {
        Profile { id: id.into(), when, ..Profile::default() }
    }

    fn daily(at_h: u16, hours: u32) -> When {
        When::Daily { at_min: at_h * 60, length_min: hours * 60 }
    }

    #[test]
    fn the_first_one_whose_time_it_is_is_the_one() {
        let lunch = profile("lunch", vec![daily(11, 3)]);
        let long =
            profile("festival", vec![When::Once(Span { from_ms: MONDAY, until_ms: MONDAY + 48 * HOUR })]);
        let all = [lunch, long];
        let at = |h: i64| outlook(&all, now(MONDAY + h * HOUR));
        let to = |h: i64, id: &str| Some((MONDAY + h * HOUR, id.to_owned()));
        assert_eq!(at(10), Outlook { id: "festival".into(), next: to(11, "lunch") });
        assert_eq!(at(11), Outlook { id: "lunch".into(), next: to(14, "festival") });
        assert_eq!(at(40), Outlook { id: "festival".into(), next: to(48, "") });
        assert_eq!(at(48), Outlook { id: String::new(), next: to(59, "lunch") });
        assert_eq!(at(-1), Outlook { id: String::new(), next: to(0, "festival") });
        assert_eq!(outlook(&all, Now { trusted: false, ..now(MONDAY + HOUR) }), Outlook::default());
    }

    #[test]
    fn dates_bound_what_comes_again() {
        let p = Profile {
            from_ms: Some(MONDAY + 24 * HOUR),
            until_ms: Some(MONDAY + 36 * HOUR),
            ..profile("evening", vec![daily(18, 12)])
        };
        let covers = |h: i64| p.covers(MONDAY + h * HOUR, 480);
        // The evening of Monday runs into Tuesday, and its dates begin there.
        assert!(
            !covers(20)
                && !covers(23)
                && covers(24)
                && covers(29)
                && !covers(30)
                && !covers(36)
                && !covers(43)
        );
    }

    #[test]
    fn a_sale_goes_by_the_moment_it_was_opened() {
        let all = [profile("lunch", vec![daily(11, 3)])];
        let id = |now_h: i64, since_h: Option<i64>| {
            let since = since_h.map(|h| MONDAY + h * HOUR);
            of_sale(&all, now(MONDAY + now_h * HOUR), since).map(|p| p.id.as_str())
        };
        assert_eq!((id(14, None), id(14, Some(13)), id(12, Some(10))), (None, Some("lunch"), None));
        // Opened when the clock said something else altogether, or days ago: now counts.
        assert_eq!((id(12, Some(-300_000)), id(60, Some(10))), (Some("lunch"), Some("lunch")));
        let unsure = Now { trusted: false, ..now(MONDAY + 12 * HOUR) };
        assert_eq!(of_sale(&all, unsure, None), None);
    }

    fn some() -> impl Strategy<Value = Vec<Profile>> {
        let when = prop_oneof![
            (0_u16..24, 1_u32..24).prop_map(|(at, hours)| daily(at, hours.min(23))),
            (0_u8..7, 0_u16..24, 1_u32..100).prop_map(|(day, at, hours)| When::Weekly {
                day,
                at_min: at * 60,
                length_min: hours * 60
            }),
            (-50_i64..50, 1_i64..100).prop_map(|(from, hours)| {
                let from_ms = MONDAY + from * HOUR;
                When::Once(Span { from_ms, until_ms: from_ms + hours * HOUR })
            }),
        ];
        let bound = || prop::option::of((-50_i64..100).prop_map(|h| MONDAY + h * HOUR));
        let one = (prop::collection::vec(when, 0..3), bound(), bound());
        prop::collection::vec(one, 1..5).prop_map(|all| {
            let named = all.into_iter().enumerate();
            named
                .map(|(n, (when, from_ms, until_ms))| Profile {
                    from_ms,
                    until_ms,
                    ..profile(&format!("p{n}"), when)
                })
                .collect()
        })
    }

    proptest! {
        /// Nothing changes before the next change that is told, and there it does: looked at hour by hour.
        #[test]
        fn the_next_change_is_the_next_change(all in some(), at in -40_i64..90) {
            let begin = MONDAY + at * HOUR;
            let told = outlook(&all, now(begin));
            let id = |t: i64| in_force(&all, t, 480).map(|p| p.id.clone()).unwrap_or_default();
            prop_assert_eq!(&told.id, &id(begin));
            let change = (1..400).map(|h| begin + h * HOUR).find(|t| id(*t) != told.id);
            match (told.next, change) {
                (Some((t, then)), Some(seen)) => prop_assert_eq!((t, then), (seen, id(seen))),
                (None, Some(seen)) => prop_assert!(false, "a change at {} is not told", seen),
                (Some((t, _)), None) => prop_assert!(t > begin + 398 * HOUR, "{} is no change", t),
                (None, None) => {}
            }
        }
    }
}
