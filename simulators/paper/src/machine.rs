//! The printer as a state machine: bytes in, answers out, paper in between. No sockets, no threads.

use super::command::{Command, Fault};
use super::page::{Bitmap, Block, Cut, LINE, Receipt};
use super::print::Modes;
use super::token::{Charset, Token, Tokenizer};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What kind of printer this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Printable dots: 384 (58 mm paper) or 576 (80 mm).
    pub width: u32,
    /// Two-byte font or GB18030.
    pub charset: Charset,
    /// Double-byte mode is on after power-on and ESC @, as on Chinese models.
    pub chinese: bool,
    /// Has a cutter; without one GS V does nothing.
    pub cutter: bool,
    /// Bytes taken while it cannot print; then it stops reading.
    pub buffer: usize,
    /// Lines of paper at the start; `None` is a roll without end.
    pub paper: Option<u32>,
    /// Lines left at which the near-end sensor speaks.
    pub near_end: u32,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            width: 576,
            charset: Charset::Gbk,
            chinese: true,
            cutter: true,
            buffer: 4096,
            paper: None,
            near_end: 8,
        }
    }
}

/// A pulse on a drawer connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    /// Connector pin, 2 or 5.
    pub pin: u8,
    /// Milliseconds on.
    pub on_ms: u32,
    /// Milliseconds off, where the command says so.
    pub off_ms: u32,
    /// By DLE DC4 instead of ESC p.
    pub real_time: bool,
}

/// The state a status query tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Ready to print.
    pub online: bool,
    /// Lines of paper left; `None` is without end.
    pub paper: Option<u32>,
    /// The cover is open.
    pub cover_open: bool,
    /// What is broken.
    pub fault: Option<Fault>,
    /// Drawer connector pin 3 is high.
    pub drawer_high: bool,
    /// Bytes received and not printed.
    pub waiting: usize,
    /// Receipts cut so far.
    pub receipts: usize,
}

/// A raster picture of which rows are still to print.
pub(crate) struct Unfinished {
    pub(crate) rows: VecDeque<Vec<bool>>,
}

/// The machine.
pub struct Machine {
    pub(crate) model: Model,
    tokenizer: Tokenizer,
    queue: VecDeque<(Token, Vec<u8>)>,
    queued: usize,
    /// Dots of paper left.
    paper: Option<u32>,
    cover_open: bool,
    switched_off_line: bool,
    fault: Option<Fault>,
    drawer_high: bool,
    asb: u8,
    told: [u8; 4],
    replies: Vec<u8>,
    pub(crate) modes: Modes,
    pub(crate) unfinished: Option<Unfinished>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) raw: Vec<u8>,
    pub(crate) paper_changes: Vec<usize>,
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) pulses: Vec<Pulse>,
    pub(crate) unknown: Vec<Vec<u8>>,
    pub(crate) notes: Vec<String>,
}

impl Machine {
    /// A printer just switched on.
    pub fn new(model: Model) -> Self {
        let mut machine = Self {
            tokenizer: Tokenizer::new(model.charset, model.chinese),
            queue: VecDeque::new(),
            queued: 0,
            paper: model.paper.map(|lines| lines.saturating_mul(LINE)),
            cover_open: false,
            switched_off_line: false,
            fault: None,
            drawer_high: false,
            asb: 0,
            told: [0; 4],
            replies: Vec::new(),
            modes: Modes::default(),
            unfinished: None,
            blocks: Vec::new(),
            raw: Vec::new(),
            paper_changes: Vec::new(),
            receipts: Vec::new(),
            pulses: Vec::new(),
            unknown: Vec::new(),
            notes: Vec::new(),
            model,
        };
        machine.told = machine.automatic_status();
        machine
    }

    /// How many bytes it takes now. While it prints that is no limit; while it cannot, what is left of the buffer.
    pub fn room(&self) -> usize {
        if self.can_print() {
            usize::MAX
        } else {
            self.model.buffer.saturating_sub(self.queued + self.tokenizer.incomplete())
        }
    }

    /// Takes bytes, prints what it can. Answers are fetched with [`Self::take_replies`].
    pub fn receive(&mut self, bytes: &[u8]) {
        for (token, raw) in self.tokenizer.feed(bytes) {
            if token.is_real_time() {
                self.real_time(&token);
            } else {
                self.queued += raw.len();
                self.queue.push_back((token, raw));
            }
            // One after the other, so that a status query behind a line of text tells the state after that line.
            self.pump();
        }
    }

