//! A till with three channels and a network that keeps its own books: everything an effect asks for, in one queue.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use till_core::batch::{Entry, Item, PartId, Rules};
use till_core::input::{Context, Presented};
use till_core::payment::{LegKind, Purpose};
use till_core::routing::{LegTerms, RouteView};
use till_core::{Effect, Input, PaymentId, Record, Refusal, Step, Till, decide, recover};
use till_plugin::channel::{
    Operation, Outcome, ResolveProfile, SettleOutcome, Unknown, UnknownReason, answered,
};
use till_plugin::{Currency, Family, Money};

use crate::samples::{self, approval, decline, fen};

/// 2026-05-01 10:00 in China.
pub(crate) const MORNING: i64 = 1_777_600_800_000;
pub(crate) const HOUR: i64 = 3_600_000;
pub(crate) const DAY: i64 = 24 * HOUR;

/// What goes wrong with one exchange of a settlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The answer is lost; the network has done what it was asked.
    Lost,
    /// A definite no.
    Refused(&'static str),
    /// Not sent.
    NotSent,
    /// The channel does not do that.
    Unsupported,
    /// Nothing goes wrong.
    None,
}

/// The network's own books, by channel and batch number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    pub(crate) booked: BTreeMap<(String, u32), Vec<(bool, Money)>>,
    pub(crate) ended: BTreeSet<(String, u32)>,
    /// Detail records that came up, with how often.
    pub(crate) uploaded: BTreeMap<Item, u32>,
    pub(crate) faults: VecDeque<Fault>,
    /// Items that the network refuses as details.
    pub(crate) refuses: BTreeSet<Item>,
    /// Totals never agree: the network lost a record; `true`: they do once the details came.
    pub(crate) unbalanced: Option<bool>,
    /// Orders of settlement exchanges as they came.
    pub(crate) asked: Vec<(String, u32, String)>,
}

#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) till: Till,
    pub(crate) ctx: Context,
    pub(crate) records: Vec<(u64, i64, Record)>,
    pub(crate) queue: VecDeque<Effect>,
    pub(crate) net: Network,
    pub(crate) alarms: Vec<&'static str>,
    pub(crate) shredded: u32,
    /// Each entry as it was seen in a batch before that one left memory.
    pub(crate) seen: BTreeMap<Item, BTreeSet<(u32, String, u32)>>,
    sold: u64,
    /// What the network says that it takes of what it approves, as it writes it.
    pub(crate) charge: Option<String>,
}

fn terms(kind: LegKind) -> LegTerms {
    LegTerms { kind, resolve: samples::no_undo(), instrument: false, partial: true }
}

pub(crate) fn channel(id: &str, family: &str, resolve: ResolveProfile, settles: bool) -> RouteView {
    let mut r = samples::route(id, family, resolve);
    r.operations = vec![Operation::Sale, Operation::PreAuthorisation];
    if settles {
        r.operations.push(Operation::Settle);
    }
    r.legs = [LegKind::Void, LegKind::Refund, LegKind::Capture, LegKind::Release].map(terms).to_vec();
    r.merchant = None;
    r.terminal = None;
    r
}

impl Shop {
    pub(crate) fn new() -> Self {
        let mut ctx = samples::context(samples::wallet());
        ctx.wall_ms = MORNING;
        ctx.reuse_window_ms = 0;
        ctx.rules = Rules { utc_offset_min: 480, ..Rules::default() };
        ctx.routes = vec![
            channel("bank", "card-stripe", samples::bank(), true),
            channel("wallet", "qr-alipay", samples::wallet(), false),
            channel("cash", "cash", samples::wallet(), false),
        ];
        Self {
            till: Till::new(),
            ctx,
            records: Vec::new(),
            queue: VecDeque::new(),
            net: Network::default(),
            alarms: Vec::new(),
            shredded: 1,
            seen: BTreeMap::new(),
            sold: 0,
            charge: None,
        }
    }

    pub(crate) fn try_take(&mut self, input: &Input) -> Result<Step, Refusal> {
        let step = decide(&self.till, input, &self.ctx)?;
        self.apply(&step);
        Ok(step)
    }

    pub(crate) fn take(&mut self, input: &Input) -> Step {
        self.try_take(input).unwrap_or_else(|e| panic!("{input:?}: {e}"))
    }

