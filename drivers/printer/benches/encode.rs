//! What a receipt costs before it is sent: time and allocations of one, from document to bytes.
//!
//! `cargo bench -p till-driver-printer`. `TILL_ESCPOS_US`: python-escpos's time for the same receipt, for the same run
//! (`drivers/printer/compare/run --bench` sets it).

#![allow(unsafe_code)] // a counting allocator
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::float_arithmetic, clippy::cast_precision_loss)] // figures for people

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use till_driver_printer::encode::{self, Marks};
use till_driver_printer::profile::Profile;
use till_plugin::document::{Align, Block, Document, Style};

struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator with the arguments it came with; counting touches no memory of theirs.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
        BYTES.fetch_add(layout.size() as u64, Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A card receipt as tilld makes it, 20 lines; the same as `receipt` in compare/streams.py.
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

fn main() {
    println!(
        "| receipt of 20 lines, document to bytes | time | allocations | bytes allocated | bytes sent |"
    );
    println!("|---|---|---|---|---|");
    let latin = receipt(["Tea House", "100 Nanjing East Road", "Line"]);
    let chinese = receipt(["小王茶馆", "上海市南京东路100号", "凭证号"]);
    let ours = figure("latin-80", &latin);
    figure("generic-80", &chinese);
    figure("generic-58", &chinese);
    if let Some(peer) = std::env::var("TILL_ESCPOS_US").ok().and_then(|us| us.trim().parse::<f64>().ok()) {
        println!("| python-escpos 3.1, the first of these | {peer:.0} µs | | | |");
        println!("\nours / python-escpos: {:.4}", ours / peer);
    }
}

/// Prints a row; gives the best time, µs.
fn figure(profile: &str, document: &Document) -> f64 {
    let profile = Profile::built_in(profile).unwrap();
    let once = || encode::encode(black_box(&profile), black_box(document), Marks::default()).unwrap();
    let sent: usize = once().iter().map(|atom| atom.bytes.len()).sum();
    let before = (COUNT.load(Relaxed), BYTES.load(Relaxed));
    let atoms = once();
    let (count, bytes) = (COUNT.load(Relaxed) - before.0, BYTES.load(Relaxed) - before.1);
    drop(black_box(atoms));
    // The best of many batches: what the machine's other work adds is not ours.
    const BATCH: u32 = 200;
    let best = (0..200)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..BATCH {
                black_box(once());
            }
            began.elapsed().as_secs_f64() * 1e6 / f64::from(BATCH)
        })
        .fold(f64::INFINITY, f64::min);
    println!("| {} | {best:.1} µs | {count} | {bytes} | {sent} |", profile.name);
    best
}
