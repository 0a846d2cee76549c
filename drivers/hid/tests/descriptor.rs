//! Descriptors to places: the devices of the shared vectors, a scanner with byte count and triggers, every malformed kind,
//! and an independent parser on the same bytes.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

use hidreport::{Field, Report, ReportDescriptor};
use proptest::prelude::*;
use till_hid::descriptor::{MAX_DESCRIPTOR, MAX_REPORT};
use till_hid::{Descriptor, DescriptorFault, Kind, Place, ReportFault, Usage, usage};

const fn scanner(id: u16) -> Usage {
    Usage { page: usage::SCANNER, id }
}

const fn stripe(id: u16) -> Usage {
    Usage { page: usage::STRIPE, id }
}

/// Scanned data with byte count, identifiers, 56 bytes and eight "continued" bits; a trigger report; a vendor's feature.
const SCANNER: &str = "058c0902a1010912a10285021500 26ff0075089501 0501093b8102 9503058c09fb09fc09fd8102 \
    953809fe820201 0666ff9502090409008102 058c2501750195 0809ff8102c0 0914a102850415002501750195080900095f096009000900098509869186c0 \
    0666ff750826ff000903a10285fe95010903b28201c0 c0";

fn parsed(hex_text: &str) -> Descriptor {
    Descriptor::parse(&bytes(hex_text)).unwrap()
}

fn bytes(hex_text: &str) -> Vec<u8> {
    hex::decode(hex_text.split_whitespace().collect::<String>()).unwrap()
}

fn vector(id: &str) -> Option<serde_json::Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors/devices-hid_reports.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: no shared vectors");
        return None;
    };
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    all["cases"].as_array().unwrap().iter().find(|case| case["id"] == id).cloned()
}

#[test]
fn a_stripe_reader_of_the_vectors_lays_its_tracks_where_they_say() {
    let Some(case) = vector("msr-8e-descriptor") else { return };
    let descriptor = parsed(case["report_descriptor"].as_str().unwrap());
    assert!(!descriptor.numbered());
    assert_eq!(descriptor.tops(), [stripe(0x01)]);
    let whole = vec![0_u8; 339];
    for (id, from, count) in
        [(0x11, 0, 1), (0x12, 1, 1), (0x13, 2, 1), (0x21, 3, 112), (0x22, 115, 112), (0x23, 227, 112)]
    {
        let place = descriptor.find(Kind::Input, stripe(id)).unwrap();
        let mut report = whole.clone();
        report[from..from + count].fill(0xAA);
        assert_eq!(place.bytes(&report).unwrap(), vec![0xAA; count], "{id:x}");
        assert_eq!(place.report_bytes, 339);
    }
    assert!(descriptor.find(Kind::Input, stripe(0x24)).is_none());
    assert!(descriptor.find(Kind::Output, stripe(0x21)).is_none());
}

#[test]
fn a_scanner_of_the_vectors_lays_its_code_where_they_say() {
    let Some(case) = vector("scan-8c-descriptor") else { return };
    let descriptor = parsed(case["report_descriptor"].as_str().unwrap());
    assert!(descriptor.numbered());
    assert_eq!(descriptor.report_bytes(Kind::Input, 2), 61);
    let mut report = vec![0_u8; 61];
    report[..5].copy_from_slice(b"\x02]Q1d");
    report[60] = 1;
    let read = |id| descriptor.find(Kind::Input, scanner(id)).unwrap();
    assert_eq!(read(0xFB).bytes(&report).unwrap(), b"]");
    assert_eq!(read(0xFC).bytes(&report).unwrap(), b"Q");
    assert_eq!(read(0xFD).bytes(&report).unwrap(), b"1");
    assert_eq!(read(0xFE).bytes(&report).unwrap()[..2], *b"d\0");
    assert_eq!(read(0xFE).count, 56);
    assert_eq!(read(0xFF).any(&report), Ok(true));
    // Padding beside the bit is not the bit.
    report[60] = 0xFE;
    assert_eq!(read(0xFF).any(&report), Ok(false));
}

