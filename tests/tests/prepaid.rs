//! A card of the shop's own, end to end: known by its number, decided on this machine, never sent to the bank.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use std::os::fd::AsFd;

use till_dbus::events::{Change, Events};
use till_dbus::types::CardReport;
use till_dbus::{AfterSales1Proxy, Error, Options, Prepaid1Proxy, paths};
use till_simulators::players::Swipe;
use till_tests::client::PaymentClient;
use till_tests::scene::until;
use till_tests::{Client, Rig, RigOptions};
use zbus::Fd;

const OURS: &str = "%B8600000000000005^SHOP/CARD^3012101000000000?;8600000000000005=301210100000?";
const BANKS: &str = "%B6200000000000005^TEST/CARD^3012101000000000?;6200000000000005=301210100000?";
const CONFIG: &str = r#"
[payment]
cards = [{ family = "prepaid", prefix = "8600", min-length = 16, max-length = 16 }]

[channel.prepaid]
plugin = "org.tilld.prepaid"
name = "储值卡"
priority = 5
secrets = { card_key = "prepaid-card-key" }
settings = { prefixes = ["8600"] }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn s34_a_card_of_the_shop_is_declined_on_this_machine_and_the_bank_never_hears_of_it() {
    let options = RigOptions { extra_config: CONFIG.into(), ..RigOptions::default() };
    let mut rig = Rig::start(options).await.unwrap();
    let client = rig.client().await.unwrap();
    assert_eq!(client.channel("prepaid").await.unwrap().0, "ready");
    let payment = client.ready(1_000).await.unwrap();
    rig.reader.swipe(&Swipe::new(OURS)).unwrap();
    payment.wait_attempt(&["not-sent"]).await.unwrap();
    let attempt = format!("{:?}", payment.describe().await.unwrap());
    assert!(attempt.contains("unknown-card") && attempt.contains("prepaid"), "{attempt}");
    assert_eq!(rig.acquirer.ledger().len(), 0, "the shop's card went to the bank");
    // The same payment, another way to pay; and a bank's card is still a bank's.
    rig.reader.swipe(&Swipe::new(BANKS)).unwrap();
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!(payment.channel().await.unwrap(), "bankcard");
    // Killed and started again, the channel finds its ledger in the journal.
    rig.kill_till();
    rig.start_till().unwrap();
    rig.wait_ready().await.unwrap();
    let client = rig.client().await.unwrap();
    assert_eq!(client.channel("prepaid").await.unwrap().0, "ready");
    rig.at_rest(&client).await.unwrap();
}

const NUMBER: &str = "8600000000000005";
const OTHER: &str = "8600000000000013";

fn by(operator: &str) -> Options<'_> {
    [("operator", operator.into())].into()
}

async fn cards(client: &Client) -> Prepaid1Proxy<'static> {
    let path = paths::channel("prepaid").unwrap();
    let proxy = Prepaid1Proxy::builder(client.connection()).path(path);
    proxy.build().await.unwrap()
}

/// Hands a card over by its number.
async fn present(client: &Client, number: &str) -> String {
    let pipe = till_dbus::code_pipe(number).unwrap();
    let (card, masked) =
        cards(client).await.present_card(Fd::from(pipe.as_fd()), Options::new()).await.unwrap();
    assert!(!masked.contains("000000000"), "a card's number is shown: {masked}");
    card
}

async fn query(client: &Client, number: &str) -> CardReport {
    let card = present(client, number).await;
    cards(client).await.query(&card, Options::new()).await.unwrap()
}

async fn issue(client: &Client, number: &str) {
    let card = present(client, number).await;
    cards(client).await.issue(&card, by("007")).await.unwrap();
}

/// Opens a top-up and confirms it.
async fn top_up(client: &Client, number: &str, minor: i64, key: &str) -> PaymentClient {
    let card = present(client, number).await;
    let options = Options::from([("key", key.into()), ("operator", "007".into())]);
    let path = cards(client).await.top_up(&card, minor, options).await.unwrap();
    let payment = client.payment(path);
    payment.confirm(minor).await.unwrap();
    payment
}

