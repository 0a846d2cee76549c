//! Objects of a card's answer, beside the `emv` crate: a part of `./bench devices`.

#![allow(clippy::float_arithmetic)] // ratios for people

use std::hint::black_box;
use std::process::ExitCode;

use allocation_counter::measure;
use till_benches::devices::{self, best, row};
use till_benches::figures::time;
use till_benches::table::Row;
use till_benches::{Effort, Outcome};
use till_driver_nfc::emv::tlv::{self, Tag};

/// A card's answer to SELECT: name, list of what it wants to know, label, languages, log entry.
fn selected() -> Vec<u8> {
    let object = |tag: u32, value: &[u8]| {
        let mut bytes = Vec::new();
        tlv::write(&mut bytes, Tag(tag), value);
        bytes
    };
    let wanted =
        b"\x9f\x66\x04\x9f\x02\x06\x9f\x03\x06\x9f\x1a\x02\x95\x05\x5f\x2a\x02\x9a\x03\x9c\x01\x9f\x37\x04";
    let more = object(0xBF0C, &[object(0x9F4D, &[0x0B, 0x0A]), object(0xDF4D, &[0x0C, 0x0A])].concat());
    let own = [
        object(0x9F38, wanted),
        object(0x50, b"TEST CARD"),
        object(0x87, &[1]),
        object(0x5F2D, b"zhen"),
        more,
    ];
    let name = object(0x84, &[0xA0, 0, 0, 0x03, 0x33, 1, 1, 2]);
    object(0x6F, &[name, object(0xA5, &own.concat())].concat())
}

/// Every object of a card's answer, at every level, beside the `emv` crate.
fn objects(effort: Effort) -> Outcome<Vec<Row>> {
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
    let bytes = selected();
    let mut seen = 0;
    walk(&bytes, &mut seen)?;
    if seen != 10 {
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
    Ok(vec![ours.beside(format!("emv crate, {}, {allocations} allocations", time(peer)), micros / peer)])
}

fn main() -> ExitCode {
    devices::main(objects)
}
