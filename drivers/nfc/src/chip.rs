//! Commands of the PN532 that a contactless reader needs, and their replies (UM0701-02 §7.2, §7.3).

use zeroize::Zeroizing;

/// GetFirmwareVersion.
pub const FIRMWARE: &[u8] = &[0x02];
/// SAMConfiguration: normal mode, no time-out, no interrupt line.
pub const SAM: &[u8] = &[0x14, 0x01, 0x00, 0x00];
/// RFConfiguration, retries: passive activation gives up after a few tries instead of never.
pub const RETRIES: &[u8] = &[0x32, 0x05, 0xFF, 0x01, 0x02];
/// RFConfiguration: field off.
pub const FIELD_OFF: &[u8] = &[0x32, 0x01, 0x00];
/// InRelease: all targets.
pub const RELEASE: &[u8] = &[0x52, 0x00];
/// Most bytes of card data in one InDataExchange (UM0701-02 §7.3.8).
pub const EXCHANGE: usize = 262;

/// InListPassiveTarget at 106 kbit/s, at most two: a second card must be seen to be refused.
pub const fn list(kind: Kind) -> &'static [u8] {
    match kind {
        Kind::A => &[0x4A, 0x02, 0x00],
        // AFI 00: all families.
        Kind::B => &[0x4A, 0x02, 0x03, 0x00],
    }
}

/// InDataExchange with a target.
pub fn exchange(target: u8, apdu: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if apdu.len() > EXCHANGE {
        return None;
    }
    let mut command = Zeroizing::new(Vec::with_capacity(2 + apdu.len()));
    command.extend_from_slice(&[0x40, target]);
    command.extend_from_slice(apdu);
    Some(command)
}

/// Kind of contactless card (ISO/IEC 14443).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Type A.
    A,
    /// Type B.
    B,
}

/// Chip and firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firmware {
    /// `32h`: PN532.
    pub chip: u8,
    /// Firmware version.
    pub version: u8,
    /// Its revision.
    pub revision: u8,
    /// Bits: ISO 14443 A, B, ISO 18092.
    pub support: u8,
}

/// A card in the field.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// Number that the PN532 gave it.
    pub number: u8,
    /// Type A or B.
    pub kind: Kind,
    /// Speaks ISO/IEC 14443-4 (APDUs).
    pub iso_dep: bool,
    /// Serial number: UID of type A (4, 7, 10 bytes), PUPI of type B (4 bytes). Phones make theirs up.
    pub uid: Zeroizing<Vec<u8>>,
}

impl Target {
    /// Whether the serial number is made up anew for each tap (ISO/IEC 14443-3 §6.5.4: `08`; every PUPI may be).
    pub fn random(&self) -> bool {
        self.kind == Kind::B || (self.uid.len() == 4 && self.uid.first() == Some(&0x08))
    }
}

/// Why a reply is not readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the reader's reply to a command is malformed")]
pub struct Malformed;

/// Reply of GetFirmwareVersion, from its code on.
pub fn firmware(reply: &[u8]) -> Result<Firmware, Malformed> {
    match reply {
        [0x03, chip, version, revision, support, ..] => {
            Ok(Firmware { chip: *chip, version: *version, revision: *revision, support: *support })
        }
        _ => Err(Malformed),
    }
}

/// Reply of InListPassiveTarget: the cards that were found, with what stands behind the last one ignored.
pub fn targets(reply: &[u8], kind: Kind) -> Result<Vec<Target>, Malformed> {
    let [0x4B, count @ 0..=2, left @ ..] = reply else { return Err(Malformed) };
    let mut left = left;
    let mut found = Vec::with_capacity(usize::from(*count));
    for _ in 0..*count {
        let (target, used) = match kind {
            Kind::A => type_a(left)?,
            Kind::B => type_b(left)?,
        };
        left = left.get(used..).unwrap_or_default();
        found.push(target);
    }
    Ok(found)
}

fn type_a(bytes: &[u8]) -> Result<(Target, usize), Malformed> {
    let [number, _, _, sak, length, rest @ ..] = bytes else { return Err(Malformed) };
    let length = usize::from(*length);
    let uid = rest.get(..length).filter(|u| matches!(u.len(), 4 | 7 | 10)).ok_or(Malformed)?;
    let iso_dep = sak & 0x20 != 0;
    let mut used = 5 + length;
    // ATS: its first byte counts itself. Some firmware leaves it out, and cards without ISO-DEP have none.
    if iso_dep && let Some(ats) = bytes.get(used).copied().map(usize::from) {
        bytes.get(used..used + ats).ok_or(Malformed)?;
        used += ats;
    }
    Ok((Target { number: *number, kind: Kind::A, iso_dep, uid: Zeroizing::new(uid.to_vec()) }, used))
}

fn type_b(bytes: &[u8]) -> Result<(Target, usize), Malformed> {
    // Tg, ATQB (12: 50h, PUPI 4, application data 4, protocol info 3), length of ATTRIB_RES, ATTRIB_RES.
    let (head, rest) = bytes.split_first_chunk::<14>().ok_or(Malformed)?;
    let length = usize::from(head[13]);
    rest.get(..length).ok_or(Malformed)?;
    let iso_dep = head[11] & 0x01 != 0;
    let uid = Zeroizing::new(head[2..6].to_vec());
    Ok((Target { number: head[0], kind: Kind::B, iso_dep, uid }, 14 + length))
}

/// What an exchange with a card came to.
#[derive(Clone, PartialEq, Eq)]
pub enum Exchanged<'a> {
    /// All of the answer, or its last part.
    Last(&'a [u8]),
    /// A part; ask for the next with an empty exchange.
    More(&'a [u8]),
    /// No answer.
    Failed(Status),
}

/// Why the PN532 got no answer from the card (UM0701-02 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The card is gone, or too far away to be heard: time-out, CRC, parity, framing, protocol, field, card gone.
    Lost(u8),
    /// Another card lies there now.
    Changed,
    /// The reader knows no such card: it was reset meanwhile.
    Forgotten,
    /// Anything else.
    Other(u8),
}

/// Reply of InDataExchange, from its code on.
pub fn exchanged(reply: &[u8]) -> Result<Exchanged<'_>, Malformed> {
    let [0x41, status, data @ ..] = reply else { return Err(Malformed) };
    Ok(match status & 0x3F {
        0x00 if status & 0x40 != 0 => Exchanged::More(data),
        0x00 => Exchanged::Last(data),
        code @ (0x01..=0x07 | 0x0A | 0x0B | 0x29 | 0x2B) => Exchanged::Failed(Status::Lost(code)),
        0x2A => Exchanged::Failed(Status::Changed),
        0x27 => Exchanged::Failed(Status::Forgotten),
        code => Exchanged::Failed(Status::Other(code)),
    })
}
