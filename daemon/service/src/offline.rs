//! `tilld journal …`: maintenance while no daemon has the journal, with the daemon's own settings and key.
//!
//! `tillctl journal` hands over to this when tilld does not run (decision 0016). What was found goes to standard output,
//! how far it is to standard error.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;
use serde_json::{Value, json};
use till_journal::{CheckReport, Journal, JournalError, check, check_without_key, in_use, rebuild, restore};

use crate::config::Config;
use crate::keys::Keys;
use crate::service::clock::TillClock;
use crate::service::recover::{journal_options, keys_dir, own_probe};

/// What can be done.
#[derive(Clone, Debug, Subcommand)]
pub enum Order {
    /// Read and check every record of both copies; changes nothing.
    Check {
        /// Without any key: form, checksums, order and links only. Says what was not looked into.
        #[arg(long)]
        without_keys: bool,
    },
    /// Mend each copy from the other; what is damaged is put aside, never deleted.
    Rebuild {
        /// Make every store anew, also where it looks whole.
        #[arg(long)]
        anew: bool,
    },
    /// Write a backup (a tar file without keys).
    Backup {
        /// File to make (mode 0600).
        file: PathBuf,
    },
    /// Put a backup where the journal belongs; refused unless that place is empty.
    Restore {
        /// The backup.
        file: PathBuf,
    },
}

/// As `tillctl`: 0 done, 1 failed, 5 refused (nothing changed), 8 the journal has problems.
const FAILED: u8 = 1;
const REFUSED: u8 = 5;
const PROBLEMS: u8 = 8;

/// Does it; the exit code.
pub fn run(config: &Config, order: &Order, as_json: bool) -> ExitCode {
    match act(config, order) {
        Ok((exit, text, value)) => {
            let said = if as_json { format!("{value:#}\n") } else { text };
            let mut out = io::stdout().lock();
            if out.write_all(said.as_bytes()).and_then(|()| out.flush()).is_err() {
                return ExitCode::from(FAILED);
            }
            ExitCode::from(exit)
        }
        Err((exit, text)) => {
            if as_json {
                eprintln!("{}", json!({ "error": { "code": "Journal", "text": text, "exit": exit } }));
            } else {
                eprintln!("tilld: {text}");
            }
            ExitCode::from(exit)
        }
    }
}

fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    let _infallible = text.write_fmt(what);
    text.push('\n');
}

type Said = (u8, String, Value);
type Refusal = (u8, String);

fn act(config: &Config, order: &Order) -> Result<Said, Refusal> {
    let options = journal_options(config, own_probe());
    if in_use(&options) {
        return Err(refused(JournalError::Locked { dir: options.dir }));
    }
    let mut shown = Shown::default();
    let mut progress = |step: &str, done: u64, total: u64| shown.tell(step, done, total);
    if let Order::Check { without_keys: true } = order {
        return checked(&check_without_key(&options, &mut progress).map_err(refused)?);
    }
    let key = keys(config)?.device().clone();
    let clock: Arc<dyn till_journal::Clock> = Arc::new(TillClock::new(config.clock));
    match order {
        Order::Check { .. } => checked(&check(&options, &key, &mut progress).map_err(refused)?),
        Order::Rebuild { anew } => {
            let done = rebuild(&options, &key, &clock, *anew, &mut progress).map_err(refused)?;
            let well = done.verified.is_whole();
            let mut text = String::new();
            for event in &done.events {
                line(&mut text, format_args!("{event}"));
            }
            for finding in &done.verified.findings {
                line(&mut text, format_args!("problem: {finding}"));
            }
            let (records, lost) = (done.verified.records, done.verified.lost);
            line(&mut text, format_args!("{records} records verified, {lost} lost"));
            let value = json!({
                "events": done.events.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "records": done.verified.records,
                "lost": done.verified.lost,
                "problems": done.verified.findings,
            });
            Ok((if well { 0 } else { PROBLEMS }, text, value))
        }
        Order::Backup { file } => {
            let (journal, _) = Journal::open(options, key, clock).map_err(refused)?;
            let (out, fail) = create(file)?;
            let mut out = io::BufWriter::new(out);
            let written = journal.backup(&mut out, &mut progress).map_err(refused).and_then(|summary| {
                let synced = out.flush().and_then(|()| out.get_ref().sync_all());
                synced.map(|()| summary).map_err(|e| fail(&e))
            });
            if written.is_err() {
                // Half a backup must not look like one.
                let _already_failed = std::fs::remove_file(file);
            }
            let summary = written?;
            journal.close().map_err(refused)?;
            Ok(told(&summary, file))
        }
        Order::Restore { file } => {
            let input =
                std::fs::File::open(file).map_err(|e| (REFUSED, format!("{}: {e}", file.display())))?;
            if let Some(parent) = options.dir.parent() {
                std::fs::create_dir_all(parent)
                    .map_err(|e| (FAILED, format!("{}: {e}", parent.display())))?;
            }
            let mut input = io::BufReader::new(input);
            let summary = restore(&mut input, &options, key, clock, &mut progress).map_err(refused)?;
            Ok(told(&summary, file))
        }
    }
}

