//! The tar file: only text and JSON go in, and only through [`scrub`].

use serde_json::{Map, Value, json};
use tar::{Builder, Header};

use super::scrub::scrub;

/// Largest bundle, bytes; beyond that files are left out, and it says which.
pub const MOST: usize = 4 << 20;

/// A bundle that is being made.
pub struct Archive {
    folder: String,
    mtime_s: u64,
    most: usize,
    tar: Builder<Vec<u8>>,
    size: usize,
    files: Vec<Value>,
    left_out: Vec<Value>,
    words: Vec<String>,
}

impl Archive {
    /// Everything in it lies below `folder`.
    pub fn new(folder: &str, mtime_s: u64) -> Self {
        Self::bounded(folder, mtime_s, MOST)
    }

    /// At most so many bytes: half of them for the log, a sixteenth for any other file.
    fn bounded(folder: &str, mtime_s: u64, most: usize) -> Self {
        Self {
            folder: folder.into(),
            mtime_s,
            most,
            tar: Builder::new(Vec::new()),
            size: 0,
            files: Vec::new(),
            left_out: Vec::new(),
            words: Vec::new(),
        }
    }

    /// Words that must not be in it, whatever they look like. Before anything goes in.
    pub fn without(&mut self, words: Vec<String>) {
        self.words = words;
    }

    /// Text; of one that is too long the end stays.
    pub fn text(&mut self, name: &str, text: &str) {
        self.newest(name, text, self.most / 16);
    }

    /// The log: as [`Self::text`], and more of it.
    pub fn log(&mut self, name: &str, text: &str) {
        self.newest(name, text, self.most / 2);
    }

    fn newest(&mut self, name: &str, text: &str, most: usize) {
        // First cleaned, then cut: half a number would be let through.
        let clean = scrub(&without(&self.words, text));
        let mut from = clean.len().saturating_sub(most);
        if from > 0 {
            from = clean.get(from..).map_or(clean.len(), |rest| from + rest.find('\n').map_or(0, |n| n + 1));
            while !clean.is_char_boundary(from) {
                from += 1;
            }
        }
        self.put(name, &clean.as_bytes()[from..], from);
    }

    /// JSON: texts are cleaned, keys too, and whole numbers that could be a card's.
    pub fn json(&mut self, name: &str, value: &Value) {
        let text = format!("{:#}\n", clean(&self.words, "", value));
        self.put(name, text.as_bytes(), 0);
    }

    /// Something that should be in it and is not.
    pub fn left_out(&mut self, name: &str, why: &str) {
        self.left_out.push(json!({ "file": name, "why": scrub(&without(&self.words, why)) }));
    }

    fn put(&mut self, name: &str, bytes: &[u8], cut: usize) {
        // A block of header, and what fills the last one.
        let takes = bytes.len().next_multiple_of(512) + 512;
        // The list of contents and the end have their place.
        if self.size + takes > self.most - self.most / 16 {
            self.left_out(name, "the bundle would be too large");
            return;
        }
        if let Err(e) = self.append(name, bytes) {
            self.left_out(name, &e.to_string());
            return;
        }
        self.size += takes;
        self.files.push(json!({ "file": name, "bytes": bytes.len(), "cut": cut }));
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(self.mtime_s);
        self.tar.append_data(&mut header, format!("{}/{name}", self.folder), bytes)
    }

    /// The file's bytes, and what is in it and what is not.
    pub fn end(mut self, about: &Value) -> std::io::Result<(Vec<u8>, Value)> {
        let contents = json!({ "about": about, "files": self.files, "left-out": self.left_out });
        let text = format!("{:#}\n", clean(&self.words, "", &contents));
        self.append("contents.json", text.as_bytes())?;
        Ok((self.tar.into_inner()?, contents))
    }
}

fn without(words: &[String], text: &str) -> String {
    let mut text = text.to_owned();
    for word in words.iter().filter(|w| !w.is_empty()) {
        if text.contains(word.as_str()) {
            text = text.replace(word.as_str(), &format!("[{} characters]", word.chars().count()));
        }
    }
    text
}

fn clean(words: &[String], key: &str, value: &Value) -> Value {
    let scrub = |text: &str| scrub(&without(words, text));
    match value {
        Value::String(text) => Value::String(scrub(text).trim_end_matches('\n').to_owned()),
        Value::Array(all) => all.iter().map(|v| clean(words, key, v)).collect(),
        Value::Object(all) => {
            all.iter().map(|(k, v)| (scrub(k), clean(words, k, v))).collect::<Map<_, _>>().into()
        }
        // Unix milliseconds have thirteen digits, too.
        Value::Number(n) if !key.ends_with("-ms") && n.to_string().len() > 12 => {
            Value::String(scrub(&n.to_string()))
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn read(bytes: &[u8]) -> Vec<(String, String)> {
        let mut archive = tar::Archive::new(bytes);
        let each = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            assert_eq!(entry.header().mode().unwrap(), 0o600);
            (entry.path().unwrap().display().to_string(), text)
        });
        each.collect()
    }

    #[test]
    fn whatever_goes_in_is_cleaned() {
        let mut archive = Archive::new("b", 1_800_000_000);
        archive.without(vec!["hunter2".into()]);
        archive.text("a/note.txt", "pan 6200000000000005\n");
        archive.left_out("x", "hunter2");
        archive.json(
            "x.json",
            &json!({ "6200000000000005": 6_200_000_000_000_005_u64, "at-ms": 1_800_000_000_000_i64 }),
        );
        archive.left_out("log.txt", "6200000000000005");
        let (bytes, contents) = archive.end(&json!({})).unwrap();
        assert!(!bytes.windows(16).any(|w| w == b"6200000000000005"));
        let files = read(&bytes);
        assert_eq!(files[0], ("b/a/note.txt".into(), "pan 62**********0005\n".into()));
        assert!(files[1].1.contains("1800000000000"), "a time stays a time");
        assert_eq!(files[2].0, "b/contents.json");
        assert!(!files[2].1.contains("hunter2"));
        assert_eq!(contents["files"][0]["file"], "a/note.txt");
    }

    #[test]
    fn it_is_bounded_and_says_what_is_missing() {
        let most = 256 << 10;
        let mut archive = Archive::bounded("b", 0, most);
        let line = "a line of a log that goes on and on\n";
        archive.log("log.txt", &(line.repeat(5_000) + "the newest\n"));
        for n in 0..20 {
            archive.text(&format!("{n}.txt"), &line.repeat(600));
        }
        let (bytes, contents) = archive.end(&json!({})).unwrap();
        assert!(bytes.len() <= most, "{}", bytes.len());
        assert!(!contents["left-out"].as_array().unwrap().is_empty());
        let files = read(&bytes);
        assert!(
            files[0].1.ends_with("the newest\n") && files[0].1.starts_with(line),
            "the end of a log is what counts"
        );
    }
}
