//! `tillctl record`: a recording holds no card, replays, outlives an unplugged device, and dies with who asked for it.
#![allow(clippy::unwrap_used)] // in helpers too: what fails there fails the test

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use till_dbus::events::Change;
use till_dbus::{Device1Proxy, Options, Terminal1Proxy, paths};
use till_simulators::players::Scan;
use till_tests::scene::{PATIENCE, again, until, wallet_code};
use till_tests::search::{self, Needle};
use till_tests::{Client, PaymentClient, Rig, RigOptions, Watch, staging};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use zbus::OwnedObjectPath;

/// A public test card whose digits are found in nothing else.
const PAN: &str = "4761739001010119";
const SECRET: &str = "7391586428";
const CODE: &str = "283746592018560001";

fn tracks() -> String {
    format!("%B{PAN}^TEST/CARD^3012101{SECRET}?;{PAN}=3012101{SECRET}?")
}

fn needles() -> Vec<Needle> {
    vec![
        Needle::digits("card number", PAN),
        Needle::digits("track data", SECRET),
        Needle::digits("wallet code", CODE),
    ]
}

async fn device(client: &Client, id: &str) -> Device1Proxy<'static> {
    let path = paths::device(id).unwrap();
    Device1Proxy::builder(client.connection())
        .path(path)
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await
        .unwrap()
}

/// A recording, to its end.
async fn read(pipe: zbus::OwnedFd) -> String {
    let mut pipe = pipe::Receiver::from_owned_fd(pipe.into()).unwrap();
    let mut text = String::new();
    tokio::time::timeout(PATIENCE, pipe.read_to_string(&mut text)).await.unwrap().unwrap();
    text
}

/// All known bytes of one direction.
fn bytes(text: &str, way: &str) -> Vec<u8> {
    let mut all = Vec::new();
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let mut words = line.split(' ').skip(1);
        if words.next() == Some(way) {
            let hex: String = words.filter(|w| !w.starts_with('*')).collect();
            let digits: Vec<u8> =
                hex.bytes().map(|b| u8::try_from(char::from(b).to_digit(16).unwrap()).unwrap()).collect();
            all.extend(digits.chunks(2).map(|d| d[0] << 4 | d[1]));
        }
    }
    all
}

/// How many bytes are masked.
fn masked(text: &str) -> usize {
    let words = text.lines().filter(|l| !l.starts_with('#')).flat_map(|l| l.split(' '));
    words.filter_map(|w| w.strip_prefix('*')?.parse::<usize>().ok()).sum()
}

/// What was typed, as characters of the keys; `_` for a key that has none here.
fn typed(text: &str) -> String {
    let events = bytes(text, "in");
    let presses = events.chunks_exact(24).filter(|e| e[16..18] == [1, 0] && e[20..24] == [1, 0, 0, 0]);
    presses
        .map(|e| match u16::from_ne_bytes([e[18], e[19]]) {
            11 => '0',
            code @ 2..=10 => char::from(b'0' + u8::try_from(code - 1).unwrap()),
            13 => '=',
            28 => '\n',
            39 => ';',
            53 => '?',
            _ => '_',
        })
        .filter(|c| *c != '_')
        .collect()
}

fn no_card(what: &str, text: &str) {
    let mut found = search::bytes(what, text.as_bytes(), &needles());
    for way in ["in", "out"] {
        found.extend(search::bytes(what, &bytes(text, way), &needles()));
    }
    found.extend(search::bytes(what, typed(text).as_bytes(), &needles()));
    assert!(found.is_empty(), "{found:?}\n{text}");
}

/// The same recording, its device used this much later.
fn later(text: &str, ms: u64) -> String {
    let line = |l: &str| match l.split_once(' ') {
        Some((at, rest)) if !l.starts_with('#') => format!("{} {rest}\n", at.parse::<u64>().unwrap() + ms),
        _ => format!("{l}\n"),
    };
    text.lines().map(line).collect()
}

async fn ready(client: &Client, id: &str) {
    let look = || async { (client.device(id).await.ok()?.0 == "ready").then_some(()) };
    until("the device is ready", look).await.unwrap();
}

async fn recorded(client: &Client, id: &str, mode: &str) {
    let device = device(client, id).await;
    until("it is recorded", || async { (device.recording().await.ok()? == mode).then_some(()) })
        .await
        .unwrap();
}

/// A fresh till with one more device, which is a recording.
async fn replay(plugin: &str, text: &str) -> (Rig, Client, Watch) {
    let file = tempfile::Builder::new().suffix(".recording").tempfile().unwrap();
    std::fs::write(file.path(), later(text, 3_000)).unwrap();
    let (_, path) = file.keep().unwrap();
    let config = format!(
        "\n[device.again]\nplugin = \"{plugin}\"\ntransport = {{ kind = \"replay\", path = \"{}\" }}\n",
        path.display()
    );
    let rig = Rig::start(RigOptions { extra_config: config, ..RigOptions::default() }).await.unwrap();
    let client = rig.client().await.unwrap();
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    ready(&client, "again").await;
    (rig, client, watch)
}

