//! [`Sensitive`]: data that must not be seen (PAN, tracks, wallet codes, keys).
//!
//! It has no `Display`, its `Debug` shows only the type's length class, it is wiped when dropped, and it cannot be
//! serialised by accident: only message fields that say `#[serde(with = "till_plugin::sensitive::wire")]` carry it,
//! and those messages exist only between the daemon and its plugin hosts.
//!
//! ```compile_fail
//! let pan = till_plugin::Sensitive::new(String::from("6200000000000005"));
//! println!("{pan}"); // no Display: a log line cannot be built from it (channels.md C9)
//! ```
//!
//! ```compile_fail
//! #[derive(serde::Serialize)]
//! struct Record { pan: till_plugin::Sensitive<String> } // no Serialize: a journal record cannot hold it
//! ```

use std::fmt;

use zeroize::Zeroize;

/// A value that is wiped on drop and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Sensitive<T: Zeroize>(T);

impl<T: Zeroize> Sensitive<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The clear value, for the one place that needs it. Do not keep a copy.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The clear value, to change in place.
    pub const fn expose_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Zeroize> Drop for Sensitive<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<T: Zeroize> From<T> for Sensitive<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl Sensitive<String> {
    /// First `head` and last `tail` characters with stars between; all stars when it is too short for that to hide
    /// at least a third of it.
    pub fn masked(&self, head: usize, tail: usize) -> String {
        let chars: Vec<char> = self.0.chars().collect();
        let shown = head + tail;
        if chars.len() < shown + shown.div_ceil(2).max(1) {
            return "*".repeat(chars.len());
        }
        let mut out: String = chars[..head].iter().collect();
        out.extend(std::iter::repeat_n('*', chars.len() - shown));
        out.extend(&chars[chars.len() - tail..]);
        out
    }

    /// A PAN as the schemes allow it to be shown: first six, last four (PCI DSS 3.4.1).
    pub fn masked_pan(&self) -> String {
        let chars: Vec<char> = self.0.chars().collect();
        if chars.len() < 12 {
            return "*".repeat(chars.len());
        }
        let mut out: String = chars[..6].iter().collect();
        out.extend(std::iter::repeat_n('*', chars.len() - 10));
        out.extend(&chars[chars.len() - 4..]);
        out
    }
}

/// Serde adapter for fields of messages between daemon and plugin host. Nowhere else.
pub mod wire {
    use super::Sensitive;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use zeroize::Zeroize;

    /// Writes the clear value.
    pub fn serialize<T, S>(value: &Sensitive<T>, s: S) -> Result<S::Ok, S::Error>
    where
        T: Zeroize + Serialize,
        S: Serializer,
    {
        value.0.serialize(s)
    }

    /// Reads the clear value.
    pub fn deserialize<'de, T, D>(d: D) -> Result<Sensitive<T>, D::Error>
    where
        T: Zeroize + Deserialize<'de>,
        D: Deserializer<'de>,
    {
        T::deserialize(d).map(Sensitive)
    }

    /// The same for an optional field: `#[serde(with = "till_plugin::sensitive::wire::option")]`.
    pub mod option {
        use super::{Deserialize, Deserializer, Sensitive, Serialize, Serializer, Zeroize};

        /// Writes the clear value.
        pub fn serialize<T, S>(value: &Option<Sensitive<T>>, s: S) -> Result<S::Ok, S::Error>
        where
            T: Zeroize + Serialize,
            S: Serializer,
        {
            value.as_ref().map(|v| &v.0).serialize(s)
        }

        /// Reads the clear value.
        pub fn deserialize<'de, T, D>(d: D) -> Result<Option<Sensitive<T>>, D::Error>
        where
            T: Zeroize + Deserialize<'de>,
            D: Deserializer<'de>,
        {
            Ok(Option::<T>::deserialize(d)?.map(Sensitive))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let s = Sensitive::new(String::from("6200000000000005"));
        assert_eq!(format!("{s:?} {:?}", Some(&s)), "[redacted] Some([redacted])");
    }

    #[test]
    fn masks_never_show_most_of_a_short_value() {
        let mask = |t: &str| Sensitive::new(String::from(t)).masked(2, 4);
        assert_eq!(mask("280123456789012345"), "28************2345");
        assert_eq!(mask("12345678"), "********");
        assert_eq!(mask(""), "");
        let pan = |t: &str| Sensitive::new(String::from(t)).masked_pan();
        assert_eq!(pan("6200000000000005"), "620000******0005");
        assert_eq!(pan("62000000001"), "***********");
    }
}
