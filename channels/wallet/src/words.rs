//! Words of a gateway, made fit for an operator's screen and a log; and the forms of our own numbers.

/// Longest text taken over from the gateway, in characters.
const LONGEST: usize = 120;

/// Shortest run of digits that is hidden. A payment code has 16 to 24; a host that repeats one in its message
/// must not get it into a log that way (C21).
const HIDDEN_FROM: usize = 12;

/// The gateway's text without control characters, cut to a sensible length, with long numbers reduced to their first two and
/// last four digits. Spaces, points and hyphens inside a number do not hide it from this.
pub fn tame(text: &str) -> String {
    let mut out = String::new();
    let mut run: Vec<char> = Vec::new();
    for c in text.chars().filter(|c| !is_invisible(*c)).take(LONGEST) {
        let inside = !run.is_empty() && matches!(c, ' ' | '-' | '.' | '_');
        if c.is_numeric() || inside {
            run.push(c);
        } else {
            flush(&mut run, &mut out);
            out.push(c);
        }
    }
    flush(&mut run, &mut out);
    out.truncate(out.trim_end().len());
    out
}

fn flush(run: &mut Vec<char>, out: &mut String) {
    let digits: Vec<char> = run.iter().copied().filter(|c| c.is_numeric()).collect();
    if digits.len() < HIDDEN_FROM {
        out.extend(run.iter());
    } else {
        out.extend(&digits[..2]);
        out.push('…');
        out.extend(&digits[digits.len() - 4..]);
        out.extend(run.iter().rev().take_while(|c| !c.is_numeric()).last().map(|_| ' '));
    }
    run.clear();
}

/// Controls, and the format characters that can reorder or hide what follows.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A merchant's own number as the wallets take it.
pub fn is_id(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Letters and digits, 8 to 32: the order number every wallet accepts (channels §0.3).
pub fn is_order_number(text: &str) -> bool {
    (8..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_payment_code_repeated_by_the_host_does_not_get_through() {
        assert_eq!(tame("支付授权码无效：280000000000000001。"), "支付授权码无效：28…0001。");
        assert_eq!(tame("code 2800 0000-0000.000001 bad"), "code 28…0001 bad");
        assert_eq!(tame("a\u{7}b\u{202e}c\r\n"), "abc");
        assert_eq!(tame("余额不足 (40004) 10.00"), "余额不足 (40004) 10.00");
    }

    proptest! {
        #[test]
        fn no_code_of_any_length_survives(before in "\\PC{0,20}", code in "(2[5-9]|30)[0-9]{14,22}", after in "\\PC{0,20}") {
            let shown = tame(&format!("{before}{code}{after}"));
            prop_assert!(!shown.contains(&code));
        }

        #[test]
        fn any_text_stays_short_and_printable(text in ".{0,400}") {
            let out = tame(&text);
            prop_assert!(out.chars().count() <= LONGEST + 2 && !out.chars().any(char::is_control));
        }
    }
}
