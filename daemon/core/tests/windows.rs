//! Maintenance windows against a clock that looks at every minute (S9).

use proptest::prelude::*;
use till_core::batch::clock::Now;
use till_core::windows::{Kind, Outlook, Span, Standing, When, Window, local_text, outlook};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Monday 2026-11-23 00:00 at UTC+8.
const MONDAY: i64 = 1_795_363_200_000;

fn window(when: When, lead_ms: Option<i64>) -> Window {
    Window { channel: "w".into(), when, kind: Kind::Down, lead_ms, reason: String::new() }
}

fn at(wall_ms: i64) -> Now {
    Now { wall_ms, trusted: true, utc_offset_min: 480 }
}

fn once(from: i64, until: i64) -> When {
    When::Once(Span { from_ms: from, until_ms: until })
}

fn look(windows: &[Window], wall_ms: i64) -> Outlook {
    outlook(windows, "w", at(wall_ms), 0)
}

#[test]
fn s9_new_sales_stop_ahead_of_a_window_of_any_length_and_come_back_after_it() {
    // Three days long.
    let all = [window(once(MONDAY, MONDAY + 3 * DAY), Some(10 * MINUTE))];
    assert_eq!(local_text(MONDAY, 480), "2026-11-23 00:00");
    let (from_ms, until_ms) = (MONDAY, MONDAY + 3 * DAY);
    assert_eq!(look(&all, MONDAY - 10 * MINUTE - 1).standing, Standing::Open);
    assert_eq!(look(&all, MONDAY - 10 * MINUTE).standing, Standing::Draining { from_ms, until_ms });
    assert_eq!(look(&all, MONDAY - 1).standing, Standing::Draining { from_ms, until_ms });
    assert_eq!(look(&all, MONDAY).standing, Standing::Closed { until_ms });
    assert_eq!(look(&all, until_ms - 1).standing, Standing::Closed { until_ms });
    assert_eq!(look(&all, until_ms), Outlook { standing: Standing::Open, next: None });
    // A sale takes longer than the lead that was configured: it counts.
    let long = outlook(&all, "w", at(MONDAY - HOUR), HOUR).standing;
    assert_eq!(long, Standing::Draining { from_ms, until_ms });
    // Status shows it a month ahead; another channel has none.
    let ahead = look(&all, MONDAY - 30 * DAY);
    assert_eq!(ahead.next, Some((Span { from_ms, until_ms }, Kind::Down)));
    let none = Outlook { standing: Standing::Open, next: None };
    assert_eq!(outlook(&all, "other", at(MONDAY), 0), none);
}

#[test]
fn windows_that_overlap_or_touch_are_one_and_their_end_is_the_last_ones() {
    let all = [
        window(once(MONDAY, MONDAY + HOUR), None),
        window(once(MONDAY + 30 * MINUTE, MONDAY + 2 * HOUR), None),
        window(once(MONDAY + 2 * HOUR, MONDAY + 3 * HOUR), None),
        window(once(MONDAY + 5 * HOUR, MONDAY + 6 * HOUR), None),
    ];
    let end = MONDAY + 3 * HOUR;
    let later = Some((Span { from_ms: MONDAY + 5 * HOUR, until_ms: MONDAY + 6 * HOUR }, Kind::Down));
    let expected = Outlook { standing: Standing::Closed { until_ms: end }, next: later };
    assert_eq!(look(&all, MONDAY), expected);
    assert_eq!(look(&all, MONDAY + 150 * MINUTE), expected);
    let first = Some((Span { from_ms: MONDAY, until_ms: end }, Kind::Down));
    assert_eq!(look(&all, MONDAY - DAY).next, first, "announced as one");
    // Nights and days that follow each other for ever end at some time all the same.
    let day = |at_min| window(When::Daily { at_min, length_min: 720 }, None);
    let Standing::Closed { until_ms } = look(&[day(0), day(720)], MONDAY).standing else { panic!() };
    assert!(until_ms > MONDAY + 180 * DAY);
}

