//! Pulses and the switch, with time as a number.

use proptest::prelude::*;
use till_driver_drawer::core::{APART_MS, Core, DEBOUNCE_MS, Event, Refused, STUCK_MS};

#[test]
fn a_storm_of_requests_gives_one_pulse_a_second() {
    let mut core = Core::new(0, 150, 0);
    let mut begun = Vec::new();
    for now in (2_000..12_000).step_by(3) {
        if core.ask(now) == Ok(0) {
            assert_eq!(core.begin(now), 150);
            begun.push(now);
        }
    }
    assert_eq!(begun.len(), 10);
    assert!(begun.windows(2).all(|w| w[1] - w[0] >= APART_MS));
}

#[test]
fn right_after_a_start_a_pulse_waits_and_is_not_lost() {
    let mut core = Core::new(5_000, 150, 0);
    assert_eq!(core.ask(5_200), Ok(800));
    core.begin(6_000);
    assert_eq!(core.ask(6_200), Err(Refused::TooSoon(200)));
}

#[test]
fn no_setting_makes_a_pulse_that_burns_the_solenoid() {
    assert_eq!(Core::new(0, 60_000, 0).begin(9_000), 500);
    assert_eq!(Core::new(0, 1, 0).begin(9_000), 50);
}

#[test]
fn a_bouncing_switch_is_one_opening() {
    let mut core = Core::new(0, 150, 0);
    for now in (0..100).step_by(5) {
        assert_eq!(core.switch(now, false), None, "closed at the start is no news");
    }
    let mut events = Vec::new();
    for (n, now) in (100..400).step_by(3).enumerate() {
        let level = now > 200 || n % 2 == 0;
        events.extend(core.switch(now, level));
    }
    assert_eq!(events, [Event::Moved(true)]);
}

#[test]
fn open_for_too_long_is_told_once_each_time() {
    let mut core = Core::new(0, 150, 10_000);
    let mut events = Vec::new();
    for now in (0..60_000).step_by(10) {
        let open = (1_000..20_000).contains(&now) || (30_000..45_000).contains(&now);
        events.extend(core.switch(now, open).map(|e| (now, e)));
        events.extend(core.tick(now).map(|e| (now, e)));
    }
    let told: Vec<u64> = events.iter().filter(|(_, e)| *e == Event::TooLong).map(|(now, _)| *now).collect();
    assert_eq!(told, [11_000 + DEBOUNCE_MS, 40_000 + DEBOUNCE_MS]);
    assert_eq!(events.len(), 6, "{events:?}");
}

#[test]
fn a_drawer_that_does_not_open_is_stuck_and_says_so() {
    let mut core = Core::new(0, 150, 0);
    for now in (0..100).step_by(10) {
        core.switch(now, false);
    }
    core.begin(2_000);
    assert_eq!(core.tick(2_000 + STUCK_MS - 1), None);
    assert_eq!(core.tick(2_000 + STUCK_MS), Some(Event::Stuck));
    assert_eq!(core.tick(9_000), None, "once");
    // Without a switch nobody can say so.
    let mut blind = Core::new(0, 150, 0);
    blind.begin(2_000);
    assert_eq!(blind.tick(60_000), None);
}

proptest! {
    #[test]
    fn however_it_is_asked_pulses_are_a_second_apart_and_bounded(steps in prop::collection::vec((0..700_u64, any::<bool>()), 1..200),
                                                                 pulse in any::<u64>()) {
        let mut core = Core::new(0, pulse, 5_000);
        let (mut now, mut last) = (0, None);
        for (step, open) in steps {
            now += step;
            core.switch(now, open);
            core.tick(now);
            if let Ok(wait) = core.ask(now) {
                prop_assert!(wait <= APART_MS);
                now += wait;
                let length = core.begin(now);
                prop_assert!((50..=500).contains(&length));
                prop_assert!(last.is_none_or(|l| now - l >= APART_MS));
                last = Some(now);
            }
            prop_assert!((1..=100).contains(&core.pace(now)));
        }
    }
}
