//! Runs the real `tilld` under the recorder: a first start, payments of every kind, money that goes back, days that are
//! closed and settled, a clean stop, `kill -9` in the middle of a payment or of a settlement, restarts that find what was
//! left, new epochs and segments in between, snapshots, and the removal of records after their time.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use till_powercut::recorder::{RecordError, record};
use till_powercut::{Ack, Recording, Rng};
use till_tests::{Client, Rig, RigOptions};

use crate::sale::{self, Sale};
use crate::truth::Truth;
use crate::witness::{Promises, RECORDS, Told};
use crate::{LabError, Programs, facts};

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

/// Of the recording: small epochs, snapshots often, and records that go after a month, as [`SEASON`] makes some of them.
const RECORDED_JOURNAL: &str = "[journal]\nsegment-kib = 128\nepoch-records = 100\nsnapshot-records = 40\n\
     keep-months = 1\nkeep-records = 0\nballast-mib = 0\nfree-floor-mib = 1\n";

/// Seconds by which the clock of the first half of the starts is behind: longer than records are kept.
const SEASON: i64 = -70 * 86_400;

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
    log: Arc<Mutex<Vec<String>>>,
}

type Ended = (Recording, Promises, Result<i32, RecordError>);

impl Session {
    fn start(
        rig: &Rig,
        root: &Path,
        clock: Option<&Path>,
        (mut recording, mut told): (Recording, Promises),
    ) -> Result<Self, LabError> {
        let mut command = rig.till_command()?;
        if let Some(clock) = clock {
            command.env("LD_PRELOAD", clock).env("TILL_LAB_CLOCK", SEASON.to_string());
        }
        let root = root.to_owned();
        let (send, receive) = mpsc::channel();
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let lines = log.clone();
        let thread = std::thread::spawn(move || {
            let ended = record(&mut command, &root, &mut recording, &mut told, |child| {
                let log = child.stderr.take();
                // Emptied, or the subject waits for us.
                let keep = move |line| lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                std::thread::spawn(move || {
                    log.map(|l| BufReader::new(l).lines().map_while(Result::ok).for_each(keep))
                });
                let _waited_for = send.send(child.id());
            });
            (recording, told, ended)
        });
        let pid = receive.recv().ok().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        match pid {
            Some(pid) => Ok(Self { pid, thread, log }),
            None => match thread.join() {
                Ok((.., Err(e))) => Err(e.into()),
                _ => Err(LabError::Lab("tilld did not start under the recorder".into())),
            },
        }
    }

    /// The last it said.
    fn last_words(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log[log.len().saturating_sub(12)..].join("\n")
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
    drop_in(&rig, RECORDED_JOURNAL)?;
    let root = path.join("state");
    let (mut recording, mut told, mut truth) = (Recording::default(), Promises::default(), Truth::default());
    let mut rng = Rng(size.seed);
    let mut number = 0;
    for session in 0..size.sessions {
        let clock = (session < size.sessions / 2).then_some(programs.clock.as_path());
        let running = Session::start(&rig, &root, clock, (recording, told))?;
        let client = rig.wait_ready().await.inspect_err(|_| eprintln!("{}", running.last_words()))?;
        for turn in 0..size.sales {
            number += 1;
            let sale = DAY.get(turn).copied().unwrap_or_else(|| Sale::any(&mut rng));
            let made = sale::make(&rig, &client, sale, number).await;
            made.inspect_err(|_| eprintln!("{sale:?}: {}", running.last_words()))?;
        }
        let killed = session % 2 == 1;
        match session % 4 {
            1 => hang(&rig, &client, number + 1_000).await?,
            3 => hang_settlement(&rig, &client, number + 1_000).await?,
            _ => {}
        }
        (recording, told) = running.end(if killed { Signal::KILL } else { Signal::TERM })?;
        rig.gateway.faults().clear();
        rig.acquirer.faults().clear();
        // Now, because records of this session are gone by the end of a later one.
        truth = truth.then(read(programs, &rig.config_file(), &root, &path.join("truth"))?);
    }
    drop(rig);
    truth.keys = facts::key_files(&recording.ops);
    truth.save(&path.join("truth")).map_err(LabError::file("truth"))?;
    let mut recorded = Recorded { dir, recording, told: told.told, truth, broken: Vec::new() };
    recorded.bear_out();
    Ok(recorded)
}

/// How each session begins: one of each kind, with a day that ends.
const DAY: &[Sale] = &[
    Sale::Wallet,
    Sale::Card,
    Sale::WalletLost,
    Sale::Refund,
    Sale::Drawers,
    Sale::Void,
    Sale::Close,
    Sale::Cancelled,
];

/// Leaves the settlement of a day at the acquirer, which does not answer.
async fn hang_settlement(rig: &Rig, client: &Client, number: u64) -> Result<(), LabError> {
    use till_simulators::faults::{Fault, Rule};
    sale::make(rig, client, Sale::Card, number).await?;
    let before = rig.acquirer.faults().fired().len();
    let rule = Rule::once("settlement", Fault::HoldReply {});
    rig.acquirer.faults().add(rule).map_err(|e| LabError::Lab(e.to_string()))?;
    sale::freeze(client).await?;
    if rig.acquirer.faults().wait_fired(before + 1, till_tests::scene::PATIENCE) {
        return Ok(());
    }
    Err(LabError::Lab("the settlement did not reach the acquirer".into()))
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

/// Reads what a journal holds now, from a copy of it.
fn read(programs: &Programs, config: &Path, root: &Path, to: &Path) -> Result<Truth, LabError> {
    let copy = crate::scratch()?;
    copy_tree(root, copy.path()).map_err(LabError::file("copy of the recorded state"))?;
    let mut command = Command::new(&programs.lab);
    command.arg("truth").arg(config).arg(copy.path()).arg(to);
    let status = command.status().map_err(LabError::file(programs.lab.display().to_string()))?;
    if !status.success() {
        return Err(LabError::Lab("the recorded journal cannot be read, without any cut".into()));
    }
    Truth::load(to).map_err(LabError::file("truth"))
}

impl Recorded {
    /// Turns what was told into record numbers.
    fn bear_out(&mut self) {
        let mut acks = Vec::new();
        for ack in &self.recording.acks {
            if ack.thread != RECORDS {
                acks.push(*ack);
                continue;
            }
            let told = &self.told[usize::try_from(ack.count - 1).unwrap_or(0)];
            match bears_out(&self.truth, told) {
                Some(seq) => acks.push(Ack { count: seq, ..*ack }),
                None => self.broken.push(format!("{told:?} is not in the journal")),
            }
        }
        self.recording.acks = acks;
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
        // Nothing has to happen for the first batch to be open.
        Told::Batch { number: 1, state } if state == "open" => Some(0),
        Told::Batch { number, state } => match state.as_str() {
            "open" => truth.frozen.get(&(number - 1)).copied(),
            "frozen" => truth.frozen.get(number).copied(),
            _ => truth.closed.get(number).copied(),
        },
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
