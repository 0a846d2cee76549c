//! Cards that answer badly: every bad input of a card's data, by name, against the tap machine alone.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

mod common;

use std::sync::Arc;

use common::{cases, hex, text};
use proptest::prelude::*;
use till_driver_nfc::emv::aid::{self, Candidate, DirectoryError};
use till_driver_nfc::emv::holder::{self, Asked, HolderError};
use till_driver_nfc::emv::oda::Keys;
use till_driver_nfc::emv::options::{self, OptionsError, Run};
use till_driver_nfc::emv::refusal::Refusal;
use till_driver_nfc::emv::store::{Store, StoreError};
use till_driver_nfc::emv::tap::{Read, Step, Tap};
use till_driver_nfc::emv::terminal::{Sale, Terminal};
use till_driver_nfc::emv::tlv::{self, Tag};
use till_driver_nfc::settings::Config;
use till_plugin::{Currency, Money, Settings};

fn terminal() -> Terminal {
    Config::new(&Settings::from_json(r#"{"without-directory": "try-list", "scheme-keys": []}"#))
        .unwrap()
        .terminal
}

fn sale() -> Sale {
    Sale {
        amount: Money::new(1111, Currency::CNY),
        date: [26, 9, 1],
        time: [9, 23, 1],
        unpredictable: [0xDE, 0xAD, 0xBE, 0xEF],
        sequence: 7,
    }
}

enum End {
    Read(Box<Read>),
    Refused(Refusal),
}

/// Plays a tap: `card` answers each command. Fails after too many.
fn play(terminal: Terminal, mut card: impl FnMut(&[u8]) -> Vec<u8>) -> End {
    let (mut tap, mut step) = Tap::begin(Arc::new(terminal), Arc::new(Keys::default()), sale());
    for _ in 0..1000 {
        step = match step {
            Step::Send(command) => tap.answer(&card(&command)),
            Step::Done(read) => return End::Read(read),
            Step::Refused(why) => return End::Refused(why),
        };
    }
    panic!("the tap does not end");
}

fn o(tag: u32, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    tlv::write(&mut out, Tag(tag), value);
    out
}

fn ok(data: &[u8]) -> Vec<u8> {
    [data, &[0x90, 0x00]].concat()
}

const AID: &[u8] = &[0xA0, 0, 0, 3, 0x33, 1, 1, 1];

fn directory() -> Vec<u8> {
    let entry = o(0x61, &[o(0x4F, AID), o(0x50, b"UNIONPAY"), o(0x87, &[1])].concat());
    o(0x6F, &[o(0x84, aid::PPSE), o(0xA5, &o(0xBF0C, &entry))].concat())
}

fn fci() -> Vec<u8> {
    o(0x6F, &[o(0x84, AID), o(0xA5, &o(0x9F38, &hex("9F66049F0206")))].concat())
}

/// What the options give besides profile and locator.
fn quick() -> Vec<u8> {
    [
        o(0x57, &hex("6200000000000005D30122010000000000")),
        o(0x9F26, &[1; 8]),
        o(0x9F27, &[0x80]),
        o(0x9F36, &[0, 1]),
        o(0x9F10, &hex("07010103A0000001")),
    ]
    .concat()
}

/// A card that is well but for what the test puts in.
struct Script {
    directory: Vec<u8>,
    fci: Vec<u8>,
    options: Vec<u8>,
    record: Vec<u8>,
}

impl Default for Script {
    fn default() -> Self {
        let options = o(0x77, &[o(0x82, &[0, 0]), quick()].concat());
        Self { directory: ok(&directory()), fci: ok(&fci()), options: ok(&options), record: hex("6A83") }
    }
}

impl Script {
    fn play(&self) -> End {
        play(terminal(), |command| match command {
            [0, 0xA4, ..] if command.windows(14).any(|w| w == aid::PPSE) => self.directory.clone(),
            [0, 0xA4, ..] => self.fci.clone(),
            [0x80, 0xA8, ..] => self.options.clone(),
            _ => self.record.clone(),
        })
    }

    fn reason(&self) -> &'static str {
        match self.play() {
            End::Read(_) => "read",
            End::Refused(why) => why.reason(),
        }
    }
}

fn with_options(objects: &[Vec<u8>]) -> Script {
    Script { options: ok(&o(0x77, &objects.concat())), ..Script::default() }
}

/// A card whose locator names one record of file 1, which holds these bytes.
fn with_record(record: Vec<u8>) -> Script {
    let options = o(0x77, &[o(0x82, &[0, 0]), o(0x94, &[0x08, 1, 1, 0]), quick()].concat());
    Script { options: ok(&options), record, ..Script::default() }
}

#[test]
fn the_script_itself_is_a_card_that_pays() {
    assert_eq!(Script::default().reason(), "read");
    assert_eq!(with_record(ok(&o(0x70, &o(0x5A, &hex("6200000000000005"))))).reason(), "read");
}

#[test]
fn sw_only_one_byte_and_empty_answers_at_every_command() {
    for bad in [vec![], vec![0x90], vec![0x90, 0x00]] {
        assert_ne!(Script { directory: bad.clone(), ..Script::default() }.reason(), "read");
        assert_eq!(Script { fci: bad.clone(), ..Script::default() }.reason(), "bad-card-data");
        assert_eq!(Script { options: bad.clone(), ..Script::default() }.reason(), "bad-card-data");
        assert_eq!(with_record(bad).reason(), "bad-card-data");
    }
}

#[test]
fn loops_of_61xx_and_6cxx_end() {
    for status in [[0x61, 0x10], [0x6C, 0x10]] {
        let End::Refused(why) = play(terminal(), |_| status.to_vec()) else { panic!() };
        assert!(matches!(why, Refusal::Apdu(_)), "{why:?}");
    }
    // Once of each is what a card may do.
    let mut turn = 0;
    let script = Script::default();
    let end = play(terminal(), |command| {
        turn += 1;
        match (turn, command) {
            (1, _) => vec![0x6C, 0x40],
            (2, [.., 0x40]) => vec![0x61, 0x20],
            (3, [0, 0xC0, 0, 0, 0x20]) => script.directory.clone(),
            (_, [0, 0xA4, ..]) => script.fci.clone(),
            (_, [0x80, 0xA8, ..]) => script.options.clone(),
            _ => panic!("{turn}"),
        }
    });
    assert!(matches!(end, End::Read(_)));
}

#[test]
fn directory_with_no_entries_and_with_fifty() {
    let list = |entries: &[u8]| o(0x6F, &[o(0x84, aid::PPSE), o(0xA5, &o(0xBF0C, entries))].concat());
    assert_eq!(aid::candidates(&list(&[]), &terminal().aids), Err(DirectoryError::Empty));
    assert_eq!(Script { directory: ok(&list(&[])), ..Script::default() }.reason(), "no-application");
    let fifty: Vec<u8> = (0..50u8)
        .flat_map(|n| o(0x61, &[o(0x4F, &[AID, &[n]].concat()), o(0x87, &[15 - n % 15])].concat()))
        .collect();
    let found = aid::candidates(&list(&fifty), &terminal().aids).unwrap();
    assert_eq!(found.len(), 50);
    assert!(found.is_sorted_by_key(|c| c.priority));
    // A card that lets every one of them fail is given up in the end.
    let End::Refused(_) = play(terminal(), |c| {
        if c.windows(14).any(|w| w == aid::PPSE) { ok(&list(&fifty)) } else { vec![0x69, 0x85] }
    }) else {
        panic!()
    };
}

#[test]
fn priority_decides_then_the_terminals_order_and_the_rest_is_fallback() {
    let entry = |aid: &str, priority: &[u8]| o(0x61, &[o(0x4F, &hex(aid)), o(0x87, priority)].concat());
    let list = [
        entry("A0000000041010", &[2]),
        entry("A0000000031010", &[2]),
        entry("B012345678", &[1]),
        entry("A000000333010102", &[0x81]),
        entry("A000000333010101", &[0]),
    ]
    .concat();
    let answer = o(0x6F, &[o(0x84, aid::PPSE), o(0xA5, &o(0xBF0C, &list))].concat());
    let found: Vec<Candidate> = aid::candidates(&answer, &terminal().aids).unwrap();
    let aids: Vec<String> = found.iter().map(|c| ::hex::encode_upper(&c.aid)).collect();
    assert_eq!(aids, ["A000000333010102", "A0000000031010", "A0000000041010", "A000000333010101"]);
}

#[test]
fn aid_longer_than_16_or_shorter_than_5() {
    for bad in [vec![0xA0; 17], vec![0xA0, 0, 0, 3], vec![]] {
        let entry = o(0x61, &o(0x4F, &bad));
        let answer = o(0x6F, &[o(0x84, aid::PPSE), o(0xA5, &o(0xBF0C, &entry))].concat());
        assert_eq!(aid::candidates(&answer, &[vec![0xA0]]), Ok(vec![]), "{} bytes", bad.len());
    }
}

#[test]
fn fci_without_84_and_df_name_mismatch() {
    let bare = o(0x6F, &o(0xA5, &[]));
    let other = o(0x6F, &[o(0x84, &hex("A000000333010102")), o(0xA5, &[])].concat());
    for fci in [bare, other, o(0x61, &o(0x84, AID)), o(0x6F, &o(0x84, AID))[..4].to_vec()] {
        assert_eq!(Script { fci: ok(&fci), ..Script::default() }.reason(), "bad-card-data");
    }
}

#[test]
fn pdol_above_252_bytes_cut_off_and_with_unknown_tags() {
    let with = |list: &str| {
        let fci = o(0x6F, &[o(0x84, AID), o(0xA5, &o(0x9F38, &hex(list)))].concat());
        Script { fci: ok(&fci), ..Script::default() }
    };
    assert_eq!(with("9F02FF9F03FF").reason(), "bad-card-data");
    assert_eq!(with("9F33FF").reason(), "bad-card-data");
    assert_eq!(with("9F02069F").reason(), "bad-card-data");
    // Unknown: zeros, and the tap goes on.
    let mut asked = Vec::new();
    let script = with("9F6604DFFF01039F2103");
    let end = play(terminal(), |command| match command {
        [0, 0xA4, ..] if command.windows(14).any(|w| w == aid::PPSE) => script.directory.clone(),
        [0, 0xA4, ..] => script.fci.clone(),
        _ => {
            asked = command.to_vec();
            script.options.clone()
        }
    });
    assert!(matches!(end, End::Read(_)));
    assert_eq!(asked, hex("80A800000C830A2600008000000009230100"));
}

#[test]
fn afl_with_sfi_0_and_31_first_0_last_before_first_200_records() {
    for (bad, error) in [
        ("00010100", OptionsError::Locator),
        ("F8010100", OptionsError::Locator),
        ("09010100", OptionsError::Locator),
        ("08000100", OptionsError::Locator),
        ("08020100", OptionsError::Locator),
        ("08010103", OptionsError::Locator),
        ("080101", OptionsError::Locator),
        ("0801C800", OptionsError::TooManyRecords),
        ("08012000100120001801200020012000", OptionsError::TooManyRecords),
    ] {
        assert_eq!(options::locator(&hex(bad)), Err(error), "{bad}");
        let script = with_options(&[o(0x82, &[0, 0]), o(0x94, &hex(bad)), quick()]);
        assert_eq!(script.reason(), "bad-card-data", "{bad}");
    }
    assert_eq!(options::locator(&hex("10020301")), Ok(vec![Run { sfi: 2, first: 2, last: 3, signed: 1 }]));
}

#[test]
fn record_not_70_and_record_with_trailing_bytes() {
    let number = o(0x5A, &hex("6200000000000005"));
    assert_eq!(with_record(ok(&o(0x71, &number))).reason(), "bad-card-data");
    assert_eq!(with_record(ok(&number)).reason(), "bad-card-data");
    assert_eq!(with_record(ok(&[o(0x70, &number), vec![0x5A, 0x01]].concat())).reason(), "bad-card-data");
    assert_eq!(with_record(ok(&[o(0x70, &number), o(0x70, &number)].concat())).reason(), "bad-card-data");
    assert_eq!(with_record(hex("6985")).reason(), "bad-card-data");
}

#[test]
fn duplicate_5a_with_another_number_and_57_against_5a() {
    let two = [o(0x5A, &hex("6200000000000005")), o(0x5A, &hex("4111111111111111"))].concat();
    assert_eq!(with_record(ok(&o(0x70, &two))).reason(), "bad-card-data");
    let mut store = Store::default();
    assert_eq!(store.put_all(&two), Err(StoreError::Twice(0x5A)));
    let End::Refused(why) = with_record(ok(&o(0x70, &o(0x5A, &hex("4111111111111111"))))).play() else {
        panic!()
    };
    assert_eq!(why, Refusal::Holder(HolderError::Mismatch));
    assert!(!format!("{why:?} {why}").contains("4111"));
    // Told again alike in another record: a card may.
    let mut store = Store::default();
    store.put(0x5A, &[1]).unwrap();
    assert_eq!((store.put(0x5A, &[1]), store.put(0x5A, &[2])), (Ok(()), Err(StoreError::Twice(0x5A))));
    for case in cases("channels-emv.json") {
        if text(&case, "id") == "tlv-bad-dup" {
            assert!(Store::default().put_all(&hex(text(&case, "hex"))).is_err());
        }
    }
}

#[test]
fn a_card_that_tells_more_than_a_card_may() {
    let mut store = Store::default();
    let many = (0..200u32).map(|n| store.put(0xDF00 + n, &[0])).find(Result::is_err);
    assert_eq!(many, Some(Err(StoreError::Full)));
    let mut store = Store::default();
    let much = (0..200u32).map(|n| store.put(0xDF00 + n, &[0; 255])).find(Result::is_err);
    assert_eq!(much, Some(Err(StoreError::Full)));
}

#[test]
fn numbers_of_12_to_19_digits_pass_and_others_do_not() {
    let with = |tag: u32, value: &str| {
        let mut store = Store::default();
        store.put(tag, &hex(value)).unwrap();
        holder::holder(&store).map(|h| h.pan.expose().len())
    };
    assert_eq!(with(0x57, "6200000000000005D3012201"), Ok(16));
    assert_eq!(with(0x57, "6210000000000000003D3012201F"), Ok(19));
    assert_eq!(with(0x5A, "620000000005"), Ok(12));
    assert_eq!(with(0x5A, "6200000000000000012F"), Ok(19));
    for (tag, bad) in [
        (0x57, "6200000000000005"),
        (0x57, "62000000000000A5D3012"),
        (0x57, "D30122010000000000"),
        (0x57, "6200000000000005D3012D01"),
        (0x57, "6200000000000005F3012201"),
        (0x5A, "62000000000F"),
        (0x5A, "62000000000000000123"),
        (0x5A, "62F000000005"),
        (0x5A, ""),
    ] {
        let bad = if bad.len() % 2 == 1 { format!("{bad}F") } else { bad.to_owned() };
        assert_eq!(with(tag, &bad), Err(HolderError::Malformed), "{tag:X} {bad}");
    }
    assert_eq!(holder::holder(&Store::default()).err(), Some(HolderError::Missing));
}

#[test]
fn cryptograms_that_are_none() {
    let without = |tag: u32| {
        let all = [o(0x82, &[0, 0]), quick()].concat();
        let kept: Vec<u8> = tlv::objects(&all)
            .map(Result::unwrap)
            .filter(|x| x.tag.0 != tag)
            .flat_map(|x| x.whole.to_vec())
            .collect();
        with_options(&[kept])
    };
    for tag in [0x9F26, 0x9F36, 0x9F10] {
        assert_eq!(without(tag).reason(), "no-cryptogram", "{tag:X}");
    }
    // UnionPay may leave it out: the issuer's data says the same.
    assert_eq!(without(0x9F27).reason(), "read");
    assert_eq!(without(0x82).reason(), "bad-card-data");
    assert_eq!(without(0x57).reason(), "bad-card-data");
}

#[test]
fn a_label_cannot_command_a_printer() {
    assert_eq!(aid::printable(b"\x1B@VISA\x10\x14\x01\x00\x05\xE6\x98"), "@VISA");
    assert_eq!(aid::printable(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ").len(), 16);
}

#[test]
fn small_amounts_by_the_rule_of_the_vectors() {
    for case in cases("channels-emv.json") {
        if text(&case, "family") != "emv-qps" {
            continue;
        }
        let asked = Asked { pin: case["kernel_asks_pin"].as_bool().unwrap(), ..Asked::default() };
        let above = case["amount_fen"].as_i64() > case["limit_fen"].as_i64();
        let debit = holder::debit(&hex(text(&case, "aid")));
        let wanted = (case["pin_required"].as_bool().unwrap(), case["signature_required"].as_bool().unwrap());
        assert_eq!(holder::verification(asked, debit, above), wanted, "{}", text(&case, "id"));
    }
}

#[test]
fn scripted_taps_of_the_vectors() {
    for case in cases("channels-emv.json") {
        if text(&case, "family") != "emv-tap" {
            continue;
        }
        let id = text(&case, "id");
        let script: Vec<(Vec<u8>, Vec<u8>)> = case["script"]
            .as_array()
            .unwrap()
            .iter()
            .map(|x| (hex(x[0].as_str().unwrap()), hex(x[1].as_str().unwrap())))
            .collect();
        let aids = vec![hex("A0000003330101")];
        let mut at = 0;
        let end = play(Terminal { aids, ..terminal() }, |command| {
            let (wanted, answer) = script.get(at).unwrap_or_else(|| panic!("{id}: one command more"));
            assert_eq!(::hex::encode(command), ::hex::encode(wanted), "{id}: command {at}");
            at += 1;
            answer.clone()
        });
        assert_eq!(at, script.len(), "{id}: every command was sent");
        let expect = &case["expect"];
        match (text(expect, "decision"), end) {
            ("go online", End::Read(read)) => {
                if expect["pan"].is_string() {
                    assert!(*read.card.pan.expose() == text(expect, "pan"), "{id}");
                    assert!(
                        read.card.track2.as_ref().unwrap().expose().as_str() == text(expect, "track2"),
                        "{id}"
                    );
                    let own: Vec<String> = tlv::objects(read.card.tlv.expose())
                        .map(|x| x.unwrap().tag.to_string())
                        .filter(|tag| tag != "9F63")
                        .collect();
                    assert_eq!(serde_json::json!(own), expect["field55_tags"], "{id}");
                }
            }
            ("declined by card", End::Refused(Refusal::DeclinedByCard))
            | ("use another interface", End::Refused(Refusal::OtherInterface)) => {}
            (wanted, End::Read(_)) => panic!("{id}: read, wanted {wanted}"),
            (wanted, End::Refused(why)) => panic!("{id}: {why:?}, wanted {wanted}"),
        }
    }
}

#[test]
fn apdu_traces_of_the_vectors() {
    for case in cases("devices-emv_apdu_traces.json") {
        let id = text(&case, "id");
        let answers: Vec<Vec<u8>> =
            case["exchanges"].as_array().into_iter().flatten().map(|x| hex(text(x, "r"))).collect();
        let first = answers.first().map(|a| a[..a.len().saturating_sub(2)].to_vec()).unwrap_or_default();
        let prefix = hex("A0000000031010");
        match id {
            "emv_select_application:test_select_app5" | "emv_select_application:test_select_app2" => {
                let asked =
                    hex("A00000000310100".to_owned().as_str().trim_end_matches('x').get(..14).unwrap());
                let exact = [asked, vec![if id.ends_with('5') { 5 } else { 2 }]].concat();
                assert!(aid::application(&first, &exact, b"").is_none(), "{id}");
            }
            "emv_select_application:test_select_app_success"
            | "emv_select_application:test_repeat_select_app_success" => {
                assert!(aid::application(&first, &prefix, b"").is_some(), "{id}");
            }
            "emv_initiate_application_processing:test2_apdu_list" => {
                let mut store = Store::default();
                options::options(&first, &mut store).unwrap();
                assert_eq!(
                    (store.get(0x82), store.get(0x94)),
                    (Some(hex("3900").as_slice()), Some(hex("1801020120020400").as_slice()))
                );
            }
            "emv_read_application_data:test4_apdu_list" | "emv_read_application_data:test6_apdu_list" => {
                assert!(options::record(1, &first, &mut Store::default()).is_err(), "{id}");
            }
            "contactless:unionpay-qpboc-flow" => {
                let mut left = answers.iter();
                let end = play(terminal(), |_| {
                    left.next().unwrap_or_else(|| panic!("{id}: one command more")).clone()
                });
                let End::Read(read) = end else { panic!("{id}") };
                let expect = &case["expect"];
                assert!(*read.card.pan.expose() == text(expect, "pan"), "{id}");
                assert_eq!(::hex::encode_upper(&read.card.aid), text(expect, "aid"));
                assert_eq!(u64::from(read.scheme.unwrap().kernel()), expect["kernel"].as_u64().unwrap());
            }
            "contactless:ppse-not-found" => {
                let strict = Terminal { try_list: false, ..terminal() };
                let mut left = answers.iter();
                let end =
                    play(strict, |_| left.next().unwrap_or_else(|| panic!("{id}: one command more")).clone());
                assert!(matches!(end, End::Refused(Refusal::NoApplication)), "{id}");
            }
            // Contact cards (1PAY, T=0): another interface.
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_answers_end_in_a_typed_refusal_or_a_whole_card(answers in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..8)) {
        let mut at = 0;
        let end = play(terminal(), |_| {
            at += 1;
            answers[at % answers.len()].clone()
        });
        if let End::Refused(why) = end {
            prop_assert!(!why.reason().is_empty() && !why.to_string().is_empty());
        }
    }

    #[test]
    fn a_good_card_with_one_damaged_byte_never_charges_another_number(which in 0usize..4, at in any::<prop::sample::Index>(), by in 1u8..) {
        let mut script = with_record(ok(&o(0x70, &o(0x5A, &hex("6200000000000005")))));
        let part = match which {
            0 => &mut script.directory,
            1 => &mut script.fci,
            2 => &mut script.options,
            _ => &mut script.record,
        };
        let at = at.index(part.len());
        part[at] ^= by;
        if let End::Read(read) = script.play() {
            prop_assert!(*read.card.pan.expose() == "6200000000000005");
        }
    }
}
