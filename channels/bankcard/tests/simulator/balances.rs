//! Balance inquiries: told as the host has it, and whatever happens to the answer, no book moves and nothing is owed.

use super::{PAN, START, Till, cny, sm4, swipe};
use std::time::Duration;
use till_plugin::channel::{Authorise, Decline, FollowKind, Outcome, SettleOutcome, balance, pin};
use till_plugin::{Channel, Money};
use till_simulators::acquirer::HostConfig;
use till_simulators::acquirer::cards::Card;
use till_simulators::acquirer::mac::MacAlgorithm;
use till_simulators::acquirer::money::Fen;
use till_simulators::faults::{Fault, Rule};

fn allow(settings: &mut serde_json::Value) {
    settings["balance_without_pin"] = true.into();
}

/// Both kinds of keys.
fn tills() -> [Till; 2] {
    let both = |settings: &mut serde_json::Value| {
        sm4::speak(settings);
        allow(settings);
    };
    let host = HostConfig { mac: MacAlgorithm::Sm4Cbc, ..HostConfig::default() };
    [Till::with(allow, HostConfig::default()), Till::with(both, host)]
}

impl Till {
    fn inquiry(&mut self, pan: &str) -> Authorise {
        self.request(swipe(pan), 0)
    }

    fn ask(&mut self, pan: &str) -> Result<Money, Decline> {
        let request = self.inquiry(pan);
        self.plugin.balance(&request)
    }

    fn code(&mut self, pan: &str) -> String {
        self.ask(pan).unwrap_err().code
    }
}

#[test]
fn what_the_host_has_is_told_before_and_after_a_sale() {
    for mut till in tills() {
        assert_eq!(till.ask(PAN), Ok(cny(START)));
        assert!(matches!(till.sell(PAN, 12_850).2, Outcome::Approved(_)));
        assert_eq!(till.ask(PAN), Ok(cny(START - 12_850)));
        let owed = Card { balance: Fen::new(-5_000), ..Card::default() };
        till.acquirer.set_card("4761739001010119", owed);
        assert_eq!(till.ask("4761739001010119"), Ok(cny(-5_000)));
        till.books_agree();
        assert_eq!(till.acquirer.ledger().len(), 1, "an inquiry was booked");
    }
}

#[test]
fn a_no_gives_the_hosts_reason() {
    for mut till in tills() {
        for (pan, code) in
            [("4000000000009995", "51"), ("4000000000009987", "41"), ("6200000000000013", "14")]
        {
            assert_eq!(till.code(pan), code);
        }
        till.books_agree();
    }
}

#[test]
fn whatever_happens_to_the_answer_nothing_is_told_booked_or_owed() {
    for mut till in tills() {
        let faults = [
            (Fault::DropBeforeBooking {}, balance::UNANSWERED),
            (Fault::DropAfterBooking {}, balance::UNANSWERED),
            (Fault::Reset { booked: true }, balance::UNANSWERED),
            (Fault::HoldReply {}, balance::UNANSWERED),
            (Fault::HalfReply {}, balance::UNANSWERED),
            (Fault::WrongReference {}, balance::UNANSWERED),
            (Fault::Garbage {}, balance::BAD_ANSWER),
            (Fault::WrongSignature {}, balance::BAD_ANSWER),
            (Fault::Unsigned {}, balance::BAD_ANSWER),
        ];
        for (fault, code) in faults {
            till.acquirer.faults().add(Rule::once("balance", fault.clone())).unwrap();
            assert_eq!(till.code(PAN), code, "{fault:?}");
            till.acquirer.faults().release();
            // The next sale goes through as if nothing had been: signed in again where the keys are in doubt.
            assert!(matches!(till.sell(PAN, 700).2, Outcome::Approved(_)), "after {fault:?}");
            till.books_agree();
        }
        let reversals = till.acquirer.ledger().iter().filter(|entry| entry.reversal_reason.is_some()).count();
        assert_eq!(reversals, 0);
        let told = [Fault::Slow { ms_per_byte: 1 }, Fault::DuplicateReply {}, Fault::MergedReplies {}];
        for fault in told {
            till.acquirer.faults().add(Rule::once("balance", fault.clone())).unwrap();
            assert!(till.ask(PAN).is_ok(), "{fault:?}");
        }
    }
}

#[test]
fn a_field_54_that_is_none_is_not_told() {
    for mut till in tills() {
        for bad in
            ["1002840C000000000001", "1001156C000000000001", "1002156C00000000000", "????156C000000000001"]
        {
            let card = Card { field54: Some(bad.into()), ..Card::default() };
            till.acquirer.set_card(PAN, card);
            assert_eq!(till.code(PAN), balance::BAD_ANSWER, "{bad}");
        }
        let several = "1002840C000000000001".to_owned() + "1002156C000000000002" + "0002156D000000000003";
        till.acquirer.set_card(PAN, Card { field54: Some(several), ..Card::default() });
        assert_eq!(till.ask(PAN), Ok(cny(-3)));
    }
}

#[test]
fn a_host_that_wants_the_pin_gets_it_from_a_pad_only() {
    let host = HostConfig { balance_wants_pin: true, ..HostConfig::default() };
    let mut till = Till::with(
        |settings| {
            allow(settings);
            settings["dialect"]["request"] = serde_json::json!({ "pin_ksn_field": 62 });
        },
        host,
    );
    assert_eq!(till.code(PAN), "55", "without a pad the acquirer decides");
    let mut request = till.inquiry(PAN);
    request.extra.insert(pin::PAD.into(), "ready".into());
    let received = till.acquirer.stats().received;
    assert_eq!(till.plugin.balance(&request).unwrap_err().code, pin::NEEDED);
    assert_eq!(till.acquirer.stats().received, received, "nothing left");
}

#[test]
fn while_a_batch_is_settled_nobody_is_asked() {
    for mut till in tills() {
        assert!(matches!(till.sell(PAN, 700).2, Outcome::Approved(_)));
        let batch = till.batch;
        // Its end mark is still to come.
        assert_eq!(till.settle(batch), SettleOutcome::Balanced);
        let received = till.acquirer.stats().received;
        assert_eq!(till.code(PAN), "settling");
        assert_eq!(till.acquirer.stats().received, received, "nothing left");
    }
}

#[test]
fn signed_out_or_before_a_reversal_nobody_is_asked() {
    for mut till in tills() {
        till.plugin.sign_off().unwrap();
        assert_eq!(till.code(PAN), "not-signed-in");
        till.sign_in();
        till.acquirer.faults().add(Rule::once("sale", Fault::DropAfterBooking {})).unwrap();
        let (request, prepared, outcome) = till.sell(PAN, 700);
        let Outcome::Unknown(unknown) = outcome else { panic!("{outcome:?}") };
        assert_eq!(till.code(PAN), "reversal-pending");
        till.resolve(&request, &prepared, &unknown);
        assert_eq!(till.ask(PAN), Ok(cny(START)));
        // A card that is there again for a void names its account only: it is no inquiry.
        let sale = till.sold(300, false);
        let void = till.following(FollowKind::Void, &sale, 300);
        assert_eq!(till.done(&void), "approved");
        till.books_agree();
        assert!(till.acquirer.wait_stats(Duration::from_secs(5), |stats| stats.refused.is_empty()));
    }
}
