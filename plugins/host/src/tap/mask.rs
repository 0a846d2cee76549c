//! What a recording keeps of the bytes. A masker sees one direction from the recording's start on, in whatever pieces it
//! comes; that a number was cut in two never shows any of it.

mod keys;

use till_plugin::proto::traffic::{Masking, Run};

use keys::Keys;

/// Digits in a row that may be an account number or a payment code (as in the daemon's log).
const MASK_FROM: usize = 13;
/// What may stand between the digits of one number: groups, fields of a track, a wrapped line.
const BETWEEN: &[u8] = b" -=\r\n";
/// How many of these in a row.
const MOST_BETWEEN: usize = 2;

/// Masks one direction.
pub(super) enum Masker {
    Raw,
    Lengths,
    /// Everything so far was text.
    Text,
    Digits(Digits),
    Keys(Keys),
}

impl Masker {
    /// `read`: bytes that passed before.
    pub(super) fn new(masking: Masking, read: usize) -> Self {
        match masking {
            Masking::Raw => Self::Raw,
            Masking::Lengths => Self::Lengths,
            Masking::Text => Self::Text,
            // What passed just before may have been digits.
            Masking::Digits => Self::Digits(Digits { open: true, between: 0 }),
            Masking::Keys => Self::Keys(Keys::new(read)),
        }
    }

    /// What is kept of the next bytes.
    pub(super) fn mask(&mut self, bytes: &[u8]) -> Vec<Run> {
        if matches!(self, Self::Text) && !bytes.iter().all(|b| is_text(*b)) {
            *self = Self::Lengths;
        }
        match self {
            Self::Raw => vec![Run::Known(bytes.to_vec())],
            Self::Lengths => vec![masked(bytes.len())],
            Self::Text => runs(bytes, bytes.iter().map(|b| keeps(*b))),
            Self::Digits(digits) => digits.mask(bytes),
            Self::Keys(keys) => keys.mask(bytes),
        }
    }
}

fn masked(length: usize) -> Run {
    Run::Masked(u32::try_from(length).unwrap_or(u32::MAX))
}

/// Printable, or a control character of readers: line ends, tab, STX, ETX, EOT, and the separators of GS1.
const fn is_text(b: u8) -> bool {
    matches!(b, b' '..=b'~' | b'\r' | b'\n' | b'\t' | 0x02..=0x04 | 0x1C..=0x1F)
}

/// Line ends and separators. None of them is two decimal digits packed into a byte, so that even a number that happens to
/// look like text shows nothing.
const fn keeps(b: u8) -> bool {
    matches!(b, b'\r' | b'\n' | b';' | b'=' | b'?' | b'^')
}

/// Bytes with what is kept of them, as runs.
fn runs(bytes: &[u8], kept: impl Iterator<Item = bool>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (b, keep) in bytes.iter().zip(kept) {
        match (runs.last_mut(), keep) {
            (Some(Run::Known(known)), true) => known.push(*b),
            (_, true) => runs.push(Run::Known(vec![*b])),
            (Some(Run::Masked(n)), false) => *n = n.saturating_add(1),
            (_, false) => runs.push(Run::Masked(1)),
        }
    }
    runs
}

/// Numbers in what is otherwise kept.
pub(super) struct Digits {
    /// The last piece ended within a number, as far as anybody knows.
    open: bool,
    /// Separators since its last digit.
    between: usize,
}

impl Digits {
    fn mask(&mut self, bytes: &[u8]) -> Vec<Run> {
        let mut keep = vec![true; bytes.len()];
        let mut number: Vec<usize> = Vec::new();
        let mut at_edge = self.open;
        let mut between = self.between;
        for (at, b) in bytes.iter().enumerate() {
            if b.is_ascii_digit() {
                number.push(at);
                between = 0;
            } else if (at_edge || !number.is_empty()) && BETWEEN.contains(b) && between < MOST_BETWEEN {
                between += 1;
            } else {
                close(&mut keep, &mut number, at_edge);
                (at_edge, between) = (false, 0);
            }
        }
        // It may go on in the next piece: what is here is not shown.
        self.open = at_edge || !number.is_empty();
        self.between = between;
        close(&mut keep, &mut number, true);
        runs(bytes, keep.into_iter())
    }
}

fn close(keep: &mut [bool], number: &mut Vec<usize>, at_edge: bool) {
    if at_edge || number.len() >= MASK_FROM {
        for at in number.iter() {
            keep[*at] = false;
        }
    }
    number.clear();
}

#[cfg(test)]
mod tests;
