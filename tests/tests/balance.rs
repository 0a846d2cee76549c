//! The balance of a customer's bank card: told to whoever asked, found nowhere else, never beside a payment.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use till_dbus::events::{Change, Event};
use till_dbus::types::BalanceReport;
use till_dbus::{Error, Inquiry1Proxy, Options, Prepaid1Proxy, Terminal1Proxy, paths};
use till_simulators::acquirer::cards::Card;
use till_simulators::acquirer::money::Fen;
use till_simulators::counter::pinpad::{Hand, Pad};
use till_simulators::counter::{Listen, Virtual};
use till_simulators::faults::{Fault, Rule};
use till_tests::scene::{TRACKS, again, until};
use till_tests::search::{self, Needle};
use till_tests::stranger::{self, Order, has_a_stranger};
use till_tests::{Client, Rig, RigOptions, Watch, staging};
use tokio::io::{AsyncBufReadExt, BufReader};
use zbus::message::Type;

const LONG: Duration = Duration::from_secs(20);
const PAN: &str = "6200000000000005";
const PIN: &str = "123456";
/// What is on the card, in fen: a number that nothing else is.
const RICH: i64 = 731_648_295_104;
const INQUIRY: &str = "org.tilld.Inquiry1";

struct Stand {
    rig: Rig,
    client: Client,
    watch: Watch,
    pad: Option<Virtual<Pad>>,
    _dir: tempfile::TempDir,
}

impl Stand {
    /// A till with a pad whose acquirer takes its keys.
    async fn with_pad() -> Self {
        Self::start(true, false).await
    }

    /// One without a pad; this contract lets it ask without a PIN.
    async fn without_pad() -> Self {
        Self::start(false, true).await
    }

    async fn start(with_pad: bool, without_pin: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        std::fs::create_dir_all(&run).unwrap();
        let pad = with_pad.then(|| plug_in(&run.join("pad")));
        let pads = format!(
            "[channel.bankcard.settings.dialect.request]\npin_ksn_field = 62\n[device.pad]\nplugin = \"org.tilld.pinpad\"\n\
             transport = {{ kind = \"unix\", path = \"{}/pad\" }}\nsettings = {{ simulated = true }}\n",
            run.display()
        );
        let extra_config = [PREPAID, if with_pad { &pads } else { "" }].concat();
        let options = RigOptions {
            dir: Some(dir.path().to_path_buf()),
            env: vec![("TILLD_LOG".into(), "debug".into())],
            extra_config,
            acquirer_ms: 5_000,
            ..RigOptions::default()
        };
        let mut rig = Rig::stand(options).unwrap();
        staging::counter(&dir.path().join("plugins")).unwrap();
        if without_pin {
            let setting = "no_pin = \"accept\"\n";
            let text = std::fs::read_to_string(rig.config_file()).unwrap();
            let changed = text.replace(setting, &format!("{setting}balance_without_pin = true\n"));
            assert_ne!(text, changed);
            std::fs::write(rig.config_file(), changed).unwrap();
        }
        rig.start_till().unwrap();
        let client = rig.wait_ready().await.unwrap();
        rig.acquirer.set_card(PAN, Card { balance: Fen::new(RICH), ..Card::default() });
        let watch = Watch::new(rig.bus.address()).await.unwrap();
        Self { rig, client, watch, pad, _dir: dir }
    }

    fn pad(&self) -> &Virtual<Pad> {
        self.pad.as_ref().unwrap()
    }

    async fn asks(&self) -> Inquiry1Proxy<'static> {
        let path = paths::channel("bankcard").unwrap();
        Inquiry1Proxy::builder(self.client.connection()).path(path).build().await.unwrap()
    }

    /// The ticket of a card that is swiped now.
    async fn swiped(&self, tracks: &str) -> String {
        let before = tickets(&self.watch.all()).len();
        self.asks().await.read_card(Options::new()).await.unwrap();
        self.rig.reader.swipe(&again(tracks)).unwrap();
        self.watch.wait("a ticket", |seen| tickets(seen).get(before).cloned()).await.unwrap()
    }

    async fn balance(&self, card: &str) -> Result<BalanceReport, Error> {
        self.asks().await.balance(card, Options::new()).await
    }

    /// A question that somebody asks meanwhile.
    async fn asking(&self, card: &str) -> tokio::task::JoinHandle<Result<BalanceReport, Error>> {
        let (proxy, card) = (self.asks().await, card.to_owned());
        tokio::spawn(async move { proxy.balance(&card, Options::new()).await })
    }

    fn received(&self) -> u64 {
        self.rig.acquirer.stats().received
    }
}

fn plug_in(at: &Path) -> Virtual<Pad> {
    let pad = Virtual::start("pinpad", &Listen::Unix(at.to_path_buf()), Pad::default()).unwrap();
    pad.touch(|pad| pad.hand(Hand::Types(PIN.into())));
    pad
}

