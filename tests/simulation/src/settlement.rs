//! Settlements in this world. A network that settles counts what it booked under a batch number of its own ledger,
//! compares, takes the details of one that differs, and closes it (channels.md §1.7: 0500, 0320, end).

use std::collections::{BTreeMap, BTreeSet};

use till_core::batch::{Entry as BatchEntry, Line, PartId, Totals, side};
use till_core::{Effect, Input, Payment};
use till_plugin::channel::{AttemptIds, Outcome, SettleOutcome, UnknownReason};
use till_plugin::{Currency, Money};

use crate::check;
use crate::clock::Event;
use crate::faults::SettleFate;
use crate::host::{Book, Host, approval, doubt, no};
use crate::profile;
use crate::world::{World, log};

/// What travels to a network.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    channel: usize,
    batch: u32,
    part: PartId,
    ids: AttemptIds,
    what: What,
    fate: SettleFate,
    life: u64,
}

#[derive(Clone, Debug)]
enum What {
    Compare {
        line: Line,
        again: bool,
    },
    /// Order numbers of the records.
    Details(Vec<String>),
    End,
}

/// A batch as its network has it.
#[derive(Debug, Default)]
pub(crate) struct NetworkBatch {
    /// Details that were taken, by order number.
    pub(crate) details: BTreeSet<String>,
    /// Comparisons that it answered, by trace number: the same request again gets the same answer (channels.md §1.9).
    answers: BTreeMap<u32, SettleOutcome>,
    /// What it said last of the totals.
    pub(crate) said: Option<bool>,
    /// It is closed: nothing more is booked under its number.
    pub(crate) ended: bool,
}

impl Host {
    /// What it has booked under a batch number that a batch counts.
    pub(crate) fn counted(&self, network: u32) -> impl Iterator<Item = (&String, bool, Money)> {
        self.book
            .iter()
            .filter(move |(_, e)| e.batch == network && e.state == Book::Done)
            .filter_map(|(order, e)| Some((order, side(e.kind)?, e.amount)))
    }

    /// Its totals of a batch.
    pub(crate) fn line(&self, network: u32) -> Line {
        let mut line = Line::none(Currency::CNY);
        for (_, debit, amount) in self.counted(network) {
            let side = if debit { &mut line.debits } else { &mut line.credits };
            side.amount = Money::new(side.amount.minor() + amount.minor(), Currency::CNY);
            side.count += 1;
        }
        line
    }

    fn answer(&mut self, m: &Request, line: Line, again: bool) -> SettleOutcome {
        let known = self.batches.get(&m.part.network).and_then(|b| b.answers.get(&m.ids.trace));
        if let Some(known) = known {
            return known.clone();
        }
        let answer = self.compare(m.part.network, line, again, m.fate);
        self.batches.entry(m.part.network).or_default().answers.insert(m.ids.trace, answer.clone());
        answer
    }

    fn compare(&mut self, network: u32, line: Line, again: bool, fate: SettleFate) -> SettleOutcome {
        if again && !profile::compares_again(self.channel) {
            return SettleOutcome::Unknown(doubt(UnknownReason::Unsupported));
        }
        if fate == SettleFate::Refused {
            return SettleOutcome::Refused(no("totals-error"));
        }
        let agrees = self.line(network) == line && (fate != SettleFate::Miscounts || again);
        self.batches.entry(network).or_default().said = Some(agrees);
        if agrees { SettleOutcome::Balanced } else { SettleOutcome::Unbalanced }
    }

    fn take(&mut self, m: &Request) -> Outcome {
        let network = m.part.network;
        let zero = Money::zero(Currency::CNY);
        let batch = self.batches.entry(network).or_default();
        match &m.what {
            What::Details(orders) => {
                if m.fate == SettleFate::Refused {
                    return Outcome::Declined(no("record-error"));
                }
                batch.details.extend(orders.iter().cloned());
            }
            What::End => batch.ended = true,
            What::Compare { .. } => {}
        }
        Outcome::Approved(approval(m.channel, &m.ids, zero))
    }
}

impl World {
    /// What settlements ask of the world.
    pub(crate) fn settlement(&mut self, effect: Effect) {
        match effect {
            Effect::SettleAfter { batch, part, after_ms } => {
                let busy = if part.is_none() { self.busy() } else { 0 };
                self.clock.inside(after_ms + busy, Input::GoOnSettling { batch, part });
            }
            Effect::Settle { batch, part, ids, again, totals, .. } => {
                check::before_settling(self, batch, &part, &ids);
                let what = What::Compare { line: one_line(&totals), again };
                self.ask(batch, part, ids, what);
            }
            Effect::UploadRecords { batch, part, ids, entries, end, balanced, .. } => {
                check::before_settling(self, batch, &part, &ids);
                let orders = entries.iter().map(|entry| self.detail(batch, entry)).collect();
                if end {
                    check::details_are_there(self, batch, &part, balanced);
                }
                self.ask(batch, part, ids, if end { What::End } else { What::Details(orders) });
            }
            Effect::Shred { below } => check::i12_shredded_is_closed(self, below),
            _ => {}
        }
    }

