//! CCID messages as a reader takes and gives them (USB CCID rev. 1.1 §6.1, §6.2).

use zeroize::Zeroizing;

/// Length of a header.
pub const HEADER: usize = 10;
/// Longest message: a short APDU of 261 bytes, or an answer of 258.
pub const MOST: usize = HEADER + 261;

/// What the till wants.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wish<'a> {
    /// Is a card there?
    Status,
    /// Activate it.
    On,
    /// Let it go.
    Off,
    /// Give it these bytes.
    Transfer(&'a [u8]),
    /// Anything else, which no till of ours asks for.
    Other,
    /// Longer or shorter than it says.
    Misshapen,
}

/// A message from the till: its sequence number and what it wants. `None`: not even a header.
pub fn parse(bytes: &[u8]) -> Option<(u8, Wish<'_>)> {
    let (header, data) = bytes.split_first_chunk::<HEADER>()?;
    let [kind, l0, l1, l2, l3, slot, sequence, ..] = *header;
    let whole = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])) == Ok(data.len());
    let wish = match kind {
        _ if !whole || bytes.len() > MOST => Wish::Misshapen,
        _ if slot != 0 => Wish::Other,
        0x62 => Wish::On,
        0x63 => Wish::Off,
        0x65 => Wish::Status,
        0x6F => Wish::Transfer(data),
        _ => Wish::Other,
    };
    Some((sequence, wish))
}

/// Whether a card lies there (bmICCStatus).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// And is active.
    Active,
    /// And is not.
    Inactive,
    /// None.
    None,
}

/// Why a command failed (bError).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The card does not answer, or there is none.
    Mute,
    /// Another program has the card.
    Busy,
    /// The length of the message.
    Length,
    /// No such command.
    Unknown,
}

/// RDR_to_PC_SlotStatus.
pub fn status(sequence: u8, presence: Presence) -> Zeroizing<Vec<u8>> {
    message(0x81, sequence, presence as u8, 0, &[])
}

/// RDR_to_PC_DataBlock with an answer.
pub fn data(sequence: u8, data: &[u8]) -> Zeroizing<Vec<u8>> {
    message(0x80, sequence, 0, 0, data)
}

/// RDR_to_PC_DataBlock of a command that failed.
pub fn failed(sequence: u8, presence: Presence, why: Failure) -> Zeroizing<Vec<u8>> {
    let error = match why {
        Failure::Mute => 0xFE,
        Failure::Busy => 0xE0,
        Failure::Length => 1,
        Failure::Unknown => 0,
    };
    message(0x80, sequence, 0x40 | presence as u8, error, &[])
}

fn message(kind: u8, sequence: u8, status: u8, error: u8, data: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(HEADER + data.len()));
    bytes.push(kind);
    bytes.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&[0, sequence, status, error, 0]);
    bytes.extend_from_slice(data);
    bytes
}
