//! Merchant authentication (pos.md S3): a channel that asks for it takes no sale until somebody has said the merchant's
//! number and password.
//!
//! What must outlive a restart is a fold of the journal: how many wrong tries there were in a row, and whether they
//! locked it ([`Merchants`]). A try is on disk before the password is looked at, and counts as wrong until it is known
//! to be right: pulling the plug takes no try back. What must not outlive one is in memory only ([`Passes`]): who passed
//! and for how long, and how long the next try has to wait. Both go by boot time; the wall clock is not asked.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What a channel asks for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// So many wrong tries in a row lock it.
    pub tries: u32,
    /// Passing is good for so long, ms of boot time.
    pub valid_ms: u64,
}

/// What happened.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MerchantEvent {
    /// Somebody tries: it counts as wrong until `Passed`.
    Tried {
        /// It is the last one that was left.
        locks: bool,
    },
    /// The last try was right.
    Passed,
    /// Somebody ended it.
    SignedOut,
    /// A supervisor lets people try again.
    Unlocked,
}

impl MerchantEvent {
    /// Lower-kebab name of its record.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tried { .. } => "merchant-tried",
            Self::Passed => "merchant-passed",
            Self::SignedOut => "merchant-signed-out",
            Self::Unlocked => "merchant-unlocked",
        }
    }
}

/// Wrong tries of a channel.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    /// In a row.
    pub wrong: u32,
    /// Nobody may try any more.
    pub locked: bool,
}

/// Wrong tries of all channels that have any: a part of the till's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merchants(BTreeMap<String, Tries>);

impl Merchants {
    /// Of a channel.
    pub fn of(&self, channel: &str) -> Tries {
        self.0.get(channel).copied().unwrap_or_default()
    }

    /// Channels with wrong tries.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Tries)> {
        self.0.iter().map(|(id, tries)| (id.as_str(), *tries))
    }

    pub(crate) fn apply(&mut self, channel: &str, event: MerchantEvent) {
        match event {
            MerchantEvent::Tried { locks } => {
                let tries = self.0.entry(channel.to_owned()).or_default();
                tries.wrong = tries.wrong.saturating_add(1);
                tries.locked |= locks;
            }
            MerchantEvent::Passed | MerchantEvent::Unlocked => {
                self.0.remove(channel);
            }
            MerchantEvent::SignedOut => {}
        }
    }
}

/// Why a channel that asks for the merchant takes no sale.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bar {
    /// Nobody passed, or it is over.
    Required,
    /// Somebody else passed.
    OtherOperator,
    /// Nobody passed, and too many wrong tries locked it.
    Locked,
}

/// Longest that the next try has to wait, ms.
const LONGEST_WAIT_MS: u64 = 300_000;

/// How long the next try has to wait after so many wrong ones, ms: one second, then twice as long each time.
pub fn wait_after_ms(wrong: u32) -> u64 {
    match wrong {
        0 => 0,
        n => 1_000_u64.saturating_mul(1 << (n - 1).min(20)).min(LONGEST_WAIT_MS),
    }
}

/// Who passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Whose sales it is good for; None: those of nobody in particular.
    pub operator: Option<String>,
    /// Until then, ms of boot time.
    pub until_ms: u64,
}

/// Who passed and who has to wait, in the shell's memory: empty after every start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passes {
    asked: BTreeMap<String, Terms>,
    passed: BTreeMap<String, Pass>,
    tried_ms: BTreeMap<String, u64>,
    locked: BTreeSet<String>,
    now_ms: u64,
}

impl Passes {
    /// As configured, after a start at `now_ms` of boot time. Who has wrong tries waits all over again: how long the till
    /// was off is not known for sure.
    pub fn new(asked: BTreeMap<String, Terms>, merchants: &Merchants, now_ms: u64) -> Self {
        let mut passes = Self { asked, now_ms, ..Self::default() };
        passes.tried_ms = merchants.iter().map(|(id, _)| (id.to_owned(), now_ms)).collect();
        passes.follow(merchants);
        passes
    }

    /// It is now so late (boot time): what is over ends.
    pub fn at(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        self.passed.retain(|_, pass| now_ms < pass.until_ms);
    }

    /// What a record means that was taken in; `merchants`: after it.
    pub fn event(
        &mut self,
        channel: &str,
        event: MerchantEvent,
        operator: Option<&str>,
        merchants: &Merchants,
    ) {
        match event {
            MerchantEvent::Tried { .. } => {
                self.tried_ms.insert(channel.to_owned(), self.now_ms);
            }
            MerchantEvent::Passed => {
                if let Some(terms) = self.asked.get(channel) {
                    let until_ms = self.now_ms.saturating_add(terms.valid_ms);
                    let pass = Pass { operator: operator.map(Into::into), until_ms };
                    self.passed.insert(channel.to_owned(), pass);
                }
            }
            MerchantEvent::SignedOut => {
                self.passed.remove(channel);
            }
            MerchantEvent::Unlocked => {
                self.tried_ms.remove(channel);
            }
        }
        self.follow(merchants);
    }

    fn follow(&mut self, merchants: &Merchants) {
        self.locked = merchants.iter().filter(|(_, t)| t.locked).map(|(id, _)| id.to_owned()).collect();
    }

    /// What a channel asks for; None: nothing.
    pub fn terms(&self, channel: &str) -> Option<Terms> {
        self.asked.get(channel).copied()
    }

    /// No channel asks for anything.
    pub fn is_idle(&self) -> bool {
        self.asked.is_empty()
    }

    /// How long the next try has to wait, ms.
    pub fn wait_ms(&self, channel: &str, tries: Tries) -> u64 {
        let since = self.tried_ms.get(channel).map_or(u64::MAX, |at| self.now_ms.saturating_sub(*at));
        wait_after_ms(tries.wrong).saturating_sub(since)
    }

    /// Who passed, if it still holds.
    pub fn pass(&self, channel: &str) -> Option<&Pass> {
        self.passed.get(channel).filter(|pass| self.now_ms < pass.until_ms)
    }

    /// Why the channel takes no sale of this operator (empty: nobody in particular); None: it does.
    pub fn bar(&self, channel: &str, operator: &str) -> Option<Bar> {
        self.asked.get(channel)?;
        match self.pass(channel) {
            Some(pass) if pass.operator.as_deref().unwrap_or_default() == operator => None,
            Some(_) => Some(Bar::OtherOperator),
            None if self.locked.contains(channel) => Some(Bar::Locked),
            None => Some(Bar::Required),
        }
    }
}

/// Why nothing came of a request about a merchant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MerchantRefusal {
    /// The channel asks for nothing.
    #[error("the channel {0} asks for no merchant: nothing is to be done before its sales")]
    NotAsked(String),
    /// Too many wrong tries.
    #[error(
        "too many wrong tries locked the channel {0}: a supervisor unlocks it (`tillctl merchant unlock {0} --operator NAME`)"
    )]
    Locked(String),
    /// Too soon after a wrong try.
    #[error("the last try on the channel {channel} was wrong: the next one is taken in {seconds} s")]
    TooSoon {
        /// Channel.
        channel: String,
        /// How long to wait, s.
        seconds: u64,
    },
    /// Nobody says who.
    #[error("a lock is taken away by somebody: a name is wanted (--operator NAME)")]
    Nobody,
}

impl MerchantRefusal {
    /// Lower-kebab code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAsked(_) => "wrong-state",
            Self::Locked(_) => "locked",
            Self::TooSoon { .. } => "too-soon",
            Self::Nobody => "invalid-args",
        }
    }
}

#[cfg(test)]
#[path = "merchant/tests.rs"]
mod tests;