    fn apply(&mut self, step: &Step) {
        if let Some(record) = &step.record {
            let bytes = record.encode().expect("it encodes");
            assert!(bytes.len() <= till_core::MAX_RECORD, "{}: {} bytes", record.name(), bytes.len());
            assert_eq!(Record::decode(&bytes).as_ref(), Ok(record));
            let seq = self.till.seq() + 1;
            self.till.apply(seq, self.ctx.wall_ms, record);
            self.records.push((seq, self.ctx.wall_ms, record.clone()));
            if matches!(record, Record::Batch(_)) {
                self.look();
            }
        }
        for effect in &step.effects {
            match effect {
                Effect::Alarm { code, .. } => self.alarms.push(code),
                Effect::Shred { below } => self.shredded = self.shredded.max(*below),
                Effect::SettleAfter { .. } | Effect::Settle { .. } | Effect::UploadRecords { .. } => {
                    self.queue.push_back(effect.clone());
                }
                _ => {}
            }
        }
    }

    /// Notes where each entry is, before its batch leaves memory.
    pub(crate) fn look(&mut self) {
        let book = self.till.batches();
        for batch in book.frozen().chain(book.open()) {
            for (id, part) in batch.parts() {
                for entry in part.entries() {
                    let place = (batch.number, id.channel.clone(), id.network);
                    self.seen.entry(entry.item).or_default().insert(place);
                }
            }
        }
    }

    pub(crate) fn next_id(&mut self) -> PaymentId {
        self.sold += 1;
        let mut id = [0; 16];
        id[8..].copy_from_slice(&self.sold.to_be_bytes());
        PaymentId(id)
    }

    /// Opens, confirms and presents; the attempt is created.
    pub(crate) fn begin(
        &mut self,
        channel: &str,
        amount: Money,
        operator: Option<&str>,
        token: &str,
        purpose: Purpose,
    ) -> Result<PaymentId, Refusal> {
        let payment = self.next_id();
        let operator = operator.map(Into::into);
        self.take(&Input::Open {
            payment,
            purpose,
            key: String::new(),
            amount,
            subject: String::new(),
            operator,
            training: false,
        });
        self.take(&Input::Confirm { payment, amount });
        let family = self.ctx.routes.iter().find(|r| r.id == channel).expect("a channel").families[0].clone();
        let presented = Presented {
            family: Family::new(family.as_str()),
            evidence: "test".into(),
            masked: String::new(),
            token: token.into(),
            tendered: None,
            channel: Some(channel.into()),
            amount: None,
            duplicate_reason: String::new(),
        };
        match self.try_take(&Input::Present { payment, presented }) {
            Ok(_) => Ok(payment),
            Err(e) => {
                self.take(&Input::Cancel { payment, operator: None });
                Err(e)
            }
        }
    }

    pub(crate) fn prepared(&mut self, payment: PaymentId, attempt: u32) {
        self.take(&Input::Prepared { payment, attempt, result: Ok((vec![9; 60], String::new())) });
    }

    /// The network books it and says yes.
    pub(crate) fn approve(&mut self, payment: PaymentId, attempt: u32) {
        let a = self.till.payment(payment).and_then(|p| p.attempt(attempt)).expect("an attempt").clone();
        if a.kind.takes() || a.kind.gives_back() {
            let books = self.net.booked.entry((a.channel.clone(), a.ids.batch)).or_default();
            books.push((a.kind.takes(), a.amount));
        }
        let mut said = approval(a.amount);
        answered::say(&mut said.extra, answered::FEE, self.charge.as_deref());
        self.take(&Input::Answered { payment, attempt, outcome: Outcome::Approved(said) });
    }

    pub(crate) fn sell_by(
        &mut self,
        channel: &str,
        amount: Money,
        operator: Option<&str>,
        token: &str,
    ) -> PaymentId {
        let id = self.begin(channel, amount, operator, token, Purpose::Sale).expect("it is taken");
        self.prepared(id, 1);
        self.approve(id, 1);
        id
    }

    pub(crate) fn sell(&mut self, channel: &str, minor: i64) -> PaymentId {
        self.sell_by(channel, fen(minor), None, "")
    }

    /// A leg, approved; the attempt's number.
    pub(crate) fn leg(
        &mut self,
        payment: PaymentId,
        kind: LegKind,
        amount: Option<Money>,
    ) -> Result<u32, Refusal> {
        if self.till.payment(payment).is_none() {
            let own = self.records.iter().filter(|(_, _, r)| r.payment() == Some(payment));
            let p = Till::fold_payment(payment, own.map(|(s, w, r)| (*s, *w, r))).expect("in the journal");
            self.till.adopt(p);
        }
        self.try_take(&Input::Leg {
            payment,
            kind,
            of: 0,
            amount,
            key: String::new(),
            reason: "test".into(),
            operator: Some("lead".into()),
        })?;
        let attempt = self.till.payment(payment).and_then(|p| p.attempts.last()).expect("a leg").ids.attempt;
        self.prepared(payment, attempt);
        self.approve(payment, attempt);
        Ok(attempt)
    }

