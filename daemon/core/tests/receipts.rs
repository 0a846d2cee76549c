//! What the customer takes home.

#![allow(clippy::expect_used)]

mod samples;

use proptest::prelude::*;
use samples::{Bench, ID, approval, bank, context, fen, wallet};
use std::fmt::Write as _;
use till_core::Input;
use till_core::receipt::{Facts, Language, Shop, document, text};
use till_plugin::channel::{Approval, Outcome};
use till_plugin::instrument::Cvm;
use till_plugin::{Extra, Family};

fn shop(language: Language) -> Shop {
    let zh = language == Language::Chinese;
    Shop {
        name: if zh { "小王茶馆" } else { "Wang's Tea House" }.into(),
        lines: vec![if zh { "上海市南京东路100号" } else { "100 Nanjing East Road, Shanghai" }.into()],
        terminal: "T0000001".into(),
        footer: vec![if zh { "谢谢惠顾" } else { "Thank you" }.into()],
        language,
    }
}

fn paid(yes: Approval, masked: &str) -> Bench {
    let mut ctx = context(if yes.change.is_some() { wallet() } else { bank() });
    ctx.routes[0].terminal = None;
    let mut b = Bench::new(ctx);
    b.take(&Input::Open {
        purpose: till_core::Purpose::Sale,
        payment: ID,
        key: String::new(),
        amount: fen(12_850),
        subject: "茶叶 Tea".into(),
        operator: Some("01".into()),
        training: false,
    });
    b.take(&Input::Confirm { payment: ID, amount: fen(12_850) });
    let mut presented = samples::presented();
    if yes.change.is_some() {
        presented.family = Family::new("cash");
    }
    b.take(&Input::Present { payment: ID, presented });
    let result = Ok((vec![1; 60], masked.to_owned()));
    b.take(&Input::Prepared { payment: ID, attempt: 1, result });
    b.answer(Outcome::Approved(yes));
    b
}

fn card() -> Approval {
    Approval {
        reference: "112233445566".into(),
        authorisation_code: Some("A1B2C3".into()),
        account: Some("620000******0005".into()),
        scheme: Some("银联 UnionPay".into()),
        cvm: Cvm::Signature,
        receipt: vec![("发卡行 Issuer".into(), "01030000".into())],
        extra: Extra::new(),
        ..approval(fen(12_850))
    }
}

fn alipay() -> Approval {
    Approval {
        reference: "2026112122001499991234567890".into(),
        authorisation_code: None,
        receipt: Vec::new(),
        ..approval(fen(12_850))
    }
}

fn cash() -> Approval {
    Approval {
        reference: String::new(),
        authorisation_code: None,
        account: None,
        scheme: None,
        change: Some(fen(7_150)),
        open_drawer: true,
        receipt: Vec::new(),
        ..approval(fen(12_850))
    }
}

fn facts(channel: &str, copy: u32) -> Facts {
    Facts { channel_name: channel.into(), local_time: "2026-11-21 10:00:00".into(), copy }
}

fn printed(yes: Approval, channel: &str, language: Language, copy: u32, columns: usize) -> String {
    let b = paid(yes, "28**3456");
    let p = b.payment().expect("the payment");
    text(&document(p, &shop(language), &facts(channel, copy)).expect("it is paid"), columns)
}

#[test]
fn receipts_read_as_they_should() {
    let mut all = String::new();
    for (language, names) in [
        (Language::Chinese, ["银行卡", "支付宝", "现金"]),
        (Language::English, ["Bank card", "Alipay", "Cash"]),
    ] {
        for (yes, name, copy) in [(card(), names[0], 0), (alipay(), names[1], 2), (cash(), names[2], 0)] {
            let _ = write!(all, "== {name}\n{}", printed(yes, name, language, copy, 32));
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/receipts.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &all).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(path).expect("the golden file");
    assert_eq!(all, golden, "receipts changed; if they should, UPDATE=1 rewrites tests/golden/receipts.txt");
}

#[test]
fn nothing_is_printed_before_it_is_paid() {
    let mut b = Bench::new(context(wallet()));
    b.send();
    assert!(document(b.payment().expect("it"), &shop(Language::English), &facts("x", 0)).is_none());
    b.lost();
    assert!(document(b.payment().expect("it"), &shop(Language::English), &facts("x", 0)).is_none());
}

#[test]
fn no_receipt_shows_a_whole_account_number() {
    for pan in ["6200000000000005", "4111 1111 1111 1111", "5555-5555-5555-5555"] {
        for yes in [Approval { account: Some(pan.into()), ..card() }, Approval { account: None, ..card() }] {
            let mut b = paid(yes, pan);
            // Even a payment of a journal in which it stands unmasked.
            let mut p = b.payment().expect("it").clone();
            p.attempts[0].masked = pan.into();
            if let Some(a) = p.attempts[0].approval.as_mut().filter(|a| a.account.is_some()) {
                a.account = Some(pan.into());
            }
            for p in [b.payment().expect("it"), &p] {
                let out = text(&document(p, &shop(Language::English), &facts("x", 0)).expect("paid"), 32);
                let digits: String = out.chars().filter(char::is_ascii_digit).collect();
                let bare: String = pan.chars().filter(char::is_ascii_digit).collect();
                assert!(!digits.contains(&bare), "{out}");
                assert!(
                    out.contains(&pan[pan.len() - 4..]),
                    "the last four tell the customer which card it was"
                );
            }
            b.restart();
        }
    }
}

fn columns_of(line: &str) -> usize {
    line.chars().map(|c| unicode_width::UnicodeWidthChar::width(c).unwrap_or(0)).sum()
}

fn anything() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,60}", "[一-龥a-z0-9]{0,60}", "\\PC{0,30}", any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn every_line_fits_the_paper(
        columns in prop_oneof![Just(32_usize), Just(42), Just(48)],
        words in proptest::collection::vec(anything(), 12),
        which in 0..3_u8,
        copy in 0..3_u32,
        zh in any::<bool>(),
    ) {
        let base = match which { 0 => card(), 1 => alipay(), _ => cash() };
        let yes = Approval {
            reference: words[0].clone(),
            account: Some(words[1].clone()),
            scheme: Some(words[2].clone()),
            receipt: vec![(words[3].clone(), words[4].clone()), (words[5].clone(), words[6].clone())],
            ..base
        };
        let b = paid(yes, &words[7]);
        let shop = Shop {
            name: words[8].clone(),
            lines: vec![words[9].clone()],
            terminal: words[10].clone(),
            footer: vec![words[11].clone()],
            language: if zh { Language::Chinese } else { Language::English },
        };
        let p = b.payment().expect("the payment");
        let out = text(&document(p, &shop, &facts(&words[9], copy)).expect("paid"), columns);
        for line in out.lines() {
            prop_assert!(columns_of(line) <= columns, "{} columns: {line:?}", columns_of(line));
        }
        prop_assert!(out.contains("128.50"), "the amount is never lost");
    }
}
