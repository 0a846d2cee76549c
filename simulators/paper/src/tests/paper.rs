//! Paper, text, symbols: the machine without a network.

use super::super::font::Fonts;
use super::super::{Command, Content, Cut, Fault, Model, Pulse};
use super::{gb, printed};

fn text(bytes: &[u8]) -> String {
    let machine = printed(Model::default(), &[bytes, b"\x1DV\x00"].concat());
    assert!(machine.unknown().is_empty(), "{:?}", machine.unknown());
    machine.receipts().first().map(super::super::Receipt::text).unwrap_or_default()
}

#[test]
fn chinese_is_two_columns_wide() {
    // 48 columns: the amount ends at the right edge.
    let line = [&gb("拿铁咖啡")[..], &b" ".repeat(34), b"128.50\n"].concat();
    assert_eq!(text(&line), format!("拿铁咖啡{}128.50\n", " ".repeat(34)));
    // One column more and the last digit falls on the next line.
    let line = [&gb("拿铁咖啡")[..], &b" ".repeat(35), b"128.50\n"].concat();
    assert_eq!(text(&line), format!("拿铁咖啡{}128.5\n0\n", " ".repeat(35)));
}

#[test]
fn double_width_halves_the_columns_and_keeps_the_next_one_in_its_place() {
    let bytes = [b"\x1D!\x11", &gb("合计")[..], b"\x1D!\x00", b"  12.00\n"].concat();
    assert_eq!(text(&bytes), "合计      12.00\n", "eight columns of paper, then two blanks");
    let wide = [&b"\x1D!\x10"[..], &b"x".repeat(25), b"\n"].concat();
    assert_eq!(text(&wide), format!("{}\nx\n", "x".repeat(24)));
}

#[test]
fn esc_bang_leaves_hanzi_alone_and_fs_bang_sizes_them() {
    let machine =
        printed(Model::default(), &[b"\x1B!\x30A\x1C!\x0C", &gb("中")[..], b"\x1C!\x00", &gb("文")].concat());
    let mut machine = machine;
    machine.receive(b"\n");
    let Content::Line(cells, _) = &machine.uncut().blocks[0].content else { panic!("a line") };
    let sizes: Vec<_> = cells.iter().map(|c| (c.ch, c.width, c.height)).collect();
    assert_eq!(sizes, [('A', 24, 48), ('中', 48, 48), ('文', 24, 24)]);
}

#[test]
fn alignment_and_tabs_are_where_they_are_on_paper() {
    assert_eq!(
        text(b"\x1Ba\x01mid\n\x1Ba\x02right\n"),
        format!("{}mid\n{}right\n", " ".repeat(22), " ".repeat(43))
    );
    assert_eq!(text(b"a\tb\n\x1BD\x0A\x14\x00a\tb\tc\n"), "a       b\na         b         c\n");
}

#[test]
fn qr_codes_are_drawn_and_can_be_read_from_the_model() {
    let store = |data: &[u8]| {
        let length = u16::try_from(data.len() + 3).unwrap().to_le_bytes();
        [b"\x1D(k", &length[..], b"1P0", data].concat()
    };
    let job = [
        b"\x1D(k\x04\x001A2\x00\x1D(k\x03\x001C\x06\x1D(k\x03\x001E1",
        &store(b"T20260901")[..],
        b"\x1D(k\x03\x001Q0",
    ];
    let machine = printed(Model::default(), &[&job.concat()[..], b"\x1DV\x00"].concat());
    let receipt = &machine.receipts()[0];
    let symbol = receipt.symbols().next().unwrap();
    assert_eq!((symbol.kind, symbol.data.as_str()), ("QR", "T20260901"));
    assert_eq!(symbol.bitmap.width(), 21 * 6, "version 1, six dots a module");
    assert!(symbol.bitmap.is_black(0, 0) && !symbol.bitmap.is_black(8, 8), "finder pattern");
    assert!(receipt.text().contains("[QR: T20260901]"));
    assert!(receipt.terminal_text().contains('█'));
}

#[test]
fn too_much_for_a_qr_code_is_said_and_the_rest_is_printed() {
    let data = vec![b'x'; 3000];
    let length = u16::try_from(data.len() + 3).unwrap().to_le_bytes();
    let machine = printed(
        Model::default(),
        &[b"\x1D(k", &length[..], b"1P0", &data, b"\x1D(k\x03\x001Q0after\n\x1DV\x00"].concat(),
    );
    assert_eq!(machine.receipts()[0].text(), "after\n");
    assert!(machine.notes()[0].contains("QR code not printed"));
}

#[test]
fn drawer_pulses_are_counted_with_their_times() {
    let machine = printed(Model::default(), b"\x1Bp\x00\x32\x32\x1Bp\x01\x19\xFA\x10\x14\x01\x00\x02");
    let expected = [
        Pulse { pin: 2, on_ms: 100, off_ms: 100, real_time: false },
        Pulse { pin: 5, on_ms: 50, off_ms: 500, real_time: false },
        Pulse { pin: 2, on_ms: 200, off_ms: 0, real_time: true },
    ];
    assert_eq!(machine.pulses(), expected);
}

