//! Receipts of every kind, for trying a template and for looking at one.

use till_core::receipt::{Head, Language, Line, Part, Slip};

/// A receipt that never was.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What to ask for it by.
    pub name: &'static str,
    /// What it says.
    pub slip: Slip,
}

/// One of each kind, the fullest card receipt first.
pub fn samples(language: Language) -> Vec<Sample> {
    let zh = language == Language::Chinese;
    let say = |chinese: &'static str, english: &'static str| if zh { chinese } else { english };
    let named = |name, slip| Sample { name, slip };
    let card = card(zh);
    let wallet = Part {
        index: 1,
        amount: "¥100.00".into(),
        channel: say("支付宝", "Alipay").into(),
        account: Some("138****8000".into()),
        trace: "000018".into(),
        reference: "2026112122001499991234567890".into(),
        authorisation: None,
        extra: Vec::new(),
        ..card.parts[0].clone()
    };
    let follow = |kind, title| Slip {
        kind,
        title,
        original: Some("00000017".into()),
        operator: Some("02".into()),
        reason: say("顾客退货", "goods came back").into(),
        signature: false,
        ..card.clone()
    };
    let cash = Slip {
        parts: vec![Part {
            channel: say("现金", "Cash").into(),
            account: None,
            reference: String::new(),
            ..wallet.clone()
        }],
        tendered: Some("¥200.00".into()),
        change: Some("¥71.50".into()),
        signature: false,
        ..card.clone()
    };
    let second = Part {
        index: 2,
        amount: "¥28.50".into(),
        channel: cash.parts[0].channel.clone(),
        ..cash.parts[0].clone()
    };
    let split = Slip { split: true, parts: vec![wallet.clone(), second], signature: false, ..card.clone() };
    let bare = Slip {
        shop: Head { name: "x".into(), lines: Vec::new(), footer: Vec::new() },
        operator: None,
        subject: String::new(),
        parts: vec![Part { extra: Vec::new(), ..cash.parts[0].clone() }],
        tendered: None,
        change: None,
        ..cash.clone()
    };
    vec![
        named("card", card.clone()),
        named("wallet", Slip { parts: vec![wallet], signature: false, ..card.clone() }),
        named("cash", cash),
        named("split", split),
        named("copy", Slip { copy: 2, ..card.clone() }),
        named("reviewed", Slip { reviewed: true, ..card.clone() }),
        named(
            "hold",
            Slip {
                kind: "hold", title: say("预授权凭证", "PRE-AUTHORISATION"), held: true, ..card.clone()
            },
        ),
        named("void", follow("void", say("撤销凭证", "VOID"))),
        named("refund", follow("refund", say("退款凭证", "REFUND"))),
        named("capture", follow("capture", say("预授权完成", "COMPLETION"))),
        named("release", follow("release", say("预授权撤销", "HOLD RELEASED"))),
        named("load", Slip { original: None, ..follow("load", say("充值凭证", "TOP-UP")) }),
        named("bare", bare),
    ]
}

fn card(zh: bool) -> Slip {
    let say = |chinese: &'static str, english: &'static str| if zh { chinese } else { english };
    Slip {
        language: say("zh", "en"),
        shop: Head {
            name: say("小王茶馆", "Wang's Tea House").into(),
            lines: vec![
                say("上海市南京东路100号", "100 Nanjing East Road, Shanghai").into(),
                say("电话 021-5550100", "Tel. 021-5550100").into(),
            ],
            footer: vec![say("谢谢惠顾，欢迎再来", "Thank you, see you soon").into()],
        },
        kind: "sale",
        title: say("签购单", "RECEIPT"),
        number: "00000018".into(),
        original: None,
        time: "2026-11-21 10:00:00".into(),
        terminal: "T0000001".into(),
        operator: Some("01".into()),
        subject: say("龙井茶 250 克", "Longjing tea, 250 g").into(),
        reason: String::new(),
        split: false,
        parts: vec![Part {
            index: 1,
            amount: "¥128.50".into(),
            channel: say("银行卡 银联", "Bank card UnionPay").into(),
            account: Some("620000******0005".into()),
            trace: "000017".into(),
            batch: "000001".into(),
            reference: "112233445566".into(),
            authorisation: Some("A1B2C3".into()),
            extra: vec![Line { label: say("发卡行", "Issuer").into(), value: "01030000".into() }],
        }],
        total: "¥128.50".into(),
        held: false,
        reviewed: false,
        tendered: None,
        change: None,
        signature: true,
        copy: 0,
    }
}
