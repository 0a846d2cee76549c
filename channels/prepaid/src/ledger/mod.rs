//! The ledger of stored-value cards: append-only entries, balances as their fold, never below zero.
//!
//! Pure but for the [`Log`] it is given: no clock, no randomness, no card numbers. An entry is durable before its answer
//! is given. Every entry holds the hash of the one before; one that follows an older head than the newest lost a race and
//! has no effect. That is compare-and-swap on the whole ledger, made by the log alone: two terminals on one log, or an
//! append that was cut off and lands late, can neither overdraw a card nor book a closed order number.
//!
//! In memory: a card costs about 100 bytes, a key 2.5 (see `keys`). Entries are read back from the log when asked for.

mod card;
mod checkpoint;
mod entry;
mod error;
mod fold;
mod keys;
mod log;
mod lookup;
mod request;
mod rules;

use till_plugin::{Currency, Money};

pub use card::{Card, Class, Clock, Medium, masked};
pub use entry::{Entry, Event, FORMAT, Hash, NO_HASH, Token, hash};
pub use error::{Damage, Failure, Refusal};
pub use fold::{Fold, Totals};
pub use log::{Log, LogError, MAX_ENTRY, MemoryLog};
pub use request::{Action, Done, Found, Line, Request};
pub use rules::{Limits, MAX_KEY, MAX_OPERATOR, MAX_REASON};

use checkpoint::{Mark, Writing};
use fold::Applied;
use keys::Keys;

/// Entries read at once.
const PAGE: u32 = 64;
/// Races that a request may lose before it gives up.
const RACES: u32 = 64;
/// Entries between two checkpoints, at least.
const EVERY: u64 = 8_192;
/// How long entries are kept, ms: 18 months and a few days more than the journal's own records.
const KEEP_MS: i64 = 555 * 86_400_000;

/// A ledger on its log.
#[derive(Debug)]
pub struct Ledger<L> {
    log: L,
    fold: Fold,
    keys: Keys,
    limits: Limits,
    damage: Option<Damage>,
    every: u64,
    writing: Option<Writing>,
    /// The log up to here is given up.
    trimmed: u64,
}

/// An entry to be written: what the request decides of it.
struct Draft {
    card: Option<Token>,
    key: String,
    event: Event,
    operator: Option<String>,
}

impl<L: Log> Ledger<L> {
    /// Reads the whole log, checks it, and begins the ledger if the log is empty. `key_check` is made with the card key.
    pub fn open(
        log: L,
        currency: Currency,
        limits: Limits,
        key_check: Token,
        now: Clock,
    ) -> Result<Self, Failure> {
        Self::open_with(log, currency, limits, key_check, now, Keys::new())
    }

    fn open_with(
        log: L,
        currency: Currency,
        limits: Limits,
        key_check: Token,
        now: Clock,
        keys: Keys,
    ) -> Result<Self, Failure> {
        let mut ledger = Self {
            log,
            fold: Fold::new(currency),
            keys,
            limits,
            damage: None,
            every: EVERY,
            writing: None,
            trimmed: 0,
        };
        ledger.begin()?;
        ledger.catch_up()?;
        while ledger.fold.number() == 0 {
            let event = Event::Begin { currency: currency.code().into(), key_check };
            // Losing this race is as good: then the ledger has begun.
            ledger.write(Draft { card: None, key: String::new(), event, operator: None }, now)?;
        }
        if ledger.fold.key_check() == Some(key_check) { Ok(ledger) } else { Err(Damage::CardKey.into()) }
    }

    /// Where reading begins: at the newest checkpoint, if there is a good one; else at the first entry that is kept.
    fn begin(&mut self) -> Result<(), Failure> {
        let first = self.log.read(0, 1)?.first().map(|(at, bytes)| (*at, Entry::from_bytes(*at, bytes)));
        let oldest = match first {
            Some((at, Ok(entry))) if entry.number > 1 => at,
            _ => 0,
        };
        self.trimmed = oldest.saturating_sub(1);
        let newest = self.log.remembered();
        for at in [newest, oldest] {
            if at > 0
                && at >= oldest
                && let Some((fold, keys)) = checkpoint::restore(&mut self.log, at, self.fold.currency())?
            {
                (self.fold, self.keys) = (fold, keys);
                self.given_up();
                return Ok(());
            }
        }
        if oldest > 0 {
            let damage = Damage::Gone { position: oldest };
            self.damage = Some(damage.clone());
            return Err(damage.into());
        }
        Ok(())
    }

    fn given_up(&mut self) {
        self.keys.give_up_through(self.trimmed);
        self.fold.give_up_before(self.trimmed + 1);
    }

