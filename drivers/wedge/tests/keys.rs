//! What a user loses when a wedge is read wrongly, each as a test.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop here

use proptest::prelude::*;
use till_wedge::keymap::key_for;
use till_wedge::{CapsLock, Layout, Symbol, Wedge};

const SHIFT: u16 = 42;
const ALT: u16 = 56;
const CTRL: u16 = 29;
const CAPS: u16 = 58;

/// A player: writes events as the kernel does.
struct Keys {
    bytes: Vec<u8>,
    layout: Layout,
    micros: u64,
}

impl Keys {
    fn new(layout: Layout) -> Self {
        Self { bytes: Vec::new(), layout, micros: 1_000_000 }
    }
    fn raw(&mut self, kind: u16, code: u16, value: i32) -> &mut Self {
        let (s, u) = (self.micros / 1_000_000, self.micros % 1_000_000);
        match self.layout {
            Layout::Bits64 => {
                self.bytes.extend(s.to_ne_bytes());
                self.bytes.extend(u.to_ne_bytes());
            }
            Layout::Bits32 => {
                self.bytes.extend(u32::try_from(s).unwrap().to_ne_bytes());
                self.bytes.extend(u32::try_from(u).unwrap().to_ne_bytes());
            }
        }
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(code.to_ne_bytes());
        self.bytes.extend(value.to_ne_bytes());
        self
    }
    fn key(&mut self, code: u16, value: i32) -> &mut Self {
        self.micros += 1000;
        self.raw(1, code, value).raw(0, 0, 0)
    }
    fn tap(&mut self, code: u16) -> &mut Self {
        self.key(code, 1).key(code, 0)
    }
    fn text(&mut self, text: &str) -> &mut Self {
        for byte in text.bytes() {
            let (code, shift) = key_for(byte).unwrap();
            if shift {
                self.key(SHIFT, 1).tap(code).key(SHIFT, 0);
            } else {
                self.tap(code);
            }
        }
        self
    }
    fn pause(&mut self, millis: u64) -> &mut Self {
        self.micros += millis * 1000;
        self
    }
}

fn show(symbol: Symbol) -> String {
    match symbol {
        Symbol::Byte(byte) => char::from(byte).to_string(),
        Symbol::Enter => "<enter>".into(),
        Symbol::KeypadEnter => "<kpenter>".into(),
        Symbol::Tab => "<tab>".into(),
        Symbol::Undecodable => "<?>".into(),
        Symbol::Dropped => "<dropped>".into(),
    }
}

fn read_with(keys: &Keys, caps: CapsLock, chunk: usize) -> String {
    let mut wedge = Wedge::new(keys.layout, caps);
    let mut out = String::new();
    for part in keys.bytes.chunks(chunk) {
        wedge.push(part, |typed| out.push_str(&show(typed.symbol)));
    }
    out
}

fn read(keys: &Keys) -> String {
    read_with(keys, CapsLock::Ignore, usize::MAX)
}

#[test]
fn events_split_at_any_byte_type_the_same() {
    for layout in [Layout::Bits64, Layout::Bits32] {
        let mut keys = Keys::new(layout);
        keys.text(";4111111111111111=30122010000?\r");
        for chunk in 1..=layout.size() + 1 {
            assert_eq!(read_with(&keys, CapsLock::Ignore, chunk), ";4111111111111111=30122010000?<enter>");
        }
    }
}

#[test]
fn the_kernels_autorepeat_types_nothing() {
    let mut keys = Keys::new(Layout::Bits64);
    keys.key(2, 1).key(2, 2).key(2, 2).key(2, 0);
    assert_eq!(read(&keys), "1");
}

#[test]
fn equal_neighbours_without_a_release_between_are_two() {
    let mut keys = Keys::new(Layout::Bits64);
    keys.key(2, 1).key(2, 1).key(2, 0);
    assert_eq!(read(&keys), "11");
}

