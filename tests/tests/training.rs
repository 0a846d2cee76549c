//! Training (pos.md S63): what is practised reaches no network and counts nowhere, and every paper says what it is.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use till_dbus::{Options, Settlement1Proxy, Terminal1Proxy};
use till_tests::scene::{TRACKS, again, refused, until, wallet_code};
use till_tests::{Client, PaymentClient, Rig, RigOptions};
use zbus::OwnedObjectPath;

fn teacher() -> Options<'static> {
    [("operator", "007".into())].into()
}

async fn practise(client: &Client, minor: i64) -> PaymentClient {
    let options: Options<'_> = [("training", true.into()), ("operator", "001".into())].into();
    let terminal = client.terminal().await.unwrap();
    let path: OwnedObjectPath = terminal.call("OpenPayment", &(minor, "CNY", options)).await.unwrap();
    let payment = client.payment(path);
    payment.confirm(minor).await.unwrap();
    payment
}

/// The paper of a payment once it is out.
async fn paper(rig: &Rig, client: &Client, payment: &PaymentClient) -> String {
    let id = payment.id();
    let printed = || async { client.details(&id).await.ok()?.receipt_printed?.then_some(()) };
    until(&format!("the receipt of {id}"), printed).await.unwrap();
    rig.printer.receipts().last().unwrap().text()
}

#[tokio::test(flavor = "multi_thread")]
async fn s63_what_is_practised_reaches_nobody_and_every_paper_says_so_over_a_kill() {
    let mut rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let terminal = Terminal1Proxy::new(client.connection()).await.unwrap();
    let sold = client.ready(1_000).await.unwrap();
    sold.pay_cash(1_000).await.unwrap();
    sold.wait(&["paid"]).await.unwrap();
    let real = paper(&rig, &client, &sold).await;
    assert!(!real.contains("TRAINING"), "{real}");

    // Who wants to practise says so twice: the till's mode, and each payment.
    let early = client.terminal().await.unwrap();
    let wanted: Options<'_> = [("training", true.into())].into();
    let told: zbus::Result<OwnedObjectPath> = early.call("OpenPayment", &(100_i64, "CNY", wanted)).await;
    assert_eq!(refused(told), "WrongState");
    assert!(terminal.set_training(true, Options::new()).await.is_err(), "nobody answers for it");
    terminal.set_training(true, teacher()).await.unwrap();
    assert_eq!(refused(client.open(100, "").await), "WrongState", "nobody sells by mistake");

    let (booked, asked) = (rig.acquirer.ledger().len(), rig.gateway.ledger().trades.len());
    let by_card = practise(&client, 12_800).await;
    rig.reader.swipe(&again(TRACKS)).unwrap();
    by_card.wait(&["paid"]).await.unwrap();
    let text = paper(&rig, &client, &by_card).await;
    assert_eq!(text.matches("NOT A RECEIPT").count(), 2, "at its top and at its bottom: {text}");
    assert!(text.lines().any(|l| l.starts_with("支付方式") && l.ends_with("培训")), "{text}");
    let by_wallet = practise(&client, 2_500).await;
    by_wallet.pay_code(&wallet_code(1)).await.unwrap();
    by_wallet.wait(&["paid"]).await.unwrap();
    assert!(paper(&rig, &client, &by_wallet).await.contains("培训"));
    assert!(rig.reader.swipe(&again(TRACKS)).is_ok(), "a card drawn without a payment");

    // The flag and the mark outlive the process.
    let open = practise(&client, 300).await;
    rig.kill_till();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let terminal = Terminal1Proxy::new(client.connection()).await.unwrap();
    assert!(terminal.training().await.unwrap());
    for lesson in [&by_card, &by_wallet, &open] {
        assert_eq!(client.details(&lesson.id()).await.unwrap().training, Some(true));
    }
    assert_eq!(client.details(&by_card.id()).await.unwrap().state, "paid");
    assert_eq!(
        refused(client.open(100, "").await),
        "WrongState",
        "after the restart nobody sells by mistake either"
    );

    assert_eq!(
        (rig.acquirer.ledger().len(), rig.gateway.ledger().trades.len()),
        (booked, asked),
        "it was sent out"
    );
    terminal.set_training(false, teacher()).await.unwrap();
    let next = client.ready(2_000).await.unwrap();
    next.pay_cash(2_000).await.unwrap();
    next.wait(&["paid"]).await.unwrap();
    paper(&rig, &client, &next).await;
    let numbers = (client.details(&sold.id()).await.unwrap(), client.details(&next.id()).await.unwrap());
    assert_eq!(numbers.1.receipt, numbers.0.receipt.map(|n| n + 1), "lessons take no receipt number");

    let settlement = Settlement1Proxy::new(client.connection()).await.unwrap();
    let day = settlement.close(teacher()).await.unwrap();
    let closed = || async {
        let rows = settlement.list_batches(Options::new()).await.ok()?;
        rows.iter().any(|b| b.number == day && b.state == "closed").then_some(())
    };
    until("the day is closed", closed).await.unwrap();
    let parts = settlement.list_parts(day, Options::new()).await.unwrap();
    let sums: Vec<_> =
        parts.iter().filter(|p| p.debit_count > 0).map(|p| (p.channel.as_str(), p.debits)).collect();
    assert_eq!(sums, [("cash", 3_000)], "a lesson is in the day's totals");
    rig.at_rest(&client).await.unwrap();
}
