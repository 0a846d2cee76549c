//! The operator's channel: shown, switched, kept, never switched under a payment, never silently replaced.

use std::time::Duration;

use till_simulators::acquirer::{Acquirer, AcquirerConfig};
use till_simulators::faults::{Fault, Rule};
use till_simulators::players::{Scan, Swipe};
use till_tests::scene::{TRACKS, again, refused, until, wallet_code};
use till_tests::{Rig, RigOptions, Watch};

const TERMINAL: &str = "org.tilld.Terminal1";

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_is_durable_told_once_to_everybody_and_refused_while_money_is_on_its_way() {
    let mut rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    assert_eq!(client.current_channel().await.unwrap(), "", "automatic until somebody chooses");
    let mut watches = Vec::new();
    for _ in 0..3 {
        watches.push(Watch::new(rig.bus.address()).await.unwrap());
    }

    client.select("bankcard").await.unwrap();
    assert_eq!(client.current_channel().await.unwrap(), "bankcard");
    client.select("bankcard").await.unwrap();
    assert_eq!(refused(client.select("goldfish").await), "NotFound");
    assert_eq!(client.current_channel().await.unwrap(), "bankcard");

    // The gateway holds its answer: the money is on its way.
    rig.gateway.faults().add(Rule::once("alipay.trade.pay", Fault::HoldReply {})).unwrap();
    let payment = client.ready(1_000).await.unwrap();
    rig.scanner.scan(&Scan::new(wallet_code(1))).unwrap();
    assert!(rig.gateway.faults().wait_fired(1, Duration::from_secs(15)));
    assert_eq!(payment.state().await.unwrap(), "tendering");
    assert_eq!(refused(client.select("cash").await), "Busy");
    assert_eq!(refused(client.select("").await), "Busy");
    assert_eq!(client.current_channel().await.unwrap(), "bankcard", "a refused switch changes nothing");
    rig.gateway.faults().release();
    payment.wait(&["paid"]).await.unwrap();

    client.select("cash").await.unwrap();
    client.select("").await.unwrap();
    for watch in &watches {
        // The last one arrives after all that could be sent for the others.
        watch
            .wait("the last switch", |seen| {
                let told = till_tests::watch::property(seen, TERMINAL, "CurrentChannel");
                (told.last().map(String::as_str) == Some("")).then_some(())
            })
            .await
            .unwrap();
        assert_eq!(watch.property(TERMINAL, "CurrentChannel"), ["bankcard", "cash", ""]);
    }

    // Killed in the moment after the answer: what was acknowledged stands.
    client.select("bankcard").await.unwrap();
    rig.kill_till();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    assert_eq!(client.current_channel().await.unwrap(), "bankcard");
    let journal = client.journal().await.unwrap();
    let switches: Vec<_> = journal
        .iter()
        .filter(|r| r["kind"] == "channel-selected")
        .map(|r| r["record"]["ChannelSelected"]["channel"].as_str().unwrap_or("").to_owned())
        .collect();
    assert_eq!(switches, ["bankcard", "cash", "", "bankcard"]);
    rig.at_rest(&client).await.unwrap();
}

/// The acquirer `bankcard` talks to is down; a second bank-card channel, `backup`, has one of its own that works.
#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_channel_falls_back_for_what_it_cannot_take_and_is_not_replaced_while_it_is_down() {
    let second = Acquirer::start(AcquirerConfig::default()).unwrap();
    let backup = format!(
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
        second.addr()
    );
    let mut rig = Rig::stand(RigOptions { extra_config: backup, ..RigOptions::default() }).unwrap();
    assert!(rig.acquirer.set_up(false));
    rig.start_till().unwrap();
    let client = rig.wait_up().await.unwrap();
    for (channel, state) in [("alipay", "ready"), ("backup", "ready"), ("bankcard", "failed")] {
        let at = || async { (client.channel(channel).await.ok()?.0 == state).then_some(()) };
        until(&format!("{channel} {state}"), at).await.unwrap();
    }
    let device = || async { (client.device("cardreader").await.ok()?.0 == "ready").then_some(()) };
    until("the card reader is ready", device).await.unwrap();
    let watch = Watch::new(rig.bus.address()).await.unwrap();

    // Cash cannot take a wallet code: the wallet takes it.
    client.select("cash").await.unwrap();
    let payment = client.ready(1_000).await.unwrap();
    payment.pay_code(&wallet_code(2)).await.unwrap();
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!(payment.channel().await.unwrap(), "alipay");

    // Bankcard could take the card but is down: the operator decides, not the till.
    client.select("bankcard").await.unwrap();
    let payment = client.ready(2_000).await.unwrap();
    rig.reader.swipe(&Swipe::new(TRACKS)).unwrap();
    let (reason, text, _) = watch.refusal(0).await.unwrap();
    assert_eq!(reason, "no-route");
    assert!(text.contains("bankcard") && text.contains("not working"), "{text}");
    assert_eq!(payment.state().await.unwrap(), "ready");
    assert!(second.ledger().is_empty(), "another channel took what was meant for the pinned one");

    client.select("backup").await.unwrap();
    payment.confirm(2_000).await.unwrap();
    rig.reader.swipe(&again(TRACKS)).unwrap();
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!(payment.channel().await.unwrap(), "backup");
    assert_eq!(second.ledger().len(), 1);
    rig.at_rest(&client).await.unwrap();
}
