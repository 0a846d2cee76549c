//! Which channel: maintenance, failover and breakers on the whole till, and what people are told of it.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use till_dbus::events::{Change, Event};
use till_dbus::types::{BreakerRow, DecisionRow, Maintenance};
use till_dbus::{Channel1Proxy, Options, Terminal1Proxy, paths};
use till_simulators::acquirer::{Acquirer, AcquirerConfig};
use till_simulators::players::Swipe;
use till_tests::scene::{TRACKS, again, until, wallet_code};
use till_tests::{Client, Rig, RigOptions, Watch};

/// A second bank-card channel, after the first one.
fn backup(acquirer: &Acquirer) -> String {
    format!(
        r#"
[channel.backup]
plugin = "org.tilld.bankcard"
priority = 90
secrets = {{ tmk = "tmk" }}
[channel.backup.settings]
address = "{}"
terminal = "12345678"
merchant = "123456789012345"
no_pin = "accept"
tls = false
"#,
        acquirer.addr()
    )
}

/// A till with both, ready for cards.
async fn open(second: &Acquirer, routing: &str) -> (Rig, Client) {
    let (extra_config, routing) = (backup(second), routing.to_owned());
    let mut rig = Rig::stand(RigOptions { extra_config, routing, ..RigOptions::default() }).unwrap();
    rig.start_till().unwrap();
    let client = rig.wait_up().await.unwrap();
    ready(&client).await;
    (rig, client)
}

async fn ready(client: &Client) {
    for channel in ["alipay", "backup", "bankcard"] {
        let at = || async { (client.channel(channel).await.ok()?.0 == "ready").then_some(()) };
        until(&format!("{channel} ready"), at).await.unwrap();
    }
    let device = || async { (client.device("cardreader").await.ok()?.0 == "ready").then_some(()) };
    until("the card reader is ready", device).await.unwrap();
}

async fn channel<'a>(client: &Client, id: &str) -> Channel1Proxy<'a> {
    let builder = Channel1Proxy::builder(client.connection()).path(paths::channel(id).unwrap());
    builder.cache_properties(zbus::proxy::CacheProperties::No).build().await.unwrap()
}

