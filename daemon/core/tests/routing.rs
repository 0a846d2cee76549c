//! The whole pipeline on worlds at random: one reason for each channel, reasons that are true, records that choose again.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod samples;

use std::collections::BTreeMap;

use proptest::prelude::*;
use samples::{fen, no_undo, route as channel};
use till_core::LegKind;
use till_core::batch::clock::Now;
use till_core::batch::{Rules, SettleRule};
use till_core::breaker::{Breakers, Settings, Signal, Told};
use till_core::fees::FeePlan;
use till_core::limits::{LimitHit, Scope};
use till_core::merchant::{Merchants, Passes, Terms};
use till_core::payment::PaymentId;
use till_core::profile::{Profile, in_force};
use till_core::routing::{
    Action, Conditions, Decision, Exclusion, Policy, Question, RouteHealth, RouteView, Rule, Verdict, route,
    turns,
};
use till_core::suspension::{By, Suspension};
use till_core::windows::{Kind, Span, When, Window};
use till_plugin::Family;

const FAMILY: &str = "card-stripe";
const NOW: i64 = 1_790_000_000_000;

/// Everything that a choice depends on, owned.
#[derive(Clone, Debug)]
struct World {
    routes: Vec<RouteView>,
    pinned: Option<String>,
    sticky: Option<String>,
    slots: Vec<String>,
    limited: Vec<(String, LimitHit)>,
    suspended: BTreeMap<String, Suspension>,
    tried: Vec<(String, u32)>,
    taken: Vec<(String, u64)>,
    policy: Policy,
    breakers: Breakers,
    fees: Vec<(String, u32)>,
    trusted: bool,
    merchants: Vec<String>,
}

impl World {
    fn new(routes: usize) -> Self {
        let named = |i: usize| RouteView { id: format!("r{i}"), ..channel("", FAMILY, no_undo()) };
        Self {
            routes: (0..routes).map(named).collect(),
            pinned: None,
            sticky: None,
            slots: Vec::new(),
            limited: Vec::new(),
            suspended: BTreeMap::new(),
            tried: Vec::new(),
            taken: Vec::new(),
            policy: Policy::default(),
            breakers: Breakers::default(),
            fees: Vec::new(),
            trusted: true,
            merchants: Vec::new(),
        }
    }

    fn ask(&self) -> Decision {
        let mut rules = Rules::default();
        rules.routing.policy = self.policy.clone().into();
        rules.routing.breakers = self.breakers.clone().into();
        let terms = Terms { tries: 5, valid_ms: 1_000 };
        let asked = self.merchants.iter().map(|id| (id.clone(), terms)).collect();
        rules.routing.merchants = Passes::new(asked, &Merchants::default(), 0).into();
        for (id, rate_ppm) in &self.fees {
            let fee = Some(FeePlan { rate_ppm: *rate_ppm, ..FeePlan::default() });
            rules.channels.insert(id.clone(), SettleRule { fee, ..SettleRule::default() });
        }
        route(&Question {
            profile: in_force(&self.policy.profiles, NOW, 480),
            amount: fen(10_000),
            kind: LegKind::Sale,
            family: &Family::new(FAMILY),
            evidence: "stripe",
            account: "620000******0005",
            operator: "li",
            pinned: self.pinned.as_deref(),
            sticky: self.sticky.as_deref(),
            routes: &self.routes,
            slot_taken: &self.slots,
            suspended: &self.suspended,
            limited: &self.limited,
            tried: &self.tried,
            taken: &self.taken,
            rules: &rules,
            now: Now { wall_ms: NOW, trusted: self.trusted, utc_offset_min: 480 },
            config: "1",
        })
    }

