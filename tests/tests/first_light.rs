//! The main job, end to end, on real plugins: points 1–7 of first light.

use std::time::Duration;

use till_simulators::faults::{Fault, Rule};
use till_simulators::players::{Scan, Swipe};
use till_tests::{Rig, RigOptions};

const WALLET_CODE: &str = "281234567890123456";
const TRACKS: &str = "%B6200000000000005^TEST/CARD^3012101000000000?;6200000000000005=301210100000?";
const LONG: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn a_scanned_wallet_code_is_paid_and_its_receipt_printed() {
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let payment = client.open(12_850, "").await.unwrap();
    assert_eq!(payment.state().await.unwrap(), "draft");
    payment.confirm(12_850).await.unwrap();
    rig.scanner.scan(&Scan::new(WALLET_CODE)).unwrap();
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!(payment.channel().await.unwrap(), "alipay");
    let receipts = rig.printer.wait_receipts(1, LONG).expect("a receipt is printed");
    let text = receipts[0].text();
    assert!(text.contains("好味小馆") && text.contains("128.50") && text.contains("支付宝"), "{text}");
    assert!(rig.printer.unknown().is_empty(), "{:?}", rig.printer.unknown());
    let ledger = rig.gateway.ledger();
    assert_eq!(ledger.trades.len(), 1);
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swiped_card_is_authorised_at_the_acquirer() {
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let payment = client.ready(8_800).await.unwrap();
    rig.reader.swipe(&Swipe::new(TRACKS)).unwrap();
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!(payment.channel().await.unwrap(), "bankcard");
    let text = rig.printer.wait_receipts(1, LONG).expect("a receipt is printed")[0].text();
    assert!(text.contains("620000******0005") && text.contains("88.00"), "{text}");
    assert_eq!(rig.acquirer.ledger().len(), 1);
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn cash_gives_change_and_opens_the_drawer() {
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let payment = client.ready(4_250).await.unwrap();
    payment.pay_cash(5_000).await.unwrap();
    payment.wait(&["paid"]).await.unwrap();
    let text = rig.printer.wait_receipts(1, LONG).expect("a receipt is printed")[0].text();
    assert!(text.contains("找零") && text.contains("7.50"), "{text}");
    assert!(rig.printer.wait(LONG, |p| !p.pulses().is_empty()), "the drawer opens");
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_wallet_answer_is_asked_for_and_kept() {
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    rig.gateway.faults().add(Rule::once("alipay.trade.pay", Fault::DropAfterBooking {})).unwrap();
    let payment = client.ready(1_000).await.unwrap();
    rig.scanner.scan(&Scan::new(WALLET_CODE)).unwrap();
    payment.wait_attempt(&["querying"]).await.unwrap();
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!(rig.gateway.ledger().totals.paid, rig.gateway.ledger().totals.kept);
    rig.at_rest(&client).await.unwrap();
}
