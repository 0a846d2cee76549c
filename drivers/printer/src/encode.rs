//! From laid-out items to bytes, as a list of [`Atom`]s: pieces between which a status query may be sent.
//!
//! A query inside a picture or a QR code would be taken for picture data, so bytes are never cut but between atoms.

use crate::command::{self, QrLevel};
use crate::layout::{self, Item, LayoutError};
use crate::profile::{Cutter, Profile, QrKind};
use crate::raster;
use crate::text::Charset;
use till_plugin::document::{Align, Document, Style};

/// Most bytes a job may have; about 20 m of paper.
pub const MAX_JOB: usize = 512 * 1024;
/// Longest drawer pulse, ms: a solenoid burns out above it.
pub const MAX_PULSE_MS: u16 = 500;
/// Shortest drawer pulse that opens a lock, ms.
const MIN_PULSE_MS: u16 = 50;
const BARCODE_ROWS: u8 = 64;
/// Height of a text line in dots, for the time a picture takes.
const LINE_DOTS: usize = 30;

/// One complete command, or a line with what sets its looks.
#[derive(Clone, PartialEq, Eq)]
pub struct Atom {
    /// What goes to the printer.
    pub bytes: Vec<u8>,
    /// Paper it moves, in lines of text (for time limits).
    pub lines: u64,
    /// Bytes of binary data or parameters that the printer may still wait for if it is cut off inside this atom.
    pub hunger: usize,
    /// Opens the drawer: sent once, also where a job is started again.
    pub pulse: bool,
    /// Cuts the paper or feeds it to the tear bar: sent only when all before it is known to be on paper.
    pub cut: bool,
}

// Receipts are the customer's business: sizes only.
impl std::fmt::Debug for Atom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Atom({} bytes, {} lines, pulse {})", self.bytes.len(), self.lines, self.pulse)
    }
}

/// Why a document cannot be printed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Layout.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// QR content with control characters; it is not changed, since a changed code is a wrong code.
    #[error("QR content has a control character at byte {at}: give a URL or plain text")]
    QrControl {
        /// Where.
        at: usize,
    },
    /// The QR code does not fit the paper.
    #[error("QR content of {len} bytes does not fit {dots} dots: shorten it")]
    QrSize {
        /// Bytes.
        len: usize,
        /// Dots of the head.
        dots: usize,
    },
    /// Barcode content.
    #[error("barcode content of {len} characters: only 1 to 120 printable ASCII characters can be printed")]
    Barcode {
        /// Characters.
        len: usize,
    },
    /// The barcode does not fit the paper.
    #[error("barcode content of {len} characters does not fit {dots} dots: shorten it, or print a QR code")]
    BarcodeSize {
        /// Characters.
        len: usize,
        /// Dots of the head.
        dots: usize,
    },
    /// More than one drawer pulse.
    #[error("the document opens the drawer {times} times: once is enough")]
    Pulses {
        /// How often.
        times: usize,
    },
    /// Too much.
    #[error("the document makes more than {MAX_JOB} bytes: split it")]
    TooLong,
}

/// Marks that tell a copy or a second start from an original.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// 0 the original, n the n-th copy.
    pub copy: u32,
    /// An earlier try may have left a part on paper.
    pub restarted: bool,
}

/// A whole job as atoms: initialise, marks, the document, and the end of the paper.
pub fn encode(profile: &Profile, document: &Document, marks: Marks) -> Result<Vec<Atom>, EncodeError> {
    let set = profile.charset();
    let items = layout::lay_out(set, profile.columns, document)?;
    let pulses = items.iter().filter(|item| matches!(item, Item::Pulse { .. })).count();
    if pulses > 1 {
        return Err(EncodeError::Pulses { times: pulses });
    }
    let mut encoder = Encoder::new(profile);
    encoder.start();
    if marks.restarted {
        encoder.mark(reprint_text(set));
    }
    if marks.copy > 0 {
        let copy = marks.copy;
        encoder.mark(&if chinese(set) {
            format!("** 副本 COPY {copy} **")
        } else {
            format!("** COPY {copy} **")
        });
    }
    let mut total = 0;
    for item in &items {
        let before = encoder.atoms.len();
        encoder.item(item)?;
        total += encoder.atoms[before..].iter().map(|atom| atom.bytes.len()).sum::<usize>();
        if total > MAX_JOB {
            return Err(EncodeError::TooLong);
        }
    }
    Ok(encoder.atoms)
}

/// A document as a job: [`encode`], and before it [`void`] where an earlier try may have left a part on paper.
pub fn job(profile: &Profile, document: &Document, marks: Marks) -> Result<Vec<Atom>, EncodeError> {
    let body = encode(profile, document, marks)?;
    if !marks.restarted {
        return Ok(body);
    }
    // The try before printed the same document, so nothing hungrier than its hungriest part was cut off.
    let hungry = body.iter().map(|atom| atom.hunger).max().unwrap_or(0);
    let mut atoms = void(profile, hungry);
    atoms.extend(body);
    Ok(atoms)
}

