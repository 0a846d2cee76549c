//! `kill -9` of the real daemon at any moment: under load, while it opens, while a segment or an epoch begins, while the
//! journal is exported, backed up or asked for evidence, while a day is closed and keys are rotated and destroyed, while
//! the keyring goes over to another master key. (It says nothing about power: see [`crate::cuts`] and
//! [`crate::volume`].)

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use till_dbus::events::{Change, Event};
use till_dbus::{Journal1Proxy, Options, Settlement1Proxy};
use till_powercut::Rng;
use till_tests::{Client, Rig, RigOptions, Watch};

use crate::LabError;
use crate::copies::{self, Copy, Half};
use crate::cuts::Failure;
use crate::report::Line;
use crate::sale::{self, Sale};
use crate::scenario::{LAB_JOURNAL, drop_in};

/// Somebody who listens to the till and remembers over restarts what it was told.
pub struct Shop {
    /// The till and its world.
    pub rig: Rig,
    /// A front-end.
    pub client: Client,
    watch: Watch,
    /// Record → payment and state that it was told to have made.
    told: BTreeMap<u64, (String, String)>,
    /// How much of what the front-end heard has gone into `told`.
    read: usize,
    number: u64,
    /// Lines of the log that are no false alarms: said while its disk went away.
    forgiven: usize,
}

impl Shop {
    /// Opens a shop whose journal is set as `journal` says; `prepare` sees the rig before its daemon starts.
    pub async fn open(
        journal: &str,
        prepare: impl FnOnce(&Rig) -> Result<(), LabError>,
    ) -> Result<Self, LabError> {
        let mut rig = Rig::stand(RigOptions { wallet_ms: [100, 100, 900, 100], ..RigOptions::default() })?;
        drop_in(&rig, journal)?;
        prepare(&rig)?;
        let watch = Watch::new(rig.bus.address()).await?;
        rig.start_till()?;
        let client = rig.wait_ready().await?;
        Ok(Self { rig, client, watch, told: BTreeMap::new(), read: 0, number: 0, forgiven: 0 })
    }

    /// Sales until something stops it.
    pub async fn load(&mut self, rng: &mut Rng) -> Result<(), LabError> {
        loop {
            self.number += 1;
            sale::make(&self.rig, &self.client, Sale::any(rng), self.number).await?;
        }
    }

    /// One sale.
    pub async fn sell(&mut self, sale: Sale) -> Result<(), LabError> {
        self.number += 1;
        sale::make(&self.rig, &self.client, sale, self.number).await
    }

    /// How many records it was told of.
    ///
    /// # Errors
    /// Nobody listens any more: the bus has sent the front-end away.
    pub fn heard(&mut self) -> Result<usize, LabError> {
        if self.watch.is_over() {
            return Err(LabError::Lab("the bus has sent away the front-end that listens".into()));
        }
        self.remember();
        Ok(self.told.len())
    }

    /// Takes over what has been told since the last time: each event once, as a front-end that falls behind is sent away.
    fn remember(&mut self) {
        let told = |event: &Event| match &event.change {
            Change::PaymentState { new, seq, .. } => {
                let payment = event.path.as_str().rsplit("/p").next().unwrap_or_default().to_owned();
                Some((*seq, (payment, new.clone())))
            }
            _ => None,
        };
        let read = self.read;
        let (new, count) = self.watch.look(|seen| {
            let new: Vec<_> = seen.iter().skip(read).filter_map(told).collect();
            (new, seen.len())
        });
        self.told.extend(new);
        self.read = count;
    }

    /// Kills the daemon, and remembers what had been told by then.
    pub fn kill(&mut self) {
        self.rig.kill_till();
        self.remember();
    }

    /// What the log says up to now is no false alarm: the disk was taken from under the daemon.
    pub fn forgive(&mut self) {
        self.forgiven = self.rig.log_lines().len();
    }