    /// Makes one thing wrong with a channel.
    fn spoil(&mut self, at: usize, how: u8) {
        let id = self.routes[at].id.clone();
        let r = &mut self.routes[at];
        let window = |when| Window {
            channel: id.clone(),
            when,
            kind: Kind::Down,
            lead_ms: Some(600_000),
            reason: String::new(),
        };
        match how {
            0 => r.enabled = false,
            1 => r.families.clear(),
            2 => r.operations.clear(),
            3 => r.currencies = vec!["USD".into()],
            4 => r.health = RouteHealth::Starting,
            5 => r.health = RouteHealth::SignedOff,
            6 => r.health = RouteHealth::Failed { reason: "no line".into() },
            7 => {
                r.needs_clock = true;
                self.trusted = false;
            }
            8 => {
                r.resolve.single_slot = true;
                self.slots.push(id);
            }
            9 => self.limited.push((id, LimitHit { scope: Scope::Day, left: fen(1) })),
            10 => self.tried.push((id, 1)),
            11 => {
                let rule = Rule {
                    id: format!("not-{id}"),
                    when: Conditions { bins: vec!["620000".into()], ..Conditions::default() },
                    then: Action::Never(vec![id]),
                };
                self.policy.rules.push(rule);
            }
            12 => {
                let when = When::Once(Span { from_ms: NOW - 5, until_ms: NOW + 5 });
                self.policy.windows.push(window(when));
            }
            13 => {
                let when = When::Once(Span { from_ms: NOW + 500_000, until_ms: NOW + 900_000 });
                self.policy.windows.push(window(when));
            }
            14 => self.merchants.push(id),
            15 if at.is_multiple_of(2) => self.policy.off.push(id),
            15 => {
                let all = Profile { id: "fair".into(), off: vec![], ..Profile::default() };
                if self.policy.profiles.is_empty() {
                    self.policy.profiles.push(all);
                }
                self.policy.profiles[0].off.push(id);
            }
            16 => {
                let s = Suspension {
                    by: if at.is_multiple_of(2) { By::Person } else { By::Pinning },
                    reason: "合同".into(),
                    operator: "li".into(),
                    payment: None,
                    seq: 1,
                    wall_ms: NOW,
                };
                self.suspended.insert(id, s);
            }
            _ => {
                for n in 0..Settings::default().in_a_row {
                    let who = (PaymentId([9; 16]), n);
                    let told = Told { channel: id.clone(), kind: LegKind::Sale, who, signal: Signal::Fault };
                    self.breakers.outcome(&told, 0, NOW);
                }
            }
        }
    }

    /// Takes away what a reason names, and nothing else.
    fn mend(&mut self, id: &str, why: &Exclusion) {
        let r = self.routes.iter_mut().find(|r| r.id == id).expect("a channel");
        match why {
            Exclusion::Disabled => r.enabled = true,
            Exclusion::Family => r.families.push(Family::new(FAMILY)),
            Exclusion::Operation => r.operations.push(till_plugin::channel::Operation::Sale),
            Exclusion::Currency => r.currencies.push("CNY".into()),
            Exclusion::NotTheCurrentChannel => self.pinned = None,
            Exclusion::Starting | Exclusion::SignedOff | Exclusion::Failed(_) => {
                r.health = RouteHealth::Ready;
            }
            Exclusion::Clock => r.needs_clock = false,
            Exclusion::Unresolved => self.slots.retain(|s| s != id),
            Exclusion::Limit(_) => self.limited.retain(|(s, _)| s != id),
            Exclusion::Window(_) => self.policy.windows.retain(|w| w.channel != id),
            Exclusion::Breaker(_) => self.breakers.asked(id, true, 0),
            Exclusion::Rule(rule) => self.policy.rules.retain(|r| r.id != *rule),
            Exclusion::Merchant(_) => self.merchants.retain(|m| m != id),
            Exclusion::Profile(_) => {
                self.policy.off.retain(|c| c != id);
                self.policy.profiles.iter_mut().for_each(|p| p.off.retain(|c| c != id));
            }
            Exclusion::Tried(_) => self.tried.retain(|(s, _)| s != id),
            Exclusion::Suspended(..) => drop(self.suspended.remove(id)),
        }
    }
}

fn why<'a>(d: &'a Decision, id: &str) -> Option<&'a Exclusion> {
    d.candidates.iter().find(|c| c.channel == id).and_then(|c| match &c.verdict {
        Verdict::Excluded(e) => Some(e),
        _ => None,
    })
}

const CODES: [&str; 18] = [
    "disabled",
    "family",
    "operation",
    "currency",
    "starting",
    "signed-off",
    "failed",
    "clock",
    "unresolved",
    "limit",
    "tried",
    "rule",
    "closed",
    "draining",
    "merchant",
    "profile",
    "suspended",
    "breaker",
];

#[test]
fn each_reason_alone_is_named_and_flips_the_verdict_when_it_goes() {
    for (how, code) in (0..).zip(CODES) {
        let mut world = World::new(1);
        world.spoil(0, how);
        let d = world.ask();
        let e = why(&d, "r0").unwrap_or_else(|| panic!("{code}: {d:?}")).clone();
        assert_eq!((d.chosen.as_deref(), e.code()), (None, code));
        let (en, zh) = e.text();
        assert!(!en.is_empty() && !zh.is_ascii(), "{code}: {en} {zh}");
        assert!(d.no_channel_text().0.contains(&en) || code == "family", "{code}");
        world.mend("r0", &e);
        assert_eq!(world.ask().chosen.as_deref(), Some("r0"), "{code}");
    }
}

