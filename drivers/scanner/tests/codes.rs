//! Bytes that a scanner may send: what must become a code, character for character, and what must never be one.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

use std::time::Duration;

use proptest::prelude::*;
use till_driver_scanner::aim::{self, AimFault, Symbology};
use till_driver_scanner::assemble::{Assembler, Framing, ScanFault, Suffix};
use till_driver_scanner::code::{self, AimPolicy, Charset, Code, CodeFault};
use till_driver_scanner::dedupe::Dedupe;
use till_driver_scanner::gs1::{self, Gs1Fault};

type Scans = Vec<Result<Vec<u8>, ScanFault>>;

fn scan_in(framing: Framing, bytes: &[u8], chunk: usize) -> Scans {
    let mut assembler = Assembler::new(framing);
    let mut found = Scans::new();
    for part in bytes.chunks(chunk.max(1)) {
        assembler.push(part, Duration::ZERO, |scan| found.push(scan.map(<[u8]>::to_vec)));
    }
    found
}

fn suffix(bytes: &[u8]) -> Framing {
    Framing { suffix: Suffix::Bytes(bytes.to_vec()), ..Framing::default() }
}

fn read(scan: &[u8]) -> Result<Code, CodeFault> {
    code::read(scan, AimPolicy::Auto, Charset::Utf8)
}

fn text(scan: &[u8]) -> String {
    read(scan).unwrap().text.to_string()
}

#[test]
fn one_character_is_a_code() {
    assert_eq!(scan_in(Framing::default(), b"7\r\n", 1), [Ok(b"7".to_vec())]);
    assert_eq!(text(b"7"), "7");
}

#[test]
fn cr_inside_data_is_data_where_the_suffix_is_cr_lf() {
    assert_eq!(
        scan_in(suffix(b"\r\n"), b"A\rB\r\r\nC\nD\r\n", 3),
        [Ok(b"A\rB\r".to_vec()), Ok(b"C\nD".to_vec())]
    );
}

#[test]
fn cr_and_lf_and_both_end_a_code_by_default_and_once() {
    for chunk in 1..9 {
        let found = scan_in(Framing::default(), b"1\r2\n3\r\n4\r", chunk);
        assert_eq!(found, [b"1", b"2", b"3", b"4"].map(|c| Ok(c.to_vec())));
    }
}

#[test]
fn nul_and_gs_and_other_controls_are_kept() {
    let bytes = b"]C1\x00A\x1dB\x7f";
    assert_eq!(scan_in(suffix(b"\t"), b"]C1\x00A\x1dB\x7f\t", 4), [Ok(bytes.to_vec())]);
    assert_eq!(text(bytes), "\0A\u{1d}B\u{7f}");
}

#[test]
fn bytes_that_are_no_text_are_said_to_be_none() {
    for bytes in [&b"\xff\xff"[..], b"28\xc4\xe3", b"\xed\xa0\x80", b"\xc0\x80"] {
        assert_eq!(read(bytes).unwrap_err(), CodeFault::NotText(Charset::Utf8));
    }
    let gb = |bytes| code::read(bytes, AimPolicy::Auto, Charset::Gb18030);
    assert_eq!(gb(b"\xc4\xe3\xba\xc3").unwrap().text.as_str(), "\u{4f60}\u{597d}");
    assert_eq!(gb(b"\xc4").unwrap_err(), CodeFault::NotText(Charset::Gb18030));
    let latin = code::read(b"\xe4", AimPolicy::Auto, Charset::Latin1).unwrap();
    assert_eq!(latin.text.as_str(), "\u{e4}");
}

#[test]
fn nothing_of_a_code_is_trimmed_or_guessed_here() {
    // Full-width digits, inner and outer spaces, a payment code of the wrong length, a merchant code with a bad CRC, CPM
    // junk: all are delivered as read. What they are good for, the daemon decides.
    for code in [
        "\u{ff11}\u{ff13}\u{ff15}1122986384682",
        " 1345 1234 5678 901234 ",
        "13451234567890123",
        "00020101021229300012D156000000000510A93FO3230Q5802CN6304FFFF",
        "00020101021229300012D156000000000510A93FO3230Q5802CN6304a13a",
        "000299",
        "hQVDUFYwMW!!!!",
        "]",
        "]Q",
        "]~1x",
        "]q1x",
    ] {
        assert_eq!(text(code.as_bytes()), code);
    }
}

