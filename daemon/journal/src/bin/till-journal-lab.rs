//! The laboratory's subject: a client of the journal that tells what was acknowledged, and the judge of what is left.
//!
//! Not installed. `write DIR PER_THREAD THREADS EPOCH_RECORDS` appends through the public interface and prints
//! `acked THREAD COUNT` after each answer; `write DIR keep TURNS` also keeps snapshots and removes old epochs; `verify DIR THREAD:COUNT ...` opens what a kill or cut left, with the
//! journal's own recovery, and checks that every acknowledged record is there.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use till_journal::{
    DeviceKey, Journal, NewRecord, Options, Probe, Record, Retention, SystemClock, Urgency, probe_main,
};

#[path = "../../tests/common/any_epoch.rs"]
mod any_epoch;

use any_epoch::AnyEpoch;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Thread → newest record of it.
type Counts = BTreeMap<u64, u64>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["probe", dir] => return probe_main(Path::new(dir)),
        ["write", dir, count, threads, epoch] => write(dir, count, threads, epoch),
        ["write", dir, "keep", turns] => keep(dir, turns),
        ["verify", dir, acked @ ..] => verify(dir, acked),
        _ => {
            Err("usage: write DIR keep TURNS | write DIR PER_THREAD THREADS EPOCH_RECORDS | verify DIR THREAD:COUNT... | probe DIR"
                .into())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            println!("FAILED {e}");
            ExitCode::FAILURE
        }
    }
}

fn open(dir: &str, epoch_records: u64) -> Outcome<Journal> {
    let mut options = Options::new(dir);
    options.force_filesystem = true;
    options.segment_bytes = 128 << 10;
    options.epoch_records = epoch_records;
    options.free_floor = 0;
    options.ballast_bytes = 0;
    options.probe = Probe::Command { program: std::env::current_exe()?, args: vec!["probe".into()] };
    // Sealed, as a till does. The keyring has a laboratory of its own: here its keys are there, whatever is cut off.
    let key = DeviceKey::new(&[7; 32]).sealing(AnyEpoch);
    let (journal, report) = Journal::open(options, key, Arc::new(SystemClock::new()))?;
    for event in report.events {
        println!("event {event}");
    }
    Ok(journal)
}

/// Record `index` of `size` in a group; the filler makes lengths differ and content checkable.
fn record(thread: u64, count: u64, index: u64, size: u64) -> NewRecord {
    let filler = "x".repeat(usize::try_from((count * 37 + thread * 11) % 400).unwrap_or(0));
    let mut subject = [0u8; 16];
    subject[..8].copy_from_slice(&(thread + 1).to_le_bytes());
    subject[8..].copy_from_slice(&(count / 4).to_le_bytes());
    NewRecord { kind: 1, subject, payload: format!("{thread} {count} {index} {size} {filler}").into_bytes() }
}

/// Reads a record back and checks its content to the last byte.
fn parse(found: &Record) -> Outcome<(u64, u64, u64, u64)> {
    let text = std::str::from_utf8(&found.payload)?;
    let mut words = text.split(' ').map(str::parse::<u64>);
    let mut next = || words.next().and_then(Result::ok).ok_or("payload is not the writer's");
    let (thread, count, index, size) = (next()?, next()?, next()?, next()?);
    let made = record(thread, count, index, size);
    if made.payload != found.payload || made.subject != found.subject {
        return Err(format!("record {} has another content than was written", found.seq).into());
    }
    Ok((thread, count, index, size))
}

fn counts(journal: &Journal) -> Outcome<Counts> {
    let mut counts = Counts::new();
    let mut wrong = None;
    let mut group_left = 0;
    let mut next_seq = journal.stats().first_seq;
    // A thread's first records may have been removed behind a summary, never ones in between.
    let removed = next_seq > 1;
    journal.replay(1, |found| {
        if wrong.is_some() {
            return;
        }
        if found.seq != next_seq {
            wrong = Some(format!("record {} where {next_seq} belongs", found.seq));
        }
        next_seq += 1;
        if found.is_control() {
            return;
        }
        match parse(found) {
            Ok((thread, count, index, size)) => {
                let before = if removed { count - 1 } else { 0 };
                let newest = counts.entry(thread).or_insert(before);
                if count != *newest + 1 {
                    wrong = Some(format!("thread {thread}: {count} follows {newest}"));
                }
                *newest = count;
                if index != if group_left == 0 { 0 } else { size - group_left } {
                    wrong = Some(format!("record {}: atomic group torn", found.seq));
                }
                group_left = size - index - 1;
            }
            Err(e) => wrong = Some(e.to_string()),
        }
    })?;
    match wrong {
        Some(e) => Err(e.into()),
        None if group_left > 0 => Err("the last atomic group is torn".into()),
        None => Ok(counts),
    }
}

fn write(dir: &str, count: &str, threads: &str, epoch: &str) -> Outcome<()> {
    let (count, threads): (u64, u64) = (count.parse()?, threads.parse()?);
    let journal = open(dir, epoch.parse()?)?;
    let done = counts(&journal)?;
    let workers: Vec<_> = (0..threads)
        .map(|id| {
            let journal = journal.clone();
            let from = done.get(&id).copied().unwrap_or(0);
            thread::spawn(move || work(&journal, id, from, count))
        })
        .collect();
    for worker in workers {
        worker.join().map_err(|_| "a writer panicked")??;
    }
    journal.close()?;
    Ok(())
}

