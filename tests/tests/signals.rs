//! What front-ends are told: every durable change once, in order, and the same to who comes late.

use till_dbus::events::{Change, Event};
use till_simulators::players::Scan;
use till_tests::scene::wallet_code;
use till_tests::{Rig, RigOptions, Watch};

/// `StateChanged` of one payment: old, new, seq.
fn moves(seen: &[Event], path: &str) -> Vec<(String, String, u64)> {
    let mut found = Vec::new();
    for event in seen.iter().filter(|e| e.path.as_str() == path) {
        if let Change::PaymentState { old, new, seq, .. } = &event.change {
            found.push((old.clone(), new.clone(), *seq));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_is_told_once_in_order_and_who_comes_late_reads_the_same() {
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let watches =
        [Watch::new(rig.bus.address()).await.unwrap(), Watch::new(rig.bus.address()).await.unwrap()];
    let first = client.ready(1_200).await.unwrap();
    rig.scanner.scan(&Scan::new(wallet_code(1))).unwrap();
    first.wait(&["paid"]).await.unwrap();
    let second = client.ready(300).await.unwrap();
    second.cancel().await.unwrap();
    // The last thing that is told ends the wait: all before it has arrived.
    let third = client.ready(100).await.unwrap();
    third.pay_cash(100).await.unwrap();
    let told = |seen: &[Event], path: &str, state: &str| {
        moves(seen, path).last().is_some_and(|m| m.1 == state).then_some(())
    };
    let mut all = Vec::new();
    for watch in &watches {
        watch.wait("the third is paid", |seen| told(seen, third.path.as_str(), "paid")).await.unwrap();
        let seen = watch.all();
        let names = |path: &str| moves(&seen, path).into_iter().map(|m| (m.0, m.1)).collect::<Vec<_>>();
        let step = |old: &str, new: &str| (old.to_owned(), new.to_owned());
        let sale = [
            step("", "draft"),
            step("draft", "ready"),
            step("ready", "tendering"),
            step("tendering", "paid"),
        ];
        assert_eq!(names(first.path.as_str()), sale);
        assert_eq!(names(third.path.as_str()), sale);
        assert_eq!(
            names(second.path.as_str()),
            [step("", "draft"), step("draft", "ready"), step("ready", "cancelled")]
        );
        let mut seqs = Vec::new();
        for path in [&first.path, &second.path, &third.path] {
            seqs.extend(moves(&seen, path.as_str()).into_iter().map(|m| m.2));
        }
        assert!(seqs.is_sorted_by(|a, b| a < b), "each later change has a higher number: {seqs:?}");
        all.push(seqs);
    }
    assert_eq!(all[0], all[1], "everybody is told the same");

    // Who comes late reads the state that the others were told.
    let late = rig.client().await.unwrap();
    for (payment, state) in [(&first, "paid"), (&second, "cancelled"), (&third, "paid")] {
        assert_eq!(late.payment(payment.path.clone()).state().await.unwrap(), state);
        assert_eq!(late.details(&payment.id()).await.unwrap().state, state);
    }
    let told: Vec<u64> = moves(&watches[0].all(), first.path.as_str()).into_iter().map(|m| m.2).collect();
    let journal = late.journal().await.unwrap();
    for seq in told {
        let record = journal.iter().find(|r| r["seq"] == seq).unwrap();
        assert_eq!(record["payment"].as_str(), Some(first.id().as_str()), "a signal names its record");
    }
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_can_be_called_from_the_moment_its_name_is_given() {
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    let mut paths = Vec::new();
    for round in 0..80 {
        let payment = client.open(100, "").await.unwrap();
        payment.cancel().await.unwrap_or_else(|e| panic!("round {round}: {e}"));
        paths.push(payment.path.to_string());
    }
    let last = paths[paths.len() - 1].clone();
    watch
        .wait("the last is cancelled", |seen| {
            moves(seen, &last).iter().any(|m| m.1 == "cancelled").then_some(())
        })
        .await
        .unwrap();
    let mut added = Vec::new();
    for event in watch.all() {
        if let Change::Added { path, .. } = event.change {
            added.push(path.to_string());
        }
    }
    assert_eq!(added, paths, "and each is announced once");
    rig.at_rest(&client).await.unwrap();
}
