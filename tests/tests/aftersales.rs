//! After the sale: money goes back by the channel that took it, never more than was taken, also after a restart.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use till_dbus::types::PaymentDetails;
use till_dbus::{AfterSales1Proxy, Error, Options};
use till_simulators::players::Swipe;
use till_tests::scene::until;
use till_tests::{Client, Rig, RigOptions};

const CARD: &str = "%B6200000000000005^TEST/CARD^3012101000000000?;6200000000000005=301210100000?";

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
    rig.at_rest(&client).await.unwrap();
}

/// A sale paid in cash, by somebody.
async fn sale(client: &Client, minor: i64) -> String {
    let payment = client.ready(minor).await.unwrap();
    payment.pay_cash(minor).await.unwrap();
    payment.wait(&["paid"]).await.unwrap();
    payment.id()
}

#[tokio::test(flavor = "multi_thread")]
async fn s46_a_receipt_is_given_as_data_at_any_later_time_and_says_the_same() {
    let mut rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let id = sale(&client, 12_850).await;
    let after = AfterSales1Proxy::new(client.connection()).await.unwrap();
    let first = after.receipt(&id, Options::new()).await.unwrap();
    assert_eq!((first.amount, first.total, first.currency.as_str()), (12_850, 12_850, "CNY"));
    assert_eq!(
        (first.kind.as_str(), first.shop.as_str(), first.operator.as_str()),
        ("sale", "好味小馆", "001")
    );
    assert!(first.lines.iter().any(|(_, value)| value == "¥128.50") && first.text.contains("¥128.50"));
    let leg = after.refund(&id, 850, by("cold", "refund-1")).await.unwrap();
    let p = ended(&client, &id, leg).await;
    let slip = p.attempts.iter().find(|a| a.attempt == leg).unwrap().receipt.unwrap();

    // More sales than the till keeps in memory, then a kill.
    for n in 0..130 {
        sale(&client, 100 + n).await;
    }
    rig.kill_till();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let after = AfterSales1Proxy::new(client.connection()).await.unwrap();
    assert_eq!(
        after.receipt(&id, Options::new()).await.unwrap(),
        first,
        "the receipt says something else now"
    );
    let of = after.receipt(&id, [("receipt", slip.into())].into()).await.unwrap();
    assert_eq!((of.kind.as_str(), of.amount, of.receipt), ("refund", 850, slip));
    let none = after.receipt(&id, [("receipt", 999_999_u64.into())].into()).await;
    assert!(matches!(none, Err(Error::WrongState(_))), "{none:?}");
    let never = after.receipt(&"ab".repeat(16), Options::new()).await;
    assert!(matches!(never, Err(Error::NotFound(_))), "{never:?}");
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s53_a_bill_is_asked_by_what_is_wanted_and_its_pages_stand_while_sales_go_on() {
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let mut ids = Vec::new();
    for n in 1..=10 {
        ids.push(sale(&client, n * 100).await);
    }
    let after = AfterSales1Proxy::new(client.connection()).await.unwrap();
    let leg = after.refund(&ids[3], 0, by("", "r")).await.unwrap();
    ended(&client, &ids[3], leg).await;
    let cancelled = client.open(700, "").await.unwrap();
    cancelled.cancel().await.unwrap();
    cancelled.wait(&["cancelled"]).await.unwrap();
    let opened = client.details(&ids[5]).await.unwrap().opened_ms;
    let asked = |options: Options<'static>| {
        let after = after.clone();
        async move {
            let (rows, next) = after.bill(0, options).await.unwrap();
            assert_eq!(next, 0);
            rows.into_iter().map(|r| r.id).collect::<Vec<_>>()
        }
    };
    assert_eq!(asked([("state", "returned".into())].into()).await, [ids[3].clone()]);
    assert_eq!(asked([("state", "cancelled".into())].into()).await, [cancelled.id()]);
    assert_eq!(asked([("channel", "cash".into())].into()).await, ids);
    assert_eq!(asked([("channel", "alipay".into())].into()).await, [""; 0]);
    assert_eq!(asked([("operator", "001".into()), ("channel", "cash".into())].into()).await, ids);
    assert_eq!(asked([("operator", "nobody".into())].into()).await, [""; 0]);
    assert_eq!(asked([("min", 300_i64.into()), ("max", 500_i64.into())].into()).await, ids[2..5]);
    assert_eq!(asked([("from-ms", opened.into()), ("channel", "cash".into())].into()).await, ids[5..]);
    assert_eq!(asked([("to-ms", (opened - 1).into())].into()).await, ids[..5]);

    // Page by page, a sale between any two: nothing is missed, nothing comes twice, and what is new comes last.
    let (mut seen, mut at) = (Vec::new(), 0);
    loop {
        let options = Options::from([("limit", 3_u32.into()), ("channel", "cash".into())]);
        let (rows, next) = after.bill(at, options).await.unwrap();
        seen.extend(rows.into_iter().map(|r| r.id));
        if next == 0 {
            break;
        }
        at = next;
        if ids.len() < 14 {
            ids.push(sale(&client, 5_000).await);
        }
    }
    assert_eq!(seen, ids);
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s54_a_payment_is_found_by_every_number_it_carries_and_its_history_tells_who_did_what() {
    let mut rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let payment = client.open(1_000, "order-4711").await.unwrap();
    payment.confirm(1_000).await.unwrap();
    rig.reader.swipe(&Swipe::new(CARD)).unwrap();
    payment.wait(&["paid"]).await.unwrap();
    let id = payment.id();
    let other = sale(&client, 1_000).await;
    rig.kill_till();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let p = client.details(&id).await.unwrap();
    let a = &p.attempts[0];
    let reference = a.reference.clone().unwrap();
    let trace = format!("{:06}", a.trace.unwrap());
    let receipt = format!("{:08}", p.receipt.unwrap());
    let after = AfterSales1Proxy::new(client.connection()).await.unwrap();
    let numbers = [&id, "order-4711", a.order.as_deref().unwrap(), &trace, &reference, &receipt];
    for number in numbers {
        assert!(number.len() > 5, "{numbers:?}");
        let found = after.find(number, Options::new()).await.unwrap();
        assert!(found.contains(&id), "{number} finds {found:?}");
        assert!(!found.contains(&other) || number == trace, "{number} finds another payment");
    }
    assert!(after.find("no-such-number", Options::new()).await.unwrap().is_empty());

    // What people did to it can be read of old payments too.
    let leg = after.refund(&other, 400, by("cold", "refund-9")).await.unwrap();
    ended(&client, &other, leg).await;
    after.reprint(&other, [("operator", "008".into())].into()).await.unwrap();
    assert_eq!(after.find("refund-9", Options::new()).await.unwrap(), [other.as_str()]);
    let steps = after.history(&other, Options::new()).await.unwrap();
    let who =
        |event: &str| steps.iter().find(|s| s.event == event).map(|s| (s.operator.as_str(), s.text.as_str()));
    assert_eq!(steps[0].event, "opened");
    assert_eq!(who("leg-created"), Some(("007", "refund cold")));
    assert_eq!(who("copy-requested").map(|w| w.0), Some("008"));
    assert!(steps.is_sorted_by_key(|s| s.seq));
    rig.at_rest(&client).await.unwrap();
}
