//! Looks for secrets where they must not be, in every shape in which a program could have left them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Something that must be found nowhere: a name for people, and its shapes.
#[derive(Clone)]
pub struct Needle {
    name: String,
    shapes: Vec<(&'static str, Vec<u8>)>,
}

/// A secret in a place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Which secret.
    pub what: String,
    /// In which shape.
    pub shape: &'static str,
    /// Where.
    pub place: String,
}

fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(unit).collect()
}

pub(crate) fn lower_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, b| {
        let _infallible = write!(text, "{b:02x}");
        text
    })
}

/// What of the base64 of a longer text is surely the same wherever in it these bytes begin.
fn base64_shapes(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut shapes = Vec::new();
    for (skip, shape) in [(0_usize, "base64"), (1, "base64+1"), (2, "base64+2")] {
        let mut padded = vec![0; skip];
        padded.extend_from_slice(bytes);
        let text = STANDARD.encode(&padded);
        let (from, to) = ((skip * 8).div_ceil(6), padded.len() * 8 / 6);
        shapes.push((shape, text.as_bytes().get(from..to).unwrap_or_default().to_vec()));
    }
    shapes
}

fn packed(digits: &str, swap: bool) -> Vec<u8> {
    let value = |b: u8| b.wrapping_sub(b'0') & 0x0f;
    let pair = |p: &[u8]| {
        let (high, low) = (value(p[0]), value(p[1]));
        if swap { low << 4 | high } else { high << 4 | low }
    };
    digits.as_bytes().chunks_exact(2).map(pair).collect()
}

impl Needle {
    /// Digits: a card or code number, or discretionary data.
    pub fn digits(name: &str, digits: &str) -> Self {
        let mut needle = Self::bytes(name, digits.as_bytes());
        let odd = digits.get(1..).unwrap_or_default();
        needle.shapes.extend([
            ("utf-16le", utf16(digits, u16::to_le_bytes)),
            ("utf-16be", utf16(digits, u16::to_be_bytes)),
            ("bcd", packed(digits, false)),
            ("bcd+1", packed(odd, false)),
            ("nibbles reversed", packed(digits, true)),
            ("nibbles reversed+1", packed(odd, true)),
        ]);
        needle
    }

    /// Bytes: a key.
    pub fn bytes(name: &str, bytes: &[u8]) -> Self {
        let hex = lower_hex(bytes);
        let mut shapes = vec![("plain", bytes.to_vec()), ("HEX", hex.to_ascii_uppercase().into_bytes())];
        shapes.push(("hex", hex.into_bytes()));
        shapes.extend(base64_shapes(bytes));
        // A list of numbers, as a careless `{:?}` prints it.
        let debug = format!("{bytes:?}");
        shapes.push(("debug", debug.trim_matches(['[', ']']).as_bytes().to_vec()));
        Self { name: name.to_owned(), shapes }
    }

    /// All shapes, for a control that must find each.
    pub fn shapes(&self) -> &[(&'static str, Vec<u8>)] {
        &self.shapes
    }
}

/// All shapes of all secrets, looked for in one pass: there are megabytes to look through.
pub struct Search<'n> {
    automaton: AhoCorasick,
    /// Of each pattern: its secret and its shape.
    patterns: Vec<(&'n str, &'static str)>,
}

impl<'n> Search<'n> {
    /// Looks for these.
    ///
    /// # Panics
    /// They are more than 2^31.
    pub fn new(needles: &'n [Needle]) -> Self {
        let shapes = || needles.iter().flat_map(|n| n.shapes.iter().map(move |s| (n, s)));
        let automaton = AhoCorasick::new(shapes().map(|(_, (_, bytes))| bytes));
        Self {
            automaton: automaton.unwrap_or_else(|e| panic!("{e}")),
            patterns: shapes().map(|(needle, (shape, _))| (needle.name.as_str(), *shape)).collect(),
        }
    }

    /// Looks through bytes; each secret is told once a place and shape.
    pub fn bytes(&self, place: &str, hay: &[u8], found: &mut Vec<Found>) {
        let mut seen = BTreeSet::new();
        for hit in self.automaton.find_overlapping_iter(hay) {
            let number = hit.pattern().as_usize();
            if let Some((what, shape)) = self.patterns.get(number).filter(|_| seen.insert(number)) {
                found.push(Found { what: (*what).to_owned(), shape, place: place.to_owned() });
            }
        }
    }

    fn files(&self, dir: &Path, except: &[&str], found: &mut Vec<Found>) -> std::io::Result<usize> {
        let mut count = 0;
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if except.iter().any(|e| path == dir.join(e)) {
                continue;
            }
            if kind.is_dir() {
                count += self.files(&path, &[], found)?;
            } else if kind.is_file() {
                count += 1;
                self.bytes(&path.display().to_string(), &fs::read(&path)?, found);
            }
        }
        Ok(count)
    }
}

/// Looks through bytes.
pub fn bytes(place: &str, hay: &[u8], needles: &[Needle]) -> Vec<Found> {
    let mut found = Vec::new();
    Search::new(needles).bytes(place, hay, &mut found);
    found
}

/// Looks through every file below a folder but its own entries in `except`; gives how many there were.
pub fn files(
    dir: &Path,
    except: &[&str],
    needles: &[Needle],
    found: &mut Vec<Found>,
) -> std::io::Result<usize> {
    Search::new(needles).files(dir, except, found)
}