#[test]
fn paper_out_keeps_what_is_printed_and_goes_on_where_it_stood() {
    let lines: Vec<String> = (1..=10).map(|n| format!("line {n}")).collect();
    let job = [lines.join("\n").as_bytes(), b"\n\x1DV\x00"].concat();
    let mut machine = printed(Model { paper: Some(4), ..Model::default() }, &job);
    assert_eq!(machine.uncut().text(), "line 1\nline 2\nline 3\nline 4\n");
    assert!(machine.receipts().is_empty() && !machine.status().online);
    machine.receive(b"\x10\x04\x01\x10\x04\x02\x10\x04\x04");
    assert_eq!(machine.take_replies(), [0x1A, 0x32, 0x7E]);
    // Too little paper is not enough.
    machine.command(&Command::Refill { lines: Some(3) });
    assert_eq!(machine.uncut().text().lines().count(), 7);
    machine.command(&Command::Refill { lines: None });
    let receipt = &machine.receipts()[0];
    assert_eq!(receipt.text(), lines.join("\n") + "\n", "every line once, in order");
    assert_eq!(receipt.paper_changes, [4, 7]);
    machine.receive(b"\x10\x04\x01\x10\x04\x04");
    assert_eq!(machine.take_replies(), [0x12, 0x12]);
}

#[test]
fn a_picture_is_resumed_in_its_middle() {
    let raster =
        |rows: u8| [&[0x1D, 0x76, 0x30, 0, 1, 0, rows, 0][..], &(0..rows).collect::<Vec<u8>>()].concat();
    let whole = printed(Model::default(), &[&raster(100)[..], b"\x1DV\x00"].concat());
    let mut machine =
        printed(Model { paper: Some(2), ..Model::default() }, &[&raster(100)[..], b"\x1DV\x00"].concat());
    let Content::Image(part) = &machine.uncut().blocks[0].content else { panic!("an image") };
    assert_eq!(part.height(), 60, "two lines of 30 rows");
    machine.command(&Command::Refill { lines: None });
    assert_eq!(machine.receipts()[0].blocks, whole.receipts()[0].blocks);
}

#[test]
fn beyond_its_buffer_it_takes_no_more() {
    let mut machine = printed(Model { paper: Some(1), buffer: 100, ..Model::default() }, b"one\n");
    assert_eq!(machine.room(), 100);
    machine.receive(&[b'x'; 60]);
    assert_eq!((machine.room(), machine.status().waiting), (40, 60));
    machine.receive(b"\x10\x04\x04");
    assert_eq!(machine.take_replies(), [0x7E], "asked and answered in real time all the same");
    machine.command(&Command::Refill { lines: None });
    assert_eq!((machine.room(), machine.status().waiting), (usize::MAX, 0));
}

#[test]
fn power_off_loses_what_was_not_on_paper() {
    let mut machine = printed(Model { paper: Some(1), ..Model::default() }, b"one\ntwo\nthree\n\x1DV\x00");
    machine.command(&Command::PowerCycle {});
    machine.command(&Command::Refill { lines: None });
    assert_eq!((machine.uncut().text().as_str(), machine.receipts().len()), ("one\n", 0));
}

#[test]
fn each_trouble_has_its_bits() {
    let ask = |command: Command| {
        let mut machine = printed(Model::default(), b"");
        machine.command(&command);
        machine.receive(b"\x10\x04\x01\x10\x04\x02\x10\x04\x03\x10\x04\x04");
        machine.take_replies()
    };
    assert_eq!(ask(Command::Cover { open: false }), [0x12; 4]);
    assert_eq!(ask(Command::Cover { open: true }), [0x1A, 0x16, 0x12, 0x12]);
    assert_eq!(ask(Command::Offline { on: true }), [0x1A, 0x12, 0x12, 0x12]);
    assert_eq!(ask(Command::Paper { lines: 5 }), [0x12, 0x12, 0x12, 0x1E]);
    assert_eq!(ask(Command::Fault { fault: Some(Fault::Cutter) }), [0x1A, 0x52, 0x1A, 0x12]);
    assert_eq!(ask(Command::Fault { fault: Some(Fault::Unrecoverable) }), [0x1A, 0x52, 0x32, 0x12]);
    assert_eq!(ask(Command::Fault { fault: Some(Fault::Overheat) }), [0x1A, 0x52, 0x52, 0x12]);
    assert_eq!(ask(Command::Drawer { high: true }), [0x16, 0x12, 0x12, 0x12]);
}

