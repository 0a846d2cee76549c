//! After the sale: money goes back by the channel that took it, never more than was taken, also after a restart.

use till_dbus::types::PaymentDetails;
use till_dbus::{AfterSales1Proxy, Error, Options};
use till_tests::scene::until;
use till_tests::{Client, Rig, RigOptions};

fn by<'a>(reason: &'a str, key: &'a str) -> Options<'a> {
    [("operator", "007".into()), ("reason", reason.into()), ("key", key.into())].into()
}

/// The payment once a leg of it has ended.
async fn ended(client: &Client, id: &str, leg: u32) -> PaymentDetails {
    let over = || async {
        let p = client.details(id).await.ok()?;
        let state = p.attempts.iter().find(|a| a.attempt == leg)?.state.clone();
        (!["created", "sent", "querying", "reversing"].contains(&state.as_str())).then_some(p)
    };
    until(&format!("leg {leg} of {id}"), over).await.unwrap_or_else(|e| panic!("{e}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn cash_goes_back_in_parts_across_a_restart_and_never_more_than_was_paid() {
    let mut rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let payment = client.ready(10_000).await.unwrap();
    payment.pay_cash(10_000).await.unwrap();
    payment.wait(&["paid"]).await.unwrap();
    let id = payment.id();
    let receipt = client.details(&id).await.unwrap().receipt.unwrap();

    let after = AfterSales1Proxy::new(client.connection()).await.unwrap();
    let nameless = after.refund(&id, 3_000, Options::new()).await;
    assert!(matches!(nameless, Err(Error::InvalidArgs(_))), "{nameless:?}");
    let first = after.refund(&id, 3_000, by("one dish was cold", "refund-1")).await.unwrap();
    let p = ended(&client, &id, first).await;
    assert_eq!((p.state.as_str(), p.paid, p.returned), ("paid", 10_000, Some(3_000)));
    let leg = p.attempts.iter().find(|a| a.attempt == first).unwrap();
    assert_eq!((leg.state.as_str(), leg.kind.as_deref(), leg.of), ("approved", Some("refund"), Some(1)));
    assert_eq!((leg.amount, leg.operator.as_deref()), (Some(3_000), Some("007")));
    let over = after.refund(&id, 7_001, by("", "refund-2")).await;
    assert!(matches!(over, Err(Error::TooMuch(_))), "{over:?}");

    assert!(rig.stop_till());
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let after = AfterSales1Proxy::new(client.connection()).await.unwrap();
    // A front-end that never heard the answer asks again.
    let again = after.refund(&id, 3_000, by("one dish was cold", "refund-1")).await.unwrap();
    assert_eq!((again, ended(&client, &id, again).await.returned), (first, Some(3_000)));
    let over = after.refund(&id, 7_001, by("", "refund-3")).await;
    assert!(matches!(over, Err(Error::TooMuch(_))), "a restart forgets nothing: {over:?}");
    let rest = after.refund(&id, 0, by("all of it", "refund-4")).await.unwrap();
    let p = ended(&client, &id, rest).await;
    assert_eq!((p.state.as_str(), p.paid, p.returned), ("returned", 10_000, Some(10_000)));
    let nothing = after.refund(&id, 1, by("", "refund-5")).await;
    assert!(matches!(nothing, Err(Error::NotPossible(_) | Error::TooMuch(_))), "{nothing:?}");

    assert_eq!(after.find(&format!("{receipt:08}"), Options::new()).await.unwrap(), [id.as_str()]);
    let (bill, next) = after.bill(0, Options::new()).await.unwrap();
    assert_eq!((bill.len(), next), (1, 0));
    let row = &bill[0];
    assert_eq!((row.id.as_str(), row.state.as_str()), (id.as_str(), "returned"));
    assert_eq!((row.amount, row.paid, row.returned), (10_000, 10_000, 10_000));
    assert_eq!((row.channel.as_str(), row.operator.as_str()), ("cash", "001"));
}