#[test]
fn the_operators_channel_is_not_replaced_when_it_cannot_take_the_payment() {
    for (how, code) in (0..).zip(CODES).skip(4).filter(|(_, code)| *code != "profile") {
        let mut world = World::new(2);
        world.pinned = Some("r1".into());
        world.spoil(1, how);
        let d = world.ask();
        assert_eq!(d.chosen, None, "{code}");
        let codes = (why(&d, "r0").map(Exclusion::code), why(&d, "r1").map(Exclusion::code));
        assert_eq!(codes, (Some("not-current"), Some(code)));
    }
}

fn world() -> impl Strategy<Value = World> {
    let spoils = prop::collection::vec((0_usize..6, 0_u8..18), 0..14);
    let orders = prop::collection::vec((0_u32..3, prop::option::of(0_u32..3)), 6);
    let rules =
        prop::collection::vec((any::<bool>(), 0_u8..3, prop::collection::vec(0_usize..6, 0..4)), 0..3);
    let shares = prop::collection::vec((0_usize..6, 0_u32..5, 0_u64..9), 0..6);
    let more = (any::<bool>(), any::<bool>(), prop::option::of(0_usize..7), prop::option::of(0_usize..6));
    (1_usize..7, spoils, orders, rules, shares, more).prop_map(
        |(count, spoils, orders, rules, shares, (cost, trusted, pinned, sticky))| {
            let mut w = World::new(count);
            w.trusted = trusted;
            w.policy.cost = cost;
            for (at, how) in spoils {
                w.spoil(at % count, how);
            }
            for (r, (priority, fee)) in w.routes.iter_mut().zip(orders) {
                r.priority = priority;
                if let Some(fee) = fee {
                    w.fees.push((r.id.clone(), fee * 1_000));
                }
            }
            for (n, (met, what, these)) in rules.into_iter().enumerate() {
                let these = these.into_iter().map(|i| format!("r{i}")).collect();
                let bins = vec![if met { "62".into() } else { "55".into() }];
                let then = match what {
                    0 => Action::Only(these),
                    1 => Action::Never(these),
                    _ => Action::Prefer(these),
                };
                let when = Conditions { bins, ..Conditions::default() };
                w.policy.rules.insert(0, Rule { id: format!("rule-{n}"), when, then });
            }
            for (at, share, taken) in shares {
                w.policy.shares.insert(format!("r{at}"), share);
                w.taken.push((format!("r{at}"), taken));
            }
            w.pinned = pinned.map(|i| format!("r{i}"));
            w.sticky = sticky.map(|i| format!("r{i}"));
            w
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_channel_has_one_verdict_and_the_record_chooses_again(world in world()) {
        let d = world.ask();
        prop_assert_eq!(d.candidates.len(), world.routes.len());
        for r in &world.routes {
            prop_assert_eq!(d.candidates.iter().filter(|c| c.channel == r.id).count(), 1);
        }
        prop_assert!(d.is_consistent(), "{:?}", d);
        prop_assert_eq!(&world.ask(), &d, "the same inputs, the same choice");
        let kept: Decision = serde_json::from_str(&serde_json::to_string(&d).unwrap()).unwrap();
        prop_assert_eq!(kept.replay(), d.chosen.as_deref());
        // The order in which channels are listed is nobody's reason.
        let mut turned = world.clone();
        turned.routes.reverse();
        prop_assert_eq!(&turned.ask().chosen, &d.chosen);
        let (en, zh) = d.explain(fen(10_000));
        for c in &d.candidates {
            let named = [format!("  {}: ", c.channel), format!("  {}：", c.channel)];
            prop_assert!(en.contains(&named[0]) && zh.contains(&named[1]), "{}\n{}", en, zh);
        }
    }

    #[test]
    fn what_a_reason_names_is_what_keeps_the_channel_out(world in world()) {
        for candidate in &world.ask().candidates {
            let mut mended = world.clone();
            let mut before: Option<Exclusion> = None;
            // Each reason that goes leaves the next one of a later stage, or none: at the end the channel can take it.
            for step in 0.. {
                prop_assert!(step < 19, "{} is never let in", candidate.channel);
                let d = mended.ask();
                let Some(e) = why(&d, &candidate.channel) else { break };
                if let Some(before) = &before {
                    prop_assert!(before != e, "{:?} was taken away and is still there", e);
                    prop_assert!(before.stage() <= e.stage(), "{:?} hid {:?}", before, e);
                }
                mended.mend(&candidate.channel, e);
                before = Some(e.clone());
            }
        }
    }

    #[test]
    fn shares_hold_within_one_sale_after_any_number_of_sales(
        shares in prop::collection::vec(1_u32..20, 1..7), sales in 1_u64..200,
    ) {
        let total: u64 = shares.iter().map(|s| u64::from(*s)).sum();
        let mut taken = vec![0_u64; shares.len()];
        for n in 1..=sales {
            let state: Vec<(u32, u64)> = shares.iter().copied().zip(taken.iter().copied()).collect();
            taken[turns(&state)[0]] += 1;
            for (share, taken) in shares.iter().zip(&taken) {
                // |share · n / total − taken| < 1
                let off = (u64::from(*share) * n).abs_diff(taken * total);
                prop_assert!(off < total, "after {} sales: {} of {}", n, taken, share);
            }
        }
    }
}

fn fee(world: &mut World, fees: &[u32]) {
    world.fees = (0..).zip(fees).map(|(i, f): (usize, _)| (format!("r{i}"), *f)).collect();
}

#[test]
fn s12_the_cheapest_comes_first_and_an_unknown_fee_compares_with_nothing() {
    let mut world = World::new(3);
    fee(&mut world, &[6_000, 3_800, 5_000]);
    let d = world.ask();
    assert_eq!((d.chosen.as_deref(), d.decided_by(), d.margin()), (Some("r1"), "cost", Some(12)));
    assert_eq!(d.runner_up().map(|c| c.channel.as_str()), Some("r2"));
    assert!(d.explain(fen(10_000)).0.contains("the cheapest, by"), "{}", d.explain(fen(10_000)).0);
    fee(&mut world, &[6_000, 3_800]);
    let d = world.ask();
    assert_eq!((d.chosen.as_deref(), d.decided_by()), (Some("r0"), "id"), "the fee of r2 is not known");
    fee(&mut world, &[6_000, 3_800, 5_000]);
    world.policy.cost = false;
    world.routes[2].priority = 0;
    let d = world.ask();
    assert_eq!((d.chosen.as_deref(), d.decided_by()), (Some("r2"), "priority"));
}

#[test]
fn what_comes_first_before_the_fee() {
    let mut world = World::new(3);
    fee(&mut world, &[1_000, 2_000, 3_000]);
    world.sticky = Some("r1".into());
    let d = world.ask();
    assert_eq!((d.chosen.as_deref(), d.decided_by()), (Some("r1"), "sticky"));
    let rule = |then| Rule { id: "evening".into(), when: Conditions::default(), then };
    world.policy.rules = vec![rule(Action::Prefer(vec!["r2".into()]))];
    let d = world.ask();
    assert_eq!((d.chosen.as_deref(), d.decided_by()), (Some("r2"), "rule"));
    let badly = Window {
        channel: "r2".into(),
        when: When::Once(Span { from_ms: NOW - 1, until_ms: NOW + 1 }),
        kind: Kind::Degraded,
        lead_ms: None,
        reason: String::new(),
    };
    world.policy.windows = vec![badly];
    let d = world.ask();
    assert_eq!((d.chosen.as_deref(), d.decided_by()), (Some("r1"), "sticky"), "what works badly comes last");
    world.policy.rules = vec![rule(Action::Only(vec!["r2".into()]))];
    let d = world.ask();
    assert_eq!(
        (d.chosen.as_deref(), d.decided_by()),
        (Some("r2"), "only"),
        "and is taken when it is all there is"
    );
    world.policy.rules = vec![rule(Action::Only(vec!["r9".into()]))];
    assert_eq!(world.ask().chosen, None, "a rule does not fall back by itself");
}

#[test]
fn rules_fit_by_amount_card_operator_and_time_and_the_first_one_counts() {
    let mut world = World::new(2);
    let only = |id: &str, to: &str, when| Rule { id: id.into(), when, then: Action::Only(vec![to.into()]) };
    // NOW is 2026-09-21, a Monday, 22:13 at UTC+8.
    let fits = [
        Conditions { min: Some(fen(10_000)), max: Some(fen(10_000)), ..Conditions::default() },
        Conditions { bins: vec!["55".into(), "6200".into()], ..Conditions::default() },
        Conditions { operators: vec!["li".into()], ..Conditions::default() },
        Conditions {
            families: vec![Family::new(FAMILY)],
            currency: "CNY".parse().ok(),
            ..Conditions::default()
        },
        Conditions { hours: Some((22 * 60 + 13, 22 * 60 + 14)), ..Conditions::default() },
        Conditions { hours: Some((22 * 60, 6 * 60)), days: Some(1), ..Conditions::default() },
    ];
    let fits_not = [
        Conditions { min: Some(fen(10_001)), ..Conditions::default() },
        Conditions { max: Some(fen(9_999)), ..Conditions::default() },
        Conditions {
            max: Some(till_plugin::Money::new(99_999, "USD".parse().unwrap())),
            ..Conditions::default()
        },
        Conditions { bins: vec!["6200000".into()], ..Conditions::default() },
        Conditions { operators: vec!["wang".into()], ..Conditions::default() },
        Conditions { families: vec![Family::new("cash")], ..Conditions::default() },
        Conditions { hours: Some((22 * 60 + 14, 22 * 60 + 13)), days: Some(2), ..Conditions::default() },
        Conditions { hours: Some((6 * 60, 22 * 60 + 13)), ..Conditions::default() },
    ];
    for when in fits {
        world.policy.rules =
            vec![only("first", "r1", when.clone()), only("second", "r0", Conditions::default())];
        assert_eq!(world.ask().chosen.as_deref(), Some("r1"), "{when:?}");
        world.trusted = false;
        let told = when.hours.is_none() && when.days.is_none();
        let chosen = if told { "r1" } else { "r0" };
        assert_eq!(world.ask().chosen.as_deref(), Some(chosen), "{when:?} with a clock that is not trusted");
        world.trusted = true;
    }
    for when in fits_not {
        world.policy.rules = vec![only("first", "r1", when.clone())];
        assert_eq!(world.ask().chosen.as_deref(), Some("r0"), "{when:?}");
    }
}

#[test]
fn shares_decide_among_channels_that_are_alike() {
    let mut world = World::new(3);
    world.policy.shares = [("r0".into(), 1), ("r1".into(), 3)].into();
    world.taken = vec![("r0".into(), 1), ("r1".into(), 2)];
    let d = world.ask();
    assert_eq!((d.chosen.as_deref(), d.decided_by()), (Some("r1"), "share"));
    world.taken = vec![("r0".into(), 0), ("r1".into(), 2)];
    assert_eq!(world.ask().chosen.as_deref(), Some("r0"));
    fee(&mut world, &[6_000, 6_000, 3_800]);
    let d = world.ask();
    assert_eq!((d.chosen.as_deref(), d.decided_by()), (Some("r2"), "cost"), "a fee counts more than a share");
}

/// A record keeps 16 candidates: whoever could have taken the payment first, other families last.
#[test]
fn a_long_list_keeps_what_says_most() {
    let mut world = World::new(40);
    for at in 0..38 {
        world.spoil(at, if at % 2 == 0 { 1 } else { 6 });
    }
    let d = world.ask();
    assert_eq!(d.candidates.len(), 16);
    assert_eq!(d.chosen.as_deref(), Some("r38"));
    let codes: Vec<_> =
        d.candidates.iter().filter_map(|c| why(&d, &c.channel)).map(Exclusion::code).collect();
    assert_eq!(codes, vec!["failed"; 14]);
    assert!(d.is_consistent());
}

#[test]
fn s13_a_profile_offers_takes_away_and_prefers_and_the_record_names_it() {
    let mut world = World::new(3);
    world.policy.off = vec!["r2".into()];
    let d = world.ask();
    assert_eq!(
        (d.chosen.as_deref(), why(&d, "r2").map(Exclusion::code), d.profile()),
        (Some("r0"), Some("profile"), None)
    );
    let fair = Profile {
        id: "fair".into(),
        on: vec!["r2".into()],
        off: vec!["r0".into()],
        priority: [("r2".to_owned(), 0), ("r1".to_owned(), 9)].into(),
        ..Profile::default()
    };
    let later = Profile { id: "later".into(), off: vec!["r2".into()], ..Profile::default() };
    world.policy.profiles = vec![fair, later];
    let when = Conditions { profile: Some("later".into()), ..Conditions::default() };
    world.policy.rules.push(Rule { id: "of-later".into(), when, then: Action::Only(vec!["r1".into()]) });
    let d = world.ask();
    assert_eq!((d.chosen.as_deref(), d.profile()), (Some("r2"), Some("fair")), "{d:?}");
    assert_eq!(why(&d, "r0"), Some(&Exclusion::Profile("fair".into())));
    assert!(d.is_consistent(), "the record chooses again: {d:?}");
    let (en, zh) = d.explain(fen(10_000));
    assert!(
        en.contains("r0: not: the profile fair does not offer it")
            && en.ends_with("configuration 1, profile fair"),
        "{en}"
    );
    assert!(zh.contains("时段方案 fair"), "{zh}");
    world.policy.profiles.remove(0);
    let d = world.ask();
    assert_eq!((d.chosen.as_deref(), d.profile()), (Some("r1"), Some("later")), "its rule counts now");
}
