//! Card numbers, track data, wallet codes and keys are nowhere but where they must be: not in the journal, the logs, on
//! D-Bus, on receipts, in the environment, in arguments, and no process may leave a core.

mod memory;
mod token;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::PoisonError;

use base64::Engine;
use till_simulators::acquirer::Terminal;
use till_simulators::acquirer::cards::Card;
use till_simulators::faults::{Fault, Rule};
use till_simulators::players::{Scan, SwipeFault};
use till_tests::scene::{again, refused};
use till_tests::search::{self, Found, Needle};
use till_tests::tap::tap;
use till_tests::{Client, Rig, RigOptions, Watch};

const PAN: &str = "4761739001010119";
/// Visa's public test number; its bank says no here. (The usual one for that is mostly zeros, as much else is.)
const DECLINED: &str = "4012888881881881";
/// Discretionary data of both tracks.
const SECRET: &str = "7391586428";
/// Pays; is refused for its balance; its answer is lost; no wallet of ours; goods that are no payment.
const CODES: [&str; 5] = [
    "283746592018560001",
    "283746592017770301",
    "283746592018560002",
    "993746592018560003",
    "2837465920185600",
];

fn tracks(pan: &str) -> String {
    format!("%B{pan}^TEST/CARD^3012101{SECRET}?;{pan}=3012101{SECRET}?")
}

fn needles(rig: &Rig) -> Vec<Needle> {
    let mut all = vec![
        Needle::digits("card number", PAN),
        Needle::digits("declined card number", DECLINED),
        Needle::digits("track data", SECRET),
    ];
    all.extend(CODES.iter().map(|code| Needle::digits("code", code)));
    all.push(Needle::bytes("terminal master key", &Terminal::default().tmk));
    let pem = rig.gateway.app_private_pem();
    let body: String = pem.lines().filter(|l| !l.starts_with('-')).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(&body).unwrap_or_default();
    let middle = der.len() / 2;
    all.push(Needle::bytes("private key", der.get(middle..middle + 48).unwrap_or_default()));
    all
}

/// The keys of the sign-in that is in force.
fn working_keys(rig: &Rig) -> Vec<Needle> {
    let keys = rig.acquirer.working_keys(&Terminal::default().tid);
    let keys: Vec<_> = keys.into_iter().filter(|k| k.len() >= 8).collect();
    assert!(keys.len() >= 2, "the acquirer has issued keys");
    keys.iter().map(|k| Needle::bytes("working key", k)).collect()
}

/// Environment and arguments of the daemon and its hosts; whether a core may be left.
fn processes(rig: &Rig, needles: &[Needle], found: &mut Vec<Found>) -> Vec<String> {
    let mut may_dump = Vec::new();
    let hosts: Vec<u32> = rig.hosts().into_iter().map(|(pid, _)| pid).collect();
    assert!(hosts.len() >= 6, "{hosts:?}");
    for pid in hosts.iter().copied().chain(rig.pid()) {
        for part in ["environ", "cmdline"] {
            let place = format!("/proc/{pid}/{part}");
            found.extend(search::bytes(&place, &fs::read(&place).unwrap_or_default(), needles));
        }
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
        let core = limits.lines().find(|l| l.starts_with("Max core file size")).unwrap_or("no limits");
        let numbers: Vec<&str> =
            core.trim_start_matches("Max core file size").split_whitespace().take(2).collect();
        if hosts.contains(&pid) && numbers != ["0", "0"] {
            may_dump.push(format!("{pid}: {core}"));
        }
    }
    may_dump
}

