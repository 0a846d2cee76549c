//! What the simulated pad is told and says: lines of text. Time is a number.

use till_plugin::Sensitive;
use till_plugin::driver::PinRequest;
use zeroize::Zeroizing;

/// Milliseconds of the boot clock.
pub type Millis = u64;
/// Longest line of a pad, bytes.
pub const LONGEST: usize = 160;
/// So much longer than asked a pad may take before it is given up, ms.
pub const GRACE_MS: u64 = 3_000;
/// Longest that a customer may think, ms.
pub const LONGEST_WAIT_MS: u32 = 300_000;

/// A request that a pad cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// Block format.
    #[error("PIN block format {0}: this pad makes 0 (TDES) and 4 (AES)")]
    Format(u8),
    /// Account number.
    #[error("the account number has not 12 to 19 digits")]
    Account,
    /// Key name.
    #[error("the key's name has not 1 to 16 letters, digits or dashes")]
    Key,
    /// Time.
    #[error("a customer needs 1 to 300 s")]
    Time,
    /// One at a time.
    #[error("the pad is waiting for another PIN")]
    Busy,
}

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Ciphertext and the key's serial number.
    Block {
        /// The enciphered block.
        block: Sensitive<Vec<u8>>,
        /// Key serial number.
        ksn: Vec<u8>,
    },
    /// The customer gave up, or did nothing.
    None,
    /// The pad refused, or says what it cannot mean; one line without anything of the request.
    Fault(String),
}

struct Open {
    id: u64,
    format: u8,
    until: Millis,
}

/// The conversation. Holds one line at most.
#[derive(Default)]
pub struct Wire {
    numbers: u64,
    open: Option<Open>,
    line: Zeroizing<Vec<u8>>,
    /// Lines that meant nothing here.
    pub noise: u64,
}

impl Wire {
    /// Whether a PIN is waited for.
    pub const fn waits(&self) -> bool {
        self.open.is_some()
    }

    /// The bytes that ask for a PIN. They hold the account number and are wiped after use.
    pub fn ask(&mut self, now: Millis, request: &PinRequest) -> Result<Zeroizing<Vec<u8>>, BadRequest> {
        if self.open.is_some() {
            return Err(BadRequest::Busy);
        }
        if !matches!(request.format, 0 | 4) {
            return Err(BadRequest::Format(request.format));
        }
        let pan = request.pan.expose();
        if !(12..=19).contains(&pan.len()) || !pan.bytes().all(|b| b.is_ascii_digit()) {
            return Err(BadRequest::Account);
        }
        let key = &request.key;
        if !(1..=16).contains(&key.len()) || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(BadRequest::Key);
        }
        if !(1_000..=LONGEST_WAIT_MS).contains(&request.timeout_ms) {
            return Err(BadRequest::Time);
        }
        // No number of a process before this one: its late answer would be taken for this one's.
        self.numbers = (self.numbers + 1).max(now);
        let id = self.numbers;
        let until = now + u64::from(request.timeout_ms) + GRACE_MS;
        self.open = Some(Open { id, format: request.format, until });
        let head =
            format!("pin {id} {} {key} {} {} ", request.format, request.timeout_ms, request.amount.decimal());
        // With its room from the start: a buffer that grows leaves copies behind.
        let mut line = Zeroizing::new(Vec::with_capacity(head.len() + pan.len() + 1));
        line.extend_from_slice(head.as_bytes());
        line.extend_from_slice(pan.as_bytes());
        line.push(b'\n');
        Ok(line)
    }

    /// Gives the open request up; the bytes that tell the pad.
    pub fn cancel(&mut self) -> Option<Vec<u8>> {
        let open = self.open.take()?;
        Some(format!("cancel {}\n", open.id).into_bytes())
    }

    /// What time brings: a pad that says nothing is not waited for longer.
    pub fn tick(&mut self, now: Millis) -> Option<(Outcome, Vec<u8>)> {
        if self.open.as_ref().is_none_or(|o| now < o.until) {
            return None;
        }
        let cancel = self.cancel().unwrap_or_default();
        Some((Outcome::Fault("the PIN pad did not answer in time".into()), cancel))
    }

    /// Bytes of the pad.
    pub fn push(&mut self, bytes: &[u8], mut out: impl FnMut(Outcome)) {
        for byte in bytes {
            if *byte != b'\n' {
                // One that never ends is dropped; its end is then noise.
                if self.line.len() < LONGEST {
                    self.line.push(*byte);
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            match self.read(&line) {
                Some(outcome) => out(outcome),
                None => self.noise += 1,
            }
        }
    }

    fn read(&mut self, line: &[u8]) -> Option<Outcome> {
        let text = std::str::from_utf8(line).ok()?;
        let words: Vec<&str> = text.split(' ').collect();
        let (what, id) = (words.first()?, words.get(1)?.parse::<u64>().ok()?);
        // An answer to a request that was given up belongs to nobody.
        let format = self.open.as_ref().filter(|o| o.id == id)?.format;
        let outcome = match (*what, words.get(2..)?) {
            ("block", [ksn, block]) => match blocks(format, ksn, block) {
                Some((ksn, block)) => Outcome::Block { block, ksn },
                None => Outcome::Fault("the PIN pad sent a block of another kind than was asked for".into()),
            },
            ("given-up" | "timeout", []) => Outcome::None,
            ("refused", why) => {
                let why =
                    why.first().map_or("", |w| w).chars().filter(|c| c.is_ascii_lowercase() || *c == '-');
                Outcome::Fault(format!("the PIN pad refused: {}", why.take(24).collect::<String>()))
            }
            _ => return None,
        };
        self.open = None;
        Some(outcome)
    }
}

/// Lengths tell ciphertext of the right kind; a KSN of another length is none of the format's keys.
fn blocks(format: u8, ksn: &str, block: &str) -> Option<(Vec<u8>, Sensitive<Vec<u8>>)> {
    let (ksn, block) = (hex::decode(ksn).ok()?, Sensitive::new(hex::decode(block).ok()?));
    let fits = match format {
        0 => (ksn.len(), block.expose().len()) == (10, 8),
        _ => (ksn.len(), block.expose().len()) == (12, 16),
    };
    fits.then_some((ksn, block))
}