#[test]
fn changes_are_told_unasked_once_asked_for() {
    let mut machine = printed(Model { paper: Some(10), ..Model::default() }, b"\x1Da\xFF");
    assert_eq!(machine.take_replies(), [0x10, 0, 0, 0]);
    machine.receive(b"1\n2\n");
    assert_eq!(machine.take_replies(), [0x10, 0, 0x03, 0], "near the end");
    machine.receive(b"3\n4\n5\n6\n7\n8\n9\n10\n");
    assert_eq!(machine.take_replies(), [0x18, 0, 0x0F, 0], "out");
    machine.command(&Command::Refill { lines: None });
    assert_eq!(machine.take_replies(), [0x10, 0, 0, 0]);
    machine.connected();
    machine.command(&Command::Cover { open: true });
    assert!(machine.take_replies().is_empty(), "a new connection has not asked");
}

#[test]
fn without_a_cutter_the_paper_hangs_until_it_is_torn() {
    let mut machine = printed(Model { cutter: false, ..Model::default() }, b"a\n\x1DV\x00b\n");
    assert!(machine.receipts().is_empty());
    machine.command(&Command::Tear {});
    assert_eq!((machine.receipts()[0].text().as_str(), machine.receipts()[0].cut), ("a\nb\n", Cut::Torn));
}

#[test]
fn what_is_no_command_is_kept_as_evidence() {
    let machine = printed(Model::default(), b"a\x07\x1B\x7Fb\n");
    assert_eq!(machine.unknown(), [vec![0x07], vec![0x1B, 0x7F]]);
    assert_eq!(machine.uncut().text(), "ab\n");
}

/// The whole of a Chinese receipt, for the eye as well: `TILL_SIM_SAMPLE=/some/file.png` keeps the picture.
#[test]
fn a_chinese_receipt_becomes_a_picture() {
    let two = |left: &str, right: &str, columns: usize| {
        let width = |s: &str| s.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum::<usize>();
        let space = " ".repeat(columns.saturating_sub(width(left) + width(right)));
        gb(&format!("{left}{space}{right}\n"))
    };
    let rule = [b"-".repeat(48), b"\n".to_vec()].concat();
    let raster = [&[0x1D, 0x76, 0x30, 0, 12, 0, 24, 0][..], &[0xF0; 12 * 24]].concat();
    let code = b"\x1Dh\x50\x1Dw\x02\x1DH\x02\x1DkI\x0E{BT20260901{C\x0C\x22";
    let mut code = code.to_vec();
    code[12] = u8::try_from(code.len() - 13).unwrap();
    let qr = b"\x1D(k\x03\x001C\x06\x1D(k\x03\x001E1\x1D(k\x1E\x001P0https://example.com/r/20260901\x1D(k\x03\x001Q0";
    let mut qr = qr.to_vec();
    let at = qr.windows(3).position(|w| w == b"1P0").unwrap();
    qr[at - 2] = 3 + 30;
    let job = [
        b"\x1B@\x1C&\x1Ba\x01\x1D!\x11".to_vec(),
        gb("明月茶馆\n"),
        b"\x1D!\x00".to_vec(),
        gb("上海市黄浦区南京东路 1 号\n"),
        b"\x1Ba\x00".to_vec(),
        rule.clone(),
        two("商品 Item", "金额 CNY", 48),
        rule.clone(),
        two("龙井茶 Longjing ×2", "96.00", 48),
        two("桂花糕", "32.50", 48),
        rule.clone(),
        b"\x1BE\x01\x1D!\x01".to_vec(),
        two("合计 TOTAL", "￥128.50", 48),
        b"\x1D!\x00\x1BE\x00".to_vec(),
        b"\x1B!\x80underlined\x1B!\x01 small font\x1B!\x00\x1DB\x01".to_vec(),
        gb(" 反白 inverse "),
        b"\x1DB\x00\n".to_vec(),
        two("支付方式", "银联卡 620000******0005", 48),
        two("凭证号 000002", "参考号 093015000002", 48),
        b"\x1Ba\x01".to_vec(),
        raster,
        code,
        b"\n".to_vec(),
        qr,
        gb("谢谢惠顾，欢迎再来！\n"),
        b"\x1Bp\x00\x32\x32\x1DVB\x40".to_vec(),
    ]
    .concat();
    let machine = printed(Model::default(), &job);
    assert!(
        machine.unknown().is_empty() && machine.notes().is_empty(),
        "{:?} {:?}",
        machine.unknown(),
        machine.notes()
    );
    let receipt = &machine.receipts()[0];
    let text = receipt.text();
    assert!(text.contains("桂花糕") && text.contains("[QR: https://example.com/r/20260901]"), "{text}");
    let fonts = Fonts::find();
    let png = receipt.png(&fonts).unwrap();
    let picture = image::load_from_memory(&png).unwrap().into_luma8();
    assert_eq!(picture.width(), 576 + 48);
    let dark = picture.pixels().filter(|p| p.0[0] < 128).count();
    assert!(dark > 20_000, "text, rules and symbols leave ink: {dark}");
    assert!(receipt.png(&Fonts::none()).is_ok(), "boxes without a font");
    if let Some(path) = std::env::var_os("TILL_SIM_SAMPLE") {
        std::fs::write(path, png).unwrap();
        println!("{}", receipt.terminal_text());
    }
}