/// What ends a half-printed receipt, so that nobody takes it for a whole one: first `hungry` zero bytes that satisfy a picture or code
/// the printer may still be waiting for (alone, they are ignored), then a line that says so, and a cut.
pub fn void(profile: &Profile, hungry: usize) -> Vec<Atom> {
    let mut encoder = Encoder::new(profile);
    // Even between two pictures a parameter may be missing: 16 covers every command we send but pictures and codes.
    let mut filler = vec![0; hungry.max(16)];
    filler.push(command::LINE_FEED);
    encoder.atoms.push(Atom { bytes: filler, lines: 1, hunger: 0, pulse: false, cut: false });
    encoder.start();
    let line = if chinese(profile.charset()) { "** 以上作废 VOID ABOVE **" } else { "** VOID ABOVE **" };
    encoder.mark(line);
    encoder.cut();
    encoder.atoms
}

/// `job` with the reprint mark behind its first atom (the initialisation). A job that is marked already is marked once.
pub fn reprint(profile: &Profile, mut job: Vec<Atom>) -> Vec<Atom> {
    let mut encoder = Encoder::new(profile);
    encoder.mark(reprint_text(profile.charset()));
    // Back to what the initialisation left, which is what the next atom builds on.
    let mut back = Vec::new();
    encoder.looks(&mut back, Align::Left, Style::PLAIN);
    encoder.push(back, 0, 2);
    let at = job.len().min(1);
    let marked = job.get(1).is_some_and(|atom| atom.bytes == encoder.atoms[0].bytes);
    if !marked {
        job.splice(at..at, encoder.atoms);
    }
    job
}

fn reprint_text(set: Charset) -> &'static str {
    if chinese(set) { "** 重新打印 REPRINT **" } else { "** REPRINT **" }
}

/// A drawer pulse by itself; `now` past the buffer (for a printer that is out of paper), else in its turn.
pub fn pulse(pin: u8, on_ms: u16, now: bool) -> Atom {
    let on_ms = on_ms.clamp(MIN_PULSE_MS, MAX_PULSE_MS);
    let bytes = if now {
        let tenths = u8::try_from(on_ms.div_ceil(100)).unwrap_or(1);
        command::drawer_pulse_now(pin, tenths).to_vec()
    } else {
        command::drawer_pulse(pin, on_ms, on_ms).to_vec()
    };
    Atom { bytes, lines: 0, hunger: 4, pulse: true, cut: false }
}

fn chinese(set: Charset) -> bool {
    matches!(set, Charset::Gb18030 | Charset::Gbk | Charset::Utf8)
}

struct Encoder<'a> {
    profile: &'a Profile,
    set: Charset,
    align: Align,
    style: Style,
    atoms: Vec<Atom>,
}

impl<'a> Encoder<'a> {
    fn new(profile: &'a Profile) -> Self {
        let (align, style) = (Align::Left, Style::PLAIN);
        Self { profile, set: profile.charset(), align, style, atoms: Vec::new() }
    }

    fn push(&mut self, bytes: Vec<u8>, lines: u64, hunger: usize) {
        self.atoms.push(Atom { bytes, lines, hunger, pulse: false, cut: false });
    }

    /// `ESC @` and what it puts back: on Chinese models double-byte mode is on after it, by DIP switch also off, so it is always said.
    fn start(&mut self) {
        let mut bytes = command::INIT.to_vec();
        match self.set.kanji_mode() {
            Some(true) => bytes.extend(command::KANJI_ON),
            Some(false) => bytes.extend(command::KANJI_OFF),
            None => {}
        }
        if let Charset::SingleByte { page, .. } = self.set {
            bytes.extend(command::code_page(page));
        }
        // Unasked status would only be mistaken for something else by other programs on the same line.
        bytes.extend(command::auto_status(0));
        (self.align, self.style) = (Align::Left, Style::PLAIN);
        self.push(bytes, 0, 2);
    }

    fn mark(&mut self, text: &str) {
        let style = Style::BOLD;
        self.line(text, Align::Centre, style);
    }

    fn item(&mut self, item: &Item) -> Result<(), EncodeError> {
        match item {
            Item::Line { text, align, style } => self.line(text, *align, *style),
            Item::Qr { data, module_dots } => self.qr(data, *module_dots)?,
            Item::Barcode { data } => self.barcode(data)?,
            Item::Feed(0) => {}
            Item::Feed(lines) => self.push(command::feed(*lines).to_vec(), u64::from(*lines), 1),
            Item::Cut => self.cut(),
            Item::Pulse { pin, on_ms } => self.atoms.push(pulse(*pin, *on_ms, false)),
        }
        Ok(())
    }

