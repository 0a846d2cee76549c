//! Times to figures.

use std::time::Duration;

/// The middle and the tail of many times, microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Half were at most this.
    pub p50: f64,
    /// 99 of 100 were at most this.
    pub p99: f64,
}

impl Spread {
    /// Of at least one time; zeros of none.
    #[must_use]
    pub fn of(times: &[Duration]) -> Self {
        let mut micros: Vec<f64> = times.iter().map(|t| t.as_secs_f64() * 1e6).collect();
        micros.sort_unstable_by(f64::total_cmp);
        // Nearest rank: the smallest time that so many of a hundred do not exceed.
        let rank = |percent: usize| {
            let index = (micros.len() * percent).div_ceil(100).saturating_sub(1);
            micros.get(index).copied().unwrap_or_default()
        };
        Self { p50: rank(50), p99: rank(99) }
    }
}

/// The middle value; zero of none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// The median of the rounds' own ratios: rounds differ more than what is compared in them.
#[must_use]
pub fn median_ratio(values: &[f64], to: &[f64]) -> f64 {
    let ratios: Vec<f64> = values.iter().zip(to).map(|(a, b)| a / b).collect();
    median(&ratios)
}

/// `850 µs`, `1.20 ms`, `1.50 s`.
#[must_use]
pub fn time(micros: f64) -> String {
    match micros {
        m if m < 100.0 => format!("{m:.1} µs"),
        m if m < 1_000.0 => format!("{m:.0} µs"),
        m if m < 1e6 => format!("{:.2} ms", m / 1e3),
        m => format!("{:.2} s", m / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times: Vec<Duration> = (1..=200).rev().map(Duration::from_micros).collect();
        assert_eq!(Spread::of(&times), Spread { p50: 100.0, p99: 198.0 });
        assert_eq!(Spread::of(&times[..1]), Spread { p50: 200.0, p99: 200.0 });
        assert_eq!(Spread::of(&[]), Spread { p50: 0.0, p99: 0.0 });
    }

    #[test]
    fn a_slow_round_does_not_move_the_ratio() {
        let ratio = median_ratio(&[20.0, 11.0, 900.0], &[10.0, 10.0, 900.0]);
        assert!((ratio - 1.1).abs() < 1e-9, "{ratio}");
    }
}
