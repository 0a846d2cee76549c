//! What a printer says about itself: `DLE EOT n` replies, `GS r` replies and automatic status (ASB).
//!
//! One byte stream carries all of them, in any mixture and cut anywhere. They are told apart by their fixed bits (Epson
//! ESC/POS reference): a real-time reply has `b & 93h == 12h`, the first of four ASB bytes `b & 93h == 10h`, the three after it
//! `b & 90h == 00h`, a `GS r` reply `b & F0h == 00h`, XON is 11h and XOFF 13h. Everything else is noise and changes nothing.

/// One thing said by the printer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Answer to the one `DLE EOT n` that is outstanding.
    RealTime(u8),
    /// Automatic status, four bytes.
    Asb([u8; 4]),
    /// Answer to a `GS r 1`, which the printer gives when it comes to that place in its buffer.
    Queued(u8),
    /// Ready for data again.
    Xon,
    /// Asks to stop sending.
    Xoff,
    /// A byte that no printer status can be.
    Noise(u8),
}

/// Takes the byte stream apart. Holds at most three bytes.
#[derive(Clone, Debug, Default)]
pub struct Parser {
    asb: [u8; 4],
    have: usize,
}

impl Parser {
    /// Whether an automatic status is half read.
    pub fn incomplete(&self) -> bool {
        self.have > 0
    }

    /// Forgets an automatic status whose rest never came, so that it does not swallow what comes later.
    pub fn give_up(&mut self) {
        self.have = 0;
    }

    /// All replies that `bytes` complete. A torn ASB is given back as noise and the byte that tore it is read afresh.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Reply> {
        let mut replies = Vec::new();
        for &byte in bytes {
            if self.have > 0 {
                if byte & 0x90 == 0 {
                    self.asb[self.have] = byte;
                    self.have += 1;
                    if self.have == 4 {
                        self.have = 0;
                        replies.push(Reply::Asb(self.asb));
                    }
                    continue;
                }
                if byte == 0x11 || byte == 0x13 {
                    // Flow control may stand between any two bytes.
                    replies.push(if byte == 0x11 { Reply::Xon } else { Reply::Xoff });
                    continue;
                }
                replies.extend(self.asb[..self.have].iter().map(|b| Reply::Noise(*b)));
                self.have = 0;
            }
            match byte {
                0x11 => replies.push(Reply::Xon),
                0x13 => replies.push(Reply::Xoff),
                b if b & 0x93 == 0x12 => replies.push(Reply::RealTime(b)),
                b if b & 0x93 == 0x10 => {
                    self.asb[0] = b;
                    self.have = 1;
                }
                b if b & 0xF0 == 0 => replies.push(Reply::Queued(b)),
                b => replies.push(Reply::Noise(b)),
            }
        }
        replies
    }
}

/// What is known of the paper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paper {
    /// The printer has not said. Never taken for "out".
    #[default]
    Unknown,
    /// Enough.
    Ok,
    /// The roll is nearly used up; printing goes on.
    NearEnd,
    /// No paper: nothing is printed.
    Out,
}

/// Why a printer cannot print now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Block {
    /// End of the roll.
    #[error("paper is out: put in a new roll and close the cover")]
    PaperOut,
    /// Cover open.
    #[error("cover is open: close it")]
    CoverOpen,
    /// Cutter jam.
    #[error("cutter is jammed: switch the printer off, free the cutter, switch it on")]
    CutterJam,
    /// Print head too hot; recovers by itself.
    #[error("print head is too hot: it goes on by itself when cool")]
    Overheated,
    /// An error the operator can clear.
    #[error("printer reports an error: open and close the cover, or press FEED")]
    Error,
    /// An error only service can clear.
    #[error(
        "printer reports an error that cannot be cleared: switch it off and on; if it stays, call service"
    )]
    Unrecoverable,
    /// Offline for a reason it does not give.
    #[error("printer is offline: press its ON LINE or FEED key")]
    Offline,
}

/// The printer's state as far as it has told it. `None` means that it has not said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Ready to print.
    pub online: Option<bool>,
    /// Waits for an operator to bring it back on line.
    pub waiting_recovery: Option<bool>,
    /// The FEED key is pressed.
    pub feed_button: Option<bool>,
    /// Level of drawer connector pin 3 (whether high means open depends on the drawer).
    pub drawer_pin3: Option<bool>,
    /// Cover open.
    pub cover_open: Option<bool>,
    /// Paper sensors.
    pub paper: Paper,
    /// Printing has stopped at the end of the paper.
    pub stopped_paper_end: Option<bool>,
    /// Any error condition.
    pub error: Option<bool>,
    /// A recoverable mechanical error.
    pub recoverable: Option<bool>,
    /// Cutter error.
    pub cutter: Option<bool>,
    /// Unrecoverable error.
    pub unrecoverable: Option<bool>,
    /// An error that ends by itself (head temperature).
    pub auto_recoverable: Option<bool>,
}

