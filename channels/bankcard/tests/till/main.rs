//! The channel as the daemon uses it, against a scripted host on a real socket.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod acquirer;
mod balances;
mod dialects;
mod follow;
mod manifest;
mod pins;
mod reversals;
mod sales;
mod sessions;
mod tls;

use acquirer::{Acquirer, Step, TMK, sign_in};
use till_channel_bankcard::dialect::{CUP, Dialect};
use till_channel_bankcard::plugin::Bankcard;
use till_plugin::channel::{AttemptIds, Authorise, FollowUp, Outcome, Prepared, SignIn};
use till_plugin::instrument::{Instrument, StripeCard};
use till_plugin::testing::TestHost;
use till_plugin::{Channel, Currency, Extra, Money, Settings};

pub(crate) const PAN: &str = "6200000000000005";
pub(crate) const TRACK: &str = "6200000000000005=29121010000000000";

/// A till with its plugin, its test host, and the acquirer it talks to.
pub(crate) struct Till {
    pub(crate) plugin: Bankcard,
    pub(crate) host: TestHost,
    pub(crate) acquirer: Acquirer,
}

pub(crate) fn cup() -> Dialect {
    Dialect::parse(CUP).unwrap()
}

pub(crate) fn open(address: &str, change: impl FnOnce(&mut serde_json::Value)) -> (Bankcard, TestHost) {
    let mut settings = serde_json::json!({
        "address": address, "terminal": "12345678", "merchant": "123456789012345", "tls": false,
        "dialect": { "timing": { "connect": 5000, "answer": 5000 } },
    });
    change(&mut settings);
    let host = TestHost::new().with_secret("tmk", TMK.as_bytes());
    (Bankcard::open(host.host(), Settings::from_json(settings.to_string())).unwrap(), host)
}

impl Till {
    /// Signed in; `steps` come after the sign-in. Answers have five seconds.
    pub(crate) fn signed_in(steps: Vec<Step>) -> Self {
        Self::with(steps, |_| ())
    }

    /// The same for hosts that stay silent: the answer has a fifth of a second.
    pub(crate) fn impatient(steps: Vec<Step>) -> Self {
        Self::with(steps, |settings| settings["dialect"]["timing"]["answer"] = 200.into())
    }

    pub(crate) fn with(mut steps: Vec<Step>, change: impl FnOnce(&mut serde_json::Value)) -> Self {
        steps.insert(0, sign_in());
        let acquirer = Acquirer::serve(&cup(), steps);
        let (mut plugin, host) = open(&acquirer.address, change);
        plugin.sign_in(&sign_in_request()).unwrap();
        Self { plugin, host, acquirer }
    }

    /// Prepares and authorises a swipe.
    pub(crate) fn sell(&mut self, trace: u32) -> (Authorise, Prepared, Outcome) {
        let request = sale(trace);
        let prepared = self.plugin.prepare(&request).unwrap();
        let outcome = self.plugin.authorise(&request, &prepared);
        (request, prepared, outcome)
    }
}

pub(crate) fn sign_in_request() -> SignIn {
    SignIn { trace: 1, batch: 12, operator: None, wall_ms: 0 }
}

pub(crate) fn swipe(service: &str) -> Instrument {
    Instrument::Stripe(StripeCard {
        track1: None,
        track2: Some(format!("{PAN}=2912{service}0000000000").into()),
        track3: None,
        pan: String::from(PAN).into(),
        expiry: Some(String::from("2912").into()),
        service_code: Some(service.into()),
        masked: "620000******0005".into(),
        luhn: true,
    })
}

/// A sale of CNY 12.34 on 2026-09-01.
pub(crate) fn sale(trace: u32) -> Authorise {
    Authorise {
        ids: AttemptIds {
            payment: [7; 16],
            attempt: 1,
            trace,
            batch: 12,
            order: "T0000000001".into(),
            wall_ms: 1_788_225_600_000,
        },
        hold: false,
        amount: Money::new(1234, Currency::CNY),
        instrument: swipe("101"),
        subject: "goods".into(),
        operator: None,
        pin_block: None,
        extra: Extra::new(),
    }
}

pub(crate) fn follow_up(request: &Authorise, prepared: &Prepared) -> FollowUp {
    FollowUp {
        ids: request.ids.clone(),
        amount: request.amount,
        recovery: prepared.recovery.clone(),
        attempt: 1,
        extra: Extra::new(),
    }
}
