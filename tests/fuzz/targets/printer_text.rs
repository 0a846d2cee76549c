//! Any text in any field with any profile: no control byte but the encoder's own reaches the wire, and laying out ends.
#![cfg_attr(feature = "libfuzzer", no_main)]

use till_driver_printer::encode::{self, Marks};
use till_driver_printer::profile::Profile;
use till_plugin::document::{Align, Block, Cell, Document, Style};

pub(crate) fn run(data: &[u8]) {
    let Some((&pick, rest)) = data.split_first() else { return };
    let names = Profile::names();
    let profile = Profile::built_in(names[usize::from(pick) % names.len()]).unwrap();
    let text = String::from_utf8_lossy(rest).into_owned();
    let set = profile.charset();
    assert!(set.encode(&text).iter().all(|b| *b >= 0x20 && *b != 0x7F));
    let cell = |width| Cell { text: text.clone(), width, align: Align::Right };
    let document = Document::new()
        .with(Block::Text { text: text.clone(), align: Align::Centre, style: Style::BIG })
        .with(Block::Pair { label: text.clone(), value: text.clone(), style: Style::PLAIN })
        .with(Block::Row(vec![cell(pick), cell(20), cell(1)]))
        .with(Block::Rule { with: text.chars().next().unwrap_or('-') });
    let Ok(atoms) = encode::encode(&profile, &document, Marks::default()) else { return };
    let bytes: Vec<u8> = atoms.iter().flat_map(|atom| atom.bytes.iter().copied()).collect();
    let allowed =
        |b: u8| matches!(b, 0..=2 | 0x08 | 0x0A | 0x0C | 0x10 | 0x11 | 0x1B | 0x1C | 0x1D) || b >= 0x20;
    assert!(bytes.iter().all(|b| allowed(*b) && *b != 0x7F));
    // Every control byte belongs to a command of ours: after ESC, FS and GS stand only the ones that a text needs.
    for pair in bytes.windows(2) {
        match pair[0] {
            0x1B => assert!(b"@atE".contains(&pair[1])),
            0x1C => assert!(b"&.!".contains(&pair[1])),
            0x1D => assert!(b"a!".contains(&pair[1])),
            _ => {}
        }
    }
    assert!(!bytes.windows(2).any(|w| w[0] == 0x10 && matches!(w[1], 4 | 5 | 0x14)));
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
