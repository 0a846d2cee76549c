//! A scanner that a front-end has claimed, and counters that outlive every process.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use std::io::{BufRead, BufReader};

use till_dbus::events::{Change, Event};
use till_dbus::{Device1Proxy, Options, paths};
use till_simulators::players::Scan;
use till_tests::scene::{TRACKS, again, until, wallet_code};
use till_tests::{Client, Rig, RigOptions, Watch};

async fn device(client: &Client, id: &str) -> Device1Proxy<'static> {
    Device1Proxy::builder(client.connection())
        .path(paths::device(id).unwrap())
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await
        .unwrap()
}

/// Lines of a pipe, each read in its turn; the end is no line.
struct Codes(std::sync::Arc<std::sync::Mutex<BufReader<std::fs::File>>>);

impl Codes {
    fn new(pipe: zbus::OwnedFd) -> Self {
        let file = std::fs::File::from(std::os::fd::OwnedFd::from(pipe));
        Self(std::sync::Arc::new(std::sync::Mutex::new(BufReader::new(file))))
    }

    async fn next(&self) -> Option<serde_json::Value> {
        let reader = self.0.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            reader.lock().unwrap().read_line(&mut line).unwrap();
            serde_json::from_str(&line).ok()
        });
        tokio::time::timeout(till_tests::scene::PATIENCE, read).await.unwrap().unwrap()
    }

    async fn to_the_end(&self) {
        while self.next().await.is_some() {}
    }
}

