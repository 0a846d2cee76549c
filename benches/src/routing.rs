//! The choice of a channel: fifty routes, five hundred rules, twenty windows, in a till with and without a history.

use std::hint::black_box;
use std::time::Instant;

use allocation_counter::measure;
use till_core::batch::{Rules, SettleRule};
use till_core::fees::FeePlan;
use till_core::routing::{Action, Ask, Conditions, LegTerms, Policy, RouteHealth, RouteView, Rule, ask};
use till_core::windows::{Kind, When, Window};
use till_core::{Context, LegKind, Till};
use till_plugin::channel::{Operation, ResolveProfile};
use till_plugin::{Currency, Family, Money};

use crate::figures::{Spread, time};
use crate::table::Row;
use crate::{Effort, Outcome};

/// Longest that a choice may take, p99, microseconds.
const AIM: f64 = 50.0;

/// A route; every other one takes the card.
fn route(n: u32) -> RouteView {
    RouteView {
        id: format!("route-{n:02}"),
        families: vec![Family::new(if n.is_multiple_of(2) { "card-stripe" } else { "qr-alipay" })],
        operations: vec![Operation::Sale],
        currencies: vec!["CNY".into()],
        priority: n % 5,
        enabled: true,
        health: RouteHealth::Ready,
        needs_clock: false,
        resolve: ResolveProfile { query: None, undo: None, single_slot: true },
        merchant: None,
        terminal: None,
        authorise_timeout_ms: 30_000,
        legs: Vec::<LegTerms>::new(),
    }
}

/// The world: the last rule is the first that fits.
fn world() -> Context {
    let rule = |n: u32| Rule {
        id: format!("rule-{n:03}"),
        when: Conditions {
            bins: vec![if n == 499 { "62".into() } else { format!("{}", 500_000 + n) }],
            hours: Some((0, 1_439)),
            ..Conditions::default()
        },
        then: Action::Prefer(vec!["route-10".into(), "route-20".into()]),
    };
    let window = |n: u16| Window {
        channel: format!("route-{:02}", n * 2),
        when: When::Daily { at_min: n * 60, length_min: 45 },
        kind: Kind::Down,
        lead_ms: None,
        reason: String::new(),
    };
    let policy = Policy {
        windows: (0..20).map(window).collect(),
        rules: (0..500).map(rule).collect(),
        shares: (0..50).map(|n: u32| (format!("route-{n:02}"), n + 1)).collect(),
        ..Policy::default()
    };
    let mut rules = Rules { utc_offset_min: 480, ..Rules::default() };
    rules.routing.policy = policy.into();
    for n in 0..50 {
        let fee = Some(FeePlan { rate_ppm: 3_800 + n % 3, ..FeePlan::default() });
        rules.channels.insert(format!("route-{n:02}"), SettleRule { fee, ..SettleRule::default() });
    }
    Context {
        wall_ms: 1_790_000_000_000,
        clock_trusted: true,
        routes: (0..50).map(route).collect(),
        terminal: "T1".into(),
        config: "1".into(),
        printer: None,
        reuse_window_ms: 60_000,
        duplicate_window_ms: 0,
        undo_after_ms: None,
        hold_valid_ms: 0,
        job_valid_ms: 0,
        rules,
    }
}

/// The row.
pub fn rows(effort: Effort) -> Outcome<Vec<Row>> {
    let (till, ctx, family) = (Till::new(), world(), Family::new("card-stripe"));
    let mut asked = Ask {
        since_ms: None,
        amount: Money::new(10_000, Currency::CNY),
        kind: LegKind::Sale,
        family: &family,
        evidence: "stripe",
        account: "620000******0005",
        token: "0123456789abcdef",
        operator: Some("li"),
        pinned: None,
        tried: &[],
    };
    if ask(&till, &ctx, &asked).chosen.as_deref() != Some("route-10") {
        return Err("the choice to be measured is another one".into());
    }
    let mut times = Vec::new();
    for n in 0..effort.pick(20_000, 2_000) {
        asked.amount = Money::new(10_000 + i64::try_from(n)?, Currency::CNY);
        let began = Instant::now();
        let _kept = black_box(ask(black_box(&till), &ctx, &asked));
        times.push(began.elapsed());
    }
    let memory = measure(|| drop(black_box(ask(&till, &ctx, &asked))));
    let spread = Spread::of(&times);
    let figure = format!(
        "{} / {}, {} allocations, {} B",
        time(spread.p50),
        time(spread.p99),
        memory.count_total,
        memory.bytes_total
    );
    let what = "choice of a channel: 50 routes, 500 rules, 20 windows, p50 / p99";
    Ok(vec![Row::new(what, figure).aim("p99 < 50 µs", spread.p99 < AIM)])
}
