//! Any text as a merchant's receipt template: refused with its line, or it prints every sample, within bounds, with the total
//! and the number on it.
#![cfg_attr(feature = "libfuzzer", no_main)]

use till_plugin::document::Block;
use till_receipt::{Language, Template, samples};

/// Far more than any receipt: what a template makes is bounded however it is written.
const BLOCKS: usize = 500;

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let template = match Template::load(text) {
        Ok(template) => template,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    for sample in [Language::Chinese, Language::English].into_iter().flat_map(samples) {
        let document = template.render(&sample.slip).expect("it was tried on this very sample");
        assert!(document.blocks.len() <= BLOCKS && document.blocks.last() == Some(&Block::Cut));
        let shown = format!("{document:?}");
        assert!(shown.contains(&sample.slip.total) && shown.contains(&sample.slip.number));
    }
}

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
