//! Runs the real `tilld` under the recorder: a first start, payments of every kind, a clean stop, `kill -9` in the
//! middle of a payment, restarts that find what was left, and new epochs and segments in between.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use till_powercut::recorder::{RecordError, record};
use till_powercut::{Ack, Recording, Rng};
use till_tests::{Client, Rig, RigOptions};

use crate::sale::{self, Sale};
use crate::truth::Truth;
use crate::witness::{Promises, Told};
use crate::{LabError, Programs};

/// How much is recorded.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Starts of the daemon; every second one ends by `kill -9`.
    pub sessions: usize,
    /// Sales in each.
    pub sales: usize,
    /// Seed of what is sold.
    pub seed: u64,
}

/// A recorded till.
pub struct Recorded {
    /// Everything of it; the state is in `state`.
    pub dir: tempfile::TempDir,
    /// What it did, and what it promised: an [`Ack`] counts journal records.
    pub recording: Recording,
    /// What it told, in words.
    pub told: Vec<Told>,
    /// What its journal held in the end.
    pub truth: Truth,
    /// Promises that its own journal does not bear out, without any cut.
    pub broken: Vec<String>,
}

impl Recorded {
    /// The recorded directory.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Its configuration.
    pub fn config_file(&self) -> PathBuf {
        self.dir.path().join("tilld.toml")
    }

    /// Where [`Truth`] is kept for workers.
    pub fn truth_file(&self) -> PathBuf {
        self.dir.path().join("truth")
    }
}

/// Small segments and epochs, so that a short recording has many of their beginnings.
pub const LAB_JOURNAL: &str =
    "[journal]\nsegment-kib = 128\nepoch-records = 100\nballast-mib = 0\nfree-floor-mib = 1\n";

/// Adds a drop-in to the rig's configuration.
pub fn drop_in(rig: &Rig, text: &str) -> Result<(), LabError> {
    let mut folder = rig.config_file().into_os_string();
    folder.push(".d");
    let folder = PathBuf::from(folder);
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(folder.join("lab.toml"), text))
        .map_err(LabError::file("configuration"))
}

/// A `tilld` under the recorder.
struct Session {
    pid: Pid,
    thread: JoinHandle<Ended>,
}

type Ended = (Recording, Promises, Result<i32, RecordError>);

impl Session {
    fn start(rig: &Rig, root: &Path, mut recording: Recording, mut told: Promises) -> Result<Self, LabError> {
        let mut command = rig.till_command()?;
        let root = root.to_owned();
        let (send, receive) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let ended = record(&mut command, &root, &mut recording, &mut told, |child| {
                let log = child.stderr.take();
                // Emptied, or the subject waits for us.
                std::thread::spawn(move || {
                    log.map(|l| BufReader::new(l).lines().map_while(Result::ok).for_each(drop))
                });
                let _waited_for = send.send(child.id());
            });
            (recording, told, ended)
        });
        let pid = receive.recv().ok().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        match pid {
            Some(pid) => Ok(Self { pid, thread }),
            None => match thread.join() {
                Ok((.., Err(e))) => Err(e.into()),
                _ => Err(LabError::Lab("tilld did not start under the recorder".into())),
            },
        }
    }

    fn end(self, signal: Signal) -> Result<(Recording, Promises), LabError> {
        let _sent = kill_process(self.pid, signal);
        let (recording, told, ended) =
            self.thread.join().map_err(|_| LabError::Lab("the recorder panicked".into()))?;
        let status = ended?;
        if signal == Signal::TERM && status != 0 {
            return Err(LabError::Lab(format!("tilld ended with wait status {status:#x} when stopped")));
        }
        Ok((recording, told))
    }
}