    /// Writes a checkpoint every so many entries, for tests.
    #[must_use]
    pub fn with_checkpoint_every(mut self, entries: u64) -> Self {
        self.every = entries;
        self
    }

    /// Wall clock of the oldest entry that is kept, Unix ms, once older ones were given up.
    pub fn kept_since_ms(&self) -> Option<i64> {
        let mark = self.fold.marks().first().filter(|_| self.trimmed > 0);
        mark.map(|m| m.wall_ms)
    }

    /// A little upkeep, for when nobody waits: one part of a checkpoint, or giving up what is older than `KEEP_MS`. Says
    /// whether there may be more to do.
    pub fn upkeep(&mut self, now: Clock) -> Result<bool, Failure> {
        self.catch_up()?;
        if self.writing.is_none() {
            let newest = self.fold.marks().last();
            let written = newest.map_or(0, |m| m.number.saturating_add(m.parts.into()));
            let since = self.fold.number().saturating_sub(written);
            // A large state is written seldom: what is written for it stays a small part of all.
            let every = newest.map_or(0, |m| u64::from(m.parts) * 8).max(self.every);
            if since < every {
                return self.let_go(now);
            }
            self.writing = Some(Writing::begin(&self.fold, &self.keys)?);
        }
        let Some(event) = self.writing.as_ref().and_then(Writing::part) else {
            self.writing = None;
            if let Some(mark) = self.fold.marks().last() {
                let first = mark.first;
                self.log.remember(first);
            }
            return Ok(true);
        };
        let draft = Draft { card: None, key: String::new(), event, operator: None };
        let written = self.write(draft, now)?.is_some();
        match &mut self.writing {
            Some(writing) if written => writing.written(),
            // Another entry came first: it is not in the state that was to be written.
            Some(writing) if writing.is_fresh() => self.writing = None,
            _ => {}
        }
        Ok(true)
    }

    /// Gives up what stands before the newest checkpoint that is old enough. By a clock that is kept.
    fn let_go(&mut self, now: Clock) -> Result<bool, Failure> {
        let old = |m: &&Mark| now.trusted && now.wall_ms.saturating_sub(m.wall_ms) >= KEEP_MS;
        let Some(mark) = self.fold.marks().iter().rev().find(old).copied() else { return Ok(false) };
        if mark.before <= self.trimmed {
            return Ok(false);
        }
        // It must be good before anything that it stands for is given up.
        if checkpoint::restore(&mut self.log, mark.first, self.fold.currency())?.is_none() {
            return Ok(false);
        }
        self.log.trim(mark.before)?;
        self.trimmed = mark.before;
        self.given_up();
        Ok(true)
    }

    /// What the entries add up to, as far as they were read.
    pub const fn state(&self) -> &Fold {
        &self.fold
    }

    /// The log that it stands on.
    pub const fn log(&self) -> &L {
        &self.log
    }

    /// Says whether a request would be booked now. Writes nothing.
    pub fn check(&mut self, request: &Request, now: Clock) -> Result<(), Failure> {
        self.catch_up()?;
        self.decide(request, now).map(drop)
    }

