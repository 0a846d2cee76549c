//! Against the acquirer simulator, which has its own codec, keys and ledger: whatever goes wrong on the way, in the end its
//! books and ours agree (channels.md §1.9).

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;
use till_channel_bankcard::plugin::Bankcard;
use till_plugin::channel::{
    AttemptIds, Authorise, FollowUp, NextStep, Outcome, Prepared, SignIn, UndoOutcome, UndoReason, Unknown,
    UnknownReason,
};
use till_plugin::instrument::{Instrument, StripeCard};
use till_plugin::testing::TestHost;
use till_plugin::{Channel, Currency, Extra, Money, Settings};
use till_simulators::acquirer::ledger::State;
use till_simulators::acquirer::{Acquirer, AcquirerConfig};
use till_simulators::faults::{Fault, Rule};

const TID: &str = "12345678";
const PAN: &str = "6200000000000005";

/// A till with just enough of a daemon: it gives numbers, signs in when told to, and undoes what is unknown.
struct Till {
    plugin: Bankcard,
    acquirer: Acquirer,
    trace: u32,
    batch: u32,
    /// What our journal says was taken, minor units.
    taken: i64,
    sales: u32,
}

impl Till {
    fn start() -> Self {
        let acquirer = Acquirer::start(AcquirerConfig::default()).unwrap();
        let settings = serde_json::json!({
            "address": acquirer.addr().to_string(), "terminal": TID, "merchant": "123456789012345", "tls": false,
            "dialect": { "timing": { "connect": 5000, "answer": 1500 } },
        });
        let host = TestHost::new().with_secret("tmk", b"0123456789ABCDEFFEDCBA9876543210");
        let plugin = Bankcard::open(host.host(), Settings::from_json(settings.to_string())).unwrap();
        let mut till = Self { plugin, acquirer, trace: 0, batch: 1, taken: 0, sales: 0 };
        till.sign_in();
        till
    }

    fn next(&mut self) -> u32 {
        self.trace += 1;
        self.trace
    }

    fn sign_in(&mut self) {
        let request = SignIn { trace: self.next(), batch: self.batch, operator: None, wall_ms: 0 };
        let signed_in = self.plugin.sign_in(&request).unwrap();
        self.batch = signed_in.batch.expect("the host names its batch");
    }

    fn sell(&mut self, pan: &str, minor: i64) -> (Authorise, Prepared, Outcome) {
        let request = Authorise {
            ids: AttemptIds {
                payment: [1; 16],
                attempt: 1,
                trace: self.next(),
                batch: self.batch,
                order: "T0000000001".into(),
                wall_ms: 1_788_225_600_000,
            },
            hold: false,
            amount: Money::new(minor, Currency::CNY),
            instrument: Instrument::Stripe(StripeCard {
                track1: None,
                track2: Some(format!("{pan}=29121010000000000").into()),
                track3: None,
                pan: pan.to_owned().into(),
                expiry: None,
                service_code: Some("101".into()),
                masked: "620000******0005".into(),
                luhn: true,
            }),
            subject: "goods".into(),
            operator: None,
            pin_block: None,
            extra: Extra::new(),
        };
        let prepared = match self.plugin.prepare(&request) {
            Ok(prepared) => prepared,
            Err(decline) => {
                assert_eq!(decline.next, NextStep::SignIn, "{decline:?}");
                self.sign_in();
                self.plugin.prepare(&request).unwrap()
            }
        };
        let outcome = self.plugin.authorise(&request, &prepared);
        if let Outcome::Approved(approval) = &outcome {
            self.taken += approval.amount.minor();
            self.sales += 1;
        }
        (request, prepared, outcome)
    }

    /// Undoes until it is settled, as the daemon does.
    fn resolve(&mut self, request: &Authorise, prepared: &Prepared, unknown: &Unknown) -> UndoOutcome {
        let reason = match unknown.reason {
            UnknownReason::BadSeal => UndoReason::BadSeal,
            UnknownReason::Mismatch | UnknownReason::Garbage => UndoReason::Mismatch,
            _ => UndoReason::NoAnswer,
        };
        for attempt in 1..6 {
            let follow_up = FollowUp {
                ids: request.ids.clone(),
                amount: request.amount,
                recovery: prepared.recovery.clone(),
                attempt,
                extra: Extra::new(),
            };
            match self.plugin.undo(&follow_up, reason) {
                UndoOutcome::NotSent(decline) if decline.next == NextStep::SignIn => self.sign_in(),
                UndoOutcome::NotSent(_) | UndoOutcome::Unknown(_) => {}
                settled => return settled,
            }
        }
        panic!("the reversal was never settled");
    }

    /// The invariant: the host took exactly what our approvals say.
    fn books_agree(&self) {
        let totals = self.acquirer.totals(TID, &format!("{:06}", self.batch));
        assert_eq!((totals.debit.minor(), totals.debit_count), (self.taken, self.sales));
        assert_eq!((totals.credit.minor(), totals.credit_count), (0, 0));
        let left = self.acquirer.card_balance(PAN).unwrap().minor();
        assert_eq!(left, 100_000_000 - self.taken);
    }
}

