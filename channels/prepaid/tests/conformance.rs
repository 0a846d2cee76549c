//! The contract of every channel, run by the stored-value channel. Its books are its own: the log that the daemon keeps for it.
#![allow(clippy::unwrap_used, clippy::expect_used)] // in helpers too: what fails there fails the test

use till_channel_prepaid::plugin::Prepaid;
use till_conformance::{Adapter, Case, Step, Way, conformance};
use till_plugin::channel::{Account, AccountOperation, AccountOutcome, AttemptIds, Authorise};
use till_plugin::instrument::StripeCard;
use till_plugin::testing::{LogFault, TestHost};
use till_plugin::{Channel, Currency, Extra, Instrument, Money, Settings};

const CARD: &str = "8600000000000005";
const EMPTY: &str = "8600000000000013";
const KEY: &[u8] = b"a test key of thirty-two bytes!!";
const SETTINGS: &str = r#"{"prefixes":["8600"]}"#;
const START: i64 = 100_000;
const NO_NETWORK: &str = "there is no network: the ledger is in the daemon's own log";

struct Kit {
    issued: bool,
}

fn stripe(pan: &str) -> Instrument {
    Instrument::Stripe(StripeCard {
        track1: None,
        track2: None,
        track3: None,
        pan: pan.to_owned().into(),
        expiry: None,
        service_code: None,
        masked: String::new(),
        luhn: true,
    })
}

fn ids(order: &str) -> AttemptIds {
    AttemptIds { payment: [1; 16], attempt: 1, trace: 1, batch: 1, order: order.into(), wall_ms: 0 }
}

fn cny(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

impl Adapter for Kit {
    type Channel = Prepaid;
    type Fault = LogFault;

    const NAME: &'static str = "prepaid";
    const WITHOUT: &'static [(Case, &'static str)] = &[
        (Case::Clock, "nothing is signed with the time; expiry dates are the ledger's own tests"),
        (Case::Lies, NO_NETWORK),
        (Case::AnotherAnswer, NO_NETWORK),
        (Case::EveryBit, NO_NETWORK),
        (Case::Unreachable, NO_NETWORK),
        (Case::Stages, NO_NETWORK),
        (Case::Slow, NO_NETWORK),
        (Case::Doubled, NO_NETWORK),
        (Case::CutShort, NO_NETWORK),
        (Case::Endless, NO_NETWORK),
        (Case::Silent, NO_NETWORK),
        (Case::FoundLater, NO_NETWORK),
        (Case::UndoRefused, NO_NETWORK),
        (Case::Tls, NO_NETWORK),
        (Case::MutualTls, NO_NETWORK),
    ];

    fn start() -> Self {
        Self { issued: false }
    }

    fn bench(&self, _identity: Option<&str>) -> TestHost {
        TestHost::new().with_secret("card_key", KEY)
    }

    fn settings(&self, _way: &Way) -> String {
        SETTINGS.into()
    }

    /// Two cards are issued, one of them with too little on it.
    fn ready(&mut self, channel: &mut Prepaid, _trace: u32) {
        if std::mem::replace(&mut self.issued, true) {
            return;
        }
        for (order, card, minor) in [("ISSUE0001", CARD, START), ("ISSUE0002", EMPTY, 1)] {
            let request = Account {
                ids: ids(order),
                operation: AccountOperation::Issue,
                amount: Some(cny(minor)),
                instrument: Some(stripe(card)),
                recovery: Vec::new().into(),
                operator: Some("01".into()),
                reason: String::new(),
                before: 0,
                limit: 0,
                extra: Extra::new(),
            };
            let done = channel.account(&request);
            assert!(matches!(done, AccountOutcome::Done(_)), "{done:?}");
        }
    }

    fn instrument(&self, _number: u32, _amount: Money) -> Instrument {
        stripe(CARD)
    }

    fn poor(&self, _amount: Money) -> Instrument {
        stripe(EMPTY)
    }

    fn faults(&self, _step: Step) -> Vec<LogFault> {
        vec![LogFault::Refused, LogFault::UndecidedWritten, LogFault::UndecidedLost]
    }

    fn lost(&self) -> Option<(LogFault, LogFault)> {
        Some((LogFault::UndecidedLost, LogFault::UndecidedWritten))
    }

    fn strike(&self, bench: &TestHost, _step: Step, fault: &LogFault) {
        bench.fail_log(*fault);
    }

    fn calm(&self, bench: &TestHost) {
        bench.heal_log();
    }

    /// What the card is short of, by a ledger that is read anew.
    fn kept(&self, bench: &TestHost) -> Option<i64> {
        let mut reader = Prepaid::open(bench.host(), Settings::from_json(SETTINGS)).unwrap();
        let request = Authorise {
            ids: ids("BALANCE01"),
            hold: false,
            amount: cny(1),
            instrument: stripe(CARD),
            subject: String::new(),
            operator: None,
            pin_block: None,
            extra: Extra::new(),
        };
        Some(START - reader.balance(&request).expect("a card").minor())
    }

    fn secrets(&self) -> Vec<Vec<u8>> {
        vec![CARD.into(), EMPTY.into(), KEY.to_vec()]
    }

    fn never_kept(&self) -> Vec<Vec<u8>> {
        vec![CARD.into(), EMPTY.into()]
    }
}

conformance!(Kit);
