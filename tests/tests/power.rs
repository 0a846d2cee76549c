//! Power that is about to go, through a whole tilld: nothing new is sent to a network, cash is taken, and it ends by itself.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use std::fs;

use till_simulators::players::Swipe;
use till_tests::scene::{TRACKS, again, refused, until, wallet_code};
use till_tests::{Client, Rig, RigOptions};

/// The channel is in this state as clients see it; why.
async fn is(client: &Client, channel: &str, state: &str) -> String {
    let at = || async {
        let (now, reason) = client.channel(channel).await.ok()?;
        (now == state).then_some(reason)
    };
    until(&format!("{channel} is {state}"), at).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_new_is_sent_while_the_voltage_is_too_low_and_cash_is_taken() {
    let sys = tempfile::tempdir().unwrap();
    let sensor = sys.path().join("hwmon/hwmon0");
    fs::create_dir_all(&sensor).unwrap();
    fs::write(sensor.join("name"), "rpi_volt\n").unwrap();
    let alarm = |on: &str| fs::write(sensor.join("in0_lcrit_alarm"), on).unwrap();
    alarm("0\n");
    let extra_config = format!("[power]\nclass-dir = \"{}\"\n", sys.path().display());
    let mut rig = Rig::stand(RigOptions { extra_config, ..RigOptions::default() }).unwrap();
    rig.start_till().unwrap();
    let client = rig.wait_up().await.unwrap();
    for channel in ["alipay", "bankcard"] {
        is(&client, channel, "ready").await;
    }
    let device = || async { (client.device("cardreader").await.ok()?.0 == "ready").then_some(()) };
    until("the card reader is ready", device).await.unwrap();

    let before = client.ready(1_500).await.unwrap();
    rig.reader.swipe(&Swipe::new(TRACKS)).unwrap();
    before.wait(&["paid"]).await.unwrap();

    alarm("1\n");
    for channel in ["alipay", "bankcard"] {
        let why = is(&client, channel, "power").await;
        assert!(why.contains("voltage") && why.contains("supply"), "{why}");
    }
    is(&client, "cash", "ready").await;
    let sent = rig.acquirer.ledger().len();
    let sale = client.ready(1_600).await.unwrap();
    assert_eq!(refused(sale.pay_code(&wallet_code(7)).await), "NoRoute");
    let blockers = client.blockers().await.unwrap();
    assert!(blockers.iter().any(|b| b.0 == "alipay" && b.1 == "channel-power"), "{blockers:?}");
    sale.pay_cash(1_600).await.unwrap();
    sale.wait(&["paid"]).await.unwrap();
    assert_eq!(rig.acquirer.ledger().len(), sent, "nothing went to the bank");

    alarm("0\n");
    for channel in ["alipay", "bankcard"] {
        is(&client, channel, "ready").await;
    }
    let after = client.ready(1_700).await.unwrap();
    rig.reader.swipe(&again(TRACKS)).unwrap();
    after.wait(&["paid"]).await.unwrap();
    rig.at_rest(&client).await.unwrap();
}
