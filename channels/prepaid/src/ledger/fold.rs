//! What the entries add up to. The same rules that let an entry be written are held when it is read again.

use std::collections::{HashMap, VecDeque};

use till_plugin::{Currency, Money};

use super::card::Card;
use super::checkpoint::{self, Coming, Mark};
use super::entry::{Entry, Event, Hash, NO_HASH, Token, hash};
use super::error::Damage;

/// Heads remembered. An entry that follows one of them instead of the newest lost a race: it was written by somebody who
/// had not read the newest yet (another terminal, or this one before it was cut off), and has no effect. One that follows
/// nothing known is damage.
const HEADS: usize = 4096;

/// Sums over all entries, of one currency.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Cards ever issued.
    pub cards: u64,
    /// Loaded, first balances among it.
    pub loaded: Money,
    /// Bought with cards.
    pub debited: Money,
    /// Given back to cards by refunds and voids.
    pub returned: Money,
    /// Paid out.
    pub redeemed: Money,
    /// Counter-entries and corrections, by their sign.
    pub corrected: Money,
    /// What the cards hold together: the shop owes it to their holders.
    pub outstanding: Money,
}

/// What became of an entry that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // one lives at a time
pub(crate) enum Applied {
    /// It counts.
    Booked(Entry),
    /// It lost a race and has no effect.
    Stale,
}

/// The state of a ledger.
#[derive(Clone, Debug)]
pub struct Fold {
    currency: Currency,
    key_check: Option<Token>,
    head: Hash,
    heads: VecDeque<u64>,
    number: u64,
    tail: u64,
    stale: u64,
    cards: HashMap<Token, Card>,
    totals: Totals,
    marks: Vec<Mark>,
    coming: Option<Coming>,
}

impl Fold {
    /// Of an empty log.
    pub fn new(currency: Currency) -> Self {
        let zero = Money::zero(currency);
        Self {
            currency,
            key_check: None,
            head: NO_HASH,
            heads: VecDeque::new(),
            number: 0,
            tail: 0,
            stale: 0,
            cards: HashMap::new(),
            totals: Totals {
                cards: 0,
                loaded: zero,
                debited: zero,
                returned: zero,
                redeemed: zero,
                corrected: zero,
                outstanding: zero,
            },
            marks: Vec::new(),
            coming: None,
        }
    }

    /// Of a checkpoint.
    pub(crate) fn restored(
        currency: Currency,
        key_check: Token,
        (head, heads): (Hash, Vec<u64>),
        (number, tail, stale): (u64, u64, u64),
        cards: HashMap<Token, Card>,
        totals: Totals,
        marks: Vec<Mark>,
    ) -> Self {
        let key_check = Some(key_check);
        let (heads, coming) = (heads.into(), None);
        Self { currency, key_check, head, heads, number, tail, stale, cards, totals, marks, coming }
    }

