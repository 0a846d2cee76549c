//! Amounts as they are said in Mandarin: 一百二十八元五角, 一万零一元, 五分.
//!
//! Rules (GB/T 15835 for the number words; spoken money as in bank halls): digits 零一二三四五六七八九, 十百千, sections of
//! four digits 万, 亿, 万亿, 亿亿; one 零 for any run of empty places inside a number; 十 alone at the very beginning, 一十
//! inside. Yuan, jiao and fen each with their unit; 零 between yuan and fen where there is no jiao.

use till_plugin::{Currency, Money};

const DIGITS: [&str; 10] = ["零", "一", "二", "三", "四", "五", "六", "七", "八", "九"];
const PLACES: [&str; 4] = ["", "十", "百", "千"];

/// A number: `10` 十, `1001` 一千零一, `100010000` 一亿零一万.
pub fn number(n: u64) -> String {
    if n == 0 {
        return DIGITS[0].to_owned();
    }
    let mut out = whole(n);
    // At the very beginning 一十 is said 十.
    if out.starts_with("一十") {
        out.drain(..'一'.len_utf8());
    }
    out
}

/// Above 亿 the part over it is a number of its own (一万亿, 九百二十二亿亿), so one rule serves all sizes.
fn whole(n: u64) -> String {
    for (size, name) in [(100_000_000_u64, "亿"), (10_000, "万")] {
        if n >= size {
            let (above, below) = (n / size, n % size);
            let mut out = whole(above);
            out.push_str(name);
            if below > 0 {
                // An empty place between the two: the one below does not fill its section.
                if below < size / 10 {
                    out.push_str(DIGITS[0]);
                }
                out.push_str(&whole(below));
            }
            return out;
        }
    }
    section(n)
}

/// A number below ten thousand, not zero.
fn section(n: u64) -> String {
    let mut out = String::new();
    let mut gap = false;
    for place in (0..4_u32).rev() {
        let digit = n / 10_u64.pow(place) % 10;
        if digit == 0 {
            gap = !out.is_empty();
            continue;
        }
        if gap {
            out.push_str(DIGITS[0]);
            gap = false;
        }
        out.push_str(at(&DIGITS, digit));
        out.push_str(at(&PLACES, place.into()));
    }
    out
}

fn at(words: &[&'static str], n: u64) -> &'static str {
    usize::try_from(n).ok().and_then(|n| words.get(n)).copied().unwrap_or_default()
}

/// An amount. Yuan with jiao and fen; other currencies with their name where it is known, else their code.
pub fn money(amount: Money) -> String {
    let sign = if amount.minor() < 0 { "负" } else { "" };
    let minor = amount.minor().unsigned_abs();
    if amount.currency() == Currency::CNY {
        return format!("{sign}{}", yuan(minor));
    }
    let scale = 10_u64.pow(amount.currency().exponent());
    let (whole, part) = (number(minor / scale), minor % scale);
    let name = match amount.currency().code() {
        "USD" => "美元",
        "EUR" => "欧元",
        "JPY" => "日元",
        "HKD" => "港元",
        "MOP" => "澳门元",
        "TWD" => "新台币",
        "GBP" => "英镑",
        code => code,
    };
    if part == 0 {
        return format!("{sign}{whole}{name}");
    }
    let width = usize::try_from(amount.currency().exponent()).unwrap_or(0);
    let digits = format!("{part:0width$}");
    let spoken: String = digits
        .trim_end_matches('0')
        .chars()
        .map(|c| at(&DIGITS, c.to_digit(10).unwrap_or(0).into()))
        .collect();
    format!("{sign}{whole}点{spoken}{name}")
}

fn yuan(fen: u64) -> String {
    let (yuan, jiao, fen) = (fen / 100, fen / 10 % 10, fen % 10);
    let mut out = String::new();
    if yuan > 0 || (jiao == 0 && fen == 0) {
        // 二元 is said 两元; 二十 and 二百 stay.
        out.push_str(&if yuan == 2 { "两".to_owned() } else { number(yuan) });
        out.push('元');
    }
    if jiao > 0 {
        out.push_str(at(&DIGITS, jiao));
        out.push('角');
    } else if yuan > 0 && fen > 0 {
        out.push_str(DIGITS[0]);
    }
    if fen > 0 {
        out.push_str(at(&DIGITS, fen));
        out.push('分');
    }
    out
}
