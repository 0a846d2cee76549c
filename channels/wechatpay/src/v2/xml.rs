//! The XML of interface v2: one element `xml` whose children are texts. Nothing else is read.
//!
//! Written here, and not left to a general parser, because what a general one can do is the danger (channels §3.2: external
//! entities were a real fault of such clients): no document types, no entities but the five of the language, no attributes,
//! no nesting, no processing instructions, no name twice, bounded in number and length (C15).

use std::collections::BTreeMap;

use thiserror::Error;
use zeroize::Zeroizing;

/// Longest document that is read, bytes.
pub const LONGEST: usize = 64 * 1024;
/// Most fields of one document.
const MOST_FIELDS: usize = 200;
/// Longest name.
const LONGEST_NAME: usize = 64;

/// The fields of a document, by name.
pub type Fields = BTreeMap<String, String>;

/// Why a document is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum XmlError {
    /// Not UTF-8.
    #[error("the XML is not UTF-8")]
    Text,
    /// Longer than any answer, or with more fields.
    #[error("the XML is larger than any answer")]
    TooLarge,
    /// Something the interface never sends.
    #[error("the XML holds {0}, which is not read")]
    Forbidden(&'static str),
    /// Not of the form `<xml><name>text</name>…</xml>`.
    #[error("the XML is not one flat element ({0})")]
    Form(&'static str),
}

/// Reads a document.
pub fn read(bytes: &[u8]) -> Result<Fields, XmlError> {
    if bytes.len() > LONGEST {
        return Err(XmlError::TooLarge);
    }
    let mut rest = std::str::from_utf8(bytes).map_err(|_| XmlError::Text)?.trim();
    if let Some(after) = rest.strip_prefix("<?xml ") {
        rest = after.split_once("?>").ok_or(XmlError::Form("its declaration does not end"))?.1.trim_start();
    }
    let mut rest = rest.strip_prefix("<xml>").ok_or_else(|| odd(rest, "it does not begin with <xml>"))?;
    let mut fields = Fields::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix("</xml>") {
            return if after.is_empty() {
                Ok(fields)
            } else {
                Err(XmlError::Form("something follows its end"))
            };
        }
        if let Some(error) = forbidden(rest) {
            return Err(error);
        }
        let after = rest.strip_prefix('<').ok_or(XmlError::Form("text stands between its fields"))?;
        let (name, after) = after.split_once('>').ok_or(XmlError::Form("a tag does not end"))?;
        if let Some(empty) = name.strip_suffix('/') {
            put(&mut fields, empty.trim_end(), String::new(), rest)?;
            rest = after;
            continue;
        }
        let (value, after) = text(after)?;
        let end = after
            .strip_prefix("</")
            .and_then(|after| after.strip_prefix(name))
            .and_then(|after| after.strip_prefix('>'));
        put(&mut fields, name, value, rest)?;
        rest = end.ok_or_else(|| odd(after, "a field is not closed by its own tag"))?;
    }
}

fn put(fields: &mut Fields, name: &str, value: String, at: &str) -> Result<(), XmlError> {
    let fits = (1..=LONGEST_NAME).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !fits {
        return Err(odd(at, "a name is not of letters, digits and _"));
    }
    if fields.len() >= MOST_FIELDS {
        return Err(XmlError::TooLarge);
    }
    match fields.insert(name.to_owned(), value) {
        None => Ok(()),
        Some(_) => Err(XmlError::Form("a field is there twice")),
    }
}

/// Says what it is where it is one of the dangerous things.
fn odd(at: &str, otherwise: &'static str) -> XmlError {
    forbidden(at.trim_start()).unwrap_or(XmlError::Form(otherwise))
}

fn forbidden(at: &str) -> Option<XmlError> {
    let known = [
        ("<!DOCTYPE", "a document type"),
        ("<!ENTITY", "an entity declaration"),
        ("<!--", "a comment"),
        ("<?", "a processing instruction"),
    ];
    let begins = |start: &str| at.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
    known.iter().find(|(start, _)| begins(start)).map(|(_, what)| XmlError::Forbidden(what))
}

/// The text of a field up to its end tag: plain with the five entities, CDATA, or both in turn.
fn text(mut rest: &str) -> Result<(String, &str), XmlError> {
    let mut out = String::new();
    loop {
        if let Some(after) = rest.strip_prefix("<![CDATA[") {
            let (data, after) =
                after.split_once("]]>").ok_or(XmlError::Form("a CDATA section does not end"))?;
            out.push_str(data);
            rest = after;
        } else if rest.starts_with('<') {
            return if rest.starts_with("</") {
                Ok((out, rest))
            } else {
                Err(odd(rest, "a field has fields of its own"))
            };
        } else {
            let at = rest.find('<').ok_or(XmlError::Form("a field does not end"))?;
            let (plain, after) = rest.split_at(at);
            unescape(plain, &mut out)?;
            rest = after;
        }
    }
}