    /// The bytes it sends back.
    pub fn take_replies(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.replies)
    }

    /// A new connection: automatic status was asked for by the old one.
    pub fn connected(&mut self) {
        self.asb = 0;
        self.replies.clear();
    }

    fn paper_out(&self) -> bool {
        self.paper == Some(0)
    }

    fn near_end(&self) -> bool {
        self.paper.is_some_and(|dots| dots <= self.model.near_end.saturating_mul(LINE))
    }

    pub(crate) fn can_print(&self) -> bool {
        !self.paper_out() && !self.cover_open && !self.switched_off_line && self.fault.is_none()
    }

    fn pump(&mut self) {
        while self.can_print() {
            if self.unfinished.is_some() {
                self.print_rows();
            } else if let Some((token, raw)) = self.queue.pop_front() {
                self.queued -= raw.len();
                self.raw.extend_from_slice(&raw);
                self.execute(token);
            } else {
                break;
            }
        }
        self.tell_changes();
    }

    /// Moves the paper. A line that begins on the roll is printed whole.
    pub(crate) fn advance(&mut self, dots: u32) {
        if let Some(paper) = &mut self.paper {
            *paper = paper.saturating_sub(dots);
        }
    }

    fn print_rows(&mut self) {
        while self.can_print() {
            let Some(row) = self.unfinished.as_mut().and_then(|u| u.rows.pop_front()) else {
                self.unfinished = None;
                return;
            };
            self.add_row(row);
            self.advance(1);
        }
    }

    pub(crate) fn begin_raster(&mut self, bitmap: Bitmap, x: u32) {
        self.open_image(bitmap.width(), x);
        self.unfinished = Some(Unfinished { rows: bitmap.into_rows().into() });
        self.print_rows();
    }

    pub(crate) fn reply(&mut self, bytes: &[u8]) {
        self.replies.extend_from_slice(bytes);
    }

    fn real_time(&mut self, token: &Token) {
        let Token::RealTime(function, parameters) = token else { return };
        match (function, parameters.as_slice()) {
            (0x04, [n, ..]) => {
                let status = self.real_time_status(*n);
                self.reply(&[status]);
            }
            (0x14, [1, m, t]) => {
                if self.fault.is_some() {
                    self.notes.push("drawer pulse by DLE DC4 ignored: the printer is in error".into());
                } else {
                    let pin = if *m == 0 { 2 } else { 5 };
                    self.pulses.push(Pulse { pin, on_ms: u32::from(*t) * 100, off_ms: 0, real_time: true });
                }
            }
            // Recover from an error, restarting (1) or clearing (2) the line.
            (0x05, [1 | 2]) if self.fault == Some(Fault::Cutter) => {
                self.fault = None;
                self.tell_changes();
            }
            (0x05, _) => {}
            _ => self.notes.push("real-time command without effect here".into()),
        }
    }

    fn real_time_status(&self, n: u8) -> u8 {
        let bit = |on: bool, value: u8| if on { value } else { 0 };
        let fixed = 0x12;
        match n {
            1 => fixed | bit(self.drawer_high, 0x04) | bit(!self.can_print(), 0x08),
            2 => {
                fixed
                    | bit(self.cover_open, 0x04)
                    | bit(self.paper_out(), 0x20)
                    | bit(self.fault.is_some(), 0x40)
            }
            3 => {
                fixed
                    | bit(self.fault == Some(Fault::Cutter), 0x08)
                    | bit(self.fault == Some(Fault::Unrecoverable), 0x20)
                    | bit(self.fault == Some(Fault::Overheat), 0x40)
            }
            4 => fixed | bit(self.near_end() || self.paper_out(), 0x0C) | bit(self.paper_out(), 0x60),
            _ => fixed,
        }
    }

    fn automatic_status(&self) -> [u8; 4] {
        let bit = |on: bool, value: u8| if on { value } else { 0 };
        let first =
            0x10 | bit(self.drawer_high, 0x04) | bit(!self.can_print(), 0x08) | bit(self.cover_open, 0x20);
        let second = bit(self.fault == Some(Fault::Cutter), 0x08)
            | bit(self.fault == Some(Fault::Unrecoverable), 0x20)
            | bit(self.fault == Some(Fault::Overheat), 0x40);
        let third = bit(self.near_end() || self.paper_out(), 0x03) | bit(self.paper_out(), 0x0C);
        [first, second, third, 0]
    }

    /// GS a: which changes are told unasked. Switching it on tells the state at once.
    pub(crate) fn enable_automatic_status(&mut self, mask: u8) {
        self.asb = mask;
        if mask != 0 {
            self.told = self.automatic_status();
            let told = self.told;
            self.reply(&told);
        }
    }

    fn tell_changes(&mut self) {
        let now = self.automatic_status();
        let changed = |at: usize, bits: u8| (now[at] ^ self.told[at]) & bits != 0;
        let wanted = (self.asb & 0x01 != 0 && changed(0, 0x04))
            || (self.asb & 0x02 != 0 && changed(0, 0x28))
            || (self.asb & 0x04 != 0 && changed(1, 0xFF))
            || (self.asb & 0x08 != 0 && changed(2, 0xFF));
        if wanted {
            self.reply(&now);
        }
        self.told = now;
    }

    /// The answer to GS r and ESC v: paper (1) or drawer (2).
    pub(crate) fn transmit_status(&mut self, n: u8) {
        let status = match n {
            1 | 49 if self.near_end() => 0x03,
            2 | 50 => u8::from(self.drawer_high),
            _ => 0,
        };
        self.reply(&[status]);
    }

    /// What a hand at the printer does.
    pub fn command(&mut self, command: &Command) {
        match command {
            Command::PaperOut {} => self.paper = Some(0),
            Command::Paper { lines } => self.paper = Some(lines.saturating_mul(LINE)),
            Command::Refill { lines } => {
                if self.paper_out() {
                    self.paper_changes.push(self.blocks.len());
                }
                self.paper = lines.map(|lines| lines.saturating_mul(LINE));
            }
            Command::Cover { open } => self.cover_open = *open,
            Command::Offline { on } => self.switched_off_line = *on,
            Command::Fault { fault } => self.fault = *fault,
            Command::Drawer { high } => self.drawer_high = *high,
            Command::PowerCycle {} => self.power_cycle(),
            Command::Tear {} => {
                self.flush();
                self.end_receipt(Cut::Torn);
            }
            // These are about the connection; the server does them.
            Command::ReadRate { .. }
            | Command::StopReading { .. }
            | Command::DropAfter { .. }
            | Command::Silent { .. } => {}
        }
        self.pump();
    }

    /// What is on paper stays; what was only received is gone.
    fn power_cycle(&mut self) {
        self.tokenizer = Tokenizer::new(self.model.charset, self.model.chinese);
        self.queue.clear();
        self.queued = 0;
        self.unfinished = None;
        self.modes = Modes::default();
        self.fault = None;
        self.asb = 0;
    }

    /// Cuts what is on the paper off. Blank paper makes no receipt.
    pub(crate) fn end_receipt(&mut self, cut: Cut) {
        let raw = std::mem::take(&mut self.raw);
        let paper_changes = std::mem::take(&mut self.paper_changes);
        let blocks = std::mem::take(&mut self.blocks);
        if blocks.iter().all(|block| block.content == super::page::Content::Feed) {
            return;
        }
        let number = u32::try_from(self.receipts.len()).unwrap_or(u32::MAX).saturating_add(1);
        self.receipts.push(Receipt { number, blocks, cut, raw, width: self.model.width, paper_changes });
    }

    /// The state.
    pub fn status(&self) -> Status {
        Status {
            online: self.can_print(),
            paper: self.paper.map(|dots| dots.div_ceil(LINE)),
            cover_open: self.cover_open,
            fault: self.fault,
            drawer_high: self.drawer_high,
            waiting: self.queued + self.tokenizer.incomplete(),
            receipts: self.receipts.len(),
        }
    }

    /// Receipts cut so far.
    pub fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }

    /// What is on the paper that has not been cut off.
    pub fn uncut(&self) -> Receipt {
        Receipt {
            number: 0,
            blocks: self.blocks.clone(),
            cut: Cut::Torn,
            raw: self.raw.clone(),
            width: self.model.width,
            paper_changes: self.paper_changes.clone(),
        }
    }

    /// Drawer pulses so far.
    pub fn pulses(&self) -> &[Pulse] {
        &self.pulses
    }

    /// Bytes that were no command.
    pub fn unknown(&self) -> &[Vec<u8>] {
        &self.unknown
    }

    /// Commands understood but without effect here, in words.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}
