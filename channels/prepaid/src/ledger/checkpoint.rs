//! Checkpoints: the whole state in the log itself, in parts, so that opening reads what came after the newest one, and
//! what is older than anybody may ask for can be given up.
//!
//! A checkpoint's parts are entries of the chain like any other; sales go on between them. It is the state as it was
//! before its first part, and counts once all parts are there and their hash is right. It is never needed: whoever does
//! not trust it folds from the first entry that is kept.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use till_plugin::{Currency, Money};

use super::card::{Card, Class};
use super::entry::{Entry, Event, Hash, Token};
use super::error::Damage;
use super::fold::{Fold, Totals};
use super::keys::{Keys, SavedKeys};
use super::log::{Log, LogError};

/// Format of the state.
const VERSION: u8 = 1;

/// Bytes of one part: with everything around it an entry stays below the log's longest.
const PART: usize = 1_840;

/// Entries read at once.
const PAGE: u32 = 64;

/// A checkpoint that is whole and still in the log.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Log position of what stands before its first part.
    pub before: u64,
    /// Log position of its first part.
    pub first: u64,
    /// Number of its first part's entry.
    pub number: u64,
    /// Parts.
    pub parts: u32,
    /// Wall clock of it, Unix ms.
    pub wall_ms: i64,
}

/// Parts of a checkpoint as they come by.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Coming {
    mark: Mark,
    hash: Hash,
    next: u32,
}

/// Takes a part in; gives the mark when it was the last one.
pub(crate) fn follow(
    coming: &mut Option<Coming>,
    entry: &Entry,
    (before, position): (u64, u64),
) -> Option<Mark> {
    let Event::Checkpoint { part, parts, hash, .. } = &entry.event else { return None };
    if *part == 0 {
        let (first, wall_ms) = (position, entry.wall_ms);
        let mark = Mark { before, first, number: entry.number, parts: *parts, wall_ms };
        *coming = Some(Coming { mark, hash: *hash, next: 0 });
    }
    let now = coming.as_mut().filter(|c| c.hash == *hash && c.next == *part && c.mark.parts == *parts)?;
    now.next += 1;
    let whole = now.next == *parts;
    whole.then(|| coming.take().map(|c| c.mark))?
}

/// A checkpoint on its way into the log.
#[derive(Debug)]
pub(crate) struct Writing {
    bytes: Vec<u8>,
    hash: Hash,
    of: u64,
    next: u32,
}

impl Writing {
    /// Of a state.
    pub(crate) fn begin(fold: &Fold, keys: &Keys) -> Result<Self, Damage> {
        let bytes = save(fold, keys)?;
        let hash = *blake3::hash(&bytes).as_bytes();
        Ok(Self { bytes, hash, of: fold.number(), next: 0 })
    }

    fn parts(&self) -> u32 {
        u32::try_from(self.bytes.len().div_ceil(PART)).unwrap_or(u32::MAX)
    }

    /// It has no part in the log yet.
    pub(crate) const fn is_fresh(&self) -> bool {
        self.next == 0
    }

    /// The next part; none: all are there.
    pub(crate) fn part(&self) -> Option<Event> {
        let from = usize::try_from(self.next).ok()?.checked_mul(PART)?;
        let bytes = self.bytes.get(from..)?;
        (!bytes.is_empty()).then(|| Event::Checkpoint {
            of: self.of,
            part: self.next,
            parts: self.parts(),
            hash: self.hash,
            bytes: bytes[..bytes.len().min(PART)].to_vec(),
        })
    }

    /// The part is in the log and counts.
    pub(crate) const fn written(&mut self) {
        self.next += 1;
    }
}

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u8,
    currency: String,
    key_check: Token,
    head: Hash,
    heads: Vec<u64>,
    number: u64,
    tail: u64,
    stale: u64,
    cards: Vec<(Token, SavedCard)>,
    totals: SavedTotals,
    marks: Vec<Mark>,
    keys: SavedKeys,
}

#[derive(Serialize, Deserialize)]
struct SavedCard {
    balance: i64,
    expires_ms: Option<i64>,
    last: u64,
    seq: u32,
    last4: [u8; 4],
    class: Class,
    blocked: bool,
    expired: bool,
    closed: bool,
}

/// Cards, loaded, debited, returned, redeemed, corrected, outstanding.
type SavedTotals = (u64, [i64; 6]);

