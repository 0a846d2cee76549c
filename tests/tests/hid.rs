//! Devices of HID reports, end to end: a reader that encrypts, a HID POS reader, a scanner with a trigger; and what goes
//! wrong with them in shops.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

use std::path::Path;
use std::time::Duration;

use till_dbus::events::Change;
use till_simulators::hid::{HidScanFault, HidScanner, HidStripe, ScanRefused, StripeFault};
use till_tests::scene::{TRACKS, until, wallet_code};
use till_tests::search::{self, Needle};
use till_tests::{Client, Rig, RigOptions, Watch, staging};

const LONG: Duration = Duration::from_secs(20);
/// A public test card whose digits are found in nothing else.
const PAN: &str = "5413330089010434";
const CARD: &str = "%B5413330089010434^TEST/CARD^3012101000000000?;5413330089010434=301210100000?";
const CARD2: &str = ";5413330089010434=301210100000?";

fn device(id: &str, plugin: &str, socket: &Path, descriptor: &str) -> String {
    format!(
        "\n[device.{id}]\nplugin = \"{plugin}\"\ntransport = {{ kind = \"unix\", path = \"{}\", as = \"hidraw\" }}\n\
         settings = {{ report-descriptor = \"{descriptor}\" }}\n",
        socket.display()
    )
}

/// A till with one more device, which stands.
async fn till(dir: &Path, id: &str, config: String, channel: bool) -> (Rig, Client) {
    let options = RigOptions { dir: Some(dir.to_path_buf()), extra_config: config, ..RigOptions::default() };
    let mut rig = Rig::stand(options).unwrap();
    if channel {
        let manifest = staging::workspace().join("plugins/fixtures/goodchannel/manifest.toml");
        let text = std::fs::read_to_string(manifest).unwrap();
        let ours = dir.join("sealed.toml");
        std::fs::write(&ours, text.replace("families = [\"cash\"]", "families = [\"card-encrypted\"]"))
            .unwrap();
        let library = staging::built().unwrap().join("libtill_fixture_goodchannel.so");
        staging::plugin(&dir.join("plugins"), "org.tilld.fixture.goodchannel", &ours, &library).unwrap();
    }
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    ready(&client, id).await;
    (rig, client)
}

async fn ready(client: &Client, id: &str) {
    let look = || async { (client.device(id).await.ok()?.0 == "ready").then_some(()) };
    until("the device is ready", look).await.unwrap();
}

