//! What came, to what the daemon is told: armed or not, once or again, card or reason.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

use till_plugin::driver::{DeviceState, DriverEvent, ReadFailure};
use till_plugin::instrument::StripeCard;
use till_plugin::{Instrument, Sensitive};

use crate::card::{Card, CardFault};
use crate::encrypted::KsnGuard;
use crate::front::{Came, Reading, Refused};
use crate::settings::Config;
use crate::swipe::{Outcome, SwipeFault};
use crate::track::Parsed;

/// Equal failures closer than this are told once.
const QUIET: Duration = Duration::from_millis(250);

#[derive(Default)]
struct Counters {
    swipes: u64,
    failures: u64,
    repeats: u64,
    unwanted: u64,
}

pub(crate) struct Sink {
    armed: bool,
    require_track2: bool,
    require_encryption: bool,
    duplicate: Duration,
    hasher: RandomState,
    /// The last reading by a keyed hash: a card is not kept just to notice that it came twice.
    last: Option<(u64, Duration)>,
    guard: KsnGuard,
    stored: Vec<u8>,
    exhausted: bool,
    counters: Counters,
    told: Option<(&'static str, Duration)>,
    events: Vec<DriverEvent>,
}

impl Sink {
    pub(crate) fn new(config: &Config, stored: Option<Vec<u8>>) -> Self {
        let guard = KsnGuard::from_stored(stored);
        Self {
            armed: false,
            require_track2: config.require_track2,
            require_encryption: config.require_encryption,
            duplicate: config.duplicate,
            hasher: RandomState::new(),
            last: None,
            stored: guard.stored().to_vec(),
            guard,
            exhausted: false,
            counters: Counters::default(),
            told: None,
            events: Vec::new(),
        }
    }

    pub(crate) const fn armed(&self) -> bool {
        self.armed
    }

    pub(crate) const fn exhausted(&self) -> bool {
        self.exhausted
    }

    pub(crate) fn arm(&mut self) {
        self.forget_readings();
        self.told = None;
        self.armed = true;
    }

    pub(crate) fn disarm(&mut self) {
        self.armed = false;
        self.forget_readings();
    }

    /// What the last payment's reader said is not this one's; the device's own state stays told.
    fn forget_readings(&mut self) {
        self.events.retain(|event| matches!(event, DriverEvent::State { .. }));
    }

    pub(crate) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    pub(crate) fn take_events(&mut self) -> Vec<DriverEvent> {
        std::mem::take(&mut self.events)
    }

    /// The last key serial number, once, if it is newer than what was stored.
    pub(crate) fn unstored(&mut self) -> Option<Vec<u8>> {
        if self.guard.stored() == self.stored {
            return None;
        }
        self.stored = self.guard.stored().to_vec();
        Some(self.stored.clone())
    }

    pub(crate) fn statistics(&self) -> Vec<(String, u64)> {
        let c = &self.counters;
        [("swipes", c.swipes), ("failures", c.failures), ("repeats", c.repeats), ("unwanted", c.unwanted)]
            .map(|(name, n)| (name.to_owned(), n))
            .to_vec()
    }

    pub(crate) fn take(&mut self, came: Came<'_>, now: Duration) {
        match came {
            Came::Typed(outcome) => self.typed(outcome, now),
            Came::Read(reading, bytes) => self.reading(*reading, bytes, now),
            Came::Refused(refused, bytes) => self.refused(&refused, bytes, now),
        }
    }

    fn reading(&mut self, reading: Reading, bytes: &[u8], now: Duration) {
        match reading {
            Reading::Clear(tracks) => {
                if self.again(bytes, now) {
                    return;
                }
                self.card(Card::from_tracks(tracks, self.require_track2), now);
            }
            Reading::Sealed(swipe) => {
                // A second swipe of the same card has another key: what may be shown of the card is what is equal.
                let shown = [swipe.masked.as_bytes(), swipe.expiry.as_deref().unwrap_or_default().as_bytes()]
                    .concat();
                let again = self.again(&shown, now);
                let key = self.guard.take(&swipe.ksn);
                if again {
                    return;
                }
                self.works_again();
                match key {
                    Ok(()) => self.read(Instrument::Encrypted(swipe)),
                    Err(fault) => self.refuse(&Refused::new(fault.reason(), fault.to_string()), now),
                }
            }
        }
    }