async fn claimed_by(client: &Client, owner: &str) {
    let scanner = device(client, "scanner").await;
    let look = || async { (scanner.claimed_by().await.ok()? == owner).then_some(()) };
    until("the claim moved", look).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_dies_with_its_caller_and_a_second_claimant_is_told_who_has_it() {
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let first = rig.client().await.unwrap();
    let second = rig.client().await.unwrap();
    let (mine, theirs) = (device(&first, "scanner").await, device(&second, "scanner").await);
    let me = first.connection().unique_name().unwrap().to_string();

    assert_eq!(mine.enable(Options::new()).await.unwrap_err().code(), "WrongState", "not claimed");
    mine.claim(Options::new()).await.unwrap();
    mine.claim(Options::new()).await.unwrap();
    claimed_by(&client, &me).await;
    for refused in [
        theirs.claim(Options::new()).await.unwrap_err(),
        theirs.release(Options::new()).await.unwrap_err(),
        theirs.enable(Options::new()).await.map(drop).unwrap_err(),
    ] {
        assert!(refused.code() == "Busy" && refused.to_string().contains(&me), "{refused}");
    }
    // What reads cards is nobody's, and a printer is the till's.
    for other in ["cardreader", "printer"] {
        let refused = device(&first, other).await.claim(Options::new()).await.unwrap_err();
        assert_eq!(refused.code(), "Unsupported");
    }

    let codes = Codes::new(mine.enable(Options::new()).await.unwrap());
    scan_until(&rig, &codes, "6901234567892").await;

    // It crashes.
    first.connection().clone().close().await.unwrap();
    claimed_by(&client, "").await;
    // Its pipe ends with it.
    codes.to_the_end().await;
    theirs.claim(Options::new()).await.unwrap();
    let codes = Codes::new(theirs.enable(Options::new()).await.unwrap());
    scan_until(&rig, &codes, "4006381333931").await;
    theirs.release(Options::new()).await.unwrap();
    codes.to_the_end().await;
    claimed_by(&client, "").await;
}

/// Scans until the claim hears it: the scanner is armed for it a moment after `Enable` answered. No payment code is heard.
async fn scan_until(rig: &Rig, codes: &Codes, code: &str) {
    loop {
        let next = codes.next();
        tokio::pin!(next);
        let heard = loop {
            rig.scanner.scan(&Scan::new(code)).unwrap();
            tokio::select! {
                heard = &mut next => break heard.unwrap(),
                () = tokio::time::sleep(std::time::Duration::from_millis(300)) => {}
            }
        };
        let text = heard["text"].as_str().unwrap();
        assert!(!text.starts_with("28"), "a payment code reached the claim");
        if text == code {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_come_before_a_claim_and_a_payment_code_never_reaches_it() {
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let front = rig.client().await.unwrap();
    let scanner = device(&front, "scanner").await;
    scanner.claim(Options::new()).await.unwrap();
    let codes = Codes::new(scanner.enable(Options::new()).await.unwrap());
    scan_until(&rig, &codes, "6901234567892").await;

    let payment = client.ready(1_200).await.unwrap();
    let code = wallet_code(77);
    rig.scanner.scan(&Scan::new(code.clone())).unwrap();
    payment.wait(&["paid"]).await.unwrap();

    // Between payments again: a payment code is kept back, what comes after it is not.
    rig.scanner.scan(&Scan::new(wallet_code(78))).unwrap();
    scan_until(&rig, &codes, "4006381333931").await;
    rig.at_rest(&client).await.unwrap();
}

async fn counted(client: &Client, id: &str, name: &str) -> u64 {
    let (counters, _) = device(client, id).await.statistics(Options::new()).await.unwrap();
    counters.get(name).copied().unwrap_or(0)
}

async fn swipe(rig: &Rig, client: &Client, minor: i64) {
    let payment = client.ready(minor).await.unwrap();
    rig.reader.swipe(&again(TRACKS)).unwrap();
    payment.wait(&["paid"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s27_a_reader_that_is_due_for_service_is_told_once_at_each_start_and_again_after_it() {
    let options = RigOptions {
        extra_config: "\n[device.cardreader.service-after]\nswipes = 2\nbad-reads = 100\n".into(),
        ..RigOptions::default()
    };
    let mut rig = Rig::start(options).await.unwrap();
    let client = rig.client().await.unwrap();
    let due = |events: &[Event]| -> Vec<String> {
        let text = |e: &Event| match &e.change {
            Change::Alarm { code, text, .. } if code == "service-due" => Some(text.clone()),
            _ => None,
        };
        events.iter().filter_map(text).collect()
    };
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    swipe(&rig, &client, 1_100).await;
    assert_eq!(counted(&client, "cardreader", "swipes").await, 1);
    swipe(&rig, &client, 1_200).await;
    assert_eq!(counted(&client, "cardreader", "swipes").await, 2);
    let told = watch.wait("it is due", |seen| due(seen).into_iter().next()).await.unwrap();
    assert!(told.contains("cardreader") && told.contains("swipes 2") && told.contains("reset"), "{told}");
    swipe(&rig, &client, 1_300).await;
    assert_eq!(counted(&client, "cardreader", "swipes").await, 3);

    // Serviced, and worn again.
    device(&client, "cardreader").await.reset_statistics(Options::new()).await.unwrap();
    for minor in [1_400, 1_500] {
        swipe(&rig, &client, minor).await;
    }
    assert_eq!(counted(&client, "cardreader", "swipes").await, 2);
    let both = |seen: &[Event]| (due(seen).len() == 2).then_some(());
    watch.wait("it is due again, and was told once before", both).await.unwrap();

    rig.at_rest(&client).await.unwrap();
    assert!(rig.stop_till());
    let before = rig.log_lines().iter().filter(|l| l.contains("due for service")).count();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let after = rig.log_lines().iter().filter(|l| l.contains("due for service")).count();
    assert_eq!((before, after), (2, 3), "the next start says it");
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_outlive_the_drivers_process_an_unplug_and_the_daemon_and_a_damaged_file_is_told() {
    let mut rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    swipe(&rig, &client, 1_100).await;
    assert_eq!(counted(&client, "cardreader", "swipes").await, 1);
    rig.reader.unplug();
    until("it is gone", || async { (client.device("cardreader").await.ok()?.0 != "ready").then_some(()) })
        .await
        .unwrap();
    until("it is back", || async { (client.device("cardreader").await.ok()?.0 == "ready").then_some(()) })
        .await
        .unwrap();
    swipe(&rig, &client, 1_200).await;
    assert_eq!(counted(&client, "cardreader", "swipes").await, 2, "over the end of its process");
    assert_eq!(counted(&client, "cardreader", "reconnects").await, 1);

    rig.at_rest(&client).await.unwrap();
    let printed = counted(&client, "printer", "done").await;
    assert!(rig.stop_till());
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    assert_eq!(counted(&client, "cardreader", "swipes").await, 2, "over a restart of the daemon");
    assert_eq!(counted(&client, "cardreader", "starts").await, 2);
    assert_eq!(counted(&client, "printer", "done").await, printed);
    swipe(&rig, &client, 1_300).await;
    assert_eq!(counted(&client, "cardreader", "swipes").await, 3);

    // Reset: durable at once, also when the till is killed right after.
    let reader = device(&client, "cardreader").await;
    let (_, since) = reader.statistics(Options::new()).await.unwrap();
    reader.reset_statistics(Options::new()).await.unwrap();
    rig.kill_till();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let (counters, reset) = device(&client, "cardreader").await.statistics(Options::new()).await.unwrap();
    assert!(counters.get("swipes").is_none_or(|n| *n == 0) && reset > since, "{counters:?}");

    // Damaged: the till sells, says so, and counts anew.
    assert!(rig.stop_till());
    let file = rig.dir.join("state/plugins/statistics/cardreader");
    std::fs::write(&file, "# till-statistics 1 00000000\nsince 5\nswipes 999999\n").unwrap();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    assert_eq!(counted(&client, "cardreader", "swipes").await, 0);
    assert!(file.with_file_name("cardreader~damaged").is_file());
    let told = || async { rig.log_lines().iter().any(|l| l.contains("were damaged")).then_some(()) };
    until("it is told", told).await.unwrap();
    swipe(&rig, &client, 1_400).await;
    assert_eq!(counted(&client, "cardreader", "swipes").await, 1);
    rig.at_rest(&client).await.unwrap();
}