impl Status {
    /// Takes in the answer `b` to `DLE EOT n` (n 1 to 4; others change nothing).
    pub fn real_time(&mut self, n: u8, b: u8) {
        let bit = |k: u8| Some(b & (1 << k) != 0);
        match n {
            1 => {
                self.drawer_pin3 = bit(2);
                self.online = bit(3).map(|off| !off);
                self.waiting_recovery = bit(5);
                self.feed_button = bit(6);
            }
            2 => {
                self.cover_open = bit(2);
                self.stopped_paper_end = bit(5);
                self.error = bit(6);
            }
            3 => {
                self.recoverable = bit(2);
                self.cutter = bit(3);
                self.unrecoverable = bit(5);
                self.auto_recoverable = bit(6);
            }
            4 => self.paper = paper(b, 0x60, 0x0C),
            _ => {}
        }
    }

    /// Takes in an automatic status.
    pub fn asb(&mut self, [one, two, three, _]: [u8; 4]) {
        let bit = |b: u8, k: u8| Some(b & (1 << k) != 0);
        self.drawer_pin3 = bit(one, 2);
        self.online = bit(one, 3).map(|off| !off);
        self.cover_open = bit(one, 5);
        self.feed_button = bit(one, 6);
        self.waiting_recovery = bit(two, 0);
        self.recoverable = bit(two, 2);
        self.cutter = bit(two, 3);
        self.unrecoverable = bit(two, 5);
        self.auto_recoverable = bit(two, 6);
        self.error = Some(two & 0x6C != 0);
        self.paper = paper(three, 0x0C, 0x03);
        self.stopped_paper_end = Some(self.paper == Paper::Out);
    }

    /// Takes in the answer to `GS r 1`.
    pub fn queued(&mut self, b: u8) {
        self.paper = paper(b, 0x0C, 0x03);
    }

    /// The first reason not to print, the one an operator should see. `None` also where nothing is known.
    pub fn block(&self) -> Option<Block> {
        let is = |flag: Option<bool>| flag == Some(true);
        if is(self.unrecoverable) {
            Some(Block::Unrecoverable)
        } else if is(self.cutter) {
            Some(Block::CutterJam)
        } else if is(self.cover_open) {
            Some(Block::CoverOpen)
        } else if self.paper == Paper::Out || is(self.stopped_paper_end) {
            Some(Block::PaperOut)
        } else if is(self.auto_recoverable) {
            Some(Block::Overheated)
        } else if is(self.error) || is(self.recoverable) {
            Some(Block::Error)
        } else if self.online == Some(false) {
            Some(Block::Offline)
        } else {
            None
        }
    }
}

fn paper(b: u8, out: u8, near: u8) -> Paper {
    if b & out != 0 {
        Paper::Out
    } else if b & near != 0 {
        Paper::NearEnd
    } else {
        Paper::Ok
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn automatic_status_between_answers_is_not_taken_for_them() {
        let mut parser = Parser::default();
        assert_eq!(
            parser.feed(&[0x12, 0x14, 0, 0, 0, 0x12]),
            [Reply::RealTime(0x12), Reply::Asb([0x14, 0, 0, 0]), Reply::RealTime(0x12)]
        );
    }

    #[test]
    fn an_automatic_status_cut_by_reads_is_put_together() {
        let mut parser = Parser::default();
        assert_eq!(parser.feed(&[0x18, 0x00]), []);
        assert!(parser.incomplete());
        assert_eq!(parser.feed(&[0x0F, 0x00]), [Reply::Asb([0x18, 0, 0x0F, 0])]);
        assert!(!parser.incomplete());
    }

    #[test]
    fn a_torn_automatic_status_does_not_swallow_the_next_answer() {
        let mut parser = Parser::default();
        assert_eq!(
            parser.feed(&[0x14, 0x00, 0x72]),
            [Reply::Noise(0x14), Reply::Noise(0x00), Reply::RealTime(0x72)]
        );
    }

    #[test]
    fn flow_control_and_noise_are_told_apart_from_status() {
        let mut parser = Parser::default();
        assert_eq!(
            parser.feed(&[0x11, 0x13, 0x81, 0xFF]),
            [Reply::Xon, Reply::Xoff, Reply::Noise(0x81), Reply::Noise(0xFF)]
        );
    }

    #[test]
    fn the_reason_shown_is_the_one_to_act_on() {
        let mut status = Status::default();
        assert_eq!(status.block(), None);
        status.real_time(1, 0x1A);
        assert_eq!(status.block(), Some(Block::Offline));
        status.real_time(4, 0x7E);
        assert_eq!(status.block(), Some(Block::PaperOut));
        status.real_time(2, 0x16);
        assert_eq!(status.block(), Some(Block::CoverOpen));
        status.real_time(3, 0x1A);
        assert_eq!(status.block(), Some(Block::CutterJam));
        status.real_time(3, 0x32);
        assert_eq!(status.block(), Some(Block::Unrecoverable));
    }

    proptest! {
        #[test]
        fn where_reads_are_cut_makes_no_difference(bytes in proptest::collection::vec(any::<u8>(), 0..64), cut in 0usize..64) {
            let cut = cut.min(bytes.len());
            let whole = Parser::default().feed(&bytes);
            let mut parser = Parser::default();
            let mut parts = parser.feed(&bytes[..cut]);
            parts.extend(parser.feed(&bytes[cut..]));
            prop_assert_eq!(parts, whole);
        }
    }
}
