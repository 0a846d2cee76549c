//! A till with the channel in it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // shared by tests; what fails here fails the test

use till_channel_prepaid::plugin::Prepaid;
use till_plugin::channel::*;
use till_plugin::instrument::{ScannedCode, StoredValueCard, StripeCard};
use till_plugin::testing::TestHost;
use till_plugin::{Channel, Currency, Extra, Instrument, Money, Sensitive, Settings};

pub const CARD: &str = "8600000000000005";
pub const KEY: &[u8] = b"a test key of thirty-two bytes!!";
pub const SETTINGS: &str = r#"{"prefixes":["8600"]}"#;

pub fn bench() -> TestHost {
    TestHost::new().with_secret("card_key", KEY)
}

pub fn open(bench: &TestHost) -> Prepaid {
    Prepaid::open(bench.host(), Settings::from_json(SETTINGS)).unwrap()
}

/// A till where a bearer card was issued with so much on it.
pub fn issued(bench: &TestHost, card: &str, amount: i64) -> Prepaid {
    let mut till = open(bench);
    done(till.account(&account("ISSUE000", AccountOperation::Issue, Some(card), Some(amount))));
    till
}

pub fn cny(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

pub fn ids(order: &str) -> AttemptIds {
    AttemptIds { payment: [7; 16], attempt: 1, trace: 1, batch: 1, order: order.into(), wall_ms: 0 }
}

pub fn code(text: &str) -> Instrument {
    Instrument::Code(ScannedCode { text: Sensitive::new(text.into()), symbology: None })
}

pub fn stripe(pan: &str) -> Instrument {
    Instrument::Stripe(StripeCard {
        track1: None,
        track2: None,
        track3: None,
        pan: Sensitive::new(pan.into()),
        expiry: None,
        service_code: None,
        masked: String::new(),
        luhn: true,
    })
}

pub fn tapped(id: &[u8]) -> Instrument {
    Instrument::StoredValue(StoredValueCard {
        identifier: Sensitive::new(id.into()),
        authenticated: false,
        masked: String::new(),
        extra: Extra::new(),
    })
}

pub fn sale(order: &str, card: &str, amount: i64) -> Authorise {
    Authorise {
        ids: ids(order),
        hold: false,
        amount: cny(amount),
        instrument: stripe(card),
        subject: String::new(),
        operator: Some("alice".into()),
        pin_block: None,
        extra: Extra::new(),
    }
}

pub fn pay(till: &mut Prepaid, order: &str, card: &str, amount: i64) -> Result<Approval, Decline> {
    let request = sale(order, card, amount);
    let prepared = till.prepare(&request)?;
    Ok(approved(till.authorise(&request, &prepared)))
}

/// The request alone, as after a restart or delivered twice.
pub fn authorise(till: &mut Prepaid, order: &str, card: &str, amount: i64) -> Outcome {
    let prepared = Prepared { recovery: Sensitive::new(Vec::new()), masked: String::new() };
    till.authorise(&sale(order, card, amount), &prepared)
}

pub fn asked(order: &str, amount: i64) -> FollowUp {
    FollowUp {
        ids: ids(order),
        amount: cny(amount),
        recovery: Sensitive::new(Vec::new()),
        attempt: 1,
        extra: Extra::new(),
    }
}

pub fn follow(order: &str, kind: FollowKind, sold: &Approval, amount: i64) -> Follow {
    let original = Reference {
        ids: ids(sold.echo.order.as_deref().unwrap()),
        amount: sold.amount,
        approval: sold.clone(),
    };
    Follow {
        ids: ids(order),
        kind,
        original,
        original_recovery: Sensitive::new(Vec::new()),
        amount: cny(amount),
        instrument: None,
        operator: Some("carol".into()),
        reason: "returned goods".into(),
        extra: Extra::new(),
    }
}

pub fn return_it(till: &mut Prepaid, request: &Follow) -> Outcome {
    let prepared = Prepared { recovery: Sensitive::new(Vec::new()), masked: String::new() };
    till.follow(request, &prepared)
}

pub fn account(order: &str, operation: AccountOperation, card: Option<&str>, amount: Option<i64>) -> Account {
    Account {
        ids: ids(order),
        operation,
        amount: amount.map(cny),
        instrument: card.map(stripe),
        recovery: Sensitive::new(Vec::new()),
        operator: Some("alice".into()),
        reason: String::new(),
        before: 0,
        limit: 50,
        extra: Extra::new(),
    }
}

pub fn approved(outcome: Outcome) -> Approval {
    match outcome {
        Outcome::Approved(a) => a,
        other => panic!("not approved: {other:?}"),
    }
}

pub fn done(outcome: AccountOutcome) -> AccountReport {
    match outcome {
        AccountOutcome::Done(report) => report,
        other => panic!("not done: {other:?}"),
    }
}

pub fn balance(till: &mut Prepaid, card: &str) -> i64 {
    till.balance(&sale("BALANCE0", card, 1)).unwrap().minor()
}
