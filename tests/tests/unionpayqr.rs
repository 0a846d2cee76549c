//! UnionPay QR through the whole till: paid, found out, reversed, voided, given back, held and completed; both books agree.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use till_dbus::{AfterSales1Proxy, Options};
use till_simulators::faults::{Fault, Rule};
use till_simulators::players::Scan;
use till_simulators::unionpay::{Buyer, Kind, Platform, Settings, State};
use till_tests::scene::until;
use till_tests::{Client, PaymentClient, Rig, RigOptions, staging};

/// The pauses are a tenth of the real ones.
fn config(platform: &Platform) -> String {
    format!(
        r#"
[channel.unionpay]
plugin = "org.tilld.unionpayqr"
name = "银联二维码"
priority = 15
secrets = {{ merchant_private_key = "unionpay-key" }}
[channel.unionpay.settings]
mer_id = "{merchant}"
term_id = "T1234567"
environment = "test"
merchant_certificate_pem = """{certificate}"""
root_pem = """{root}"""
middle_pem = """{middle}"""
gateway = "{gateway}"
insecure_http_for_tests = true
exchange_timeout_ms = 1500
query_first_ms = 150
query_every_ms = 200
query_until_ms = 3000
follow_until_ms = 5000
reverse_pause_ms = 300
reverse_pause_max_ms = 1000
"#,
        merchant = platform.mer_id(),
        certificate = platform.merchant_certificate_pem(),
        root = platform.root_pem(),
        middle = platform.middle_pem(),
        gateway = platform.url(),
    )
}

async fn stand(platform: &Platform) -> (Rig, Client) {
    let options = RigOptions { extra_config: config(platform), ..RigOptions::default() };
    let mut rig = Rig::stand(options).unwrap();
    let manifest = staging::workspace().join("channels/unionpayqr/manifest.toml");
    let library = staging::built().unwrap().join("libtill_channel_unionpayqr.so");
    staging::plugin(&rig.dir.join("plugins"), "org.tilld.unionpayqr", &manifest, &library).unwrap();
    let key = rig.dir.join("secrets/unionpay-key");
    fs::write(&key, platform.merchant_private_pem()).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    (rig, client)
}

fn code(number: u32) -> String {
    format!("62{number:011}000001")
}

/// At rest, and every order of UnionPay is worth what the till says of it.
async fn agreed(rig: &Rig, client: &Client, platform: &Platform) -> i64 {
    let books = rig.at_rest(client).await.unwrap();
    let mut ours = 0;
    for payment in &books.payments {
        for attempt in payment.attempts.iter().filter(|a| a.channel == "unionpay" && a.state == "approved") {
            let amount = attempt.amount.unwrap_or(payment.amount);
            let order = attempt.order.as_deref().unwrap();
            let ledger = platform.ledger();
            let trade = ledger.trade(order).unwrap();
            assert_eq!((trade.amount, trade.state), (amount, State::Done), "order {order}");
            ours += match attempt.kind.as_deref().unwrap_or("sale") {
                "sale" => amount,
                _ => -amount,
            };
        }
    }
    assert_eq!(ours, platform.ledger().kept, "{:?}", platform.ledger().trades);
    ours
}

/// Asks for `minor` and shows the customer's code to the scanner.
async fn scanned(rig: &Rig, client: &Client, minor: i64, code: &str) -> PaymentClient {
    let payment = client.ready(minor).await.unwrap();
    rig.scanner.scan(&Scan::new(code)).unwrap();
    payment
}

async fn booked(platform: &Platform, trades: usize) {
    until("the gateway has it", || async { (platform.ledger().trades.len() == trades).then_some(()) })
        .await
        .unwrap();
}

