//! Patterns: what is on for how long. Every pattern ends in something that may stay for ever, and the beeper never does.

use till_plugin::driver::Signal;

/// Milliseconds of the boot clock.
pub type Millis = u64;

/// Lamps and beeper, in the order of the lines.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// The customer may pay.
    pub ready: bool,
    /// Went well.
    pub good: bool,
    /// Went wrong.
    pub bad: bool,
    /// Beeper.
    pub beep: bool,
}

impl Levels {
    /// All off.
    pub const OFF: Self = Self { ready: false, good: false, bad: false, beep: false };

    /// By line.
    pub const fn all(self) -> [bool; 4] {
        [self.ready, self.good, self.bad, self.beep]
    }
}

const READY: Levels = Levels { ready: true, ..Levels::OFF };
const GOOD: Levels = Levels { good: true, ..Levels::OFF };
const BAD: Levels = Levels { bad: true, ..Levels::OFF };
const GOOD_BEEP: Levels = Levels { good: true, beep: true, ..Levels::OFF };
const BAD_BEEP: Levels = Levels { bad: true, beep: true, ..Levels::OFF };

/// A pattern.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    steps: &'static [(Levels, u64)],
    /// How often the steps are gone through.
    times: u64,
    /// What stays after them.
    rest: Levels,
}

/// Longest that any pattern moves, ms.
pub const LONGEST_MS: u64 = 60_000;

/// The pattern of a signal; a later daemon's signals show nothing.
pub const fn of(signal: Signal) -> Pattern {
    match signal {
        Signal::Ready => Pattern { steps: &[], times: 0, rest: READY },
        // Long enough for any exchange with a network; after it the lamp stays off rather than blink for ever.
        Signal::Busy => Pattern { steps: &[(READY, 250), (Levels::OFF, 250)], times: 120, rest: Levels::OFF },
        Signal::Success => Pattern { steps: &[(GOOD_BEEP, 150), (GOOD, 2_850)], times: 1, rest: Levels::OFF },
        Signal::Failure => Pattern {
            steps: &[(BAD_BEEP, 120), (BAD, 120), (BAD_BEEP, 120), (BAD, 120), (BAD_BEEP, 120), (BAD, 2_400)],
            times: 1,
            rest: Levels::OFF,
        },
        // Ten seconds of sound; the lamp stays until something else is shown.
        Signal::Alarm => Pattern { steps: &[(BAD_BEEP, 500), (Levels::OFF, 500)], times: 10, rest: BAD },
        _ => Pattern { steps: &[], times: 0, rest: Levels::OFF },
    }
}

impl Pattern {
    /// How long it moves, ms.
    pub fn length(&self) -> u64 {
        self.steps.iter().map(|s| s.1).sum::<u64>() * self.times
    }

    /// What is on so long after its begin, and when that changes.
    pub fn at(&self, elapsed: Millis) -> (Levels, Option<Millis>) {
        let length = self.length();
        if elapsed >= length {
            return (self.rest, None);
        }
        let round = length / self.times.max(1);
        let begun = elapsed / round * round;
        let mut end = begun;
        for (levels, ms) in self.steps {
            end += ms;
            if elapsed < end {
                return (*levels, Some(end));
            }
        }
        (self.rest, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Signal; 6] =
        [Signal::Ready, Signal::Busy, Signal::Success, Signal::Failure, Signal::Off, Signal::Alarm];

    #[test]
    fn no_pattern_moves_for_ever_and_no_beep_stays() {
        for signal in ALL {
            let pattern = of(signal);
            assert!(pattern.length() <= LONGEST_MS && !pattern.rest.beep, "{signal:?}");
        }
    }

    #[test]
    fn success_beeps_once_and_failure_three_times() {
        let beeps = |signal| {
            let pattern = of(signal);
            let on: Vec<bool> = (0..=pattern.length()).map(|ms| pattern.at(ms).0.beep).collect();
            on.windows(2).filter(|w| w[1] && !w[0]).count() + usize::from(on[0])
        };
        assert_eq!((beeps(Signal::Success), beeps(Signal::Failure), beeps(Signal::Alarm)), (1, 3, 10));
        assert_eq!((of(Signal::Ready).at(9).0, of(Signal::Off).at(9).0), (READY, Levels::OFF));
    }

    proptest! {
        #[test]
        fn nothing_changes_before_the_next_change(pick in 0..6_usize, elapsed in 0..70_000_u64) {
            let pattern = of(ALL[pick]);
            let (levels, next) = pattern.at(elapsed);
            if let Some(next) = next {
                prop_assert!(next > elapsed);
                prop_assert_eq!(pattern.at(next - 1).0, levels);
            }
        }
    }
}