/// The day of a shop in which everything happens: approved, declined, lost, cancelled, unreadable, unknown.
async fn day(rig: &Rig, client: &Client, watch: &Watch) {
    let swipe = |tracks: &str| again(tracks);
    let payment = client.ready(1_000).await.unwrap_or_else(|e| panic!("{e}"));
    rig.reader.swipe(&swipe(&tracks(PAN))).unwrap_or_else(|e| panic!("{e}"));
    payment.wait(&["paid"]).await.unwrap_or_else(|e| panic!("{e}"));

    let payment = client.ready(1_100).await.unwrap_or_else(|e| panic!("{e}"));
    rig.reader.swipe(&swipe(&tracks(DECLINED))).unwrap_or_else(|e| panic!("{e}"));
    payment.wait_attempt(&["declined"]).await.unwrap_or_else(|e| panic!("{e}"));
    payment.confirm(1_100).await.unwrap_or_else(|e| panic!("{e}"));
    rig.acquirer
        .faults()
        .add(Rule::once("sale", Fault::DropAfterBooking {}))
        .unwrap_or_else(|e| panic!("{e}"));
    rig.reader.swipe(&swipe(&tracks(PAN))).unwrap_or_else(|e| panic!("{e}"));
    payment.wait_attempt(&["reversed"]).await.unwrap_or_else(|e| panic!("{e}"));
    payment.cancel().await.unwrap_or_else(|e| panic!("{e}"));

    let payment = client.ready(1_200).await.unwrap_or_else(|e| panic!("{e}"));
    let before = watch.refusals();
    let half = swipe(&tracks(PAN)).with(SwipeFault::Half { chars: 70 });
    rig.reader.swipe(&half).unwrap_or_else(|e| panic!("{e}"));
    watch.refusal(before).await.unwrap_or_else(|e| panic!("{e}"));
    for code in [CODES[3], CODES[4]] {
        let before = watch.refusals();
        rig.scanner.scan(&Scan::new(format!("{code}x"))).unwrap_or_else(|e| panic!("{e}"));
        watch.refusal(before).await.unwrap_or_else(|e| panic!("{e}"));
    }
    rig.scanner.scan(&Scan::new(CODES[1])).unwrap_or_else(|e| panic!("{e}"));
    payment.wait_attempt(&["declined"]).await.unwrap_or_else(|e| panic!("{e}"));
    payment.confirm(1_200).await.unwrap_or_else(|e| panic!("{e}"));
    rig.gateway
        .faults()
        .add(Rule::once("alipay.trade.pay", Fault::DropAfterBooking {}))
        .unwrap_or_else(|e| panic!("{e}"));
    rig.scanner.scan(&Scan::new(CODES[2])).unwrap_or_else(|e| panic!("{e}"));
    payment.wait(&["paid"]).await.unwrap_or_else(|e| panic!("{e}"));
    let payment = client.ready(1_300).await.unwrap_or_else(|e| panic!("{e}"));
    // From a front-end with a scanner of its own: the code goes through a pipe, past the bus.
    payment.pay_code(CODES[0]).await.unwrap_or_else(|e| panic!("{e}"));
    payment.wait(&["paid"]).await.unwrap_or_else(|e| panic!("{e}"));
    // The same code again is refused; the refusal does not repeat it.
    let payment = client.ready(1_400).await.unwrap_or_else(|e| panic!("{e}"));
    let before = watch.refusals();
    rig.scanner.scan(&Scan::new(CODES[0])).unwrap_or_else(|e| panic!("{e}"));
    watch.refusal(before).await.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(refused(payment.pay_code(CODES[0]).await), "UsedAlready");
    payment.cancel().await.unwrap_or_else(|e| panic!("{e}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn c01_c02_c06_c08_c19_c21_no_card_number_track_code_or_key_is_left_anywhere() {
    let options = RigOptions {
        show_log: std::env::var_os("TILL_TEST_LOG").is_some(),
        env: vec![("TILLD_LOG".into(), "debug".into())],
        ..RigOptions::default()
    };
    let mut rig = Rig::stand(options).unwrap();
    let heard = tap(&rig).await.unwrap();
    rig.acquirer.set_card(DECLINED, Card { answer: "51".into(), ..Card::default() });
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    let mut needles = needles(&rig);
    needles.extend(working_keys(&rig));
    day(&rig, &client, &watch).await;
    assert!(rig.printer.wait_receipts(3, till_tests::scene::PATIENCE).is_some());

    // Killed while a card is at the acquirer: what was in memory stays in memory.
    rig.acquirer.faults().add(Rule::once("sale", Fault::HoldReply {})).unwrap();
    let fired = rig.acquirer.faults().fired().len();
    client.ready(1_500).await.unwrap();
    rig.reader.swipe(&again(&tracks(PAN))).unwrap();
    assert!(rig.acquirer.faults().wait_fired(fired + 1, till_tests::scene::PATIENCE));
    let mut found = Vec::new();
    assert_eq!(processes(&rig, &needles, &mut found), Vec::<String>::new());
    rig.kill_host("bankcard");
    rig.kill_till();
    rig.acquirer.faults().clear();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let books = rig.at_rest(&client).await.unwrap();
    assert_eq!((books.card, books.wallet), (1_000, 2_500));
    needles.extend(working_keys(&rig));
    // What a front-end can read of all payments, and the export of the journal, cross the bus here.
    let export = rig.dir.join("export.jsonl");
    client.export_journal(fs::File::create(&export).unwrap()).await.unwrap();
    for payment in &books.payments {
        client.find(&payment.id).await.unwrap();
    }
    assert_eq!(processes(&rig, &needles, &mut found), Vec::<String>::new());
    assert!(rig.stop_till());

    let count = search::files(&rig.dir, &["secrets", "plugins"], &needles, &mut found).unwrap();
    assert!(count > 10, "{count} files");
    let log = rig.log_lines().join("\n");
    assert!(log.contains("DEBUG") && log.len() > 5_000, "the log is the long one");
    found.extend(search::bytes("log", log.as_bytes(), &needles));
    found.extend(search::bytes("receipts", &rig.printer.received(), &needles));
    for receipt in rig.printer.receipts() {
        found.extend(search::bytes("receipt", receipt.text().as_bytes(), &needles));
    }
    let bus = heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let masked = b"476173******0119";
    assert!(
        bus.len() > 50_000 && bus.windows(masked.len()).any(|w| w == masked),
        "the tap heard the payments"
    );
    found.extend(search::bytes("D-Bus", &bus, &needles));
    assert_eq!(found, []);

    // Secrets are in their folder only, and nobody else may read them.
    let mut there = Vec::new();
    search::files(&rig.dir.join("secrets"), &[], &needles, &mut there).unwrap();
    assert!(!there.is_empty(), "the search finds keys where they are");
    for entry in fs::read_dir(rig.dir.join("secrets")).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o077, 0);
    }
}