#[test]
fn byte_count_triggers_and_the_last_usage_for_all_that_is_left() {
    let descriptor = parsed(SCANNER);
    let find = |kind, usage| descriptor.find(kind, usage).unwrap();
    let count = find(Kind::Input, usage::BYTE_COUNT);
    let data = find(Kind::Input, scanner(0xFE));
    let mut report = vec![2_u8, 5];
    report.resize(64, 0);
    assert_eq!(count.value(&report, 0), Ok(5));
    assert_eq!(data.bytes(&report).unwrap().len(), 56);
    // "Continued" is named once for eight bits.
    assert_eq!(find(Kind::Input, scanner(0xFF)).count, 8);
    report[63] = 0x80;
    assert_eq!(find(Kind::Input, scanner(0xFF)).any(&report), Ok(true));

    let start = find(Kind::Output, scanner(0x60));
    let prevent = find(Kind::Output, scanner(0x5F));
    assert_eq!((start.report, start.count, prevent.count), (4, 1, 1));
    let mut out = start.empty_report();
    start.set(&mut out, true);
    assert_eq!(out, [4, 0b100]);
    prevent.set(&mut out, true);
    start.set(&mut out, false);
    assert_eq!(out, [4, 0b010]);
    assert!(descriptor.find_in(Kind::Output, 2, scanner(0x60)).is_none());
}

#[test]
fn an_output_report_without_ids_goes_out_behind_a_zero() {
    let descriptor = parsed("058c0902a10175019508095f960800 9102c0");
    let prevent = descriptor.find(Kind::Output, scanner(0x5F)).unwrap();
    let mut out = prevent.empty_report();
    prevent.set(&mut out, true);
    assert_eq!(out, [0, 1]);
}

#[test]
fn a_report_of_another_id_or_length_gives_no_field() {
    let descriptor = parsed(SCANNER);
    let data = descriptor.find(Kind::Input, scanner(0xFE)).unwrap();
    let mut report = vec![2_u8];
    report.resize(64, b'x');
    assert!(data.bytes(&report).is_ok());
    for length in [0, 1, 63, 65, 4096] {
        let mut other = report.clone();
        other.resize(length, 0);
        let expected = if length == 0 {
            ReportFault::OtherReport
        } else {
            ReportFault::Length { found: length, expected: 64 }
        };
        assert_eq!(data.bytes(&other), Err(expected));
    }
    report[0] = 4;
    assert_eq!(data.bytes(&report), Err(ReportFault::OtherReport));
    // Twelve bits are no bytes.
    let odd = parsed("058e0901a101750c9501092182020 1c0");
    assert_eq!(odd.find(Kind::Input, stripe(0x21)).unwrap().bytes(&[0, 0]), Err(ReportFault::NotBytes));
}

#[test]
fn every_malformed_descriptor_is_refused_by_name() {
    use DescriptorFault as F;
    let fault = |text: &str| Descriptor::parse(&bytes(text)).unwrap_err();
    assert_eq!(fault(""), F::Length(0));
    assert_eq!(Descriptor::parse(&vec![0; MAX_DESCRIPTOR + 1]), Err(F::Length(MAX_DESCRIPTOR + 1)));
    assert_eq!(fault("058e 09"), F::Truncated { at: 2 });
    assert_eq!(fault("05"), F::Truncated { at: 0 });
    assert_eq!(fault("fe ff 01 00"), F::Truncated { at: 0 });
    assert_eq!(fault("0c"), F::Item { at: 0 }, "class 3 is reserved");
    assert_eq!(fault("8500"), F::Item { at: 0 }, "report id 0");
    assert_eq!(fault("b4"), F::Item { at: 0 }, "pop of nothing");
    assert_eq!(fault("a4a4a4a4a4"), F::TooMany { at: 4 });
    assert_eq!(fault("2910"), F::Item { at: 0 }, "a maximum without a minimum");
    assert_eq!(fault("1910 2905"), F::Item { at: 2 }, "maximum below minimum");
    assert_eq!(fault("c0"), F::Unpaired);
    assert_eq!(fault("a101"), F::Unpaired);
    assert_eq!(fault("75 08 97 ffffffff 81 02"), F::TooBig { at: 7 });
    assert_eq!(fault("77 ffffffff 97 ffffffff 81 02"), F::TooBig { at: 10 });
    assert_eq!(fault("7508 96 0040 8102"), F::TooBig { at: 5 }, "16,384 bytes and an id");
    assert_eq!(fault("7508 9501 8102 8501 8102"), F::Item { at: 6 }, "an id after data without one");
    assert_eq!(fault(&"a100".repeat(65)), F::TooMany { at: 128 });
    assert_eq!(fault(&"0901".repeat(513)), F::TooMany { at: 1024 });
    assert_eq!(fault(&["75089501", &"8102".repeat(513)].concat()), F::TooMany { at: 1028 });
}

