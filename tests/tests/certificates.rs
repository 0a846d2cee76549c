//! Alipay in certificate mode through the whole till: the certificates are files that its confined process reads; Alipay changes its
//! own while the till sells, and somebody else's is worth nothing.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use till_dbus::{AfterSales1Proxy, Options};
use till_simulators::faults::{Fault, Rule};
use till_simulators::players::Scan;
use till_tests::scene::{until, wallet_code};
use till_tests::{Client, PaymentClient, Rig, RigOptions};

const DOWNLOAD: &str = "alipay.open.app.alipaycert.download";

async fn scanned(rig: &Rig, client: &Client, minor: i64, code: u64) -> PaymentClient {
    let payment = client.ready(minor).await.unwrap();
    rig.scanner.scan(&Scan::new(wallet_code(code))).unwrap();
    payment
}

#[tokio::test(flavor = "multi_thread")]
async fn alipay_in_certificate_mode_sells_refunds_and_changes_its_certificate() {
    let options = RigOptions { wallet_certificates: true, ..RigOptions::default() };
    let rig = Rig::start(options).await.unwrap();
    let client = rig.client().await.unwrap();
    let first = scanned(&rig, &client, 12_850, 1).await;
    assert_eq!(first.wait(&["paid"]).await.unwrap(), "paid");

    // From the next answer on under another certificate: fetched, and the sale is none the later.
    rig.gateway.faults().add(Rule::once("alipay.trade.pay", Fault::KeyRotated {})).unwrap();
    let second = scanned(&rig, &client, 700, 2).await;
    assert_eq!(second.wait(&["paid"]).await.unwrap(), "paid");
    assert_eq!(rig.gateway.ledger().requests_of(DOWNLOAD).count(), 1);

    // Somebody else's, at the payment and at each question: not believed, and what was booked goes back.
    for operation in ["alipay.trade.pay", "alipay.trade.query"] {
        rig.gateway.faults().add(Rule::once(operation, Fault::ForeignCertificate {}).always()).unwrap();
    }
    let third = scanned(&rig, &client, 5_000, 3).await;
    assert_eq!(third.wait_attempt(&["approved", "reversed"]).await.unwrap(), "reversed");
    rig.gateway.faults().clear();
    third.cancel().await.unwrap();

    let after = AfterSales1Proxy::new(client.connection()).await.unwrap();
    let by: Options<'_> =
        [("operator", "007".into()), ("reason", "cold".into()), ("key", "refund-1".into())].into();
    let leg = after.refund(&first.id(), 850, by).await.unwrap();
    let id = first.id();
    let over = async || {
        let told = client.details(&id).await.ok()?;
        (told.attempts.iter().find(|a| a.attempt == leg)?.state == "approved").then_some(told.returned)
    };
    assert_eq!(until("the refund is done", over).await.unwrap(), Some(850));
    let books = rig.at_rest(&client).await.unwrap();
    assert_eq!((books.wallet, rig.gateway.ledger().totals.kept.get()), (12_700, 12_700));
    let log = rig.log_lines().join("\n");
    assert!(log.contains("alipay_certificate"), "nobody is told to renew the setting");
    assert!(!log.contains("PRIVATE KEY"), "a key is in the log");
}