async fn explain(client: &Client, id: &str) -> Vec<DecisionRow> {
    let terminal = Terminal1Proxy::new(client.connection()).await.unwrap();
    terminal.explain(id, Options::new()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn s9_maintenance_is_shown_and_kept_to_and_what_if_looks_beyond_it() {
    let second = Acquirer::start(AcquirerConfig::default()).unwrap();
    let windows = r#"
[[routing.window]]
channels = ["bankcard"]
from = "2020-01-01T00:00:00Z"
until = "2090-01-01T00:00:00Z"
[[routing.window]]
channels = ["bankcard", "backup"]
from = "2095-01-01T00:00:00Z"
until = "2095-01-02T00:00:00Z"
[routing.breaker]
in-a-row = 1000
faults = 0
"#;
    let (rig, client) = open(&second, windows).await;
    let (closed, ahead) = (2_524_608_000_000 + 1_262_304_000_000, 3_944_678_400_000);
    let standing = |id| {
        let client = &client;
        async move { channel(client, id).await.maintenance().await.unwrap() }
    };
    let bank = Maintenance {
        state: "closed".into(),
        until_ms: closed,
        next_from_ms: ahead,
        next_until_ms: ahead + 86_400_000,
        kind: "down".into(),
    };
    until("the window is shown", || async { (standing("bankcard").await == bank).then_some(()) })
        .await
        .unwrap();
    assert_eq!(standing("backup").await, Maintenance { state: "open".into(), until_ms: 0, ..bank });
    let blockers = client.blockers().await.unwrap();
    assert!(
        blockers
            .iter()
            .any(|(who, code, ..)| (who.as_str(), code.as_str()) == ("bankcard", "channel-closed"))
    );

    let payment = client.ready(2_000).await.unwrap();
    rig.reader.swipe(&Swipe::new(TRACKS)).unwrap();
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!(payment.channel().await.unwrap(), "backup");
    let told = explain(&client, &payment.id()).await;
    assert_eq!(told.len(), 1);
    assert!(
        told[0].text.contains("bankcard: not: closed for maintenance until 2090-01-01"),
        "{}",
        told[0].text
    );
    assert!(told[0].text_zh.contains("由 backup 受理"), "{}", told[0].text_zh);

    let terminal = Terminal1Proxy::new(client.connection()).await.unwrap();
    let at = |ms: i64| Options::from([("at", ms.into())]);
    let (chosen, text, _, record, _) =
        terminal.what_if(2_000, "CNY", "card-stripe", at(closed)).await.unwrap();
    assert_eq!(chosen, "bankcard", "{text}");
    assert!(record.contains("\"chosen\":\"bankcard\""), "{record}");
    let (chosen, text, text_zh, _, instead) =
        terminal.what_if(2_000, "CNY", "card-stripe", at(ahead)).await.unwrap();
    assert_eq!(chosen, "", "both are closed then: {text}");
    assert!(text_zh.contains("没有可用通道"), "{text_zh}");
    let others: Vec<_> = instead.iter().map(|i| (i.family.as_str(), i.channel.as_str(), i.fee)).collect();
    assert!(
        others.contains(&("cash", "cash", -1)) && others.contains(&("qr-alipay", "alipay", -1)),
        "{others:?}"
    );
    let nobody = terminal.what_if(2_000, "CNY", "", Options::new()).await.unwrap_err();
    assert!(nobody.to_string().contains("family"), "{nobody}");
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s8_s10_s14_a_dead_network_costs_the_customer_nothing_and_comes_back_without_a_probe_of_money() {
    let second = Acquirer::start(AcquirerConfig::default()).unwrap();
    let (mut rig, client) = open(
        &second,
        "[routing]\nsticky = false\n[routing.breaker]\nin-a-row = 1\npause-s = 1\npause-max-s = 1\n",
    )
    .await;
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    assert!(rig.acquirer.set_up(false));

    // One swipe, two channels, one sale.
    let payment = client.ready(2_000).await.unwrap();
    rig.reader.swipe(&Swipe::new(TRACKS)).unwrap();
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!(payment.channel().await.unwrap(), "backup");
    assert_eq!((rig.acquirer.ledger().len(), second.ledger().len()), (0, 1));
    let told = explain(&client, &payment.id()).await;
    assert_eq!(told.len(), 2);
    assert!(told[0].text.contains("bankcard takes it"), "{}", told[0].text);
    assert!(told[1].text.contains("backup takes it"), "{}", told[1].text);
    // Its breaker or the attempt before: the first reason that hits is named.
    assert!(told[1].decision.contains("Breaker"), "{}", told[1].decision);
    let opened = |e: &Event| matches!(&e.change, Change::Alarm { code, .. } if code == "breaker-open");
    watch.wait("the alarm", |seen| seen.iter().any(opened).then_some(())).await.unwrap();

    // The next one goes to the backup at once.
    let next = client.ready(3_000).await.unwrap();
    rig.reader.swipe(&again(TRACKS)).unwrap();
    next.wait(&["paid"]).await.unwrap();
    assert_eq!(explain(&client, &next.id()).await.len(), 1);
    assert_eq!(next.channel().await.unwrap(), "backup");

    // What a restart finds in the journal keeps it open.
    rig.kill_till();
    rig.start_till().unwrap();
    let client = rig.wait_up().await.unwrap();
    let found = explain(&client, &payment.id()).await;
    assert_eq!(found, told, "explained from the journal alone");
    let breakers =
        |client: Client| async move { channel(&client, "bankcard").await.breakers().await.unwrap() };
    let open: Vec<BreakerRow> = breakers(client.clone()).await;
    assert_eq!(open.first().map(|b| (b.operation.as_str(), b.state.as_str())), Some(("sale", "open")));

    // The network comes back: it signs in or answers an echo, and then one sale closes the breaker.
    assert!(rig.acquirer.set_up(true));
    ready(&client).await;
    until("half open", || async {
        let now = breakers(client.clone()).await;
        (now.first()?.state == "half-open").then_some(())
    })
    .await
    .unwrap();
    assert_eq!(rig.acquirer.ledger().len(), 0, "nobody asked with money");
    let back = client.ready(4_000).await.unwrap();
    rig.reader.swipe(&again(TRACKS)).unwrap();
    back.wait(&["paid"]).await.unwrap();
    assert_eq!(back.channel().await.unwrap(), "bankcard");
    until("closed", || async { breakers(client.clone()).await.is_empty().then_some(()) }).await.unwrap();

    // Codes have one channel here: a fault of theirs has nowhere to go, and nothing is made up.
    let wallet = client.ready(1_000).await.unwrap();
    wallet.pay_code(&wallet_code(7)).await.unwrap();
    wallet.wait(&["paid"]).await.unwrap();
    rig.at_rest(&client).await.unwrap();
}
