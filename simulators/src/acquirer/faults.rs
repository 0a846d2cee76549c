//! Scripted faults: what goes wrong, on which request, how often. A script is a JSON array of rules:
//!
//! ```json
//! [{"on": {"mti": "0200", "kind": "22"}, "skip": 1, "times": 1, "fault": {"do": "drop-after-booking"}},
//!  {"fault": {"do": "delay", "ms": 3000}}]
//! ```
//!
//! The first rule that matches a request and is not used up is taken. Unknown keys are refused.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A script that cannot be read.
#[derive(Debug, Error)]
#[error("fault script: {0}; see the vocabulary in `till-sim acquirer --help`")]
pub struct BadScript(#[from] serde_json::Error);

/// How a connection is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// It stays open and silent: the terminal runs into its own deadline.
    #[default]
    Silent,
    /// FIN.
    Close,
    /// RST.
    Reset,
}

/// What goes wrong with one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// The request is lost: nothing is booked, nothing answered.
    DropBeforeBooking {
        /// What the terminal sees.
        #[serde(default)]
        ending: Ending,
    },
    /// The request is booked, the answer is lost.
    DropAfterBooking {
        /// What the terminal sees.
        #[serde(default)]
        ending: Ending,
    },
    /// The answer comes late.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// Field 64 of the answer is wrong.
    WrongMac {},
    /// Field 4 of the answer differs; its MAC is right.
    WrongAmount {
        /// Fen added to it.
        #[serde(default = "one")]
        by: i64,
    },
    /// Field 11 of the answer differs; its MAC is right.
    WrongTrace {},
    /// The answer stops in the middle.
    HalfFrame {
        /// Bytes sent; half of the frame where absent.
        #[serde(default)]
        bytes: Option<usize>,
        /// What follows.
        #[serde(default = "close")]
        ending: Ending,
    },
    /// The answer comes a byte at a time.
    Slow {
        /// Milliseconds between bytes.
        #[serde(default = "second")]
        ms: u64,
    },
    /// A stale frame (this answer under another trace number) and the answer in one segment.
    TwoFrames {
        /// Puts the stale frame behind the answer instead of before it.
        #[serde(default)]
        stale_last: bool,
    },
    /// The answer comes twice.
    DuplicateReply {},
    /// Keep-alive frames (length 0) before the answer.
    KeepAlive {
        /// How many.
        #[serde(default = "three")]
        count: u8,
    },
    /// These bytes instead of an answer (the request is booked).
    Garbage {
        /// Hex.
        hex: String,
    },
    /// This answer code.
    Code {
        /// Field 39.
        code: String,
        /// Books the request as if it were approved, and still answers the code.
        #[serde(default)]
        book: bool,
    },
}

const fn one() -> i64 {
    1
}
const fn second() -> u64 {
    1000
}
const fn three() -> u8 {
    3
}
const fn close() -> Ending {
    Ending::Close
}

/// Which requests a rule is about; an absent part matches all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct On {
    /// Message type, e.g. `0400`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mti: Option<String>,
    /// Field 60.1, e.g. `22` for a sale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tid: Option<String>,
    /// Trace number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Field 60.3, e.g. `301` for an echo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net: Option<String>,
}

/// One line of a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which requests.
    #[serde(default)]
    pub on: On,
    /// Matching requests let through first.
    #[serde(default)]
    pub skip: u32,
    /// How often it strikes; 0 = always.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens.
    pub fault: Fault,
}

const fn once() -> u32 {
    1
}

impl Rule {
    /// A rule that strikes once, on the next request of this message type.
    pub fn once(mti: &str, fault: Fault) -> Self {
        Self { on: On { mti: Some(mti.into()), ..On::default() }, skip: 0, times: 1, fault }
    }
}

/// What a rule is compared with.
#[derive(Debug, Default)]
pub(super) struct Request<'a> {
    pub(super) mti: &'a str,
    pub(super) kind: &'a str,
    pub(super) tid: &'a str,
    pub(super) trace: &'a str,
    pub(super) net: &'a str,
}

/// The rules still in force.
#[derive(Debug, Default)]
pub(super) struct Script(Vec<Rule>);

impl Script {
    pub(super) fn parse(json: &str) -> Result<Vec<Rule>, BadScript> {
        Ok(serde_json::from_str(json)?)
    }

    pub(super) fn add(&mut self, rules: impl IntoIterator<Item = Rule>) {
        self.0.extend(rules);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn rules(&self) -> &[Rule] {
        &self.0
    }

    pub(super) fn take(&mut self, request: &Request<'_>) -> Option<Fault> {
        let matches = |want: &Option<String>, have: &str| want.as_deref().is_none_or(|w| w == have);
        for at in 0..self.0.len() {
            let rule = &mut self.0[at];
            let hit = matches(&rule.on.mti, request.mti)
                && matches(&rule.on.kind, request.kind)
                && matches(&rule.on.tid, request.tid)
                && matches(&rule.on.trace, request.trace)
                && matches(&rule.on.net, request.net);
            if !hit {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            let fault = rule.fault.clone();
            if rule.times == 1 {
                self.0.remove(at);
            } else {
                rule.times = rule.times.saturating_sub(1);
            }
            return Some(fault);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sale() -> Request<'static> {
        Request { mti: "0200", kind: "22", ..Request::default() }
    }

    #[test]
    fn a_rule_waits_strikes_and_is_used_up() {
        let mut script = Script::default();
        let json = r#"[{"on":{"mti":"0200"},"skip":1,"times":2,"fault":{"do":"code","code":"96"}}]"#;
        script.add(Script::parse(json).unwrap());
        let code = Some(Fault::Code { code: "96".into(), book: false });
        assert_eq!(script.take(&Request { mti: "0400", ..Request::default() }), None);
        assert_eq!(script.take(&sale()), None, "skipped");
        assert_eq!(script.take(&sale()), code);
        assert_eq!(script.take(&sale()), code);
        assert_eq!(script.take(&sale()), None, "used up");
    }

    #[test]
    fn times_zero_never_ends() {
        let mut script = Script::default();
        script.add(Script::parse(r#"[{"times":0,"fault":{"do":"wrong-mac"}}]"#).unwrap());
        assert!((0..50).all(|_| script.take(&sale()).is_some()));
        script.clear();
        assert_eq!(script.take(&sale()), None);
    }

    #[test]
    fn a_mistyped_script_is_refused_not_ignored() {
        for bad in [
            r#"[{"on":{"mit":"0200"},"fault":{"do":"delay","ms":1}}]"#,
            r#"[{"fault":{"do":"delay","ms":1,"sec":2}}]"#,
            r#"[{"fault":{"do":"wrong-mac","hard":true}}]"#,
            r#"[{"fault":{"do":"explode"}}]"#,
            r#"[{"time":1,"fault":{"do":"delay","ms":1}}]"#,
        ] {
            assert!(Script::parse(bad).is_err(), "{bad}");
        }
    }
}
