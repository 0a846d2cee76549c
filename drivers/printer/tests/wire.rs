//! What goes over the wire, judged by the tokeniser in `support`, by golden jobs, and by the shared vectors.

#![allow(clippy::unwrap_used)] // helpers of tests

mod support;

use proptest::prelude::*;
use std::fmt::Write as _;
use std::path::Path;
use support::Token;
use till_driver_printer::command::{self, QrLevel};
use till_driver_printer::encode::{self, EncodeError, Marks};
use till_driver_printer::profile::{Cutter, Overrides, Profile, QrKind};
use till_driver_printer::raster::Bitmap;
use till_driver_printer::status::{Paper, Parser, Reply, Status};
use till_driver_printer::text::Charset;
use till_plugin::document::{Align, Block, Cell, Document, Style};

fn vectors(name: &str) -> Option<Vec<serde_json::Value>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors").join(name);
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: no shared vectors");
        return None;
    };
    let mut all: serde_json::Value = serde_json::from_str(&text).unwrap();
    Some(all["cases"].take().as_array().unwrap().clone())
}

fn wire(profile: &Profile, document: &Document) -> Vec<u8> {
    let atoms = encode::encode(profile, document, Marks::default()).unwrap();
    atoms.into_iter().flat_map(|atom| atom.bytes).collect()
}

fn profile(name: &str) -> Profile {
    Profile::built_in(name).unwrap()
}

#[test]
fn commands_are_the_bytes_of_the_shared_vectors() {
    let Some(cases) = vectors("devices-escpos_commands.json") else { return };
    let qr = |data: &[u8], size| command::qr(data, size, QrLevel::L).unwrap();
    let mut checked = 0;
    for case in &cases {
        let ours: Vec<u8> = match case["id"].as_str().unwrap() {
            "init" => command::INIT.into(),
            "cut-feed" => command::CUT_PARTIAL.into(),
            "drawer-2" => command::drawer_pulse(0, 100, 100).into(),
            "drawer-rt" => command::drawer_pulse_now(0, 1).into(),
            "align-c" => command::align(1).into(),
            "bold-on" => command::bold(true).into(),
            "size-2x2" => command::size(true, true).into(),
            "codepage-858" => command::code_page(19).into(),
            "kanji-on" => command::KANJI_ON.into(),
            "gb-hello" => {
                let mut bytes = command::KANJI_ON.to_vec();
                bytes.extend(Charset::Gb18030.encode("你好世界"));
                bytes.push(command::LINE_FEED);
                bytes
            }
            "gb-4byte" => {
                // Must not be sent: it is replaced where one sees it.
                assert_eq!(Charset::Gb18030.clean("\u{20000}"), "□");
                continue;
            }
            "gb-yen" => Charset::Gb18030.encode("￥"),
            "qr-1234" => qr(b"1234", 3),
            "qr-1234-7" => qr(b"1234", 7),
            "qr-300" => qr(&[b'A'; 300], 3),
            "raster-8x2" => Bitmap::new(8, 2, vec![0xF0, 0x0F]).unwrap().bands(24).concat(),
            "status-rt" => (1..=4).flat_map(command::real_time_status).collect(),
            "asb-on" => command::auto_status(0xFF).into(),
            "feed3" => command::feed(3).into(),
            "code128" => command::code128("ABC-123", 64, 2).unwrap()[9..].to_vec(),
            "bar-h" => command::code128("A", 64, 2).unwrap()[..3].to_vec(),
            "hri-below" => command::code128("A", 64, 2).unwrap()[6..9].to_vec(),
            "inject-gb" => Charset::Ascii.encode(&Charset::Ascii.clean("\u{1F600}")),
            // Not sent by this driver: GS V 0 (we feed to the cutter first), underline, EAN, QR model 1, model id, display routing,
            // and the truncated drawer pulse, which is a bug.
            _ => continue,
        };
        assert_eq!(hex::encode_upper(ours), case["bytes"].as_str().unwrap(), "{}", case["id"]);
        checked += 1;
    }
    assert!(checked >= 20, "only {checked} of the vectors were checked");
}

