//! The keys of what must stay secret in the journal, and of nothing for longer than it is needed.
//!
//! The journal is append-only, so a sealed account number stays in it; what can be destroyed is the key. A *master*
//! secret (32 bytes, a systemd credential or a file) wraps random *epoch keys*, one small file each. A sealed secret
//! names its epoch. When a batch is closed, [`Keyring::shred_below`] destroys the keys of its epochs: then nobody opens
//! those secrets any more, the holder of the master key included (channels.md C3; PCI DSS 4.0 §3.2.1).
//!
//! Every key is durable before its first use. Other 32-byte secrets of the till (old chain keys, the device identity)
//! are kept beside them under names.
//!
//! ```text
//! <dir>/<n>/floor     epochs below this number are destroyed
//! <dir>/<n>/epoch-<m> key of epoch m; the highest is the current one. Epoch 0 is the sealing key of before the keyring
//! <dir>/<n>/record-<e> key of the records of the journal's epoch e: lasts until retention removes the epoch
//! <dir>/<n>/<name>    another secret
//! ```
//! `n` is counted up by each change of the master key ([`Keyring::rewrap`]); a file's form is told in `wrap.rs`.
//!
//! Overwriting in place reaches the old bytes on a hard disk; flash may keep a copy until its block is erased. Such a
//! copy is still wrapped: keep the master key off the medium.

mod error;
mod fs;
mod records;
mod ring;
mod wrap;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

pub use error::KeyringError;

use crate::frame::Subject;
use crate::sealed::{self, SealError, SealingKey};
use error::Result;
use fs::KeyFs;
use ring::{Content, Opened, Ring};
use wrap::{Master, Secret, random};

const FLOOR: &str = "floor";
const EPOCH: &str = "epoch-";
const RECORD: &str = "record-";

/// The keys. Cheap to clone; all clones are one keyring. Wiped from memory when the last one is dropped.
#[derive(Clone)]
pub struct Keyring(Arc<Shared>);

struct Shared {
    dir: PathBuf,
    state: Mutex<State>,
}

struct State {
    /// `None` once forgotten.
    ring: Option<Ring>,
    number: u32,
    keys: BTreeMap<u32, Secret>,
    /// Keys of the journal's records, by the journal's epochs.
    records: BTreeMap<u32, Secret>,
    kept: BTreeMap<String, Secret>,
    damaged: Vec<String>,
    current: u32,
    floor: u32,
    /// How often each epoch is pinned.
    pins: BTreeMap<u32, u32>,
}

/// Holds the present epoch, and all later ones, against [`Keyring::shred_below`] until dropped: for what is sealed but
/// not yet where those who shred would see it.
pub struct Pin {
    shared: Arc<Shared>,
    epoch: u32,
}

impl Keyring {
    /// Reads the keys in `dir`, or makes the first one; the directory above must exist. Whatever a crash left undone
    /// (a shredding, a change of the master key) is finished or taken back here.
    pub fn load(dir: &Path, master: &[u8; 32]) -> Result<Self> {
        let fs: Arc<dyn KeyFs> = Arc::new(fs::System);
        Self::load_on(&fs, dir, master)
    }

    fn load_on(fs: &Arc<dyn KeyFs>, dir: &Path, master: &[u8; 32]) -> Result<Self> {
        fs.make_dir(dir).map_err(|e| KeyringError::io("create", dir, e))?;
        ring::sync(&**fs, dir.parent().unwrap_or(dir))?;
        let mut rings: Vec<(u32, PathBuf)> = Vec::new();
        for name in ring::list(&**fs, dir)? {
            let path = dir.join(&name);
            match name.parse() {
                Ok(number) => rings.push((number, path)),
                // Not yet, or no longer, a ring.
                Err(_) if ring::is_unfinished(&name) => {
                    ring::destroy_ring(&**fs, dir, &path)?;
                }
                Err(_) => {}
            }
        }
        rings.sort();
        let found = Self::choose(fs, dir, master, &rings)?;
        let (number, ring, content) = if let Some(found) = found {
            found
        } else {
            let first = [(FLOOR.to_owned(), floor_bytes(0)), (epoch_name(1), random()?)].into();
            let ring = ring::make(fs, dir, 1, Master::new(master), &first)?;
            (1, ring, Content { secrets: first, damaged: Vec::new() })
        };
        // Either master opened all of it; with this one in use the others are of no further use.
        if content.damaged.is_empty() {
            for (_, path) in rings.iter().filter(|(other, _)| *other != number) {
                ring::destroy_ring(&**fs, dir, path)?;
            }
        }
        let mut state = State::new(number, ring, content);
        state.finish_shredding()?;
        // Nothing new is sealed with a key that may not be there tomorrow.
        if !state.keys.contains_key(&state.current) {
            state.rotate()?;
        }
        Ok(Self(Arc::new(Shared { dir: dir.to_owned(), state: Mutex::new(state) })))
    }

