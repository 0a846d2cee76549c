//! A card that owes its PIN, with a pad: asked before anything is sent, for this payment's amount, and given up without harm.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;

use till_dbus::events::{Change, Event};
use till_simulators::acquirer::Acquirer;
use till_simulators::counter::pinpad::{Hand, Pad};
use till_simulators::counter::{Listen, Virtual};
use till_simulators::players::Scan;
use till_tests::scene::{again, until, wallet_code};
use till_tests::search::{self, Needle};
use till_tests::tap::tap;
use till_tests::{Client, PaymentClient, Rig, RigOptions, Watch, staging};

const LONG: Duration = Duration::from_secs(20);
/// Service code 120: PIN required. Its right PIN is 123456.
const TRACKS: &str = "%B6200000000000005^TEST/CARD^3012120000000000?;6200000000000005=301212000000?";
/// The bank says 55 whatever is typed.
const TRACKS_WRONG: &str = "%B4000000000000127^TEST/WRONG^3012120000000000?;4000000000000127=301212000000?";
const PIN: &str = "123456";

struct Stand {
    rig: Rig,
    pad: Virtual<Pad>,
    client: Client,
    _dir: tempfile::TempDir,
}

/// A till with a pad whose acquirer takes its keys. The setting for tills without a pad lets cards through: with one it must not.
async fn stand() -> Stand {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    std::fs::create_dir_all(&run).unwrap();
    let pad = plug_in(&run.join("pad"));
    let extra_config = format!(
        r#"
[channel.bankcard.settings.dialect.request]
pin_ksn_field = 62

[device.pad]
plugin = "org.tilld.pinpad"
transport = {{ kind = "unix", path = "{}/pad" }}
settings = {{ simulated = true }}
"#,
        run.display()
    );
    let options = RigOptions {
        dir: Some(dir.path().to_path_buf()),
        env: vec![("TILLD_LOG".into(), "debug".into())],
        extra_config,
        ..RigOptions::default()
    };
    let mut rig = Rig::stand(options).unwrap();
    staging::counter(&dir.path().join("plugins")).unwrap();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    Stand { rig, pad, client, _dir: dir }
}

fn plug_in(at: &Path) -> Virtual<Pad> {
    let pad = Virtual::start("pinpad", &Listen::Unix(at.to_path_buf()), Pad::default()).unwrap();
    pad.touch(|pad| pad.hand(Hand::Types(PIN.into())));
    pad
}

impl Stand {
    fn hand(&self, hand: Hand) {
        self.pad.touch(|pad| pad.hand(hand));
    }

    /// A payment whose card has been swiped.
    async fn swiped(&self, amount: i64, tracks: &str) -> PaymentClient {
        let payment = self.client.ready(amount).await.unwrap();
        self.rig.reader.swipe(&again(tracks)).unwrap();
        payment
    }

    /// The same, and the pad waits for somebody to type.
    async fn waiting(&self, amount: i64) -> PaymentClient {
        self.hand(Hand::Nobody);
        let payment = self.swiped(amount, TRACKS).await;
        assert!(self.pad.wait(LONG, Pad::waits), "the pad is asked");
        payment
    }

    /// Codes of the attempts of a payment, empty where there is none.
    async fn codes(&self, payment: &PaymentClient) -> Vec<String> {
        let told = self.client.details(&payment.id()).await.unwrap();
        told.attempts.into_iter().map(|a| a.code.unwrap_or_default()).collect()
    }

    /// No PIN came of it: nothing left, and the customer pays another way.
    async fn another_way(&self, payment: &PaymentClient, amount: i64, why: &str) {
        payment.wait_attempt(&["not-sent"]).await.unwrap();
        assert_eq!(payment.state().await.unwrap(), "ready");
        assert_eq!(self.codes(payment).await, [why]);
        assert_eq!(sales(&self.rig.acquirer), 0);
        payment.pay_cash(amount).await.unwrap();
        payment.wait(&["paid"]).await.unwrap();
        assert_eq!(payment.channel().await.unwrap(), "cash");
    }

    async fn pad_is_back(&self) {
        let ready = || async { (self.client.device("pad").await.ok()?.0 == "ready").then_some(()) };
        until("the pad is ready", ready).await.unwrap();
    }
}

fn sales(acquirer: &Acquirer) -> usize {
    acquirer.ledger().len()
}

/// What the pad's display said at the newest request: amount, and the account's last four digits.
fn shown(pad: &Virtual<Pad>) -> (String, String) {
    pad.look(|pad| pad.asked().last().cloned().unwrap())
}

