//! `kill -9` of anything at any moment: the rest lives, nothing acknowledged is missing, money is counted once, and the
//! receipt of a paid payment comes out once.

use std::collections::BTreeMap;
use std::time::Duration;

use till_dbus::events::Change;
use till_simulators::acquirer::ledger::State;
use till_simulators::faults::{Fault, Rule};
use till_simulators::players::Scan;
use till_simulators::printer::Command;
use till_tests::scene::{TRACKS, again, prints, until, wallet_code};
use till_tests::{Client, PaymentClient, Rig, RigOptions, Watch};

const LONG: Duration = Duration::from_secs(15);

/// Every state that a front-end was told, by journal sequence number.
#[derive(Default)]
struct Told(BTreeMap<u64, (String, String)>);

impl Told {
    fn take(&mut self, watch: &Watch) {
        for event in watch.all() {
            if let Change::PaymentState { new, seq, .. } = event.change {
                let id = event.path.as_str().rsplit("/p").next().unwrap_or_default().to_owned();
                self.0.insert(seq, (id, new));
            }
        }
    }

    /// All of it is in the journal: the record of that number is about that payment, and paid stays paid.
    async fn stands(&self, client: &Client) {
        let journal = client.journal().await.unwrap_or_default();
        for (seq, (id, state)) in &self.0 {
            let record = journal.iter().find(|r| r["seq"] == *seq);
            let about = record.and_then(|r| r["payment"].as_str());
            assert_eq!(about, Some(id.as_str()), "record {seq} ({state}) is gone");
            let now = client.details(id).await.map(|d| d.state).unwrap_or_default();
            if matches!(state.as_str(), "paid" | "cancelled") {
                assert_eq!(&now, state, "payment {id} was told to be {state}");
            }
        }
    }
}

/// A till with somebody who listens, and who remembers what it was told over restarts.
struct Shop {
    rig: Rig,
    client: Client,
    watch: Watch,
    told: Told,
}

impl Shop {
    async fn open(options: RigOptions) -> Self {
        let rig = Rig::start(options).await.unwrap_or_else(|e| panic!("{e}"));
        let client = rig.client().await.unwrap_or_else(|e| panic!("{e}"));
        let watch = Watch::new(rig.bus.address()).await.unwrap_or_else(|e| panic!("{e}"));
        Self { rig, client, watch, told: Told::default() }
    }

    fn kill(&mut self) {
        self.rig.kill_till();
        self.told.take(&self.watch);
    }

    async fn start(&mut self) {
        self.rig.start_till().unwrap_or_else(|e| panic!("{e}"));
        self.watch = Watch::new(self.rig.bus.address()).await.unwrap_or_else(|e| panic!("{e}"));
        self.client = self.rig.wait_ready().await.unwrap_or_else(|e| panic!("{e}"));
    }

    async fn kill_and_start(&mut self) {
        self.kill();
        self.start().await;
    }

    /// Waits until the payment is final, and gives its state and reason.
    async fn end_of(&self, payment: &PaymentClient) -> (String, String) {
        let id = payment.id();
        let ended = || async {
            let details = self.client.details(&id).await.ok()?;
            let reason = details.reason.unwrap_or_default();
            matches!(details.state.as_str(), "paid" | "cancelled").then_some((details.state, reason))
        };
        until(&format!("payment {id} ends"), ended).await.unwrap_or_else(|e| panic!("{e}"))
    }

    /// The receipt is on paper, whole, once; or once more when the first try was cut short, and says so.
    async fn printed_once(&self, payment: &PaymentClient) {
        let id = payment.id();
        let printed = || async {
            let details = self.client.details(&id).await.ok()?;
            details.receipt_printed.unwrap_or(false).then(|| details.receipt.unwrap_or(0))
        };
        let number = until(&format!("receipt of {id}"), printed).await.unwrap_or_else(|e| panic!("{e}"));
        let (first, marked) = prints(&self.rig, number);
        let all: Vec<String> =
            self.rig.printer.receipts().iter().map(till_simulators::printer::Receipt::text).collect();
        assert!(
            first <= 1 && marked <= 1 && first + marked >= 1,
            "receipt {number}: {first} and {marked} marked; jobs: {:?}\n{}\nuncut: {}\n{}",
            self.jobs().await,
            all.join("\n---\n"),
            self.rig.printer.uncut().text(),
            self.rig.log_lines().join("\n")
        );
    }