    fn refused(&mut self, refused: &Refused, bytes: &[u8], now: Duration) {
        if !bytes.is_empty() && self.again(bytes, now) {
            return;
        }
        if !refused.ksn.is_empty() {
            // Its own reason is the one to tell; a key that repeats shows at the next swipe too.
            let _ = self.guard.take(&refused.ksn);
        }
        if refused.exhausted && !self.exhausted {
            self.exhausted = true;
            let state = DeviceState::Blocked;
            self.events.push(DriverEvent::State { state, text: refused.text.clone() });
        }
        self.refuse(refused, now);
    }

    fn works_again(&mut self) {
        if std::mem::take(&mut self.exhausted) {
            self.events.push(DriverEvent::State { state: DeviceState::Ready, text: String::new() });
        }
    }

    /// The same reading again within the window: the head read the same stripe twice.
    fn again(&mut self, bytes: &[u8], now: Duration) -> bool {
        let hash = self.hasher.hash_one(bytes);
        let again =
            self.last.is_some_and(|(last, at)| last == hash && now.saturating_sub(at) <= self.duplicate);
        self.last = Some((hash, now));
        if again {
            self.counters.repeats += 1;
        }
        again
    }

    fn typed(&mut self, outcome: Outcome, now: Duration) {
        if !self.armed {
            self.counters.unwanted += 1;
            return;
        }
        match outcome {
            Outcome::Swipe(text) => self.card(Card::read(&text, self.require_track2), now),
            Outcome::Fault(fault) => {
                let reason = match fault {
                    SwipeFault::TooLong => "too-long",
                    SwipeFault::Dropped => "events-lost",
                    SwipeFault::NotText => "bad-character",
                };
                self.refuse(&Refused::new(reason, format!("{fault}: draw the card again")), now);
            }
            Outcome::Again => self.counters.repeats += 1,
            Outcome::Unwanted => self.counters.unwanted += 1,
        }
    }

    fn card(&mut self, card: Result<Card, CardFault>, now: Duration) {
        match card {
            Ok(_) if self.require_encryption => {
                let text = "the reader gave the card in clear and the settings ask for encryption: have its keys checked";
                self.refuse(&Refused::new("not-encrypted", text.into()), now);
            }
            Ok(card) => self.read(Instrument::Stripe(stripe(&card))),
            Err(fault) => self.refuse(&Refused::new(fault.reason(), fault.to_string()), now),
        }
    }

    fn read(&mut self, instrument: Instrument) {
        if self.armed {
            self.counters.swipes += 1;
            self.events.push(DriverEvent::Read(instrument));
        } else {
            self.counters.unwanted += 1;
        }
    }

    fn refuse(&mut self, refused: &Refused, now: Duration) {
        if !self.armed {
            self.counters.unwanted += 1;
            return;
        }
        self.counters.failures += 1;
        if self.told.is_some_and(|(last, at)| last == refused.reason && now.saturating_sub(at) < QUIET) {
            return;
        }
        self.told = Some((refused.reason, now));
        let failure = ReadFailure { reason: refused.reason.into(), text: refused.text.clone() };
        self.events.push(DriverEvent::ReadFailed(failure));
    }
}

fn stripe(card: &Card) -> StripeCard {
    let clear = |text: &str| Sensitive::new(text.to_owned());
    let track = |track: &Option<Parsed>| track.as_ref().map(|t| clear(t.text()));
    StripeCard {
        track1: track(&card.one),
        track2: track(&card.two),
        track3: card.three.as_ref().map(|text| clear(text)),
        pan: clear(card.pan()),
        expiry: card.expiry().map(clear),
        service_code: card.service_code().map(str::to_owned),
        masked: card.masked(),
        luhn: card.luhn(),
    }
}
