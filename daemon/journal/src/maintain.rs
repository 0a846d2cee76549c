//! Maintenance while no daemon has the journal: check and rebuild. (Backup and restore are in `backup`.)
//!
//! Both hold the journal's lock. A check changes no record; it opens each store as the daemon would, in a child
//! process. A rebuild destroys nothing: what is damaged, or replaced, is put into `quarantine/` with the reason in
//! its name.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Clock;
use crate::disk;
use crate::error::{JournalError, Result};
use crate::frame::{Frame, Hash, OpenError};
use crate::journal::Journal;
use crate::key::DeviceKey;
use crate::options::Options;
use crate::probe::{Verdict, try_store};
use crate::recover::{Deep, quarantine, store_epochs, take_lock};
use crate::report::OpenEvent;
use crate::retain::{KIND_SUMMARY, Summary};
use crate::segment::{self, Found, Image, Tail};
use crate::verify::VerifyReport;

/// Told now and then during long work: what is done, how much of it, and of how much (zero: not known).
pub type Progress<'a> = &'a mut dyn FnMut(&str, u64, u64);

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CheckReport {
    /// First record kept.
    pub first: u64,
    /// Newest record.
    pub last: u64,
    /// Its hash, hexadecimal: compare it with one noted elsewhere to know that nothing was cut off.
    pub head_hash: String,
    /// Records that hold in the segments.
    pub records: u64,
    /// Records removed behind the newest summary.
    pub removed: u64,
    /// Each epoch, oldest first.
    pub epochs: Vec<EpochCheck>,
    /// Every hash was recomputed with the device key; without it only form, checksums, order and links were looked at.
    pub authenticated: bool,
    /// Sealed records whose chain holds, but that could not be looked into, for want of their keys.
    pub unopened: u64,
    /// What is wrong; empty when all is well.
    pub problems: Vec<String>,
    /// What is no fault but worth knowing.
    pub notes: Vec<String>,
}

/// One epoch's two copies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct EpochCheck {
    /// Its number.
    pub epoch: u32,
    /// First and last record in its segments.
    pub first: u64,
    /// Newest record in its segments.
    pub last: u64,
    /// Segment files.
    pub segments: u64,
    /// Records in its store; none when that could not be opened.
    pub stored: Option<u64>,
}

/// What a rebuild did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RebuildReport {
    /// What was repaired, put aside and made anew.
    pub events: Vec<OpenEvent>,
    /// Everything, read and checked afterwards.
    pub verified: VerifyReport,
}

/// Reads and checks every record of both copies with the key, without changing any.
///
/// Fails with `Locked` while a daemon has the journal, with `WrongKey` when the key is another device's. Works on a
/// read-only file system, where the stores are not looked at (sled writes when it opens).
///
/// The chain is checked over the records as they lie there: where the keys that they are sealed with are not to be had,
/// the report says what could not be looked into.
pub fn check(options: &Options, key: &DeviceKey, progress: Progress<'_>) -> Result<CheckReport> {
    check_with(options, key, progress)
}

/// As [`check`], by who has no key at all: form, checksums, order and links of both copies. It proves that nothing fell
/// out or was damaged, not who made the records.
pub fn check_without_key(options: &Options, progress: Progress<'_>) -> Result<CheckReport> {
    check_with(options, &DeviceKey::links_only(), progress)
}

fn check_with(options: &Options, key: &DeviceKey, progress: Progress<'_>) -> Result<CheckReport> {
    let _lock = lock(options)?;
    let report = CheckReport { authenticated: !key.is_links_only(), ..CheckReport::default() };
    let mut check = Check {
        options,
        key,
        report,
        expect: None,
        newest: None,
        unread_summary: false,
        unopened: BTreeMap::new(),
    };
    let found = segment::find(&options.segments())?;
    let stores = store_epochs(&options.dir)?;
    let mut epochs: Vec<u32> = found.iter().map(|f| f.epoch).chain(stores.iter().copied()).collect();
    epochs.sort_unstable();
    epochs.dedup();
    if epochs.is_empty() {
        return Err(JournalError::NoJournal { dir: options.dir.clone() });
    }
    let (mut done, total) = (0, found.len() as u64);
    for pair in epochs.windows(2) {
        if pair[1] != pair[0] + 1 {
            check.problem(format!("epochs {} to {} are gone in both copies", pair[0] + 1, pair[1] - 1));
        }
    }
    let live = epochs.last().copied().unwrap_or_default();
    for epoch in epochs {
        let files: Vec<&Found> = found.iter().filter(|f| f.epoch == epoch).collect();
        let mut seen = EpochCheck { epoch, segments: files.len() as u64, ..EpochCheck::default() };
        for (index, file) in files.iter().enumerate() {
            check.segment(file, index, epoch == live && index + 1 == files.len(), &mut seen)?;
            done += 1;
            progress("segments read", done, total);
        }
        check.store(&mut seen, epoch == live)?;
        check.report.epochs.push(seen);
    }
    check.boundary();
    check.tell_unopened();
    Ok(check.report)
}

