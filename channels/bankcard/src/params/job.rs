//! One download from its first question to its last: the list page by page, each entry, the end mark. Nothing it has heard
//! counts before its last answer.
//!
//! Field 62 by public clients: asked is `1` and two digits, how many entries have come; a reply begins with `0` (there is
//! none), `1` (all of it), `2` (more follow), `3` (the last page).

use super::applications::{self, Aid, Application};
use super::keys::{self, KeyName, SchemeKey, Sent};
use super::limits::ContactlessLimits;
use super::tlv::TlvError;
use super::{Content, Download};
use jiff::civil::Date;
use till_plugin::Currency;

/// Most entries of a list: the question for its next page counts them with two digits.
pub const MOST_ENTRIES: usize = 99;
/// Longest key and application that is kept, bytes: whole lists of both fit into what a plugin may store (64 KiB).
const MOST_KEY: usize = 384;
const MOST_APPLICATION: usize = 255;

/// Why a download is given up. What was in force stays in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// An answer without field 62.
    #[error("an answer without field 62")]
    Empty,
    /// Field 62 does not begin with one of the four marks.
    #[error("field 62 begins with byte {0:02X}, which is no mark of a download")]
    Mark(u8),
    /// More entries than a list may have.
    #[error("the list has more than {MOST_ENTRIES} entries: the acquirer's paging does not end")]
    Endless,
    /// A page that says more follow, and brings nothing.
    #[error("a page of the list is empty and says that more follow")]
    EmptyPage,
    /// An entry that was on the list already.
    #[error("the list names {0} twice")]
    Twice(String),
    /// A listed entry that the host does not have.
    #[error("the list names {0}, and the acquirer has nothing of it")]
    NotThere(String),
    /// Something else than what was asked for.
    #[error("asked for {asked}, the acquirer sent {got}")]
    Another {
        /// What was asked for.
        asked: String,
        /// What came.
        got: String,
    },
    /// More of an entry than is kept.
    #[error("{asked} has {got} bytes, where at most {most} belong")]
    Long {
        /// Of what.
        asked: String,
        /// How many came.
        got: usize,
        /// Most.
        most: usize,
    },
    /// Its data objects.
    #[error(transparent)]
    Tlv(#[from] TlvError),
    /// A key.
    #[error(transparent)]
    Key(#[from] keys::KeyError),
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A page of the list (0820).
    List,
    /// One entry, or all there is (0800).
    Item,
    /// The end (0800).
    End,
}

/// A question to the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Of which download.
    pub what: Download,
    /// What is asked.
    pub kind: Kind,
    /// Field 62; empty: left out.
    pub field62: Vec<u8>,
}

/// What an answer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// There is another question.
    More,
    /// The host has nothing for this terminal: what was in force stays.
    Nothing,
    /// All is here, and sound.
    Whole(Whole),
}

/// A finished download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// What it says.
    pub content: Content,
    /// Its parts as they came, for the store.
    pub parts: Vec<Vec<u8>>,
    /// Keys left out: past their last day, or of another algorithm.
    pub left_out: u32,
}

/// A name on a list.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Key(KeyName),
    Application(Aid),
}

impl std::fmt::Display for Name {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(name) => write!(out, "key {name}"),
            Self::Application(aid) => write!(out, "application {aid}"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    List,
    Items,
    End,
}

/// A download under way.
#[derive(Debug, Clone)]
pub struct Job {
    what: Download,
    currency: Currency,
    /// Whether the host is told the end.
    ends: bool,
    /// Today, where the clock can be trusted: keys that have ended are left out.
    today: Option<Date>,
    stage: Stage,
    /// Entries of the list, all of them.
    listed: Vec<Name>,
    /// Entries that are fetched, the next one last.
    wanted: Vec<Name>,
    keys: Vec<SchemeKey>,
    applications: Vec<Application>,
    limits: Option<ContactlessLimits>,
    parts: Vec<Vec<u8>>,
    left_out: u32,
}

impl Job {
    /// Begins. `ends`: the dialect has an end message for it.
    pub fn new(what: Download, currency: Currency, ends: bool, today: Option<Date>) -> Self {
        Self {
            what,
            currency,
            ends,
            today,
            stage: if what == Download::ContactlessLimits { Stage::Items } else { Stage::List },
            listed: Vec::new(),
            wanted: Vec::new(),
            keys: Vec::new(),
            applications: Vec::new(),
            limits: None,
            parts: Vec::new(),
            left_out: 0,
        }
    }

    /// Which download it is.
    pub fn what(&self) -> Download {
        self.what
    }

    /// What to ask now. The same until it is answered.
    pub fn question(&self) -> Question {
        let (kind, field62) = match self.stage {
            Stage::List => (Kind::List, format!("1{:02}", self.listed.len()).into_bytes()),
            Stage::Items => (
                Kind::Item,
                match self.wanted.last() {
                    Some(Name::Key(name)) => name.question(),
                    Some(Name::Application(aid)) => aid.question(),
                    None => Vec::new(),
                },
            ),
            Stage::End => (Kind::End, Vec::new()),
        };
        Question { what: self.what, kind, field62 }
    }

