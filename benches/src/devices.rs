//! What drivers make of bytes, one operation at a time with its allocations: nothing here waits for a device.

use std::hint::black_box;
use std::time::{Duration, Instant};

use allocation_counter::measure;
use till_core::recognise::{Recognised, Table, recognise};
use till_driver_magstripe::card::Card;
use till_driver_magstripe::swipe::{self, End, Times};
use till_driver_nfc::emv::tlv;
use till_driver_printer::encode::{self, Marks};
use till_driver_printer::profile::Profile;
use till_driver_scanner::assemble::{self, Framing};
use till_driver_scanner::code::{self, AimPolicy, Charset};
use till_plugin::document::{Align, Block, Document, Style};
use till_plugin::instrument::ScannedCode;
use till_plugin::{Instrument, Sensitive};

use crate::figures::time;
use crate::table::Row;
use crate::{Effort, Outcome};

/// Tracks 1 and 2 of a card from a scheme's test range, as a keyboard reader types them.
const SWIPE: &str =
    "%B6200000000000005^TEST/CARD^30122010000000000000?;6200000000000005=30122010000000000000?\r";

/// A payment code of a phone, and Enter.
const SCAN: &str = "281234567890123456\r";

/// A card's answer to SELECT: name, list of what it wants to know, label, log entry.
const SELECTED: &str = "6f4f8408a000000333010102a5439f38189f66049f02069f03069f1a0295055f2a029a039c019f3704\
                        500a4d5920555020434152445f2d027a68870101bf0c159f4d020b0adf4d020c0a9f0a080001050100000000";

/// Time of one operation, the best of many batches: what the machine's other work adds is not ours. Microseconds.
fn best(effort: Effort, mut once: impl FnMut()) -> f64 {
    const BATCH: u32 = 200;
    let batches = if effort == Effort::Quick { 20 } else { 200 };
    let batch = |_| {
        let began = Instant::now();
        (0..BATCH).for_each(|_| once());
        began.elapsed().as_secs_f64() * 1e6 / f64::from(BATCH)
    };
    (0..batches).map(batch).fold(f64::INFINITY, f64::min)
}

/// A row: what, its time, and what it allocates.
fn row(what: &str, effort: Effort, mut once: impl FnMut()) -> (Row, f64) {
    let memory = measure(&mut once);
    let micros = best(effort, once);
    let figure = format!("{}, {} allocations, {} B", time(micros), memory.count_total, memory.bytes_total);
    (Row::new(what, figure), micros)
}

/// All of them.
pub fn rows(effort: Effort) -> Outcome<Vec<Row>> {
    let mut rows = vec![swipes(effort)?, scans(effort)?, objects(effort)?];
    rows.extend(receipts(effort)?);
    Ok(rows)
}

/// Key by key as the kernel hands them over, to a card that was checked.
fn swipes(effort: Effort) -> Outcome<Row> {
    let mut keys = swipe::Assembler::new(End::Enter, Duration::from_millis(200), Duration::ZERO);
    let mut at = Duration::ZERO;
    let mut once = || {
        let mut card = None;
        for byte in SWIPE.bytes() {
            at += Duration::from_millis(2);
            keys.push(byte, Times { typed: at, now: at }, |outcome| {
                if let swipe::Outcome::Swipe(text) = outcome {
                    card = Card::read(&text, true).ok();
                }
            });
        }
        card
    };
    if once().is_none_or(|card| card.pan() != "6200000000000005") {
        return Err("the swipe to be measured is not read".into());
    }
    let what = format!("stripe: {} typed characters → card", SWIPE.len() - 1);
    Ok(row(&what, effort, || drop(black_box(once()))).0)
}

/// Bytes of a line to a code, and the code to the wallet that it is of.
fn scans(effort: Effort) -> Outcome<Row> {
    let table = Table::default();
    let mut line = assemble::Assembler::new(Framing::default());
    let mut at = Duration::ZERO;
    let mut once = || {
        at += Duration::from_secs(5);
        let mut found = None;
        line.push(SCAN.as_bytes(), at, |scan| {
            let code = scan.ok().and_then(|scan| code::read(scan, AimPolicy::Auto, Charset::Utf8).ok());
            found = code.map(|code| {
                let text = Sensitive::new(code.text.to_string());
                recognise(&Instrument::Code(ScannedCode { text, symbology: None }), &table)
            });
        });
        found
    };
    if !matches!(once(), Some(Recognised::Instrument { .. })) {
        return Err("the scan to be measured is not recognised".into());
    }
    Ok(row("scan: bytes of a line → code → whose it is", effort, || drop(black_box(once()))).0)
}

/// Every object of a card's answer, at every level, beside the `emv` crate.
fn objects(effort: Effort) -> Outcome<Row> {
    fn walk(bytes: &[u8], seen: &mut usize) -> Result<(), tlv::TlvError> {
        for object in tlv::objects(bytes) {
            let object = object?;
            *seen += 1;
            if object.tag.constructed() {
                walk(object.value, seen)?;
            }
        }
        Ok(())
    }
    let bytes: Vec<u8> = (0..SELECTED.len() / 2)
        .map(|at| u8::from_str_radix(&SELECTED[at * 2..at * 2 + 2], 16))
        .collect::<Result<_, _>>()?;
    let mut seen = 0;
    walk(&bytes, &mut seen)?;
    if seen < 9 {
        return Err(format!("the card's answer to be measured has {seen} objects").into());
    }
    let (ours, micros) = row("TLV: a card's answer to SELECT, every object", effort, || {
        let mut seen = 0;
        let _ = black_box(walk(black_box(&bytes), &mut seen));
        black_box(seen);
    });
    let theirs = || drop(black_box(emv::core::tlv::Tlv::parse_all(black_box(&bytes))));
    let allocations = measure(theirs).count_total;
    let peer = best(effort, theirs);
    Ok(ours.beside(format!("emv crate, {}, {allocations} allocations", time(peer)), micros / peer))
}

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
