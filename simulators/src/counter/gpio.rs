//! A GPIO chip with named lines: who holds which, their levels, and every edge. One line of text a question.
//!
//! A line that is let go is an input with a resistor to ground: its level falls, as that of a relay board's input must.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Machine;

/// Most edges that are kept of a line.
const EDGES: usize = 4096;

#[derive(Clone, Debug, Default)]
struct Line {
    holder: Option<String>,
    output: bool,
    level: bool,
    /// The level that a hand or a circuit gives an input.
    forced: bool,
    jammed: bool,
    edges: Vec<(Instant, bool)>,
}

impl Line {
    fn drive(&mut self, level: bool) {
        if level != self.level && self.edges.len() < EDGES {
            self.edges.push((Instant::now(), level));
        }
        self.level = level;
    }
}

/// The chip.
#[derive(Clone, Debug)]
pub struct Chip {
    lines: BTreeMap<String, Line>,
    half: Vec<u8>,
    unknown: Vec<String>,
}

impl Chip {
    /// With lines of these names, all inputs at the low level.
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        let lines = names.into_iter().map(|n| (n.into(), Line::default())).collect();
        Self { lines, half: Vec::new(), unknown: Vec::new() }
    }

    /// Level of a line.
    pub fn level(&self, name: &str) -> bool {
        self.lines.get(name).is_some_and(|l| if l.output { l.level } else { l.forced })
    }

    /// Who holds a line.
    pub fn holder(&self, name: &str) -> Option<&str> {
        self.lines.get(name)?.holder.as_deref()
    }

    /// Levels that an output changed to, in order.
    pub fn edges(&self, name: &str) -> Vec<bool> {
        self.lines.get(name).map(|l| l.edges.iter().map(|e| e.1).collect()).unwrap_or_default()
    }

    /// How long each time a line was at the high level, and when that began.
    pub fn pulses(&self, name: &str) -> Vec<(Instant, Duration)> {
        let edges = self.lines.get(name).map(|l| l.edges.as_slice()).unwrap_or_default();
        edges
            .windows(2)
            .filter_map(|w| match w {
                [(up, true), (down, false)] => Some((*up, down.duration_since(*up))),
                _ => None,
            })
            .collect()
    }

    /// Gives an input a level (a switch closes).
    pub fn force(&mut self, name: &str, level: bool) {
        if let Some(line) = self.lines.get_mut(name) {
            line.forced = level;
        }
    }

    /// Another program takes a line.
    pub fn take(&mut self, name: &str, who: &str) {
        if let Some(line) = self.lines.get_mut(name) {
            line.holder = Some(who.to_owned());
        }
    }

    /// From now on a line cannot be set any more.
    pub fn jam(&mut self, name: &str) {
        if let Some(line) = self.lines.get_mut(name) {
            line.jammed = true;
        }
    }

    /// Questions that it did not understand.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    fn answer(&mut self, question: &str) -> String {
        let words: Vec<&str> = question.split(' ').collect();
        let (what, name, level) = match words.as_slice() {
            [what, name, level @ ("0" | "1")] => (*what, *name, Some(*level == "1")),
            [what, name] => (*what, *name, None),
            _ => ("", "", None),
        };
        let Some(line) = self.lines.get_mut(name) else {
            return if what.is_empty() { self.odd(question) } else { "none".into() };
        };
        let till = || Some("till".to_owned());
        match (what, level) {
            ("out" | "in", _) if line.holder.is_some() => {
                format!("busy {}", line.holder.as_deref().unwrap_or_default())
            }
            ("out", Some(level)) => {
                (line.holder, line.output) = (till(), true);
                line.drive(level);
                "ok".into()
            }
            ("in", None) => {
                (line.holder, line.output) = (till(), false);
                "ok".into()
            }
            ("set", Some(_)) if line.jammed => "stuck".into(),
            ("set", Some(level)) if line.output && line.holder.is_some() => {
                line.drive(level);
                "ok".into()
            }
            ("get", None) if line.holder.is_some() => {
                u8::from(if line.output { line.level } else { line.forced }).to_string()
            }
            _ => self.odd(question),
        }
    }

    fn odd(&mut self, question: &str) -> String {
        if self.unknown.len() < 64 {
            self.unknown.push(question.chars().take(80).collect());
        }
        "what".into()
    }
}

impl Machine for Chip {
    fn receive(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                if self.half.len() < 256 {
                    self.half.push(*byte);
                }
                continue;
            }
            let question = String::from_utf8_lossy(&std::mem::take(&mut self.half)).into_owned();
            out.extend(self.answer(&question).into_bytes());
            out.push(b'\n');
        }
        out
    }

    /// The till's process ended: the kernel frees what it held.
    fn left(&mut self) {
        self.half.clear();
        for line in self.lines.values_mut().filter(|l| l.holder.as_deref() == Some("till")) {
            line.holder = None;
            if line.output {
                line.drive(false);
                line.output = false;
            }
        }
    }
}