fn presented(watch: &Watch) -> Vec<(String, String)> {
    let all = watch.all().into_iter();
    all.filter_map(|e| match e.change {
        Change::Presented { family, masked, .. } => Some((family, masked)),
        _ => None,
    })
    .collect()
}

async fn paid(payment: &PaymentClient) {
    payment.wait(&["paid"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redacted_recording_of_a_swipe_a_scan_and_a_receipt_holds_no_card_and_goes_on_after_an_unplug() {
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let mut pipes = Vec::new();
    for id in ["cardreader", "scanner", "printer"] {
        pipes.push(device(&client, id).await.record(Options::new()).await.unwrap());
        recorded(&client, id, "redacted").await;
    }
    let by_card = client.ready(8_800).await.unwrap();
    rig.reader.swipe(&again(&tracks())).unwrap();
    paid(&by_card).await;
    let by_code = client.ready(2_500).await.unwrap();
    rig.scanner.scan(&Scan::new(CODE)).unwrap();
    paid(&by_code).await;
    // Away and back: the recording goes on.
    rig.reader.unplug();
    until("the reader is gone", || async {
        (client.device("cardreader").await.ok()?.0 != "ready").then_some(())
    })
    .await
    .unwrap();
    ready(&client, "cardreader").await;
    let once_more = client.ready(900).await.unwrap();
    rig.reader.swipe(&again(&tracks())).unwrap();
    paid(&once_more).await;
    rig.at_rest(&client).await.unwrap();

    let mut texts = Vec::new();
    for (id, pipe) in ["cardreader", "scanner", "printer"].into_iter().zip(pipes) {
        device(&client, id).await.stop_recording(Options::new()).await.unwrap();
        let text = read(pipe).await;
        no_card(id, &text);
        assert!(text.lines().last().unwrap().starts_with("# end: stopped, after "), "{text}");
        assert!(text.contains("# dropped: 0\n"), "{text}");
        texts.push(text);
    }
    let [reader, scanner, printer] = &texts[..] else { unreachable!() };
    assert!(reader.starts_with("# till-recording 2 evdev\n"), "{reader}");
    let steps = |text: &str, what: &str| text.lines().filter(|l| l.ends_with(what)).count();
    assert_eq!((steps(reader, " open"), steps(reader, " gone")), (2, 1), "{reader}");
    // Both swipes, with the shape of track 2 and nothing of what is on it.
    let shape = format!(";{}={}?", "0".repeat(PAN.len()), "0".repeat(7 + SECRET.len()));
    assert_eq!(typed(reader).matches(&shape).count(), 2, "{}", typed(reader));
    assert_eq!((masked(scanner), bytes(scanner, "in")), (CODE.len(), b"\r\n".to_vec()), "{scanner}");
    // A printer's bytes are there: the receipt's amounts, in digits.
    assert!(String::from_utf8_lossy(&bytes(printer, "out")).contains("88.00"), "{printer}");

    // The same shape in a fresh till: as many swipes are heard, and nothing in them is a card.
    let (fresh, client, watch) = replay("org.tilld.magstripe", reader).await;
    let payment = client.ready(8_800).await.unwrap();
    let heard = || async { (watch.refusals() + presented(&watch).len() >= 2).then_some(()) };
    until("both swipes are heard", heard).await.unwrap();
    assert!(presented(&watch).iter().all(|(_, masked)| !masked.starts_with("4761")));
    assert_ne!(payment.state().await.unwrap(), "paid");
    drop(fresh);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_recording_wants_training_ends_with_it_and_gives_the_same_card_in_a_fresh_till() {
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    let reader = device(&client, "cardreader").await;
    let refused = reader.record_raw(Options::new()).await.unwrap_err();
    assert_eq!(refused.code(), "WrongState", "{refused}");
    assert!(refused.to_string().contains("training"), "{refused}");

    let terminal = Terminal1Proxy::new(client.connection()).await.unwrap();
    let teacher = || Options::from([("operator", "007".into())]);
    terminal.set_training(true, teacher()).await.unwrap();
    let pipe = reader.record_raw(Options::new()).await.unwrap();
    recorded(&client, "cardreader", "raw").await;
    let wanted: Options<'_> = [("training", true.into()), ("operator", "001".into())].into();
    let path: OwnedObjectPath =
        client.terminal().await.unwrap().call("OpenPayment", &(100_i64, "CNY", wanted)).await.unwrap();
    let lesson = client.payment(path);
    lesson.confirm(100).await.unwrap();
    rig.reader.swipe(&again(&tracks())).unwrap();
    paid(&lesson).await;
    let there = presented(&watch);
    terminal.set_training(false, teacher()).await.unwrap();
    let text = read(pipe).await;
    assert!(text.lines().last().unwrap().starts_with("# end: training has ended"), "{text}");
    assert!(text.contains("CARD DATA"), "it says what it is: {text}");
    assert!(typed(&text).contains(&format!(";{PAN}=")), "{}", typed(&text));
    recorded(&client, "cardreader", "").await;
    let alarmed = watch.look(|all| {
        all.iter().any(|e| matches!(&e.change, Change::Alarm { code, .. } if code == "raw-recording"))
    });
    assert!(alarmed, "nobody was told");

    let (fresh, client, watch) = replay("org.tilld.magstripe", &text).await;
    let payment = client.ready(100).await.unwrap();
    paid(&payment).await;
    assert_eq!(presented(&watch), there);
    assert_eq!(there, [("card-stripe".to_owned(), "476173******0119".to_owned())]);
    drop(fresh);
}

fn tillctl(rig: &Rig, arguments: &[&str]) -> Command {
    let mut command = Command::new(staging::built().unwrap().join("tillctl"));
    command.args(["--bus", rig.bus.address()]).args(arguments).env("LC_ALL", "C");
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    command
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

fn begin(rig: &Rig, file: &Path) -> Child {
    tillctl(rig, &["--json", "record", "scanner", file.to_str().unwrap()]).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tillctl_records_until_it_is_interrupted_and_a_recording_dies_with_who_asked_for_it() {
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let dir = tempfile::tempdir().unwrap();

    // Killed: the till lets go, nothing that looks like a recording is left.
    let file = dir.path().join("killed.recording");
    let mut killed = begin(&rig, &file);
    recorded(&client, "scanner", "redacted").await;
    let busy = device(&client, "scanner").await.record(Options::new()).await.unwrap_err();
    assert!(busy.code() == "Busy" && busy.to_string().contains("is being recorded by :"), "{busy}");
    signal(&killed, rustix::process::Signal::KILL);
    killed.wait().unwrap();
    recorded(&client, "scanner", "").await;
    assert!(!file.exists());

    // Off the bus, though somebody still holds the pipe.
    let leaving = rig.client().await.unwrap();
    let pipe = device(&leaving, "scanner").await.record(Options::new()).await.unwrap();
    leaving.connection().clone().close().await.unwrap();
    let text = read(pipe).await;
    assert!(text.lines().last().unwrap().starts_with("# end: the caller left the bus"), "{text}");

    // The pipe closed.
    drop(device(&client, "scanner").await.record(Options::new()).await.unwrap());
    recorded(&client, "scanner", "").await;

    // Interrupted: whole, private, and told.
    let file = dir.path().join("scanner.recording");
    let whole = begin(&rig, &file);
    recorded(&client, "scanner", "redacted").await;
    let payment = client.ready(100).await.unwrap();
    rig.scanner.scan(&Scan::new(wallet_code(5))).unwrap();
    paid(&payment).await;
    signal(&whole, rustix::process::Signal::INT);
    let out = whole.wait_with_output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let told: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((told["dropped"].as_u64(), told["device"].as_str()), (Some(0), Some("scanner")), "{told}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(masked(&text) == 18 && text.contains("# content: text: "), "{text}");
    let again = tillctl(&rig, &["record", "scanner", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(again.status.code(), Some(5), "a recording is not written over");

    // Its limits.
    let limits = || Options::from([("seconds", 1_u32.into())]);
    let pipe = device(&client, "scanner").await.record(limits()).await.unwrap();
    let text = read(pipe).await;
    assert!(text.lines().last().unwrap().starts_with("# end: the time limit"), "{text}");
    for wrong in [("seconds", 0_u32.into()), ("seconds", 3601_u32.into()), ("bytes", 5_u64.into())] {
        let e = device(&client, "scanner").await.record(Options::from([wrong])).await.unwrap_err();
        assert_eq!(e.code(), "InvalidArgs");
    }
    let bytes = || Options::from([("bytes", 4096_u64.into())]);
    let pipe = device(&client, "printer").await.record(bytes()).await.unwrap();
    // More than one receipt fits.
    for n in 0..4 {
        let payment = client.ready(100 + n).await.unwrap();
        payment.pay_cash(100 + n).await.unwrap();
        paid(&payment).await;
    }
    let text = read(pipe).await;
    assert!(
        text.len() <= 4096 && text.lines().last().unwrap().starts_with("# end: the size limit"),
        "{text}"
    );
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_a_recording_holds_no_device_up() {
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let pipe = device(&client, "printer").await.record(Options::new()).await.unwrap();
    rustix::pipe::fcntl_setpipe_size(std::os::fd::AsFd::as_fd(&pipe), 4096).unwrap();
    // More than the pipe holds, unread.
    for n in 0..3 {
        let payment = client.ready(100 + n).await.unwrap();
        payment.pay_cash(100 + n).await.unwrap();
        paid(&payment).await;
    }
    rig.at_rest(&client).await.unwrap();
    let stop = async { device(&client, "printer").await.stop_recording(Options::new()).await };
    tokio::time::timeout(Duration::from_secs(5), stop).await.unwrap().unwrap();
    recorded(&client, "printer", "").await;
    drop(pipe);
}
