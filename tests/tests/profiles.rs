//! Profiles by time (S13) on the whole till: what is offered changes with the clock, and a sale that has begun does not.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use till_dbus::types::ProfileState;
use till_dbus::{Options, Terminal1Proxy};
use till_tests::scene::{refused, until, wallet_code};
use till_tests::wall::Wall;
use till_tests::{Client, Rig, RigOptions, Watch, watch};

/// 2090-01-01 00:00 UTC.
const FAR: i64 = 3_786_912_000;

fn now_s() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

async fn profile(client: &Client) -> ProfileState {
    let builder = Terminal1Proxy::builder(client.connection());
    let proxy = builder.cache_properties(zbus::proxy::CacheProperties::No).build().await.unwrap();
    proxy.profile().await.unwrap()
}

/// A fair of ten hours on New Year 2090: no wallet, and cash of its own.
const FAIR: &str = r#"
[routing]
off = ["cash"]
[routing.breaker]
in-a-row = 1000
faults = 0
[[routing.profile]]
id = "fair"
from = "2090-01-01T08:00:00Z"
until = "2090-01-01T18:00:00Z"
on = ["cash"]
off = ["alipay"]
[[routing.profile]]
id = "holiday"
from = "2090-01-01T00:00:00Z"
until = "2090-01-02T00:00:00Z"
off = ["bankcard"]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn s13_what_is_offered_follows_the_clock_and_a_sale_that_has_begun_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let wall = Wall::new(dir.path());
    // Just before the fair.
    let hour = 3_600;
    let at = |wall: &Wall, second: i64| wall.ahead(FAR + second - now_s());
    at(&wall, 7 * hour);
    let options = RigOptions { env: wall.env(), routing: FAIR.into(), ..RigOptions::default() };
    let mut rig = Rig::start(options).await.unwrap();
    let client = rig.client().await.unwrap();
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    let holiday =
        ProfileState { id: "holiday".into(), next_ms: (FAR + 8 * hour) * 1_000, next: "fair".into() };
    assert_eq!(profile(&client).await, holiday);
    let cash = client.ready(500).await.unwrap();
    assert_eq!(refused(cash.pay_cash(500).await), "NoRoute");
    cash.cancel().await.unwrap();

    // The customer was offered the wallet; the fair begins before the code is shown.
    let wallet = client.ready(1_000).await.unwrap();
    at(&wall, 9 * hour);
    wallet.pay_code(&wallet_code(1)).await.unwrap();
    wallet.wait(&["paid"]).await.unwrap();
    let terminal = Terminal1Proxy::new(client.connection()).await.unwrap();
    let told = terminal.explain(&wallet.id(), Options::new()).await.unwrap();
    assert!(told[0].text.ends_with(", profile holiday"), "{}", told[0].text);

    // The next one is offered what the fair offers.
    let next = client.ready(1_000).await.unwrap();
    assert_eq!(refused(next.pay_code(&wallet_code(2)).await), "NoRoute");
    next.pay_cash(1_000).await.unwrap();
    next.wait(&["paid"]).await.unwrap();
    let told = terminal.explain(&next.id(), Options::new()).await.unwrap();
    assert!(told[0].text_zh.ends_with("，时段方案 fair"), "{}", told[0].text_zh);
    let (chosen, text, text_zh, record, _) =
        terminal.what_if(1_000, "CNY", "qr-alipay", Options::new()).await.unwrap();
    assert!(chosen.is_empty() && text.contains("the profile fair does not offer it"), "{text}");
    assert!(text_zh.contains("时段方案 fair 不提供该通道") && record.contains("+fair"), "{text_zh} {record}");
    let later = Options::from([("at", ((FAR + 86_400) * 1_000).into())]);
    let (chosen, text, ..) = terminal.what_if(1_000, "CNY", "qr-alipay", later).await.unwrap();
    assert_eq!(chosen, "alipay", "{text}");

    // One signal a change, and the same after a restart.
    let fair = ProfileState { id: "fair".into(), next_ms: (FAR + 18 * hour) * 1_000, next: "holiday".into() };
    until("the fair is told", || async { (profile(&client).await == fair).then_some(()) }).await.unwrap();
    let changes = watch.look(|seen| watch::property(seen, "org.tilld.Terminal1", "Profile").len());
    assert!(changes <= 1, "{changes} signals for one change");
    rig.kill_till();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    assert_eq!(profile(&client).await, fair);
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s13_a_clock_that_nobody_keeps_puts_no_profile_in_force() {
    let routing = "[routing]\noff = [\"cash\"]\n[[routing.profile]]\nid = \"always\"\nfrom = \"2020-01-01T00:00:00Z\"\non = [\"cash\"]\n";
    let options = RigOptions { routing: routing.into(), clock_trust: "never", ..RigOptions::default() };
    let mut rig = Rig::stand(options).unwrap();
    rig.start_till().unwrap();
    let client = rig.wait_up().await.unwrap();
    assert_eq!(profile(&client).await, ProfileState::default());
    let card = || async { (client.channel("cash").await.ok()?.0 == "ready").then_some(()) };
    until("cash is ready", card).await.unwrap();
    let payment = client.ready(500).await.unwrap();
    assert_eq!(refused(payment.pay_cash(500).await), "NoRoute", "what is configured outside profiles holds");
    payment.cancel().await.unwrap();
    assert!(rig.stop_till());
}