    /// How print jobs went, from the journal.
    async fn jobs(&self) -> Vec<String> {
        let journal = self.client.journal().await.unwrap_or_default();
        let jobs = journal.iter().filter(|r| r["kind"].as_str().is_some_and(|k| k.starts_with("job")));
        jobs.map(|r| r["record"].to_string()).collect()
    }

    async fn whole(&mut self) {
        self.told.take(&self.watch);
        self.told.stands(&self.client).await;
        self.rig.at_rest(&self.client).await.unwrap_or_else(|e| panic!("{e}"));
    }
}

/// A payment whose request is with the network, which holds its answer.
async fn held(shop: &Shop, channel: &str, amount: i64, code: u64) -> PaymentClient {
    let payment = shop.client.ready(amount).await.unwrap_or_else(|e| panic!("{e}"));
    let plan = if channel == "alipay" { shop.rig.gateway.faults() } else { shop.rig.acquirer.faults() };
    let before = plan.fired().len();
    let on = if channel == "alipay" { "alipay.trade.pay" } else { "sale" };
    plan.add(Rule::once(on, Fault::HoldReply {})).unwrap_or_else(|e| panic!("{e}"));
    if channel == "alipay" {
        shop.rig.scanner.scan(&Scan::new(wallet_code(code))).unwrap_or_else(|e| panic!("{e}"));
    } else {
        shop.rig.reader.swipe(&again(TRACKS)).unwrap_or_else(|e| panic!("{e}"));
    }
    assert!(plan.wait_fired(before + 1, LONG), "the request reached the network");
    payment
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_plugin_host_is_shown_with_a_reason_comes_back_and_no_payment_is_untrue() {
    let mut shop = Shop::open(RigOptions::default()).await;
    let daemon = shop.rig.pid();
    let hosts = [
        ("scanner", "device/scanner"),
        ("magstripe", "device/cardreader"),
        ("printer", "device/printer"),
        ("cash", "channel/cash"),
        ("alipay", "channel/alipay"),
        ("bankcard", "channel/bankcard"),
    ];
    // At rest.
    for (library, object) in hosts {
        assert!(shop.rig.kill_host(library), "{library}");
        let back = |seen: &[till_dbus::events::Event]| {
            let states = till_tests::watch::states(seen, object);
            let failed = states.iter().position(|s| s.0 == "failed")?;
            states[failed..].iter().any(|s| s.0 == "ready").then(|| states[failed].1.clone())
        };
        let reason = shop.watch.wait(&format!("{object} fails and is back"), back).await.unwrap();
        assert!(reason.contains("signal 9") || reason.contains("SIGKILL"), "{object}: {reason}");
    }
    assert_eq!(shop.rig.pid(), daemon);
    assert_eq!(shop.client.state().await.unwrap(), "ready");

    // A reader that dies while it waits for the customer is armed again when it is back.
    let payment = shop.client.ready(1_100).await.unwrap();
    let before = shop.watch.states("device/scanner").len();
    assert!(shop.rig.kill_host("scanner"));
    shop.watch
        .wait("the scanner is back", |seen| {
            let states = till_tests::watch::states(seen, "device/scanner");
            states[before..].iter().any(|s| s.0 == "ready").then_some(())
        })
        .await
        .unwrap();
    payment.confirm(1_100).await.unwrap();
    shop.rig.scanner.scan(&Scan::new(wallet_code(1))).unwrap();
    assert_eq!(payment.wait(&["paid"]).await.unwrap(), "paid");

    // The wallet's host dies while the gateway works: asked, and paid.
    let payment = held(&shop, "alipay", 1_200, 2).await;
    assert!(shop.rig.kill_host("alipay"));
    shop.rig.gateway.faults().release();
    assert_eq!(shop.end_of(&payment).await.0, "paid");
    shop.printed_once(&payment).await;

    // The bank card's host dies while the acquirer works: reversed, and the customer may try again.
    let payment = held(&shop, "bankcard", 1_300, 0).await;
    assert!(shop.rig.kill_host("bankcard"));
    shop.rig.acquirer.faults().release();
    payment.wait_attempt(&["reversed"]).await.unwrap();
    assert!(shop.rig.acquirer.ledger().iter().all(|e| e.state == State::Reversed));
    // Where the reversal had to wait for the channel, the customer was let go meanwhile.
    let payment = match payment.wait(&["ready", "cancelled"]).await.unwrap().as_str() {
        "ready" => payment,
        _ => shop.client.ready(1_300).await.unwrap(),
    };
    let signed_in = || async { (shop.client.channel("bankcard").await.ok()?.0 == "ready").then_some(()) };
    until("the card channel is signed in again", signed_in).await.unwrap();
    payment.confirm(1_300).await.unwrap();
    shop.rig.reader.swipe(&again(TRACKS)).unwrap();
    assert_eq!(shop.end_of(&payment).await.0, "paid");

    // The printer's host dies in the middle of a receipt.
    shop.rig.printer.command(&Command::Paper { lines: 6 });
    let payment = shop.client.ready(1_400).await.unwrap();
    payment.pay_cash(1_400).await.unwrap();
    payment.wait(&["paid"]).await.unwrap();
    assert!(shop.rig.printer.wait(LONG, |p| p.status().paper == Some(0)), "the paper ends in the receipt");
    assert!(shop.rig.kill_host("printer"));
    shop.rig.printer.command(&Command::Refill { lines: None });
    shop.printed_once(&payment).await;

    assert_eq!(shop.rig.pid(), daemon, "the daemon lived through all of it");
    shop.whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_killed_at_any_moment_of_a_payment_keeps_what_it_said_and_resolves_the_rest() {
    let mut shop = Shop::open(RigOptions::default()).await;

    // Before and after the amount is confirmed: no money was asked for.
    for confirmed in [false, true] {
        let payment = shop.client.open(1_000, "").await.unwrap();
        if confirmed {
            payment.confirm(1_000).await.unwrap();
        }
        shop.kill_and_start().await;
        assert_eq!(shop.end_of(&payment).await, ("cancelled".into(), "restarted".into()));
    }
    // The moment after a card or code was presented: whatever happened, it is found out.
    let payment = shop.client.ready(1_100).await.unwrap();
    payment.pay_code(&wallet_code(1)).await.unwrap();
    shop.kill_and_start().await;
    shop.end_of(&payment).await;
    shop.whole().await;

    // While the gateway works on it: it is asked, and it was paid.
    let payment = held(&shop, "alipay", 1_200, 2).await;
    shop.kill();
    shop.rig.gateway.faults().release();
    shop.start().await;
    assert_eq!(shop.end_of(&payment).await.0, "paid");
    assert!(shop.client.details(&payment.id()).await.unwrap().recovered.unwrap());
    shop.printed_once(&payment).await;

    // While the request is still on its way: it may arrive after the till was killed, asked and cancelled.
    let payment = shop.client.ready(1_250).await.unwrap();
    let before = shop.rig.gateway.faults().fired().len();
    shop.rig.gateway.faults().add(Rule::once("alipay.trade.pay", Fault::DelayBooking { ms: 2_500 })).unwrap();
    shop.rig.scanner.scan(&Scan::new(wallet_code(3))).unwrap();
    assert!(shop.rig.gateway.faults().wait_fired(before + 1, LONG));
    shop.kill_and_start().await;
    shop.end_of(&payment).await;
    shop.whole().await;

    // While the acquirer works on it: the armed reversal goes out.
    let payment = held(&shop, "bankcard", 1_300, 0).await;
    shop.kill();
    shop.rig.acquirer.faults().release();
    shop.start().await;
    assert_eq!(shop.end_of(&payment).await, ("cancelled".into(), "reversed".into()));
    assert!(shop.rig.acquirer.ledger().iter().all(|e| e.state == State::Reversed));

    // While the reversal itself is on its way.
    let payment = held(&shop, "bankcard", 1_350, 0).await;
    let fired = shop.rig.acquirer.faults().fired().len();
    shop.rig.acquirer.faults().add(Rule::once("reversal", Fault::HoldReply {})).unwrap();
    assert!(
        shop.rig.acquirer.faults().wait_fired(fired + 1, LONG),
        "the sale times out, the reversal is sent"
    );
    shop.kill();
    shop.rig.acquirer.faults().clear();
    shop.start().await;
    assert_eq!(shop.end_of(&payment).await, ("cancelled".into(), "reversed".into()));

    // The moment after "paid" was told: it stays paid, and its receipt comes.
    for code in 10..12 {
        let payment = shop.client.ready(1_400).await.unwrap();
        shop.rig.scanner.scan(&Scan::new(wallet_code(code))).unwrap();
        payment.wait(&["paid"]).await.unwrap();
        shop.kill_and_start().await;
        assert_eq!(shop.end_of(&payment).await.0, "paid");
        shop.printed_once(&payment).await;
    }

    // In the middle of its receipt: the printer has no paper left, and gets some after the restart.
    shop.rig.printer.command(&Command::Paper { lines: 6 });
    let payment = shop.client.ready(1_500).await.unwrap();
    payment.pay_cash(2_000).await.unwrap();
    payment.wait(&["paid"]).await.unwrap();
    assert!(shop.rig.printer.wait(LONG, |p| p.status().paper == Some(0)));
    shop.kill();
    shop.rig.printer.command(&Command::Refill { lines: None });
    shop.start().await;
    shop.printed_once(&payment).await;

    shop.whole().await;
    let ours = shop.rig.hosts().len();
    assert_eq!(shop.rig.hosts_anywhere().len(), ours, "hosts of killed daemons are gone with them");
    shop.kill();
    let none = || async { shop.rig.hosts_anywhere().is_empty().then_some(()) };
    until("every host dies with its daemon", none).await.unwrap();
}

/// A small generator, so that a failing run can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_kills_over_mixed_payments_leave_books_and_journal_whole() {
    let seed = std::env::var("TILL_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0x7111_u64);
    println!("seed {seed}");
    let mut dice = Dice(seed | 1);
    let mut shop = Shop::open(RigOptions::default()).await;
    let mut payments = Vec::new();
    for round in 0..15_u64 {
        // Somebody may still be resolving the last one; the till takes the next customer all the same.
        let payment = shop.client.ready(1_000 + i64::try_from(round).unwrap()).await.unwrap();
        match dice.roll(3) {
            0 => shop.rig.scanner.scan(&Scan::new(wallet_code(1_000 + round))).unwrap(),
            1 => drop(shop.rig.reader.swipe(&again(TRACKS)).unwrap()),
            _ => payment.pay_cash(2_000).await.unwrap(),
        }
        // The fault itself: so long after the customer presented.
        tokio::time::sleep(Duration::from_millis(dice.roll(250))).await;
        if dice.roll(3) > 0 {
            shop.kill_and_start().await;
        } else {
            let victim = ["alipay", "bankcard", "printer", "cash"][usize::try_from(dice.roll(4)).unwrap()];
            shop.rig.kill_host(victim);
            let id = payment.id();
            let settled = || async {
                let now = shop.client.details(&id).await.ok()?;
                (now.state != "tendering").then_some(now.state)
            };
            if until("the attempt ends", settled).await.unwrap() == "ready" {
                payment.cancel().await.unwrap();
            }
            let ready = || async { (shop.client.state().await.ok()? == "ready").then_some(()) };
            until("all is ready again", ready).await.unwrap();
        }
        payments.push(payment);
    }
    shop.whole().await;
    for payment in &payments {
        if shop.end_of(payment).await.0 == "paid" {
            shop.printed_once(payment).await;
        }
    }
    shop.kill_and_start().await;
    shop.whole().await;
    assert_eq!(shop.rig.hosts_anywhere().len(), shop.rig.hosts().len());
}
