//! A receipt from document to bytes, beside python-escpos: a part of `./bench devices`.

#![allow(clippy::float_arithmetic)] // ratios for people

use std::hint::black_box;
use std::process::ExitCode;

use till_benches::devices::{self, row};
use till_benches::figures::time;
use till_benches::table::Row;
use till_benches::{Effort, Outcome};
use till_driver_printer::encode::{self, Marks};
use till_driver_printer::profile::Profile;
use till_plugin::document::{Align, Block, Document, Style};

/// A card receipt as tilld makes it, 20 lines; the same as `receipt` in drivers/printer/compare/streams.py.
fn receipt(text: [&str; 3]) -> Document {
    let centred = |text: &str, style| Block::Text { text: text.into(), align: Align::Centre, style };
    let mut document = Document::new()
        .with(centred(text[0], Style::BIG))
        .with(centred(text[1], Style::PLAIN))
        .with(Block::Rule { with: '-' });
    for n in 0..14 {
        document = document.pair(format!("{} {n:02}", text[2]), "112233445566");
    }
    let total = Block::Pair { label: "TOTAL".into(), value: "128.50".into(), style: Style::BOLD };
    document.with(Block::Rule { with: '-' }).with(total).with(Block::Cut)
}

/// `TILL_ESCPOS_US`: python-escpos's time for the first of them (`drivers/printer/compare/run --bench` sets it).
fn receipts(effort: Effort) -> Outcome<Vec<Row>> {
    let latin = receipt(["Tea House", "100 Nanjing East Road", "Line"]);
    let chinese = receipt(["小王茶馆", "上海市南京东路100号", "凭证号"]);
    let mut rows = Vec::new();
    for (profile, document) in [("latin-80", &latin), ("generic-80", &chinese), ("generic-58", &chinese)] {
        let profile = Profile::built_in(profile)?;
        let once = || encode::encode(black_box(&profile), black_box(document), Marks::default());
        let sent: usize = once()?.iter().map(|atom| atom.bytes.len()).sum();
        let what = format!("receipt of 20 lines → {sent} bytes, {}", profile.name);
        let (row, micros) = row(&what, effort, || drop(black_box(once())));
        let peer = std::env::var("TILL_ESCPOS_US").ok().filter(|_| rows.is_empty());
        let peer = peer.and_then(|us| us.trim().parse::<f64>().ok());
        rows.push(match peer {
            Some(peer) => row.beside(format!("python-escpos 3.1, {}", time(peer)), micros / peer),
            None => row,
        });
    }
    Ok(rows)
}

fn main() -> ExitCode {
    devices::main(receipts)
}
