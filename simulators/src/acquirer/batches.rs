//! The batches of one terminal that are not closed yet (channels.md §1.7).
//!
//! A till that must not stop selling opens its next batch before the last one is settled, so several can be open here at
//! once. A payment belongs to the batch of its field 60.2; only a batch that is being settled is shut. How a real host
//! treats this is not published: `settle_blocks_sales` is the other reading, in which nothing is taken meanwhile.

use super::booking::Code;
use super::ledger::Totals;
use std::collections::{BTreeMap, VecDeque};

/// How far ahead of the newest batch a terminal may open one. A day without a card payment skips a number.
const AHEAD: u32 = 16;

/// A settlement that runs.
#[derive(Debug)]
pub(super) struct Settling {
    /// The terminal's count in its last 0500.
    pub(super) terminal: Totals,
    /// Whether it agreed.
    pub(super) balanced: bool,
    /// Details uploaded, by trace number.
    pub(super) uploaded: BTreeMap<String, Detail>,
}

/// What an uploaded detail was to this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// Booked here with the same card and amount.
    Known,
    /// Not booked until now.
    Booked,
    /// Booked otherwise, or undone here.
    Differs,
}

#[derive(Debug)]
struct Open {
    number: u32,
    settling: Option<Settling>,
}

/// The batches of a terminal, oldest first; never empty.
#[derive(Debug)]
pub(super) struct Batches {
    open: VecDeque<Open>,
    one_at_a_time: bool,
}

/// The batch after this one: 999999 is followed by 000001.
pub(super) const fn next_batch(batch: u32) -> u32 {
    if batch >= 999_999 { 1 } else { batch + 1 }
}

impl Batches {
    pub(super) fn new(first: u32, one_at_a_time: bool) -> Self {
        Self { open: VecDeque::from([Open { number: first, settling: None }]), one_at_a_time }
    }

    /// The batch a terminal that signs in is told to use.
    pub(super) fn newest(&self) -> u32 {
        self.open.back().map_or(1, |open| open.number)
    }

    /// Whether a payment of this batch is taken now; the batch is opened where the terminal has moved on.
    pub(super) fn admit(&mut self, batch: &str) -> Result<(), Code> {
        let number = number(batch)?;
        if self.one_at_a_time {
            return match self.open.back() {
                Some(open) if open.settling.is_some() => Err("90"),
                Some(open) if open.number == number => Ok(()),
                _ => Err("77"),
            };
        }
        match self.opened(number)?.settling {
            Some(_) => Err("90"),
            None => Ok(()),
        }
    }

    /// Whether a settlement is open.
    pub(super) fn is_settling(&self) -> bool {
        self.open.iter().any(|open| open.settling.is_some())
    }

    /// Whether a batch is not closed: what it holds can still be reversed.
    pub(super) fn is_open(&self, batch: &str) -> bool {
        number(batch).is_ok_and(|number| self.open.iter().any(|open| open.number == number))
    }

    /// A settlement of this batch begins, or is compared once more.
    pub(super) fn begin(&mut self, batch: &str, terminal: Totals, balanced: bool) -> Result<(), Code> {
        let number = number(batch)?;
        if self.one_at_a_time && number != self.newest() {
            return Err("77");
        }
        let open = self.opened(number)?;
        // Details that came before stay: comparing again is not beginning again.
        let uploaded = open.settling.take().map(|settling| settling.uploaded).unwrap_or_default();
        open.settling = Some(Settling { terminal, balanced, uploaded });
        Ok(())
    }

    /// The settlement of a batch, where one runs.
    pub(super) fn settling(&mut self, batch: &str) -> Option<&mut Settling> {
        let number = number(batch).ok()?;
        self.open.iter_mut().find(|open| open.number == number)?.settling.as_mut()
    }

    /// The oldest batch whose totals agreed and whose end record never came.
    pub(super) fn left_balanced(&self) -> Option<String> {
        let left = self.open.iter().find(|open| open.settling.as_ref().is_some_and(|s| s.balanced))?;
        Some(format!("{:06}", left.number))
    }

    /// Ends a batch.
    pub(super) fn close(&mut self, batch: &str) -> Option<Settling> {
        let number = number(batch).ok()?;
        let at = self.open.iter().position(|open| open.number == number)?;
        let settling = self.open.get_mut(at)?.settling.take()?;
        self.open.remove(at);
        if self.open.is_empty() {
            self.open.push_back(Open { number: next_batch(number), settling: None });
        }
        Some(settling)
    }

    fn opened(&mut self, number: u32) -> Result<&mut Open, Code> {
        if !self.open.iter().any(|open| open.number == number) {
            let mut between = Vec::new();
            let mut next = next_batch(self.newest());
            while next != number {
                between.push(next);
                if between.len() >= AHEAD as usize {
                    return Err("77");
                }
                next = next_batch(next);
            }
            between.push(number);
            self.open.extend(between.into_iter().map(|number| Open { number, settling: None }));
        }
        self.open.iter_mut().find(|open| open.number == number).ok_or("77")
    }
}

fn number(batch: &str) -> Result<u32, Code> {
    batch.parse().ok().filter(|number| (1..=999_999).contains(number) && batch.len() == 6).ok_or("77")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_batch_sells_while_the_last_is_settled() {
        let mut batches = Batches::new(999_999, false);
        assert_eq!(batches.admit("999999"), Ok(()));
        batches.begin("999999", Totals::default(), true).unwrap();
        assert_eq!(batches.admit("999999"), Err("90"));
        assert_eq!(batches.admit("000001"), Ok(()));
        assert!(batches.close("999999").is_some());
        assert_eq!((batches.admit("999999"), batches.admit("000001")), (Err("77"), Ok(())));
        assert_eq!(batches.newest(), 1);
    }

    #[test]
    fn a_terminal_may_skip_a_few_numbers_but_not_make_them_up() {
        let mut batches = Batches::new(5, false);
        assert_eq!(batches.admit("000007"), Ok(()));
        assert!(batches.is_open("000006"));
        for batch in ["000004", "000050", "7", "00000x", "000000"] {
            assert_eq!(batches.admit(batch), Err("77"), "{batch}");
        }
    }

    #[test]
    fn one_at_a_time_is_one_at_a_time() {
        let mut batches = Batches::new(1, true);
        assert_eq!(batches.admit("000002"), Err("77"));
        batches.begin("000001", Totals::default(), false).unwrap();
        assert_eq!((batches.admit("000001"), batches.admit("000002")), (Err("90"), Err("90")));
        batches.close("000001");
        assert_eq!((batches.admit("000001"), batches.admit("000002")), (Err("77"), Ok(())));
    }
}