    /// Books a request, once for its key.
    ///
    /// A refusal that hangs on the state of a card closes the key before it is given, so that a repeat of the request is
    /// not booked after its caller was told no.
    pub fn submit(&mut self, request: &Request, now: Clock) -> Result<Done, Failure> {
        self.sound()?;
        for _ in 0..RACES {
            match self.decide(request, now) {
                Ok(Decision::Already(entry)) => return Ok(Done { entry, repeated: true }),
                Ok(Decision::Write(draft)) => {
                    if let Some(entry) = self.write(draft, now)? {
                        return Ok(Done { entry, repeated: false });
                    }
                }
                Err(Failure::Refused(refusal)) => {
                    // Refused on old news? Another terminal may have loaded the card.
                    if self.catch_up()? {
                        continue;
                    }
                    let closes = !refusal.needs_no_close() && !matches!(request.action, Action::Undo { .. });
                    if !closes || self.close(&request.key, refusal.code(), now)? {
                        return Err(refusal.into());
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(Refusal::Crowded.into())
    }

    /// What became of a key. If nothing did, nothing ever will: the key is closed, durably, before that is said.
    pub fn settle(&mut self, key: &str, now: Clock) -> Result<Option<Found>, Failure> {
        self.sound()?;
        if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(Refusal::Key.into());
        }
        for _ in 0..RACES {
            self.catch_up()?;
            match self.found(key)? {
                Some(found) if matches!(&found.entry.event, Event::Close { reason } if reason == Event::NEVER_ARRIVED) =>
                {
                    return Ok(None);
                }
                Some(found) => return Ok(Some(found)),
                None => {
                    if self.close(key, Event::NEVER_ARRIVED, now)? {
                        return Ok(None);
                    }
                }
            }
        }
        Err(Refusal::Crowded.into())
    }

    fn close(&mut self, key: &str, reason: &str, now: Clock) -> Result<bool, Failure> {
        let event = Event::Close { reason: reason.into() };
        let draft = Draft { card: None, key: key.into(), event, operator: None };
        Ok(self.write(draft, now)?.is_some())
    }

    fn decide(&mut self, request: &Request, now: Clock) -> Result<Decision, Failure> {
        let currency = self.fold.currency();
        rules::shape(request, currency)?;
        let key = match &request.action {
            Action::Undo { of } => undo_key(of),
            _ => request.key.clone(),
        };
        if let Some((_, entry)) = self.lookup(&key)? {
            return match &entry.event {
                Event::Close { reason } => Err(Refusal::Closed { reason: reason.clone() }.into()),
                _ if request.action.wrote(&entry) => Ok(Decision::Already(entry)),
                _ => Err(Refusal::KeyReused.into()),
            };
        }
        let (card, event) = if let Some(of) = request.action.of() {
            let missing = || Refusal::NoOriginal { of: of.into() };
            let original = self.found(of)?.ok_or_else(missing)?;
            let token = original.entry.card.ok_or_else(missing)?;
            let card = self.fold.card(&token).ok_or_else(missing)?;
            (Some(token), rules::follow(request, &original, card, currency)?)
        } else {
            let token = request.action.card();
            let card = token.and_then(|t| self.fold.card(&t));
            (token, rules::event(request, card, &self.limits, now, currency)?)
        };
        Ok(Decision::Write(Draft { card, key, event, operator: request.operator.clone() }))
    }

    /// Appends an entry and reads it back: it is booked only if it is the next one. `None`: another one was.
    fn write(&mut self, draft: Draft, now: Clock) -> Result<Option<Entry>, Failure> {
        let card = draft.card.and_then(|t| self.fold.card(&t));
        let change = draft.event.change().unwrap_or(0);
        let entry = Entry {
            format: FORMAT,
            prev: self.fold.head(),
            number: self.fold.number() + 1,
            card: draft.card,
            seq: if draft.card.is_some() { card.map_or(0, |c| c.seq) + 1 } else { 0 },
            back: card.map_or(0, |c| c.last),
            key: draft.key,
            event: draft.event,
            balance: card.map_or(0, |c| c.balance).saturating_add(change),
            operator: draft.operator,
            wall_ms: now.wall_ms,
            trusted: now.trusted,
        };
        let bytes = entry.to_bytes()?;
        let ours = hash(&bytes);
        let position = self.log.append(&bytes)?;
        let mut booked = false;
        while self.fold.tail() < position {
            if self.read_page(|hash| booked |= *hash == ours)? == 0 {
                return Err(Failure::Log(LogError::Read(format!(
                    "the entry just written at {position} is not in the log"
                ))));
            }
        }
        Ok(booked.then_some(entry))
    }

    /// Folds in what others have written. Says whether there was something.
    fn catch_up(&mut self) -> Result<bool, Failure> {
        self.sound()?;
        let mut news = false;
        while self.read_page(|_| ())? > 0 {
            news = true;
        }
        Ok(news)
    }

    fn read_page(&mut self, mut booked: impl FnMut(&Hash)) -> Result<usize, Failure> {
        let after = self.fold.tail();
        let page = self.log.read(after, PAGE)?;
        for (position, bytes) in &page {
            let applied = if *position > self.fold.tail() {
                self.fold.apply(*position, bytes)
            } else {
                Err(Damage::Rule { position: *position, rule: "log positions grow" })
            };
            match applied {
                Ok(Applied::Booked(entry)) => {
                    if !entry.key.is_empty() {
                        self.keys.add(&entry.key, *position);
                    }
                    booked(&self.fold.head());
                }
                Ok(Applied::Stale) => {}
                Err(damage) => {
                    self.damage = Some(damage.clone());
                    return Err(damage.into());
                }
            }
        }
        Ok(page.len())
    }

    /// Whether nothing that was read is damaged.
    pub fn sound(&self) -> Result<(), Failure> {
        self.damage.as_ref().map_or(Ok(()), |d| Err(d.clone().into()))
    }

    /// An amount of the ledger.
    pub const fn money(&self, minor: i64) -> Money {
        Money::new(minor, self.fold.currency())
    }
}

enum Decision {
    Already(Entry),
    Write(Draft),
}

/// Key of the counter-entry to an entry. No caller's key has a tilde.
fn undo_key(of: &str) -> String {
    format!("{of}~undo")
}