    /// Takes the answer to [`Job::question`], which the host has approved.
    pub fn answered(&mut self, field62: Option<&[u8]>) -> Result<Progress, JobError> {
        match self.stage {
            Stage::List => self.page(field62),
            Stage::Items => self.item(field62),
            Stage::End => Ok(self.whole()),
        }
    }

    fn page(&mut self, field62: Option<&[u8]>) -> Result<Progress, JobError> {
        let (mark, body) = field62.and_then(<[u8]>::split_first).ok_or(JobError::Empty)?;
        let more = match mark {
            b'0' if self.listed.is_empty() => return Ok(Progress::Nothing),
            b'0' => return Ok(self.listed_all()),
            b'1' | b'3' => false,
            b'2' => true,
            other => return Err(JobError::Mark(*other)),
        };
        let entries: Vec<(Name, bool)> = match self.what {
            Download::Keys => {
                let over = |day: Option<Date>| day.zip(self.today).is_some_and(|(day, today)| day < today);
                keys::page(body)?.into_iter().map(|key| (Name::Key(key.name), over(key.last_day))).collect()
            }
            _ => applications::page(body)?.into_iter().map(|aid| (Name::Application(aid), false)).collect(),
        };
        if entries.is_empty() && more {
            return Err(JobError::EmptyPage);
        }
        for (name, over) in entries {
            if self.listed.contains(&name) {
                return Err(JobError::Twice(name.to_string()));
            }
            if self.listed.len() == MOST_ENTRIES {
                return Err(JobError::Endless);
            }
            self.listed.push(name.clone());
            if over {
                self.left_out += 1;
            } else {
                self.wanted.push(name);
            }
        }
        if more && self.listed.len() == MOST_ENTRIES {
            return Err(JobError::Endless);
        }
        Ok(if more { Progress::More } else { self.listed_all() })
    }

    fn listed_all(&mut self) -> Progress {
        self.wanted.reverse();
        self.stage = Stage::Items;
        if self.wanted.is_empty() { self.fetched_all() } else { Progress::More }
    }

    fn item(&mut self, field62: Option<&[u8]>) -> Result<Progress, JobError> {
        let field62 = field62.filter(|field| !field.is_empty()).ok_or(JobError::Empty)?;
        let Some(asked) = self.wanted.last().cloned() else { return self.contactless(field62) };
        let body = match field62 {
            [b'1', body @ ..] => body,
            [b'0', ..] => return Err(JobError::NotThere(asked.to_string())),
            [other, ..] => return Err(JobError::Mark(*other)),
            [] => return Err(JobError::Empty),
        };
        let most = if self.what == Download::Keys { MOST_KEY } else { MOST_APPLICATION };
        if body.len() > most {
            return Err(JobError::Long { asked: asked.to_string(), got: body.len(), most });
        }
        let got = if self.what == Download::Keys {
            let sent = SchemeKey::read(body)?;
            let name = Name::Key(sent.name());
            match sent {
                Sent::Key(key) if self.today.is_none_or(|today| key.last_day >= today) => {
                    self.keys.push(key);
                    self.parts.push(body.to_vec());
                }
                Sent::Key(_) | Sent::Other(_) => self.left_out += 1,
            }
            name
        } else {
            let application = Application::read(body)?;
            let name = Name::Application(application.aid.clone());
            self.applications.push(application);
            self.parts.push(body.to_vec());
            name
        };
        if got != asked {
            return Err(JobError::Another { asked: asked.to_string(), got: got.to_string() });
        }
        self.wanted.pop();
        Ok(if self.wanted.is_empty() { self.fetched_all() } else { Progress::More })
    }

    /// One message holds them all; some hosts put the mark before it.
    fn contactless(&mut self, field62: &[u8]) -> Result<Progress, JobError> {
        let body = match field62 {
            [b'0'] => return Ok(Progress::Nothing),
            [b'1', body @ ..] => body,
            whole => whole,
        };
        self.limits = Some(ContactlessLimits::read(body, self.currency)?);
        self.parts.push(body.to_vec());
        Ok(self.fetched_all())
    }

    fn fetched_all(&mut self) -> Progress {
        self.stage = Stage::End;
        if self.ends { Progress::More } else { self.whole() }
    }

    fn whole(&mut self) -> Progress {
        let content = match (self.what, self.limits.take()) {
            (Download::ContactlessLimits, Some(limits)) => Content::Limits(limits),
            (Download::ContactlessLimits, None) => return Progress::Nothing,
            (Download::Keys, _) => Content::Keys(std::mem::take(&mut self.keys)),
            (Download::Applications, _) => Content::Applications(std::mem::take(&mut self.applications)),
        };
        Progress::Whole(Whole { content, parts: std::mem::take(&mut self.parts), left_out: self.left_out })
    }
}

#[cfg(test)]
mod tests;
