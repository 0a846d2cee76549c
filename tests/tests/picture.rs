//! `docs/pictures/receipt.svg`, the picture in the README: a receipt as the till makes it, from a payment carried through
//! the machine. The committed file must be what the code draws; `UPDATE=1 cargo test -p till-tests --test picture` draws
//! it anew.

#![allow(clippy::unwrap_used, clippy::expect_used)] // clippy knows tests by their attribute only

use std::fmt::Write as _;
use std::path::Path;

use till_core::input::{Context, Presented};
use till_core::receipt::{Facts, Language, Shop, document, text};
use till_core::routing::{RouteHealth, RouteView};
use till_core::{Input, Payment, PaymentId, PaymentState, Till, decide};
use till_plugin::channel::{Approval, Echo, Operation, Outcome, QueryRule, ResolveProfile, UndoRule};
use till_plugin::instrument::Cvm;
use till_plugin::{Currency, Extra, Family, Money};

/// What the demo says of this payment, and of one whose answer is lost.
const TRANSCRIPT: &[(Tone, &str)] = &[
    (Tone::Command, "$ ./demo"),
    (Tone::Title, "A payment of CNY 128.50"),
    (Tone::Plain, "opened, amount confirmed, readers armed"),
    (Tone::Plain, "a wallet code, byte by byte, on the scanner"),
    (Tone::Plain, "routed to alipay: durable first, then sent"),
    (Tone::Good, "paid: signature, amount, number checked"),
    (Tone::Good, "receipt 1 printed, once"),
    (Tone::Title, "The next answer is lost"),
    (Tone::Plain, "nobody knows; the till asks the gateway"),
    (Tone::Bad, "another way to pay it meanwhile: refused"),
    (Tone::Good, "undone: no money is taken"),
    (Tone::Title, "kill -9 tilld, a request on its way"),
    (Tone::Plain, "started again, the same numbers are asked"),
    (Tone::Good, "the gateway's books and ours agree"),
    (Tone::Command, "$ tillctl journal verify"),
    (Tone::Good, "every record, hash and link is well"),
];

#[derive(Copy, Clone)]
enum Tone {
    Command,
    Title,
    Plain,
    Good,
    Bad,
}

impl Tone {
    const fn colour(self) -> &'static str {
        match self {
            Self::Command => "#e6e6e6",
            Self::Title => "#6cc4ee",
            Self::Plain => "#b4bcc4",
            Self::Good => "#8fd18a",
            Self::Bad => "#f0a35e",
        }
    }
}

const AMOUNT: Money = Money::new(12_850, Currency::CNY);

fn wallet() -> RouteView {
    RouteView {
        id: "alipay".into(),
        families: vec![Family::new(Family::QR_ALIPAY)],
        operations: vec![Operation::Sale],
        currencies: vec!["CNY".into()],
        priority: 10,
        enabled: true,
        health: RouteHealth::Ready,
        needs_clock: true,
        resolve: ResolveProfile {
            query: Some(QueryRule { first_ms: 2_000, every_ms: 4_000, until_ms: 45_000, settle_ms: 8_000 }),
            undo: Some(UndoRule { not_before_ms: 0, pause_ms: 2_000, pause_max_ms: 300_000, tries: 0 }),
            single_slot: false,
        },
        merchant: None,
        terminal: None,
        authorise_timeout_ms: 15_000,
        legs: Vec::new(),
    }
}

/// The payment, carried through the machine as the daemon does it.
fn payment() -> Payment {
    let ctx = Context {
        wall_ms: 1_772_422_200_000,
        clock_trusted: true,
        routes: vec![wallet()],
        terminal: "12345678".into(),
        config: "picture".into(),
        printer: Some("printer".into()),
        reuse_window_ms: 60_000,
        duplicate_window_ms: 0,
        undo_after_ms: None,
        hold_valid_ms: 0,
        job_valid_ms: 7 * 86_400_000,
        rules: till_core::batch::Rules::default(),
    };
    let id = PaymentId([7; 16]);
    let approval = Approval {
        amount: AMOUNT,
        echo: Echo::default(),
        reference: "2026030222001400000001".into(),
        authorisation_code: None,
        account: Some("159****5620".into()),
        scheme: Some("支付宝 Alipay".into()),
        host_time: None,
        cvm: Cvm::None,
        change: None,
        open_drawer: false,
        receipt: Vec::new(),
        extra: Extra::new(),
    };
    let presented = Presented {
        family: Family::new(Family::QR_ALIPAY),
        evidence: "code-prefix".into(),
        masked: "28************0001".into(),
        token: "token".into(),
        tendered: None,
        channel: None,
        amount: None,
        duplicate_reason: String::new(),
    };
    let mut till = Till::new();
    for (seq, input) in (1..).zip([
        Input::Open {
            purpose: till_core::Purpose::Sale,
            payment: id,
            key: "order-1".into(),
            amount: AMOUNT,
            subject: "午餐套餐".into(),
            operator: Some("001".into()),
            training: false,
        },
        Input::Confirm { payment: id, amount: AMOUNT },
        Input::Present { payment: id, presented },
        Input::Prepared { payment: id, attempt: 1, result: Ok((vec![1; 60], "28************0001".into())) },
        Input::Answered { payment: id, attempt: 1, outcome: Outcome::Approved(approval) },
    ]) {
        let step = decide(&till, &input, &ctx).unwrap();
        till.apply(seq, ctx.wall_ms, &step.record.unwrap());
    }
    till.payment(id).unwrap().clone()
}

