//! Notices that survive a kill, disputes that move no money, keys that are replaced while sales go on.
#![allow(clippy::unwrap_used, clippy::expect_used)] // in helpers too: what fails there fails the test

use std::io::Read;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use till_dbus::events::{Change, Events};
use till_dbus::{
    AfterSales1Proxy, Disputes1Proxy, Error, Journal1Proxy, Notices1Proxy, Options, Settlement1Proxy,
};
use till_tests::scene::{PATIENCE, until};
use till_tests::{Client, Rig, RigOptions};
use zbus::Fd;

fn by(operator: &str) -> Options<'_> {
    [("operator", operator.into())].into()
}

/// A sale paid in cash.
async fn sale(client: &Client, minor: i64) -> String {
    let payment = client.ready(minor).await.unwrap();
    payment.pay_cash(minor).await.unwrap();
    payment.wait(&["paid"]).await.unwrap();
    payment.id()
}

/// The next notice that is told of: its number and its payment.
async fn due(events: &mut Events) -> (u64, String) {
    let told = async {
        loop {
            if let Some(Change::NoticeDue { seq, payment }) = events.next().await.map(|e| e.change) {
                return (seq, payment);
            }
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("nobody is told of the notice")
}

async fn notices(client: &Client, receiver: &str) -> (Vec<(String, String, String, i64)>, u64) {
    let till = Notices1Proxy::new(client.connection()).await.unwrap();
    let (rows, upto) = till.list(receiver, Options::new()).await.unwrap();
    (rows.into_iter().map(|n| (n.id, n.kind, n.payment, n.amount)).collect(), upto)
}

#[tokio::test(flavor = "multi_thread")]
async fn s48_notices_come_at_least_once_over_a_kill_and_each_receiver_has_its_own_place() {
    let mut rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let mut events = Events::subscribe(client.connection()).await.unwrap();
    let first = sale(&client, 1_000).await;
    // Told at once to whoever listens.
    let due = due(&mut events).await;
    assert_eq!(due.1, first);
    let second = sale(&client, 2_000).await;
    let after = AfterSales1Proxy::new(client.connection()).await.unwrap();
    after.refund(&second, 500, by("007")).await.unwrap();
    let three = || async { Some(notices(&client, "voice").await).filter(|n| n.0.len() == 3) };
    let (before, upto) = until("three notices", three).await.unwrap();
    let told: Vec<_> = before.iter().map(|n| (n.1.as_str(), n.2.as_str(), n.3)).collect();
    assert_eq!(told, [("paid", &*first, 1_000), ("paid", &*second, 2_000), ("refunded", &*second, 500)]);

    // Shown to the receiver, and killed before it said so: they come again, with the same ids.
    rig.kill_till();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let till = Notices1Proxy::new(client.connection()).await.unwrap();
    let (again, _) = notices(&client, "voice").await;
    assert_eq!(again, before, "a notice was lost, or came again as another");
    let (page, to) = till.list("voice", [("limit", 2_u32.into())].into()).await.unwrap();
    assert_eq!((page.len(), to), (2, page[1].seq));
    till.acknowledge("voice", to, Options::new()).await.unwrap();
    assert!(
        till.acknowledge("voice", u64::MAX, Options::new()).await.is_err(),
        "nobody has what is not written"
    );

    // Acknowledged is acknowledged, also after a kill; another receiver has seen nothing yet.
    rig.kill_till();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    assert_eq!(notices(&client, "voice").await.0, before[2..]);
    assert_eq!(notices(&client, "back-office").await.0, before);
    let till = Notices1Proxy::new(client.connection()).await.unwrap();
    till.acknowledge("voice", upto, Options::new()).await.unwrap();
    till.acknowledge("voice", 1, Options::new()).await.unwrap();
    assert_eq!(notices(&client, "voice").await.0, [], "a cursor went back");
    let receivers = till.list_receivers(Options::new()).await.unwrap();
    assert_eq!((receivers.len(), receivers[0].name.as_str(), receivers[0].seq), (1, "voice", upto));
    assert!(matches!(till.list("no spaces", Options::new()).await, Err(Error::InvalidArgs(_))));
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s48_a_closed_day_is_a_notice_too_and_comes_again_until_it_is_taken() {
    let mut rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let first = sale(&client, 1_000).await;
    sale(&client, 2_050).await;
    let after = AfterSales1Proxy::new(client.connection()).await.unwrap();
    after.refund(&first, 300, by("007")).await.unwrap();
    let back = || async { Some(client.details(&first).await.ok()?.returned? == 300).filter(|b| *b) };
    until("the refund", back).await.unwrap();
    let mut events = Events::subscribe(client.connection()).await.unwrap();
    Settlement1Proxy::new(client.connection()).await.unwrap().close(by("007")).await.unwrap();
    let (seq, payment) = due(&mut events).await;
    assert_eq!(payment, "", "a day is no payment");
    for killed in [false, true] {
        if killed {
            rig.kill_till();
            rig.start_till().unwrap();
            rig.wait_ready().await.unwrap();
        }
        let till = Notices1Proxy::new(client.connection()).await.unwrap();
        let (rows, _) = till.list("back-office", Options::new()).await.unwrap();
        let day = rows.iter().find(|n| n.kind == "day-closed").unwrap();
        assert_eq!(
            (day.seq, day.amount, day.currency.as_str(), day.payment.as_str()),
            (seq, 2_750, "CNY", "")
        );
        assert!(day.text.contains("batch 1") && day.text.contains("3 items"), "{day:?}");
    }
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s52_a_dispute_links_payment_refund_and_evidence_over_a_restart_and_moves_no_money() {
    let mut rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let id = sale(&client, 10_000).await;
    let till = Disputes1Proxy::new(client.connection()).await.unwrap();
    assert!(matches!(till.open(&id, 0, "not received", Options::new()).await, Err(Error::InvalidArgs(_))));
    assert!(matches!(till.open(&id, 10_001, "too much", by("007")).await, Err(Error::TooMuch(_))));
    let mut asked = by("007");
    asked.insert("reference", "CB-4711".into());
    let case = till.open(&id, 4_000, "not received", asked).await.unwrap();
    assert!(matches!(till.open(&id, 0, "again", by("007")).await, Err(Error::WrongState(_))));
    till.note(case, "receipt found", by("007")).await.unwrap();

    rig.kill_till();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let till = Disputes1Proxy::new(client.connection()).await.unwrap();
    let mut file = tempfile::tempfile().unwrap();
    let (records, hash) = till.answer(case, Fd::from(file.as_fd()), by("008")).await.unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let mut evidence = Vec::new();
    file.read_to_end(&mut evidence).unwrap();
    assert_eq!(blake3::hash(&evidence).to_hex().to_string(), hash, "the file is not what the case names");
    assert!(records > 3);
    let p = client.details(&id).await.unwrap();
    assert_eq!((p.state.as_str(), p.paid, p.returned), ("paid", 10_000, Some(0)), "a dispute moved money");
    // Giving way is a refund that somebody asks for; the case shows it.
    let after = AfterSales1Proxy::new(client.connection()).await.unwrap();
    after.refund(&id, 4_000, by("008")).await.unwrap();
    let back = || async { Some(client.details(&id).await.ok()?.returned? == 4_000).filter(|b| *b) };
    until("the refund", back).await.unwrap();
    till.close(case, "lost", "the bank decides", by("008")).await.unwrap();
    assert!(matches!(till.note(case, "late", by("008")).await, Err(Error::WrongState(_))));

    let (row, legs, events) = till.show(case, Options::new()).await.unwrap();
    assert_eq!((row.payment.as_str(), row.state.as_str(), row.amount), (id.as_str(), "lost", 4_000));
    assert_eq!(legs.iter().map(|l| (l.kind.as_str(), l.amount)).collect::<Vec<_>>(), [("refund", 4_000)]);
    let told: Vec<_> = events.iter().map(|e| (e.event.as_str(), e.operator.as_str())).collect();
    assert_eq!(told, [("opened", "007"), ("noted", "007"), ("answered", "008"), ("closed", "008")]);
    assert_eq!(events[2].evidence, hash);
    let lost = till.list([("state", "lost".into())].into()).await.unwrap();
    assert_eq!(lost, [row]);
    assert_eq!(after.find("CB-4711", Options::new()).await.unwrap(), [id]);
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s71_keys_are_replaced_while_sales_go_on_and_everything_stays_readable() {
    let mut rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let mut ids = vec![sale(&client, 100).await];
    let keys = rig.dir.join("state/keys");
    let master = std::fs::read(keys.join("master-key")).unwrap();
    let till = Journal1Proxy::new(client.connection()).await.unwrap();
    assert!(matches!(till.rotate_keys(Options::new()).await, Err(Error::InvalidArgs(_))), "by nobody");

    // Sales, and keys replaced in the middle of them.
    let (selling, stop) = (client.clone(), Arc::new(AtomicBool::new(false)));
    let flag = stop.clone();
    let sales = tokio::spawn(async move {
        let mut sold = Vec::new();
        while !flag.load(Ordering::Relaxed) {
            sold.push(sale(&selling, 200).await);
        }
        sold
    });
    let mut both = by("007");
    both.insert("which", "both".into());
    let mut epochs = Vec::new();
    for options in [by("007"), both, by("007")] {
        epochs.push(till.rotate_keys(options).await.unwrap());
    }
    stop.store(true, Ordering::Relaxed);
    ids.extend(sales.await.unwrap());
    assert!(epochs.is_sorted_by(|a, b| a < b), "{epochs:?}");
    assert_ne!(std::fs::read(keys.join("master-key")).unwrap(), master, "the master key is the old one");

    // After a kill everything is there, the chain whole over the hand-overs, and money can still go back.
    rig.kill_till();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let (records, problems) = client.verify_journal().await.unwrap();
    assert!(records > 8 && problems.is_empty(), "{problems:?}");
    let all = client.journal().await.unwrap();
    let asked: Vec<_> = all.iter().filter(|r| r["kind"] == "keys-asked").map(|r| &r["record"]).collect();
    let who = |which: &str| serde_json::json!({ "operator": "007", "which": which });
    assert_eq!(
        asked,
        [&who("chain"), &who("both"), &who("chain")],
        "who had keys replaced is not in the journal"
    );
    for id in &ids {
        assert_eq!(client.details(id).await.unwrap().state, "paid");
    }
    let after = AfterSales1Proxy::new(client.connection()).await.unwrap();
    after.refund(&ids[0], 0, by("007")).await.unwrap();
    let back = || async { (client.details(&ids[0]).await.ok()?.state == "returned").then_some(()) };
    until("the refund of a sale under an old key", back).await.unwrap();

    // The old master key opens nothing any more.
    assert!(rig.stop_till());
    let new = std::fs::read(keys.join("master-key")).unwrap();
    std::fs::write(keys.join("master-key"), &master).unwrap();
    rig.start_till().unwrap();
    assert_ne!(rig.wait_end(), Some(0), "a till ran with the old master key");
    std::fs::write(keys.join("master-key"), &new).unwrap();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    rig.at_rest(&client).await.unwrap();
}
