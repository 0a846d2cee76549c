//! Commands and answers of ISO/IEC 7816-4, and the exchange that follows `61xx` and `6Cxx` a bounded number of times.

use zeroize::Zeroizing;

use super::tlv;

/// `90 00`.
pub const OK: u16 = 0x9000;
/// Most follow-up commands for one answer.
const FOLLOW_UPS: u8 = 8;

/// Why an answer is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApduError {
    /// Fewer than two bytes.
    #[error("the card's answer has no status word")]
    Short,
    /// The card keeps announcing more.
    #[error("the card announces more data again and again")]
    Endless,
    /// More than [`tlv::MOST`] bytes.
    #[error("the card's answer is too long")]
    Large,
}

/// A command: header, data, and `Le` 00 where an answer is expected.
pub fn command(header: [u8; 4], data: &[u8], answer: bool) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(6 + data.len()));
    bytes.extend_from_slice(&header);
    if !data.is_empty() {
        // Callers never have more: names are 16, lists 252 and their template 255 at most.
        bytes.push(u8::try_from(data.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(data.get(..255).unwrap_or(data));
    }
    if answer {
        bytes.push(0);
    }
    bytes
}

/// SELECT by name, first occurrence.
pub fn select(name: &[u8]) -> Zeroizing<Vec<u8>> {
    command([0x00, 0xA4, 0x04, 0x00], name, true)
}

/// READ RECORD.
pub fn read_record(sfi: u8, record: u8) -> Zeroizing<Vec<u8>> {
    command([0x00, 0xB2, record, sfi << 3 | 4], &[], true)
}

/// GET PROCESSING OPTIONS with the data that the card's list asked for.
pub fn processing_options(data: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut template = Zeroizing::new(Vec::with_capacity(data.len() + 3));
    tlv::write(&mut template, tlv::Tag(0x83), data);
    command([0x80, 0xA8, 0x00, 0x00], &template, true)
}

/// GENERATE AC that asks for a cryptogram for the issuer (ARQC).
pub fn generate_arqc(data: &[u8]) -> Zeroizing<Vec<u8>> {
    command([0x80, 0xAE, 0x80, 0x00], data, true)
}

/// A whole answer.
pub struct Answer {
    /// Data without the status word.
    pub data: Zeroizing<Vec<u8>>,
    /// Status word.
    pub status: u16,
}

/// What an exchange needs next.
pub enum Next {
    /// Send this.
    Send(Zeroizing<Vec<u8>>),
    /// Done.
    Answer(Answer),
}

/// One command and all that it takes to have its answer.
#[derive(Default)]
pub struct Exchange {
    command: Zeroizing<Vec<u8>>,
    data: Zeroizing<Vec<u8>>,
    follow_ups: u8,
    corrected: bool,
}

impl Exchange {
    /// Begins; the command is to be sent as it is.
    pub fn begin(command: &[u8]) -> Self {
        Self { command: Zeroizing::new(command.to_vec()), ..Self::default() }
    }

    /// Takes what the card sent.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Next, ApduError> {
        let (data, status) = bytes.split_last_chunk::<2>().ok_or(ApduError::Short)?;
        let status = u16::from_be_bytes(*status);
        let [first, second] = status.to_be_bytes();
        if self.data.len() + data.len() > tlv::MOST {
            return Err(ApduError::Large);
        }
        match first {
            0x61 => {
                self.again()?;
                self.keep(data);
                Ok(Next::Send(Zeroizing::new(vec![0x00, 0xC0, 0x00, 0x00, second])))
            }
            // Once: a card that corrects its correction does not mean it.
            0x6C if !self.corrected && data.is_empty() => {
                self.again()?;
                self.corrected = true;
                let mut command = self.command.clone();
                match command.len() {
                    4 => command.push(second),
                    _ => {
                        if let Some(le) = command.last_mut() {
                            *le = second;
                        }
                    }
                }
                Ok(Next::Send(command))
            }
            0x6C => Err(ApduError::Endless),
            _ => {
                self.keep(data);
                Ok(Next::Answer(Answer { data: std::mem::take(&mut self.data), status }))
            }
        }
    }

    fn keep(&mut self, more: &[u8]) {
        // Into a new buffer of the right size: growing in place would leave a copy in freed memory.
        let mut whole = Zeroizing::new(Vec::with_capacity(self.data.len() + more.len()));
        whole.extend_from_slice(&self.data);
        whole.extend_from_slice(more);
        self.data = whole;
    }

    fn again(&mut self) -> Result<(), ApduError> {
        self.follow_ups += 1;
        if self.follow_ups > FOLLOW_UPS { Err(ApduError::Endless) } else { Ok(()) }
    }
}
