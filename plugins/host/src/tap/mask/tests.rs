use super::*;
use proptest::prelude::*;

const PAN: &[u8] = b"6200000000000005";

/// What somebody who reads the recording sees; masked bytes are nothing.
fn shown(runs: &[Run]) -> Vec<u8> {
    runs.iter().filter_map(|r| if let Run::Known(b) = r { Some(b.clone()) } else { None }).flatten().collect()
}

fn length(runs: &[Run]) -> usize {
    runs.iter().map(Run::len).sum()
}

/// Masks in pieces cut at these places.
fn in_pieces(masking: Masking, bytes: &[u8], cuts: &[usize]) -> Vec<Run> {
    let mut masker = Masker::new(masking, 0);
    let mut cuts: Vec<usize> = cuts.iter().map(|c| c % (bytes.len() + 1)).chain([0, bytes.len()]).collect();
    cuts.sort_unstable();
    cuts.windows(2).filter(|w| w[0] < w[1]).flat_map(|w| masker.mask(&bytes[w[0]..w[1]])).collect()
}

fn digits_in(bytes: &[u8]) -> usize {
    bytes.iter().filter(|b| b.is_ascii_digit()).count()
}

#[test]
fn a_printers_bytes_are_kept_but_for_long_numbers() {
    let runs = Masker::new(Masking::Digits, 0)
        .mask(b"\x1b@TOTAL 128.50\nREF 123456789012\nCARD 4111 1111 1111 1111\n");
    let text = String::from_utf8(shown(&runs)).unwrap();
    assert_eq!(text, "\x1b@TOTAL 128.50\nREF 123456789012\nCARD    \n");
}

#[test]
fn a_track_keeps_its_shape_and_nothing_else() {
    let runs = Masker::new(Masking::Text, 0).mask(b";6200000000000005=30121010?\r\n");
    assert_eq!(
        runs,
        [
            Run::Known(b";".to_vec()),
            Run::Masked(16),
            Run::Known(b"=".to_vec()),
            Run::Masked(8),
            Run::Known(b"?\r\n".to_vec())
        ]
    );
}

#[test]
fn from_the_first_byte_that_is_no_text_on_only_lengths_are_kept() {
    let mut masker = Masker::new(Masking::Text, 0);
    assert_eq!(masker.mask(b"ab\r"), [Run::Masked(2), Run::Known(b"\r".to_vec())]);
    assert_eq!(masker.mask(b"\xff\r"), [Run::Masked(2)]);
    assert_eq!(masker.mask(b"ab\r"), [Run::Masked(3)]);
}

fn event(kind: u16, code: u16, value: i32) -> Vec<u8> {
    let mut bytes = vec![7; 2 * size_of::<usize>()];
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&code.to_ne_bytes());
    bytes.extend_from_slice(&value.to_ne_bytes());
    bytes
}

/// Key codes of a US keyboard: the key, and whether Shift is held.
fn key(c: u8) -> (u16, bool) {
    match c {
        b'1'..=b'9' => (u16::from(c - b'1') + 2, false),
        b'0' => (11, false),
        b';' => (39, false),
        b'=' => (13, false),
        b'?' => (53, true),
        b'A'..=b'Z' => (30 + u16::from(c - b'A') % 9, true),
        _ => (28, false),
    }
}

fn typed(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (code, shift) in text.iter().map(|c| key(*c)) {
        if shift {
            bytes.extend(event(1, 42, 1));
        }
        for value in [1, 0] {
            bytes.extend(event(4, 4, 0x7_0000 + i32::from(code)));
            bytes.extend(event(1, code, value));
            bytes.extend(event(0, 0, 0));
        }
        if shift {
            bytes.extend(event(1, 42, 0));
        }
    }
    bytes
}

/// Presses in a stream of events: codes, with Shift as 100 more.
fn presses(bytes: &[u8]) -> Vec<u16> {
    let mut shift = 0;
    let mut all = Vec::new();
    for e in bytes.chunks_exact(2 * size_of::<usize>() + 8) {
        let at = 2 * size_of::<usize>();
        let code = u16::from_ne_bytes([e[at + 2], e[at + 3]]);
        match (u16::from_ne_bytes([e[at], e[at + 1]]), code, e[at + 4]) {
            (1, 42, down) => shift = u16::from(down) * 100,
            (1, code, 1) => all.push(code + shift),
            _ => {}
        }
    }
    all
}

#[test]
fn keys_keep_their_shape_and_any_two_cards_give_the_same_bytes() {
    let kept = |text: &[u8]| shown(&in_pieces(Masking::Keys, &typed(text), &[]));
    let one = kept(b";6200000000000005=3012?\r");
    assert_eq!(one, kept(b";4111111111111111=2905?\r"));
    let mut expected = vec![39];
    expected.extend([11; 16]);
    expected.push(13);
    expected.extend([11; 4]);
    expected.extend([153, 28]);
    assert_eq!(presses(&one), expected);
    assert_eq!(kept(b"AB12"), kept(b"3C4D"), "capitals tell something of a code");
}

#[test]
fn a_recording_that_begins_within_an_event_finds_the_next_one() {
    let bytes = typed(b"62?");
    let whole = 2 * size_of::<usize>() + 8;
    let mut masker = Masker::new(Masking::Keys, whole + 5);
    let runs = masker.mask(&bytes[whole + 5..]);
    assert_eq!(runs[0], Run::Masked(u32::try_from(whole - 5).unwrap()));
    assert_eq!(presses(&shown(&runs)), [11, 153], "the press of the first key is lost, its release is not");
}

proptest! {
    #[test]
    fn no_number_of_a_card_survives_whatever_the_pieces(before in "[ -~]{0,20}", after in "[ -~]{0,20}", cuts in proptest::collection::vec(any::<usize>(), 0..6)) {
        let bytes = [before.as_bytes(), PAN, after.as_bytes()].concat();
        for masking in [Masking::Text, Masking::Digits] {
            let out = in_pieces(masking, &bytes, &cuts);
            prop_assert_eq!(length(&out), bytes.len());
            let shown = shown(&out);
            // What is shown holds no digit of the card: at most the short numbers around it.
            let around = digits_in(before.as_bytes()) + digits_in(after.as_bytes());
            prop_assert!(digits_in(&shown) <= around);
            prop_assert!(!shown.windows(4).any(|w| w == b"0000" && around < 4));
        }
    }

    #[test]
    fn packed_digits_show_nothing_as_text(pan in proptest::collection::vec(0_u8..100, 8), cuts in proptest::collection::vec(any::<usize>(), 0..4)) {
        let packed: Vec<u8> = pan.iter().map(|p| (p / 10) << 4 | (p % 10)).collect();
        let out = in_pieces(Masking::Text, &packed, &cuts);
        prop_assert!(shown(&out).is_empty(), "{out:?}");
    }

    #[test]
    fn keys_show_the_same_however_they_come(text in "[0-9A-Z;=?]{0,12}", cuts in proptest::collection::vec(any::<usize>(), 0..8)) {
        let bytes = typed(text.as_bytes());
        let whole = shown(&in_pieces(Masking::Keys, &bytes, &[]));
        prop_assert_eq!(&whole, &shown(&in_pieces(Masking::Keys, &bytes, &cuts)));
        let zeros = text.bytes().map(|c| if c.is_ascii_alphanumeric() { b'0' } else { c }).collect::<Vec<_>>();
        prop_assert_eq!(presses(&whole), presses(&shown(&in_pieces(Masking::Keys, &typed(&zeros), &[]))));
    }
}