    /// Heads by which a lost race is known, oldest first.
    pub(crate) fn heads(&self) -> impl Iterator<Item = u64> + '_ {
        self.heads.iter().copied()
    }

    /// Checkpoints that are whole and in the log, oldest first.
    pub(crate) fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// The entries before a checkpoint are given up: older checkpoints are gone too.
    pub(crate) fn give_up_before(&mut self, first: u64) {
        self.marks.retain(|m| m.first >= first);
    }

    /// The currency of all its amounts.
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// What the card key must give; none before the first entry.
    pub const fn key_check(&self) -> Option<Token> {
        self.key_check
    }

    /// Hash of the newest entry that counts.
    pub const fn head(&self) -> Hash {
        self.head
    }

    /// Its number.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Log position up to which everything is folded in.
    pub const fn tail(&self) -> u64 {
        self.tail
    }

    /// Entries that lost a race.
    pub const fn stale(&self) -> u64 {
        self.stale
    }

    /// A card.
    pub fn card(&self, token: &Token) -> Option<&Card> {
        self.cards.get(token)
    }

    /// All cards, in no order.
    pub fn cards(&self) -> impl Iterator<Item = (&Token, &Card)> {
        self.cards.iter()
    }

    /// Sums over all entries.
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    /// Folds the entry at a position in.
    pub(crate) fn apply(&mut self, position: u64, bytes: &[u8]) -> Result<Applied, Damage> {
        let entry = Entry::from_bytes(position, bytes)?;
        if entry.prev != self.head {
            if !self.heads.contains(&short(&entry.prev)) {
                return Err(Damage::Chain { position });
            }
            self.tail = position;
            self.stale += 1;
            return Ok(Applied::Stale);
        }
        let broken = |rule| Damage::Rule { position, rule };
        if entry.number != self.number + 1 {
            return Err(broken("entries are numbered without gaps"));
        }
        if let Event::Begin { currency, key_check } = &entry.event {
            if entry.number != 1 {
                return Err(broken("a ledger begins once"));
            }
            if *currency != self.currency.code() {
                return Err(Damage::Currency { found: currency.clone(), set: self.currency.code().into() });
            }
            self.key_check = Some(*key_check);
        } else if entry.number == 1 {
            return Err(broken("a ledger begins with its currency and key check"));
        }
        if let Some(token) = entry.card {
            let mut card = after(self.cards.get(&token), &entry).map_err(broken)?;
            let totals = self.added(&entry).ok_or(broken("sums fit into 64 bits"))?;
            card.last = position;
            self.cards.insert(token, card);
            self.totals = totals;
        }
        if self.heads.len() == HEADS {
            self.heads.pop_front();
        }
        self.heads.push_back(short(&self.head));
        self.head = hash(bytes);
        self.number = entry.number;
        let mark = checkpoint::follow(&mut self.coming, &entry, (self.tail, position));
        self.marks.extend(mark);
        self.tail = position;
        Ok(Applied::Booked(entry))
    }

    fn added(&self, entry: &Entry) -> Option<Totals> {
        let change = Money::new(entry.event.change()?, self.currency);
        let amount = Money::new(entry.event.amount(), self.currency);
        let mut t = self.totals;
        let sum = match entry.event {
            Event::Issue { .. } | Event::Load { .. } => &mut t.loaded,
            Event::Debit { .. } => &mut t.debited,
            Event::Refund { .. } | Event::Void { .. } => &mut t.returned,
            Event::Redeem { .. } => &mut t.redeemed,
            _ => &mut t.corrected,
        };
        let signed = matches!(entry.event, Event::Undo { .. } | Event::Adjust { .. });
        *sum = sum.checked_add(if signed { change } else { amount }).ok()?;
        t.outstanding = t.outstanding.checked_add(change).ok()?;
        t.cards += u64::from(matches!(entry.event, Event::Issue { .. }));
        Some(t)
    }
}

/// Enough of a hash to find a lost race by.
fn short(hash: &Hash) -> u64 {
    hash.iter().take(8).fold(0, |n, byte| n << 8 | u64::from(*byte))
}

/// The card after an entry, or the rule that the entry breaks. Rules that hang on settings (caps) are not asked here: a
/// setting may change, a ledger may not become wrong by it.
fn after(card: Option<&Card>, entry: &Entry) -> Result<Card, &'static str> {
    let change = entry.event.change().ok_or("an amount is greater than zero")?;
    let mut next = match (card, &entry.event) {
        (None, Event::Issue { class, last4, expires_ms, .. }) => Card {
            balance: 0,
            expires_ms: *expires_ms,
            last: 0,
            seq: 0,
            last4: *last4,
            class: *class,
            blocked: false,
            expired: false,
            closed: false,
        },
        (None, _) => return Err("a card is issued first"),
        (Some(_), Event::Issue { .. }) => return Err("a card is issued once"),
        (Some(_), Event::Begin { .. } | Event::Close { .. }) => return Err("this entry is about no card"),
        (Some(card), _) if card.closed => return Err("a card that was paid out is closed"),
        (Some(card), _) => *card,
    };
    match &entry.event {
        Event::Debit { .. } | Event::Load { .. } if next.blocked || next.expired => {
            return Err("a blocked or expired card is neither used nor loaded");
        }
        Event::Redeem { .. } if next.blocked => return Err("a blocked card is not paid out"),
        Event::Redeem { amount } if *amount != next.balance => {
            return Err("the whole balance is paid out");
        }
        Event::Redeem { .. } => next.closed = true,
        Event::Block { .. } => next.blocked = true,
        Event::Unblock { .. } => next.blocked = false,
        Event::Expire => next.expired = true,
        Event::Reactivate { expires_ms } => (next.expired, next.expires_ms) = (false, *expires_ms),
        _ => {}
    }
    if entry.seq != next.seq + 1 || entry.back != next.last {
        return Err("a card's entries follow one another");
    }
    next.seq = entry.seq;
    next.balance = next.balance.checked_add(change).ok_or("a balance fits into 64 bits")?;
    if next.balance < 0 {
        return Err("a balance is never below zero");
    }
    if next.balance != entry.balance {
        return Err("the balance is the sum of the card's entries");
    }
    Ok(next)
}