    /// The newest ring that the master opens.
    fn choose(
        fs: &Arc<dyn KeyFs>,
        dir: &Path,
        master: &[u8; 32],
        rings: &[(u32, PathBuf)],
    ) -> Result<Option<(u32, Ring, Content)>> {
        let mut unreadable = None;
        for (number, path) in rings.iter().rev() {
            let ring = Ring { fs: Arc::clone(fs), dir: path.clone(), master: Master::new(master) };
            match ring.read()? {
                Opened::Ours(content) => return Ok(Some((*number, ring, content))),
                Opened::OtherMaster => {}
                Opened::Unreadable => unreadable = Some(path.clone()),
            }
        }
        match (rings.is_empty(), unreadable) {
            (true, _) => Ok(None),
            (false, Some(path)) => Err(KeyringError::Damaged { path }),
            (false, None) => Err(KeyringError::WrongMaster { dir: dir.to_owned() }),
        }
    }

    /// Seals `secret` for one payment and record kind with the current epoch's key.
    pub fn seal(
        &self,
        subject: &Subject,
        kind: u16,
        secret: &[u8],
    ) -> std::result::Result<Vec<u8>, SealError> {
        let state = self.lock();
        let key = state.keys.get(&state.current).ok_or(SealError::Forgotten)?;
        sealed::seal_with(key, state.current, subject, kind, secret)
    }

    /// Opens what [`seal`](Self::seal), or a [`SealingKey`] before there was a keyring, made for the same payment and
    /// kind.
    pub fn open(
        &self,
        subject: &Subject,
        kind: u16,
        sealed: &[u8],
    ) -> std::result::Result<Zeroizing<Vec<u8>>, SealError> {
        let epoch = sealed::epoch_of(sealed).ok_or(SealError::Format)?;
        let state = self.lock();
        if state.ring.is_none() {
            return Err(SealError::Forgotten);
        }
        match state.keys.get(&epoch) {
            Some(key) if epoch == 0 => SealingKey::new(key).open(subject, kind, sealed),
            Some(key) => sealed::open_with(key, epoch, subject, kind, sealed),
            None if epoch < state.floor => Err(SealError::Shredded { epoch }),
            None => Err(SealError::NoKey { epoch }),
        }
    }

    /// The epoch that secrets are sealed with now.
    pub fn current(&self) -> u32 {
        self.lock().current
    }

    /// The epochs whose secrets open, in order.
    pub fn epochs(&self) -> Vec<u32> {
        self.lock().keys.keys().copied().collect()
    }

    /// Epochs below this one are destroyed.
    pub fn floor(&self) -> u32 {
        self.lock().floor
    }

    /// Key files that did not open when the keyring was read, and were left as they are. An alarm belongs before a
    /// person: what they opened does not open now.
    pub fn damaged(&self) -> Vec<PathBuf> {
        let state = self.lock();
        let dir = state.ring.as_ref().map_or(self.0.dir.as_path(), |r| r.dir.as_path());
        state.damaged.iter().map(|name| dir.join(name)).collect()
    }

    /// Starts a new epoch; its key is durable when this returns.
    pub fn rotate(&self) -> Result<u32> {
        self.lock().rotate()
    }

    /// Destroys the keys of all epochs below `epoch`, but never the current one nor one that is [pinned](Self::pin).
    /// Returns the epoch below which everything is destroyed.
    ///
    /// The intent is durable first: from then on the secrets count as shredded, and a crash or an error in the middle
    /// is made good by the next call or [`load`](Self::load).
    pub fn shred_below(&self, epoch: u32) -> Result<u32> {
        let mut state = self.lock();
        let bound = state.pins.keys().next().copied().unwrap_or(u32::MAX).min(state.current);
        let floor = epoch.min(bound);
        if floor > state.floor {
            state.ring()?.put(FLOOR, &floor_bytes(floor))?;
            state.floor = floor;
        }
        state.finish_shredding()?;
        Ok(state.floor)
    }

