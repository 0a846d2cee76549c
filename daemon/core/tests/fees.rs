//! Fees against an oracle that shares nothing with them: exact fractions, and rounding by search instead of division (S12,
//! I14).

use proptest::prelude::*;
use till_core::fees::{FeePlan, FeePlanError, Rounding, Tier};
use till_plugin::{Currency, Money};

/// An exact fraction; the denominator is above zero.
#[derive(Copy, Clone)]
struct Fraction(i128, i128);

impl Fraction {
    fn plus(self, other: Self) -> Self {
        Self(self.0 * other.1 + other.0 * self.1, self.1 * other.1)
    }

    fn times(self, other: Self) -> Self {
        Self(self.0 * other.0, self.1 * other.1)
    }

    fn less(self, other: Self) -> bool {
        self.0 * other.1 < other.0 * self.1
    }

    fn equal(self, other: Self) -> bool {
        self.0 * other.1 == other.0 * self.1
    }

    /// The largest whole number that is not above it, found by bisection.
    fn floor(self) -> i128 {
        let (mut low, mut high) = (0_i128, 1_i128);
        while !self.less(Self(high, 1)) {
            high += high;
        }
        while high - low > 1 {
            let middle = i128::midpoint(low, high);
            if self.less(Self(middle, 1)) { high = middle } else { low = middle }
        }
        low
    }

    fn rounded(self, how: Rounding) -> i128 {
        let below = self.floor();
        if self.equal(Self(below, 1)) {
            return below;
        }
        let half = Self(2 * below + 1, 2);
        let up = match how {
            Rounding::Up => true,
            Rounding::Down => false,
            Rounding::HalfUp => !self.less(half),
            Rounding::HalfEven => !(self.less(half) || self.equal(half) && below % 2 == 0),
        };
        if up { below + 1 } else { below }
    }
}

/// The fee as a contract puts it: the terms of the tier, the rate of the amount and the fixed part as one exact sum, rounded
/// once, held between least and most, and never more than was taken.
fn oracle(plan: &FeePlan, amount: i64) -> i128 {
    let amount = i128::from(amount);
    let (mut rate, mut fixed) = (plan.rate_ppm, plan.fixed);
    for tier in &plan.tiers {
        if amount >= i128::from(tier.from) {
            (rate, fixed) = (tier.rate_ppm, tier.fixed);
        }
    }
    let exact =
        Fraction(amount, 1).times(Fraction(i128::from(rate), 1_000_000)).plus(Fraction(i128::from(fixed), 1));
    let mut fee = exact.rounded(plan.rounding);
    if fee < i128::from(plan.min) {
        fee = i128::from(plan.min);
    }
    if let Some(max) = plan.max
        && fee > i128::from(max)
    {
        fee = i128::from(max);
    }
    if fee > amount { amount } else { fee }
}

fn fen(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

fn rounding() -> impl Strategy<Value = Rounding> {
    prop_oneof![Just(Rounding::HalfUp), Just(Rounding::HalfEven), Just(Rounding::Up), Just(Rounding::Down)]
}

/// Rates that come to halves often, and any.
fn rate() -> impl Strategy<Value = u32> {
    prop_oneof![
        Just(0),
        Just(3_800),
        Just(5_000),
        Just(6_000),
        Just(500_000),
        Just(1_000_000),
        0_u32..=1_000_000
    ]
}

fn plan() -> impl Strategy<Value = FeePlan> {
    let tiers = prop::collection::btree_map(1_u64..2_000_000, (rate(), 0_u32..5_000), 0..5);
    (rate(), 0_u32..5_000, 0_u32..2_000, prop::option::of(0_u32..100_000), tiers, rounding()).prop_map(
        |(rate_ppm, fixed, min, more, tiers, rounding)| FeePlan {
            rate_ppm,
            fixed,
            min,
            max: more.map(|more| min + more),
            tiers: tiers
                .into_iter()
                .map(|(from, (rate_ppm, fixed))| Tier { from, rate_ppm, fixed })
                .collect(),
            rounding,
        },
    )
}

/// Numbers without pattern (SplitMix64, public domain, S. Vigna): a hundred thousand plans in a moment, the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let top = u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(0);
        u32::try_from((u64::from(top) * u64::from(bound)) >> 32).unwrap_or(0)
    }

    /// Rates that come to halves often, and any.
    fn rate(&mut self) -> u32 {
        match self.below(8) {
            0 => 3_800,
            1 => 5_000,
            2 => 6_000,
            3 => 500_000,
            _ => self.below(1_000_001),
        }
    }

    fn plan(&mut self) -> FeePlan {
        let rounding = [Rounding::HalfUp, Rounding::HalfEven, Rounding::Up, Rounding::Down];
        let mut from = 0;
        let tiers = (0..self.below(5)).map(|_| {
            from += 1 + u64::from(self.below(800_000));
            Tier { from, rate_ppm: self.rate(), fixed: self.below(5_000) }
        });
        let tiers = tiers.collect();
        let min = self.below(2_000);
        FeePlan {
            rate_ppm: self.rate(),
            fixed: self.below(5_000),
            min,
            max: (self.below(2) == 0).then(|| min + self.below(100_000)),
            tiers,
            rounding: rounding[self.below(4) as usize],
        }
    }

    fn amount(&mut self) -> i64 {
        match self.below(8) {
            0 => i64::from(self.below(1_000_000)) * i64::from(self.below(1_000_000)),
            1 => i64::MAX - i64::from(self.below(9)),
            _ => i64::from(self.below(3_000_000)),
        }
    }
}

