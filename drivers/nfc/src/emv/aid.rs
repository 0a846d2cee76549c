//! Applications of the terminal, and the card's list of its own (entry point, EMV Book B §3.3).

use super::tlv;

/// The directory of contactless cards.
pub const PPSE: &[u8] = b"2PAY.SYS.DDF01";
/// Most entries of a directory that are looked at.
const ENTRIES: usize = 64;

/// How far a scheme's cards are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// UnionPay QuickPass (kernel 7).
    UnionPay,
    /// Visa (kernel 3).
    Visa,
    /// Mastercard (kernel 2).
    Mastercard,
    /// American Express (kernel 4).
    Amex,
    /// JCB (kernel 5).
    Jcb,
    /// Discover and Diners (kernel 6).
    Discover,
}

impl Scheme {
    /// By the registered identifier, the first five bytes of an AID (EMV Book B table 3-6).
    pub fn of(aid: &[u8]) -> Option<Self> {
        Some(match aid.get(..5)? {
            [0xA0, 0, 0, 3, 0x33] => Self::UnionPay,
            [0xA0, 0, 0, 0, 3] => Self::Visa,
            [0xA0, 0, 0, 0, 4] => Self::Mastercard,
            [0xA0, 0, 0, 0, 0x25] => Self::Amex,
            [0xA0, 0, 0, 0, 0x65] => Self::Jcb,
            [0xA0, 0, 0, 1, 0x52] | [0xA0, 0, 0, 3, 0x24] => Self::Discover,
            _ => return None,
        })
    }

    /// Number of its contactless kernel (EMV Book B).
    pub const fn kernel(self) -> u8 {
        match self {
            Self::Mastercard => 2,
            Self::Visa => 3,
            Self::Amex => 4,
            Self::Jcb => 5,
            Self::Discover => 6,
            Self::UnionPay => 7,
        }
    }

    /// Name for messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnionPay => "UnionPay",
            Self::Visa => "Visa",
            Self::Mastercard => "Mastercard",
            Self::Amex => "American Express",
            Self::Jcb => "JCB",
            Self::Discover => "Discover",
        }
    }

    /// Version of the terminal's application (9F09) where the settings name none.
    pub const fn version(self) -> [u8; 2] {
        match self {
            Self::UnionPay => [0x00, 0x30],
            Self::Visa => [0x00, 0x96],
            Self::Mastercard => [0x00, 0x02],
            _ => [0x00, 0x01],
        }
    }
}

/// AIDs of the terminal where the settings name none, the most wanted first: UnionPay debit, credit, quasi-credit, then Visa,
/// Visa Electron, Mastercard, Maestro, American Express, JCB, Discover.
pub const DEFAULT: [&[u8]; 10] = [
    &[0xA0, 0, 0, 3, 0x33, 1, 1, 1],
    &[0xA0, 0, 0, 3, 0x33, 1, 1, 2],
    &[0xA0, 0, 0, 3, 0x33, 1, 1, 3],
    &[0xA0, 0, 0, 3, 0x33, 1, 1],
    &[0xA0, 0, 0, 0, 3, 0x10, 0x10],
    &[0xA0, 0, 0, 0, 3, 0x20, 0x10],
    &[0xA0, 0, 0, 0, 4, 0x10, 0x10],
    &[0xA0, 0, 0, 0, 4, 0x30, 0x60],
    &[0xA0, 0, 0, 0, 0x25, 1],
    &[0xA0, 0, 0, 0, 0x65, 0x10, 0x10],
];

/// An application that card and terminal have both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The card's AID, 5–16 bytes.
    pub aid: Vec<u8>,
    /// Its priority, 1 highest; 15 where the card gives none.
    pub priority: u8,
    /// Its label as it stands in the directory.
    pub label: Vec<u8>,
}

/// Why a directory cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// Not TLV, or not the template.
    #[error("the card's directory is malformed")]
    Malformed,
    /// Names no application.
    #[error("the card's directory is empty")]
    Empty,
}

/// Candidates of a directory's answer, the best first: by the card's priority, then by the terminal's order. A card's AID
/// matches when it begins with one of the terminal's.
pub fn candidates(answer: &[u8], terminal: &[Vec<u8>]) -> Result<Vec<Candidate>, DirectoryError> {
    tlv::check(answer).map_err(|_| DirectoryError::Malformed)?;
    let fci = tlv::only(answer, 0x6F).ok_or(DirectoryError::Malformed)?;
    let list = tlv::find(fci, &[0xA5, 0xBF0C]).ok_or(DirectoryError::Malformed)?;
    let entries = tlv::objects(list).map_while(Result::ok).filter(|o| o.tag.0 == 0x61).take(ENTRIES);
    let mut found: Vec<(usize, Candidate)> = Vec::new();
    let mut any = false;
    for entry in entries {
        any = true;
        // An entry whose AID is no AID is passed over; the others are as good as without it.
        let Some(aid) = tlv::first(entry.value, 0x4F).filter(|a| (5..=16).contains(&a.len())) else {
            continue;
        };
        let Some(rank) = terminal.iter().position(|t| aid.starts_with(t)) else { continue };
        if found.iter().any(|(_, c)| c.aid == aid) {
            continue;
        }
        let priority = match tlv::first(entry.value, 0x87) {
            Some([p]) if p & 0x0F != 0 => p & 0x0F,
            _ => 15,
        };
        let label = tlv::first(entry.value, 0x50).unwrap_or_default().to_vec();
        found.push((rank, Candidate { aid: aid.to_vec(), priority, label }));
    }
    if !any {
        return Err(DirectoryError::Empty);
    }
    found.sort_by_key(|(rank, c)| (c.priority, *rank));
    Ok(found.into_iter().map(|(_, c)| c).collect())
}

/// What an application says when it is selected.
#[derive(Clone, PartialEq, Eq)]
pub struct Application {
    /// DF name: the AID in full.
    pub aid: Vec<u8>,
    /// Label for people.
    pub label: String,
    /// Data object list of GET PROCESSING OPTIONS; empty where the card has none.
    pub pdol: Vec<u8>,
}

/// Reads the answer of SELECT for `asked`. `None`: no sound application; try the next.
pub fn application(answer: &[u8], asked: &[u8], listed: &[u8]) -> Option<Application> {
    tlv::check(answer).ok()?;
    let fci = tlv::only(answer, 0x6F)?;
    let aid = tlv::first(fci, 0x84).filter(|a| (5..=16).contains(&a.len()) && a.starts_with(asked))?;
    let own = tlv::first(fci, 0xA5).unwrap_or_default();
    // The preferred name only where its code table is Latin-1 (EMV Book 1 §12.2.1); shown is ASCII of it.
    let preferred = tlv::first(own, 0x9F12).filter(|_| tlv::first(own, 0x9F11) == Some(&[1]));
    let label = preferred.or_else(|| tlv::first(own, 0x50)).unwrap_or(listed);
    Some(Application {
        aid: aid.to_vec(),
        label: printable(label),
        pdol: tlv::first(own, 0x9F38).unwrap_or_default().to_vec(),
    })
}

/// Text of a card as it may be shown: sixteen characters at most, nothing that a printer or screen would act on.
pub fn printable(bytes: &[u8]) -> String {
    let shown: String =
        bytes.iter().take(16).filter(|b| (0x20..0x7F).contains(*b)).map(|b| char::from(*b)).collect();
    shown.trim().to_owned()
}
