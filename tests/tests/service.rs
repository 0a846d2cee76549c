//! What the service manager hears.

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use till_simulators::faults::{Fault, Rule};
use till_simulators::players::Scan;
use till_tests::scene::{until, wallet_code};
use till_tests::{Rig, RigOptions};

#[tokio::test(flavor = "multi_thread")]
async fn the_watchdog_is_fed_from_ready_on() {
    let dir = tempfile::tempdir().unwrap();
    let address = dir.path().join("notify");
    let manager = UnixDatagram::bind(&address).unwrap();
    manager.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let env = vec![
        ("NOTIFY_SOCKET".into(), address.to_str().unwrap().to_owned()),
        ("WATCHDOG_USEC".into(), "1500000".into()),
    ];
    let mut rig = Rig::start(RigOptions { env, ..RigOptions::default() }).await.unwrap();
    let client = rig.client().await.unwrap();
    let heard = tokio::task::spawn_blocking(move || {
        let mut told = Vec::new();
        while told.iter().filter(|line| *line == "WATCHDOG=1").count() < 3 {
            let mut message = [0; 4096];
            let length = manager.recv(&mut message).unwrap();
            told.extend(String::from_utf8_lossy(&message[..length]).lines().map(str::to_owned));
        }
        told
    });
    let told = heard.await.unwrap();
    assert_eq!(told.first().map(String::as_str), Some("READY=1"), "{told:?}");
    rig.at_rest(&client).await.unwrap();
    rig.stop_till();
}

/// The bus dies while a wallet is asked: nobody can reach that till any more, so it parks the payment and ends with an error, by which a service
/// manager starts it again; after that start the payment is resolved.
#[tokio::test(flavor = "multi_thread")]
async fn a_till_whose_bus_dies_ends_in_order_and_the_next_start_resolves_the_payment() {
    let mut rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    rig.gateway.faults().add(Rule::once("alipay.trade.pay", Fault::HoldReply {})).unwrap();
    let payment = client.ready(1_000).await.unwrap();
    let id = payment.id();
    rig.scanner.scan(&Scan::new(wallet_code(1))).unwrap();
    assert!(rig.gateway.faults().wait_fired(1, Duration::from_secs(15)));
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root takes a connection from another process");
        return;
    }
    assert!(rig.cut_off_the_bus().unwrap() > 0);
    rig.gateway.faults().release();
    assert_eq!(rig.wait_end(), Some(1), "an error, so that systemd starts it again");
    let why = rig.log_lines();
    assert!(why.iter().any(|l| l.contains("ERROR") && l.contains("the bus is gone")), "{why:#?}");
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let known = || async {
        let attempt = client.details(&id).await.ok()?.attempts.pop()?;
        ["approved", "reversed"].contains(&attempt.state.as_str()).then_some(())
    };
    until("it is known what became of the payment", known).await.unwrap();
    rig.at_rest(&client).await.unwrap();
}
