//! Amounts as they are said in English: one hundred twenty-eight yuan fifty, five fen.

use till_plugin::{Currency, Money};

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] =
    ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const SIZES: [(u64, &str); 6] = [
    (1_000_000_000_000_000_000, "quintillion"),
    (1_000_000_000_000_000, "quadrillion"),
    (1_000_000_000_000, "trillion"),
    (1_000_000_000, "billion"),
    (1_000_000, "million"),
    (1_000, "thousand"),
];

/// A number: `1001` one thousand one, `128` one hundred twenty-eight.
pub fn number(n: u64) -> String {
    if n == 0 {
        return SMALL[0].to_owned();
    }
    let mut parts = Vec::new();
    let mut rest = n;
    for (size, name) in SIZES {
        if rest >= size {
            parts.push(format!("{} {name}", below_thousand(rest / size)));
            rest %= size;
        }
    }
    if rest > 0 {
        parts.push(below_thousand(rest));
    }
    parts.join(" ")
}

fn below_thousand(n: u64) -> String {
    let mut parts = Vec::new();
    if n >= 100 {
        parts.push(format!("{} hundred", word(&SMALL, n / 100)));
    }
    match n % 100 {
        0 => {}
        small @ 1..20 => parts.push(word(&SMALL, small).to_owned()),
        ten if ten % 10 == 0 => parts.push(word(&TENS, ten / 10).to_owned()),
        both => parts.push(format!("{}-{}", word(&TENS, both / 10), word(&SMALL, both % 10))),
    }
    parts.join(" ")
}

fn word(words: &[&'static str], n: u64) -> &'static str {
    usize::try_from(n).ok().and_then(|n| words.get(n)).copied().unwrap_or_default()
}

/// Whole and part of a currency: singular and plural each.
struct Units(&'static str, &'static str, &'static str, &'static str);

/// An amount with the names of its units where they are known, else with the currency's code and a decimal point.
pub fn money(amount: Money) -> String {
    let sign = if amount.minor() < 0 { "minus " } else { "" };
    let minor = amount.minor().unsigned_abs();
    let scale = 10_u64.pow(amount.currency().exponent());
    let (whole, part) = (minor / scale, minor % scale);
    let Some(Units(one, many, small, smalls)) = units(amount.currency()) else {
        let point = if part == 0 {
            String::new()
        } else {
            let width = usize::try_from(amount.currency().exponent()).unwrap_or(0);
            let digits = format!("{part:0width$}");
            let spoken: Vec<&str> = digits
                .trim_end_matches('0')
                .chars()
                .map(|c| word(&SMALL, c.to_digit(10).unwrap_or(0).into()))
                .collect();
            format!(" point {}", spoken.join(" "))
        };
        return format!("{sign}{}{point} {}", number(whole), amount.currency().code());
    };
    let named = |n: u64, one: &str, many: &str| format!("{} {}", number(n), if n == 1 { one } else { many });
    let text = match (whole, part) {
        (whole, 0) => named(whole, one, many),
        (0, part) => named(part, small, smalls),
        (whole, part) => format!("{} and {}", named(whole, one, many), named(part, small, smalls)),
    };
    format!("{sign}{text}")
}

fn units(currency: Currency) -> Option<Units> {
    Some(match currency.code() {
        "CNY" => Units("yuan", "yuan", "fen", "fen"),
        "USD" => Units("dollar", "dollars", "cent", "cents"),
        "EUR" => Units("euro", "euros", "cent", "cents"),
        "HKD" => Units("Hong Kong dollar", "Hong Kong dollars", "cent", "cents"),
        "JPY" => Units("yen", "yen", "", ""),
        "GBP" => Units("pound", "pounds", "penny", "pence"),
        _ => return None,
    })
}