    /// Holds the current epoch against shredding.
    pub fn pin(&self) -> Pin {
        let mut state = self.lock();
        let epoch = state.current;
        *state.pins.entry(epoch).or_insert(0) += 1;
        Pin { shared: Arc::clone(&self.0), epoch }
    }

    /// The lowest epoch that something sealed until now may need without being recorded yet: the lowest pinned one,
    /// else the current one. Whoever shreds asks for it *before* looking up which secrets are still needed.
    pub fn needed_from(&self) -> u32 {
        let state = self.lock();
        state.pins.keys().next().copied().unwrap_or(state.current).min(state.current)
    }

    /// Takes the sealing key of before the keyring in as epoch 0, unless it is there or destroyed. Durable when this
    /// returns; the caller destroys its own copy then.
    pub fn import_legacy(&self, secret: &[u8; 32]) -> Result<()> {
        let mut state = self.lock();
        if state.keys.contains_key(&0) || state.floor > 0 {
            return Ok(());
        }
        state.ring()?.put(&epoch_name(0), secret)?;
        state.keys.insert(0, Zeroizing::new(*secret));
        Ok(())
    }

    /// Keeps a secret under a name, durably. A name's secret is never replaced: the same again is well, another is
    /// refused.
    pub fn keep(&self, name: &str, secret: &[u8; 32]) -> Result<()> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let good = (1..=32).contains(&name.len()) && name.bytes().all(plain);
        let reserved = name == FLOOR || name.starts_with(EPOCH) || name.starts_with(RECORD);
        if !good || reserved || name.bytes().all(|b| b.is_ascii_digit()) {
            return Err(KeyringError::Name { name: name.into() });
        }
        let mut state = self.lock();
        if let Some(there) = state.kept.get(name) {
            let same = **there == *secret;
            return if same { Ok(()) } else { Err(KeyringError::Exists { name: name.into() }) };
        }
        let ring = state.ring()?;
        if state.damaged.iter().any(|d| d == name) {
            return Err(KeyringError::Damaged { path: ring.dir.join(name) });
        }
        ring.put(name, secret)?;
        state.kept.insert(name.to_owned(), Zeroizing::new(*secret));
        Ok(())
    }

    /// The secret kept under a name; `None` when there is none.
    pub fn kept(&self, name: &str) -> Result<Option<Zeroizing<[u8; 32]>>> {
        let state = self.lock();
        let ring = state.ring()?;
        if state.damaged.iter().any(|d| d == name) {
            return Err(KeyringError::Damaged { path: ring.dir.join(name) });
        }
        Ok(state.kept.get(name).cloned())
    }

    /// Names of the kept secrets, in order.
    pub fn kept_names(&self) -> Vec<String> {
        self.lock().kept.keys().cloned().collect()
    }

    /// Wraps all keys under another master key. `persist` puts the new master where the next start finds it.
    ///
    /// A whole second ring is made first, then `persist` is called, then the old ring is destroyed: wherever this is
    /// cut off, the old or the new master key opens everything, and [`load`](Self::load) with that one goes on. Should
    /// `persist` fail, nobody knows which master the next start has: the keys are wiped from memory, and the service
    /// must be started again.
    pub fn rewrap(
        &self,
        master: &[u8; 32],
        persist: impl FnOnce() -> std::result::Result<(), String>,
    ) -> Result<()> {
        let mut state = self.lock();
        let (fs, old) = {
            let ring = state.ring()?;
            if let Some(name) = state.damaged.first() {
                return Err(KeyringError::Damaged { path: ring.dir.join(name) });
            }
            (Arc::clone(&ring.fs), ring.dir.clone())
        };
        let number = state.number.saturating_add(1);
        let mut secrets = state.secrets();
        let fresh = state.fresh_record_key()?;
        secrets.extend(fresh.iter().map(|(epoch, key)| (records::name(*epoch), key.clone())));
        let ring = ring::make(&fs, &self.0.dir, number, Master::new(master), &secrets)?;
        if let Err(detail) = persist() {
            state.forget();
            return Err(KeyringError::NotPersisted { detail });
        }
        state.ring = Some(ring);
        state.number = number;
        state.records.extend(fresh);
        ring::destroy_ring(&*fs, &self.0.dir, &old)
    }

    /// Wipes every key from memory; from then on all calls answer `Forgotten`.
    pub fn forget(&self) {
        self.lock().forget();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is made on disk first and then by single assignments.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Keyring")
            .field("current", &state.current)
            .field("floor", &state.floor)
            .finish_non_exhaustive()
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = state.pins.get_mut(&self.epoch) {
            *count -= 1;
            if *count == 0 {
                state.pins.remove(&self.epoch);
            }
        }
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pin").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl State {
    fn new(number: u32, ring: Ring, content: Content) -> Self {
        let mut state = Self {
            ring: Some(ring),
            number,
            keys: BTreeMap::new(),
            records: BTreeMap::new(),
            kept: BTreeMap::new(),
            damaged: content.damaged,
            current: 0,
            floor: 0,
            pins: BTreeMap::new(),
        };
        let mut floor = None;
        for (name, secret) in content.secrets {
            if name == FLOOR {
                let [a, b, c, d, ..] = *secret;
                floor = Some(u32::from_le_bytes([a, b, c, d]));
            } else if let Some(epoch) = epoch_number(&name) {
                state.keys.insert(epoch, secret);
            } else if let Some(epoch) = records::number(&name) {
                state.records.insert(epoch, secret);
            } else {
                state.kept.insert(name, secret);
            }
        }
        let damaged = state.damaged.iter().filter_map(|name| epoch_number(name)).max();
        state.current = state.keys.keys().next_back().copied().max(damaged).unwrap_or(0);
        // Without the floor nothing is destroyed that is there.
        state.floor =
            floor.unwrap_or_else(|| state.keys.keys().next().copied().unwrap_or(0)).min(state.current);
        state
    }

    fn ring(&self) -> Result<&Ring> {
        self.ring.as_ref().ok_or(KeyringError::Forgotten)
    }

    fn rotate(&mut self) -> Result<u32> {
        let next = self.current.saturating_add(1);
        let secret = random()?;
        self.ring()?.put(&epoch_name(next), &secret)?;
        self.keys.insert(next, secret);
        self.current = next;
        Ok(next)
    }

    /// Destroys every key file below the floor, lowest first.
    fn finish_shredding(&mut self) -> Result<()> {
        let floor = self.floor;
        // Out of memory at once: whatever happens on disk, nothing below the floor opens any more.
        self.keys.retain(|epoch, _| *epoch >= floor);
        let ring = self.ring()?;
        let mut below: Vec<u32> = ring::list(&*ring.fs, &ring.dir)?
            .iter()
            .filter_map(|name| epoch_number(name))
            .filter(|epoch| *epoch < floor)
            .collect();
        below.sort_unstable();
        for epoch in below {
            ring.destroy(&epoch_name(epoch))?;
        }
        self.damaged.retain(|name| epoch_number(name).is_none_or(|epoch| epoch >= floor));
        Ok(())
    }

    /// Everything that a ring holds.
    fn secrets(&self) -> BTreeMap<String, Secret> {
        let epochs = self.keys.iter().map(|(epoch, key)| (epoch_name(*epoch), key.clone()));
        let records = self.records.iter().map(|(epoch, key)| (records::name(*epoch), key.clone()));
        let kept = self.kept.iter().map(|(name, secret)| (name.clone(), secret.clone()));
        epochs.chain(records).chain(kept).chain([(FLOOR.to_owned(), floor_bytes(self.floor))]).collect()
    }

    fn forget(&mut self) {
        // Dropping wipes.
        self.ring = None;
        self.keys.clear();
        self.records.clear();
        self.kept.clear();
    }
}

fn epoch_name(epoch: u32) -> String {
    format!("{EPOCH}{epoch}")
}

/// `None` for anything that [`epoch_name`] does not make.
fn epoch_number(name: &str) -> Option<u32> {
    let epoch = name.strip_prefix(EPOCH)?.parse().ok()?;
    (epoch_name(epoch) == name).then_some(epoch)
}

fn floor_bytes(floor: u32) -> Secret {
    let mut out = Zeroizing::new([0; 32]);
    out[..4].copy_from_slice(&floor.to_le_bytes());
    out
}
