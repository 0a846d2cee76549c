//! Bytes to scans: where one ends, wherever the reads fall.
//!
//! A scanner ends a code with a suffix (CR, LF, CR LF, TAB, ETX …) or, set up to send none, with silence. With a suffix the
//! scan is there with its last byte: nothing waits. Time is passed in. Memory is one buffer of fixed size, wiped after
//! each scan; a stream without end costs nothing more.

use std::time::Duration;

use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

/// Longest scan by default: the most digits a QR code holds (7,089, ISO/IEC 18004), an AIM prefix, and some air.
pub const DEFAULT_MAX: usize = 7_200;

/// What ends a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suffix {
    /// CR, LF or CR LF, whichever comes.
    Enter,
    /// Exactly these bytes, one or more.
    Bytes(Vec<u8>),
    /// Silence.
    Silence,
}

/// How a scanner frames its codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Framing {
    /// Bytes before each code, which are removed; mostly none.
    pub prefix: Vec<u8>,
    /// What ends a code.
    pub suffix: Suffix,
    /// The pause that ends a code where the suffix is silence.
    pub silence: Duration,
    /// The pause after which a code whose suffix has not come is given up.
    pub stall: Duration,
    /// Most bytes of one code, prefix and suffix included.
    pub max: usize,
}

impl Default for Framing {
    fn default() -> Self {
        Self {
            prefix: Vec::new(),
            suffix: Suffix::Enter,
            silence: Duration::from_millis(80),
            stall: Duration::from_secs(1),
            max: DEFAULT_MAX,
        }
    }
}

/// Why a scan is none. Holds nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ScanFault {
    /// A terminator with nothing before it.
    #[error("the scanner sent an empty code: scan again")]
    Empty,
    /// More bytes than a code can have.
    #[error(
        "the scanner sent more than {max} characters in one code: scan again, or check its suffix setting"
    )]
    TooLong {
        /// The limit that was passed.
        max: usize,
    },
    /// The terminator did not come.
    #[error(
        "the code stopped before its end: scan again, or check that the scanner sends the configured suffix"
    )]
    Unfinished,
    /// The configured prefix was missing.
    #[error("the code lacks the configured prefix: check the scanner's and the device's `prefix`")]
    NoPrefix,
    /// The kernel lost key events of a keyboard scanner.
    #[error("key events were lost on the way: scan again")]
    Dropped,
    /// A keyboard scanner typed a key that is no character.
    #[error("the scanner typed a key that is no character: check its keyboard layout (US) and scan again")]
    BadKey,
    /// A HID scanner's report has another shape than its descriptor says.
    #[error("the scanner's report was damaged: scan again")]
    BadReport,
}

/// Collects bytes into scans.
pub struct Assembler {
    framing: Framing,
    held: Zeroizing<Vec<u8>>,
    /// A faulty code is under way: drop bytes up to its end.
    swallow: bool,
    /// The last code ended with CR: an LF right behind belongs to it.
    after_cr: bool,
    pending: bool,
    last: Duration,
}

impl Assembler {
    /// An assembler with nothing held.
    pub fn new(framing: Framing) -> Self {
        // Full size at once: a buffer that grows leaves copies of codes behind.
        let held = Zeroizing::new(Vec::with_capacity(framing.max));
        Self { framing, held, swallow: false, after_cr: false, pending: false, last: Duration::ZERO }
    }

    /// Whether a code has begun and not ended.
    pub fn pending(&self) -> bool {
        self.pending
    }

    /// The pause after which [`Self::idle`] is due while a code is pending.
    pub fn patience(&self) -> Duration {
        match self.framing.suffix {
            Suffix::Silence => self.framing.silence,
            _ => self.framing.stall,
        }
    }

    /// Feeds bytes that came at `at`; `sink` gets each scan as it completes, without prefix and suffix.
    pub fn push(&mut self, bytes: &[u8], at: Duration, mut sink: impl FnMut(Result<&[u8], ScanFault>)) {
        if bytes.is_empty() {
            return;
        }
        self.pause(at, &mut sink);
        for byte in bytes {
            self.byte(*byte, &mut sink);
        }
    }

    /// Something at `at` damages the code under way: it is reported now and the rest of it dropped.
    pub fn damage(&mut self, fault: ScanFault, at: Duration, mut sink: impl FnMut(Result<&[u8], ScanFault>)) {
        self.pause(at, &mut sink);
        self.pending = true;
        if !self.swallow {
            self.give_up();
            sink(Err(fault));
        }
    }

    /// Nothing came for [`Self::patience`].
    pub fn idle(&mut self, mut sink: impl FnMut(Result<&[u8], ScanFault>)) {
        self.after_cr = false;
        if !self.pending {
            return;
        }
        if self.framing.suffix == Suffix::Silence {
            self.finish(0, &mut sink);
        } else {
            let swallowed = self.swallow;
            self.reset();
            if !swallowed {
                sink(Err(ScanFault::Unfinished));
            }
        }
    }

    /// The code under way, if any, is not wanted: its rest is dropped in silence up to its end.
    pub fn discard(&mut self) {
        if self.pending {
            self.give_up();
        }
    }

    /// Drops what is held.
    pub fn reset(&mut self) {
        self.held.zeroize();
        self.swallow = false;
        self.after_cr = false;
        self.pending = false;
    }

    fn pause(&mut self, at: Duration, sink: &mut impl FnMut(Result<&[u8], ScanFault>)) {
        if self.pending && at.saturating_sub(self.last) >= self.patience() {
            self.idle(sink);
        }
        self.last = at;
    }

    fn byte(&mut self, byte: u8, sink: &mut impl FnMut(Result<&[u8], ScanFault>)) {
        let after_cr = std::mem::replace(&mut self.after_cr, false);
        match &self.framing.suffix {
            Suffix::Enter if byte == b'\n' && after_cr => return,
            Suffix::Enter if matches!(byte, b'\r' | b'\n') => {
                self.after_cr = byte == b'\r';
                self.finish(0, sink);
                return;
            }
            _ => {}
        }
        self.pending = true;
        if self.held.len() == self.framing.max {
            self.give_up();
            sink(Err(ScanFault::TooLong { max: self.framing.max }));
        }
        self.held.push(byte);
        if let Suffix::Bytes(suffix) = &self.framing.suffix {
            let length = suffix.len();
            if self.held.ends_with(suffix) {
                self.finish(length, sink);
            } else if self.swallow && self.held.len() >= length {
                // Only as much as could still become the suffix.
                let keep = self.held.len() + 1 - length;
                self.held.drain(..keep);
            }
        } else if self.swallow {
            self.held.clear();
        }
    }

    /// From here to its end the code under way is dropped.
    fn give_up(&mut self) {
        self.held.zeroize();
        self.swallow = true;
    }

    fn finish(&mut self, suffix: usize, sink: &mut impl FnMut(Result<&[u8], ScanFault>)) {
        if !self.swallow {
            let code = &self.held[..self.held.len() - suffix];
            sink(match code.strip_prefix(self.framing.prefix.as_slice()) {
                _ if code.is_empty() => Err(ScanFault::Empty),
                None => Err(ScanFault::NoPrefix),
                Some([]) => Err(ScanFault::Empty),
                Some(code) => Ok(code),
            });
        }
        self.held.zeroize();
        self.swallow = false;
        self.pending = false;
    }
}