#[test]
fn s12_fees_are_those_of_exact_fractions_on_a_hundred_thousand_plans() {
    let mut numbers = Numbers(12);
    for n in 0..100_000 {
        let (plan, amount) = (numbers.plan(), numbers.amount());
        assert_eq!(plan.check(), Ok(()));
        let fee = plan.of(fen(amount)).minor();
        assert_eq!(i128::from(fee), oracle(&plan, amount), "{n}: {plan:?} of {amount}");
    }
}

#[test]
fn contracts_as_they_are_written() {
    let bank = FeePlan { rate_ppm: 5_000, max: Some(2_000), ..FeePlan::default() };
    assert_eq!(bank.of(fen(10_000)).minor(), 50);
    assert_eq!(bank.of(fen(400_000)).minor(), 2_000, "the cap of 20 yuan is reached at 4,000 yuan");
    assert_eq!(bank.of(fen(400_001)).minor(), 2_000);
    // 0.5 % of 1 and 3 yuan, 0.5 and 1.5 fen, by the four ways to round.
    for (rounding, half, one_and_a_half) in
        [(Rounding::HalfUp, 1, 2), (Rounding::HalfEven, 0, 2), (Rounding::Up, 1, 2), (Rounding::Down, 0, 1)]
    {
        let plan = FeePlan { rate_ppm: 5_000, rounding, ..FeePlan::default() };
        assert_eq!(plan.of(fen(100)).minor(), half, "{rounding:?}");
        assert_eq!(plan.of(fen(300)).minor(), one_and_a_half, "{rounding:?}");
    }
    // QuickPass: small amounts are cheaper; the whole amount has the terms of its tier, from its first fen.
    let quick = FeePlan {
        rate_ppm: 3_800,
        tiers: vec![Tier { from: 100_001, rate_ppm: 6_000, fixed: 0 }],
        max: Some(8_000),
        ..FeePlan::default()
    };
    assert_eq!((quick.of(fen(100_000)).minor(), quick.of(fen(100_001)).minor()), (380, 600));
    // Nobody pays in to sell.
    let least = FeePlan { min: 10, fixed: 5, ..FeePlan::default() };
    assert_eq!((least.of(fen(3)).minor(), least.of(fen(0)).minor(), least.of(fen(-7)).minor()), (3, 0, 0));
}

#[test]
fn plans_that_nobody_meant_are_refused() {
    let tier = |from| Tier { from, rate_ppm: 1, fixed: 0 };
    let plan = FeePlan::default();
    for (wrong, why) in [
        (FeePlan { rate_ppm: 1_000_001, ..plan.clone() }, FeePlanError::Rate(1_000_001)),
        (
            FeePlan { tiers: vec![Tier { rate_ppm: 2_000_000, ..tier(1) }], ..plan.clone() },
            FeePlanError::Rate(2_000_000),
        ),
        (FeePlan { min: 2, max: Some(1), ..plan.clone() }, FeePlanError::Max { max: 1, min: 2 }),
        (FeePlan { tiers: vec![tier(5), tier(5)], ..plan.clone() }, FeePlanError::Order(5)),
        (FeePlan { tiers: vec![tier(0)], ..plan.clone() }, FeePlanError::Order(0)),
        (FeePlan { tiers: (1..=17).map(tier).collect(), ..plan.clone() }, FeePlanError::Tiers(17)),
    ] {
        assert_eq!(wrong.check(), Err(why));
    }
}

proptest! {
    #[test]
    fn i14_within_a_tier_fees_grow_with_the_amount_and_stay_between_least_and_most(
        plan in plan(), amount in 1_i64..3_000_000, plus in 0_i64..100_000,
    ) {
        let fee = plan.of(fen(amount)).minor();
        prop_assert!(fee <= amount && fee >= i64::from(plan.min).min(amount));
        prop_assert!(plan.max.is_none_or(|max| fee <= i64::from(max)));
        let tier = |amount: i64| plan.tiers.iter().filter(|t| i128::from(t.from) <= i128::from(amount)).count();
        if tier(amount) == tier(amount + plus) {
            prop_assert!(plan.of(fen(amount + plus)).minor() >= fee);
        }
    }
}