#[test]
fn a_lost_key_up_of_shift_ends_with_the_swipe_it_belongs_to() {
    let mut keys = Keys::new(Layout::Bits64);
    keys.key(SHIFT, 1).tap(2).pause(1000).tap(2);
    assert_eq!(read(&keys), "!1");
}

#[test]
fn a_shift_held_before_the_first_read_and_released_later_is_harmless() {
    let mut keys = Keys::new(Layout::Bits64);
    keys.key(SHIFT, 0).tap(2);
    assert_eq!(read(&keys), "1");
}

#[test]
fn two_shifts_held_and_one_released_is_still_shifted() {
    let mut keys = Keys::new(Layout::Bits64);
    keys.key(SHIFT, 1).key(54, 1).key(SHIFT, 0).tap(2).key(54, 0).tap(2);
    assert_eq!(read(&keys), "!1");
}

#[test]
fn dropped_events_void_everything_up_to_the_next_report() {
    let mut keys = Keys::new(Layout::Bits64);
    keys.text("12").key(SHIFT, 1).raw(0, 3, 0).raw(1, 4, 1).raw(0, 0, 0).text("5");
    assert_eq!(read(&keys), "12<dropped>5");
}

#[test]
fn alt_with_keypad_digits_is_a_control_character() {
    let mut keys = Keys::new(Layout::Bits64);
    keys.key(ALT, 1).tap(82).tap(80).tap(73).key(ALT, 0).text("A");
    assert_eq!(read(&keys), "\u{1d}A");
}

#[test]
fn alt_code_out_of_range_or_with_a_letter_is_reported_and_not_guessed() {
    for codes in [[75, 75, 75, 75].as_slice(), &[30], &[79, 30], &[28]] {
        let mut keys = Keys::new(Layout::Bits64);
        keys.key(ALT, 1);
        for code in codes {
            keys.tap(*code);
        }
        keys.key(ALT, 0).text("1");
        assert_eq!(read(&keys), "<?>1", "{codes:?}");
    }
}

#[test]
fn ctrl_types_control_characters_and_reports_what_has_none() {
    let mut keys = Keys::new(Layout::Bits64);
    keys.key(CTRL, 1).tap(27).tap(50).tap(2).key(CTRL, 0).text("1");
    assert_eq!(read(&keys), "\u{1d}\r<?>1");
}

#[test]
fn caps_lock_counts_only_when_told() {
    for lamp in [true, false] {
        let mut keys = Keys::new(Layout::Bits64);
        if lamp {
            keys.raw(0x11, 1, 1);
        } else {
            keys.tap(CAPS);
        }
        keys.text("aB1?");
        assert_eq!(read_with(&keys, CapsLock::Ignore, 7), "aB1?");
        assert_eq!(read_with(&keys, CapsLock::Apply, 7), "Ab1?");
    }
}

#[test]
fn keys_that_type_nothing_are_passed_over() {
    let mut keys = Keys::new(Layout::Bits64);
    for code in [0, 59, 68, 87, 102, 113, 125, 139, 0x110, 0x2ff, 0xffff] {
        keys.tap(code).text("7");
    }
    assert_eq!(read(&keys), "7".repeat(11));
}

proptest! {
    #[test]
    fn any_bytes_at_all_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400), chunk in 1usize..50) {
        for layout in [Layout::Bits64, Layout::Bits32] {
            let mut wedge = Wedge::new(layout, CapsLock::Apply);
            let mut typed = 0;
            for part in bytes.chunks(chunk) {
                wedge.push(part, |_| typed += 1);
            }
            prop_assert!(typed <= bytes.len() / layout.size());
        }
    }

    #[test]
    fn whatever_is_typed_is_read_back(text in "[ -~]{0,120}", chunk in 1usize..100) {
        let mut keys = Keys::new(Layout::Bits64);
        keys.text(&text);
        prop_assert_eq!(read_with(&keys, CapsLock::Ignore, chunk), text);
    }
}
