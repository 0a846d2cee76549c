//! Track text and raw bits that a reader may give: what must be a card, and what must never be one.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

use proptest::prelude::*;
use till_driver_magstripe::bits;
use till_driver_magstripe::card::{Card, CardFault};
use till_driver_magstripe::track::{Track, TrackFault, luhn, parse_track2};

const T1: &str = "%B6200000000000005^ZHANG/SAN^30122010000000000000?";
const T2: &str = ";6200000000000005=30122010000000000?";
const T3: &str =
    "+996200000000000005=1560000000000000000003000000114000012120=000000000000=000000000000=00000000?";
const OTHER_T2: &str = ";4111111111111111=30122010000000000?";

fn fault(text: &str) -> CardFault {
    Card::read(text, true).err().unwrap_or_else(|| panic!("taken as a card"))
}

fn two(fault: TrackFault) -> CardFault {
    CardFault::Track { track: Track::Two, fault }
}

#[test]
fn all_three_tracks_make_one_card() {
    let card = Card::read(&[T1, T2, T3].concat(), true).unwrap();
    assert!(card.pan() == "6200000000000005" && card.one.is_some() && card.three.is_some());
    assert_eq!(card.masked(), "620000******0005");
    assert_eq!(card.expiry(), Some("3012"));
    assert_eq!(card.service_code(), Some("201"));
    assert!(card.chip_on_card() && card.luhn());
    assert_eq!(card.one.as_ref().unwrap().name(), Some("ZHANG/SAN"));
}

#[test]
fn track_three_may_start_like_track_two() {
    let card = Card::read(&[T1, T2, &T3.replace('+', ";")].concat(), true).unwrap();
    assert!(card.three.is_some());
}