/// Whether some process has the journal now.
pub fn in_use(options: &Options) -> bool {
    matches!(take_lock(&options.dir, Duration::ZERO), Err(JournalError::Locked { .. }))
}

/// The lock, when it can be had; on a read-only file system its file is only read.
fn lock(options: &Options) -> Result<Option<File>> {
    match fs::metadata(&options.dir) {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(JournalError::NoJournal { dir: options.dir.clone() });
        }
        Err(e) => return Err(JournalError::io("inspect", &options.dir, e)),
    }
    match take_lock(&options.dir, options.lock_wait) {
        Ok(file) => Ok(Some(file)),
        // Nobody can write there, a daemon neither.
        Err(JournalError::ReadOnly { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}

struct Check<'a> {
    options: &'a Options,
    key: &'a DeviceKey,
    report: CheckReport,
    /// Seq and link the next record must have; not known at the begin and behind a hole.
    expect: Option<(u64, Hash)>,
    newest: Option<Summary>,
    /// A summary of removed records is there that could not be opened.
    unread_summary: bool,
    /// How many records of an epoch could not be opened, and why.
    unopened: BTreeMap<u32, (u64, OpenError)>,
}

impl Check<'_> {
    fn problem(&mut self, text: String) {
        self.report.problems.push(text);
    }

    fn segment(&mut self, file: &Found, index: usize, newest: bool, seen: &mut EpochCheck) -> Result<()> {
        let name = file.path.file_name().and_then(|n| n.to_str()).unwrap_or("segment").to_owned();
        if file.number as usize != index + 1 {
            self.problem(format!("a segment before {name} is gone"));
            self.expect = None;
        }
        let image = match Image::read(&file.path, self.key)? {
            Ok(image) => image,
            Err(why) => {
                self.problem(format!("{name}: {why}"));
                self.expect = None;
                return Ok(());
            }
        };
        if self.report.authenticated
            && image.header.fingerprint != self.key.fingerprint(file.epoch)
            && image.frames.is_empty()
            && image.tail != Tail::Clean
        {
            return Err(JournalError::WrongKey { dir: self.options.dir.clone() });
        }
        let begin = (image.header.first_seq, image.header.prev_hash);
        if self.expect.is_some_and(|e| e != begin) {
            self.problem(format!("{name} does not follow the segment before it"));
        }
        if image.wrong_length() {
            self.problem(format!("{name}: its length is wrong"));
        }
        match &image.tail {
            Tail::Clean => {}
            Tail::Torn if newest => {
                self.report
                    .notes
                    .push(format!("{name} ends in an unfinished commit, which the next start cuts off"));
            }
            Tail::Torn => self.problem(format!("{name}: bytes that are no record follow its last one")),
            Tail::Damaged(why) => self.problem(format!("{name}: {why}")),
        }
        for at in &image.frames {
            if let Some(frame) = image.frame(at) {
                self.look_into(frame);
            }
        }
        if self.report.first == 0 {
            self.report.first = image.header.first_seq;
        }
        if seen.first == 0 {
            seen.first = image.header.first_seq;
        }
        seen.last = image.next_seq().saturating_sub(1);
        self.report.records += image.frames.len() as u64;
        self.report.last = seen.last;
        self.report.head_hash = hex::encode(image.last_hash);
        self.expect = Some((image.next_seq(), image.last_hash));
        Ok(())
    }

    /// Opens what is sealed: a chain that holds over records that nobody can read is of no use.
    fn look_into(&mut self, frame: Frame) {
        let (epoch, kind) = (frame.epoch, frame.kind);
        match frame.open(self.key) {
            Ok(record) => {
                if let Some(summary) = Summary::decode(&record) {
                    (self.newest, self.unread_summary) = (Some(summary), false);
                }
            }
            Err(e) => {
                self.report.unopened += 1;
                self.unopened.entry(epoch).or_insert((0, e)).0 += 1;
                self.unread_summary |= kind == KIND_SUMMARY;
            }
        }
    }

    fn tell_unopened(&mut self) {
        if !self.report.authenticated {
            self.report.notes.push(
                "without the device key: form, checksums, order and links were checked, not who made the records".into(),
            );
        }
        for (epoch, (count, e)) in std::mem::take(&mut self.unopened) {
            let text =
                format!("{count} records of epoch {epoch} were not looked into, their chain holds: {e}");
            // With the keys at hand it is a fault that one of them is missing.
            if self.report.authenticated {
                self.report.problems.push(text);
            } else {
                self.report.notes.push(text);
            }
        }
    }

    fn store(&mut self, seen: &mut EpochCheck, live: bool) -> Result<()> {
        let epoch = seen.epoch;
        let dir = self.options.store_dir(epoch);
        if !dir.exists() {
            self.problem(format!("the store of epoch {epoch} is gone"));
            return Ok(());
        }
        if matches!(writable(&self.options.dir), Err(e) if e.kind() == io::ErrorKind::ReadOnlyFilesystem) {
            self.report.notes.push(format!("read-only: the store of epoch {epoch} was not opened"));
            return Ok(());
        }
        let walked = match try_store(&self.options.probe, &dir, self.options.probe_limit)? {
            Verdict::Good(walked) => walked,
            Verdict::Bad(why) => {
                self.problem(format!("the store of epoch {epoch}: {why}"));
                return Ok(());
            }
            Verdict::Locked => return Err(JournalError::Locked { dir }),
            Verdict::Full => {
                self.report.notes.push(format!("disk full: the store of epoch {epoch} was not opened"));
                return Ok(());
            }
        };
        seen.stored = Some(walked.count);
        if walked.last > seen.last {
            self.problem(format!(
                "the store of epoch {epoch} has records up to {}, its segments only up to {}",
                walked.last, seen.last
            ));
        } else if walked.last < seen.last && live {
            self.report.notes.push(format!(
                "{} records wait to be put into the store at the next start (usual after a kill)",
                seen.last - walked.last.max(seen.first.saturating_sub(1))
            ));
        } else if walked.last < seen.last {
            self.problem(format!(
                "the store of epoch {epoch} ends at record {}, not {}",
                walked.last, seen.last
            ));
        } else if self.expect.is_some_and(|(_, hash)| hash != walked.hash) && walked.count > 0 {
            self.problem(format!("the store of epoch {epoch} ends in another record than its segments"));
        }
        Ok(())
    }

    /// Whether what is there begins where the newest summary says.
    fn boundary(&mut self) {
        let first = self.report.first;
        match &self.newest {
            Some(summary) => {
                self.report.removed = summary.count;
                let kept = summary.last.saturating_add(1);
                if first > kept {
                    self.problem(format!("records {kept} to {} are gone, no summary covers them", first - 1));
                } else if first < kept {
                    self.report
                        .notes
                        .push("a removal was interrupted; the next start finishes it".to_owned());
                }
            }
            None if first > 1 && self.unread_summary => self.report.notes.push(format!(
                "records 1 to {} are not there; the summary that may cover them is sealed",
                first - 1
            )),
            None if first > 1 => {
                self.problem(format!("records 1 to {} are gone, no summary covers them", first - 1));
            }
            None => {}
        }
    }
}

