//! The keys of the journal's records: one an epoch of the journal, lasting as long as the epoch does.
//!
//! They are apart from the epoch keys of recovery data, which go when a batch is closed: what a record says is needed for
//! as long as the record is kept, and is destroyed with it.
//!
//! The first is random; each next one is derived of the one before, one way. So a copy of the keys from the first day
//! opens every later epoch (nobody copies keys every time an epoch begins), and what was destroyed cannot be had back from
//! what came after it. A change of the master key cuts this: the next epoch's key is random again, so that what an old
//! copy opens ends there.

use zeroize::Zeroizing;

use super::error::{KeyringError, Result};
use super::wrap::{Secret, random};
use super::{Keyring, RECORD, State, ring};

const MOST_STEPS: u32 = 10_000;

impl Keyring {
    /// The key of the records of a journal's epoch; `None` when none was made, or it was destroyed with its epoch.
    pub fn record_key(&self, epoch: u32) -> Result<Option<Zeroizing<[u8; 32]>>> {
        let state = self.lock();
        state.check_record_key(epoch)?;
        Ok(state.records.get(&epoch).cloned().or_else(|| state.derived(epoch)))
    }

    /// The same, made when there is none: durable when this returns. One that is damaged is never replaced, since records
    /// may be sealed with it.
    pub fn make_record_key(&self, epoch: u32) -> Result<Zeroizing<[u8; 32]>> {
        let mut state = self.lock();
        state.check_record_key(epoch)?;
        if let Some(there) = state.records.get(&epoch) {
            return Ok(there.clone());
        }
        let secret = match state.derived(epoch) {
            Some(derived) => derived,
            None => random()?,
        };
        state.ring()?.put(&name(epoch), &secret)?;
        state.records.insert(epoch, secret.clone());
        Ok(secret)
    }

    /// The epochs whose records' keys are there, in order.
    pub fn record_epochs(&self) -> Vec<u32> {
        self.lock().records.keys().copied().collect()
    }

    /// Destroys the keys of the records of all epochs below `epoch`. A cut leaves each of them whole or gone: who removed
    /// the records calls again after a restart. (No floor is kept as for recovery data: a journal that begins anew beside
    /// this keyring begins with epoch 1.)
    pub fn destroy_record_keys_below(&self, epoch: u32) -> Result<()> {
        let mut state = self.lock();
        let ring = state.ring()?;
        let mut below: Vec<u32> = ring::list(&*ring.fs, &ring.dir)?
            .iter()
            .filter_map(|name| number(name))
            .filter(|known| *known < epoch)
            .collect();
        below.sort_unstable();
        for old in below {
            let ring = state.ring()?;
            ring.give_up(&name(old))?;
            state.records.remove(&old);
            let gone = name(old);
            state.damaged.retain(|damaged| *damaged != gone);
        }
        Ok(())
    }
}

impl State {
    /// The key of an epoch as the nearest one before it gives it.
    fn derived(&self, epoch: u32) -> Option<Secret> {
        let (from, secret) = self.records.range(..epoch).next_back()?;
        let steps = epoch - from;
        // No till has so many epochs: a number that was made up must not keep it busy.
        (steps <= MOST_STEPS).then(|| (0..steps).fold(secret.clone(), |before, _| next(&before)))
    }

    /// A random key for the epoch after the newest, for a ring under a new master key.
    pub(super) fn fresh_record_key(&self) -> Result<Option<(u32, Secret)>> {
        let Some(newest) = self.records.keys().next_back() else { return Ok(None) };
        Ok(Some((newest.saturating_add(1), random()?)))
    }

    fn check_record_key(&self, epoch: u32) -> Result<()> {
        let (ring, name) = (self.ring()?, name(epoch));
        if self.damaged.contains(&name) {
            return Err(KeyringError::Damaged { path: ring.dir.join(name) });
        }
        Ok(())
    }
}

fn next(secret: &Secret) -> Secret {
    Zeroizing::new(blake3::derive_key("org.tilld journal v2 next epoch's record secret", &**secret))
}

pub(super) fn name(epoch: u32) -> String {
    format!("{RECORD}{epoch}")
}

/// `None` for anything that [`name`] does not make.
pub(super) fn number(text: &str) -> Option<u32> {
    let epoch = text.strip_prefix(RECORD)?.parse().ok()?;
    (name(epoch) == text).then_some(epoch)
}
