//! Which jobs have been begun and which are on paper, kept across restarts of the driver: a job that comes again is not printed again,
//! and one that was broken off is marked as a reprint even if nobody else remembers.

use till_plugin::host::{Host, Level};

/// How a remembered job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Done,
    Unconfirmed,
    /// Begun, not ended: a part of it may be on paper.
    Begun,
}

const KEY: &str = "jobs";
const KEPT: usize = 256;

/// The latest jobs, oldest first.
pub(crate) struct Printed {
    host: Host,
    jobs: Vec<(u64, Ended)>,
}

impl Printed {
    pub(crate) fn load(host: Host) -> Self {
        let text = host.load(KEY).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let jobs = text.split_ascii_whitespace().filter_map(read).collect();
        Self { host, jobs }
    }

    pub(crate) fn find(&self, job: u64) -> Option<Ended> {
        self.jobs.iter().rev().find(|(id, _)| *id == job).map(|(_, ended)| *ended)
    }

    /// Remembers; durable when it returns. A job that cannot be remembered is printed nevertheless: the till goes on, and the log says so.
    pub(crate) fn note(&mut self, job: u64, ended: Option<Ended>) {
        self.jobs.retain(|(id, _)| *id != job);
        self.jobs.extend(ended.map(|ended| (job, ended)));
        let surplus = self.jobs.len().saturating_sub(KEPT);
        self.jobs.drain(..surplus);
        let words: Vec<String> = self.jobs.iter().map(|(id, ended)| write(*id, *ended)).collect();
        if let Err(error) = self.host.store(KEY, words.join(" ").as_bytes()) {
            self.host
                .log(Level::Warn, format!("print job {job} may be printed twice after a restart: {error}"));
        }
    }
}

fn write(job: u64, ended: Ended) -> String {
    let letter = match ended {
        Ended::Done => 'd',
        Ended::Unconfirmed => 'u',
        Ended::Begun => 'b',
    };
    format!("{job}{letter}")
}

fn read(word: &str) -> Option<(u64, Ended)> {
    let at = word.len().checked_sub(1).filter(|at| word.is_char_boundary(*at))?;
    let (number, letter) = word.split_at(at);
    let ended = match letter {
        "d" => Ended::Done,
        "u" => Ended::Unconfirmed,
        "b" => Ended::Begun,
        _ => return None,
    };
    Some((number.parse().ok()?, ended))
}