/// Whether files can be made in a directory.
fn writable(dir: &std::path::Path) -> io::Result<()> {
    rustix::fs::access(dir, rustix::fs::Access::WRITE_OK).map_err(io::Error::from)
}

/// Repairs each copy from the other, whichever holds a record, and verifies everything afterwards. With `anew` every
/// store is put aside and made anew, also where it looks whole.
///
/// What is lost in both copies is told (`Damaged` in the live epoch, an event and `verified.lost` in older ones).
pub fn rebuild(
    options: &Options,
    key: &DeviceKey,
    clock: &Arc<dyn Clock>,
    anew: bool,
    progress: Progress<'_>,
) -> Result<RebuildReport> {
    // A journal is not made by repairing what is not there; the lock is given back for the open below.
    drop(lock(options)?);
    if segment::find(&options.segments())?.is_empty() && store_epochs(&options.dir)?.is_empty() {
        return Err(JournalError::NoJournal { dir: options.dir.clone() });
    }
    Deep::add_all(&options.dir)?;
    progress("reading and repairing segments", 0, 0);
    let (journal, report) = Journal::open(options.clone(), key.clone(), Arc::clone(clock))?;
    let mut done = RebuildReport { events: report.events, ..RebuildReport::default() };
    progress("verifying", 0, 0);
    done.verified = journal.verify()?;
    done.events.append(&mut journal.take_events());
    journal.close()?;
    drop(journal);
    if !anew || done.verified.lost > 0 {
        return Ok(done);
    }
    let epochs = store_epochs(&options.dir)?;
    let total = epochs.len() as u64;
    for (n, epoch) in (1..).zip(epochs) {
        let _lock = take_lock(&options.dir, options.lock_wait)?;
        let why = "made anew as asked";
        let to = quarantine(&options.dir, clock.now().wall_ms, &format!("{epoch:08}"), why)?;
        disk::rename(&options.store_dir(epoch), &to)?;
        done.events.push(OpenEvent::StoreQuarantined { to, why: why.into() });
        progress("stores put aside", n, total);
    }
    let (journal, report) = Journal::open(options.clone(), key.clone(), Arc::clone(clock))?;
    done.events.extend(report.events);
    progress("verifying", 0, 0);
    done.verified = journal.verify()?;
    done.events.append(&mut journal.take_events());
    journal.close()?;
    Ok(done)
}