fn tickets(seen: &[Event]) -> Vec<String> {
    let ticket = |event: &Event| match &event.change {
        Change::InquiryCard { card, .. } => Some(card.clone()),
        _ => None,
    };
    seen.iter().filter_map(ticket).collect()
}

fn code(told: Result<BalanceReport, Error>) -> String {
    told.unwrap_err().code().to_owned()
}

/// Every signal that anybody hears from now on, as bytes.
async fn signals(rig: &Rig) -> Arc<Mutex<Vec<u8>>> {
    let connection = Client::connect(rig.bus.address()).await.unwrap().connection().clone();
    let mut messages = zbus::MessageStream::from(&connection);
    zbus::fdo::MonitoringProxy::new(&connection).await.unwrap().become_monitor(&[], 0).await.unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let theirs = heard.clone();
    tokio::spawn(async move {
        let _connection = connection;
        while let Some(Ok(message)) = messages.next().await {
            if message.message_type() == Type::Signal {
                theirs.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(message.data());
            }
        }
    });
    heard
}

/// The balance in every shape in which a program could have left it.
fn needles() -> Vec<Needle> {
    let mut varint = Vec::new();
    let mut left = u64::try_from(RICH << 1).unwrap();
    while left > 127 {
        varint.push(u8::try_from(left & 127).unwrap() | 128);
        left >>= 7;
    }
    varint.push(u8::try_from(left).unwrap());
    vec![
        Needle::digits("balance", &RICH.to_string()),
        Needle::bytes("balance in yuan", b"7316482951"),
        Needle::bytes("balance, little-endian", &RICH.to_le_bytes()),
        Needle::bytes("balance, big-endian", &RICH.to_be_bytes()),
        Needle::bytes("balance in a record", &varint),
        Needle::digits("track data", "301210100000"),
    ]
}

const PREPAID: &str = r#"
[payment]
cards = [{ family = "prepaid", prefix = "8600", min-length = 16, max-length = 16 }]

[channel.prepaid]
plugin = "org.tilld.prepaid"
secrets = { card_key = "prepaid-card-key" }
settings = { prefixes = ["8600"] }
"#;