fn presented(watch: &Watch) -> Vec<(String, String, String)> {
    let all = watch.all().into_iter();
    all.filter_map(|event| match event.change {
        Change::Presented { device, family, masked } => Some((device, family, masked)),
        _ => None,
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swipe_from_an_encrypted_reader_reaches_its_channel_as_ciphertext_and_nothing_here_ever_sees_the_card()
 {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    std::fs::create_dir_all(dir.join("run")).unwrap();
    let socket = dir.join("run/hid.sock");
    let reader = HidStripe::magtek(&socket).unwrap();
    // What the acquirer, who holds the base key, would expect of the second swipe.
    let (ksn, track2) = HidStripe::sealed(CARD2, 2).unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().concat();
    let config = device("sealed", "org.tilld.magstripe", &socket, &reader.descriptor())
        + &format!(
            "\n[channel.p2pe]\nplugin = \"org.tilld.fixture.goodchannel\"\npriority = 5\n\
             settings = {{ family = \"card-encrypted\", sealed = \"{}{}\" }}\n",
            hex(&ksn),
            hex(&track2)
        );
    let (rig, client) = till(dir, "sealed", config, true).await;
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    let payment = client.ready(8_800).await.unwrap();

    // Track 2 unread: told, and its key is used up.
    reader.swipe(CARD, &[StripeFault::Unread { track: 2 }]).unwrap();
    assert_eq!(watch.refusal(0).await.unwrap().0, "reader-error");
    reader.swipe(CARD, &[]).unwrap();
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!(payment.channel().await.unwrap(), "p2pe");
    assert_eq!(
        presented(&watch),
        [("sealed".to_owned(), "card-encrypted".to_owned(), "5413********0434".to_owned())]
    );

    // A recording of the swipe does not pay for the next sale, nor one without ciphertext.
    let payment = client.ready(100).await.unwrap();
    let before = watch.refusals();
    // Noise before it: the same report twice within 300 ms would be one swipe.
    reader.swipe(CARD, &[StripeFault::Garbage {}, StripeFault::Replay {}]).unwrap();
    assert_eq!(watch.refusal(before).await.unwrap().0, "bad-report");
    assert_eq!(watch.refusal(before + 1).await.unwrap().0, "key-repeated");
    reader.swipe(CARD, &[StripeFault::MaskedOnly {}]).unwrap();
    assert_eq!(watch.refusal(before + 2).await.unwrap().0, "masked-only");
    assert_eq!(payment.state().await.unwrap(), "ready");
    payment.pay_cash(100).await.unwrap();
    payment.wait(&["paid"]).await.unwrap();

    rig.at_rest(&client).await.unwrap();
    let needles = [Needle::digits("card number", PAN)];
    let mut found = search::bytes("log", rig.log_lines().join("\n").as_bytes(), &needles);
    search::files(dir, &["secrets", "plugins"], &needles, &mut found).unwrap();
    assert!(found.is_empty(), "{found:?}");
    assert!(rig.acquirer.ledger().is_empty(), "the bank card channel was never asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_channel_for_it_an_encrypted_card_is_refused_in_words_and_keys_used_up_are_told() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    std::fs::create_dir_all(dir.join("run")).unwrap();
    let socket = dir.join("run/hid.sock");
    let reader = HidStripe::magtek(&socket).unwrap();
    let config = device("sealed", "org.tilld.magstripe", &socket, &reader.descriptor());
    let (rig, client) = till(dir, "sealed", config, false).await;
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    let payment = client.ready(1_000).await.unwrap();
    reader.swipe(TRACKS, &[]).unwrap();
    let (reason, text, _) = watch.refusal(0).await.unwrap();
    assert_eq!(reason, "no-route", "{text}");
    assert!(text.contains("card-encrypted"), "{text}");
    reader.swipe(TRACKS, &[StripeFault::Exhausted {}]).unwrap();
    let (reason, text, _) = watch.refusal(1).await.unwrap();
    assert_eq!(reason, "keys-exhausted", "{text}");
    let blocked = || async { (client.device("sealed").await.ok()?.0 == "blocked").then_some(()) };
    until("the device says that it needs keys", blocked).await.unwrap();
    assert_eq!(payment.state().await.unwrap(), "ready");
    assert!(rig.acquirer.ledger().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_over_hid_pos_pays_once_and_a_reader_pulled_out_comes_back() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    std::fs::create_dir_all(dir.join("run")).unwrap();
    let socket = dir.join("run/hid.sock");
    let reader = HidStripe::pos(&socket).unwrap();
    let config = device("hidpos", "org.tilld.magstripe", &socket, &reader.descriptor());
    let (rig, client) = till(dir, "hidpos", config, false).await;
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    let payment = client.ready(8_800).await.unwrap();
    reader.swipe(TRACKS, &[StripeFault::LengthLie {}]).unwrap();
    assert_eq!(watch.refusal(0).await.unwrap().0, "too-long");
    reader.swipe(TRACKS, &[StripeFault::Length { bytes: 64 }]).unwrap();
    assert_eq!(watch.refusal(1).await.unwrap().0, "bad-report");
    // Pulled out in the middle of a report: refused, gone, back, and armed for the payment that still waits.
    reader.swipe(TRACKS, &[StripeFault::Unplug {}]).unwrap();
    assert!(reader.node().wait_connections(2, LONG));
    ready(&client, "hidpos").await;
    // It is armed some moments after it is back: the customer draws the card until it is taken.
    let draw = || async {
        let _lost_or_not =
            reader.swipe(TRACKS, &[StripeFault::Garbage {}, StripeFault::Double { gap_ms: 50 }]);
        (payment.state().await.ok()? == "paid").then_some(())
    };
    until("the card pays", draw).await.unwrap();
    assert_eq!(rig.acquirer.ledger().len(), 1, "a doubled report is one payment");
    let books = rig.at_rest(&client).await.unwrap();
    assert_eq!(books.card, 8_800);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_over_hid_pays_and_the_scanner_is_triggered_only_while_a_payment_waits() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    std::fs::create_dir_all(dir.join("run")).unwrap();
    let socket = dir.join("run/hid.sock");
    let scanner = HidScanner::listen(&socket).unwrap();
    let config = device("window", "org.tilld.scanner", &socket, &scanner.descriptor());
    let (rig, client) = till(dir, "window", config, false).await;
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    assert_eq!(scanner.scan(wallet_code(1), &[]), Err(ScanRefused::Prevented), "no payment waits");

    let payment = client.ready(1_000).await.unwrap();
    assert!(scanner.wait_triggered(1, LONG));
    scanner.scan("6901234567892", &[HidScanFault::CountLie {}]).unwrap();
    assert_eq!(watch.refusal(0).await.unwrap().0, "bad-report");
    assert!(scanner.wait_triggered(2, LONG), "the next code is waited for");
    // A shop's own code: its checksum is right.
    scanner.scan("00020153031565802CN63043E05", &[]).unwrap();
    let (reason, text, _) = watch.refusal(1).await.unwrap();
    assert!(reason == "not-payable" && text.contains("shop's own code"), "{reason} {text}");
    assert!(scanner.wait_triggered(3, LONG));
    // A long one whose rest is lost, then unplugged in the middle of another.
    scanner.scan("x".repeat(100), &[HidScanFault::LostRest {}]).unwrap();
    assert_eq!(watch.refusal(2).await.unwrap().0, "truncated");
    assert!(scanner.wait_triggered(4, LONG));
    scanner.scan("y".repeat(100), &[HidScanFault::Unplug {}]).unwrap();
    assert_eq!(watch.refusal(3).await.unwrap().0, "device-gone");
    assert!(scanner.node().wait_connections(2, LONG), "and opened again");
    assert!(scanner.wait_triggered(5, LONG), "and armed for the payment that still waits");
    scanner.scan(wallet_code(2), &[HidScanFault::Double { gap_ms: 30 }]).unwrap();
    payment.wait(&["paid"]).await.unwrap();
    let stopped = || async { (!scanner.triggered()).then_some(()) };
    until("the scanner is stopped behind the payment", stopped).await.unwrap();
    assert_eq!(scanner.scan(wallet_code(3), &[]), Err(ScanRefused::Prevented));
    let books = rig.at_rest(&client).await.unwrap();
    assert_eq!(books.wallet, 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_read_the_moment_the_scanner_is_started_is_never_lost() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    std::fs::create_dir_all(dir.join("run")).unwrap();
    let socket = dir.join("run/hid.sock");
    let scanner = HidScanner::listen(&socket).unwrap();
    let config = device("window", "org.tilld.scanner", &socket, &scanner.descriptor());
    let (rig, client) = till(dir, "window", config, false).await;
    for round in 1..=15 {
        let payment = client.ready(1_000).await.unwrap();
        let started = || async { scanner.triggered().then(|| scanner.times_triggered()) };
        let before = until("the scanner is started", started).await.unwrap();
        // Plugged in again it is started for the payment that waits, and reads what the customer still holds before it.
        scanner.node().unplug();
        assert!(scanner.wait_triggered(before + 1, LONG));
        scanner.scan(wallet_code(round), &[]).unwrap();
        payment.wait(&["paid"]).await.unwrap();
        let stopped = || async { (!scanner.triggered()).then_some(()) };
        until("the scanner is stopped behind the payment", stopped).await.unwrap();
    }
    let books = rig.at_rest(&client).await.unwrap();
    assert_eq!(books.wallet, 15_000);
}
