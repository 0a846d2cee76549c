//! The judge of one disk: opens it as `tilld` does at its start, and asks for everything that was promised.

use std::path::Path;
use std::sync::Arc;

use till_core::record::{KIND, Record};
use till_journal::sealed::SealError;
use till_journal::{Journal, NewRecord, Probe, Urgency};
use tilld::config::{self, Config, Sources};
use tilld::service::clock::TillClock;
use tilld::service::recover::{Recovered, own_probe, recover};

use crate::truth::{Truth, decoded};
use crate::{LabError, facts};

/// A question about one disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Records up to this one were promised.
    pub need: u64,
    /// Keys of the keyring below this epoch were told to be destroyed.
    pub shredded: u64,
    /// Nothing was damaged: an alarm would send somebody looking for a bad disk.
    pub quiet: bool,
}

/// The configuration of a recorded till, to be pointed at other disks.
pub fn config(file: &Path) -> Result<Config, LabError> {
    config::load(&Sources::file(file)).map_err(|e| LabError::Lab(format!("{}: {e}", file.display())))
}

/// The same till, its state in `dir`.
pub fn at(config: &Config, dir: &Path) -> Config {
    let mut config = config.clone();
    config.journal.dir = dir.join("journal");
    config.state_dir = dir.join("plugins");
    config
}

/// What `tilld` does at its start, and no more.
pub fn start(config: &Config) -> Result<Recovered, String> {
    start_with(config, own_probe())
}

/// The same, stores tried in another way ([`crate::warm`]).
fn start_with(config: &Config, probe: Probe) -> Result<Recovered, String> {
    let clock = Arc::new(TillClock::new(config.clock));
    recover(config, clock, probe).map_err(|e| format!("does not start: {e}"))
}

/// Opens the disk in `dir`, asks, appends, opens it again and asks once more. Gives what opening said it did.
pub fn judge(
    config: &Config,
    truth: &Truth,
    dir: &Path,
    question: &Question,
    probe: &Probe,
) -> Result<String, String> {
    let config = at(config, dir);
    facts::no_destroyed_key(&config, truth, question.shredded)?;
    let first = start_with(&config, probe.clone())?;
    if question.quiet && first.report.has_alarm() {
        return Err(format!("false alarm: {}", said(&first)));
    }
    whole(&first, truth, question)?;
    let told = said(&first);
    let last = append(&first.journal)?;
    let seq = first.till.seq();
    drop(first.till);
    first.journal.close().map_err(|e| format!("does not close: {e}"))?;
    drop(first.journal);

    let second = start_with(&config, probe.clone()).map_err(|e| format!("the second time: {e}"))?;
    if second.report.has_alarm() {
        return Err(format!("alarm at the second start, after a clean stop: {}", said(&second)));
    }
    whole(&second, truth, question).map_err(|e| format!("the second time: {e}"))?;
    let head = second.journal.head().seq;
    if head < last || second.till.seq() < seq.max(last) {
        return Err(format!("record {last}, appended after the recovery, is lost: the head is {head}"));
    }
    second.journal.close().map_err(|e| format!("does not close: {e}"))?;
    Ok(told)
}

fn said(recovered: &Recovered) -> String {
    let events: Vec<String> = recovered.report.events.iter().map(ToString::to_string).collect();
    events.join("; ").replace('\n', " ")
}

/// Every promised record is there as it was, the chain is whole, both copies and the index agree.
fn whole(recovered: &Recovered, truth: &Truth, question: &Question) -> Result<(), String> {
    let need = question.need;
    let journal = &recovered.journal;
    let head = journal.head().seq;
    if head < need {
        return Err(format!("LOST: record {need} was promised, the journal ends at {head}"));
    }
    let (first, follows) = facts::beginning(recovered, truth)?;
    let mut expect = (first, follows);
    let mut wrong = None;
    let read = journal.replay(first, |record| {
        if wrong.is_some() {
            return;
        }
        if (record.seq, record.prev_hash) != expect {
            wrong = Some(format!("record {} where {} belongs: the chain is broken", record.seq, expect.0));
        } else if record.seq <= need && truth.hash(record.seq) != Some(&record.hash) {
            wrong = Some(format!("LOST: record {} is another than was promised", record.seq));
        } else if record.seq <= need
            && let Err(e) = unseals(recovered, record)
        {
            wrong =
                Some(format!("record {}: what takes the payment back cannot be unsealed: {e}", record.seq));
        }
        expect = (record.seq + 1, record.hash);
    });
    read.map_err(|e| format!("does not replay: {e}"))?;
    if let Some(wrong) = wrong {
        return Err(wrong);
    }
    if expect.0 != head + 1 {
        return Err(format!("replay ends at {}, the head is {head}", expect.0 - 1));
    }
    facts::batches(recovered, truth, first)?;
    facts::shredding(recovered, question.shredded)?;
    let report = journal.verify().map_err(|e| format!("does not verify: {e}"))?;
    if !report.is_whole() {
        return Err(format!("not whole: {}", report.findings.join("; ")));
    }
    if let Some(payment) = truth.subjects.iter().take(truth.up_to(need)).rfind(|s| !s.is_empty()) {
        let mut subject = [0; 16];
        let found = hex::decode_to_slice(payment, &mut subject).is_ok()
            && journal.by_subject(&subject).is_ok_and(|records| !records.is_empty());
        if !found {
            return Err(format!("payment {payment} is not found by its number"));
        }
    }
    Ok(())
}

/// A reversal that is armed can be used: the key it is sealed under survived too, unless it was destroyed on purpose.
pub fn unseals(recovered: &Recovered, record: &till_journal::Record) -> Result<(), SealError> {
    let event = match decoded(record) {
        // Of an attempt that is not the one under way.
        Some(Record::On { event, .. }) => Some(*event),
        other => other,
    };
    let Some(Record::Sent { payment, recovery, .. }) = event else { return Ok(()) };
    match recovered.keys.keyring().open(&payment.0, KIND, &recovery) {
        Ok(_) | Err(SealError::Shredded { .. }) => Ok(()),
        Err(e) => Err(e),
    }
}

fn append(journal: &Journal) -> Result<u64, String> {
    let record = Record::DrawerOpened { reason: "crash lab".into(), operator: None };
    let payload = record.encode().map_err(|e| e.to_string())?;
    let new = NewRecord { kind: KIND, subject: [0; 16], payload };
    let ticket = journal.append(vec![new], Urgency::New).map_err(|e| format!("does not append: {e}"))?;
    ticket.wait().map(|a| a.last).map_err(|e| format!("does not append: {e}"))
}
