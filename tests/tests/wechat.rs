//! WeChat Pay through the whole till: paid, paid after a password, not known and reversed, given back; both books agree.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use till_dbus::{AfterSales1Proxy, Options};
use till_simulators::faults::{Fault, Rule};
use till_simulators::players::Scan;
use till_simulators::wechatpay::{Buyer, Platform, Settings, State};
use till_tests::scene::until;
use till_tests::{Client, PaymentClient, Rig, RigOptions, staging};

/// The pauses are a tenth of the real ones; only with a simulator may a reverse come sooner than after 15 s.
fn config(platform: &Platform) -> String {
    format!(
        r#"
[channel.wechat]
plugin = "org.tilld.wechatpay"
name = "微信支付"
priority = 15
secrets = {{ merchant_private_key = "wechat-key" }}
[channel.wechat.settings]
appid = "{appid}"
mchid = "{mchid}"
merchant_serial = "{serial}"
platform_public_key = """{public}"""
platform_public_key_id = "{id}"
gateway = "{gateway}"
insecure_http_for_tests = true
exchange_timeout_ms = 1500
query_first_ms = 150
query_every_ms = 200
query_until_ms = 3000
refund_until_ms = 5000
reverse_not_before_ms = 1500
reverse_pause_ms = 300
reverse_pause_max_ms = 1000
"#,
        appid = platform.appid(),
        mchid = platform.mchid(),
        serial = platform.merchant_serial(),
        public = platform.public_pem(),
        id = platform.key_id(),
        gateway = platform.url(),
    )
}

async fn stand(platform: &Platform) -> (Rig, Client) {
    let options = RigOptions { extra_config: config(platform), ..RigOptions::default() };
    let mut rig = Rig::stand(options).unwrap();
    let manifest = staging::workspace().join("channels/wechatpay/manifest.toml");
    let library = staging::built().unwrap().join("libtill_channel_wechatpay.so");
    staging::plugin(&rig.dir.join("plugins"), "org.tilld.wechatpay", &manifest, &library).unwrap();
    let key = rig.dir.join("secrets/wechat-key");
    fs::write(&key, platform.merchant_private_pem()).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    (rig, client)
}

fn code(number: u32) -> String {
    format!("13{number:010}000001")
}

/// At rest, and every order of the platform is worth what the till says of it.
async fn agreed(rig: &Rig, client: &Client, platform: &Platform) -> i64 {
    let books = rig.at_rest(client).await.unwrap();
    let mut ours = 0;
    for payment in &books.payments {
        for attempt in payment.attempts.iter().filter(|a| a.channel == "wechat" && a.state == "approved") {
            let amount = attempt.amount.unwrap_or(payment.amount);
            let kind = attempt.kind.as_deref().unwrap_or("sale");
            if kind == "sale" {
                let order = attempt.order.as_deref().unwrap();
                assert_eq!(platform.ledger().trade(order).unwrap().total, amount, "order {order}");
            }
            ours += if kind == "sale" { amount } else { -amount };
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

#[tokio::test(flavor = "multi_thread")]
async fn a_wechat_code_is_paid_waited_for_reversed_and_given_back_and_both_books_agree() {
    let mut settings = Settings::default();
    settings.https = None;
    let platform = Platform::start(settings).unwrap();
    let (rig, client) = stand(&platform).await;

    let payment = scanned(&rig, &client, 12_850, &code(1)).await;
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!(agreed(&rig, &client, &platform).await, 12_850);

    // The password is typed while the till asks.
    platform.set_buyer(&code(2), Buyer::Types { seconds: 20 });
    let typing = scanned(&rig, &client, 700, &code(2)).await;
    until("the platform has it", || async { (platform.ledger().trades.len() == 2).then_some(()) })
        .await
        .unwrap();
    assert_eq!(platform.ledger().trades[1].state, State::UserPaying);
    platform.advance(Duration::from_secs(21));
    typing.wait(&["paid"]).await.unwrap();

    // A customer who never types it: reversed.
    platform.set_buyer(&code(3), Buyer::Ignores);
    let never = scanned(&rig, &client, 900, &code(3)).await;
    until("the platform has it", || async { (platform.ledger().trades.len() == 3).then_some(()) })
        .await
        .unwrap();
    // The platform has its 15 s by its own clock, which the test moves.
    platform.advance(Duration::from_secs(16));
    assert_eq!(never.wait_attempt(&["approved", "reversed"]).await.unwrap(), "reversed");
    assert_eq!(platform.ledger().trades[2].state, State::Revoked);
    never.cancel().await.unwrap();

    // Not known, and no query finds out: sent back, and not sooner than the rule says.
    platform.faults().add(Rule::once("codepay", Fault::DropAfterBooking {})).unwrap();
    platform.faults().add(Rule::once("query", Fault::DropBeforeBooking {}).always()).unwrap();
    let unknown = scanned(&rig, &client, 5_000, &code(4)).await;
    until("the platform has it", || async { (platform.ledger().trades.len() == 4).then_some(()) })
        .await
        .unwrap();
    platform.advance(Duration::from_secs(16));
    assert_eq!(unknown.wait_attempt(&["approved", "reversed"]).await.unwrap(), "reversed");
    platform.faults().clear();
    unknown.cancel().await.unwrap();
    assert_eq!(agreed(&rig, &client, &platform).await, 12_850 + 700);

    let after = AfterSales1Proxy::new(client.connection()).await.unwrap();
    let by: Options<'_> =
        [("operator", "007".into()), ("reason", "cold".into()), ("key", "refund-1".into())].into();
    let leg = after.refund(&payment.id(), 850, by).await.unwrap();
    let id = payment.id();
    let over = || async {
        let p = client.details(&id).await.ok()?;
        let state = p.attempts.iter().find(|a| a.attempt == leg)?.state.clone();
        (state == "approved").then_some(p.returned)
    };
    assert_eq!(until("the refund is done", over).await.unwrap(), Some(850));
    assert_eq!(agreed(&rig, &client, &platform).await, 12_000 + 700);
    let log = rig.log_lines().join("\n");
    assert!((1..=4).all(|n| !log.contains(&code(n))), "a payment code is in the log");
}
