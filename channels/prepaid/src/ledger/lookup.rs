//! Old entries, read back from the log: by key, by what followed them, by card, and the audit of everything.

use std::collections::{HashMap, HashSet};

use till_plugin::Money;

use super::checkpoint;
use super::entry::{Entry, Event, Token, hash};
use super::error::{Damage, Failure, Refusal};
use super::fold::{Applied, Fold};
use super::keys::Place;
use super::log::Log;
use super::request::{Found, Line};
use super::{Card, Ledger, PAGE, undo_key};

impl<L: Log> Ledger<L> {
    /// A card, with everything that was written by now.
    pub fn card(&mut self, token: &Token) -> Result<Card, Failure> {
        self.catch_up()?;
        Ok(*self.fold.card(token).ok_or(Refusal::UnknownCard)?)
    }

    /// A card's entries, newest first, at most `limit`; with `before`, only those with a smaller number in the ledger.
    pub fn history(
        &mut self,
        token: &Token,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Line>, Failure> {
        let mut at = self.card(token)?.last;
        let mut lines = Vec::new();
        while at > self.trimmed && lines.len() < limit {
            let entry = self.entry_at(at)?;
            at = entry.back;
            if before.is_none_or(|number| entry.number < number) {
                let change = self.money(entry.event.change().unwrap_or(0));
                lines.push(Line { change, balance: self.money(entry.balance), entry });
            }
        }
        Ok(lines)
    }

    /// Whether an entry with this key is in what is kept.
    pub fn is_kept(&mut self, key: &str) -> Result<bool, Failure> {
        self.catch_up()?;
        Ok(self.lookup(key)?.is_some())
    }

    /// The entry of a key, and what followed it.
    pub(super) fn found(&mut self, key: &str) -> Result<Option<Found>, Failure> {
        let Some((position, entry)) = self.lookup(key)? else { return Ok(None) };
        let undone = self.lookup(&undo_key(key))?.is_some();
        let returned = match (&entry.event, entry.card) {
            (Event::Debit { .. }, Some(card)) => self.returned(&card, position, key)?,
            _ => 0,
        };
        Ok(Some(Found { undone, returned: self.money(returned), entry }))
    }

    /// What refunds and voids that stand gave back of a debit: the card's entries behind it say so.
    fn returned(&mut self, card: &Token, debit: u64, key: &str) -> Result<i64, Failure> {
        let mut at = self.fold.card(card).map_or(0, |c| c.last);
        let (mut undone, mut sum) = (HashSet::new(), 0_i64);
        while at > debit {
            let entry = self.entry_at(at)?;
            at = entry.back;
            match &entry.event {
                Event::Undo { of, .. } => {
                    undone.insert(of.clone());
                }
                Event::Refund { of, amount } | Event::Void { of, amount }
                    if of == key && !undone.contains(&entry.key) =>
                {
                    sum = sum.saturating_add(*amount);
                }
                _ => {}
            }
        }
        Ok(sum)
    }

    /// The entry of a key and its position.
    pub(super) fn lookup(&mut self, key: &str) -> Result<Option<(u64, Entry)>, Failure> {
        match self.keys.find(key) {
            Place::New => Ok(None),
            Place::At(position) => {
                let entry = self.entry_at(position)?;
                Ok((entry.key == key).then_some((position, entry)))
            }
            Place::Within(ranges) => {
                for (first, last) in ranges {
                    if let Some(found) = self.search(key, first, last)? {
                        return Ok(Some(found));
                    }
                }
                Ok(None)
            }
        }
    }

    /// Reads a range of the log, which begins with an entry that counts, for a key. What lost a race is left out.
    fn search(&mut self, key: &str, first: u64, last: u64) -> Result<Option<(u64, Entry)>, Failure> {
        let mut at = first - 1;
        let mut head = None;
        while at < last {
            let page = self.log.read(at, PAGE)?;
            let Some((end, _)) = page.last() else { return Err(self.gone(last)) };
            at = *end;
            for (position, bytes) in &page {
                let entry = Entry::from_bytes(*position, bytes).map_err(|d| self.damaged(d))?;
                if head.is_some_and(|head| entry.prev != head) {
                    continue;
                }
                head = Some(hash(bytes));
                if entry.key == key {
                    return Ok(Some((*position, entry)));
                }
            }
        }
        Ok(None)
    }

    fn entry_at(&mut self, position: u64) -> Result<Entry, Failure> {
        let page = self.log.read(position - 1, 1)?;
        match page.first() {
            Some((at, bytes)) if *at == position => {
                Entry::from_bytes(position, bytes).map_err(|d| self.damaged(d))
            }
            _ => Err(self.gone(position)),
        }
    }

    fn gone(&mut self, position: u64) -> Failure {
        self.damaged(Damage::Gone { position })
    }

    fn damaged(&mut self, damage: Damage) -> Failure {
        self.damage = Some(damage.clone());
        damage.into()
    }

    /// Reads everything again and checks more than opening does: that no key was booked twice, that nothing was given
    /// back beyond its purchase, that nothing was undone twice, and that the state in memory is what the log says. Takes
    /// memory for every entry: for tests and for a supervisor's check, not for every day.
    pub fn audit(&mut self) -> Result<(), Failure> {
        self.catch_up()?;
        let currency = self.fold.currency();
        let mut fold = Fold::new(currency);
        // What was given up is in the first checkpoint that is kept; of its purchases nothing is asked any more.
        let trimmed = self.trimmed;
        if trimmed > 0 {
            let first = self.fold.marks().first().map_or(0, |m| m.first);
            let restored = checkpoint::restore(&mut self.log, first, currency)?;
            fold = restored.ok_or_else(|| self.damaged(Damage::Gone { position: first }))?.0;
        }
        let mut keys = HashSet::new();
        // Of each debit, what is left of it; of the others that can be undone, their amount.
        let mut left: HashMap<String, i64> = HashMap::new();
        let mut by_key: HashMap<String, (String, i64)> = HashMap::new();
        loop {
            let page = self.log.read(fold.tail(), PAGE)?;
            if page.is_empty() {
                break;
            }
            for (position, bytes) in page {
                let Applied::Booked(entry) = fold.apply(position, &bytes).map_err(|d| self.damaged(d))?
                else {
                    continue;
                };
                let broken = |rule| Damage::Rule { position, rule };
                if !entry.key.is_empty() && !keys.insert(entry.key.clone()) {
                    return Err(self.damaged(broken("a key is booked once")));
                }
                let good = match &entry.event {
                    Event::Debit { amount } => left.insert(entry.key.clone(), *amount).is_none(),
                    Event::Refund { of, amount } | Event::Void { of, amount } => {
                        by_key.insert(entry.key.clone(), (of.clone(), *amount));
                        (trimmed > 0 && !left.contains_key(of)) || take(&mut left, of, *amount)
                    }
                    Event::Undo { of, change } if *change > 0 => {
                        (trimmed > 0 && !left.contains_key(of)) || take(&mut left, of, *change)
                    }
                    Event::Undo { of, change } => {
                        if let Some((debit, amount)) = by_key.get(of) {
                            left.get_mut(debit).is_some_and(|l| {
                                *l += amount;
                                *amount == -change
                            })
                        } else {
                            true
                        }
                    }
                    _ => true,
                };
                if !good {
                    return Err(self.damaged(broken("no more is given back than was taken")));
                }
            }
        }
        let held = fold.cards().try_fold(0_i64, |sum, (_, card)| sum.checked_add(card.balance));
        let owed = held.map(|minor| Money::new(minor, fold.currency()));
        let same = fold.cards().all(|(token, card)| self.fold.card(token) == Some(card));
        if owed == Some(fold.totals().outstanding) && same && fold.totals() == self.fold.totals() {
            Ok(())
        } else {
            let rule = "balances add up to what is outstanding";
            Err(self.damaged(Damage::Rule { position: fold.tail(), rule }))
        }
    }
}

fn take(left: &mut HashMap<String, i64>, key: &str, amount: i64) -> bool {
    left.get_mut(key).is_some_and(|l| {
        *l -= amount;
        *l >= 0
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Action, Class, Clock, Limits, Medium, MemoryLog, Request};
    use super::*;
    use crate::ledger::keys::Keys;
    use till_plugin::Currency;

    const NOW: Clock = Clock { wall_ms: 1_767_323_045_000, trusted: true };

    /// Knows the newest four keys exactly; all others by their filter and the log.
    fn forgetful(log: MemoryLog) -> Ledger<MemoryLog> {
        let limits = Limits {
            bearer_cap: 100_000,
            registered_cap: 500_000,
            number_cap: 500_000,
            uid_cap: 0,
            redeem_bearer: false,
        };
        Ledger::open_with(log, Currency::CNY, limits, [9; 16], NOW, Keys::with(4)).unwrap()
    }

    fn cny(minor: i64) -> Money {
        Money::new(minor, Currency::CNY)
    }

    fn debit(key: &str, amount: i64) -> Request {
        Request::new(key, Action::Debit { card: [1; 16], amount: cny(amount) })
    }

    fn issue(key: &str, n: u8) -> Request {
        let class = Class { registered: false, medium: Medium::Number };
        let (card, last4, expires_ms, amount) = ([n; 16], *b"0005", None, cny(50_000));
        Request::new(key, Action::Issue { card, class, last4, expires_ms, amount }).by("alice")
    }

    #[test]
    fn an_order_number_of_years_ago_is_still_answered_and_never_booked_again() {
        let log = MemoryLog::new();
        let mut ledger = forgetful(log.clone());
        ledger.submit(&issue("I1", 1), NOW).unwrap();
        // Between them lost races: the next key's first try, on a head that is not the newest any more.
        let old: Vec<_> = (0..200)
            .map(|n| {
                let done = ledger.submit(&debit(&format!("OLD{n}"), 10), NOW).unwrap();
                let mut lost = done.entry.clone();
                lost.key = format!("OLD{}", n + 1);
                log.tamper(|e| e.push(lost.to_bytes().unwrap()));
                done
            })
            .collect();
        assert!(ledger.settle("CLOSED", NOW).unwrap().is_none());
        for n in 0..10 {
            ledger.submit(&issue(&format!("J{n}"), n + 2), NOW).unwrap();
        }
        for mut ledger in [ledger, forgetful(log)] {
            for (n, done) in old.iter().enumerate() {
                let again = ledger.submit(&debit(&format!("OLD{n}"), 10), NOW).unwrap();
                assert_eq!((&again.entry, again.repeated), (&done.entry, true));
                assert!(ledger.submit(&debit(&format!("OLD{n}"), 11), NOW).is_err());
            }
            assert!(ledger.submit(&debit("CLOSED", 10), NOW).is_err());
            assert!(ledger.settle("OLD200", NOW).unwrap().is_none(), "what lost its race was never booked");
            let refund = Action::Refund { of: "OLD3".into(), amount: cny(11), card: None };
            assert!(ledger.submit(&Request::new("R1", refund), NOW).is_err());
            assert_eq!(ledger.card(&[1; 16]).unwrap().balance, 48_000);
            ledger.audit().unwrap();
        }
    }
}
