//! Lines that come from a plugin are cleaned before anyone sees them: an author's mistake must not put a card number
//! or a payment code into the system's log.

/// Shortest run of digits that is masked. Twelve digits are a retrieval reference number, which support needs; account
/// numbers of bank cards begin at thirteen in practice.
const MASK_FROM: usize = 13;

/// Longest line that is kept, bytes.
pub(crate) const MAX_LINE: usize = 200;

/// One clean line of at most `max` bytes: control characters become spaces, and runs of 13 or more digits (single spaces,
/// dashes or `=` between them do not end a run) keep their first two and last four.
pub fn redact(line: &str, max: usize) -> String {
    let mut out = String::with_capacity(line.len().min(max));
    let mut run = String::new();
    let mut digits = 0;
    for c in line.chars() {
        // First of all: digits with tabs or line ends between them are as good a number as with the blanks that they become.
        let c = if c.is_control() { ' ' } else { c };
        if c.is_ascii_digit() {
            digits += 1;
            run.push(c);
        } else if digits > 0 && matches!(c, ' ' | '-' | '=') && run.ends_with(|l: char| l.is_ascii_digit()) {
            run.push(c);
        } else {
            flush(&mut out, &mut run, &mut digits);
            out.push(c);
        }
    }
    flush(&mut out, &mut run, &mut digits);
    if out.len() > max {
        let mut end = max.saturating_sub('…'.len_utf8());
        while !out.is_char_boundary(end) {
            end -= 1;
        }
        out.truncate(end);
        out.push('…');
    }
    out
}

fn flush(out: &mut String, run: &mut String, digits: &mut usize) {
    if *digits < MASK_FROM {
        out.push_str(run);
    } else {
        let mut seen = 0;
        for c in run.chars() {
            if c.is_ascii_digit() {
                seen += 1;
                out.push(if seen <= 2 || seen + 4 > *digits { c } else { '*' });
            } else {
                out.push(c);
            }
        }
    }
    run.clear();
    *digits = 0;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn card_numbers_and_codes_are_masked_however_they_are_grouped() {
        assert_eq!(redact("pan 6200000000000005 declined", 200), "pan 62**********0005 declined");
        assert_eq!(redact("4111 1111 1111 1111", 200), "41** **** **** 1111");
        assert_eq!(redact("code=280123456789012345", 200), "code=28************2345");
        assert!(!redact(";6200000000000005=30122010000012345?", 200).contains("3012"));
        assert_eq!(redact("6200\t0000\n0000\r0005", 200), "62** **** **** 0005");
    }

    #[test]
    fn what_support_needs_stays() {
        assert_eq!(redact("rrn 123456789012 stan 000123", 200), "rrn 123456789012 stan 000123");
        assert_eq!(redact("a\x1b[31mred\nline", 200), "a [31mred line");
    }

    proptest! {
        #[test]
        fn no_long_run_of_digits_survives(line in "[0-9 =\\-a-z]{0,300}") {
            let out = redact(&line, 400);
            let longest = out.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0);
            prop_assert!(longest < MASK_FROM, "{out}");
        }
        #[test]
        fn a_line_is_never_longer_than_asked(line in ".{0,300}") {
            prop_assert!(redact(&line, 50).len() <= 50);
        }
    }
}
