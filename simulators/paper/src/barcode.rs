//! Bar codes as module patterns: CODE128 (ISO/IEC 15417), EAN-13, EAN-8 and UPC-A (ISO/IEC 15420).

/// Widths of bars and spaces of each CODE128 value; 103 to 105 start sets A to C, 106 stops.
const CODE128: &str = "212222222122222221121223121322131222122213122312132212221213221312231212112232122132122231113222\
123122123221223211221132221231213212223112312131311222321122321221312212322112322211212123212321232121111323131123\
131321112313132113132311211313231113231311112133112331132131113123113321133121313121211331231131213113213311213131\
311123311321331121312113312311332111314111221411431111111224111422121124121421141122141221112214112412122114122411\
142112142211241211221114413111241112134111111242121142121241114212124112124211411212421112421211212141214121412121\
111143111341131141114113114311411113411311113141114131311141411131211412211214211232";
const STOP: &str = "2331112";

fn pattern128(value: usize) -> &'static str {
    if value == 106 { STOP } else { CODE128.get(value * 6..value * 6 + 6).unwrap_or_default() }
}

fn widths(pattern: &str, out: &mut Vec<bool>) {
    let mut black = true;
    for width in pattern.bytes() {
        out.extend(std::iter::repeat_n(black, usize::from(width - b'0')));
        black = !black;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Set {
    A,
    B,
    C,
}

/// CODE128 as ESC/POS writes it: `{A`, `{B`, `{C` choose the set, `{1` to `{4` are FNC, `{{` is a brace. In set C each
/// byte is a value from 0 to 99. Answers the readable text and the modules; `None` where a byte does not exist in its set.
pub(crate) fn code128(data: &[u8]) -> Option<(String, Vec<bool>)> {
    let mut text = String::new();
    let mut values: Vec<usize> = Vec::new();
    let mut set = None;
    let mut shifted = None;
    let mut bytes = data.iter().copied();
    while let Some(byte) = bytes.next() {
        let current = shifted.take().or(set);
        if byte == b'{' {
            let command = bytes.next()?;
            let to = match command {
                b'A' => Some(Set::A),
                b'B' => Some(Set::B),
                b'C' => Some(Set::C),
                _ => None,
            };
            match (to, set, command) {
                (Some(to), None, _) => values.push(match to {
                    Set::A => 103,
                    Set::B => 104,
                    Set::C => 105,
                }),
                (Some(to), Some(_), _) => values.push(match to {
                    Set::A => 101,
                    Set::B => 100,
                    Set::C => 99,
                }),
                (None, Some(_), b'1') => values.push(102),
                (None, Some(_), b'2') => values.push(97),
                (None, Some(_), b'3') => values.push(96),
                (None, Some(Set::A), b'4') => values.push(101),
                (None, Some(Set::B), b'4') => values.push(100),
                (None, Some(Set::A), b'S') => {
                    values.push(98);
                    shifted = Some(Set::B);
                }
                (None, Some(Set::B), b'S') => {
                    values.push(98);
                    shifted = Some(Set::A);
                }
                (None, Some(Set::B), b'{') => {
                    values.push(usize::from(b'{') - 32);
                    text.push('{');
                }
                _ => return None,
            }
            set = to.or(set);
            continue;
        }
        match current? {
            Set::C => text.extend([char::from(b'0' + byte / 10 % 10), char::from(b'0' + byte % 10)]),
            _ if byte >= 32 => text.push(char::from(byte)),
            _ => text.push(' '),
        }
        values.push(match (current?, byte) {
            (Set::A, 0..=31) => usize::from(byte) + 64,
            (Set::A, 32..=95) | (Set::B, 32..=127) => usize::from(byte) - 32,
            (Set::C, 0..=99) => usize::from(byte),
            _ => return None,
        });
    }
    let first = *values.first()?;
    let sum: usize = first + values.iter().enumerate().skip(1).map(|(at, value)| at * value).sum::<usize>();
    values.extend([sum % 103, 106]);
    let mut out = Vec::new();
    for value in values {
        widths(pattern128(value), &mut out);
    }
    Some((text, out))
}

/// Left-hand odd parity codes of the digits; even parity is their mirror image, right-hand their complement.
const DIGITS: [&str; 10] = ["3211", "2221", "2122", "1411", "1132", "1231", "1114", "1312", "1213", "3112"];
const PARITY: [&str; 10] =
    ["OOOOOO", "OOEOEE", "OOEEOE", "OOEEEO", "OEOOEE", "OEEOOE", "OEEEOO", "OEOEOE", "OEOEEO", "OEEOEO"];

/// The digits with their check digit: 7 or 12 digits get one, 8 or 13 must carry the right one or none is drawn.
pub(crate) fn ean(data: &[u8]) -> Option<(String, Vec<bool>)> {
    let mut digits: Vec<usize> =
        data.iter().map(|b| b.is_ascii_digit().then(|| usize::from(b - b'0'))).collect::<Option<_>>()?;
    let body = match digits.len() {
        7 | 8 => 7,
        12 | 13 => 12,
        _ => return None,
    };
    digits.truncate(body);
    let sum: usize =
        digits.iter().rev().enumerate().map(|(at, d)| if at % 2 == 0 { d * 3 } else { *d }).sum();
    digits.push((10 - sum % 10) % 10);
    let mut out = Vec::new();
    widths("111", &mut out);
    let (parity, left, right) = if body == 12 {
        (*PARITY.get(digits[0])?, digits.get(1..7)?, digits.get(7..)?)
    } else {
        ("OOOO", digits.get(..4)?, digits.get(4..)?)
    };
    for (digit, parity) in left.iter().zip(parity.chars()) {
        let code = DIGITS.get(*digit)?;
        let code: String = if parity == 'O' { (*code).into() } else { code.chars().rev().collect() };
        let mut modules = Vec::new();
        widths(&code, &mut modules);
        // Left-hand digits begin with a space.
        out.extend(modules.into_iter().map(|black| !black));
    }
    out.extend([false, true, false, true, false]);
    for digit in right {
        widths(DIGITS.get(*digit)?, &mut out);
    }
    widths("111", &mut out);
    Some((digits.iter().map(ToString::to_string).collect(), out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn bits(modules: &[bool]) -> String {
        modules.iter().map(|b| if *b { '1' } else { '0' }).collect()
    }

    #[test]
    fn the_code128_table_is_whole() {
        let patterns: HashSet<_> = (0..106).map(pattern128).collect();
        assert_eq!((CODE128.len(), patterns.len()), (106 * 6, 106));
        for pattern in patterns {
            let widths: Vec<u32> = pattern.chars().map(|c| c.to_digit(10).unwrap()).collect();
            assert_eq!(widths.iter().sum::<u32>(), 11, "{pattern}");
            // The standard's own check: bars of a character add up to an even number.
            assert_eq!(widths.iter().step_by(2).sum::<u32>() % 2, 0, "{pattern}");
        }
    }

    #[test]
    fn code128_starts_checks_and_stops() {
        // "A" in set B: start 104, value 33, check (104 + 33) mod 103 = 34.
        let modules = bits(&code128(b"{BA").unwrap().1);
        let expected = ["11010010000", "10100011000", "10001011000", "1100011101011"].concat();
        assert_eq!(modules, expected);
        assert_eq!(code128(b"{BT9{C\x0C\x22").unwrap().0, "T91234", "a byte of set C is two digits");
        assert_eq!(code128(b"A"), None, "no set chosen");
        assert_eq!(code128(b"{C\x64"), None, "100 is no pair of digits");
    }

    #[test]
    fn ean_13_adds_its_check_digit() {
        let (digits, modules) = ean(b"400638133393").unwrap();
        assert_eq!((digits.as_str(), modules.len()), ("4006381333931", 95));
        assert_eq!(bits(&modules[..10]), "1010001101", "guard, then 0 in odd parity");
        assert_eq!(ean(b"5512345").unwrap().0, "55123457");
        assert_eq!(ean(b"12a").map(|(d, _)| d), None);
    }
}
