//! The form of one field, written as the standard writes it: `n6`, `LL n19`, `LLL b999`, `n3 right`.

use std::fmt;
use std::str::FromStr;

/// What a field holds (ISO 8583:1987 attribute letters).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `n`: decimal digits.
    Digits,
    /// `z`: track data, digits and the separator `=`.
    Track,
    /// `an`: printable ASCII.
    Alnum,
    /// `ans`: text in the host's own character set, kept as bytes.
    Text,
    /// `b`: bytes; sizes count bytes, not bits.
    Binary,
}

/// How long a field is. Sizes count digits for `n` and `z`, bytes otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Always this long.
    Fixed(usize),
    /// A length goes before it.
    Var {
        /// Decimal digits of the length: 2 (LL) or 3 (LLL).
        digits: u8,
        /// Longest value.
        max: usize,
    },
}

/// Which side of a packed field is filled up when its digit count is odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Digits first, a zero nibble last (the rule).
    Left,
    /// A zero nibble first (field 23).
    Right,
}

/// The form of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldSpec {
    /// What it holds.
    pub kind: Kind,
    /// How long it is.
    pub size: Size,
    /// Where an odd digit count is filled.
    pub align: Align,
}

impl FieldSpec {
    /// The longest value, in digits (`n`, `z`) or bytes.
    pub fn max(&self) -> usize {
        match self.size {
            Size::Fixed(length) => length,
            Size::Var { max, .. } => max,
        }
    }

    /// Whether values of this form are packed digits rather than bytes.
    pub fn is_digits(&self) -> bool {
        matches!(self.kind, Kind::Digits | Kind::Track)
    }
}

impl FromStr for FieldSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!("`{text}` is not a field form; write it like `n6`, `LL n19`, `LLL b999` or `n3 right`")
        };
        let mut words: Vec<&str> = text.split_ascii_whitespace().collect();
        let align = if words.last() == Some(&"right") {
            words.pop();
            Align::Right
        } else {
            Align::Left
        };
        let (prefix, body) = match words.as_slice() {
            [body] => (None, *body),
            ["LL", body] => (Some((2u8, 99usize)), *body),
            ["LLL", body] => (Some((3, 999)), *body),
            _ => return Err(bad()),
        };
        let split = body.find(|c: char| c.is_ascii_digit()).ok_or_else(bad)?;
        let kind = match &body[..split] {
            "n" => Kind::Digits,
            "z" => Kind::Track,
            "an" => Kind::Alnum,
            "ans" => Kind::Text,
            "b" => Kind::Binary,
            _ => return Err(bad()),
        };
        let length: usize = body[split..].parse().map_err(|_| bad())?;
        let most = prefix.map_or(999, |(_, most)| most);
        if length == 0 || length > most {
            return Err(format!("`{text}`: the size must be 1 to {most}"));
        }
        let size = match prefix {
            None => Size::Fixed(length),
            Some((digits, _)) => Size::Var { digits, max: length },
        };
        if align == Align::Right && (kind != Kind::Digits || prefix.is_some()) {
            return Err(format!("`{text}`: only a fixed n field can be right-aligned"));
        }
        Ok(Self { kind, size, align })
    }
}

impl fmt::Display for FieldSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Digits => "n",
            Kind::Track => "z",
            Kind::Alnum => "an",
            Kind::Text => "ans",
            Kind::Binary => "b",
        };
        match self.size {
            Size::Fixed(length) => write!(out, "{kind}{length}")?,
            Size::Var { digits: 2, max } => write!(out, "LL {kind}{max}")?,
            Size::Var { max, .. } => write!(out, "LLL {kind}{max}")?,
        }
        if self.align == Align::Right { out.write_str(" right") } else { Ok(()) }
    }
}
