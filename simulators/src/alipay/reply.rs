//! Replies as bytes: JSON written with changing blanks and escapes, signed over exactly those bytes.
//!
//! The platform promises no spelling of its JSON, only that its signature covers the raw text of the response node. A
//! client that parses and re-writes the node before it verifies passes by luck with one spelling; it must fail here.

use std::fmt::Write as _;

use serde_json::Value;

/// How replies are spelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Spelling {
    /// Another seed in every run.
    #[default]
    Random,
    /// The same blanks and escapes in every run with this seed.
    Seeded(u64),
    /// Dense JSON, non-ASCII characters as they are.
    Plain,
}

/// Blanks and escapes by dice.
#[derive(Debug)]
pub(crate) struct Writer {
    dice: Option<u64>,
}

impl Writer {
    pub(crate) fn new(spelling: Spelling) -> Self {
        let dice = match spelling {
            Spelling::Random => Some(getrandom::u64().unwrap_or(1)),
            Spelling::Seeded(seed) => Some(seed),
            Spelling::Plain => None,
        };
        Self { dice }
    }

    /// A number below `sides`; 0 in plain spelling.
    fn roll(&mut self, sides: u64) -> u64 {
        let Some(state) = self.dice.as_mut() else { return 0 };
        // SplitMix64: small, and good enough to choose blanks.
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn blank(&mut self, out: &mut String) {
        out.push_str(match self.roll(12) {
            9 => " ",
            10 => "\n  ",
            11 => "\t",
            _ => "",
        });
    }

    /// The response node: its raw text is what is signed, so no blank stands outside its braces.
    pub(crate) fn node(&mut self, fields: &[(String, Value)]) -> String {
        let mut out = String::from("{");
        for (at, (name, value)) in fields.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            self.blank(&mut out);
            self.text(name, &mut out);
            self.blank(&mut out);
            out.push(':');
            self.blank(&mut out);
            self.value(value, &mut out);
            self.blank(&mut out);
        }
        out.push('}');
        out
    }

    /// The whole body around the node, the signature before or behind it, and the number of the certificate it is under.
    pub(crate) fn envelope(
        &mut self,
        name: &str,
        node: &str,
        signature: Option<&str>,
        certificate: Option<&str>,
    ) -> String {
        let mut members = vec![(name.to_owned(), node.to_owned())];
        if let Some(number) = certificate {
            let at = usize::from(self.roll(4) != 2);
            members.insert(at, ("alipay_cert_sn".to_owned(), format!("\"{number}\"")));
        }
        if let Some(signature) = signature {
            // Base64 may hold `/`, so it may be escaped like any other text.
            let mut text = String::new();
            self.text(signature, &mut text);
            let at = usize::from(self.roll(4) != 1);
            members.insert(at, ("sign".to_owned(), text));
        }
        let mut out = String::new();
        self.blank(&mut out);
        out.push('{');
        for (at, (name, value)) in members.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            self.blank(&mut out);
            out.push('"');
            out.push_str(name);
            out.push('"');
            self.blank(&mut out);
            out.push(':');
            self.blank(&mut out);
            out.push_str(value);
            self.blank(&mut out);
        }
        out.push('}');
        self.blank(&mut out);
        out
    }

    fn value(&mut self, value: &Value, out: &mut String) {
        match value {
            Value::String(text) => self.text(text, out),
            Value::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    self.blank(out);
                    self.value(item, out);
                }
                out.push(']');
            }
            Value::Object(members) => {
                let fields: Vec<_> =
                    members.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
                out.push_str(&self.node(&fields));
            }
            other => out.push_str(&other.to_string()),
        }
    }

    fn text(&mut self, text: &str, out: &mut String) {
        out.push('"');
        for c in text.chars() {
            let escape = self.roll(3) == 1;
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '/' if escape => out.push_str("\\/"),
                c if c.is_control() || (!c.is_ascii() && escape) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        // Writing to a string does not fail.
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Vec<(String, Value)> {
        let field = |name: &str, value: &str| (name.to_owned(), Value::from(value));
        vec![
            field("code", "10000"),
            field("sub_msg", "付款码已失效 \"𠮷\" \\ \n"),
            field("qr_code", "https://qr.alipay.com/bax1"),
            ("fund_bill_list".to_owned(), serde_json::json!([{"amount": "1.00", "sign": "inner"}])),
        ]
    }

    #[test]
    fn every_spelling_means_the_same_and_they_do_differ() {
        let expected: Value = Value::Object(fields().into_iter().collect());
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let mut writer = Writer::new(Spelling::Seeded(seed));
            let node = writer.node(&fields());
            assert_eq!(serde_json::from_str::<Value>(&node).unwrap(), expected, "{node}");
            assert!(node.starts_with('{') && node.ends_with('}'));
            let body: Value =
                serde_json::from_str(&writer.envelope("r", &node, Some("a/b+c="), Some("0c"))).unwrap();
            assert_eq!(body["sign"], "a/b+c=");
            assert_eq!(body["alipay_cert_sn"], "0c");
            assert_eq!(body["r"], expected);
            seen.insert(node);
        }
        assert!(seen.len() > 150, "only {} spellings", seen.len());
        assert!(
            seen.iter().any(|node| node.contains(r"\/")) && seen.iter().any(|node| node.contains(r"\u4ed8"))
        );
    }

    #[test]
    fn plain_spelling_is_dense() {
        let mut writer = Writer::new(Spelling::Plain);
        assert_eq!(writer.node(&fields()[..1]), r#"{"code":"10000"}"#);
        assert_eq!(writer.envelope("r", "{}", Some("s"), None), r#"{"r":{},"sign":"s"}"#);
        assert_eq!(writer.envelope("r", "{}", None, None), r#"{"r":{}}"#);
    }
}
