//! A disk that a cut left, mounted by this machine's kernel (which replays the file system's journal), opened as `tilld` opens it.

use std::collections::BTreeMap;
use std::fs::{File, create_dir_all};
use std::path::{Path, PathBuf};
use std::process::Command;

use till_crashlab::check;
use till_powercut::Rng;

use crate::acks::Ack;
use crate::log::{Log, Loss};

/// A mounted image; unmounted when dropped.
struct Mounted(PathBuf);

fn call(program: &str, args: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(args).output().map_err(|e| format!("{program}: {e}"))?;
    let said = || format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    output.status.success().then_some(()).ok_or_else(said)
}

impl Mounted {
    fn at(image: &Path, dir: &Path) -> Result<Self, String> {
        create_dir_all(dir).map_err(|e| e.to_string())?;
        call(
            "mount",
            &["-t", "ext4", "-o", "loop", &image.display().to_string(), &dir.display().to_string()],
        )?;
        Ok(Self(dir.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _gone = call("umount", &[&self.0.display().to_string()]);
    }
}

/// What is judged.
pub(crate) struct Recording<'a> {
    /// The disk before.
    pub(crate) base: &'a Path,
    /// What was written to it.
    pub(crate) log: &'a Log,
    /// What was told.
    pub(crate) acks: &'a [Ack],
    /// Where images are made.
    pub(crate) work: &'a Path,
}

/// What a good disk held.
#[derive(Default)]
pub(crate) struct Good {
    /// Things told before the cut.
    pub(crate) promised: usize,
    /// Pieces that were lost.
    pub(crate) lost: usize,
}

impl Recording<'_> {
    /// Makes the disk of a cut.
    ///
    /// # Errors
    /// In words.
    pub(crate) fn disk(&self, image: &Path, cut: usize, loss: Loss, rng: &mut Rng) -> Result<usize, String> {
        let said = |e: std::io::Error| format!("{}: {e}", image.display());
        let (from, to) = (self.base.display().to_string(), image.display().to_string());
        call("cp", &["--sparse=always", &from, &to])?;
        let disk = File::options().write(true).open(image).map_err(said)?;
        self.log.replay(&disk, cut, loss, rng).map_err(said)
    }

    /// Things that must survive this cut, the newest of each payment.
    pub(crate) fn promised(&self, cut: usize) -> BTreeMap<&str, &Ack> {
        self.acks.iter().filter(|a| a.entries <= cut).map(|a| (a.payment.as_str(), a)).collect()
    }

    /// Cuts, mounts, opens, and asks for everything that was told.
    ///
    /// # Errors
    /// What is lost or wrong, in words.
    pub(crate) fn judge(&self, config: &Path, cut: usize, loss: Loss, rng: &mut Rng) -> Result<Good, String> {
        let image = self.work.join("cut.raw");
        let lost = self.disk(&image, cut, loss, rng)?;
        let mounted = Mounted::at(&image, &self.work.join("mnt"))?;
        let wanted: BTreeMap<u64, &str> =
            self.acks.iter().filter(|a| a.entries <= cut).map(|a| (a.seq, a.payment.as_str())).collect();
        let config = check::at(&check::config(config).map_err(|e| e.to_string())?, &mounted.0);
        if !config.journal.dir.exists() && wanted.is_empty() {
            // Before the till was first started; a start makes everything, as it does on a new disk.
            return Ok(Good { promised: 0, lost });
        }
        let recovered = check::start(&config)?;
        if recovered.report.has_alarm() {
            let said: Vec<String> = recovered.report.events.iter().map(ToString::to_string).collect();
            return Err(format!("false alarm: {}", said.join("; ")));
        }
        let mut there = BTreeMap::new();
        let read =
            recovered.journal.replay(1, |record| drop(there.insert(record.seq, hex::encode(record.subject))));
        read.map_err(|e| format!("does not replay: {e}"))?;
        for (seq, payment) in &wanted {
            if there.get(seq).map(String::as_str) != Some(*payment) {
                return Err(format!("LOST: record {seq} of payment {payment} was told"));
            }
        }
        let report = recovered.journal.verify().map_err(|e| format!("does not verify: {e}"))?;
        if !report.is_whole() {
            return Err(format!("not whole: {}", report.findings.join("; ")));
        }
        recovered.journal.close().map_err(|e| format!("does not close: {e}"))?;
        Ok(Good { promised: wanted.len(), lost })
    }
}
