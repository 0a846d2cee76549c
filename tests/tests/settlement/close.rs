//! A close by hand: compared, uploaded where it differs, closed once, whatever dies in between (S64).

use till_dbus::{Error, Options};
use till_simulators::faults::{Fault, Rule};
use till_tests::RigOptions;
use till_tests::scene::until;

use crate::{QUICK, Till, by};

#[tokio::test(flavor = "multi_thread")]
async fn s64_a_day_is_closed_once_with_the_acquirer_while_sales_go_on_in_the_next() {
    let till = Till::with(RigOptions { acquirer_ms: 10_000, ..RigOptions::default() }).await;
    let sale = till.card(1_000).await;
    let voided = till.card(1_100).await;
    till.cash(500).await;
    till.leg(&voided, "void", 0).await;
    till.leg(&sale, "refund", 300).await;

    let held = till.hold_answer("settlement", 0);
    assert_eq!(till.close().await, 1);
    till.fired(held);
    // The acquirer keeps its answer to itself: the next batch is open, and the next customers pay.
    assert_eq!(till.settlement().await.open_batch().await.unwrap(), 2);
    till.cash(700).await;
    let card = till.draw(1_300).await;
    assert_eq!(till.batch(1).await.unwrap().state, "frozen");
    till.rig.acquirer.faults().release();
    card.wait(&["paid"]).await.unwrap();
    till.wait_closed(1).await;

    let part = till.part(1, "bankcard").await;
    assert_eq!((part.state.as_str(), part.network), ("closed", 1));
    assert_eq!((part.debits, part.debit_count, part.credits, part.credit_count), (2_100, 2, 1_400, 2));
    assert_eq!((till.part(1, "cash").await.debits, till.part(2, "cash").await.debits), (500, 700));
    assert_eq!(till.exceptions(1).await, []);
    let there = till.rig.acquirer.closed();
    assert_eq!(there.len(), 1, "{there:?}");
    assert!(there[0].balanced && there[0].batch == "000001" && there[0].uploaded == 0, "{there:?}");

    assert_eq!(till.close().await, 2);
    till.wait_closed(2).await;
    assert_eq!(till.part(2, "bankcard").await.debits, 1_300);
    assert_eq!(
        till.rig.acquirer.closed().iter().map(|c| c.batch.as_str()).collect::<Vec<_>>(),
        ["000001", "000002"]
    );
    assert_eq!(till.close().await, 0, "nothing was sold since");
    till.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s64_what_the_acquirer_lost_is_uploaded_and_the_totals_agree_again() {
    let till = Till::open(QUICK).await;
    let lost = till.card(1_000).await;
    till.card(1_100).await;
    let key = till.key(&lost).await;
    assert!(till.rig.acquirer.lose(&key));
    till.close().await;
    till.wait_closed(1).await;
    let there = till.rig.acquirer.closed();
    assert_eq!((there.len(), &there[0].booked, there[0].uploaded), (1, &vec![key.trace], 2));
    assert_eq!(there[0].host, there[0].terminal);
    assert_eq!(till.part(1, "bankcard").await.state, "closed");
    assert_eq!(till.exceptions(1).await, []);
    till.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s64_what_the_acquirer_has_and_we_have_not_is_left_to_people_by_name() {
    let till = Till::open(QUICK).await;
    till.card(1_000).await;
    // Booked there, and a no to us: nobody but the comparison of totals can find it.
    let no = Fault::Answer {
        code: "51".into(),
        sub_code: None,
        fields: std::collections::BTreeMap::default(),
        booked: true,
    };
    till.rig.acquirer.faults().add(Rule::once("sale", no)).unwrap();
    let payment = till.draw(1_200).await;
    payment.wait_attempt(&["declined"]).await.unwrap();
    payment.cancel().await.unwrap();
    let key = till.key(&payment).await;
    till.close().await;
    till.wait_closed(1).await;
    let part = till.part(1, "bankcard").await;
    assert_eq!((part.state.as_str(), part.debits), ("closed-with-exceptions", 1_000));
    let left = till.exceptions(1).await;
    assert_eq!(left.iter().map(|e| e.code.as_str()).collect::<Vec<_>>(), ["totals-differ"], "{left:?}");
    assert_eq!(till.rig.acquirer.closed()[0].surplus, [key.trace]);
    let slip = till.settlement().await.slip_text(1, Options::new()).await.unwrap();
    assert!(slip.contains("对账不平"), "{slip}");
    // The one test whose books cannot agree: that it is seen is the reader's own control.
    let differs = till.rig.books(&till.client).await.unwrap_err().to_string();
    assert!(differs.contains("declined") && differs.contains("1200"), "{differs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s64_killed_while_it_settles_it_goes_on_at_the_record_and_closes_once() {
    let mut till = Till::open(QUICK).await;
    let first = till.card(1_000).await;
    till.card(1_100).await;
    till.card(1_200).await;
    assert!(till.rig.acquirer.lose(&till.key(&first).await));
    // Killed while the totals are compared.
    let held = till.hold_answer("settlement", 0);
    till.close().await;
    till.fired(held);
    till.rig.kill_till();
    till.rig.acquirer.faults().clear();
    // Killed again while the second of three details is on its way.
    let held = till.hold_answer("batch-upload", 1);
    till.start().await;
    till.fired(held);
    till.rig.kill_till();
    till.rig.acquirer.faults().clear();
    till.start().await;
    till.wait_closed(1).await;

    let there = till.rig.acquirer.closed();
    assert_eq!((there.len(), there[0].uploaded), (1, 3), "{there:?}");
    assert_eq!((there[0].host, there[0].host.debit_count), (there[0].terminal, 3));
    let asked = till.records(&["upload-started"]).await;
    let from = |r: &serde_json::Value| r["record"]["Batch"]["Started"]["ask"]["Upload"]["from"].as_u64();
    assert_eq!(
        asked.iter().map(from).collect::<Vec<_>>(),
        [Some(0), Some(1), Some(1), Some(2)],
        "the record that was there is not sent again"
    );
    // What it came to is said once.
    assert_eq!(till.records(&["batch-frozen"]).await.len(), 1);
    let parts = till.records(&["part-closed"]).await;
    assert_eq!(parts.len(), 1, "{parts:?}");
    assert_eq!(till.records(&["batch-closed"]).await.len(), 1);
    assert_eq!(till.part(1, "bankcard").await.debits, 3_300);
    // And a third restart, after the close, finds nothing to do.
    till.rig.kill_till();
    till.start().await;
    assert_eq!(till.records(&["batch-closed"]).await.len(), 1);
    assert_eq!(till.rig.acquirer.closed().len(), 1);
    till.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s64_a_sale_under_way_is_waited_for_and_counted_in_the_batch_it_was_made_in() {
    let till = Till::with(RigOptions { acquirer_ms: 15_000, ..RigOptions::default() }).await;
    till.cash(400).await;
    let held = till.hold_answer("sale", 0);
    let sale = till.draw(1_000).await;
    till.fired(held);
    assert_eq!(till.close().await, 1);
    assert_eq!(till.part(1, "bankcard").await.state, "frozen");
    assert_eq!(till.rig.acquirer.closed(), []);
    till.rig.acquirer.faults().release();
    sale.wait(&["paid"]).await.unwrap();
    till.wait_closed(1).await;
    assert_eq!(till.part(1, "bankcard").await.debits, 1_000);
    assert!(till.rig.acquirer.closed()[0].balanced);
    till.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s64_a_part_without_its_network_is_closed_by_two_people_and_not_by_one() {
    let till = Till::open(QUICK).await;
    till.card(1_000).await;
    assert!(till.rig.acquirer.set_up(false));
    // The line that is open would still carry the totals.
    till.rig.acquirer.faults().add(Rule::once("settlement", Fault::DropBeforeBooking {}).always()).unwrap();
    till.close().await;
    let gave_up = || async { (!till.part(1, "bankcard").await.reason.is_empty()).then_some(()) };
    until("the settlement is given up", gave_up).await.unwrap();

    let settlement = till.settlement().await;
    let anyway =
        |operator: &'static str| settlement.close_anyway(1, "bankcard", "line cut by diggers", by(operator));
    let nobody = settlement.close_anyway(1, "bankcard", "line cut", Options::new()).await;
    assert!(matches!(nobody, Err(Error::InvalidArgs(_))), "{nobody:?}");
    assert!(!anyway("007").await.unwrap());
    assert!(!anyway("007").await.unwrap(), "one person twice is one person");
    let part = till.part(1, "bankcard").await;
    assert!(part.state == "totals-sent" && part.reason.contains("007"), "{part:?}");
    assert!(anyway("008").await.unwrap());
    till.wait_closed(1).await;
    let left = till.exceptions(1).await;
    assert_eq!(left.iter().map(|e| e.code.as_str()).collect::<Vec<_>>(), ["no-answer"]);
    let closed = till.records(&["close-proposed", "part-closed"]).await;
    let text = format!("{closed:?}");
    assert!(text.contains("007") && text.contains("008") && text.contains("diggers"), "{text}");
}