/// Waits for a leg of a payment, and says what the payment has given back.
async fn returned(client: &Client, payment: &PaymentClient, leg: u32) -> Option<i64> {
    let id = payment.id();
    let over = || async {
        let p = client.details(&id).await.ok()?;
        let state = p.attempts.iter().find(|a| a.attempt == leg)?.state.clone();
        (state == "approved").then_some(p.returned)
    };
    until("the leg is done", over).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unionpay_code_is_paid_found_out_reversed_voided_and_given_back_and_both_books_agree() {
    let mut settings = Settings::default();
    settings.https = None;
    let platform = Platform::start(settings).unwrap();
    let (rig, client) = stand(&platform).await;

    let payment = scanned(&rig, &client, 12_850, &code(1)).await;
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!(agreed(&rig, &client, &platform).await, 12_850);

    // The answer is lost; the query finds it paid.
    platform.faults().add(Rule::once("pay", Fault::DropAfterBooking {})).unwrap();
    let lost = scanned(&rig, &client, 700, &code(2)).await;
    lost.wait(&["paid"]).await.unwrap();
    assert_eq!(agreed(&rig, &client, &platform).await, 13_550);

    // A customer who never confirms: reversed.
    platform.set_buyer(&code(3), Buyer::Ignores);
    let never = scanned(&rig, &client, 900, &code(3)).await;
    booked(&platform, 3).await;
    assert_eq!(platform.ledger().trades[2].state, State::Open);
    assert_eq!(never.wait_attempt(&["approved", "reversed"]).await.unwrap(), "reversed");
    assert_eq!(platform.ledger().trades[2].state, State::Reversed);
    never.cancel().await.unwrap();

    // Not known, no query finds out, and the first reversal's answer is lost too.
    platform.faults().add(Rule::once("pay", Fault::WrongSignature {})).unwrap();
    platform.faults().add(Rule::once("query", Fault::DropBeforeBooking {}).always()).unwrap();
    platform.faults().add(Rule::once("reverse", Fault::DropAfterBooking {})).unwrap();
    let unknown = scanned(&rig, &client, 5_000, &code(4)).await;
    booked(&platform, 4).await;
    assert_eq!(unknown.wait_attempt(&["approved", "reversed"]).await.unwrap(), "reversed");
    platform.faults().clear();
    unknown.cancel().await.unwrap();
    assert_eq!(agreed(&rig, &client, &platform).await, 12_850 + 700);

    // A part goes back; the other payment is voided.
    let after = AfterSales1Proxy::new(client.connection()).await.unwrap();
    let by = |key: &'static str| -> Options<'_> {
        [("operator", "007".into()), ("reason", "cold".into()), ("key", key.into())].into()
    };
    let leg = after.refund(&payment.id(), 850, by("refund-1")).await.unwrap();
    assert_eq!(returned(&client, &payment, leg).await, Some(850));
    assert_eq!(agreed(&rig, &client, &platform).await, 12_000 + 700);
    let leg = after.void(&lost.id(), by("void-1")).await.unwrap();
    assert_eq!(returned(&client, &lost, leg).await, Some(700));
    assert_eq!(agreed(&rig, &client, &platform).await, 12_000);
    let kinds: Vec<Kind> = platform.ledger().trades.iter().skip(4).map(|trade| trade.kind).collect();
    assert_eq!(kinds, [Kind::Refund, Kind::Void]);

    // What a stranger would read: no code, no key.
    let log = rig.log_lines().join("\n");
    assert!((1..=4).all(|n| !log.contains(&code(n))), "a payment code is in the log");
    assert!(!log.contains("PRIVATE KEY"), "a key is in the log");
}

/// The till dies while the payment is on its way: found out after the restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_the_till_died_over_is_found_out() {
    let mut settings = Settings::default();
    settings.https = None;
    let platform = Platform::start(settings).unwrap();
    let (mut rig, client) = stand(&platform).await;
    platform.faults().add(Rule::once("pay", Fault::HoldReply {})).unwrap();
    let payment = scanned(&rig, &client, 4_200, &code(9)).await;
    assert!(platform.faults().wait_fired(1, Duration::from_secs(30)));
    booked(&platform, 1).await;
    rig.kill_till();
    platform.faults().release();
    drop(client);
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let id = payment.id();
    let over = || async {
        let p = client.details(&id).await.ok()?;
        p.attempts.iter().any(|a| a.state == "approved").then_some(())
    };
    until("the payment is found", over).await.unwrap();
    assert_eq!(agreed(&rig, &client, &platform).await, 4_200);
}
