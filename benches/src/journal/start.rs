//! How long a start takes with a journal of 100,000 records: opening with all its checks, then folding the state.

use std::path::Path;
use std::time::Instant;

use till_journal::Urgency;

use super::subjects::{open_journal, record};
use crate::Outcome;

const RECORDS: u64 = 100_000;

/// Makes the journal, then opens it three times in a new process each.
pub fn run(base: &Path) -> Outcome<()> {
    let dir = tempfile::tempdir_in(base)?;
    let journal = open_journal(dir.path())?;
    let mut last = None;
    for n in 0..RECORDS / 10 {
        last = Some(journal.append((0..10).map(|i| record(n * 10 + i)).collect(), Urgency::New)?);
    }
    if let Some(ticket) = last {
        ticket.wait()?;
    }
    drop(journal);
    println!("\n| a journal of {RECORDS} records, opened by a new process | |\n|---|---|");
    for _ in 0..3 {
        // A process of its own: its memory is what a daemon would have.
        let status =
            std::process::Command::new(std::env::current_exe()?).arg("start").arg(dir.path()).status()?;
        if !status.success() {
            return Err("the start in a new process failed".into());
        }
    }
    Ok(())
}

/// Opens what [`run`] made and prints its figures.
pub fn once(dir: &Path) -> Outcome<()> {
    println!("| resident memory before, KiB | {} |", resident()?);
    let begun = Instant::now();
    let journal = open_journal(dir)?;
    let opened = begun.elapsed();
    println!("| resident memory after open, KiB | {} |", resident()?);
    let begun = Instant::now();
    let mut bytes = 0usize;
    journal.replay(1, |record| bytes += record.payload.len())?;
    let replayed = begun.elapsed();
    let begun = Instant::now();
    let found = journal.by_subject(&record(50_000).subject)?.len();
    let subject = begun.elapsed();
    println!("| resident memory after replay, KiB | {} |", resident()?);
    let begun = Instant::now();
    let whole = journal.verify()?.is_whole();
    println!("| open, warm cache, ms | {} |", opened.as_millis());
    println!("| replay ({bytes} payload bytes), ms | {} |", replayed.as_millis());
    println!("| one payment's {found} records, ms | {:.2} |", subject.as_secs_f64() * 1e3);
    println!("| verify everything (whole: {whole}), ms | {} |", begun.elapsed().as_millis());
    println!("| resident memory after verify, KiB | {} |", resident()?);
    Ok(())
}

fn resident() -> Outcome<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}
