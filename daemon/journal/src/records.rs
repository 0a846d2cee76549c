//! Where the keys of the records' bodies come from, and what is held of them in memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use zeroize::Zeroizing;

use crate::body::EpochKeys;
use crate::frame::OpenError;
use crate::keyring::{Keyring, KeyringError};

/// Keeps one lasting secret an epoch of the journal, outside the journal. [`Keyring`] does.
pub trait RecordKeys: Send + Sync {
    /// The secret of an epoch; `None` when none was made, or it was destroyed.
    fn record_key(&self, epoch: u32) -> Result<Option<Zeroizing<[u8; 32]>>, KeyringError>;

    /// The secret of an epoch, made when there is none: durable when this returns, and never replaced.
    fn make_record_key(&self, epoch: u32) -> Result<Zeroizing<[u8; 32]>, KeyringError>;

    /// Destroys the secrets of all epochs below `epoch`: their records are gone.
    fn destroy_record_keys_below(&self, epoch: u32) -> Result<(), KeyringError>;
}

impl RecordKeys for Keyring {
    fn record_key(&self, epoch: u32) -> Result<Option<Zeroizing<[u8; 32]>>, KeyringError> {
        Self::record_key(self, epoch)
    }

    fn make_record_key(&self, epoch: u32) -> Result<Zeroizing<[u8; 32]>, KeyringError> {
        Self::make_record_key(self, epoch)
    }

    fn destroy_record_keys_below(&self, epoch: u32) -> Result<(), KeyringError> {
        Self::destroy_record_keys_below(self, epoch)
    }
}

/// The keys in use.
pub(crate) struct Records {
    source: Box<dyn RecordKeys>,
    used: RwLock<BTreeMap<u32, Arc<EpochKeys>>>,
    forgotten: AtomicBool,
}

impl Records {
    pub(crate) fn new(source: impl RecordKeys + 'static) -> Self {
        Self { source: Box::new(source), used: RwLock::default(), forgotten: AtomicBool::new(false) }
    }

    pub(crate) fn keys(&self, epoch: u32) -> Result<Arc<EpochKeys>, OpenError> {
        if let Some(keys) = self.used.read().unwrap_or_else(PoisonError::into_inner).get(&epoch) {
            return Ok(Arc::clone(keys));
        }
        let missing = |detail: String| OpenError::NoKey { epoch, detail };
        if self.forgotten.load(Ordering::Acquire) {
            return Err(missing("the keys were wiped from memory because the service stops".into()));
        }
        match self.source.record_key(epoch) {
            Ok(Some(secret)) => Ok(self.hold(epoch, &secret)),
            Ok(None) => Err(missing("there is none".into())),
            Err(e) => Err(missing(e.to_string())),
        }
    }

    pub(crate) fn make(&self, epoch: u32) -> Result<Arc<EpochKeys>, KeyringError> {
        if self.forgotten.load(Ordering::Acquire) {
            return Err(KeyringError::Forgotten);
        }
        Ok(self.hold(epoch, &*self.source.make_record_key(epoch)?))
    }

    pub(crate) fn destroy_below(&self, epoch: u32) -> Result<(), KeyringError> {
        self.used.write().unwrap_or_else(PoisonError::into_inner).retain(|known, _| *known >= epoch);
        self.source.destroy_record_keys_below(epoch)
    }

    pub(crate) fn forget(&self) {
        self.forgotten.store(true, Ordering::Release);
        // Dropping wipes.
        self.used.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn hold(&self, epoch: u32, secret: &[u8; 32]) -> Arc<EpochKeys> {
        let keys = Arc::new(EpochKeys::new(secret));
        self.used.write().unwrap_or_else(PoisonError::into_inner).insert(epoch, Arc::clone(&keys));
        keys
    }
}
