//! Our stream and python-escpos's for the same content, compared by what an independent printer makes of them.
//!
//! `drivers/printer/compare/run` gets the peer and runs this; without its streams nothing is compared.

#![allow(clippy::unwrap_used, clippy::expect_used)] // clippy knows tests by their attribute only

use std::collections::BTreeMap;

use till_driver_printer::encode::{self, Marks};
use till_driver_printer::profile::Profile;
use till_paper::{Content, Machine, Model};
use till_plugin::document::{Align, Block, Document, Style};

/// Character, left edge, times wide, times tall, bold.
type Glyph = (char, u32, u32, u32, bool);

/// What a person, a phone and a drawer get.
#[derive(Debug, PartialEq, Eq)]
struct Effect {
    lines: Vec<Vec<Glyph>>,
    /// Kind and content.
    symbols: Vec<(&'static str, String)>,
    cuts: usize,
    /// Connector pin and time.
    pulses: Vec<(u8, u32)>,
}

fn effect(chinese: bool, bytes: &[u8]) -> (Effect, Vec<String>) {
    let mut machine = Machine::new(Model { chinese, ..Model::default() });
    machine.receive(bytes);
    assert!(machine.unknown().is_empty(), "{:02X?}", machine.unknown());
    let rest = machine.uncut();
    let blocks = machine.receipts().iter().flat_map(|r| &r.blocks).chain(&rest.blocks);
    let (mut lines, mut symbols) = (Vec::new(), Vec::new());
    for block in blocks {
        match &block.content {
            Content::Line(cells, _) if !cells.is_empty() => {
                let cell =
                    |c: &till_paper::Cell| (c.ch, block.x + c.x, c.style.wide, c.style.tall, c.style.bold);
                lines.push(cells.iter().map(cell).collect());
            }
            Content::Symbol(symbol) => symbols.push((symbol.kind, symbol.data.clone())),
            _ => {}
        }
    }
    let pulses = machine.pulses().iter().map(|p| (p.pin, p.on_ms)).collect();
    let cuts = machine.receipts().len();
    (Effect { lines, symbols, cuts, pulses }, machine.notes().to_vec())
}

fn text(text: &str, align: Align, style: Style) -> Block {
    Block::Text { text: text.into(), align, style }
}

/// Name, whether the firmware is Chinese, profile, content: the same as in compare/streams.py.
fn contents() -> Vec<(&'static str, bool, &'static str, Document)> {
    let document = |blocks: Vec<Block>| Document { blocks };
    let line = |s: &str| text(s, Align::Left, Style::PLAIN);
    let latin = "latin-80";
    vec![
        ("plain", false, latin, document(vec![line("Hello\nWorld")])),
        (
            "looks",
            false,
            latin,
            document(vec![
                text("Tea House", Align::Centre, Style::BIG),
                text("Total", Align::Right, Style::BOLD),
                line("end"),
            ]),
        ),
        ("latin", false, latin, document(vec![line("Käse 5 € Größe")])),
        (
            "qr",
            false,
            latin,
            document(vec![Block::Qr { data: "https://example.com/r/00000018".into(), module_dots: 6 }]),
        ),
        ("barcode", false, latin, document(vec![Block::Barcode { data: "00000018".into() }])),
        ("cut", false, latin, document(vec![line("paid"), Block::Cut])),
        ("drawer", false, latin, document(vec![Block::DrawerPulse { pin: 0, on_ms: 100 }])),
        ("chinese", true, "generic-80", document(vec![line("小王茶馆\n金额 128.50")])),
    ]
}

#[test]
fn a_printer_makes_the_same_of_both() {
    let Some(path) = std::env::var_os("TILL_ESCPOS_STREAMS") else {
        println!("skipped: no streams of python-escpos; drivers/printer/compare/run makes them");
        return;
    };
    let theirs: BTreeMap<String, String> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(theirs.len(), contents().len(), "every content is compared");
    println!("{:<10} {:>6} {:>14}", "content", "ours", "python-escpos");
    for (name, chinese, profile, document) in contents() {
        let profile = Profile::built_in(profile).unwrap();
        let atoms = encode::encode(&profile, &document, Marks::default()).unwrap();
        let ours: Vec<u8> = atoms.iter().flat_map(|atom| atom.bytes.clone()).collect();
        let peer = hex::decode(&theirs[name]).unwrap();
        println!("{name:<10} {:>6} {:>14}", ours.len(), peer.len());
        let ((ours, our_notes), (peer, peer_notes)) = (effect(chinese, &ours), effect(chinese, &peer));
        assert_eq!(ours, peer, "{name}: left ours");
        if our_notes != peer_notes {
            println!("           notes: ours {our_notes:?}, theirs {peer_notes:?}");
        }
    }
}