    /// Starts it again, and waits until all works.
    pub async fn start(&mut self) -> Result<(), LabError> {
        self.watch = Watch::new(self.rig.bus.address()).await?;
        self.read = 0;
        self.rig.start_till()?;
        self.client = self.rig.wait_ready().await?;
        Ok(())
    }

    /// What is wrong: told and not there, our books against the networks', the journal's own check, alarms in the log.
    pub async fn faults(&mut self) -> Result<Vec<String>, LabError> {
        let mut wrong = Vec::new();
        let journal = self.client.journal().await?;
        let about: BTreeMap<u64, &str> =
            journal.iter().filter_map(|r| Some((r["seq"].as_u64()?, r["payment"].as_str()?))).collect();
        for (seq, (payment, state)) in &self.told {
            if about.get(seq).copied() != Some(payment.as_str()) {
                wrong.push(format!("LOST: record {seq} ({payment} is {state}) was told and is gone"));
            } else if state == "paid" {
                let now = self.client.details(payment).await?.state;
                // What went back since then was told too.
                if now != "paid" && now != "returned" {
                    wrong.push(format!("payment {payment} was told to be paid and is {now}"));
                }
            }
        }
        if let Err(e) = self.rig.closed_books(&self.client).await {
            wrong.push(e.to_string());
        }
        wrong.extend(self.days().await?);
        let (_, problems) = self.client.verify_journal().await?;
        wrong.extend(problems);
        let damaged = |line: &String| line.contains("ERROR") && line.contains("journal:");
        wrong.extend(
            self.rig
                .log_lines()
                .into_iter()
                .skip(self.forgiven)
                .filter(damaged)
                .map(|l| format!("false alarm: {l}")),
        );
        Ok(wrong)
    }
}

impl Shop {
    /// Every day that was closed is settled in the end, and each is there once.
    async fn days(&self) -> Result<Vec<String>, LabError> {
        let settlement = Settlement1Proxy::new(self.client.connection()).await?;
        let rows = || async { settlement.list_batches(Options::new()).await.ok() };
        let settled = || async {
            let rows = rows().await?;
            rows.iter().all(|row| row.state != "frozen").then_some(rows)
        };
        Ok(match till_tests::scene::until("every closed day is settled", settled).await {
            Ok(rows) => {
                let numbers: Vec<u32> = rows.iter().map(|row| row.number).collect();
                let open = rows.iter().filter(|row| row.state == "open").count();
                let gapless = numbers.windows(2).all(|pair| pair[0] == pair[1] + 1);
                if open == 1 && gapless { Vec::new() } else { vec![format!("batches: {rows:?}")] }
            }
            Err(e) => vec![format!("{e}: {:?}", rows().await)],
        })
    }

    fn secret(&self, name: &str) -> PathBuf {
        self.rig.dir.join("secrets").join(name)
    }
}

/// Writes a new master key where an administrator does.
fn master(path: &Path, rng: &mut Rng) -> Result<(), LabError> {
    use std::os::unix::fs::PermissionsExt;
    let key: Vec<u8> = (0..4).flat_map(|_| rng.roll().to_le_bytes()).collect();
    std::fs::write(path, key)
        .and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)))
        .map_err(LabError::file("master key"))
}

/// A moment to be killed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Load,
    Open,
    Rotation,
    Export,
    /// A day is closed: a new key is made, and keys are destroyed when it is settled.
    Close,
    Backup,
    Evidence,
    /// The keyring goes over to another master key.
    Master,
    /// The chain's key is replaced while it sells.
    Keys,
}

const MOMENTS: [Moment; 9] = [
    Moment::Load,
    Moment::Open,
    Moment::Rotation,
    Moment::Export,
    Moment::Close,
    Moment::Backup,
    Moment::Master,
    Moment::Evidence,
    Moment::Keys,
];

