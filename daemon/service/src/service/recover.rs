//! From what a clean stop, a kill, a power cut or a bad disk left to a journal that is open and a till that is folded.
//!
//! This is all that stands between the disk and the first payment, in one function, because it is what the crash lab
//! puts to every disk that a cut may leave: what is tried there must be what runs here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use till_core::record::KIND;
use till_core::{Durable, Shell, Till};
use till_journal::{Journal, OpenReport, Options, Probe};

use super::ServiceError;
use super::clock::TillClock;
use super::upkeep;
use crate::config::Config;
use crate::keys::Keys;
use crate::till::history::find_before;

/// What a start finds.
pub struct Recovered {
    /// Open, both copies agreeing.
    pub journal: Journal,
    /// What opening did; an alarm in it belongs before a person.
    pub report: OpenReport,
    /// Everything that was ever decided.
    pub till: Till,
    /// Of the journal's chain, and of what must stay secret in it.
    pub keys: Keys,
}

/// How the daemon has a store tried before it opens it: by itself, in a child process that may die.
pub fn own_probe() -> Probe {
    Probe::Command { program: "/proc/self/exe".into(), args: vec!["journal-probe".into()] }
}

/// Where the till's own keys lie unless they are credentials.
pub fn keys_dir(config: &Config) -> PathBuf {
    config.state_dir.parent().unwrap_or(Path::new("/var/lib/tilld")).join("keys")
}

/// The journal's settings.
pub fn journal_options(config: &Config, probe: Probe) -> Options {
    let mut options = Options::new(&config.journal.dir);
    options.force_filesystem = config.journal.force_filesystem;
    options.free_floor = config.journal.free_floor_mib << 20;
    options.ballast_bytes = config.journal.ballast_mib << 20;
    options.segment_bytes = config.journal.segment_kib.saturating_mul(1024);
    options.epoch_records = config.journal.epoch_records;
    options.probe = probe;
    options
}

/// Keys, journal, till. Blocking work.
pub fn recover(config: &Config, clock: Arc<TillClock>, probe: Probe) -> Result<Recovered, ServiceError> {
    let keys = Keys::open(config.secrets_dir.as_deref(), &keys_dir(config))?;
    let dir = &config.journal.dir;
    let fail = |detail: String| ServiceError::Journal { path: dir.clone(), detail };
    let options = journal_options(config, probe);
    if let Some(parent) = dir.parent() {
        std::fs::create_dir_all(parent).map_err(|e| fail(e.to_string()))?;
    }
    let (journal, report) =
        Journal::open(options, keys.device().clone(), clock).map_err(|e| fail(e.to_string()))?;
    for event in &report.events {
        if event.is_alarm() {
            tracing::error!("journal: {event}");
        } else {
            tracing::info!("journal: {event}");
        }
    }
    let till = fold(&journal)?;
    Ok(Recovered { journal, report, till, keys })
}

/// Everything that the records say: the newest snapshot of the state, and what came after it. Frames of other kinds (a
/// plugin's log, the journal's own) are not the till's.
pub fn fold(journal: &Journal) -> Result<Till, ServiceError> {
    let (till, from) = upkeep::begin(journal, Till::new, Till::from_snapshot)?;
    let mut shell = Shell::new(till);
    let mut failed = None;
    journal
        .replay(from, |record| {
            if record.kind != KIND || failed.is_some() {
                return;
            }
            let at = Durable::new(record.seq, record.stamp.wall_ms);
            // A refund of a payment that had left memory by then brings it back.
            let mut unread = None;
            let recall = |id| {
                find_before(journal, id, record.seq).unwrap_or_else(|e| {
                    unread = Some(e.to_string());
                    None
                })
            };
            // A record that cannot be read may be money: do not go on without it.
            if let Err(error) = shell.replay_with(at, &record.payload, recall) {
                failed = Some(ServiceError::Record { seq: record.seq, error });
            }
            if let Some(detail) = unread {
                failed = Some(ServiceError::Journal { path: journal.dir().into(), detail });
            }
        })
        .map_err(|e| ServiceError::Journal { path: journal.dir().into(), detail: e.to_string() })?;
    failed.map_or(Ok(shell.into_till()), Err)
}