/// Records. [`LabError::Record`] where this machine does not allow it.
pub async fn run(size: Size, programs: &Programs) -> Result<Recorded, LabError> {
    let dir = tempfile::tempdir().map_err(LabError::file("directory of the rig"))?;
    let path = dir.path().canonicalize().map_err(LabError::file("directory of the rig"))?;
    let options = RigOptions {
        dir: Some(path.clone()),
        https: false, // so that the witness can read the order numbers that leave
        wallet_ms: [100, 100, 900, 100],
        ..RigOptions::default()
    };
    let mut rig = Rig::stand(options)?;
    drop_in(&rig, LAB_JOURNAL)?;
    let root = path.join("state");
    let (mut recording, mut told) = (Recording::default(), Promises::default());
    let mut rng = Rng(size.seed);
    let mut number = 0;
    for session in 0..size.sessions {
        let running = Session::start(&rig, &root, recording, told)?;
        let client = rig.wait_ready().await?;
        for turn in 0..size.sales {
            number += 1;
            // The first of a session are one of each kind.
            let kinds = [Sale::Wallet, Sale::Card, Sale::WalletLost, Sale::Drawers, Sale::Cancelled];
            let sale = kinds.get(turn).copied().unwrap_or_else(|| Sale::any(&mut rng));
            sale::make(&rig, &client, sale, number).await?;
        }
        let killed = session % 2 == 1;
        if killed {
            hang(&rig, &client, number + 1_000).await?;
        }
        (recording, told) = running.end(if killed { Signal::KILL } else { Signal::TERM })?;
        rig.gateway.faults().clear();
    }
    drop(rig);
    let mut recorded =
        Recorded { dir, recording, told: told.told, truth: Truth::default(), broken: Vec::new() };
    recorded.read_truth(programs, &root)?;
    Ok(recorded)
}

/// Leaves a payment at its network, which does not answer.
async fn hang(rig: &Rig, client: &Client, number: u64) -> Result<(), LabError> {
    use till_simulators::faults::{Fault, Rule};
    let before = rig.gateway.faults().fired().len();
    let rule = Rule::once("alipay.trade.pay", Fault::HoldReply {});
    rig.gateway.faults().add(rule).map_err(|e| LabError::Lab(e.to_string()))?;
    let _begun = sale::begin(rig, client, Sale::Wallet, number).await?;
    if rig.gateway.faults().wait_fired(before + 1, till_tests::scene::PATIENCE) {
        return Ok(());
    }
    Err(LabError::Lab("the wallet's request did not reach its network".into()))
}

impl Recorded {
    /// Reads the journal as it is in the end, and turns what was told into record numbers.
    fn read_truth(&mut self, programs: &Programs, root: &Path) -> Result<(), LabError> {
        let copy = crate::scratch()?;
        copy_tree(root, copy.path()).map_err(LabError::file("copy of the recorded state"))?;
        let status = Command::new(&programs.lab)
            .arg("truth")
            .arg(self.config_file())
            .arg(copy.path())
            .arg(self.truth_file())
            .status()
            .map_err(LabError::file(programs.lab.display().to_string()))?;
        if !status.success() {
            return Err(LabError::Lab("the recorded journal cannot be read, without any cut".into()));
        }
        self.truth = Truth::load(&self.truth_file()).map_err(LabError::file("truth"))?;
        let mut acks = Vec::new();
        for ack in &self.recording.acks {
            let told = &self.told[usize::try_from(ack.count - 1).unwrap_or(0)];
            match bears_out(&self.truth, told) {
                Some(seq) => acks.push(Ack { count: seq, ..*ack }),
                None => self.broken.push(format!("{told:?} is not in the journal")),
            }
        }
        self.recording.acks = acks;
        Ok(())
    }
}

/// The record that makes it true.
fn bears_out(truth: &Truth, told: &Told) -> Option<u64> {
    match told {
        Told::State { payment, seq, .. } => {
            (truth.subjects.get(truth.at(*seq)?) == Some(payment)).then_some(*seq)
        }
        Told::Opened(payment) => truth.first_about(payment),
        Told::Order(order) => truth.orders.get(order).copied(),
        Told::Trace(trace) => truth.traces.get(trace).copied(),
    }
}

/// Copies a directory with everything in it.
pub fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