#[test]
fn a_sale_is_taken_once_and_a_decline_takes_nothing() {
    let mut till = Till::start();
    assert!(matches!(till.sell(PAN, 12_850).2, Outcome::Approved(_)));
    let Outcome::Declined(decline) = till.sell("4000000000009995", 100).2 else { panic!("not declined") };
    assert_eq!(decline.code, "51");
    till.books_agree();
    assert_eq!(till.plugin.probe().unwrap().state.as_str(), "ready");
}

#[test]
fn whatever_happens_to_the_answer_the_books_agree_in_the_end() {
    let faults: Vec<(Fault, Option<UnknownReason>)> = vec![
        (Fault::DropBeforeBooking {}, Some(UnknownReason::Broken)),
        (Fault::DropAfterBooking {}, Some(UnknownReason::Broken)),
        (Fault::Reset { booked: true }, Some(UnknownReason::Broken)),
        (Fault::HoldReply {}, Some(UnknownReason::NoAnswer)),
        (Fault::WrongSignature {}, Some(UnknownReason::BadSeal)),
        (Fault::Unsigned {}, Some(UnknownReason::BadSeal)),
        (Fault::WrongAmount { by: 1 }, Some(UnknownReason::Mismatch)),
        (Fault::WrongAmount { by: -1 }, Some(UnknownReason::Mismatch)),
        (Fault::WrongReference {}, None),
        (Fault::HalfReply {}, Some(UnknownReason::Broken)),
        (Fault::Garbage {}, None),
    ];
    let mut till = Till::start();
    for (fault, expected) in faults {
        till.acquirer.faults().add(Rule::once("sale", fault.clone())).unwrap();
        let (request, prepared, outcome) = till.sell(PAN, 12_850);
        let Outcome::Unknown(unknown) = outcome else { panic!("{fault:?}: {outcome:?}") };
        if let Some(expected) = expected {
            assert_eq!(unknown.reason, expected, "{fault:?}");
        }
        let settled = till.resolve(&request, &prepared, &unknown);
        till.acquirer.faults().release();
        assert_eq!(settled == UndoOutcome::NeverExisted, !fault.books(), "{fault:?}: {settled:?}");
        till.books_agree();
        // The next sale goes through as if nothing had been.
        assert!(matches!(till.sell(PAN, 700).2, Outcome::Approved(_)), "after {fault:?}");
        till.books_agree();
    }
}

#[test]
fn answers_that_are_only_slow_doubled_or_in_company_still_count() {
    let mut till = Till::start();
    for fault in [
        Fault::Slow { ms_per_byte: 2 },
        Fault::DuplicateReply {},
        Fault::MergedReplies {},
        Fault::DelayReply { ms: 100 },
    ] {
        till.acquirer.faults().add(Rule::once("sale", fault.clone())).unwrap();
        let outcome = till.sell(PAN, 500).2;
        assert!(matches!(outcome, Outcome::Approved(_)), "{fault:?}: {outcome:?}");
        till.books_agree();
    }
}

#[test]
fn a_reversal_that_is_lost_too_goes_out_again_and_undoes_once() {
    let mut till = Till::start();
    till.acquirer.faults().add(Rule::once("sale", Fault::DropAfterBooking {})).unwrap();
    for fault in [Fault::DropBeforeBooking {}, Fault::DropAfterBooking {}, Fault::WrongSignature {}] {
        till.acquirer.faults().add(Rule::once("reversal", fault)).unwrap();
    }
    let (request, prepared, outcome) = till.sell(PAN, 12_850);
    let Outcome::Unknown(unknown) = outcome else { panic!("{outcome:?}") };
    till.resolve(&request, &prepared, &unknown);
    till.books_agree();
    let entry = till.acquirer.ledger().into_iter().find(|entry| entry.key.trace == "000002").unwrap();
    assert_eq!(entry.state, State::Reversed);
    assert_eq!(entry.reversal_reason.as_deref(), Some("98"));
}

#[test]
fn a_host_that_lost_its_keys_gets_a_sign_in_and_then_the_sale() {
    let mut till = Till::start();
    till.acquirer.forget_keys(TID);
    let Outcome::Declined(decline) = till.sell(PAN, 100).2 else { panic!("not declined") };
    assert_eq!(decline.next, NextStep::SignIn);
    assert!(matches!(till.sell(PAN, 100).2, Outcome::Approved(_)));
    assert_eq!(till.acquirer.sign_ins(TID), 2);
    till.books_agree();
}

#[test]
fn a_closed_port_sends_nothing_and_books_nothing() {
    let mut till = Till::start();
    assert!(till.acquirer.set_up(false));
    assert!(matches!(till.sell(PAN, 100).2, Outcome::NotSent(_)));
    assert_eq!(till.plugin.probe().unwrap().state.as_str(), "offline");
    assert!(till.acquirer.set_up(true));
    assert!(matches!(till.sell(PAN, 100).2, Outcome::Approved(_)));
    till.books_agree();
}

#[test]
fn a_sign_off_is_taken_and_the_next_sale_signs_in_again() {
    let mut till = Till::start();
    till.plugin.sign_off().unwrap();
    assert!(matches!(till.sell(PAN, 100).2, Outcome::Approved(_)));
    assert!(till.acquirer.wait_stats(Duration::from_secs(5), |stats| stats.refused.is_empty()));
    till.books_agree();
}
