//! Any line that a plugin logs: no number of an account's length stays, and it is one line that is not too long.
#![cfg_attr(feature = "libfuzzer", no_main)]

use till_hosts::redact;

const MOST: usize = 200;

pub(crate) fn run(data: &[u8]) {
    let line = redact(&String::from_utf8_lossy(data), MOST);
    assert!(line.len() <= MOST);
    assert!(!line.chars().any(char::is_control));
    // However it is grouped: single blanks, dashes and equal signs between digits do not hide a number.
    let mut digits = 0;
    let mut gap = false;
    for c in line.chars() {
        match c {
            '0'..='9' => (digits, gap) = (digits + 1, false),
            ' ' | '-' | '=' if digits > 0 && !gap => gap = true,
            _ => (digits, gap) = (0, false),
        }
        assert!(digits < 13, "a number stays");
    }
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
