//! Lines of the result.

use std::process::ExitCode;

use serde::Serialize;

/// How a check ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// As it has to be.
    Ok,
    /// Nothing that a till refuses, and worth knowing.
    Note,
    /// A till would not take it.
    Fail,
}

#[derive(Debug, Serialize)]
struct Line {
    check: &'static str,
    verdict: Verdict,
    text: String,
}

/// What was found so far; printed as it is found.
#[derive(Debug)]
pub(crate) struct Report {
    json: bool,
    lines: Vec<Line>,
}

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, lines: Vec::new() }
    }

    pub(crate) fn line(&mut self, check: &'static str, verdict: Verdict, text: impl Into<String>) {
        let text = text.into();
        if !self.json {
            let word = match verdict {
                Verdict::Ok => "ok  ",
                Verdict::Note => "note",
                Verdict::Fail => "FAIL",
            };
            println!("{word}  {check:<10}  {text}");
        }
        self.lines.push(Line { check, verdict, text });
    }

    /// Ends it: exit status.
    pub(crate) fn end(self) -> ExitCode {
        let taken = self.lines.iter().all(|l| l.verdict != Verdict::Fail);
        if self.json {
            println!("{}", serde_json::json!({ "taken": taken, "checks": self.lines }));
        } else if taken {
            println!("A till would take it.");
        } else {
            println!("A till would not take it.");
        }
        if taken { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
