//! What a host tells of its transport while that is recorded (`tillctl record`).
//!
//! The bytes are masked in the plugin's process, before they leave it: a redacted recording never was anything else.

use serde::{Deserialize, Serialize};

use crate::driver::class;
use crate::host::TransportKind;

/// Most bytes of one [`Piece`].
pub const MAX_PIECE: usize = 16 * 1024;

/// What a recording keeps of the bytes.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Masking {
    /// Lengths and times only.
    Lengths,
    /// Of text: line ends and separators; every other byte is masked. From the first byte that is no text on: lengths.
    Text,
    /// Of key events: their times, presses and releases, Enter, Tab, `;`, `=` and `?`; every other key becomes the key 0.
    Keys,
    /// Everything but digits in runs of 13 and more, and at the edges of a read or write.
    Digits,
    /// Everything.
    Raw,
}

impl Masking {
    /// The strongest record that cannot hold card data: by the transport's kind and everything that the device is.
    ///
    /// Only what is known to carry no card keeps its bytes; a class that is not known counts as a card reader.
    pub fn redacted<'a>(kind: TransportKind, classes: impl IntoIterator<Item = &'a str>) -> Self {
        let mut classes = classes.into_iter().peekable();
        let some = classes.peek().is_some();
        let (mut harmless, mut text) = (some, some);
        for c in classes {
            harmless &=
                [class::PRINTER, class::DRAWER, class::DISPLAY, class::VOICE, class::SIGNAL].contains(&c);
            text &= [class::MAGSTRIPE, class::SCANNER].contains(&c);
        }
        match kind {
            TransportKind::Evdev => Self::Keys,
            TransportKind::Hidraw | TransportKind::I2c | TransportKind::Spi | TransportKind::Ccid => {
                Self::Lengths
            }
            _ if harmless => Self::Digits,
            _ if text => Self::Text,
            _ => Self::Lengths,
        }
    }

    /// Lower-kebab name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lengths => "lengths",
            Self::Text => "text",
            Self::Keys => "keys",
            Self::Digits => "digits",
            Self::Raw => "raw",
        }
    }

    /// What is kept and why no more, one line for people.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Lengths => {
                "lengths and times only: card data in binary reports and frames cannot be told from the rest"
            }
            Self::Text => {
                "every byte but line ends and ; = ? ^ is masked, as it may be card data; after a byte that is no text, lengths only"
            }
            Self::Keys => {
                "every key but Enter, Tab and ; = ? is written as the key 0, as it may be card data"
            }
            Self::Digits => "digits in runs of 13 and more, and at the edges of a read or write, are masked",
            Self::Raw => "EVERYTHING, ALSO CARD DATA: do not pass it on",
        }
    }
}

/// A stretch of bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Run {
    /// These bytes.
    Known(Vec<u8>),
    /// So many that are masked.
    Masked(u32),
}

impl Run {
    /// How many bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Known(bytes) => bytes.len(),
            Self::Masked(n) => usize::try_from(*n).unwrap_or(usize::MAX),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Something that passed a recorded transport.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// When, `CLOCK_BOOTTIME` ms.
    pub at_ms: u64,
    /// Pieces given up since the last one because the daemon did not keep up.
    pub dropped: u64,
    /// What.
    pub what: Passed,
}

/// What passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Passed {
    /// From the device.
    In(Vec<Run>),
    /// To the device.
    Out(Vec<Run>),
    /// One line about the transport (an error). No bytes of it.
    Note(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use TransportKind as K;

    #[test]
    fn only_what_carries_no_card_keeps_its_bytes() {
        let of = |kind, classes: &[&str]| Masking::redacted(kind, classes.iter().copied());
        assert_eq!(of(K::Tcp, &["printer", "drawer"]), Masking::Digits);
        assert_eq!(of(K::Serial, &["scanner"]), Masking::Text);
        assert_eq!(of(K::Serial, &["contactless"]), Masking::Lengths);
        assert_eq!(of(K::Serial, &["pinpad"]), Masking::Lengths);
        // A printer with a card slot, a class of tomorrow, a device that does not say what it is.
        assert_eq!(of(K::Usb, &["printer", "magstripe"]), Masking::Lengths);
        assert_eq!(of(K::Usb, &["palm-reader"]), Masking::Lengths);
        assert_eq!(of(K::Usb, &[]), Masking::Lengths);
        for class in ["printer", "scanner", "magstripe", "contactless"] {
            assert_eq!(of(K::Evdev, &[class]), Masking::Keys);
            assert_eq!(of(K::Hidraw, &[class]), Masking::Lengths);
        }
    }
}
