//! Channels that are suspended (pos.md S11): they take nothing new until a supervisor resumes them.
//!
//! A person suspends a channel, or a rule does: then the suspension is the fold of the very record that gave the reason,
//! so that no crash comes between the two (decision 0040). What is under way goes on: it is asked about, undone, given back.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::payment::PaymentId;

/// Acts that stay in memory; the journal has them all.
pub const ACTS: usize = 64;

/// Who, or what, suspends a channel.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum By {
    /// A person.
    Person,
    /// An answer names another merchant, MCC or rate than was agreed (S15).
    Pinning,
}

impl By {
    /// Lower-kebab name, as on D-Bus.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Pinning => "pinning",
        }
    }

    /// A suspension for people: English, Chinese.
    pub fn text(self, reason: &str) -> (String, String) {
        match self {
            Self::Person => (format!("suspended: {reason}"), format!("已暂停：{reason}")),
            Self::Pinning => (
                format!("suspended, its answers are not what was agreed: {reason}"),
                format!("已暂停，应答与约定不符：{reason}"),
            ),
        }
    }
}

/// A suspended channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// By whom.
    pub by: By,
    /// Why: a person's words, or what differs, in no language.
    pub reason: String,
    /// The person; empty: a rule.
    pub operator: String,
    /// The payment whose answer gave the reason.
    pub payment: Option<PaymentId>,
    /// Journal sequence number of the record.
    pub seq: u64,
    /// Its wall clock, Unix ms.
    pub wall_ms: i64,
}

/// A channel was suspended, or resumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// Channel instance.
    pub channel: String,
    /// Suspended by it; None: resumed.
    pub by: Option<By>,
    /// Why.
    pub reason: String,
    /// Who; empty: a rule.
    pub operator: String,
    /// The payment whose answer gave the reason.
    pub payment: Option<PaymentId>,
    /// Journal sequence number.
    pub seq: u64,
    /// Wall clock, Unix ms.
    pub wall_ms: i64,
}

/// What is suspended, and the newest acts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspensions {
    now: BTreeMap<String, Suspension>,
    acts: VecDeque<Act>,
}

impl Suspensions {
    /// Suspended channels.
    pub const fn now(&self) -> &BTreeMap<String, Suspension> {
        &self.now
    }

    /// The newest acts, oldest first, at most [`ACTS`].
    pub fn acts(&self) -> impl DoubleEndedIterator<Item = &Act> {
        self.acts.iter()
    }

    /// A second reason is noted among the acts; the first one stands until the channel is resumed.
    pub(crate) fn suspend(&mut self, channel: &str, s: Suspension) {
        let Suspension { by, reason, operator, payment, seq, wall_ms } = s.clone();
        self.act(Act { channel: channel.into(), by: Some(by), reason, operator, payment, seq, wall_ms });
        self.now.entry(channel.to_owned()).or_insert(s);
    }

    pub(crate) fn resume(&mut self, channel: &str, reason: &str, operator: &str, (seq, wall_ms): (u64, i64)) {
        if self.now.remove(channel).is_some() {
            let (reason, operator) = (reason.to_owned(), operator.to_owned());
            self.act(Act {
                channel: channel.into(),
                by: None,
                reason,
                operator,
                payment: None,
                seq,
                wall_ms,
            });
        }
    }

    fn act(&mut self, act: Act) {
        self.acts.push_back(act);
        if self.acts.len() > ACTS {
            self.acts.pop_front();
        }
    }
}