fn unescape(mut plain: &str, out: &mut String) -> Result<(), XmlError> {
    while let Some((before, after)) = plain.split_once('&') {
        out.push_str(before);
        let (name, after) =
            after.split_once(';').filter(|(n, _)| n.len() <= 4).ok_or(XmlError::Forbidden("an entity"))?;
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => return Err(XmlError::Forbidden("an entity")),
        });
        plain = after;
    }
    out.push_str(plain);
    Ok(())
}

/// Writes a document. The buffer is wiped: a payment's holds the customer's code.
pub fn write<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Zeroizing<Vec<u8>> {
    // Room enough from the start: a growing buffer would leave copies of the payment code behind.
    let mut out = Zeroizing::new(Vec::with_capacity(8 * 1024));
    out.extend_from_slice(b"<xml>");
    for (name, value) in fields {
        out.extend_from_slice(format!("<{name}>").as_bytes());
        for byte in value.bytes() {
            match byte {
                b'&' => out.extend_from_slice(b"&amp;"),
                b'<' => out.extend_from_slice(b"&lt;"),
                b'>' => out.extend_from_slice(b"&gt;"),
                byte => out.push(byte),
            }
        }
        out.extend_from_slice(format!("</{name}>").as_bytes());
    }
    out.extend_from_slice(b"</xml>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_and_cdata_are_read() {
        let fields = read(
            b"<?xml version=\"1.0\"?>\n<xml>\n <a><![CDATA[x<y]]></a><b>1 &amp; 2</b><c/><d>p<![CDATA[q]]>r</d>\n</xml>\n",
        )
        .unwrap();
        let got: Vec<_> = fields.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(got, [("a", "x<y"), ("b", "1 & 2"), ("c", ""), ("d", "pqr")]);
    }

    #[test]
    fn c15_what_can_reach_outside_grow_or_mean_two_things_is_refused() {
        for (bad, what) in [
            ("<!DOCTYPE xml [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><xml><a>&e;</a></xml>", "type"),
            ("<!doctype xml><xml></xml>", "type"),
            ("<xml><!DOCTYPE a><a>1</a></xml>", "type"),
            ("<xml><a>&e;</a></xml>", "entity"),
            ("<xml><a>&#65;</a></xml>", "entity"),
            ("<xml><a>a & b</a></xml>", "entity"),
            ("<xml><!-- x --><a>1</a></xml>", "comment"),
            ("<xml><?php x?><a>1</a></xml>", "instruction"),
            ("<xml><a><b>1</b></a></xml>", "own"),
            ("<xml><a b=\"c\">1</a></xml>", "name"),
            ("<xml><a>1</a><a>2</a></xml>", "twice"),
            ("<xml><a>1</b></xml>", "closed"),
            ("<xml><a>1</a></xml><xml></xml>", "follows"),
            ("<xml>x<a>1</a></xml>", "between"),
            ("<xml><a>1", "end"),
            ("<xml><a><![CDATA[1</a></xml>", "CDATA"),
            ("<html></html>", "begin"),
            ("", "begin"),
        ] {
            let error = read(bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(what), "{bad}: {error}");
        }
        assert_eq!(read(b"<xml><a>\xff</a></xml>"), Err(XmlError::Text));
        assert_eq!(read(&vec![b' '; LONGEST + 1]), Err(XmlError::TooLarge));
        let many: Vec<String> = (0..=MOST_FIELDS).map(|n| format!("<a{n}/>")).collect();
        assert_eq!(read(format!("<xml>{}</xml>", many.concat()).as_bytes()), Err(XmlError::TooLarge));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(values in proptest::collection::btree_map("[a-z_]{1,10}", "[^\\x00-\\x1f]{0,20}", 0..8)) {
            let fields: Fields = values;
            let bytes = write(fields.iter().map(|(k, v)| (k.as_str(), v.as_str())));
            prop_assert_eq!(read(&bytes), Ok(fields));
        }

        #[test]
        fn no_bytes_crash_it(text in "(<xml>)?(<[a-z/!?]{0,4}>?|&[a-z#]{0,5};?|<!\\[CDATA\\[|\\]\\]>|\\PC){0,40}(</xml>)?") {
            let _ = read(text.as_bytes());
        }
    }
}
