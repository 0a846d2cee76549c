//! A bad disk: bits flipped, files cut short, emptied or deleted, each file of the daemon's state in turn. It starts,
//! says what happened, and serves every record from the other copy.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use till_powercut::Rng;
use till_tests::{Rig, RigOptions};
use tilld::config::Config;

use crate::check::{self, Question};
use crate::cuts::Failure;
use crate::pool::{Recipe, Worker};
use crate::report::Line;
use crate::scenario::{Recorded, copy_tree};
use crate::truth::Truth;
use crate::{LabError, Programs};

/// What is done to one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// One bit, at this byte.
    Flip(usize, u8),
    /// 4096 bytes of zeros from here.
    Zeros(usize),
    /// Only so many bytes are left.
    Cut(usize),
    /// The file is gone.
    Gone,
}

impl Harm {
    /// Does it.
    pub fn apply(self, path: &Path) -> std::io::Result<()> {
        if self == Self::Gone {
            return fs::remove_file(path);
        }
        let mut bytes = fs::read(path)?;
        match self {
            Self::Flip(at, bit) => bytes[at] ^= 1 << (bit % 8),
            Self::Zeros(at) => {
                let end = bytes.len().min(at + 4096);
                bytes[at..end].fill(0);
            }
            Self::Cut(len) => bytes.truncate(len),
            Self::Gone => {}
        }
        fs::write(path, bytes)
    }
}

/// Every kind of harm to a file, `flips` bits among them: in the first bytes, the last that matter, and in between.
fn harms(path: &Path, flips: usize, rng: &mut Rng) -> Vec<Harm> {
    let bytes = fs::read(path).unwrap_or_default();
    let mut out = vec![Harm::Gone];
    let Some(last) = bytes.iter().rposition(|b| *b != 0) else { return out };
    let bit = |rng: &mut Rng| u8::try_from(rng.below(8)).unwrap_or(0);
    for at in [0, last, last.min(9), last.min(600)] {
        out.push(Harm::Flip(at, bit(rng)));
    }
    for _ in 0..flips {
        out.push(Harm::Flip(rng.below(last + 1), bit(rng)));
    }
    out.push(Harm::Zeros(0));
    out.push(Harm::Zeros(rng.below(last + 1)));
    let cuts = [0, 1, 7, last / 2, last, bytes.len().saturating_sub(1)];
    out.extend(cuts.into_iter().filter(|len| *len < bytes.len()).map(Harm::Cut));
    out
}

/// Files below a directory, in order.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { out.extend(files(&path)) } else { out.push(path) }
    }
    out.sort();
    out
}

/// The till's own keys: no other copy of them may lie on the same disk.
fn is_key(path: &Path) -> bool {
    path.components().any(|c| c.as_os_str() == "keys")
}

/// Whether a harm to this file is nothing that anybody must be told, as long as every record is served: it holds none.
fn holds_nothing(path: &Path) -> bool {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    matches!(name, "lock" | "ballast" | "spare.new") || !in_journal(path) || sled_makes_up_for(path, name)
}

/// Files of a store: sled's `db` has room between what is live, its snapshot only saves time, and its `conf` it writes
/// anew without a word. Segments hold records to their last byte.
fn sled_makes_up_for(path: &Path, name: &str) -> bool {
    let store = path.parent().and_then(Path::file_name).and_then(|n| n.to_str()).unwrap_or_default();
    let epoch = store.len() == 8 && store.bytes().all(|b| b.is_ascii_digit());
    epoch && (matches!(name, "db" | "conf") || name.starts_with("snap."))
}

fn in_journal(path: &Path) -> bool {
    path.components().any(|c| c.as_os_str() == "journal")
}

/// Begins a word about recovery data whose key is lost: right where a key was harmed, and nowhere else.
const SEALED: &str = "recovery data";