#[test]
fn recurring_windows_follow_the_places_clock() {
    let night = [window(When::Daily { at_min: 23 * 60 + 30, length_min: 60 }, Some(0))];
    assert_eq!(
        look(&night, MONDAY + 10 * MINUTE).standing,
        Standing::Closed { until_ms: MONDAY + 30 * MINUTE }
    );
    assert_eq!(look(&night, MONDAY + 30 * MINUTE).standing, Standing::Open);
    let next = Span { from_ms: MONDAY + 23 * HOUR + 30 * MINUTE, until_ms: MONDAY + DAY + 30 * MINUTE };
    assert_eq!(look(&night, MONDAY + HOUR).next, Some((next, Kind::Down)));
    // Sunday 22:00 for ten hours.
    let week = [window(When::Weekly { day: 6, at_min: 22 * 60, length_min: 600 }, Some(0))];
    assert_eq!(look(&week, MONDAY).standing, Standing::Closed { until_ms: MONDAY + 8 * HOUR });
    assert_eq!(look(&week, MONDAY + 8 * HOUR).standing, Standing::Open);
    assert_eq!(look(&week, MONDAY + 6 * DAY + 22 * HOUR - 1).standing, Standing::Open);
    assert!(matches!(look(&week, MONDAY + 6 * DAY + 22 * HOUR).standing, Standing::Closed { .. }));
}

#[test]
fn a_channel_that_works_badly_is_not_closed_and_a_clock_that_is_not_trusted_closes_nothing() {
    let mut all = [window(once(MONDAY, MONDAY + HOUR), None)];
    all[0].kind = Kind::Degraded;
    assert_eq!(look(&all, MONDAY).standing, Standing::Degraded { until_ms: MONDAY + HOUR });
    assert_eq!(look(&all, MONDAY - 1).standing, Standing::Open, "nothing drains for it");
    all[0].kind = Kind::Down;
    let unsure = Now { trusted: false, ..at(MONDAY) };
    let expected = Outlook { standing: Standing::Unsure, next: None };
    assert_eq!(outlook(&all, "w", unsure, 0), expected);
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        (0_i64..14 * 1_440, 1_i64..4_000)
            .prop_map(|(from, length)| once(MONDAY + from * MINUTE, MONDAY + (from + length) * MINUTE)),
        (0_u16..1_440, 1_u32..1_440).prop_map(|(at_min, length_min)| When::Daily { at_min, length_min }),
        (0_u8..7, 0_u16..1_440, 1_u32..10_000).prop_map(|(day, at_min, length_min)| When::Weekly {
            day,
            at_min,
            length_min
        }),
    ]
}

/// Whether a window covers a minute, by trying every beginning that it may have had.
fn covers(when: When, minute: i64) -> bool {
    match when {
        When::Once(span) => (span.from_ms..span.until_ms).contains(&(MONDAY + minute * MINUTE)),
        When::Daily { at_min, length_min } => {
            (-2..20).any(|day| begins(minute, day * 1_440 + i64::from(at_min), length_min))
        }
        When::Weekly { day, at_min, length_min } => (-2..4)
            .any(|week| begins(minute, (week * 7 + i64::from(day)) * 1_440 + i64::from(at_min), length_min)),
    }
}

fn begins(minute: i64, from: i64, length_min: u32) -> bool {
    (from..from + i64::from(length_min)).contains(&minute)
}

proptest! {
    #[test]
    fn windows_agree_with_a_clock_that_tries_every_minute(
        whens in prop::collection::vec(when(), 1..5), minute in 0_i64..10_080, lead in 0_i64..300,
    ) {
        let all: Vec<Window> = whens.iter().map(|w| window(*w, Some(lead * MINUTE))).collect();
        let closed = |minute: i64| whens.iter().any(|w| covers(*w, minute));
        let standing = look(&all, MONDAY + minute * MINUTE).standing;
        // The last minute of the run that the minute is in, as far as two weeks are looked at.
        let end = |from: i64| (from..20_160).find(|m| !closed(*m));
        if closed(minute) {
            let Standing::Closed { until_ms } = standing else { panic!("{standing:?} at {minute}") };
            if let Some(end) = end(minute) {
                prop_assert_eq!(until_ms, MONDAY + end * MINUTE);
            }
        } else if let Some(from) = (minute..=minute + lead).find(|m| closed(*m)) {
            let Standing::Draining { from_ms, until_ms } = standing else { panic!("{standing:?} at {minute}") };
            prop_assert_eq!(from_ms, MONDAY + from * MINUTE);
            if let Some(end) = end(from) {
                prop_assert_eq!(until_ms, MONDAY + end * MINUTE);
            }
        } else {
            prop_assert_eq!(standing, Standing::Open);
        }
    }

    #[test]
    fn wild_clocks_and_offsets_are_survived(whens in prop::collection::vec(when(), 1..4), wall in any::<i64>(), off in -1_440_i32..1_440) {
        let all: Vec<Window> = whens.into_iter().map(|w| window(w, Some(i64::MAX))).collect();
        let now = Now { wall_ms: wall, trusted: true, utc_offset_min: off };
        let _survived = outlook(&all, "w", now, i64::MAX);
    }
}