#[test]
fn a_descriptor_that_claims_billions_of_usages_costs_nothing() {
    // 64 ranges of 65,536 usages each on 512 fields, and a count of 4,000 elements.
    let mut text = String::from("058c a101 7501 9508");
    for _ in 0..400 {
        text.push_str("1a0000 2affff 8102");
    }
    text.push_str("c0");
    let descriptor = parsed(&text);
    assert_eq!(descriptor.report_bytes(Kind::Input, 0), 400);
    assert!(descriptor.find(Kind::Input, scanner(0x06)).is_some());
    assert!(descriptor.find(Kind::Input, scanner(0xFE)).is_none(), "beyond the eight elements");
}

/// What the independent parser says of the first variable field with a usage: report id, first bit, bits.
fn oracle(bytes: &[u8], wanted: Usage) -> Option<(u8, usize)> {
    let descriptor = ReportDescriptor::try_from(bytes).ok()?;
    descriptor
        .input_reports()
        .iter()
        .flat_map(|report| {
            let id = report.report_id().as_ref().map_or(0, u8::from);
            report.fields().iter().filter_map(move |field| match field {
                Field::Variable(field)
                    if u16::from(field.usage.usage_page) == wanted.page
                        && u16::from(field.usage.usage_id) == wanted.id =>
                {
                    Some((id, field.bits.start))
                }
                _ => None,
            })
        })
        .next()
}

#[test]
fn an_independent_parser_finds_the_same_places() {
    let own = bytes(SCANNER);
    let descriptor = Descriptor::parse(&own).unwrap();
    for wanted in
        [usage::BYTE_COUNT, scanner(0xFB), scanner(0xFC), scanner(0xFD), scanner(0xFE), scanner(0xFF)]
    {
        let place = descriptor.find(Kind::Input, wanted).unwrap();
        assert_eq!(oracle(&own, wanted), Some((place.report, place_bit(&place))), "{wanted:?}");
    }
}

/// The place's first bit, found from outside: the one bit whose change is seen.
fn place_bit(place: &Place) -> usize {
    let mut report = vec![0; place.report_bytes];
    report[0] |= place.report;
    let base = place.value(&report, 0).unwrap();
    (0..place.report_bytes * 8)
        .find(|bit| {
            let mut changed = report.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            place.value(&changed, 0).is_ok_and(|value| value == base ^ 1)
        })
        .unwrap()
}

/// Items that make up whole fields, so that most of what is made is accepted.
fn good_field() -> impl Strategy<Value = Vec<u8>> {
    (0_u8..3, 1_u8..=16, 1_u8..=12, proptest::collection::vec(1_u8..=250, 1..5), prop::bool::ANY).prop_map(
        |(page, size, count, usages, constant)| {
            let mut out = vec![0x05, [0x8C, 0x8E, 0x01][usize::from(page)], 0x75, size, 0x95, count];
            for id in usages {
                out.extend([0x09, id]);
            }
            out.extend([0x81, if constant { 3 } else { 2 }]);
            out
        },
    )
}

proptest! {
    #[test]
    fn any_bytes_give_an_answer_and_no_place_beyond_its_report(bytes in proptest::collection::vec(any::<u8>(), 0..200), page in 0_u16..3, id in 0_u16..256) {
        if let Ok(descriptor) = Descriptor::parse(&bytes) {
            let page = [usage::SCANNER, usage::STRIPE, 0][usize::from(page)];
            for kind in [Kind::Input, Kind::Output, Kind::Feature] {
                if let Some(place) = descriptor.find(kind, Usage { page, id }) {
                    prop_assert!(place.report_bytes <= MAX_REPORT);
                    let mut report = vec![0; place.report_bytes];
                    if descriptor.numbered() {
                        report[0] = place.report;
                    }
                    if place.size <= 32 {
                        prop_assert_eq!(place.value(&report, place.count - 1), Ok(0));
                    }
                }
            }
        }
    }

    #[test]
    fn a_descriptor_of_good_fields_is_read_as_the_independent_parser_reads_it(fields in proptest::collection::vec(good_field(), 1..8), id in 1_u16..=250) {
        let mut bytes = vec![0x05, 0x8C, 0x09, 0x02, 0xA1, 0x01, 0x85, 0x07];
        bytes.extend(fields.concat());
        bytes.push(0xC0);
        let descriptor = Descriptor::parse(&bytes).unwrap();
        for page in [0x8C, 0x8E, 0x01] {
            let wanted = Usage { page, id };
            let ours = descriptor.find(Kind::Input, wanted).map(|place| (place.report, place_bit(&place)));
            prop_assert_eq!(ours, oracle(&bytes, wanted));
        }
    }
}
