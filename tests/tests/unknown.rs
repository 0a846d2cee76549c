//! Answers that are lost, late, broken or false: never a wrong "paid", never a lost one, and both networks' books agree.

use std::time::Duration;

use till_dbus::events::Change;
use till_simulators::acquirer::ledger::State;
use till_simulators::faults::{Fault, Rule};
use till_simulators::players::Scan;
use till_tests::scene::{TRACKS, again, refused, wallet_code};
use till_tests::{PaymentClient, Rig, RigOptions, Watch};

const LONG: Duration = Duration::from_secs(15);

/// Attempts that nothing more happens to.
const ENDED: &[&str] = &["approved", "declined", "not-sent", "reversed"];

async fn ended(payment: &PaymentClient) -> String {
    // A resolver may take longer than one wait.
    match payment.wait_attempt(ENDED).await {
        Ok(state) => state,
        Err(_) => payment.wait_attempt(ENDED).await.unwrap_or_else(|e| e.to_string()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_wallet_answer_however_broken_makes_a_wrong_payment() {
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let cases = [
        (Fault::DropBeforeBooking {}, "reversed"),
        (Fault::DropAfterBooking {}, "approved"),
        (Fault::WrongSignature {}, "approved"),
        (Fault::Unsigned {}, "approved"),
        (Fault::WrongAmount { by: 100 }, "approved"),
        (Fault::WrongReference {}, "approved"),
        (Fault::HalfReply {}, "approved"),
        (Fault::Garbage {}, "approved"),
        (Fault::HttpStatus { status: 500 }, "reversed"),
        (Fault::Slow { ms_per_byte: 50 }, "approved"),
        (Fault::Reset { booked: true }, "approved"),
        (Fault::Reset { booked: false }, "reversed"),
    ];
    let mut paid = 0;
    for (number, (fault, expected)) in (0_u64..).zip(cases) {
        let kind = fault.kind();
        let amount = 1_000 + i64::try_from(number).unwrap();
        rig.gateway.faults().add(Rule::once("alipay.trade.pay", fault)).unwrap();
        let payment = client.ready(amount).await.unwrap();
        rig.scanner.scan(&Scan::new(wallet_code(number))).unwrap();
        let attempt = ended(&payment).await;
        assert_eq!(attempt, expected, "after {kind}");
        let state = payment.state().await.unwrap();
        if expected == "approved" {
            assert_eq!(state, "paid", "after {kind}");
            paid += amount;
        } else {
            assert_eq!(state, "ready", "after {kind}: the customer is still there and may pay otherwise");
            payment.cancel().await.unwrap();
        }
        rig.books(&client).await.unwrap_or_else(|e| panic!("after {kind}: {e}"));
    }
    // A gateway that lies about the amount every time, also when asked: money moved, and nobody may say how much.
    rig.gateway
        .faults()
        .add(Rule::once("alipay.trade.pay", Fault::WrongAmount { by: -999 }).always())
        .unwrap();
    rig.gateway
        .faults()
        .add(Rule::once("alipay.trade.query", Fault::WrongAmount { by: 1 }).always())
        .unwrap();
    let payment = client.ready(5_000).await.unwrap();
    rig.scanner.scan(&Scan::new(wallet_code(99))).unwrap();
    assert_eq!(ended(&payment).await, "reversed");
    rig.gateway.faults().clear();
    let books = rig.at_rest(&client).await.unwrap();
    assert_eq!(books.wallet, paid);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_gateway_away_the_payment_goes_on_in_the_background_and_the_till_is_free() {
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    let faults = rig.gateway.faults();
    faults.add(Rule::once("alipay.trade.pay", Fault::DropAfterBooking {})).unwrap();
    faults.add(Rule::once("alipay.trade.query", Fault::DropBeforeBooking {}).always()).unwrap();
    faults.add(Rule::once("alipay.trade.cancel", Fault::DropBeforeBooking {}).always()).unwrap();
    let lost = client.ready(7_000).await.unwrap();
    rig.scanner.scan(&Scan::new(wallet_code(1))).unwrap();
    watch
        .wait("the till says that an undo is pending", |seen| {
            seen.iter()
                .any(|e| matches!(&e.change, Change::Alarm { code, .. } if code == "undo-pending"))
                .then_some(())
        })
        .await
        .unwrap();

    // Nobody else can take that payment meanwhile, whatever is tried.
    assert_eq!(lost.state().await.unwrap(), "tendering");
    assert_eq!(refused(lost.pay_cash(7_000).await), "WrongState");
    assert_eq!(refused(lost.pay_code(&wallet_code(2)).await), "WrongState");

    // But the next customer can pay.
    let next = client.ready(900).await.unwrap();
    next.pay_cash(1_000).await.unwrap();
    next.wait(&["paid"]).await.unwrap();
    assert_eq!(lost.state().await.unwrap(), "tendering");
    assert_eq!(rig.gateway.ledger().trades.len(), 1, "the money is over there all the while");

    faults.clear();
    lost.wait(&["cancelled"]).await.unwrap();
    assert_eq!(lost.attempt_state().await.unwrap(), "reversed");
    let books = rig.at_rest(&client).await.unwrap();
    assert_eq!((books.wallet, books.cash), (0, 900));
    assert_eq!(rig.gateway.ledger().totals.kept.yuan(), "0.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acquirer_answer_that_cannot_be_trusted_sends_the_armed_reversal() {
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    // Fault, how the attempt ends, and field 39 of the reversal where one goes out.
    let cases = [
        (Fault::DropAfterBooking {}, "reversed", Some("98")),
        (Fault::DropBeforeBooking {}, "reversed", None),
        (Fault::WrongSignature {}, "reversed", Some("A0")),
        (Fault::Unsigned {}, "reversed", Some("A0")),
        (Fault::WrongAmount { by: 1 }, "reversed", Some("06")),
        (Fault::WrongReference {}, "reversed", Some("98")),
        (Fault::HalfReply {}, "reversed", Some("98")),
        (Fault::Reset { booked: true }, "reversed", Some("98")),
        (Fault::MergedReplies {}, "approved", None),
        (Fault::DuplicateReply {}, "approved", None),
        // A byte at a time is slow, not wrong; a byte a second is too late.
        (Fault::Slow { ms_per_byte: 3 }, "approved", None),
        (Fault::Slow { ms_per_byte: 1_000 }, "reversed", Some("98")),
    ];
    let mut approved = 0;
    for (amount, (fault, expected, reason)) in (2_000..).zip(cases) {
        let kind = format!("{fault:?}");
        rig.acquirer.faults().add(Rule::once("sale", fault)).unwrap();
        let payment = client.ready(amount).await.unwrap();
        rig.reader.swipe(&again(TRACKS)).unwrap();
        assert_eq!(ended(&payment).await, expected, "after {kind}");
        if expected == "approved" {
            approved += amount;
            assert_eq!(payment.state().await.unwrap(), "paid", "after {kind}");
        } else {
            assert_eq!(payment.state().await.unwrap(), "ready", "after {kind}");
            payment.cancel().await.unwrap();
        }
        if let Some(reason) = reason {
            let ledger = rig.acquirer.ledger();
            let entry = ledger.iter().max_by_key(|e| e.key.trace.clone()).unwrap();
            assert_eq!(entry.state, State::Reversed, "after {kind}");
            assert_eq!(entry.reversal_reason.as_deref(), Some(reason), "after {kind}");
        }
        rig.books(&client).await.unwrap_or_else(|e| panic!("after {kind}: {e}"));
    }
    assert_eq!(rig.books(&client).await.unwrap().card, approved);

    // The acquirer is away: nothing was sent, and the customer pays otherwise.
    assert!(rig.acquirer.set_up(false));
    let payment = client.ready(3_000).await.unwrap();
    rig.reader.swipe(&again(TRACKS)).unwrap();
    assert_eq!(ended(&payment).await, "not-sent");
    payment.pay_cash(3_000).await.unwrap();
    payment.wait(&["paid"]).await.unwrap();
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reversal_that_nobody_answers_goes_to_people_and_blocks_only_its_channel() {
    let mut rig = Rig::start(RigOptions { acquirer_ms: 1_000, ..RigOptions::default() }).await.unwrap();
    let client = rig.client().await.unwrap();
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    rig.acquirer.faults().add(Rule::once("sale", Fault::DropAfterBooking {})).unwrap();
    rig.acquirer.faults().add(Rule::once("reversal", Fault::DropBeforeBooking {}).always()).unwrap();
    let lost = client.ready(6_600).await.unwrap();
    rig.reader.swipe(&again(TRACKS)).unwrap();
    for _ in 0..3 {
        if lost.wait(&["review"]).await.is_ok() {
            break;
        }
    }
    assert_eq!(lost.state().await.unwrap(), "review");
    assert_eq!(rig.acquirer.faults().fired().iter().filter(|f| f.on == "reversal").count(), 3);
    let about = watch
        .wait("a critical alarm", |seen| {
            seen.iter().find_map(|e| match &e.change {
                Change::Alarm { level, code, payment, .. } if level == "critical" && code == "review" => {
                    Some(payment.clone())
                }
                _ => None,
            })
        })
        .await
        .unwrap();
    assert_eq!(about, lost.path);

    // Also after a restart: the card channel has its reversal slot taken, cash does not care.
    for restart in [false, true] {
        if restart {
            rig.kill_till();
            rig.start_till().unwrap();
        }
        let client = rig.wait_ready().await.unwrap();
        let watch = Watch::new(rig.bus.address()).await.unwrap();
        let next = client.ready(700).await.unwrap();
        rig.reader.swipe(&again(TRACKS)).unwrap();
        let (reason, text, _) = watch.refusal(0).await.unwrap();
        assert_eq!(reason, "no-route");
        assert!(text.contains("bankcard") && text.contains("not resolved"), "{text}");
        next.pay_cash(700).await.unwrap();
        next.wait(&["paid"]).await.unwrap();
        assert_eq!(client.details(&lost.id()).await.unwrap().state, "review");
    }
    assert!(rig.printer.wait_receipts(2, LONG).is_some());
    let books = rig.books(&client_of(&rig).await).await.unwrap();
    assert_eq!((books.card, books.cash, books.open.len()), (0, 1_400, 1));
}

async fn client_of(rig: &Rig) -> till_tests::Client {
    rig.client().await.unwrap_or_else(|e| panic!("{e}"))
}