fn receipt() -> String {
    let shop = Shop {
        name: "好味小馆".into(),
        lines: vec!["上海市黄浦区示例路 1 号".into(), "电话 021-5555-0100".into()],
        terminal: "12345678".into(),
        footer: vec!["谢谢惠顾，欢迎再来".into()],
        language: Language::Chinese,
    };
    let facts = Facts { channel_name: "支付宝".into(), local_time: "2026-03-02 11:30:00".into(), copy: 0 };
    text(&document(&payment(), &shop, &facts).unwrap(), COLUMNS)
}

const COLUMNS: usize = 32;
/// One column of the receipt, and of the terminal, in tenths of a pixel, so that nothing is rounded.
const PAPER_COLUMN: usize = 96;
const TERMINAL_COLUMN: usize = 84;
/// Font sizes, pixels.
const PAPER_SIZE: usize = 16;
const TERMINAL_SIZE: usize = 14;
const MARGIN: usize = 24;
const LINE: usize = 22;
const PAD: usize = 22;

/// Two columns for what a printer draws in two: everything of CJK and the full-width forms.
fn columns(c: char) -> usize {
    match u32::from(c) {
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6 => 2,
        _ => 1,
    }
}

fn tenths(value: usize) -> String {
    if value.is_multiple_of(10) { (value / 10).to_string() } else { format!("{}.{}", value / 10, value % 10) }
}

/// One line of text, each character at its own place, so that no font can shift a column. (A list in one `x` would do, but
/// not every renderer reads such lists.)
fn line(
    svg: &mut String,
    (left, base): (usize, usize),
    (column, size): (usize, usize),
    style: &str,
    text: &str,
) {
    let (mut at, mut shown) = (left * 10, String::new());
    for c in text.chars() {
        let room = column * columns(c);
        // A wide character is as wide as the font is high: in the middle of its two columns.
        let place = if columns(c) == 2 { at + room.saturating_sub(size * 10) / 2 } else { at };
        at += room;
        let place = tenths(place);
        match c {
            ' ' => Ok(()),
            '&' => write!(shown, r#"<tspan x="{place}">&amp;</tspan>"#),
            '<' => write!(shown, r#"<tspan x="{place}">&lt;</tspan>"#),
            c => write!(shown, r#"<tspan x="{place}">{c}</tspan>"#),
        }
        .unwrap();
    }
    if !shown.is_empty() {
        writeln!(svg, r#"<text y="{base}"{style}>{shown}</text>"#).unwrap();
    }
}

fn picture() -> String {
    let receipt = receipt();
    let lines: Vec<&str> = receipt.lines().collect();
    let paper = (COLUMNS * PAPER_COLUMN / 10 + 2 * PAD, lines.len() * LINE + 2 * PAD);
    let longest = TRANSCRIPT.iter().map(|(_, t)| t.chars().map(columns).sum::<usize>()).max().unwrap();
    let panel = (longest * TERMINAL_COLUMN / 10 + 2 * PAD, paper.1);
    let (width, height) = (paper.0 + panel.0 + 3 * MARGIN, paper.1 + 2 * MARGIN);
    let (left, right) = (MARGIN, 2 * MARGIN + panel.0);

    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">
<title>A till paying by wallet, and its receipt</title>
<rect width="{width}" height="{height}" rx="8" fill="#c9cdd2"/>
<rect x="{left}" y="{MARGIN}" width="{}" height="{}" rx="6" fill="#1d2329"/>
<rect x="{}" y="{}" width="{}" height="{}" fill="#9ba0a6"/>
<rect x="{right}" y="{MARGIN}" width="{}" height="{}" fill="#fdfdfb"/>
"##,
        panel.0,
        panel.1,
        right + 4,
        MARGIN + 5,
        paper.0,
        paper.1,
        paper.0,
        paper.1,
    );
    let mono = r#"font-family="DejaVu Sans Mono, Noto Sans Mono, Noto Sans Mono CJK SC, Menlo, Consolas, WenQuanYi Micro Hei, PingFang SC, Microsoft YaHei, monospace""#;
    writeln!(svg, r#"<g {mono} font-size="{TERMINAL_SIZE}">"#).unwrap();
    let step = (panel.1 - 2 * PAD - LINE) / (TRANSCRIPT.len() - 1);
    for (n, (tone, said)) in TRANSCRIPT.iter().enumerate() {
        let style = format!(r#" fill="{}""#, tone.colour());
        let place = (left + PAD, MARGIN + PAD + LINE - 6 + n * step);
        line(&mut svg, place, (TERMINAL_COLUMN, TERMINAL_SIZE), &style, said);
    }
    writeln!(svg, "</g>\n<g {mono} font-size=\"{PAPER_SIZE}\" fill=\"#26292c\">").unwrap();
    for (n, printed) in lines.iter().enumerate() {
        let place = (right + PAD, MARGIN + PAD + LINE - 6 + n * LINE);
        line(&mut svg, place, (PAPER_COLUMN, PAPER_SIZE), "", printed);
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

#[test]
fn the_receipt_on_it_is_of_a_paid_payment() {
    let p = payment();
    assert_eq!((p.state, p.paid()), (PaymentState::Paid, AMOUNT));
    let receipt = receipt();
    for needed in ["好味小馆", "128.50", "159****5620", "00000001", "12345678"] {
        assert!(receipt.contains(needed), "{needed} is not on\n{receipt}");
    }
    for printed in receipt.lines() {
        let wide: usize = printed.chars().map(columns).sum();
        assert!(wide <= COLUMNS, "{printed:?} is {wide} columns wide");
    }
}

#[test]
fn the_picture_in_the_readme_is_what_the_code_draws() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures/receipt.svg");
    let drawn = picture();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &drawn).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == drawn,
        "docs/pictures/receipt.svg is not what the code draws now: run `UPDATE=1 cargo test -p till-tests --test picture` \
         and look at it"
    );
}