/// The recorded state once both copies hold everything. What the last kill found on its way is in the segments alone until
/// the next start: a bit that flips there while the till is dead has no other copy to be served from.
fn settled(recorded: &Recorded, programs: &Programs) -> Result<tempfile::TempDir, LabError> {
    let scratch = crate::scratch()?;
    let state = scratch.path().join("state");
    copy_tree(&recorded.root(), &state).map_err(LabError::file("copy of the recorded state"))?;
    let mut command = Command::new(&programs.lab);
    command.arg("recover").arg(recorded.config_file()).arg(&state);
    let out = command.output().map_err(LabError::file("start of the recorded state"))?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        return Err(LabError::Lab(format!("the recorded state does not start: {said}")));
    }
    Ok(scratch)
}

/// Judges a damaged disk: every record is served; what opening and checking said comes back.
pub fn judge(config: &Config, truth: &Truth, dir: &Path, question: &Question) -> Result<String, String> {
    let config = check::at(config, dir);
    let mut told = Vec::new();
    for turn in 0..3 {
        let started = check::start(&config).map_err(|e| format!("start {turn}: {e}"))?;
        told.extend(started.report.events.iter().filter(|e| e.is_alarm()).map(ToString::to_string));
        let damaged = started.keys.keyring().damaged();
        told.extend(damaged.iter().map(|path| format!("key file {} is damaged", path.display())));
        let mut hashes = Vec::new();
        let read = started.journal.replay(truth.kept, |record| {
            hashes.push(record.hash);
            if let Err(e) = check::unseals(&started, record) {
                told.push(format!("{SEALED} of record {}: {e}", record.seq));
            }
        });
        read.map_err(|e| format!("start {turn}: does not replay: {e}"))?;
        let known = truth.at(truth.kept).unwrap_or(0)..truth.up_to(question.need);
        if hashes.get(..known.len()) != truth.hashes.get(known) {
            return Err(format!("start {turn}: LOST: the records are not those that were"));
        }
        let report = started.journal.verify().map_err(|e| format!("does not verify: {e}"))?;
        told.extend(report.findings.iter().cloned());
        told.extend(started.journal.take_events().iter().map(ToString::to_string));
        started.journal.close().map_err(|e| format!("does not close: {e}"))?;
        if report.is_whole() {
            return Ok(told.join("; "));
        }
    }
    Err(format!("not whole at the third start: {}", told.join("; ")))
}

/// Harms every file in every way; each disk is judged by the code that `tilld` starts with.
pub fn in_process(
    recorded: &Recorded,
    programs: &Programs,
    flips: usize,
    seed: u64,
) -> Result<Line, LabError> {
    let begun = Instant::now();
    let scratch = settled(recorded, programs)?;
    let whole = scratch.path().join("state");
    let recipe = Recipe {
        program: programs.lab.clone(),
        args: vec![
            "damage-worker".into(),
            recorded.config_file().display().to_string(),
            recorded.truth_file().display().to_string(),
        ],
        errors: scratch.path().join("errors"),
    };
    let mut worker = Worker::new(recipe);
    let (mut rng, mut tried, mut silent) = (Rng(seed), 0, 0);
    let mut failed = Vec::new();
    let mut told: BTreeMap<&str, usize> = BTreeMap::new();
    let question = Question { need: recorded.truth.last(), shredded: 0, quiet: false };
    for path in files(&whole) {
        let name = path.strip_prefix(&whole).unwrap_or(&path).to_owned();
        for harm in harms(&path, flips, &mut rng) {
            let dir = scratch.path().join("harmed");
            let _gone = fs::remove_dir_all(&dir);
            copy_tree(&whole, &dir)
                .and_then(|()| harm.apply(&dir.join(&name)))
                .map_err(LabError::file("harming a file"))?;
            tried += 1;
            let mut answer = worker.ask(&dir, &question)?;
            if is_key(&name) && answer.is_err() {
                // Refused with a word about the key; with the key put back all is as it was.
                let refusal = answer.clone().err().unwrap_or_default();
                if refusal.to_lowercase().contains("key") {
                    fs::copy(&path, dir.join(&name)).map_err(LabError::file("the key"))?;
                    answer = worker.ask(&dir, &question)?;
                    *told.entry("a key: refused, and whole with the key put back").or_default() += 1;
                }
            }
            let cut = format!("{}: {harm:?}", name.display());
            match answer {
                Ok(said) if said.is_empty() && !holds_nothing(&name) => {
                    failed.push(Failure { cut, said: "nobody was told".into() });
                }
                Ok(said) if said.is_empty() => silent += 1,
                Ok(said) if said.contains(SEALED) && !is_key(&name) => failed.push(Failure { cut, said }),
                Ok(said) if said.contains(SEALED) => {
                    *told.entry("a key: started, told what does not open without it").or_default() += 1;
                }
                Ok(_) => *told.entry("told").or_default() += 1,
                Err(said) => failed.push(Failure { cut, said }),
            }
        }
    }
    told.insert("harmless, nothing said", silent);
    let mut line =
        Line::of("damage: every file, every kind", format!("{tried} disks"), failed, begun.elapsed());
    line.told = told.iter().map(|(what, count)| format!("{what} ×{count}")).collect::<Vec<_>>().join(", ");
    Ok(line)
}