#[test]
fn wrong_identifiers() {
    assert_eq!(read(b"]Q1").unwrap_err(), CodeFault::Empty);
    let required = |bytes| code::read(bytes, AimPolicy::Required, Charset::Utf8);
    for bytes in [&b"2801234"[..], b"]", b"]Q", b"]a1X", b"]QXX"] {
        assert_eq!(required(bytes).unwrap_err(), CodeFault::Aim(AimFault::NoIdentifier));
    }
    assert_eq!(required(b"]Q12801234").unwrap().text.as_str(), "2801234");
    let off = code::read(b"]Q12801234", AimPolicy::Off, Charset::Utf8).unwrap();
    assert!(off.text.as_str() == "]Q12801234" && off.aim.is_none());
    // A wallet code that claims to be an EAN.
    assert_eq!(read(b"]E0280123456789012345").unwrap_err(), CodeFault::Aim(AimFault::EanForm { digits: 13 }));
    assert_eq!(read(b"]E496385075").unwrap_err(), CodeFault::Aim(AimFault::EanCheck));
    assert_eq!(text(b"]E496385074"), "96385074");
}

#[test]
fn identifiers_say_which_symbol_it_was() {
    for (id, symbology) in [
        (b"]E0", Symbology::Ean13),
        (b"]E4", Symbology::Ean8),
        (b"]C0", Symbology::Code128),
        (b"]C1", Symbology::Gs1128),
        (b"]A0", Symbology::Code39),
        (b"]I1", Symbology::Itf),
        (b"]e0", Symbology::Gs1DataBar),
        (b"]d1", Symbology::DataMatrix),
        (b"]d2", Symbology::Gs1DataMatrix),
        (b"]Q1", Symbology::Qr),
        (b"]Q2", Symbology::Qr),
        (b"]Q3", Symbology::Gs1Qr),
        (b"]L0", Symbology::Pdf417),
        (b"]z0", Symbology::Aztec),
        (b"]X0", Symbology::Other),
    ] {
        let (aim, rest) = aim::split(id).unwrap();
        assert!(rest.is_empty());
        assert_eq!(Symbology::of(aim), Some(symbology), "{aim:?}");
    }
}

#[test]
fn character_set_switches() {
    assert_eq!(text("]Q2\\000026\u{4f60}\\\\\u{597d}".as_bytes()), "\u{4f60}\\\u{597d}");
    assert_eq!(text(b"]Q2\\000029\xc4\xe3\\000026A\\000003\xe4"), "\u{4f60}A\u{e4}");
    assert_eq!(text(b"]Q1\\000026A"), "\\000026A", "only where the identifier says so");
    assert_eq!(read(b"]Q2\\000899A").unwrap_err(), CodeFault::UnknownEci(899));
    for bad in [&b"]Q2A\\"[..], b"]Q2\\00002", b"]Q2\\0000x6A"] {
        assert_eq!(read(bad).unwrap_err(), CodeFault::BadEci);
    }
    assert_eq!(read(b"]Q2\\000026").unwrap_err(), CodeFault::Empty);
    assert_eq!(read(b"]Q2\\000026\xc4\xe3").unwrap_err(), CodeFault::NotText(Charset::Utf8));
}

#[test]
fn gs1_elements_that_are_malformed_name_their_place() {
    let fault = |data: &str| gs1::elements(data.as_bytes()).err();
    assert_eq!(fault(""), Some(Gs1Fault::Empty));
    assert_eq!(fault("0"), Some(Gs1Fault::UnknownAi { at: 0 }));
    assert_eq!(fault("68AB"), Some(Gs1Fault::UnknownAi { at: 0 }));
    assert_eq!(fault("0106901234567893"), Some(Gs1Fault::Check { at: 2 }));
    assert_eq!(fault("01069012345678"), Some(Gs1Fault::Short { at: 2 }));
    assert_eq!(fault("10"), Some(Gs1Fault::Short { at: 2 }));
    assert_eq!(fault("17291331"), Some(Gs1Fault::Date { at: 2 }));
    assert_eq!(fault("17290332"), Some(Gs1Fault::Date { at: 2 }));
    assert_eq!(fault("17290300"), None);
    assert_eq!(fault(&format!("10{}", "A".repeat(91))), Some(Gs1Fault::Long { at: 2 }));
    assert_eq!(fault("10AB\u{e4}"), Some(Gs1Fault::BadCharacter { at: 4 }));
}

#[test]
fn a_string_of_10_mb_costs_one_fault() {
    let found = scan_in(Framing::default(), &vec![b'0'; 10 << 20], 4096);
    assert_eq!(found, [Err(ScanFault::TooLong { max: 7200 })]);
}

#[test]
fn the_limit_is_exact() {
    let framing = |max| Framing { max, ..Framing::default() };
    let line = [vec![b'1'; 64], b"\r".to_vec()].concat();
    assert!(scan_in(framing(64), &line, 7)[0].is_ok());
    assert_eq!(scan_in(framing(63), &line, 7), [Err(ScanFault::TooLong { max: 63 })]);
}