/// Snapshots and removals between appends. `acked 90 N`: snapshot N; `acked 91 N`: N removals' summaries.
fn keep(dir: &str, turns: &str) -> Outcome<()> {
    let journal = open(dir, 100)?;
    let from = counts(&journal)?.get(&0).copied().unwrap_or(0);
    let told =
        |thread: u64, count: u64| std::io::stdout().write_all(format!("acked {thread} {count}\n").as_bytes());
    let mut at = from;
    let mut removals = removals(&journal)?;
    let mut snapshots = newest_snapshot(&journal)?;
    for _ in 0..turns.parse::<u64>()? {
        for _ in 0..14 {
            let group = (0..4).map(|i| record(0, at + 1 + i, i, 4)).collect();
            journal.append(group, Urgency::New)?.wait()?;
            at += 4;
            told(0, at)?;
        }
        snapshots += 1;
        journal.write_snapshot(journal.head().seq, &state(snapshots))?;
        told(SNAPSHOTS, snapshots)?;
        let none = Retention { keep_days: 0, min_records: 0, keep_from: None };
        if journal.compact(none, |_| (removals + 1).to_string().into_bytes())?.is_some() {
            removals += 1;
            told(REMOVALS, removals)?;
        }
    }
    journal.close()?;
    Ok(())
}

const SNAPSHOTS: u64 = 90;
const REMOVALS: u64 = 91;

/// Of three chunks, content checkable.
fn state(number: u64) -> Vec<u8> {
    let mut state = format!("{number} ").into_bytes();
    state.resize(9000, u8::try_from(number % 251).unwrap_or(0));
    state
}

fn newest_snapshot(journal: &Journal) -> Outcome<u64> {
    let Some(found) = journal.last_snapshot()? else { return Ok(0) };
    let text = String::from_utf8_lossy(&found.state);
    let number = text.split(' ').next().ok_or("a snapshot without a number")?.parse()?;
    if state(number) != found.state {
        return Err("a snapshot has another content than was written".into());
    }
    Ok(number)
}

fn removals(journal: &Journal) -> Outcome<u64> {
    let Some(summary) = journal.summary()? else { return Ok(0) };
    if journal.stats().first_seq != summary.last + 1 {
        return Err(format!("summary up to {}, kept from {}", summary.last, journal.stats().first_seq).into());
    }
    Ok(std::str::from_utf8(&summary.totals)?.parse()?)
}

fn work(journal: &Journal, id: u64, from: u64, count: u64) -> Result<(), String> {
    let mut at = from;
    while at < from + count {
        let size = at % 3 + 1;
        let group = (0..size).map(|index| record(id, at + 1 + index, index, size)).collect();
        at += size;
        let ticket = journal.append(group, Urgency::New).map_err(|e| e.to_string())?;
        ticket.wait().map_err(|e| e.to_string())?;
        // One write call: what stands on the pipe was acknowledged before.
        let line = format!("acked {id} {at}\n");
        std::io::stdout().write_all(line.as_bytes()).map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn verify(dir: &str, acked: &[&str]) -> Outcome<()> {
    let journal = open(dir, 200_000)?;
    check(&journal, acked)?;
    // It must also go on: append, stop, start, and have everything.
    let found = counts(&journal)?;
    let next = found.get(&0).copied().unwrap_or(0) + 1;
    journal.append(vec![record(0, next, 0, 1)], Urgency::New)?.wait()?;
    journal.close()?;
    drop(journal);
    let journal = open(dir, 200_000)?;
    if counts(&journal)?.get(&0) != Some(&next) {
        return Err("a record appended after recovery is lost".into());
    }
    check(&journal, acked)?;
    let report = journal.verify()?;
    if !report.is_whole() {
        return Err(format!("after recovery the copies are not whole: {report:?}").into());
    }
    journal.close()?;
    println!("fine {found:?}");
    Ok(())
}

fn check(journal: &Journal, acked: &[&str]) -> Outcome<()> {
    let found = counts(journal)?;
    for pair in acked {
        let (thread, count) = pair.split_once(':').ok_or("THREAD:COUNT expected")?;
        let (thread, count): (u64, u64) = (thread.parse()?, count.parse()?);
        let have = match thread {
            SNAPSHOTS => newest_snapshot(journal)?,
            REMOVALS => removals(journal)?,
            _ => found.get(&thread).copied().unwrap_or(0),
        };
        if have < count {
            return Err(
                format!("LOST: thread {thread} was acknowledged {count}, the journal holds {have}").into()
            );
        }
        if count > 0 && thread < SNAPSHOTS {
            let one = record(thread, count, 0, 1);
            if journal.by_subject(&one.subject)?.is_empty() {
                return Err(format!("record {count} of thread {thread} is not found by its subject").into());
            }
        }
    }
    Ok(())
}