/// Not a test of its own: what the stranger does, in a process of its own.
#[tokio::test(flavor = "multi_thread")]
async fn stranger() {
    stranger::act().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balance_is_told_to_its_caller_and_is_found_nowhere_else() {
    let mut till = Stand::with_pad().await;
    let heard = signals(&till.rig).await;
    let card = till.swiped(TRACKS).await;
    let told = till.balance(&card).await.unwrap();
    assert_eq!((told.balance, told.currency.as_str()), (RICH, "CNY"));
    assert_eq!(told.account, "620000******0005");
    // The pad asked for the PIN, which sales of this card need not: with a wrong one nothing is told.
    assert_eq!(till.pad().look(|pad| pad.asked().to_vec()), [("0.00".into(), "0005".into())]);
    let wanted = |seen: &[Event]| {
        seen.iter()
            .any(|e| matches!(&e.change, Change::PinWanted { device } if device == "pad"))
            .then_some(())
    };
    till.watch.wait("who waits hears of the PIN", wanted).await.unwrap();
    assert_eq!(code(till.balance(&card).await), "NotFound", "a ticket is good for one question");
    till.pad().touch(|pad| pad.hand(Hand::Types("111111".into())));
    let card = till.swiped(TRACKS).await;
    let no = till.balance(&card).await.unwrap_err();
    assert!(no.code() == "Refused" && no.to_string().contains("55"), "{no}");

    // An answer that does not come, and one that cannot be believed: nothing is owed for them.
    till.pad().touch(|pad| pad.hand(Hand::Types(PIN.into())));
    for (fault, said) in [(Fault::DropAfterBooking {}, "Timeout"), (Fault::WrongSignature {}, "BadAnswer")] {
        till.rig.acquirer.faults().add(Rule::once("balance", fault)).unwrap();
        let card = till.swiped(TRACKS).await;
        assert_eq!(code(till.balance(&card).await), said);
    }
    let ready = || async { (till.client.channel("bankcard").await.ok()?.0 == "ready").then_some(()) };
    until("signed in again after the wrong MAC", ready).await.unwrap();
    let payment = till.client.ready(1_700).await.unwrap();
    till.rig.reader.swipe(&again(TRACKS)).unwrap();
    payment.wait(&["paid"]).await.unwrap();
    assert!(till.rig.printer.wait_receipts(1, LONG).is_some());
    let booked = till.rig.acquirer.ledger();
    assert_eq!((booked.len(), booked[0].reversal_reason.clone()), (1, None));

    let export = till.rig.dir.join("export.jsonl");
    till.client.export_journal(std::fs::File::create(&export).unwrap()).await.unwrap();
    let exported = std::fs::read_to_string(&export).unwrap();
    assert!(exported.contains("trace-taken"), "what the journal has of it");
    assert_eq!(till.client.verify_journal().await.unwrap().1, Vec::<String>::new());
    assert!(till.rig.stop_till());
    let mut found = Vec::new();
    assert!(search::files(&till.rig.dir, &["secrets", "plugins"], &needles(), &mut found).unwrap() > 5);
    let log = till.rig.log_lines().join("\n");
    assert!(log.contains("balance inquiry: told"), "{log}");
    found.extend(search::bytes("log", log.as_bytes(), &needles()));
    let bus = heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(bus.windows(9).any(|w| w == b"PinWanted"), "the signals were heard");
    found.extend(search::bytes("signals", &bus, &needles()));
    found.extend(search::bytes("receipts", &till.rig.printer.received(), &needles()));
    assert_eq!(found, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_nothing_asks_for_no_balance_and_stops_nobodys() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root to become another user");
        return;
    }
    let till = Stand::without_pad().await;
    let card = till.swiped(TRACKS).await;
    let path = paths::channel("bankcard").unwrap().to_string();
    let order = |member: &str| Order::Call(path.clone(), INQUIRY.into(), member.into());
    let received = till.received();
    for (order, answer) in
        has_a_stranger(&till.rig, &["ReadCard", "Balance", "Stop"].map(order)).await.unwrap()
    {
        assert!(answer.starts_with("org.tilld.Error.NotAuthorized"), "{order:?}: {answer}");
    }
    assert_eq!(till.received(), received);
    // The card is still there for whoever may.
    assert_eq!(till.balance(&card).await.unwrap().balance, RICH);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_in_a_payment_and_a_payment_that_begins_comes_before_a_pin() {
    let till = Stand::with_pad().await;
    let card = till.swiped(TRACKS).await;
    let received = till.received();
    let payment = till.client.ready(1_000).await.unwrap();
    assert_eq!(code(till.balance(&card).await), "Busy");
    let no = till.asks().await.read_card(Options::new()).await.unwrap_err();
    assert_eq!(no.code(), "Busy");
    payment.cancel().await.unwrap();
    payment.wait(&["cancelled"]).await.unwrap();
    // The refusal left the ticket as it was. While its PIN is typed a payment begins: nothing leaves any more.
    till.pad().touch(|pad| pad.hand(Hand::Nobody));
    let asking = till.asking(&card).await;
    assert!(till.pad().wait(LONG, Pad::waits), "the pad is asked");
    let payment = till.client.ready(2_000).await.unwrap();
    let no = asking.await.unwrap().unwrap_err();
    assert!(no.code() == "Busy" && no.to_string().contains("payment"), "{no}");
    assert!(till.pad().wait(LONG, |pad| !pad.waits()), "its display is not left asking");
    payment.pay_cash(2_000).await.unwrap();
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!(till.received(), received, "nothing left");

    // Stopped by whoever asked.
    let card = till.swiped(TRACKS).await;
    let asking = till.asking(&card).await;
    assert!(till.pad().wait(LONG, Pad::waits));
    till.asks().await.stop(Options::new()).await.unwrap();
    assert_eq!(code(asking.await.unwrap()), "WrongState");
    assert_eq!(till.asks().await.stop(Options::new()).await.unwrap_err().code(), "WrongState");
    // And a customer who gives up.
    assert!(till.pad().wait(LONG, |pad| !pad.waits()));
    till.pad().touch(|pad| pad.hand(Hand::GivesUp));
    let card = till.swiped(TRACKS).await;
    assert_eq!(code(till.balance(&card).await), "NoPin");
    assert_eq!(till.received(), received, "nothing left");
    till.rig.at_rest(&till.client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_is_on_its_way_nothing_else_begins_on_its_channel_and_cash_goes_on() {
    let till = Stand::without_pad().await;
    till.rig.acquirer.faults().add(Rule::once("balance", Fault::HoldReply {})).unwrap();
    let card = till.swiped(TRACKS).await;
    let before = till.received();
    let asking = till.asking(&card).await;
    assert!(till.rig.acquirer.wait_stats(LONG, |stats| stats.received == before + 1), "it is on its way");
    let no = till.asks().await.read_card(Options::new()).await.unwrap_err();
    assert_eq!(no.code(), "Busy", "one at a time");
    let payment = till.client.ready(1_000).await.unwrap();
    till.rig.reader.swipe(&again(TRACKS)).unwrap();
    let (reason, text, _) = till.watch.refusal(0).await.unwrap();
    assert!(reason == "no-route" && text.contains("balance"), "{reason}: {text}");
    till.rig.acquirer.faults().release();
    assert_eq!(asking.await.unwrap().unwrap().balance, RICH);
    // The customer draws the card once more.
    till.rig.reader.swipe(&again(TRACKS)).unwrap();
    payment.wait(&["paid"]).await.unwrap();

    till.rig.acquirer.faults().add(Rule::once("balance", Fault::HoldReply {})).unwrap();
    let card = till.swiped(TRACKS).await;
    let before = till.received();
    let asking = till.asking(&card).await;
    assert!(till.rig.acquirer.wait_stats(LONG, |stats| stats.received == before + 1));
    let cash = till.client.ready(500).await.unwrap();
    cash.pay_cash(500).await.unwrap();
    cash.wait(&["paid"]).await.unwrap();
    assert!(!asking.is_finished());
    till.rig.acquirer.faults().release();
    assert!(asking.await.unwrap().is_ok());
    let traces: Vec<String> = till.rig.acquirer.ledger().into_iter().map(|entry| entry.key.trace).collect();
    assert_eq!(traces, ["000003"], "a sign-in, an inquiry, the sale");
    till.rig.at_rest(&till.client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_takes_no_sale_is_not_asked_and_says_why() {
    let till = Stand::without_pad().await;
    let card = till.swiped(TRACKS).await;
    let received = till.received();
    let terminal = Terminal1Proxy::new(till.client.connection()).await.unwrap();
    let by = || Options::from([("operator", "li".into())]);
    terminal.suspend_channel("bankcard", "rate changed", by()).await.unwrap();
    let no = till.balance(&card).await.unwrap_err();
    assert!(no.code() == "Suspended" && no.to_string().contains("rate changed"), "{no}");
    terminal.resume_channel("bankcard", "called them", by()).await.unwrap();
    terminal.set_training(true, by()).await.unwrap();
    let no = till.balance(&card).await.unwrap_err();
    assert!(no.code() == "WrongState" && no.to_string().contains("training"), "{no}");
    terminal.set_training(false, by()).await.unwrap();
    assert_eq!(till.received(), received);

    // Signed out: its process is a new one, and the acquirer does not let it in.
    till.rig.acquirer.faults().add(Rule::once("sign-in", Fault::DropBeforeBooking {}).always()).unwrap();
    assert!(till.rig.kill_host("bankcard"));
    let out = || async { (till.client.channel("bankcard").await.ok()?.0 != "ready").then_some(()) };
    until("it is signed out", out).await.unwrap();
    let no = till.balance(&card).await.unwrap_err();
    assert_eq!(no.code(), "WrongState", "{no}");
    till.rig.acquirer.faults().clear();
    let ready = || async { (till.client.channel("bankcard").await.ok()?.0 == "ready").then_some(()) };
    until("it is signed in", ready).await.unwrap();
    assert_eq!(till.balance(&card).await.unwrap().balance, RICH, "the ticket outlived all that");

    // A card of the shop's own is none of the bank's business.
    let received = till.received();
    let card =
        till.swiped("%B8600000000000005^SHOP/CARD^3012101000000000?;8600000000000005=301210100000?").await;
    assert_eq!(code(till.balance(&card).await), "NotPayable");
    assert_eq!(till.received(), received);
    let prepaid = Prepaid1Proxy::builder(till.client.connection())
        .path(paths::channel("prepaid").unwrap())
        .build()
        .await
        .unwrap();
    let bank = till.swiped(TRACKS).await;
    assert_eq!(prepaid.query(&bank, Options::new()).await.unwrap_err().code(), "NotPayable");
    till.rig.at_rest(&till.client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_pad_the_contract_decides() {
    let till = Stand::start(false, false).await;
    let card = till.swiped(TRACKS).await;
    let received = till.received();
    let no = till.balance(&card).await.unwrap_err();
    assert!(no.code() == "NoPin" && no.to_string().contains("balance_without_pin"), "{no}");
    assert_eq!(till.received(), received);
}

#[tokio::test(flavor = "multi_thread")]
async fn tillctl_asks_and_shows_it() {
    let till = Stand::with_pad().await;
    let mut ctl = tokio::process::Command::new(staging::built().unwrap().join("tillctl"))
        .args(["--json", "balance"])
        .env("TILLD_BUS", till.rig.bus.address())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(ctl.stderr.take().unwrap()).lines();
    let prompt = said.next_line().await.unwrap().unwrap();
    assert!(prompt.contains("present the card"), "{prompt}");
    till.rig.reader.swipe(&again(TRACKS)).unwrap();
    let prompt = said.next_line().await.unwrap().unwrap();
    assert!(prompt.contains("PIN"), "{prompt}");
    let out = tokio::time::timeout(LONG, ctl.wait_with_output()).await.unwrap().unwrap();
    assert!(out.status.success());
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(report["balance"].as_i64(), Some(RICH));
    assert_eq!(report["account"], "620000******0005");
}