fn prompts(seen: &[Event]) -> Vec<String> {
    let prompt = |event: &Event| match &event.change {
        Change::Properties { changed, .. } => Some(till_dbus::tree::prompt(changed.get("Prompt")?).ok()?.id),
        _ => None,
    };
    seen.iter().filter_map(prompt).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_is_asked_for_approved_and_left_nowhere() {
    let mut till = stand().await;
    let heard = tap(&till.rig).await.unwrap();
    let watch = Watch::new(till.rig.bus.address()).await.unwrap();
    let payment = till.swiped(8_800, TRACKS).await;
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!(payment.channel().await.unwrap(), "bankcard");
    assert_eq!(shown(&till.pad), ("88.00".into(), "0005".into()));
    // Only a block that is the PIN under the pad's key is approved.
    assert_eq!(sales(&till.rig.acquirer), 1);
    watch.wait("enter-pin", |seen| prompts(seen).contains(&"enter-pin".into()).then_some(())).await.unwrap();
    assert_ne!(watch.look(prompts).last().unwrap(), "enter-pin");
    // One whose answer is lost, too: its reversal is armed and told without the PIN.
    let lost =
        till_simulators::faults::Rule::once("sale", till_simulators::faults::Fault::DropAfterBooking {});
    till.rig.acquirer.faults().add(lost).unwrap();
    let payment = till.swiped(1_700, TRACKS).await;
    payment.wait_attempt(&["reversed"]).await.unwrap();
    payment.cancel().await.unwrap();
    assert!(till.rig.printer.wait_receipts(1, LONG).is_some());
    till.rig.at_rest(&till.client).await.unwrap();

    let blocks = till.pad.look(|pad| pad.given().to_vec());
    assert_eq!(blocks.len(), 2);
    let mut needles: Vec<Needle> = blocks.iter().map(|block| Needle::bytes("PIN block", block)).collect();
    needles.push(Needle::digits("track data", "301212000000"));
    let export = till.rig.dir.join("export.jsonl");
    till.client.export_journal(std::fs::File::create(&export).unwrap()).await.unwrap();
    till.client.details(&payment.id()).await.unwrap();
    assert!(till.rig.stop_till());
    let mut found = Vec::new();
    assert!(search::files(&till.rig.dir, &["secrets", "plugins"], &needles, &mut found).unwrap() > 5);
    let log = till.rig.log_lines().join("\n");
    assert!(log.contains("payment is paid"));
    found.extend(search::bytes("log", log.as_bytes(), &needles));
    let bus = heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(bus.windows(9).any(|w| w == b"enter-pin"), "the tap heard it");
    found.extend(search::bytes("D-Bus", &bus, &needles));
    found.extend(search::bytes("receipts", &till.rig.printer.received(), &needles));
    assert_eq!(found, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_pin_is_asked_for_again_under_a_new_trace_and_not_for_ever() {
    let till = stand().await;
    till.pad.touch(|pad| {
        pad.hand(Hand::Types("111111".into()));
        pad.then(Hand::Types(PIN.into()));
    });
    let payment = till.swiped(2_500, TRACKS).await;
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!(till.codes(&payment).await, ["55", ""]);
    let told = till.client.details(&payment.id()).await.unwrap();
    assert_ne!(told.attempts[0].trace, told.attempts[1].trace);
    assert_eq!((till.pad.look(|pad| pad.asked().len()), sales(&till.rig.acquirer)), (2, 2));
    assert_eq!(shown(&till.pad).0, "25.00");

    // Until the tries are over; then another way.
    let payment = till.swiped(1_000, TRACKS_WRONG).await;
    assert!(till.pad.wait(LONG, |pad| pad.asked().len() == 5));
    let thrice = || async { (till.codes(&payment).await == ["55"; 3]).then_some(()) };
    until("declined for the third time", thrice).await.unwrap();
    payment.pay_cash(1_000).await.unwrap();
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!(till.pad.look(|pad| pad.asked().len()), 5, "three tries");
    let books = till.rig.at_rest(&till.client).await.unwrap();
    assert_eq!(books.card, 2_500);
}

/// The operator says once why it is no duplicate: neither the swipe is refused then, nor what follows a wrong PIN.
#[tokio::test(flavor = "multi_thread")]
async fn an_equal_purchase_of_the_same_card_goes_on_after_a_wrong_pin() {
    let till = stand().await;
    let watch = Watch::new(till.rig.bus.address()).await.unwrap();
    let first = till.swiped(2_500, TRACKS).await;
    first.wait(&["paid"]).await.unwrap();
    let second = till.swiped(2_500, TRACKS).await;
    let (reason, ..) = watch.refusal(0).await.unwrap();
    assert_eq!((reason.as_str(), second.state().await.unwrap().as_str()), ("possible-duplicate", "ready"));
    assert_eq!(sales(&till.rig.acquirer), 1, "nothing was sent");

    till.pad.touch(|pad| {
        pad.hand(Hand::Types("111111".into()));
        pad.then(Hand::Types(PIN.into()));
    });
    second.another_purchase(2_500, "a second coffee").await.unwrap();
    till.rig.reader.swipe(&again(TRACKS)).unwrap();
    second.wait(&["paid"]).await.unwrap();
    assert_eq!(till.codes(&second).await, ["55", ""]);
    let books = till.rig.at_rest(&till.client).await.unwrap();
    assert_eq!(books.card, 5_000);

    // Said for one card of one payment: the next one is asked about again.
    let third = till.swiped(2_500, TRACKS).await;
    watch.refusal(1).await.unwrap();
    assert_eq!(third.state().await.unwrap(), "ready");
    assert_eq!(sales(&till.rig.acquirer), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_who_gives_up_or_does_nothing_pays_another_way() {
    let till = stand().await;
    for hand in [Hand::GivesUp, Hand::Waits] {
        till.hand(hand);
        let payment = till.swiped(4_250, TRACKS).await;
        till.another_way(&payment, 4_250, "pin-not-entered").await;
    }
    till.rig.at_rest(&till.client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pad_that_dies_or_is_unplugged_while_it_is_asked_costs_nothing_but_the_pin() {
    let till = stand().await;
    let payment = till.waiting(1_200).await;
    assert!(till.rig.kill_host("pinpad"));
    till.another_way(&payment, 1_200, "pin-pad-gone").await;
    till.pad_is_back().await;

    let payment = till.waiting(1_300).await;
    till.pad.hang_up();
    till.another_way(&payment, 1_300, "pin-pad-fault").await;
    till.pad_is_back().await;

    till.hand(Hand::Types(PIN.into()));
    let payment = till.swiped(1_400, TRACKS).await;
    payment.wait(&["paid"]).await.unwrap();
    let books = till.rig.at_rest(&till.client).await.unwrap();
    assert_eq!((books.card, sales(&till.rig.acquirer)), (1_400, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_is_cancelled_tells_the_pad_to_stop_and_the_next_one_has_it() {
    let till = stand().await;
    let payment = till.waiting(3_000).await;
    payment.cancel().await.unwrap();
    payment.wait(&["cancelled"]).await.unwrap();
    assert!(till.pad.wait(LONG, |pad| !pad.waits()), "its display is not left asking");
    assert_eq!((till.codes(&payment).await, sales(&till.rig.acquirer)), (vec!["cancelled".into()], 0));

    till.hand(Hand::Types(PIN.into()));
    let payment = till.swiped(3_100, TRACKS).await;
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!(shown(&till.pad).0, "31.00");
    till.rig.at_rest(&till.client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_till_that_dies_while_a_pin_is_typed_has_sent_nothing() {
    let mut till = stand().await;
    let payment = till.waiting(6_000).await;
    till.rig.kill_till();
    till.rig.start_till().unwrap();
    let client = till.rig.wait_ready().await.unwrap();
    let told = client.details(&payment.id()).await.unwrap();
    assert_eq!((told.state.as_str(), sales(&till.rig.acquirer)), ("cancelled", 0));
    till.rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn c10_what_is_scanned_while_a_pin_is_typed_is_nobodys() {
    let till = stand().await;
    let watch = Watch::new(till.rig.bus.address()).await.unwrap();
    // A front-end that takes articles has the scanner between payments.
    let clerk = till.rig.client().await.unwrap();
    let scanner = till_dbus::Device1Proxy::builder(clerk.connection())
        .path(till_dbus::paths::device("scanner").unwrap())
        .build()
        .await
        .unwrap();
    scanner.claim(till_dbus::Options::new()).await.unwrap();
    let pipe = std::fs::File::from(std::os::fd::OwnedFd::from(
        scanner.enable(till_dbus::Options::new()).await.unwrap(),
    ));
    let payment = till.waiting(2_200).await;
    let dropped = || {
        let lines = till.rig.log_lines();
        lines.iter().filter(|l| l.contains("read something while a PIN is entered")).count()
    };
    till.rig.scanner.scan(&Scan::new(wallet_code(1))).unwrap();
    let once = || async { (dropped() == 1).then_some(()) };
    until("the scan is dropped", once).await.unwrap();
    till.pad.touch(|pad| pad.types_now(PIN));
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!((payment.channel().await.unwrap(), watch.refusals()), ("bankcard".into(), 0));
    // The first thing that its claimant gets is what was scanned after that.
    till.rig.scanner.scan(&Scan::new("6901234567892")).unwrap();
    let line = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(pipe), &mut line).map(|_| line)
    });
    let line = tokio::time::timeout(LONG, line).await.unwrap().unwrap().unwrap();
    assert!(line.contains("6901234567892"), "{line}");
    till.rig.at_rest(&till.client).await.unwrap();
}
