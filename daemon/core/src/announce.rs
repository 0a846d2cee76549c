//! Maintenance that is announced while the till runs (pos.md S9): by a supervisor, by a file, by a signed message.
//!
//! The plan is a fold of the journal, so the last one that was known survives a restart, a feed that is lost, and a file
//! that turned into nonsense. What a window means is in [`crate::windows`]; the shell adds these to the configured ones.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::batch::Now;
use crate::windows::{When, Window};

/// Most announcements at once.
pub const MOST: usize = 32;
/// Most windows of one announcement: it is one journal record.
pub const MOST_WINDOWS: usize = 24;
/// Longest name, bytes.
pub const NAME: usize = 64;
/// Longest reason of a window, bytes.
pub const REASON: usize = 48;
/// The name of what the newest signed message says.
pub const SIGNED: &str = "signed";
/// What is over is forgotten after so long, ms.
const FORGOTTEN_AFTER_MS: i64 = 7 * 86_400_000;

/// Where an announcement comes from.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A supervisor.
    Supervisor,
    /// A file in the folder that is watched.
    File,
    /// A signed message.
    Signed,
}

impl Source {
    /// Lower-kebab name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Supervisor => "supervisor",
            Self::File => "file",
            Self::Signed => "signed",
        }
    }
}

/// One announcement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Where it comes from.
    pub source: Source,
    /// Number of the signed message; 0: it is not signed.
    pub issue: u64,
    /// Its windows.
    pub windows: Vec<Window>,
}

/// What happened to an announcement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AnnounceEvent {
    /// It is new, or says something else now.
    Announced {
        /// It.
        announcement: Announcement,
        /// Others that are over for long, and are forgotten.
        over: Vec<String>,
    },
    /// It does not hold any more.
    Withdrawn,
}

impl AnnounceEvent {
    /// Lower-kebab name of its record.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Announced { .. } => "maintenance-announced",
            Self::Withdrawn => "maintenance-withdrawn",
        }
    }
}

/// All announcements that hold: a part of the till's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    all: BTreeMap<String, Announcement>,
    /// Number of the newest signed message, also of one that was withdrawn.
    issue: u64,
}

impl Announced {
    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Announcement)> {
        self.all.iter().map(|(id, a)| (id.as_str(), a))
    }

    /// One.
    pub fn get(&self, id: &str) -> Option<&Announcement> {
        self.all.get(id)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Number of the newest signed message; 0: there was none.
    pub const fn issue(&self) -> u64 {
        self.issue
    }

    /// All windows.
    pub fn windows(&self) -> impl Iterator<Item = &Window> {
        self.all.values().flat_map(|a| &a.windows)
    }

    /// Names of those that have been over for so long that nobody asks any more.
    pub(crate) fn over(&self, now: Now) -> Vec<String> {
        let before = now.wall_ms.saturating_sub(FORGOTTEN_AFTER_MS);
        let over = |w: &Window| matches!(w.when, When::Once(span) if span.until_ms < before);
        // What a file or message says stays as long as that says it.
        let may_go = |a: &Announcement| a.source == Source::Supervisor && a.windows.iter().all(over);
        let gone = self.all.iter().filter(|(_, a)| now.trusted && may_go(a));
        gone.map(|(id, _)| id.clone()).collect()
    }

    pub(crate) fn apply(&mut self, id: &str, event: &AnnounceEvent) {
        match event {
            AnnounceEvent::Announced { announcement, over } => {
                for id in over {
                    self.all.remove(id);
                }
                self.issue = self.issue.max(announcement.issue);
                self.all.insert(id.to_owned(), announcement.clone());
            }
            AnnounceEvent::Withdrawn => {
                self.all.remove(id);
            }
        }
    }
}

/// Why an announcement is not taken. The plan stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnnounceRefusal {
    /// It names a channel that is not configured.
    #[error(
        "the announcement names the channel {0:?}, which is not configured: `tillctl channels` lists them"
    )]
    NoChannel(String),
    /// Too much for one.
    #[error(
        "an announcement has at most {MOST_WINDOWS} windows (one for each channel that it names): make two of it"
    )]
    TooMany,
    /// Too many at once.
    #[error("there are {MOST} announcements already: withdraw one that is over (`tillctl maintenance list`)")]
    Full,
    /// An older signed message.
    #[error(
        "the signed message has the number {asked}, the plan in force has {known}: only a newer one replaces it"
    )]
    Outdated {
        /// Its number.
        asked: u64,
        /// The newest.
        known: u64,
    },
    /// Nothing of this name.
    #[error("there is no announcement {0:?}: `tillctl maintenance list` lists them")]
    Unknown(String),
    /// A file says it.
    #[error("{0:?} is what a file says: remove or change the file in the maintenance folder")]
    IsAFile(String),
}

impl AnnounceRefusal {
    /// Lower-kebab code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoChannel(_) | Self::TooMany => "invalid-args",
            Self::Full | Self::IsAFile(_) => "wrong-state",
            Self::Outdated { .. } => "outdated",
            Self::Unknown(_) => "not-found",
        }
    }
}

#[cfg(test)]
#[path = "announce/tests.rs"]
mod tests;