async fn with_cards() -> Rig {
    let rig = Rig::start(RigOptions { extra_config: CONFIG.into(), ..RigOptions::default() }).await.unwrap();
    // At the end of each test the books are compared with the ledger of these.
    rig.know_card(NUMBER);
    rig.know_card(OTHER);
    rig
}

#[tokio::test(flavor = "multi_thread")]
async fn s56_s57_s58_issued_topped_up_with_cash_paid_with_refunded_and_the_balance_is_the_ledgers_fold() {
    let mut rig = with_cards().await;
    let client = rig.client().await.unwrap();
    let proxy = cards(&client).await;

    // S56: a number is issued once, by somebody.
    let card = present(&client, NUMBER).await;
    assert!(matches!(proxy.query(&card, Options::new()).await, Err(Error::NotFound(_))), "never issued");
    assert!(matches!(proxy.issue(&card, Options::new()).await, Err(Error::InvalidArgs(_))), "by nobody");
    let keyed = || Options::from([("operator", "007".into()), ("key", "issue-1".into())]);
    let report = proxy.issue(&card, keyed()).await.unwrap();
    assert_eq!(
        (report.account.as_str(), report.standing.as_str(), report.balance),
        ("****0005", "active", 0)
    );
    proxy.issue(&card, keyed()).await.expect("the same issue again");
    let again = proxy.issue(&present(&client, NUMBER).await, by("007")).await;
    assert!(matches!(again, Err(Error::Refused(_))), "a number was issued twice: {again:?}");
    let banks = proxy.issue(&present(&client, "6200000000000005").await, by("007")).await;
    assert!(matches!(banks, Err(Error::NotPayable(_))), "{banks:?}");
    assert!(matches!(proxy.query("no-such-ticket", Options::new()).await, Err(Error::NotFound(_))));

    // S57: paid in cash, then on the card. The same key is the same top-up, of the same card only.
    let payment = top_up(&client, NUMBER, 10_000, "top-up-1").await;
    let same = proxy.top_up(&card, 10_000, Options::from([("key", "top-up-1".into())])).await.unwrap();
    assert_eq!(same.as_str(), payment.path.as_str());
    let other = present(&client, OTHER).await;
    proxy.issue(&other, by("007")).await.unwrap();
    let reuse = proxy.top_up(&other, 10_000, Options::from([("key", "top-up-1".into())])).await;
    assert!(matches!(reuse, Err(Error::KeyReuse(_))), "{reuse:?}");
    let by_itself = payment.pay_code_as(NUMBER, "prepaid").await;
    assert!(by_itself.is_err(), "a card was topped up out of its own balance");
    payment.pay_cash(10_000).await.unwrap();
    payment.wait(&["paid"]).await.unwrap();
    let details = client.details(&payment.id()).await.unwrap();
    assert_eq!(
        (details.purpose.as_deref(), details.top_up_account.as_deref()),
        (Some("top-up"), Some("****0005"))
    );
    assert_eq!(query(&client, NUMBER).await.balance, 10_000);

    // Bought with it, and a part given back, after a restart of everything.
    let sale = client.ready(3_000).await.unwrap();
    rig.reader.swipe(&Swipe::new(OURS)).unwrap();
    sale.wait(&["paid"]).await.unwrap();
    assert_eq!(sale.channel().await.unwrap(), "prepaid");
    rig.kill_till();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let after = AfterSales1Proxy::new(client.connection()).await.unwrap();
    after.refund(&sale.id(), 1_000, by("007")).await.unwrap();
    let back = || async { Some(client.details(&sale.id()).await.ok()?.returned? == 1_000).filter(|b| *b) };
    until("the refund", back).await.unwrap();

    // S58: the balance is the fold of the history, page by page.
    let (proxy, card) = (cards(&client).await, present(&client, NUMBER).await);
    let report = proxy.query(&card, Options::new()).await.unwrap();
    assert_eq!(
        (report.balance, report.currency.as_str(), report.standing.as_str()),
        (8_000, "CNY", "active")
    );
    let (mut entries, mut before) = (Vec::new(), 0);
    loop {
        let (page, next) = proxy.history(&card, before, [("limit", 2_u32.into())].into()).await.unwrap();
        entries.extend(page);
        if next == 0 {
            break;
        }
        before = next;
    }
    let told: Vec<(&str, i64, i64)> =
        entries.iter().map(|e| (e.operation.as_str(), e.change, e.balance)).collect();
    assert_eq!(
        told,
        [("refund", 1_000, 8_000), ("debit", -3_000, 7_000), ("load", 10_000, 10_000), ("issue", 0, 0)]
    );
    assert_eq!(entries.iter().map(|e| e.change).sum::<i64>(), report.balance);
    assert_eq!(rig.acquirer.ledger().len(), 0, "the shop's card went to the bank");
    assert!(!rig.log_lines().iter().any(|l| l.contains(NUMBER)), "a card's number is in the log");
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_card_takes_no_money_and_a_swipe_is_a_ticket_too() {
    let rig = with_cards().await;
    let client = rig.client().await.unwrap();
    let proxy = cards(&client).await;
    issue(&client, NUMBER).await;

    // A swipe: the readers are armed for it, and only for it.
    let mut events = Events::subscribe(client.connection()).await.unwrap();
    proxy.read_card(Options::new()).await.unwrap();
    rig.reader.swipe(&Swipe::new(OURS)).unwrap();
    let card = loop {
        if let Some(Change::CardPresented { card, masked, device }) = events.next().await.map(|e| e.change) {
            assert_eq!((masked.ends_with("0005"), device.as_str()), (true, "cardreader"));
            assert!(!masked.contains("0000000000"), "{masked}");
            break card;
        }
    };
    let blocked = proxy.block(&card, "lost", by("007")).await.unwrap();
    assert_eq!(blocked.standing, "blocked");
    let refused = proxy.top_up(&card, 5_000, by("007")).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "money is asked for a blocked card: {refused:?}");
    assert_eq!(client.all_payments().await.unwrap().len(), 0, "a payment was opened for it");
    let sale = client.ready(100).await.unwrap();
    assert!(matches!(proxy.read_card(Options::new()).await, Err(Error::Busy(_))), "the sale has the readers");
    sale.pay_code_as(NUMBER, "prepaid").await.unwrap();
    sale.wait_attempt(&["not-sent"]).await.unwrap();
    sale.cancel().await.unwrap();
    sale.wait(&["cancelled"]).await.unwrap();
    assert_eq!(proxy.unblock(&card, "found again", by("008")).await.unwrap().standing, "active");

    // What a channel cannot do it has no interface for.
    let cash = paths::channel("cash").unwrap();
    let cash = Prepaid1Proxy::builder(client.connection()).path(cash).build().await.unwrap();
    assert!(cash.query(&card, Options::new()).await.is_err());
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_card_is_paid_out_once_by_somebody_and_closed_for_good() {
    let mut rig = with_cards().await;
    let client = rig.client().await.unwrap();
    let proxy = cards(&client).await;
    // A bearer card is spent, not paid out.
    issue(&client, OTHER).await;
    let bearer = proxy.redeem(&present(&client, OTHER).await, "wants cash", by("007")).await;
    assert!(matches!(bearer, Err(Error::Refused(_))), "{bearer:?}");

    let card = present(&client, NUMBER).await;
    let mut registered = by("007");
    registered.insert("registered", true.into());
    proxy.issue(&card, registered).await.unwrap();
    let payment = top_up(&client, NUMBER, 10_000, "top-up-1").await;
    payment.pay_cash(10_000).await.unwrap();
    payment.wait(&["paid"]).await.unwrap();
    let fresh = proxy.reactivate(&card, by("007")).await;
    assert!(matches!(fresh, Err(Error::Refused(_))), "a card that is valid: {fresh:?}");
    assert!(matches!(proxy.reactivate(&card, Options::new()).await, Err(Error::InvalidArgs(_))), "by nobody");
    assert!(
        matches!(proxy.redeem(&card, "moves", Options::new()).await, Err(Error::InvalidArgs(_))),
        "by nobody"
    );
    assert!(matches!(proxy.redeem(&card, " ", by("007")).await, Err(Error::InvalidArgs(_))), "for nothing");
    let keyed = || Options::from([("operator", "007".into()), ("key", "payout-1".into())]);
    let report = proxy.redeem(&card, "moves away", keyed()).await.unwrap();
    assert_eq!((report.paid_out, report.balance, report.standing.as_str()), (Some(10_000), 0, "closed"));

    // Its answer was lost, and the till killed: the same again is the same, another one is refused.
    rig.kill_till();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let (proxy, card) = (cards(&client).await, present(&client, NUMBER).await);
    assert_eq!(proxy.redeem(&card, "moves away", keyed()).await.unwrap().paid_out, Some(10_000));
    let twice = proxy.redeem(&card, "moves away", by("007")).await;
    assert!(matches!(twice, Err(Error::Refused(_))), "paid out twice: {twice:?}");
    let (entries, _) = proxy.history(&card, 0, Options::new()).await.unwrap();
    let told: Vec<_> = entries.iter().map(|e| (e.operation.as_str(), e.change)).collect();
    assert_eq!(told, [("redeem", -10_000), ("load", 10_000), ("issue", 0)]);
    // The journal has who, how much and why.
    let all = client.journal().await.unwrap();
    let opened = all.iter().find(|r| r["kind"] == "drawer-opened").unwrap()["record"].to_string();
    for says in ["007", "100.00", "****0005", "moves away"] {
        assert!(opened.contains(says), "{says} is not in {opened}");
    }
    let sale = client.ready(100).await.unwrap();
    sale.pay_code_as(NUMBER, "prepaid").await.unwrap();
    sale.wait_attempt(&["not-sent"]).await.unwrap();
    sale.cancel().await.unwrap();
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s57_killed_between_the_cash_and_the_load_it_is_both_or_neither() {
    let mut rig = with_cards().await;
    let mut client = rig.client().await.unwrap();
    issue(&client, NUMBER).await;
    let mut loaded = 0;
    for round in 0..4 {
        let payment = top_up(&client, NUMBER, 1_000 + round, &format!("round-{round}")).await;
        if round % 2 == 0 {
            payment.pay_cash(1_000 + round).await.unwrap();
            payment.wait(&["delivering", "paid"]).await.unwrap();
        } else {
            // Cut off while the cash itself is being taken.
            payment.pay_cash(1_000 + round).await.unwrap();
        }
        rig.kill_till();
        rig.start_till().unwrap();
        client = rig.wait_ready().await.unwrap();
        let id = payment.id();
        let over = || async {
            let p = client.details(&id).await.ok()?;
            ["paid", "returned", "cancelled"].contains(&p.state.as_str()).then_some(p)
        };
        let p = until(&format!("the end of top-up {round}"), over).await.unwrap();
        let kept = p.paid - p.returned.unwrap_or_default();
        loaded += kept;
        assert!(kept == 0 || kept == 1_000 + round, "{p:?}");
        assert_eq!(p.state == "paid", kept > 0, "{p:?}");
        let report = query(&client, NUMBER).await;
        assert_eq!(report.balance, loaded, "round {round}: money and value differ, it is {}", p.state);
    }
    let (proxy, card) = (cards(&client).await, present(&client, NUMBER).await);
    let (entries, _) = proxy.history(&card, 0, Options::new()).await.unwrap();
    assert_eq!(entries.iter().map(|e| e.change).sum::<i64>(), loaded);
    rig.at_rest(&client).await.unwrap();
}
