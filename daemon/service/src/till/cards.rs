//! Cards that were presented for something else than a payment (issue, balance, block, top-up), known outside by a ticket
//! of a few minutes. A card's number is never named on the bus.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use till_plugin::Instrument;

/// How long a card's ticket is good.
pub(crate) const GOOD_FOR: Duration = Duration::from_mins(3);

/// Cards held at once: one customer stands at the till.
const MOST: usize = 8;

/// Cards by ticket. What was presented is wiped when its time is over, or when others take its place.
#[derive(Default)]
pub(crate) struct Cards(Mutex<HashMap<String, (Instant, Instrument)>>);

impl Cards {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Instant, Instrument)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds a card; gives its ticket.
    pub(crate) fn put(&self, instrument: Instrument) -> String {
        let ticket = uuid::Uuid::new_v4().simple().to_string();
        let mut all = self.lock();
        all.retain(|_, (since, _)| since.elapsed() < GOOD_FOR);
        if all.len() >= MOST
            && let Some(oldest) = all.iter().min_by_key(|(_, (since, _))| *since).map(|(t, _)| t.clone())
        {
            all.remove(&oldest);
        }
        all.insert(ticket.clone(), (Instant::now(), instrument));
        ticket
    }

    /// The card of a ticket.
    pub(crate) fn get(&self, ticket: &str) -> Option<Instrument> {
        let mut all = self.lock();
        all.retain(|_, (since, _)| since.elapsed() < GOOD_FOR);
        all.get(ticket).map(|(_, instrument)| instrument.clone())
    }

    /// The same, which is held no longer.
    pub(crate) fn take(&self, ticket: &str) -> Option<Instrument> {
        let mut all = self.lock();
        all.retain(|_, (since, _)| since.elapsed() < GOOD_FOR);
        all.remove(ticket).map(|(_, instrument)| instrument)
    }

    /// Wipes a card whose time is over, also when nobody asks for one.
    pub(crate) fn tidy(&self) {
        self.lock().retain(|_, (since, _)| since.elapsed() < GOOD_FOR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_finds_its_card_only_and_the_oldest_gives_way() {
        let cards = Cards::default();
        let first = cards.put(Instrument::ShowCode);
        let cash = Instrument::Cash { tendered: till_plugin::Money::new(1, till_plugin::Currency::CNY) };
        let second = cards.put(cash.clone());
        assert_eq!(cards.get(&first), Some(Instrument::ShowCode));
        assert_eq!(cards.get(&second), Some(cash.clone()));
        assert_eq!(cards.get("another"), None);
        assert_eq!((cards.take(&second), cards.get(&second)), (Some(cash.clone()), None));
        cards.put(cash);
        for _ in 0..MOST {
            cards.put(Instrument::ShowCode);
        }
        assert_eq!(cards.get(&first), None);
        assert_eq!(cards.lock().len(), MOST);
    }
}