/// Kills `rounds` times.
pub async fn run(rounds: usize, seed: u64) -> Result<Line, LabError> {
    let begun = Instant::now();
    let mut rng = Rng(seed);
    let mut shop =
        Shop::open(LAB_JOURNAL, |rig| master(&rig.dir.join("secrets/master-key"), &mut rng)).await?;
    let mut rng = Rng(seed);
    let mut failed = Vec::new();
    let mut whole = 0;
    for round in 0..rounds {
        let moment = MOMENTS[round % MOMENTS.len()];
        let half = until_moment(&mut shop, moment, &mut rng).await?;
        shop.kill();
        let cut = format!("kill {round}, {moment:?}, seed {seed}");
        if let Some(half) = half {
            let wrong = half.judge(&shop, &mut rng, &mut whole)?;
            failed.extend(wrong.into_iter().map(|said| Failure { cut: cut.clone(), said }));
        }
        let next = shop.secret("master-key.next");
        if moment == Moment::Master {
            master(&next, &mut rng)?;
        }
        if matches!(moment, Moment::Open | Moment::Master) {
            for _ in 0..3 {
                shop.rig.start_till()?;
                pause(&mut rng, 120).await;
                shop.kill();
            }
        }
        shop.start().await?;
        if moment == Moment::Master {
            // The administrator's last step; the next round's start has the new key only.
            std::fs::rename(&next, shop.secret("master-key")).map_err(LabError::file("master key"))?;
        }
        let wrong = shop.faults().await?;
        failed.extend(wrong.into_iter().map(|said| Failure { cut: cut.clone(), said }));
        if !failed.is_empty() {
            break;
        }
    }
    let tried = format!("{rounds} rounds, {} records told, {whole} copies whole", shop.told.len());
    let name = "kill -9: load, open, rotation, export, close, backup, evidence, keys, master key";
    Ok(Line::of(name, tried, failed, begun.elapsed()))
}

/// The fault itself: at no particular moment.
async fn pause(rng: &mut Rng, up_to_ms: usize) {
    tokio::time::sleep(Duration::from_millis(rng.below(up_to_ms) as u64)).await;
}

async fn until_moment(shop: &mut Shop, moment: Moment, rng: &mut Rng) -> Result<Option<Half>, LabError> {
    let mut dice = Rng(rng.roll());
    match moment {
        Moment::Load | Moment::Open | Moment::Master => {
            let end = Duration::from_millis(100 + rng.below(900) as u64);
            tokio::select! {
                ended = shop.load(&mut dice) => ended?,
                () = tokio::time::sleep(end) => {}
            }
        }
        Moment::Close => {
            shop.sell(Sale::Card).await?;
            sale::freeze(&shop.client).await?;
            pause(rng, 60).await;
        }
        Moment::Keys => {
            let connection = shop.client.connection().clone();
            // Its answer dies with the daemon.
            tokio::spawn(async move {
                let Ok(journal) = Journal1Proxy::new(&connection).await else { return };
                drop(journal.rotate_keys([("operator", "007".into())].into()).await);
            });
            pause(rng, 40).await;
        }
        Moment::Backup | Moment::Evidence => {
            let copy = if moment == Moment::Backup { Copy::Backup } else { Copy::Evidence };
            let half = copies::begin(shop, copy).await?;
            pause(rng, 25).await;
            return Ok(Some(half));
        }
        Moment::Rotation => {
            let journal = shop.rig.dir.join("state/journal");
            let before = segments(&journal);
            let new = async {
                while segments(&journal) == before {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::select! {
                ended = shop.load(&mut dice) => ended?,
                () = new => {}
            }
            pause(rng, 8).await;
        }
        Moment::Export => {
            let file = tempfile::tempfile().map_err(LabError::file("export"))?;
            let client = shop.client.clone();
            let export = tokio::spawn(async move { client.export_journal(file).await });
            pause(rng, 40).await;
            shop.kill();
            drop(export.await);
        }
    }
    Ok(None)
}

/// Names in the journal's folders: a beginning segment or epoch shows first as one more.
fn segments(journal: &Path) -> usize {
    let count = |dir: &Path| std::fs::read_dir(dir).map_or(0, Iterator::count);
    count(&journal.join("segments")) + count(journal)
}
