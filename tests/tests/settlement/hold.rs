//! A hold outlives the batch it was made in: its own data stays usable, the day's keys do not stay for it (S66).

use till_dbus::Options;
use till_simulators::acquirer::ledger::Kind;
use till_tests::PaymentClient;
use till_tests::scene::{TRACKS, again};

use crate::Till;
use crate::keys::{at_rest, sealed, shredded};

async fn hold(till: &Till, minor: i64) -> PaymentClient {
    let options: Options<'_> = [("purpose", "hold".into()), ("operator", "001".into())].into();
    let terminal = till.client.terminal().await.unwrap();
    let path = terminal.call("OpenPayment", &(minor, "CNY", options)).await.unwrap();
    let payment = till.client.payment(path);
    payment.confirm(minor).await.unwrap();
    till.rig.reader.swipe(&again(TRACKS)).unwrap();
    payment.wait(&["authorised"]).await.unwrap();
    payment
}

#[tokio::test(flavor = "multi_thread")]
async fn s66_a_hold_is_completed_in_the_next_batch_though_the_keys_of_its_own_are_gone() {
    let mut till = Till::open("").await;
    let kept = hold(&till, 9_000).await;
    till.card(1_000).await;
    till.close().await;
    till.wait_closed(1).await;
    shredded(&till, 1).await;
    till.rig.kill_till();
    let left = at_rest(&till.rig, sealed);
    let sent: Vec<_> = left.iter().filter(|s| s.0 == "sent").collect();
    assert!(sent.len() == 2 && sent.iter().all(|s| !s.2), "one hold keeps no day's keys: {left:?}");
    assert_eq!(left.iter().filter(|s| s.0 == "resealed" && s.2).count(), 1, "{left:?}");

    till.start().await;
    let done = till.leg(&kept, "capture", 8_000).await;
    assert_eq!((done.state.as_str(), done.paid), ("paid", 8_000));
    let booked = till.rig.acquirer.ledger();
    let completion = booked.iter().find(|e| matches!(e.kind, Kind::Completion | Kind::CompletionNotice));
    let completion = completion.unwrap_or_else(|| panic!("{booked:?}"));
    assert_eq!(
        (completion.key.batch.as_str(), completion.amount.to_field().unwrap().as_str()),
        ("000002", "000000008000")
    );
    till.close().await;
    till.wait_closed(2).await;
    assert_eq!(till.part(2, "bankcard").await.debits, 8_000);
    assert!(till.rig.acquirer.closed()[1].balanced);
    till.rest().await;
}