    /// Runs one waiting effect; false: none is left.
    pub(crate) fn step(&mut self) -> bool {
        let Some(effect) = self.queue.pop_front() else { return false };
        let input = match effect {
            Effect::SettleAfter { batch, part, .. } => Input::GoOnSettling { batch, part },
            Effect::Settle { batch, part, ids, again, totals, .. } => {
                self.net.asked.push((part.channel.clone(), ids.batch, ids.order.clone()));
                let outcome = self.compare(&part, ids.batch, again, &totals);
                Input::Settled { batch, part, trace: ids.trace, outcome }
            }
            Effect::UploadRecords { batch, part, ids, entries, end, .. } => {
                self.net.asked.push((part.channel.clone(), ids.batch, ids.order.clone()));
                let outcome = self.upload(&part, ids.batch, &entries, end);
                Input::Uploaded { batch, part, trace: ids.trace, outcome }
            }
            _ => return true,
        };
        match self.try_take(&input) {
            Ok(_) | Err(Refusal::Stale) => true,
            Err(e) => panic!("{input:?}: {e}"),
        }
    }

    pub(crate) fn run(&mut self) {
        for _ in 0..100_000 {
            if !self.step() {
                return;
            }
        }
        panic!("the settlement does not come to an end");
    }

    fn compare(
        &mut self,
        part: &PartId,
        network: u32,
        again: bool,
        totals: &till_core::batch::Totals,
    ) -> SettleOutcome {
        match self.net.faults.pop_front().unwrap_or(Fault::None) {
            Fault::Lost => return SettleOutcome::Unknown(Unknown::new(UnknownReason::NoAnswer, "lost")),
            Fault::NotSent => {
                return SettleOutcome::Unknown(Unknown::new(UnknownReason::NoAnswer, "no line"));
            }
            Fault::Unsupported => {
                return SettleOutcome::Unknown(Unknown::new(UnknownReason::Unsupported, "no such thing"));
            }
            Fault::Refused(code) => return SettleOutcome::Refused(decline(code)),
            Fault::None => {}
        }
        if let Some(heals) = self.net.unbalanced {
            let agree = again && heals;
            return if agree { SettleOutcome::Balanced } else { SettleOutcome::Unbalanced };
        }
        let books = self.net.booked.get(&(part.channel.clone(), network)).cloned().unwrap_or_default();
        let side = |debit: bool| {
            let of = books.iter().filter(|(d, _)| *d == debit).map(|(_, m)| m.minor());
            (of.clone().sum::<i64>(), of.count())
        };
        let line = totals.line(Currency::CNY);
        let ours = |s: till_core::batch::Side| (s.amount.minor(), s.count as usize);
        if (ours(line.debits), ours(line.credits)) == (side(true), side(false)) {
            SettleOutcome::Balanced
        } else {
            SettleOutcome::Unbalanced
        }
    }

    fn upload(&mut self, part: &PartId, network: u32, entries: &[Entry], end: bool) -> Outcome {
        let fault = self.net.faults.pop_front().unwrap_or(Fault::None);
        match fault {
            Fault::NotSent => return Outcome::NotSent(decline("no-line")),
            Fault::Unsupported => return Outcome::unsupported("upload"),
            Fault::Refused(code) => return Outcome::Declined(decline(code)),
            Fault::None | Fault::Lost => {}
        }
        if entries.iter().any(|e| self.net.refuses.contains(&e.item)) {
            return Outcome::Declined(decline("30"));
        }
        for entry in entries {
            *self.net.uploaded.entry(entry.item).or_default() += 1;
        }
        if end {
            self.net.ended.insert((part.channel.clone(), network));
        }
        if fault == Fault::Lost {
            return Outcome::Unknown(Unknown::new(UnknownReason::NoAnswer, "lost"));
        }
        Outcome::Approved(approval(fen(1)))
    }

    /// The power goes: what is on disk is all that is left.
    pub(crate) fn crash(&mut self) {
        let mut till = Till::new();
        for (seq, wall_ms, record) in &self.records {
            if let Some(id) = till.lacks(record) {
                let own = self.records.iter().filter(|(s, _, r)| s < seq && r.payment() == Some(id));
                if let Some(p) = Till::fold_payment(id, own.map(|(s, w, r)| (*s, *w, r))) {
                    till.adopt(p);
                }
            }
            till.apply(*seq, *wall_ms, record);
        }
        assert!(till == self.till, "the journal gives another till than the one that ran");
        self.till = till;
        self.queue.clear();
        for step in recover(&self.till) {
            self.apply(&step);
        }
    }

    pub(crate) fn close(&mut self) {
        self.take(&Input::CloseBatch { operator: Some("boss".into()) });
    }

    pub(crate) fn part(&self, batch: u32, channel: &str, network: u32) -> &till_core::batch::Part {
        let id = PartId { channel: channel.into(), network };
        self.till.batches().get(batch).and_then(|b| b.part(&id)).expect("a part")
    }
}