#[test]
fn nothing_of_a_card_shows_in_debug_or_errors() {
    let card = Card::read(&[T1, T2, T3].concat(), true).unwrap();
    let faults = [
        ";620000000000000x=30122010000000000?",
        ";6200000000000005=3012201",
        ";62000000000000052345=30122010?",
    ]
    .map(|bad| format!("{} {:?}", fault(bad), fault(bad)));
    let shown = format!("{card:?} {:?} {:?} {}", card.one, card.two, faults.join(" "));
    for secret in ["6200000000000005", "620000000000000", "30122010", "ZHANG"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn truncated_track() {
    for cut in 1..T2.len() {
        let text = &T2[..cut];
        assert_eq!(fault(text), two(TrackFault::Truncated), "{cut} characters");
    }
    // Cut in the middle with the end sentinel in place.
    for text in [";6200000000000005?", ";6200000000000005=301?", ";6200000000000005=301220?", ";62000?"] {
        assert_eq!(fault(text), two(TrackFault::Truncated));
    }
}

#[test]
fn missing_start_sentinel_is_no_track() {
    assert_eq!(fault(&T2[1..]), CardFault::NoTrack);
    assert_eq!(fault(""), CardFault::NoTrack);
    assert_eq!(fault("hello"), CardFault::NoTrack);
}

#[test]
fn readers_error_marks() {
    assert_eq!(fault(";E?"), two(TrackFault::ReaderMark));
    assert_eq!(fault("%E?;E?+E?"), two(TrackFault::ReaderMark));
    assert_eq!(fault(&[T1, ";E?", T3].concat()), two(TrackFault::ReaderMark));
    let card = Card::read(&["%E?", T2, "+E?"].concat(), true).unwrap();
    assert!(card.one.is_none() && card.two.is_some() && card.three.is_none());
    assert_eq!(fault("%E?"), CardFault::Track { track: Track::One, fault: TrackFault::ReaderMark });
}

#[test]
fn letter_in_track_two() {
    assert_eq!(fault(";62000000000A0005=30122010000000000?"), two(TrackFault::BadCharacter { at: 12 }));
    assert_eq!(fault(";6200000000000005=3012A010000000000?"), two(TrackFault::BadCharacter { at: 22 }));
    assert_eq!(fault(";6200000000000005=3=122010000000000?"), two(TrackFault::BadCharacter { at: 19 }));
}

#[test]
fn lower_case_in_track_one_costs_track_one_only() {
    let card = Card::read(&[&T1.replace("ZHANG", "Zhang"), T2].concat(), true).unwrap();
    assert!(card.one.is_none() && card.two.is_some());
}

#[test]
fn expiry_month_13_and_00_are_no_expiry_and_change_nothing() {
    for yymm in ["2913", "2900", "0000"] {
        let text = T2.replace("3012", yymm);
        let card = Card::read(&text, true).unwrap();
        let track = card.two.as_ref().unwrap();
        assert!(!track.expiry_valid());
        assert_eq!(card.expiry(), None);
        assert_eq!(track.expiry(), Some(yymm));
        assert!(track.text() == text.trim_matches([';', '?']));
    }
}

#[test]
fn account_numbers_of_12_to_19_digits_pass_and_others_do_not() {
    for digits in [1usize, 11, 12, 13, 16, 18, 19, 20] {
        let pan = "6200000000000000000000".split_at(digits).0.to_owned();
        match parse_track2(&format!(";{pan}=30122010?")) {
            Ok(track) => assert!((12..=19).contains(&digits) && track.pan() == pan),
            Err(fault) => assert_eq!(fault, TrackFault::PanLength { digits }),
        }
    }
}

#[test]
fn a_wrong_luhn_digit_is_reported_and_never_mended() {
    let card = Card::read(&T2.replace("0005", "0006"), true).unwrap();
    assert!(!card.luhn());
    assert!(card.pan() == "6200000000000006");
    assert!(luhn("4111111111111111") && luhn("5555555555554444") && !luhn("") && !luhn("411111111111111x"));
}

#[test]
fn expiry_and_service_code_may_be_left_out() {
    let track = |text| parse_track2(text).unwrap();
    let none = track(";6200000000000005===123?");
    assert_eq!((none.expiry(), none.service_code(), none.discretionary()), (None, None, "123"));
    let expiry = track(";6200000000000005=3012=123?");
    assert_eq!((expiry.expiry(), expiry.service_code(), expiry.discretionary()), (Some("3012"), None, "123"));
    let service = track(";6200000000000005==201123?");
    assert_eq!(
        (service.expiry(), service.service_code(), service.discretionary()),
        (None, Some("201"), "123")
    );
    let card = Card::read("%B6200000000000005^ZHANG/SAN^^^123?;6200000000000005===?", true).unwrap();
    assert_eq!((card.expiry(), card.service_code(), card.chip_on_card()), (None, None, false));
    assert_eq!(card.one.unwrap().discretionary(), "123");
}

#[test]
fn format_code_a_is_no_payment_card() {
    let text = T1.replace("%B", "%A");
    assert_eq!(fault(&text), CardFault::Track { track: Track::One, fault: TrackFault::Format });
    let licence = "%CAEXAMPLE^DOE$JOHN^1 STREET?";
    assert!(Card::read(licence, false).is_err());
}

#[test]
fn tracks_of_different_cards_are_no_card() {
    assert_eq!(fault(&[T1, OTHER_T2].concat()), CardFault::TwoCards);
}

#[test]
fn a_track_that_comes_twice_in_one_swipe_is_no_card() {
    for text in [[T2, T2].concat(), [T2, OTHER_T2].concat(), [T1, T2, T1, T2].concat(), [T2, T2, T2].concat()]
    {
        let fault = fault(&text);
        assert!(matches!(fault, CardFault::Track { fault: TrackFault::Doubled, .. }), "{fault:?}");
    }
    assert_eq!(
        fault(&[T1, T1, T2].concat()),
        CardFault::Track { track: Track::One, fault: TrackFault::Doubled }
    );
}

#[test]
fn a_half_swipe_and_then_a_full_one_is_the_full_one() {
    for half in [";411111", "%B4111111111111111^SMI", "%B4111111111111111^SMITH^30122010?;4111"] {
        let text = [half, T1, T2].concat();
        match Card::read(&text, true) {
            Ok(card) => assert!(card.pan() == "6200000000000005"),
            // A whole track 1 of the first try makes two cards of it.
            Err(fault) => assert!(matches!(
                fault,
                CardFault::TwoCards | CardFault::Track { track: Track::One, fault: TrackFault::Doubled }
            )),
        }
    }
    assert!(Card::read(&[";411111", T2].concat(), true).unwrap().pan() == "6200000000000005");
}

#[test]
fn over_long_tracks() {
    let long = format!(";6200000000000005={}?", "1".repeat(60));
    assert_eq!(fault(&long), two(TrackFault::TooLong { length: long.len(), max: 39 }));
    let endless = format!(";6200000000000005={}", "1".repeat(60));
    assert!(matches!(fault(&endless), CardFault::Track { fault: TrackFault::TooLong { .. }, .. }));
    let exact = format!(";6200000000000005=3012201{}?", "1".repeat(13));
    assert!(exact.len() == 39 && Card::read(&exact, true).is_ok());
    let name = format!("%B6200000000000005^{}^3012201?", "A".repeat(27));
    assert_eq!(fault(&name), CardFault::Track { track: Track::One, fault: TrackFault::NameLength });
}

#[test]
fn track_one_alone_only_where_the_settings_say_so() {
    assert_eq!(fault(T1), CardFault::Missing);
    assert_eq!(fault(&[T1, ";E?"].concat()), two(TrackFault::ReaderMark));
    let card = Card::read(&[T1, ";E?"].concat(), false).unwrap();
    assert!(card.pan() == "6200000000000005" && card.two.is_none());
}

// --- raw bits ---------------------------------------------------------------------------------------------------------

/// ISO/IEC 7811-2, written a second time from the table of the standard: low bit first, odd parity, LRC of data bits.
fn encode(text: &str, data_bits: u32, base: u8) -> Vec<bool> {
    let mut out = vec![false; 20];
    let mut lrc = 0;
    let mut put = |data: u8| {
        let mut ones = 0;
        for place in 0..data_bits {
            let bit = data >> place & 1 == 1;
            ones += u32::from(bit);
            out.push(bit);
        }
        out.push(ones % 2 == 0);
    };
    for byte in text.bytes() {
        lrc ^= byte - base;
        put(byte - base);
    }
    put(lrc);
    out.extend([false; 20]);
    out
}

fn bits_of_t2() -> Vec<bool> {
    encode(T2, 4, 0x30)
}

#[test]
fn swipe_backwards_reads_the_same() {
    let mut bits = bits_of_t2();
    bits.reverse();
    let found = bits::decode(&bits, Track::Two).unwrap();
    assert!(found.backwards && *found.text == T2);
}

#[test]
fn bad_lrc() {
    let mut bits = bits_of_t2();
    // Two bits of the LRC character: its own parity still holds.
    let lrc = 20 + T2.len() * 5;
    bits[lrc] ^= true;
    bits[lrc + 1] ^= true;
    assert_eq!(bits::decode(&bits, Track::Two).err(), Some(TrackFault::Lrc));
}

#[test]
fn bad_parity_in_any_column() {
    for at in 1..T2.len() - 1 {
        for column in 0..5 {
            let mut bits = bits_of_t2();
            bits[20 + at * 5 + column] ^= true;
            assert_eq!(
                bits::decode(&bits, Track::Two).err(),
                Some(TrackFault::Parity { at }),
                "{at}/{column}"
            );
        }
    }
}

#[test]
fn two_errors_that_cancel_in_one_characters_parity_fail_the_lrc() {
    // In the account number, away from what would make a sentinel of a digit.
    let mut bits = bits_of_t2();
    let at = 20 + 3 * 5;
    bits[at] ^= true;
    bits[at + 1] ^= true;
    assert_eq!(bits::decode(&bits, Track::Two).err(), Some(TrackFault::Lrc));
}

#[test]
fn two_errors_that_cancel_in_the_lrc_fail_parity() {
    let mut bits = bits_of_t2();
    bits[20 + 3 * 5] ^= true;
    bits[20 + 7 * 5] ^= true;
    assert_eq!(bits::decode(&bits, Track::Two).err(), Some(TrackFault::Parity { at: 3 }));
}

#[test]
fn bits_without_sentinels_and_endless_bits_end() {
    assert_eq!(bits::decode(&[], Track::Two).err(), Some(TrackFault::Truncated));
    assert_eq!(bits::decode(&[false; 500], Track::One).err(), Some(TrackFault::Truncated));
    assert!(bits::decode(&[true; 500], Track::Two).is_err());
    assert!(bits::decode(&vec![false; 1 << 20], Track::Two).is_err());
    let cut = bits_of_t2();
    for length in 20..20 + T2.len() * 5 + 4 {
        assert!(bits::decode(&cut[..length], Track::Two).is_err(), "{length} bits");
    }
}

proptest! {
    #[test]
    fn any_text_is_survived_and_a_card_only_comes_from_a_whole_track(text in "[%;+?=^EB0-9 A/]{0,160}") {
        if let Ok(card) = Card::read(&text, true) {
            let two = card.two.as_ref().unwrap();
            let whole = format!(";{}?", two.text());
            prop_assert!(text.contains(&whole));
            prop_assert!((12..=19).contains(&card.pan().len()));
        }
        let _ = Card::read(&text, false);
    }

    #[test]
    fn any_unicode_is_survived(text in "\\PC{0,80}") {
        let _ = Card::read(&text, false);
    }

    #[test]
    fn track_two_reads_back_what_was_written(pan in "[0-9]{12,19}", yymm in "[0-9]{2}(0[1-9]|1[0-2])", service in "[0-9]{3}", rest in "[0-9]{0,10}") {
        let text = format!(";{pan}={yymm}{service}{rest}?");
        let card = Card::read(&text, true).unwrap();
        prop_assert!(card.pan() == pan);
        prop_assert_eq!(card.expiry(), Some(yymm.as_str()));
        prop_assert_eq!(card.service_code(), Some(service.as_str()));
        prop_assert!(card.two.as_ref().unwrap().discretionary() == rest);
        // A masked number never shows more than ten digits.
        prop_assert!(card.masked().bytes().filter(u8::is_ascii_digit).count() <= 10);
    }

    #[test]
    fn bits_read_back_both_ways(text in "[A-Z0-9 ^/]{1,76}", digits in "[0-9=]{1,37}", backwards: bool) {
        for (text, track, data_bits, base) in
            [(format!("%{text}?"), Track::One, 6, 0x20), (format!(";{digits}?"), Track::Two, 4, 0x30)]
        {
            let mut bits = encode(&text, data_bits, base);
            if backwards {
                bits.reverse();
            }
            // Read the other way, a track may by chance be a track as well; then either is right by the standard.
            if let Ok(found) = bits::decode(&bits, track) {
                prop_assert!(*found.text == *text || found.backwards != backwards);
            } else {
                prop_assert!(false, "refused");
            }
        }
    }

    #[test]
    fn one_flipped_bit_never_gives_another_track(at in 20usize..20 + 37 * 5) {
        let mut bits = bits_of_t2();
        bits[at] ^= true;
        if let Ok(found) = bits::decode(&bits, Track::Two) {
            prop_assert!(*found.text == T2);
        }
    }
}
