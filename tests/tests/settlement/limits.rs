//! How much may be taken (S72), and how much a network counts in one batch.

use till_dbus::Options;
use till_tests::scene::{error_name, until};
use till_tests::{PaymentClient, RigOptions, Watch};

use crate::Till;
use crate::day::{killed_and_moved, open_at};

const LIMITS: &str = r#"
[payment]
limits = [
  { scope = "payment", channel = "bankcard", amount = 5000, currency = "CNY" },
  { scope = "channel", channel = "cash", amount = 1000, currency = "CNY" },
  { scope = "card", amount = 3000, currency = "CNY" },
]
"#;

/// Cash that is refused; the text says by which limit.
async fn no_cash(till: &Till, minor: i64) -> String {
    let payment = till.client.ready(minor).await.unwrap();
    let e = payment.pay_cash(minor).await.unwrap_err();
    assert_eq!(error_name(&e), "NoRoute", "{e}");
    payment.cancel().await.unwrap();
    e.to_string()
}

/// A card that is refused.
async fn no_card(till: &Till, minor: i64) -> String {
    let watch = Watch::new(till.rig.bus.address()).await.unwrap();
    let payment: PaymentClient = till.draw(minor).await;
    let (reason, text, _) = watch.refusal(0).await.unwrap();
    assert_eq!(reason, "no-route");
    payment.cancel().await.unwrap();
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn s72_limits_hold_by_name_over_restarts_and_begin_anew_with_the_business_day() {
    let mut till = open_at(0, LIMITS).await;
    till.cash(600).await;
    let text = no_cash(&till, 500).await;
    assert!(
        text.contains("cash") && text.contains("limit of the channel for the day") && text.contains("4.00"),
        "{text}"
    );
    till.cash(400).await;
    let text = no_card(&till, 5_001).await;
    assert!(text.contains("limit of one payment"), "{text}");
    till.card(2_900).await;
    let text = no_card(&till, 101).await;
    assert!(text.contains("limit of this card for the day") && text.contains("1.00"), "{text}");

    till.rig.kill_till();
    till.start().await;
    no_cash(&till, 1).await;
    no_card(&till, 101).await;
    till.card(100).await;
    // A batch that is closed by hand is no other day.
    assert_eq!(till.close().await, 1);
    till.wait_closed(1).await;
    no_cash(&till, 1).await;
    no_card(&till, 1).await;
    // The next one is.
    killed_and_moved(&mut till, 24).await;
    let open = || async { (till.settlement().await.open_batch().await.ok()? == 3).then_some(()) };
    until("the next day is open", open).await.unwrap();
    till.cash(1_000).await;
    no_cash(&till, 1).await;
    till.card(3_000).await;
    till.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_closed_by_the_till_before_its_network_would_take_no_more() {
    let till = Till::with(RigOptions {
        extra_config: "\n[channel.bankcard.settlement]\nbatch-limit = 2\n".into(),
        ..RigOptions::default()
    })
    .await;
    let date = till.settlement().await.business_date().await.unwrap();
    for (at, minor) in [(2, [1_000, 1_100]), (3, [1_200, 1_300])] {
        for minor in minor {
            till.card(minor).await;
        }
        let open = || async { (till.settlement().await.open_batch().await.ok()? == at).then_some(()) };
        until("the next batch is open", open).await.unwrap();
        let closed = till.wait_closed(at - 1).await;
        assert!(!closed.automatic && closed.date == date, "it is still the same day: {closed:?}");
    }
    assert_eq!(till.part(2, "bankcard").await.debit_count, 2);
    let rows = till.settlement().await.list_parts(3, Options::new()).await.unwrap();
    assert_eq!(rows, []);
    assert!(till.rig.acquirer.closed().iter().all(|c| c.balanced && c.host.debit_count == 2));
    till.rest().await;
}