#[test]
fn status_answers_mean_what_the_shared_vectors_say() {
    let Some(cases) = vectors("devices-escpos_status.json") else { return };
    for case in &cases {
        let id = case["id"].as_str().unwrap();
        let query = case["query"].as_str().unwrap();
        let bytes = hex::decode(case["reply"].as_str().unwrap()).unwrap();
        let mut questions =
            query.strip_prefix("DLE EOT ").unwrap_or("").split(',').filter_map(|n| n.parse().ok());
        let mut status = Status::default();
        let mut parser = Parser::default();
        let replies = parser.feed(&bytes);
        for reply in &replies {
            match reply {
                Reply::RealTime(b) => status.real_time(questions.next().unwrap_or(4), *b),
                Reply::Asb(bytes) => status.asb(*bytes),
                Reply::Queued(b) => status.queued(*b),
                Reply::Xon | Reply::Xoff | Reply::Noise(_) => {}
            }
        }
        let expect = &case["expect"];
        if expect["error"].is_string() {
            // Not a valid answer, or none: nothing is known, in particular not that paper is out.
            assert_eq!((status, status.block()), (Status::default(), None), "{id}");
            continue;
        }
        assert_eq!(parser.incomplete(), expect["incomplete"] == true, "{id}");
        let flag = |key: &str, ours: Option<bool>| {
            if let Some(want) = expect[key].as_bool() {
                assert_eq!(ours, Some(want), "{id}: {key}");
            }
        };
        flag("online", status.online);
        flag("drawer_pin3", status.drawer_pin3);
        flag("waiting_recovery", status.waiting_recovery);
        flag("feed_button", status.feed_button);
        flag("stopped_paper_end", status.stopped_paper_end);
        flag("error", status.error);
        flag("unrecoverable", status.unrecoverable);
        flag("auto_recoverable", status.auto_recoverable);
        flag("near_end", Some(matches!(status.paper, Paper::NearEnd | Paper::Out)));
        flag("asb", Some(replies.iter().any(|reply| matches!(reply, Reply::Asb(_)))));
        let paper = expect["paper"].as_str().or(expect["then"]["paper"].as_str());
        let ours = match status.paper {
            Paper::Unknown => None,
            Paper::Ok => Some("ok"),
            Paper::NearEnd => Some("near_end"),
            Paper::Out => Some("out"),
        };
        assert!(paper.is_none() || paper == ours, "{id}: {ours:?}");
    }
}

/// The tokeniser must know more than our own bytes, or it would judge nothing.
#[test]
fn the_judge_reads_streams_of_other_makers() {
    let Some(cases) = vectors("devices-escpos_streams.json") else { return };
    let mut read = 0;
    for case in &cases {
        let bytes = hex::decode(case["hex"].as_str().unwrap()).unwrap();
        match support::tokens(&bytes, false) {
            Ok(_) => read += 1,
            Err(error) => println!("{}: {error}", case["id"]),
        }
    }
    assert!(read >= 4, "only {read} of {} streams", cases.len());
}

fn sale() -> Document {
    let text = |text: &str, align, style| Block::Text { text: text.to_owned(), align, style };
    let cell = |text: &str, width, align| Cell { text: text.to_owned(), width, align };
    let row = |name: &str, count: &str, sum: &str| {
        Block::Row(vec![
            cell(name, 24, Align::Left),
            cell(count, 8, Align::Right),
            cell(sum, 16, Align::Right),
        ])
    };
    Document::new()
        .with(Block::DrawerPulse { pin: 0, on_ms: 100 })
        .with(text("云上茶馆", Align::Centre, Style::BIG))
        .with(text("销售单 SALE", Align::Centre, Style::BOLD))
        .with(Block::Rule { with: '-' })
        .with(row("品名", "数量", "金额"))
        .with(row("云南高山古树普洱茶（生）", "2", "￥96.00"))
        .with(row("Green tea cake 绿茶饼", "1", "￥32.50"))
        .with(Block::Rule { with: '-' })
        .with(Block::Pair { label: "合计".to_owned(), value: "¥128.50".to_owned(), style: Style::BIG })
        .pair("卡号", "620000******0005")
        .pair("凭证号", "000017")
        .with(Block::Qr { data: "https://example.com/r/000017".to_owned(), module_dots: 6 })
        .with(Block::Barcode { data: "000017-1".to_owned() })
        .line("谢谢惠顾 😀")
        .with(Block::Feed { lines: 1 })
        .with(Block::Cut)
}

