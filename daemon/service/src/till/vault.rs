//! Instruments in memory, from the moment they are presented until their attempt has its outcome. Nowhere else, never
//! on disk; dropping wipes them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use till_core::PaymentId;
use till_journal::keyring::Pin;
use till_plugin::Instrument;
use till_plugin::channel::Prepared;

use super::request::Request;

/// An instrument, the request that is made from it, and what its channel prepared. Some legs need no instrument.
#[derive(Clone, Default)]
pub(super) struct Held {
    pub instrument: Option<Instrument>,
    /// The channel that the operator named for it.
    pub named: Option<String>,
    pub request: Option<Request>,
    pub prepared: Option<Prepared>,
    /// Keeps the key of the sealed recovery data until the record that carries it is surely taken in.
    pub pin: Option<Arc<Pin>>,
}

/// The instruments of running attempts.
#[derive(Default)]
pub(super) struct Vault(Mutex<HashMap<(PaymentId, u32), Held>>);

impl Vault {
    pub(super) fn put(
        &self,
        payment: PaymentId,
        attempt: u32,
        instrument: Instrument,
        named: Option<String>,
    ) {
        let held = Held { instrument: Some(instrument), named, ..Held::default() };
        self.lock().insert((payment, attempt), held);
    }

    /// The request that goes out, from its preparation to its outcome.
    pub(super) fn request(&self, payment: PaymentId, attempt: u32, request: Request) {
        self.lock().entry((payment, attempt)).or_default().request = Some(request);
    }

    pub(super) fn prepared(&self, payment: PaymentId, attempt: u32, prepared: Prepared, pin: Pin) {
        if let Some(held) = self.lock().get_mut(&(payment, attempt)) {
            held.prepared = Some(prepared);
            held.pin = Some(Arc::new(pin));
        }
    }

    pub(super) fn get(&self, payment: PaymentId, attempt: u32) -> Option<Held> {
        self.lock().get(&(payment, attempt)).cloned()
    }

    pub(super) fn forget(&self, payment: PaymentId, attempt: u32) {
        self.lock().remove(&(payment, attempt));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(PaymentId, u32), Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