/// C5. What is killed by a fault of its own leaves nothing of what was in its memory.
#[tokio::test(flavor = "multi_thread")]
async fn c05_a_process_that_dies_of_a_fault_leaves_no_core() {
    let mut rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let payment = client.ready(1_000).await.unwrap();
    rig.reader.swipe(&again(&tracks(PAN))).unwrap();
    payment.wait(&["paid"]).await.unwrap();
    // As a fault would end it. (The runtime takes a first SEGV from outside for itself and goes on.)
    let abort = |pid: u32| {
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::ABORT).unwrap();
    };
    let limits = |pid: u32| {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let core = limits.lines().find(|l| l.starts_with("Max core file size")).unwrap();
        core.split_whitespace().filter_map(|word| word.parse::<u64>().ok()).collect::<Vec<_>>()
    };
    let folders = |pid: u32| fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
    let till = rig.pid().unwrap();
    let mut where_cores_would_be = vec![folders(till), rig.dir.clone(), std::env::current_dir().unwrap()];
    assert_eq!(limits(till), [0, 0], "tilld");
    let host = rig.hosts().into_iter().find(|(_, line)| line.contains("bankcard")).unwrap().0;
    assert_eq!(limits(host), [0, 0], "the host of the bank card channel");
    where_cores_would_be.push(folders(host));
    let cores = || -> Vec<std::ffi::OsString> {
        let entries = where_cores_would_be.iter().flat_map(|dir| fs::read_dir(dir).into_iter().flatten());
        let names = entries.flatten().map(|entry| entry.file_name());
        names.filter(|name| name.to_string_lossy().starts_with("core")).collect()
    };
    let before = cores();
    abort(host);
    abort(till);
    assert_eq!(rig.wait_end(), None, "it was killed, and did not end by itself");
    assert_eq!(cores(), before);
}

/// The control: a search that finds nothing proves nothing unless it finds what is there.
#[test]
fn the_search_finds_what_is_planted_in_every_shape() {
    let dir = tempfile::tempdir().unwrap();
    let needles = [Needle::digits("card number", PAN)];
    let shapes: BTreeSet<&str> = needles[0].shapes().iter().map(|s| s.0).collect();
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let around = |middle: &[u8]| [b"\x01noise ", middle, b" more\xff"].concat();
    let bcd = [0x47, 0x61, 0x73, 0x90, 0x01, 0x01, 0x01, 0x19];
    let planted: [(&str, Vec<u8>); 14] = [
        ("plain", around(PAN.as_bytes())),
        ("hex", around(b"34373631373339303031303130313139")),
        ("HEX", around(b"34373631373339303031303130313139")),
        ("utf-16le", PAN.bytes().flat_map(|b| [b, 0]).collect()),
        ("utf-16be", PAN.bytes().flat_map(|b| [0, b]).collect()),
        ("bcd", around(&bcd)),
        ("bcd+1", around(&[0x04, 0x76, 0x17, 0x39, 0x00, 0x10, 0x10, 0x11, 0x9f])),
        ("nibbles reversed", around(&[0x74, 0x16, 0x37, 0x09, 0x10, 0x10, 0x10, 0x91])),
        ("nibbles reversed+1", around(&[0x40, 0x67, 0x71, 0x93, 0x00, 0x01, 0x01, 0x11, 0xf9])),
        ("base64", encode(format!("abc{PAN}xyz").as_bytes()).into_bytes()),
        ("base64+1", encode(format!("a{PAN}z").as_bytes()).into_bytes()),
        ("base64+2", encode(format!("ab{PAN}yz").as_bytes()).into_bytes()),
        ("debug", format!("key: {:?}", [&[0], PAN.as_bytes(), &[0]].concat()).into_bytes()),
        ("plain", format!("{{\"pan\":\"{PAN}\"}}").into_bytes()),
    ];
    let mut seen = BTreeSet::new();
    for (number, (shape, content)) in planted.iter().enumerate() {
        fs::write(dir.path().join(format!("{number}")), content).unwrap();
        let found = search::bytes("", content, &needles);
        assert!(found.iter().any(|f| f.shape == *shape), "{shape} is not found");
        seen.insert(*shape);
    }
    assert_eq!(seen, shapes, "every shape that is searched for has been planted once");
    let mut found = Vec::new();
    assert_eq!(search::files(dir.path(), &[], &needles, &mut found).unwrap(), planted.len());
    let places: BTreeSet<_> = found.iter().map(|f| &f.place).collect();
    assert_eq!(places.len(), planted.len(), "every file is found");
    assert!(search::bytes("", b"476173******0119", &needles).is_empty(), "masked is not a secret");
}
