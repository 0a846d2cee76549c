//! Receipts: each paid payment gets its own, once, whatever the printer is doing. Money never waits for paper.

use std::time::Duration;

use till_simulators::printer::{Command, Model, PrinterConfig, VirtualPrinter};
use till_tests::scene::{prints, receipts, until};
use till_tests::{Client, PaymentClient, Rig, RigOptions};

const LONG: Duration = Duration::from_secs(20);

async fn paid_cash(client: &Client, amount: i64) -> PaymentClient {
    let payment = client.ready(amount).await.unwrap_or_else(|e| panic!("{e}"));
    payment.pay_cash(amount).await.unwrap_or_else(|e| panic!("{e}"));
    payment.wait(&["paid"]).await.unwrap_or_else(|e| panic!("{e}"));
    payment
}

/// The receipt's number once the till says that it is on paper.
async fn on_paper(client: &Client, payment: &PaymentClient) -> u64 {
    let id = payment.id();
    let printed = || async {
        let details = client.details(&id).await.ok()?;
        details.receipt_printed.unwrap_or(false).then(|| details.receipt.unwrap_or(0))
    };
    until(&format!("receipt of {id}"), printed).await.unwrap_or_else(|e| panic!("{e}"))
}

/// Receipt numbers on paper, in order.
fn numbers(rig: &Rig) -> Vec<u64> {
    receipts(rig).into_iter().map(|r| r.0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_printer_that_is_off_gets_every_receipt_in_order_once_when_it_is_back() {
    let mut rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let addr = rig.printer.addr();
    // Off: nobody answers at its address any more.
    rig.printer = VirtualPrinter::start(PrinterConfig::default()).unwrap();
    let gone = || async { (client.device("printer").await.ok()?.0 != "ready").then_some(()) };
    until("the till sees that the printer is away", gone).await.unwrap();
    let mut payments = Vec::new();
    for amount in [100, 200, 300, 400, 500] {
        let payment = paid_cash(&client, amount).await;
        let details = client.details(&payment.id()).await.unwrap();
        assert_eq!((details.state.as_str(), details.receipt_printed), ("paid", Some(false)));
        payments.push(payment);
    }
    rig.printer = VirtualPrinter::start(PrinterConfig { listen: addr, ..PrinterConfig::default() }).unwrap();
    let mut expected = Vec::new();
    for payment in &payments {
        expected.push(on_paper(&client, payment).await);
    }
    assert_eq!(numbers(&rig), expected, "each once, in the order of the payments");
    assert!(rig.printer.receipts()[0].text().contains("1.00"));
    assert!(rig.printer.unknown().is_empty());
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn paper_that_ends_inside_a_receipt_holds_it_until_there_is_more() {
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    rig.printer.command(&Command::Paper { lines: 7 });
    let payment = paid_cash(&client, 4_200).await;
    let held = || async {
        let (state, reason) = client.device("printer").await.ok()?;
        (state == "blocked").then_some(reason)
    };
    let reason = until("the till asks for paper", held).await.unwrap();
    assert!(reason.contains("paper"), "{reason}");
    assert_eq!(payment.state().await.unwrap(), "paid");
    assert_eq!(client.state().await.unwrap(), "degraded", "a till without paper still sells");
    rig.printer.command(&Command::Refill { lines: None });
    let number = on_paper(&client, &payment).await;
    let (first, again) = prints(&rig, number);
    assert!(first + again >= 1 && first <= 1 && again <= 1, "{first} and {again} marked");
    let ready = || async { (client.device("printer").await.ok()?.0 == "ready").then_some(()) };
    until("the printer is well again", ready).await.unwrap();
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_torn_by_a_crash_is_voided_and_printed_again_before_the_next_one() {
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    rig.printer.command(&Command::Paper { lines: 6 });
    let torn = paid_cash(&client, 4_300).await;
    assert!(rig.printer.wait(LONG, |p| p.status().paper == Some(0)));
    let next = paid_cash(&client, 4_400).await;
    for payment in [&torn, &next] {
        assert_eq!(client.details(&payment.id()).await.unwrap().receipt_printed, Some(false));
    }
    assert!(rig.kill_host("printer"));
    rig.printer.command(&Command::Refill { lines: None });
    let (torn, next) = (on_paper(&client, &torn).await, on_paper(&client, &next).await);
    assert_eq!(receipts(&rig), [(torn, true), (next, false)]);
    let papers: Vec<String> =
        rig.printer.receipts().iter().map(till_simulators::printer::Receipt::text).collect();
    assert!(papers.iter().all(|p| p.matches("单号").count() <= 1), "two receipts on one paper: {papers:#?}");
    assert!(papers[0].contains("作废"), "the torn half says that it is void: {}", papers[0]);
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_printer_gets_its_time_and_the_till_sells_on() {
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    rig.printer.command(&Command::ReadRate { bytes_per_second: Some(400) });
    let slow = paid_cash(&client, 700).await;
    let next = paid_cash(&client, 800).await;
    assert_eq!(
        client.details(&slow.id()).await.unwrap().receipt_printed,
        Some(false),
        "paid before it is printed"
    );
    rig.printer.command(&Command::ReadRate { bytes_per_second: Some(2_000) });
    let expected = vec![on_paper(&client, &slow).await, on_paper(&client, &next).await];
    assert_eq!(numbers(&rig), expected);
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_printer_that_tells_nothing_prints_once_and_is_not_asked_again() {
    let silent = PrinterConfig { model: Model::default(), ..PrinterConfig::default() };
    let mut rig = Rig::stand(RigOptions { printer: silent, ..RigOptions::default() }).unwrap();
    rig.printer.command(&Command::Silent { on: true });
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let payment = paid_cash(&client, 900).await;
    let number = on_paper(&client, &payment).await;
    let how = |journal: Vec<serde_json::Value>| -> Vec<String> {
        let ended = journal.iter().filter(|r| r["kind"] == "job-ended");
        ended.filter_map(|r| Some(r["record"]["JobEnded"]["how"].as_str()?.to_owned())).collect()
    };
    assert_eq!(how(client.journal().await.unwrap()), ["unconfirmed"]);
    rig.kill_till();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let second = paid_cash(&client, 950).await;
    on_paper(&client, &second).await;
    assert!(rig.printer.wait_receipts(2, LONG).is_some());
    assert_eq!(prints(&rig, number), (1, 0), "what may be on paper is not printed a second time by itself");
    rig.at_rest(&client).await.unwrap();
}
