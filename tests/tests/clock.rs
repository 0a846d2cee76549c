//! Clocks that step and a place that moves under a running till: order is the journal's, a day is closed once, timers run
//! on, and who signs with the time of day does not while nobody keeps it (S65, S67, S79; pos.md §3.7).
#![allow(clippy::unwrap_used, clippy::panic)] // in helpers too: what fails there fails the test

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use till_core::batch::BusinessDate;
use till_dbus::events::{Change, Event};
use till_dbus::{Error, Options, Settlement1Proxy, Terminal1Proxy};
use till_evidence::Identity;
use till_simulators::faults::{Fault, Rule};
use till_simulators::players::Scan;
use till_tests::scene::{TRACKS, again, until, wallet_code};
use till_tests::{Client, Rig, RigOptions, Watch, staging};

const DAY: i64 = 86_400;
const YEARS: i64 = 3_650 * DAY;

/// The clocks of a running till: of the daemon and of its plugins' processes.
struct Clocks {
    words: fs::File,
    place: PathBuf,
    dir: tempfile::TempDir,
}

/// A place that is so many hours east of Greenwich, as a compiled time zone (RFC 9636, version 2, without transitions).
fn zone(hours: i32) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Both blocks are alike where nothing changes.
    for _ in 0..2 {
        bytes.extend(b"TZif2");
        bytes.extend([0; 15]);
        for count in [0_u32, 0, 0, 0, 1, 4] {
            bytes.extend(count.to_be_bytes());
        }
        bytes.extend((hours * 3_600).to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(b"AAA\0");
    }
    bytes.extend(format!("\nAAA{}\n", -hours).bytes());
    bytes
}

impl Clocks {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("place");
        fs::write(&place, zone(0)).unwrap();
        let words =
            fs::File::options().read(true).write(true).create_new(true).open(dir.path().join("clock"));
        let clocks = Self { words: words.unwrap(), place, dir };
        clocks.set(2, 0);
        clocks.wall(0);
        clocks.kept(true);
        clocks
    }

    fn set(&self, word: u64, value: i64) {
        self.words.write_all_at(&value.to_le_bytes(), word * 8).unwrap();
    }

    /// The wall clock is so many seconds ahead.
    fn wall(&self, ahead: i64) {
        self.set(0, ahead);
    }

    /// Whether something keeps it.
    fn kept(&self, is: bool) {
        self.set(1, i64::from(is));
    }

    /// The place is so many hours east, and the till looks at where it is: it does so every five minutes.
    fn moved(&self, hours: i32, looks: i64) {
        // In one piece: half a zone is none.
        let new = self.dir.path().join("new");
        fs::write(&new, zone(hours)).unwrap();
        fs::rename(new, &self.place).unwrap();
        self.set(2, looks * 301);
    }

    fn env(&self) -> Vec<(String, String)> {
        let library = staging::built().unwrap().join("libtill_lab_clock.so");
        assert!(library.is_file(), "build the workspace first: {}", library.display());
        let of = |name: &str, path: PathBuf| (name.to_owned(), path.display().to_string());
        vec![
            of("LD_PRELOAD", library),
            of("TILL_LAB_CLOCK_FILE", self.dir.path().join("clock")),
            of("TZ", self.place.clone()),
        ]
    }

    /// Plugins' processes get no environment; here they get this one.
    fn host(&self) -> PathBuf {
        let path = self.dir.path().join("till-plugin-host");
        let host = staging::built().unwrap().join("till-plugin-host");
        let env = self.env();
        let set = env.iter().filter(|(name, _)| name != "TZ");
        let set: Vec<String> = set.map(|(name, value)| format!("{name}={value}\nexport {name}\n")).collect();
        let script = format!("#!/bin/sh\n{}exec {} \"$@\"\n", set.concat(), host.display());
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

/// A closing time that is half a day away from now, so that none passes while a test runs.
fn far_close_at() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let minute = (now / 60 + 720) % 1_440;
    format!("\n[settlement]\nclose-at = \"{:02}:{:02}\"\n", minute / 60, minute % 60)
}

async fn till() -> (Clocks, Rig, Client) {
    till_with("").await
}

async fn till_with(config: &str) -> (Clocks, Rig, Client) {
    let clocks = Clocks::new();
    let rig = Rig::start(RigOptions {
        extra_config: far_close_at() + config,
        env: clocks.env(),
        plugin_host: Some(clocks.host()),
        clock_trust: "kernel",
        ..RigOptions::default()
    });
    let rig = rig.await.unwrap();
    let client = rig.client().await.unwrap();
    (clocks, rig, client)
}

async fn cash(client: &Client, minor: i64) -> String {
    let payment = client.ready(minor).await.unwrap();
    payment.pay_cash(minor).await.unwrap();
    payment.wait(&["paid"]).await.unwrap();
    payment.id()
}

