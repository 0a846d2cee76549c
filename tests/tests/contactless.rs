//! A card before the contactless reader, end to end: read over a PN532, known as contactless, authorised by the bank card
//! channel; and what goes wrong in shops.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

use std::path::Path;
use std::time::Duration;

use till_dbus::events::Change;
use till_simulators::nfc::{Bus, Card, Fault, Hand, NfcReader};
use till_tests::search::{self, Needle};
use till_tests::{Rig, RigOptions, Watch, staging};

const LONG: Duration = Duration::from_secs(20);
/// The simulated card's number.
const PAN: &str = "6200000000000005";

/// A till with a contactless reader on a line.
async fn till(settings: &str) -> (tempfile::TempDir, Rig, NfcReader) {
    attached(settings, "", |socket| NfcReader::on_socket(socket).unwrap()).await
}

/// A till with a contactless reader on a bus.
async fn on_bus(bus: Bus) -> (tempfile::TempDir, Rig, NfcReader) {
    let kind = if bus == Bus::I2c { "i2c" } else { "spi" };
    attached("", &format!(", as = \"{kind}\""), |socket| NfcReader::on_bus(socket, bus).unwrap()).await
}

/// A till with a contactless reader somewhere.
async fn attached(
    settings: &str,
    transport: &str,
    reader: impl FnOnce(&Path) -> NfcReader,
) -> (tempfile::TempDir, Rig, NfcReader) {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().to_path_buf();
    let socket = dir.join("run/nfc.sock");
    let config = format!(
        "\n[device.nfc]\nplugin = \"org.tilld.nfc\"\ntransport = {{ kind = \"unix\", path = \"{}\"{transport} }}\nsettings = {{ {settings} }}\n",
        socket.display()
    );
    let options = RigOptions { dir: Some(dir.clone()), extra_config: config, ..RigOptions::default() };
    let mut rig = Rig::stand(options).unwrap();
    let manifest = staging::workspace().join("drivers/nfc/manifest.toml");
    let library = staging::built().unwrap().join("libtill_driver_nfc.so");
    staging::plugin(&dir.join("plugins"), "org.tilld.nfc", &manifest, &library).unwrap();
    let reader = reader(&socket);
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let ready = || async { (client.device("nfc").await.ok()?.0 == "ready").then_some(()) };
    till_tests::scene::until("the contactless reader is ready", ready).await.unwrap();
    (temporary, rig, reader)
}

