//! The channel as the daemon meets it.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use till_channel_cash::plugin::Cash;
use till_plugin::channel::*;
use till_plugin::manifest::Manifest;
use till_plugin::testing::TestHost;
use till_plugin::{Channel, Currency, Extra, Instrument, Money, Sensitive, Settings};

fn open(settings: &str) -> Cash {
    Cash::open(TestHost::new().host(), Settings::from_json(settings)).unwrap()
}

fn cny(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

fn ids(order: &str) -> AttemptIds {
    AttemptIds { payment: [7; 16], attempt: 1, trace: 1, batch: 1, order: order.into(), wall_ms: 0 }
}

fn sale(owed: Money, tendered: Money) -> Authorise {
    Authorise {
        ids: ids("T0120260101000001"),
        hold: false,
        amount: owed,
        instrument: Instrument::Cash { tendered },
        subject: String::new(),
        operator: None,
        pin_block: None,
        extra: Extra::new(),
    }
}

fn pay(cash: &mut Cash, request: &Authorise) -> Result<Outcome, Decline> {
    let prepared = cash.prepare(request)?;
    Ok(cash.authorise(request, &prepared))
}

fn approved(outcome: Outcome) -> Approval {
    match outcome {
        Outcome::Approved(a) => a,
        other => panic!("not approved: {other:?}"),
    }
}

#[test]
fn a_sale_tells_the_change_and_asks_for_the_drawer() {
    let a = approved(pay(&mut open(""), &sale(cny(12_850), cny(20_000))).unwrap());
    assert_eq!((a.amount, a.change, a.open_drawer), (cny(12_850), Some(cny(7_150)), true));
    assert!(a.receipt.is_empty());
    assert_eq!(a.echo.order.as_deref(), Some("T0120260101000001"));
}

#[test]
fn too_little_or_a_mistyped_amount_never_opens_the_drawer() {
    let mut cash = open("");
    let short = pay(&mut cash, &sale(cny(12_850), cny(12_800))).unwrap_err();
    assert_eq!(short.code, "too-little");
    assert!(short.text.contains("CNY 0.50"), "{}", short.text);
    assert_eq!(pay(&mut cash, &sale(cny(12_850), cny(6_901_234_567_892))).unwrap_err().code, "too-much");
    // The daemon may call authorise without prepare after a restart: it refuses by itself too.
    let prepared = Prepared { recovery: Sensitive::new(Vec::new()), masked: String::new() };
    assert!(matches!(cash.authorise(&sale(cny(100), cny(99)), &prepared), Outcome::NotSent(_)));
    assert_eq!(cash.statistics()[0], ("sales".into(), 0));
}

#[test]
fn zero_negative_and_foreign_amounts_are_refused() {
    let mut cash = open("");
    for owed in [cny(0), cny(-1), cny(i64::MIN), Money::new(100, "JPY".parse().unwrap())] {
        assert!(pay(&mut cash, &sale(owed, cny(20_000))).is_err(), "{owed}");
    }
    let foreign = sale(cny(100), Money::new(20_000, "HKD".parse().unwrap()));
    assert_eq!(pay(&mut cash, &foreign).unwrap_err().code, "currency");
    assert_eq!(
        pay(&mut cash, &Authorise { hold: true, ..sale(cny(1), cny(1)) }).unwrap_err().code,
        "unsupported"
    );
    let code = Authorise { instrument: Instrument::ShowCode, ..sale(cny(1), cny(1)) };
    assert_eq!(pay(&mut cash, &code).unwrap_err().code, "wrong-instrument");
}

#[test]
fn rounding_is_on_the_receipt_and_the_sale_keeps_its_amount() {
    let a = approved(pay(&mut open("{\"rounding_step\":10}"), &sale(cny(1_234), cny(1_300))).unwrap());
    assert_eq!((a.amount, a.change), (cny(1_234), Some(cny(70))));
    assert_eq!(a.extra["cash-due-minor"], "1230");
    assert_eq!(a.extra["rounding-minor"], "-4");
    assert!(a.receipt.iter().any(|(_, v)| v == "CNY -0.04"), "{:?}", a.receipt);
}

fn out_of(kind: FollowKind, amount: Money, sold: Money) -> Follow {
    let approval = approved(pay(&mut open(""), &sale(cny(1), cny(1))).unwrap());
    Follow {
        ids: ids("T0120260101000002"),
        kind,
        original: Reference { ids: ids("T0120260101000001"), amount: sold, approval },
        original_recovery: Sensitive::new(Vec::new()),
        amount,
        instrument: None,
        operator: Some("01".into()),
        reason: "torn bag".into(),
        extra: Extra::new(),
    }
}

fn refund(amount: Money, sold: Money) -> Follow {
    out_of(FollowKind::Refund, amount, sold)
}

fn follow(cash: &mut Cash, request: &Follow) -> Result<Outcome, Decline> {
    let prepared = cash.prepare_follow(request)?;
    Ok(cash.follow(request, &prepared))
}

#[test]
fn a_refund_is_an_entry_of_its_own_and_never_more_than_the_sale() {
    let mut cash = open("");
    let a = approved(follow(&mut cash, &refund(cny(500), cny(12_850))).unwrap());
    assert_eq!((a.amount, a.open_drawer, a.reference.as_str()), (cny(500), true, "T0120260101000002"));
    assert_eq!(a.echo.order.as_deref(), Some("T0120260101000002"), "the daemon compares it");
    assert!(a.change.is_none());
    let prepared = Prepared { recovery: Sensitive::new(Vec::new()), masked: String::new() };
    let jpy = |minor| Money::new(minor, "JPY".parse().unwrap());
    for (wrong, code) in [
        (refund(cny(12_851), cny(12_850)), "refund-too-large"),
        (refund(cny(0), cny(12_850)), "amount"),
        (refund(cny(-5), cny(12_850)), "amount"),
        (refund(jpy(5), cny(12_850)), "currency"),
        (refund(cny(5), jpy(12_850)), "refund-too-large"),
        (out_of(FollowKind::Void, cny(500), cny(12_850)), "void-amount"),
        (out_of(FollowKind::Capture, cny(500), cny(12_850)), "unsupported"),
        (out_of(FollowKind::Release, cny(12_850), cny(12_850)), "unsupported"),
    ] {
        assert_eq!(follow(&mut cash, &wrong).unwrap_err().code, code, "{wrong:?}");
        // The daemon may send what it prepared before a restart: the drawer stays closed all the same.
        assert!(matches!(cash.follow(&wrong, &prepared), Outcome::NotSent(d) if d.code == code));
    }
    assert_eq!(cash.statistics()[1], ("refunds".into(), 1));
}

#[test]
fn a_void_hands_the_whole_payment_back_and_opens_the_drawer() {
    let a = approved(follow(&mut open(""), &out_of(FollowKind::Void, cny(12_850), cny(12_850))).unwrap());
    assert_eq!((a.amount, a.open_drawer), (cny(12_850), true));
}

#[test]
fn what_is_handed_back_is_rounded_as_what_was_taken() {
    let settings = "{\"rounding_step\":10}";
    let taken = approved(pay(&mut open(settings), &sale(cny(1_234), cny(1_300))).unwrap());
    let back = approved(follow(&mut open(settings), &refund(cny(1_234), cny(1_234))).unwrap());
    assert_eq!(back.extra["cash-due-minor"], taken.extra["cash-due-minor"]);
    assert_eq!(back.amount, cny(1_234), "the books keep the amount, the drawer the rounded one");
}

#[test]
fn money_out_that_was_interrupted_is_answered_as_not_handed_out_at_once() {
    let mut cash = open("");
    let request = Follow { instrument: None, ..refund(cny(500), cny(12_850)) };
    let original = FollowUp {
        ids: request.ids.clone(),
        amount: request.amount,
        recovery: Sensitive::new(Vec::new()),
        attempt: 1,
        extra: Extra::new(),
    };
    assert!(
        matches!(cash.query_follow(&request, &original), QueryOutcome::NotPaid(d) if d.code == "interrupted")
    );
}

#[test]
fn every_operation_after_a_sale_has_its_rule() {
    let cash = open("");
    let rules = cash.leg_rules();
    let listed: Vec<_> = rules.iter().map(|r| (r.operation, r.partial, r.instrument)).collect();
    assert_eq!(listed, [(Operation::Void, false, false), (Operation::Refund, true, false)]);
    assert!(rules.iter().all(|r| r.resolve.query.is_some() && r.resolve.undo.is_none()));
    let operations = cash.describe().operations;
    assert!(rules.iter().all(|r| operations.contains(&r.operation)));
}

#[test]
fn an_interrupted_sale_is_answered_as_not_taken_at_once() {
    let mut cash = open("");
    let original = FollowUp {
        ids: ids("T0120260101000001"),
        amount: cny(100),
        recovery: Sensitive::new(b"cash 1".to_vec()),
        attempt: 1,
        extra: Extra::new(),
    };
    assert!(matches!(cash.query(&original), QueryOutcome::NotPaid(_)));
    assert_eq!(
        cash.undo(&original, UndoReason::Abandoned),
        UndoOutcome::Undone { money_moved: false, reference: None }
    );
    assert!(!cash.describe().needs_clock);
}

#[test]
fn wrong_settings_are_refused_when_the_channel_opens() {
    for (bad, named) in [
        ("{\"rounding_stp\":10}", "rounding_stp"),
        ("{\"rounding_step\":3}", "rounding_step"),
        ("{\"rounding\":\"sideways\"}", "sideways"),
        ("{\"largest_change\":-1}", "largest_change"),
        ("{\"currency\":\"RMB\"}", "RMB"),
    ] {
        let e = Cash::open(TestHost::new().host(), Settings::from_json(bad)).unwrap_err();
        assert!(e.message.contains(named), "{}", e.message);
    }
}

#[test]
fn the_manifest_says_what_the_channel_says() {
    let manifest = Manifest::parse(include_str!("../manifest.toml")).unwrap();
    let channel = manifest.channel.clone().unwrap();
    let described = open("").describe();
    assert_eq!((channel.families, channel.operations), (described.families, described.operations));
    // Every default a person reads in the manifest is one the channel takes.
    let mut table = toml::Table::new();
    for (name, setting) in &manifest.settings {
        table.insert(name.clone(), setting.default.clone().unwrap());
    }
    manifest.check_settings(&table).unwrap();
}