    /// Where batches fill, the till has something else to do now and then before it closes one, ms: others try meanwhile.
    fn busy(&mut self) -> u64 {
        let fills = self.hosts.iter().any(|host| host.limit.is_some());
        if fills { self.rng.pick(&[0, 0, 4_000, 20_000]) } else { 0 }
    }

    /// The order number of a record that goes up. Its recovery data (the account) must still be there.
    fn detail(&self, batch: u32, entry: &BatchEntry) -> String {
        let payment = entry.item.payment;
        let of = |p: &Payment| p.attempt(entry.item.attempt).map(|a| (a.batch, a.ids.order.clone()));
        let found = match self.till().payment(payment) {
            Some(p) => of(p),
            None => self.disk.payment(payment, u64::MAX).as_ref().and_then(of),
        };
        let Some((its, order)) = found else {
            panic!("I12: batch {batch} has an entry that no journal knows: {entry:?}")
        };
        assert!(
            !self.watch.is_shredded(its),
            "S66: the details of batch {batch} are asked for, and what they need was shredded: {entry:?}"
        );
        order
    }

    fn ask(&mut self, batch: u32, part: PartId, ids: AttemptIds, what: What) {
        let channel = profile::index(&part.channel);
        let fate = self.faults.settle(&mut self.rng);
        log!(self, "settles {} {:06} {what:?} {fate:?}", part.channel, part.network);
        self.tally.see(match &what {
            What::Compare { again: false, .. } => "totals compared",
            What::Compare { again: true, .. } => "totals compared again",
            What::Details(_) => "details sent",
            What::End => "batches ended",
        });
        let life = self.clock.life();
        let request = Request { channel, batch, part, ids, what, fate, life };
        match fate {
            SettleFate::NotSent => return self.clock.inside(20, request.not_sent()),
            SettleFate::LostRequest | SettleFate::LostAnswer | SettleFate::LateAnswer => {
                self.clock.inside(5_000, request.no_answer());
                if fate == SettleFate::LostRequest {
                    return;
                }
            }
            _ => {}
        }
        let at = (self.clock.now + self.rng.range(5, 200)).max(self.line_free[channel]);
        self.line_free[channel] = at;
        self.clock.after(at - self.clock.now, Event::Settlement(Box::new(request)));
    }

    /// A request of a settlement reaches its network.
    pub(crate) fn settle(&mut self, m: &Request) {
        let host = &mut self.hosts[m.channel];
        let answer = match m.what {
            What::Compare { line, again } => {
                let outcome = host.answer(m, line, again);
                Input::Settled { batch: m.batch, part: m.part.clone(), trace: m.ids.trace, outcome }
            }
            What::Details(_) | What::End => {
                let outcome = host.take(m);
                Input::Uploaded { batch: m.batch, part: m.part.clone(), trace: m.ids.trace, outcome }
            }
        };
        if !self.up || m.life != self.clock.life() {
            return;
        }
        match m.fate {
            SettleFate::LostAnswer => {}
            SettleFate::LateAnswer => self.clock.inside(11_000, answer),
            SettleFate::AnsweredTwice => {
                self.clock.inside(50, answer.clone());
                self.clock.inside(90, answer);
            }
            _ => self.clock.inside(50, answer),
        }
    }
}

impl Request {
    fn no_answer(&self) -> Input {
        let lost = doubt(UnknownReason::NoAnswer);
        let (batch, part, trace) = (self.batch, self.part.clone(), self.ids.trace);
        match self.what {
            What::Compare { .. } => {
                Input::Settled { batch, part, trace, outcome: SettleOutcome::Unknown(lost) }
            }
            What::Details(_) | What::End => {
                Input::Uploaded { batch, part, trace, outcome: Outcome::Unknown(lost) }
            }
        }
    }

    fn not_sent(&self) -> Input {
        let (batch, part, trace) = (self.batch, self.part.clone(), self.ids.trace);
        match self.what {
            What::Compare { .. } => self.no_answer(),
            What::Details(_) | What::End => {
                Input::Uploaded { batch, part, trace, outcome: Outcome::NotSent(no("no-line")) }
            }
        }
    }
}

fn one_line(totals: &Totals) -> Line {
    totals.line(Currency::CNY)
}
