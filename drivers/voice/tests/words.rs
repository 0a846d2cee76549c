//! Amounts in words against other people's words, and read back by parsers that know the rules and not the code.

#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests

use chinese_number::{ChineseCase, ChineseCountMethod, ChineseVariant, NumberToChinese};
use proptest::prelude::*;
use till_driver_voice::words::{chinese, english};
use till_plugin::{Currency, Money};

fn yuan(fen: i64) -> String {
    chinese::money(Money::new(fen, Currency::CNY))
}

/// Reads Chinese number words: value by value, sections by 万 and 亿.
fn read(text: &str) -> Option<u128> {
    fn below(text: &str) -> Option<u128> {
        let (mut total, mut digit) = (0_u128, None);
        for c in text.chars() {
            let value = "零一二三四五六七八九".chars().position(|d| d == c).map(|n| n as u128);
            let unit =
                "十百千".chars().position(|u| u == c).map(|n| 10_u128.pow(u32::try_from(n).unwrap() + 1));
            match (value, unit) {
                (Some(value), _) => digit = Some(value),
                (_, Some(unit)) => total += digit.take().unwrap_or(1) * unit,
                _ => return None,
            }
        }
        Some(total + digit.unwrap_or(0))
    }
    for (name, size) in [("亿", 100_000_000_u128), ("万", 10_000)] {
        // The last 亿 stands over everything before it.
        if let Some(at) = text.rfind(name) {
            return Some(read(&text[..at])? * size + read(&text[at + name.len()..])?);
        }
    }
    below(text)
}

#[test]
fn amounts_as_a_cashier_says_them() {
    for (fen, words) in [
        (0, "零元"),
        (1, "一分"),
        (5, "五分"),
        (50, "五角"),
        (55, "五角五分"),
        (100, "一元"),
        (200, "两元"),
        (105, "一元零五分"),
        (150, "一元五角"),
        (1_000, "十元"),
        (1_200, "十二元"),
        (2_000, "二十元"),
        (11_000, "一百一十元"),
        (10_100, "一百零一元"),
        (12_850, "一百二十八元五角"),
        (100_100, "一千零一元"),
        (101_000, "一千零一十元"),
        (1_000_100, "一万零一元"),
        (1_001_000, "一万零一十元"),
        (11_000_000, "十一万元"),
        (100_010_000, "一百万零一百元"),
        (10_001_000_000, "一亿零一万元"),
        (11_000_000_000, "一亿一千万元"),
        (1_000_000_000_000, "一百亿元"),
        (-505, "负五元零五分"),
        (i64::MAX, "九亿二千二百三十三万七千二百零三亿六千八百五十四万七千七百五十八元零七分"),
        (i64::MIN, "负九亿二千二百三十三万七千二百零三亿六千八百五十四万七千七百五十八元零八分"),
    ] {
        assert_eq!(yuan(fen), words, "{fen}");
    }
    let of = |minor, code: &str| chinese::money(Money::new(minor, code.parse().unwrap()));
    assert_eq!(of(1_250, "USD"), "十二点五美元");
    assert_eq!(of(500, "JPY"), "五百日元");
    assert_eq!(of(1_005, "KWD"), "一点零零五KWD");
}

#[test]
fn amounts_in_english() {
    let of = |minor, code: &str| english::money(Money::new(minor, code.parse().unwrap()));
    for (minor, code, words) in [
        (12_850, "CNY", "one hundred twenty-eight yuan and fifty fen"),
        (5, "CNY", "five fen"),
        (0, "CNY", "zero yuan"),
        (100, "USD", "one dollar"),
        (101, "USD", "one dollar and one cent"),
        (200_001, "USD", "two thousand dollars and one cent"),
        (500, "JPY", "five hundred yen"),
        (1_005, "KWD", "one point zero zero five KWD"),
        (-105, "EUR", "minus one euro and five cents"),
    ] {
        assert_eq!(of(minor, code), words);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn chinese_numbers_are_those_of_another_library(n in prop_oneof![0..100_000_u64, 0..10_u64.pow(16)]) {
        let theirs = n.to_chinese(ChineseVariant::Simple, ChineseCase::Lower, ChineseCountMethod::Middle).unwrap();
        prop_assert_eq!(chinese::number(n), theirs);
    }

    #[test]
    fn chinese_numbers_read_back(n in prop_oneof![any::<u64>(), 0..1_000_000_u64,
                                 (0..19_u32, 1..10_u64).prop_map(|(e, d)| d * 10_u64.pow(e) % u64::MAX),
                                 (0..19_u32, 0..19_u32).prop_map(|(a, b)| 10_u64.pow(a) + 10_u64.pow(b))]) {
        let words = chinese::number(n);
        prop_assert_eq!(read(&words), Some(u128::from(n)), "{}", words);
        prop_assert!(!words.contains("零零") && (n == 0 || !words.ends_with('零')), "{words}");
    }

    #[test]
    fn every_amount_in_yuan_reads_back_to_the_fen(fen in prop_oneof![any::<i64>(), 0..100_000_i64]) {
        let words = yuan(fen);
        let (negative, text) = words.strip_prefix('负').map_or((false, words.as_str()), |t| (true, t));
        let (whole, part) = text.split_once('元').unwrap_or(("零", text));
        let whole = if whole == "两" { 2 } else { read(whole).unwrap() };
        let (mut jiao, mut rest) = (0, part.trim_start_matches('零'));
        if let Some((j, r)) = rest.split_once('角') {
            (jiao, rest) = (read(j).unwrap(), r);
        }
        let last = rest.strip_suffix('分').map_or(0, |f| read(f).unwrap());
        let value = i128::try_from(whole * 100 + jiao * 10 + last).unwrap();
        prop_assert_eq!(if negative { -value } else { value }, i128::from(fen), "{}", words);
    }

    #[test]
    fn english_numbers_are_those_of_another_library(n in prop_oneof![0..100_000_i64, 0..=i64::MAX]) {
        let theirs = num2words::Num2Words::new(n).lang(num2words::Lang::English).to_words().unwrap();
        let plain = |s: &str| s.replace(',', "").replace(" and ", " ");
        prop_assert_eq!(plain(&english::number(u64::try_from(n).unwrap())), plain(&theirs));
    }
}
