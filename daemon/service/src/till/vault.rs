//! Instruments in memory, from the moment they are presented until their attempt has its outcome. Nowhere else, never
//! on disk; dropping wipes them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use till_core::PaymentId;
use till_journal::keyring::Pin;
use till_plugin::channel::Prepared;
use till_plugin::{Instrument, Money};

use super::Presentation;
use super::request::Request;

/// An instrument, the request that is made from it, and what its channel prepared. Some legs need no instrument.
#[derive(Clone, Default)]
pub(super) struct Held {
    pub instrument: Option<Instrument>,
    /// The channel that the operator named for it.
    pub named: Option<String>,
    /// Its PIN was wrong before: it does not go out without one.
    pub owes_pin: bool,
    /// What the operator said: why it is no duplicate though it looks like one.
    pub duplicate_reason: String,
    pub request: Option<Request>,
    pub prepared: Option<Prepared>,
    /// Keeps the key of the sealed recovery data until the record that carries it is surely taken in.
    pub pin: Option<Arc<Pin>>,
}

impl Held {
    /// Whether its request carries a PIN block.
    pub(super) fn had_pin(&self) -> bool {
        matches!(&self.request, Some(Request::Tender(tender)) if tender.pin_block.is_some())
    }
}

/// The instruments of running attempts.
#[derive(Default)]
pub(super) struct Vault(Mutex<HashMap<(PaymentId, u32), Held>>);

impl Vault {
    pub(super) fn put(&self, attempt: u32, presented: &Presentation, duplicate_reason: String) {
        let held = Held {
            instrument: Some(presented.instrument.clone()),
            named: presented.channel.clone(),
            owes_pin: presented.owes_pin,
            duplicate_reason,
            ..Held::default()
        };
        self.lock().insert((presented.payment, attempt), held);
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

/// Keyed token of an instrument: equal for the same one, telling nothing without the key (channels.md C7).
pub(super) fn token(key: &[u8; 32], instrument: &Instrument) -> String {
    let clear: &[u8] = match instrument {
        Instrument::Code(code) => code.text.expose().trim().as_bytes(),
        Instrument::Stripe(card) => card.pan.expose().as_bytes(),
        Instrument::Chip(card) => card.pan.expose().as_bytes(),
        Instrument::StoredValue(card) => card.identifier.expose(),
        // Not the card's, which is unknown: this swipe's. The same one again is a recording of it.
        Instrument::Encrypted(card) => &card.ksn,
        _ => return String::new(),
    };
    blake3::keyed_hash(key, clear).to_hex()[..32].to_owned()
}

/// What was handed over, for cash.
pub(super) const fn tendered(instrument: &Instrument) -> Option<Money> {
    match instrument {
        Instrument::Cash { tendered } => Some(*tendered),
        _ => None,
    }
}