/// One atom a line, in hex: a change of a single byte shows in the diff. To renew after a wanted change: `BLESS=1 cargo test`.
#[test]
fn golden_receipts_are_sent_byte_for_byte() {
    for name in Profile::names() {
        let atoms = encode::encode(&profile(name), &sale(), Marks::default()).unwrap();
        let mut text = String::new();
        for atom in &atoms {
            writeln!(text, "{}", hex::encode(&atom.bytes)).unwrap();
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.hex"));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        assert_eq!(text, std::fs::read_to_string(&path).unwrap(), "{name}");
    }
}

#[test]
fn a_receipt_reads_as_it_was_meant() {
    let bytes = wire(&profile("generic-80"), &sale());
    let mut printer = support::Printer { room: 1 << 20, ..support::Printer::default() };
    printer.take(&bytes);
    (0..60).for_each(|_| printer.work(0));
    assert!(printer.buffer.is_empty());
    assert_eq!(
        printer.text(),
        [
            "云上茶馆",
            "销售单 SALE",
            "------------------------------------------------",
            "品名                        数量            金额",
            "云南高山古树普洱茶（生）       2         ￥96.00",
            "Green tea cake 绿茶饼          1         ￥32.50",
            "------------------------------------------------",
            "合计            ￥128.50",
            "卡号                            620000******0005",
            "凭证号                                    000017",
            "谢谢惠顾 □",
            "✂",
        ]
    );
    assert_eq!(printer.qr, [b"https://example.com/r/000017".to_vec()]);
}

#[test]
fn a_printer_without_native_qr_gets_a_picture_in_small_bands() {
    for token in support::tokens(&wire(&profile("pos-5890"), &sale()), true).unwrap() {
        match token {
            Token::QrStore(_) | Token::QrPrint | Token::Cut(_) => panic!("{token:?}"),
            Token::Raster { row_bytes, rows } => assert!(rows <= 16 && row_bytes <= 48),
            _ => {}
        }
    }
}

#[test]
fn a_printer_without_cutter_feeds_to_the_tear_bar() {
    let over = Overrides { cutter: Some(Cutter::None), tear_feed: Some(5), ..Overrides::default() };
    let profile = profile("generic-80").with(&over).unwrap();
    let bytes = wire(&profile, &Document::new().with(Block::Cut));
    assert_eq!(support::tokens(&bytes, true).unwrap().last(), Some(&Token::Feed(5)));
}

#[test]
fn double_byte_mode_is_off_for_latin_firmware() {
    let bytes = wire(&profile("latin-80"), &Document::new().line("café ¥1"));
    assert!(bytes.starts_with(&[0x1B, 0x40, 0x1C, 0x2E, 0x1B, 0x74, 16]));
    assert!(bytes.ends_with(b"caf\xE9 \xA51\n"));
}

#[test]
fn chinese_text_is_sized_by_both_commands() {
    let bytes = wire(&profile("generic-80"), &sale());
    let big: &[u8] = &[0x1C, 0x21, 0x0C, 0x1D, 0x21, 0x11];
    assert!(bytes.windows(big.len()).any(|w| w == big));
}

#[test]
fn the_wrong_codes_are_refused_and_not_changed() {
    let profile = profile("generic-58");
    let refuse =
        |block| encode::encode(&profile, &Document::new().with(block), Marks::default()).unwrap_err();
    let qr = |data: &str| Block::Qr { data: data.to_owned(), module_dots: 4 };
    assert_eq!(refuse(qr("a\u{10}\u{14}b")), EncodeError::QrControl { at: 1 });
    assert_eq!(refuse(qr(&"x".repeat(7089))), EncodeError::QrSize { len: 7089, dots: 384 });
    assert_eq!(refuse(qr("")), EncodeError::QrSize { len: 0, dots: 384 });
    assert_eq!(refuse(Block::Barcode { data: "茶".to_owned() }), EncodeError::Barcode { len: 1 });
    assert_eq!(
        refuse(Block::Barcode { data: "x".repeat(60) }),
        EncodeError::BarcodeSize { len: 60, dots: 384 }
    );
}

#[test]
fn a_document_opens_the_drawer_at_most_once_and_not_for_long() {
    let pulse = Block::DrawerPulse { pin: 1, on_ms: 60_000 };
    let twice = Document::new().with(pulse.clone()).with(pulse.clone());
    let profile = profile("generic-80");
    let refused = encode::encode(&profile, &twice, Marks::default());
    assert_eq!(refused, Err(EncodeError::Pulses { times: 2 }));
    let bytes = wire(&profile, &Document::new().with(pulse));
    assert!(bytes.ends_with(&[0x1B, 0x70, 1, 250, 250]));
}

#[test]
fn a_document_of_ten_megabytes_is_refused() {
    let document = Document::new().line("x".repeat(10 << 20));
    assert_eq!(
        encode::encode(&profile("generic-80"), &document, Marks::default()),
        Err(EncodeError::TooLong)
    );
}

#[test]
fn copies_and_restarts_are_marked() {
    let marked = |copy, restarted| {
        let marks = Marks { copy, restarted };
        let atoms = encode::job(&profile("generic-80"), &Document::new().line("x"), marks).unwrap();
        let mut printer = support::Printer::default();
        for atom in &atoms {
            printer.take(&atom.bytes);
        }
        (0..20).for_each(|_| printer.work(0));
        printer.text().join("|")
    };
    assert_eq!(marked(2, false), "** 副本 COPY 2 **|x");
    assert_eq!(marked(0, true), "** 以上作废 VOID ABOVE **|✂|** 重新打印 REPRINT **|x");
}

fn blocks() -> impl Strategy<Value = Block> {
    let text = || {
        prop_oneof![
            any::<String>(),
            // What an attacker would put into a product name.
            "[\\x00-\\x1f\\x7f@paV!茶\u{20000}😀]{0,30}",
        ]
    };
    let style = (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(bold, wide, tall)| Style {
        bold,
        wide,
        tall,
    });
    let align = prop_oneof![Just(Align::Left), Just(Align::Centre), Just(Align::Right)];
    let cell =
        (text(), any::<u8>(), align.clone()).prop_map(|(text, width, align)| Cell { text, width, align });
    prop_oneof![
        (text(), align, style.clone()).prop_map(|(text, align, style)| Block::Text { text, align, style }),
        (text(), text(), style).prop_map(|(label, value, style)| Block::Pair { label, value, style }),
        proptest::collection::vec(cell, 0..6).prop_map(Block::Row),
        any::<char>().prop_map(|with| Block::Rule { with }),
        (text(), any::<u8>()).prop_map(|(data, module_dots)| Block::Qr { data, module_dots }),
        text().prop_map(|data| Block::Barcode { data }),
        any::<u8>().prop_map(|lines| Block::Feed { lines }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// No field becomes a command: the document has no cut, no pulse and no initialisation of its own, so there is none on the wire.
    #[test]
    fn no_field_can_command_the_printer(
        blocks in proptest::collection::vec(blocks(), 0..6),
        name in proptest::sample::select(Profile::names()),
        raster in any::<bool>(),
    ) {
        let over = Overrides { qr: raster.then_some(QrKind::Raster), ..Overrides::default() };
        let profile = Profile::built_in(name).unwrap().with(&over).unwrap();
        let kanji = profile.charset().kanji_mode() == Some(true);
        let Ok(atoms) = encode::encode(&profile, &Document { blocks }, Marks::default()) else { return Ok(()) };
        let bytes: Vec<u8> = atoms.iter().flat_map(|atom| atom.bytes.clone()).collect();
        let tokens = support::tokens(&bytes, kanji).map_err(TestCaseError::fail)?;
        prop_assert_eq!(tokens.iter().filter(|token| **token == Token::Init).count(), 1);
        for token in &tokens {
            prop_assert!(!matches!(token, Token::Pulse { .. } | Token::Cut(_) | Token::Beep | Token::Nul | Token::Fence), "{token:?}");
        }
        for real_time in [[0x10, 0x04], [0x10, 0x05], [0x10, 0x14]] {
            prop_assert!(!bytes.windows(2).any(|w| w == real_time));
        }
    }
}