#[tokio::test(flavor = "multi_thread")]
async fn s18_a_tapped_card_is_recognised_authorised_and_printed_and_its_number_is_nowhere() {
    let (_dir, rig, reader) = till("").await;
    let client = rig.client().await.unwrap();
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    let payment = client.ready(8_800).await.unwrap();
    assert!(
        reader.tap(Hand::with(Card::unionpay()), LONG),
        "the reader looks for a card: {:?}",
        reader.seen()
    );
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!(payment.channel().await.unwrap(), "bankcard");
    let presented: Vec<(String, String, String)> = watch
        .all()
        .into_iter()
        .filter_map(|e| match e.change {
            Change::Presented { device, family, masked } => Some((device, family, masked)),
            _ => None,
        })
        .collect();
    let one = ("nfc".to_owned(), "card-contactless".to_owned(), "620000******0005".to_owned());
    assert_eq!(presented, [one]);
    let text = rig.printer.wait_receipts(1, LONG).expect("a receipt is printed")[0].text();
    assert!(text.contains("620000******0005") && text.contains("88.00"), "{text}");
    let booked = rig.acquirer.ledger();
    assert_eq!(booked.len(), 1);
    assert_eq!(reader.seen().cryptograms, 1, "one tap, one cryptogram");
    // The next sale looks for a card again.
    let payment = client.ready(100).await.unwrap();
    assert!(reader.wait_looking(LONG), "the first card has been noticed to be gone");
    assert!(reader.tap(Hand::with(Card::phone()), LONG), "{:?}", reader.seen());
    payment.wait(&["paid"]).await.unwrap();
    rig.books(&client).await.unwrap();
    let found =
        search::bytes("log", rig.log_lines().join("\n").as_bytes(), &[Needle::digits("card number", PAN)]);
    assert!(found.is_empty(), "{found:?}");
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s18_two_cards_and_a_card_removed_early_are_told_and_tried_again_with_no_money_moved() {
    let (_dir, rig, reader) = till("").await;
    let client = rig.client().await.unwrap();
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    let payment = client.ready(1_000).await.unwrap();
    reader.present(Hand::with(Card::unionpay()).and(Card::visa()));
    let (reason, text, _) = watch.refusal(0).await.unwrap();
    assert_eq!(reason, "collision", "{text}");
    reader.remove();
    assert!(reader.wait_looking(LONG));
    assert!(reader.tap(Hand::with(Card::unionpay()).fault(Fault::RemovedAt { apdu: 2 }), LONG));
    let (reason, text, _) = watch.refusal(1).await.unwrap();
    assert_eq!(reason, "card-removed", "{text}");
    assert!(text.contains("hold the card until the beep"), "{text}");
    assert_eq!(payment.state().await.unwrap(), "ready");
    assert!(rig.acquirer.ledger().is_empty(), "nothing half read ever reached the bank");
    assert!(reader.tap(Hand::with(Card::unionpay()), LONG));
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!(rig.acquirer.ledger().len(), 1);
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s18_a_reader_pulled_out_in_the_middle_of_a_tap_comes_back_and_reads_the_next_card() {
    let (_dir, rig, reader) = till("").await;
    let client = rig.client().await.unwrap();
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    let payment = client.ready(1_000).await.unwrap();
    reader.present(Hand::with(Card::unionpay()).fault(Fault::Unplug { apdu: 2 }));
    let (reason, text, _) = watch.refusal(0).await.unwrap();
    assert_eq!(reason, "device-gone", "{text}");
    reader.remove();
    assert!(rig.acquirer.ledger().is_empty());
    // The daemon opens it again and arms it for the payment that still waits.
    assert!(reader.wait_looking(LONG));
    assert!(reader.tap(Hand::with(Card::visa()), LONG));
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!((reader.seen().cryptograms, rig.acquirer.ledger().len()), (1, 1));
    rig.at_rest(&client).await.unwrap();
}

/// Read, lost and read again, unplugged and read again: over whatever the reader hangs on.
async fn a_shop_day_over(rig: Rig, reader: NfcReader) {
    let client = rig.client().await.unwrap();
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    let payment = client.ready(8_800).await.unwrap();
    assert!(reader.tap(Hand::with(Card::unionpay()), LONG), "{:?}", reader.seen());
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!((reader.seen().cryptograms, rig.acquirer.ledger().len()), (1, 1));
    let payment = client.ready(1_000).await.unwrap();
    assert!(reader.wait_looking(LONG), "the first card has been noticed to be gone");
    assert!(reader.tap(Hand::with(Card::unionpay()).fault(Fault::RemovedAt { apdu: 2 }), LONG));
    assert_eq!(watch.refusal(0).await.unwrap().0, "card-removed");
    assert!(reader.wait_looking(LONG));
    reader.present(Hand::with(Card::unionpay()).fault(Fault::Unplug { apdu: 1 }));
    assert_eq!(watch.refusal(1).await.unwrap().0, "device-gone");
    reader.remove();
    assert_eq!(rig.acquirer.ledger().len(), 1, "nothing half read ever reached the bank");
    assert!(reader.wait_looking(LONG), "the daemon opens it again and arms it");
    assert!(reader.tap(Hand::with(Card::visa()), LONG));
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!((reader.seen().cryptograms, rig.acquirer.ledger().len()), (2, 2));
    let log = rig.log_lines().join("\n");
    let found = search::bytes("log", log.as_bytes(), &[Needle::digits("card number", PAN)]);
    assert!(found.is_empty(), "{found:?}");
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s18_over_i2c() {
    let (_dir, rig, reader) = on_bus(Bus::I2c).await;
    a_shop_day_over(rig, reader).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s18_in_an_acr122u() {
    let (_dir, rig, reader) =
        attached("", ", as = \"ccid\"", |socket| NfcReader::on_ccid(socket).unwrap()).await;
    a_shop_day_over(rig, reader).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s18_in_a_usb_reader_that_finds_cards_by_itself() {
    let (_dir, rig, reader) =
        attached("", ", as = \"ccid\"", |socket| NfcReader::on_slot(socket).unwrap()).await;
    a_shop_day_over(rig, reader).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s18_over_spi() {
    let (_dir, rig, reader) = on_bus(Bus::Spi).await;
    a_shop_day_over(rig, reader).await;
}