fn save(fold: &Fold, keys: &Keys) -> Result<Vec<u8>, Damage> {
    let t = fold.totals();
    let amounts = [t.loaded, t.debited, t.returned, t.redeemed, t.corrected, t.outstanding];
    let mut cards: Vec<(Token, SavedCard)> = fold
        .cards()
        .map(|(token, c)| {
            let Card { balance, expires_ms, last, seq, last4, class, blocked, expired, closed } = *c;
            (*token, SavedCard { balance, expires_ms, last, seq, last4, class, blocked, expired, closed })
        })
        .collect();
    // The same state is the same bytes.
    cards.sort_by_key(|(token, _)| *token);
    let saved = Saved {
        version: VERSION,
        currency: fold.currency().code().into(),
        key_check: fold.key_check().unwrap_or_default(),
        head: fold.head(),
        heads: fold.heads().collect(),
        number: fold.number(),
        tail: fold.tail(),
        stale: fold.stale(),
        cards,
        totals: (t.cards, amounts.map(Money::minor)),
        marks: fold.marks().to_vec(),
        keys: keys.save(),
    };
    postcard::to_stdvec(&saved).map_err(|_| Damage::Unreadable { position: fold.tail() })
}

/// The state of the checkpoint whose first part stands at a position; none: there is no whole one, or it is not right.
pub(crate) fn restore<L: Log>(
    log: &mut L,
    first: u64,
    currency: Currency,
) -> Result<Option<(Fold, Keys)>, LogError> {
    let Some((start, bytes)) = gather(log, first)? else { return Ok(None) };
    let Ok((saved, [])) = postcard::take_from_bytes::<Saved>(&bytes) else { return Ok(None) };
    let follows = saved.head == start.prev && saved.number.checked_add(1) == Some(start.number);
    if saved.version != VERSION || !follows || saved.tail >= first || saved.currency != currency.code() {
        return Ok(None);
    }
    let (count, amounts) = saved.totals;
    let [loaded, debited, returned, redeemed, corrected, outstanding] =
        amounts.map(|minor| Money::new(minor, currency));
    let totals = Totals { cards: count, loaded, debited, returned, redeemed, corrected, outstanding };
    let cards: HashMap<Token, Card> = saved
        .cards
        .into_iter()
        .map(|(token, c)| {
            let SavedCard { balance, expires_ms, last, seq, last4, class, blocked, expired, closed } = c;
            (token, Card { balance, expires_ms, last, seq, last4, class, blocked, expired, closed })
        })
        .collect();
    // What the cards hold is what is owed, here as everywhere.
    let held = cards.values().try_fold(0_i64, |sum, c| sum.checked_add(c.balance));
    if held != Some(outstanding.minor()) || cards.values().any(|c| c.balance < 0) {
        return Ok(None);
    }
    let numbers = (saved.number, saved.tail, saved.stale);
    let heads = (saved.head, saved.heads);
    let fold = Fold::restored(currency, saved.key_check, heads, numbers, cards, totals, saved.marks);
    Ok(Some((fold, Keys::restored(saved.keys))))
}

/// The first part's entry, and the bytes of all parts.
fn gather<L: Log>(log: &mut L, first: u64) -> Result<Option<(Entry, Vec<u8>)>, LogError> {
    let mut at = first.saturating_sub(1);
    let mut start: Option<Entry> = None;
    let (mut bytes, mut next) = (Vec::new(), 0);
    loop {
        let page = log.read(at, PAGE)?;
        let Some((end, _)) = page.last() else { return Ok(None) };
        at = *end;
        for (position, raw) in &page {
            let Ok(entry) = Entry::from_bytes(*position, raw) else { return Ok(None) };
            let Event::Checkpoint { part, parts, hash, bytes: more, of } = &entry.event else {
                if start.is_none() {
                    return Ok(None);
                }
                continue;
            };
            let known = start.as_ref().map(|s| &s.event);
            let mine = match known {
                None => *part == 0 && *position == first && of.checked_add(1) == Some(entry.number),
                Some(Event::Checkpoint { hash: h, parts: p, .. }) => h == hash && p == parts && *part == next,
                Some(_) => false,
            };
            if mine {
                bytes.extend_from_slice(more);
                next += 1;
            }
            let (whole, right) = (next == *parts, *hash);
            if start.is_none() {
                if !mine {
                    return Ok(None);
                }
                start = Some(entry);
            }
            if mine && whole {
                let good = *blake3::hash(&bytes).as_bytes() == right;
                return Ok(start.filter(|_| good).map(|s| (s, bytes)));
            }
        }
    }
}