#[test]
fn a_suffix_is_found_behind_a_code_that_was_too_long() {
    let framing = Framing { max: 32, ..suffix(b"END") };
    let found = scan_in(framing, format!("{}EENDOKEND", "1".repeat(100)).as_bytes(), 5);
    assert_eq!(found, [Err(ScanFault::TooLong { max: 32 }), Ok(b"OK".to_vec())]);
}

#[test]
fn a_pause_in_the_stamps_ends_or_gives_up_a_code() {
    for (ends, first) in [(Suffix::Silence, Ok(b"123".to_vec())), (Suffix::Enter, Err(ScanFault::Unfinished))]
    {
        let mut assembler = Assembler::new(Framing { suffix: ends, ..Framing::default() });
        let mut found = Scans::new();
        assembler.push(b"12", Duration::from_secs(9), |scan| found.push(scan.map(<[u8]>::to_vec)));
        // A clock set back is no pause.
        assembler.push(b"3", Duration::from_secs(5), |_| panic!("ended"));
        assembler.push(b"4", Duration::from_secs(10), |scan| found.push(scan.map(<[u8]>::to_vec)));
        assert_eq!(found, [first]);
        assert!(assembler.pending());
    }
}

#[test]
fn dedupe_knows_only_the_last_code_and_forgets_it_in_time() {
    let at = Duration::from_millis;
    let mut dedupe = Dedupe::new(at(1500));
    assert!(dedupe.is_new(b"A", at(0)));
    assert!(!dedupe.is_new(b"A", at(1000)));
    assert!(!dedupe.is_new(b"A", at(2400)), "as long as it stays before the scanner");
    assert!(dedupe.is_new(b"B", at(2500)));
    assert!(dedupe.is_new(b"A", at(2600)));
    assert!(dedupe.is_new(b"A", at(4100)));
    let mut off = Dedupe::new(Duration::ZERO);
    assert!(off.is_new(b"A", at(0)) && off.is_new(b"A", at(0)));
}

fn any_suffix() -> impl Strategy<Value = Suffix> {
    prop_oneof![
        Just(Suffix::Enter),
        Just(Suffix::Silence),
        proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(3)], 1..4)
            .prop_map(Suffix::Bytes),
    ]
}

proptest! {
    #[test]
    fn however_the_reads_fall_the_scans_are_the_same(
        bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(3u8), any::<u8>()], 0..200),
        suffix in any_suffix(), prefix in proptest::collection::vec(Just(2u8), 0..2), chunk in 1usize..20, max in 8usize..64,
    ) {
        let framing = Framing { suffix, prefix, max, ..Framing::default() };
        let whole = scan_in(framing.clone(), &bytes, usize::MAX);
        prop_assert_eq!(&scan_in(framing, &bytes, chunk), &whole);
        for scan in whole.iter().flatten() {
            prop_assert!(!scan.is_empty() && scan.len() <= max);
            prop_assert!(bytes.windows(scan.len()).any(|part| part == scan.as_slice()));
        }
    }

    #[test]
    fn every_code_sent_is_the_code_read(codes in proptest::collection::vec("[!-~]{1,40}", 1..8), chunk in 1usize..20) {
        let sent: Vec<u8> = codes.iter().flat_map(|c| [c.as_bytes(), b"\r\n"].concat()).collect();
        let found: Vec<String> =
            scan_in(Framing::default(), &sent, chunk).into_iter().map(|s| String::from_utf8(s.unwrap()).unwrap()).collect();
        prop_assert_eq!(found, codes);
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for charset in [Charset::Utf8, Charset::Gb18030, Charset::Latin1] {
            for policy in [AimPolicy::Auto, AimPolicy::Required, AimPolicy::Off] {
                let _ = code::read(&bytes, policy, charset);
            }
        }
        let _ = aim::identify(&bytes);
        if let Ok(elements) = gs1::elements(&bytes) {
            let parts: usize = elements.iter().map(|e| e.ai.len() + e.value.len()).sum();
            prop_assert!(parts <= bytes.len());
        }
    }

    #[test]
    fn gs1_elements_read_back_what_was_written(lot in "[A-Z0-9]{1,20}", serial in "[A-Z0-9]{1,20}", gtin in "[0-9]{13}") {
        let check = (0..10).map(|d| format!("{gtin}{d}")).find(|g| gs1::check_digit_ok(g.as_bytes())).unwrap();
        let data = format!("01{check}10{lot}\u{1d}21{serial}");
        let found = gs1::elements(data.as_bytes()).unwrap();
        let pairs: Vec<(&[u8], &[u8])> = found.iter().map(|e| (e.ai, e.value)).collect();
        let wanted: Vec<(&[u8], &[u8])> =
            vec![(b"01", check.as_bytes()), (b"10", lot.as_bytes()), (b"21", serial.as_bytes())];
        prop_assert_eq!(pairs, wanted);
    }
}