/// What a check found.
fn checked(report: &CheckReport) -> Result<Said, Refusal> {
    let mut text = format!(
        "{} records, {} to {}, in {} epochs\n",
        report.records,
        report.first,
        report.last,
        report.epochs.len()
    );
    if report.removed > 0 {
        line(&mut text, format_args!("{} older records were removed behind a summary", report.removed));
    }
    for (what, lines) in [("problem", &report.problems), ("note", &report.notes)] {
        for found in lines {
            line(&mut text, format_args!("{what}: {found}"));
        }
    }
    let well = report.problems.is_empty();
    text += if well {
        if report.authenticated {
            "every record, hash and link is well, in both copies\n"
        } else {
            "form, checksums, order and links are well, in both copies; nothing else was proved\n"
        }
    } else {
        "`tillctl journal rebuild` mends each copy from the other\n"
    };
    let value = serde_json::to_value(report).map_err(|e| (FAILED, e.to_string()))?;
    Ok((if well { 0 } else { PROBLEMS }, text, value))
}

/// The till's keys, which must be there: one that was made here would be another than the records were made with.
fn keys(config: &Config) -> Result<Keys, Refusal> {
    let folder = keys_dir(config);
    let there = |dir: &Path| dir.join("journal-key").exists();
    if !config.secrets_dir.as_deref().is_some_and(there)
        && !there(&folder)
        && !folder.join("keyring").is_dir()
    {
        let text = format!(
            "the till's keys are not in {}: put them back, or name their folder with secrets.dir (`check \
             --without-keys` looks at the chain without them)",
            folder.display()
        );
        return Err((REFUSED, text));
    }
    Keys::open(config.secrets_dir.as_deref(), &folder).map_err(|e| (REFUSED, e.to_string()))
}

fn told(summary: &till_journal::BackupSummary, file: &Path) -> Said {
    let hash = crate::bus::hex(&summary.head_hash);
    let mut text = format!(
        "{} records, {} to {}, head {hash}: {}\n",
        summary.records,
        summary.first,
        summary.last,
        file.display()
    );
    if let (Some(first), Some(last)) = (summary.sealed_epochs.first(), summary.sealed_epochs.last()) {
        line(
            &mut text,
            format_args!(
                "its records are sealed: they are read with record-{first} to record-{last} in keys/keyring, which is not in it"
            ),
        );
    }
    if summary.unopened > 0 {
        line(
            &mut text,
            format_args!("{} records do not open: their keys are not in keys/keyring", summary.unopened),
        );
    }
    let value = json!({
        "sealed-epochs": summary.sealed_epochs,
        "unopened": summary.unopened,
        "records": summary.records,
        "first": summary.first,
        "head": { "seq": summary.last, "hash": hash },
        "file": file.display().to_string(),
    });
    (0, text, value)
}

fn create(file: &Path) -> Result<(std::fs::File, impl Fn(&io::Error) -> Refusal + use<>), Refusal> {
    let name = file.display().to_string();
    let fail = move |e: &io::Error| (FAILED, format!("{name}: {e}"));
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(made) => Ok((made, fail)),
        Err(e) => Err((REFUSED, fail(&e).1)),
    }
}

fn refused(e: impl std::borrow::Borrow<JournalError>) -> Refusal {
    let e = e.borrow();
    let exit = match e {
        JournalError::Damaged { .. } => PROBLEMS,
        JournalError::Locked { .. }
        | JournalError::WrongKey { .. }
        | JournalError::NoRecordKey { .. }
        | JournalError::WrongRecordKey { .. }
        | JournalError::NoJournal { .. }
        | JournalError::NotEmpty { .. }
        | JournalError::BadBackup { .. }
        | JournalError::ReadOnly { .. }
        | JournalError::StorageFull { .. } => REFUSED,
        _ => FAILED,
    };
    (exit, e.to_string())
}

/// How far it is, a line on a terminal, now and then in a log.
#[derive(Default)]
struct Shown {
    step: String,
    percent: u64,
}

impl Shown {
    fn tell(&mut self, step: &str, done: u64, total: u64) {
        let percent = (done * 100).checked_div(total).unwrap_or(0);
        let new = self.step != step;
        if !new && (percent < self.percent + 10 || total == 0) {
            return;
        }
        (self.step, self.percent) = (step.to_owned(), percent);
        let mut err = io::stderr().lock();
        let _nobody_looks = match (total, err.is_terminal()) {
            (0, _) => writeln!(err, "{step} …"),
            (_, true) => write!(err, "\r{step}: {done} of {total} ({percent} %)   ")
                .and_then(|()| if done == total { writeln!(err) } else { err.flush() }),
            (_, false) => writeln!(err, "{step}: {done} of {total}"),
        };
    }
}
