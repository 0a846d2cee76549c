//! Identity of a payment.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Identity of a payment: a UUID given by the shell, for ever.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PaymentId(pub [u8; 16]);

/// As the bytes compare, in two steps instead of sixteen: maps of payments are asked at every step of the machine.
impl Ord for PaymentId {
    fn cmp(&self, other: &Self) -> Ordering {
        u128::from_be_bytes(self.0).cmp(&u128::from_be_bytes(other.0))
    }
}

impl PartialOrd for PaymentId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 32];
        hex::encode_to_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not a payment id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a payment id; it is 32 hexadecimal digits, as `tillctl payments` shows")]
pub struct PaymentIdError(String);

impl FromStr for PaymentId {
    type Err = PaymentIdError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let bad = || PaymentIdError(s.chars().take(40).collect());
        // from_str_radix would take a sign.
        if s.len() != 32 || !s.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let mut id = [0; 16];
        for (byte, pair) in id.iter_mut().zip(s.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| bad())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
        }
        Ok(Self(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_compare_as_their_bytes_do() {
        let ids = [[0; 16], [0xff; 16], *b"0123456789abcdef", *b"0123456789abcdee", *b"1123456789abcdee"];
        for (a, b) in ids.iter().flat_map(|a| ids.iter().map(move |b| (a, b))) {
            assert_eq!(PaymentId(*a).cmp(&PaymentId(*b)), a.cmp(b), "{a:?} {b:?}");
        }
        assert_eq!(PaymentId(*b"0123456789abcdef").to_string(), "30313233343536373839616263646566");
    }

    #[test]
    fn ids_read_back_and_bad_ones_are_refused() {
        let id = PaymentId([0xab; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "xyz", &"g".repeat(32), &"é".repeat(16), &"a".repeat(33), &"+1".repeat(16)] {
            assert!(bad.parse::<PaymentId>().is_err(), "{bad}");
        }
    }
}