    fn line(&mut self, text: &str, align: Align, style: Style) {
        let mut bytes = Vec::new();
        if text.is_empty() {
            // An empty line in double height would be two.
            self.looks(&mut bytes, self.align, Style::PLAIN);
        } else {
            self.looks(&mut bytes, align, style);
        }
        bytes.extend(self.set.encode(text));
        bytes.push(command::LINE_FEED);
        self.push(bytes, 1 + u64::from(style.tall), 2);
    }

    fn looks(&mut self, bytes: &mut Vec<u8>, align: Align, style: Style) {
        if align != self.align {
            bytes.extend(command::align(match align {
                Align::Left => 0,
                Align::Centre => 1,
                Align::Right => 2,
            }));
            self.align = align;
        }
        if style.bold != self.style.bold {
            bytes.extend(command::bold(style.bold));
        }
        if (style.wide, style.tall) != (self.style.wide, self.style.tall) {
            // Where both commands act on Chinese characters the last one counts, so the general one comes last.
            if self.set.kanji_mode() == Some(true) {
                bytes.extend(command::kanji_size(style.wide, style.tall));
            }
            bytes.extend(command::size(style.wide, style.tall));
        }
        self.style = style;
    }

    fn qr(&mut self, data: &str, module_dots: u8) -> Result<(), EncodeError> {
        if let Some(at) = data.chars().position(char::is_control) {
            let at = data.char_indices().nth(at).map_or(0, |(at, _)| at);
            return Err(EncodeError::QrControl { at });
        }
        let dots = self.profile.dots;
        let too_big = EncodeError::QrSize { len: data.len(), dots };
        let bytes = data.as_bytes();
        if bytes.is_empty() || bytes.len() > command::QR_MAX {
            return Err(too_big);
        }
        // With the quiet zone of four modules at each side; below two dots a module no phone reads it.
        let Some(modules) = raster::qr_modules(bytes) else { return Err(too_big) };
        let fits = dots / (modules + 8);
        if fits < 2 {
            return Err(too_big);
        }
        let size = usize::from(module_dots).clamp(2, 16).min(fits);
        match self.profile.qr {
            QrKind::Native => {
                let size = u8::try_from(size).unwrap_or(2);
                let code = command::qr(bytes, size, QrLevel::M).ok_or(too_big)?;
                let mut out = Vec::new();
                self.looks(&mut out, Align::Centre, Style::PLAIN);
                let hunger = code.len();
                // The printer draws the code without its quiet zone of four modules; text beside it would keep phones from it.
                let quiet = (4 * usize::from(size)).div_ceil(LINE_DOTS);
                let feed = command::feed(u8::try_from(quiet).unwrap_or(1));
                out.extend(feed);
                out.extend(code);
                out.extend(feed);
                let lines = modules * usize::from(size) / LINE_DOTS + 1 + 2 * quiet;
                self.push(out, lines as u64, hunger);
            }
            QrKind::Raster => {
                let picture = raster::qr(bytes, size, dots).ok_or(too_big)?;
                let mut out = Vec::new();
                self.looks(&mut out, Align::Left, Style::PLAIN);
                if !out.is_empty() {
                    self.push(out, 0, 2);
                }
                for band in picture.bands(self.profile.band_rows) {
                    let hunger = band.len();
                    self.push(band, (self.profile.band_rows / LINE_DOTS + 1) as u64, hunger);
                }
            }
        }
        Ok(())
    }

    fn barcode(&mut self, data: &str) -> Result<(), EncodeError> {
        let len = data.chars().count();
        let dots = self.profile.dots;
        // Start, data, check: 11 modules each; stop 13; quiet zones of 10.
        let modules = 11 * (len + 2) + 13 + 20;
        let fits = u8::try_from((dots / modules).min(3)).unwrap_or(3);
        let code = command::code128(data, BARCODE_ROWS, fits).ok_or(EncodeError::Barcode { len })?;
        if fits == 0 {
            return Err(EncodeError::BarcodeSize { len, dots });
        }
        let mut out = Vec::new();
        self.looks(&mut out, Align::Centre, Style::PLAIN);
        let hunger = code.len();
        out.extend(code);
        out.push(command::LINE_FEED);
        self.push(out, 4, hunger);
        Ok(())
    }

    fn cut(&mut self) {
        let (bytes, lines) = match self.profile.cutter {
            Cutter::None => {
                (command::feed(self.profile.tear_feed).to_vec(), u64::from(self.profile.tear_feed))
            }
            Cutter::Partial => (command::CUT_PARTIAL.to_vec(), 4),
            Cutter::Full => (command::CUT_FULL.to_vec(), 4),
        };
        self.atoms.push(Atom { bytes, lines, hunger: 2, pulse: false, cut: true });
    }
}