/// Harms files under the real daemon, `each` ways a file: it starts, its log says so, and a front-end reads every record.
pub async fn on_daemon(
    recorded: &Recorded,
    programs: &Programs,
    each: usize,
    seed: u64,
) -> Result<Line, LabError> {
    let begun = Instant::now();
    let mut rng = Rng(seed);
    let mut rig = Rig::stand(RigOptions::default())?;
    crate::scenario::drop_in(&rig, crate::scenario::LAB_JOURNAL)?;
    let state = rig.dir.join("state");
    let scratch = settled(recorded, programs)?;
    let whole = scratch.path().join("state");
    let (mut failed, mut tried) = (Vec::new(), 0);
    for path in files(&whole) {
        let name = path.strip_prefix(&whole).unwrap_or(&path).to_owned();
        if is_key(&name) {
            continue;
        }
        let all = harms(&path, 1, &mut rng);
        for _ in 0..each {
            let harm = all[rng.below(all.len())];
            let _gone = fs::remove_dir_all(&state);
            copy_tree(&whole, &state)
                .and_then(|()| harm.apply(&state.join(&name)))
                .map_err(LabError::file("harming a file"))?;
            tried += 1;
            let cut = format!("{}: {harm:?}", name.display());
            if let Err(said) = serves_all(&mut rig, &recorded.truth, &name).await {
                failed.push(Failure { cut, said });
            }
            rig.kill_till();
        }
    }
    Ok(Line::of("damage: under the real daemon", format!("{tried} starts"), failed, begun.elapsed()))
}

async fn serves_all(rig: &mut Rig, truth: &Truth, name: &Path) -> Result<(), String> {
    let before = rig.log_lines().len();
    rig.start_till().map_err(|e| e.to_string())?;
    let client = rig.wait_up().await.map_err(|e| e.to_string())?;
    let journal = client.journal().await.map_err(|e| format!("does not export: {e}"))?;
    let served: BTreeMap<u64, &str> =
        journal.iter().filter_map(|r| Some((r["seq"].as_u64()?, r["hash"].as_str()?))).collect();
    for (hash, seq) in truth.hashes.iter().zip(truth.first..).filter(|(_, seq)| *seq >= truth.kept) {
        let there = served.get(&seq).copied().unwrap_or_default();
        if there != hex::encode(hash) {
            return Err(format!("LOST: record {seq} is {there:?} to a front-end"));
        }
    }
    let (_, problems) = client.verify_journal().await.map_err(|e| format!("does not verify: {e}"))?;
    let log = rig.log_lines();
    let said = log.iter().skip(before).any(|l| l.contains("ERROR") && l.contains("journal"));
    if !said && problems.is_empty() && !holds_nothing(name) {
        return Err("neither its log nor its check said a word".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_without_records_may_be_harmed_in_silence() {
        let silent = |path: &str| holds_nothing(Path::new(path));
        assert!(silent("journal/00000002/conf") && silent("journal/00000002/snap.0000000000010676"));
        assert!(!silent("journal/segments/00000002-000001.log"), "it holds records");
        assert!(!silent("journal/conf") && !silent("journal/segments/conf"), "not sled's");
        assert!(!silent("journal/00000002/blobs/12"), "it holds records");
    }
}