async fn settlement(client: &Client) -> Settlement1Proxy<'static> {
    Settlement1Proxy::new(client.connection()).await.unwrap()
}

/// The open batch and its date.
async fn day(client: &Client) -> (u32, BusinessDate) {
    let till = settlement(client).await;
    (till.open_batch().await.unwrap(), till.business_date().await.unwrap().parse().unwrap())
}

async fn wait_closed(client: &Client, number: u32) {
    let closed = || async {
        let rows = settlement(client).await.list_batches(Options::new()).await.ok()?;
        rows.into_iter().any(|b| b.number == number && b.state == "closed").then_some(())
    };
    until(&format!("batch {number} is closed"), closed).await.unwrap();
}

/// Dates that the clock closed, as the journal tells.
async fn closed_by_clock(client: &Client) -> Vec<i64> {
    let all = client.journal().await.unwrap();
    let frozen = all.iter().filter(|r| r["kind"] == "batch-frozen").map(|r| &r["record"]["Batch"]["Frozen"]);
    frozen.filter(|f| f["automatic"] == true).map(|f| f["date"].as_i64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn s65_s67_the_clock_steps_and_the_place_moves_under_a_running_till_and_each_day_is_closed_once() {
    let (clocks, rig, client) = till().await;
    let (_, first) = day(&client).await;
    let card = client.ready(1_000).await.unwrap();
    rig.reader.swipe(&again(TRACKS)).unwrap();
    card.wait(&["paid"]).await.unwrap();
    cash(&client, 500).await;

    // A day later, in an instant: who opens the next sale is in the next day, at once.
    clocks.wall(DAY);
    cash(&client, 600).await;
    assert_eq!(day(&client).await, (2, first.plus(1)));
    wait_closed(&client, 1).await;
    // Back: the day that was closed stays closed, and what is sold is of the next one.
    clocks.wall(0);
    cash(&client, 700).await;
    assert_eq!(day(&client).await, (2, first.plus(1)));
    // And forth, again and again.
    for _ in 0..3 {
        clocks.wall(DAY);
        cash(&client, 10).await;
        clocks.wall(0);
        cash(&client, 20).await;
    }
    assert_eq!(closed_by_clock(&client).await, [i64::from(first.day())]);

    // The till is carried a day east: its day ends, once; carried back, nothing ends and nothing opens again.
    clocks.wall(DAY);
    clocks.moved(24, 1);
    cash(&client, 800).await;
    assert_eq!(day(&client).await, (3, first.plus(2)));
    wait_closed(&client, 2).await;
    clocks.moved(0, 2);
    cash(&client, 900).await;
    assert_eq!(day(&client).await, (3, first.plus(2)));
    let dates = closed_by_clock(&client).await;
    assert_eq!(dates, [i64::from(first.day()), i64::from(first.plus(1).day())]);

    // Order is the journal's, whatever the clock said: sequence numbers without a gap, boot time that never goes back.
    let all = client.journal().await.unwrap();
    let number = |r: &serde_json::Value, name: &str| r[name].as_i64().unwrap();
    assert!(all.is_sorted_by(|a, b| number(a, "seq") + 1 == number(b, "seq")));
    assert!(all.is_sorted_by_key(|r| number(r, "boot-ms")));
    assert!(!all.is_sorted_by_key(|r| number(r, "wall-ms")), "the clock did not step");
    let listed: Vec<i64> = client.all_payments().await.unwrap().iter().map(|p| p.amount).collect();
    assert_eq!(listed, [900, 800, 20, 10, 20, 10, 20, 10, 700, 600, 500, 1_000]);
    assert_eq!(rig.acquirer.closed().len(), 1, "a day without cards is not settled with the bank");
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s79_c23_while_nobody_keeps_the_clock_who_signs_with_it_waits_and_cash_and_card_do_not() {
    let (clocks, rig, client) = till().await;
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    let wallet = |minor: i64, code: u64| {
        let (client, scanner) = (&client, &rig.scanner);
        async move {
            let payment = client.ready(minor).await.unwrap();
            scanner.scan(&Scan::new(wallet_code(code))).unwrap();
            payment
        }
    };
    wallet(1_000, 1).await.wait(&["paid"]).await.unwrap();
    let before = day(&client).await;

    // Nobody keeps it, and it is ten years off.
    clocks.kept(false);
    clocks.wall(YEARS);
    let refused = watch.refusals();
    let payment = wallet(1_100, 2).await;
    let (reason, text, _) = watch.refusal(refused).await.unwrap();
    assert_eq!(reason, "no-route");
    assert!(text.contains("alipay") && text.contains("clock"), "{text}");
    assert_eq!(rig.gateway.ledger().trades.len(), 1, "something was signed with a time that nobody keeps");
    // The same payment, in cash; and by card, which signs with no time.
    payment.pay_cash(1_100).await.unwrap();
    payment.wait(&["paid"]).await.unwrap();
    let card = client.ready(1_200).await.unwrap();
    rig.reader.swipe(&again(TRACKS)).unwrap();
    card.wait(&["paid"]).await.unwrap();
    // The day waits too: it is closed by a clock that is believed, or by people.
    assert_eq!(day(&client).await, before);
    let suspect =
        |r: &serde_json::Value| r["record"]["Opened"]["amount"]["minor"].as_i64().unwrap_or(0) > 1_000;
    let all = client.journal().await.unwrap();
    let opened: Vec<_> = all.iter().filter(|r| r["kind"] == "opened").collect();
    assert!(opened.iter().all(|r| r["clock-ok"] == !suspect(r)), "{opened:?}");

    // Kept again.
    clocks.wall(0);
    clocks.kept(true);
    wallet(1_300, 3).await.wait(&["paid"]).await.unwrap();
    assert_eq!(day(&client).await, before);
    rig.at_rest(&client).await.unwrap();
}

/// A message that may not be brought later than a time needs a time that is believed.
#[tokio::test(flavor = "multi_thread")]
async fn c22_a_message_with_an_end_waits_until_somebody_keeps_the_clock() {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::new(&[9; 32]).unwrap();
    let key = dir.path().join("maintenance.pem");
    fs::write(&key, identity.public().to_pem()).unwrap();
    let config = format!("\n[maintenance]\npublic-key = \"{}\"\n", key.display());
    let (clocks, rig, client) = till_with(&config).await;
    let terminal = Terminal1Proxy::new(client.connection()).await.unwrap();
    let message = "issue = 7\nvalid-until = \"2035-01-01T00:00:00Z\"\n\n[[window]]\nchannels = [\"bankcard\"]\nfrom = \"2090-01-01T00:00:00Z\"\nuntil = \"2090-01-02T00:00:00Z\"\n";
    let signature = STANDARD.encode(identity.sign(message.as_bytes()));
    let deliver = || terminal.deliver_maintenance(message, &signature, Options::new());
    clocks.kept(false);
    assert!(matches!(deliver().await, Err(Error::WrongState(_))));
    clocks.wall(YEARS);
    assert!(matches!(deliver().await, Err(Error::WrongState(_))));
    clocks.kept(true);
    assert!(matches!(deliver().await, Err(Error::Outdated(_))));
    clocks.wall(0);
    assert_eq!(deliver().await.unwrap(), 7);
    // Brought once more while it is in force: nothing new, whatever the clock says, and nobody is alarmed.
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    clocks.wall(YEARS);
    assert_eq!(deliver().await.unwrap(), 7);
    clocks.kept(false);
    assert_eq!(deliver().await.unwrap(), 7);
    clocks.kept(true);
    terminal.withdraw_maintenance("signed", Options::new()).await.unwrap();
    assert!(matches!(deliver().await, Err(Error::Outdated(_))));
    let told = |seen: &[Event]| {
        seen.iter()
            .filter(|e| matches!(&e.change, Change::Alarm { code, .. } if code == "maintenance-message"))
            .count()
    };
    watch.wait("the alarm of the last one", |seen| (told(seen) > 0).then_some(())).await.unwrap();
    assert_eq!(watch.look(told), 1);
    drop(rig);
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_do_not_jump_with_the_clock() {
    // Only the daemon's clock steps: the wallet refuses what is signed with a time ten years off.
    let clocks = Clocks::new();
    let options = RigOptions { extra_config: far_close_at(), env: clocks.env(), ..RigOptions::default() };
    let rig = Rig::start(options).await.unwrap();
    let client = rig.client().await.unwrap();
    for (code, before, after) in [(1, 0, YEARS), (2, YEARS, 0), (3, 0, -YEARS)] {
        clocks.wall(before);
        // Its answer is lost and the first questions too: a queue of timers, and the clock steps in the middle of them.
        let faults = rig.gateway.faults();
        let fired = faults.fired().len();
        faults.add(Rule::once("alipay.trade.pay", Fault::DropAfterBooking {})).unwrap();
        faults.add(Rule::once("alipay.trade.query", Fault::DropBeforeBooking {})).unwrap();
        let payment = client.ready(1_000).await.unwrap();
        rig.scanner.scan(&Scan::new(wallet_code(code))).unwrap();
        assert!(faults.wait_fired(fired + 1, till_tests::scene::PATIENCE));
        // Ten years are no reason to give it up, and none to wait for ten years.
        clocks.wall(after);
        payment.wait(&["paid"]).await.unwrap();
        let attempt = &client.details(&payment.id()).await.unwrap().attempts[0];
        assert!(attempt.undos == Some(0) && attempt.queries.unwrap() <= 3, "{attempt:?}");
    }
    let books = rig.at_rest(&client).await.unwrap();
    assert_eq!(books.wallet, 3_000);
}
