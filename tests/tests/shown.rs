//! A code that the till shows (S20): scanned and paid, over a kill, given up, and scanned too late. No notification reaches a till
//! behind NAT, so all of it ends by query, and the books agree.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use till_dbus::events::Change;
use till_dbus::{Options, Payment1Proxy, Terminal1Proxy};
use till_simulators::alipay::Buyer;
use till_tests::scene::until;
use till_tests::{Rig, RigOptions, Watch};

/// Time to scan: as long as the tests need, and no longer.
fn options() -> RigOptions {
    RigOptions { wallet_ms: [150, 200, 3_000, 300], ..RigOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn s20_a_shown_code_is_paid_when_the_customer_has_paid_also_over_a_kill() {
    let mut rig = Rig::start(options()).await.unwrap();
    let client = rig.client().await.unwrap();
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    let payment = client.ready(1_200).await.unwrap();
    let order = payment.show_code("alipay").await.unwrap();
    // The front-end is told what to show, and the prompt says it to one that comes later.
    let code = watch
        .wait("the code to show", |events| {
            events.iter().find_map(|e| match &e.change {
                Change::ShowCode { code } => Some(code.clone()),
                _ => None,
            })
        })
        .await
        .unwrap();
    let now = Payment1Proxy::builder(client.connection()).path(payment.path.clone()).build().await.unwrap();
    let prompt = now.prompt().await.unwrap();
    assert_eq!((prompt.id.as_str(), prompt.arguments.code), ("show-code", Some(code)));
    assert!(rig.gateway.scan(&order, Buyer::Pays));
    assert_eq!(payment.wait(&["paid"]).await.unwrap(), "paid");
    rig.at_rest(&client).await.unwrap();

    // The till dies with the code on the display, and the customer pays meanwhile.
    let payment = client.ready(2_300).await.unwrap();
    let order = payment.show_code("alipay").await.unwrap();
    let id = payment.id();
    rig.kill_till();
    assert!(rig.gateway.scan(&order, Buyer::Pays));
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let terminal = Terminal1Proxy::new(client.connection()).await.unwrap();
    until("the payment of before the kill to be paid", async || {
        let found = terminal.find_payment(&id, Options::new()).await.ok()?;
        (found.state == "paid").then_some(())
    })
    .await
    .unwrap();
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s20_a_code_that_nobody_scanned_is_taken_back_and_cannot_be_paid_any_more() {
    let rig = Rig::start(options()).await.unwrap();
    let client = rig.client().await.unwrap();
    // Nobody scans it in its time: the customer is still there and may pay otherwise.
    let payment = client.ready(1_200).await.unwrap();
    let order = payment.show_code("alipay").await.unwrap();
    assert_eq!(payment.wait_attempt(&["reversed"]).await.unwrap(), "reversed");
    assert_eq!(payment.wait(&["ready"]).await.unwrap(), "ready");
    assert!(!rig.gateway.scan(&order, Buyer::Pays), "a code that was taken back can be scanned");
    // They change their mind: given up while it is shown.
    let order = payment.show_code("alipay").await.unwrap();
    payment.cancel().await.unwrap();
    assert_eq!(payment.wait(&["cancelled"]).await.unwrap(), "cancelled");
    assert!(!rig.gateway.scan(&order, Buyer::Pays), "a code that was given up can be scanned");
    rig.at_rest(&client).await.unwrap();

    // A choice that shows none is passed over, as everywhere (decision 0008): the payment says whose code it is.
    let payment = client.ready(500).await.unwrap();
    let order = payment.show_code("cash").await.unwrap();
    assert_eq!(payment.channel().await.unwrap(), "alipay");
    assert!(rig.gateway.scan(&order, Buyer::Pays));
    assert_eq!(payment.wait(&["paid"]).await.unwrap(), "paid");
    rig.at_rest(&client).await.unwrap();
}
