//! What the service manager hears.

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

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
