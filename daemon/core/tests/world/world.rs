//! The shell of this world: appends, applies, runs effects, dies and comes back. As the daemon does it, without a disk.

use std::collections::{BTreeMap, BTreeSet};

use till_core::input::Context;
use till_core::{Effect, Input, PaymentId, Record, Refusal, Step, Till, decide, recover};
use till_plugin::Money;
use till_plugin::channel::{AttemptIds, Outcome, QueryOutcome, UndoOutcome, UnknownReason};
use till_plugin::driver::PrintState;

use crate::check::Watch;
use crate::clock::{At, Clock, Event};
use crate::faults::{Faults, Pay, PayFate, QueryFate, UndoFate};
use crate::host::{Host, Message, What, doubt, no, wrong};
use crate::operator::Operator;
use crate::profile::{self, keeps_order};
use crate::rng::Rng;

/// What happened, for the figures and to see that the world is as bad as it should be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(pub(crate) BTreeMap<String, u64>);

impl Tally {
    pub(crate) fn add(&mut self, what: &str) {
        self.many(what, 1);
    }

    pub(crate) fn many(&mut self, what: &str, n: u64) {
        *self.0.entry(what.to_owned()).or_default() += n;
    }

    pub(crate) fn get(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }
}

pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) till: Till,
    /// What is on disk: encoded records with their wall clock.
    pub(crate) disk: Vec<(i64, Vec<u8>)>,
    /// The same, folded as replay would: compared with the live state after every record.
    shadow: Till,
    pub(crate) hosts: BTreeMap<String, Host>,
    line_free: BTreeMap<String, u64>,
    timers: BTreeMap<(PaymentId, u32), At>,
    pub(crate) vault: BTreeSet<(PaymentId, u32)>,
    pub(crate) armed_for: Option<PaymentId>,
    pub(crate) up: bool,
    pub(crate) operator: Operator,
    pub(crate) watch: Watch,
    pub(crate) tally: Tally,
    wall_skew: i64,
    trace: bool,
}

/// The process died in the middle of a step.
#[derive(Debug)]
pub(crate) struct Died;

impl World {
    pub(crate) fn new(seed: u64, payments: u64, trace: bool) -> Self {
        let mut rng = Rng::new(seed);
        let faults = Faults::new(&mut rng);
        let hosts =
            profile::CHANNELS.iter().map(|(id, _)| ((*id).to_owned(), Host::new(keeps_order(id)))).collect();
        let mut clock = Clock::default();
        clock.after(0, Event::Operator);
        Self {
            rng,
            clock,
            faults,
            till: Till::new(),
            disk: Vec::new(),
            shadow: Till::new(),
            hosts,
            line_free: BTreeMap::new(),
            timers: BTreeMap::new(),
            vault: BTreeSet::new(),
            armed_for: None,
            up: true,
            operator: Operator::new(payments),
            watch: Watch::default(),
            tally: Tally::default(),
            wall_skew: 0,
            trace,
        }
    }

    /// Lives until nothing happens any more.
    pub(crate) fn run(&mut self) {
        let limit = 4_000 * (self.operator.payments + 1);
        let mut events = 0;
        while let Some(event) = self.clock.next() {
            events += 1;
            assert!(events < limit, "the world does not come to rest after {events} events (I24)");
            self.happen(event);
            if self.operator.done && !self.faults.calm {
                self.faults.calm = true;
                self.log(|| "calm".into());
            }
        }
        crate::check::at_rest(self);
    }

    pub(crate) fn log(&self, text: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>9} {}", self.clock.now, text());
        }
    }

    pub(crate) fn context(&self) -> Context {
        Context {
            wall_ms: self.wall(),
            clock_trusted: true,
            routes: profile::routes(),
            terminal: "T1".into(),
            config: "1".into(),
            printer: Some("printer".into()),
            reuse_window_ms: 60_000,
            duplicate_window_ms: 0,
            undo_after_ms: None,
            hold_valid_ms: 30 * 86_400_000,
            job_valid_ms: 7 * 86_400_000,
            rules: till_core::batch::Rules::default(),
        }
    }

    fn wall(&self) -> i64 {
        1_790_000_000_000 + self.wall_skew + i64::try_from(self.clock.now).unwrap_or(0)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Inside(input) => drop(self.input(&input)),
            Event::Timer(payment, attempt) => drop(self.input(&Input::Resolve { payment, attempt })),
            Event::Arrive(message) => self.arrive(&message),
            Event::Customer(channel, order) => {
                if let Some(h) = self.hosts.get_mut(&channel) {
                    h.customer_agrees(&order);
                }
            }
            Event::Operator => {
                if self.rng.below(400) == 0 {
                    // A till without a battery clock: any day of ten years around.
                    self.wall_skew =
                        i64::try_from(self.rng.below(631_152_000_000)).unwrap_or(0) - 315_576_000_000;
                }
                if self.up {
                    Operator::act(self);
                }
                if !self.operator.done {
                    let pause = self.rng.range(50, 3_000);
                    self.clock.after(pause, Event::Operator);
                }
            }
            Event::Restart => self.restart(),
        }
    }

    /// As the daemon's actor: decide, append, apply, act. `Ok(Err)` is a refusal; `Err` a death.
    pub(crate) fn input(&mut self, input: &Input) -> Result<Result<Step, Refusal>, Died> {
        let step = decide(&self.till, input, &self.context());
        self.log(|| format!("{input:?} → {}", outline(&step)));
        match step {
            Ok(step) => {
                if let Some(Record::Tendered { payment, ids, .. }) = &step.record {
                    self.vault.insert((*payment, ids.attempt));
                }
                self.commit(&step)?;
                Ok(Ok(step))
            }
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    fn commit(&mut self, step: &Step) -> Result<(), Died> {
        if let Some(record) = &step.record {
            let crash = self.faults.crash(&mut self.rng);
            if crash == Some(false) {
                self.die("before the record");
                return Err(Died);
            }
            let wall = self.wall();
            let bytes = record.encode().expect("every record encodes");
            assert!(bytes.len() <= till_core::MAX_RECORD, "{} is too long for the journal", record.name());
            self.disk.push((wall, bytes));
            let seq = self.disk.len() as u64;
            let (_, bytes) = &self.disk[self.disk.len() - 1];
            self.shadow.apply(seq, wall, &Record::decode(bytes).expect("what was written can be read"));
            self.tally.add(record.name());
            if crash == Some(true) {
                self.die("after the record");
                return Err(Died);
            }
            self.till.apply(seq, wall, record);
            assert!(self.till == self.shadow, "I7: replay does not give the live state after {record:?}");
            crate::check::after_record(self, record);
        }
        for effect in &step.effects {
            self.effect(effect);
        }
        Ok(())
    }

    fn die(&mut self, when: &str) {
        self.log(|| format!("dies {when}"));
        self.tally.add(&format!("died {when}"));
        self.clock.process_died();
        self.timers.clear();
        self.vault.clear();
        self.armed_for = None;
        self.up = false;
        let pause = self.rng.range(1_000, 5_000);
        self.clock.after(pause, Event::Restart);
    }

    fn restart(&mut self) {
        let mut replayed = Till::new();
        for (seq, (wall, bytes)) in (1..).zip(&self.disk) {
            replayed.apply(seq, *wall, &Record::decode(bytes).expect("what was written can be read"));
        }
        assert!(replayed == self.shadow, "I7: replay from empty differs");
        self.till = replayed;
        self.up = true;
        self.log(|| "restarts".into());
        for step in recover(&self.till) {
            self.log(|| format!("recovery → {}", outline(&Ok(step.clone()))));
            if self.commit(&step).is_err() {
                return;
            }
        }
        assert!(self.till.foreground().is_none(), "the till is free after a restart");
    }

    fn effect(&mut self, effect: &Effect) {
        match effect {
            Effect::Arm { payment, .. } => self.armed_for = Some(*payment),
            Effect::Disarm => self.armed_for = None,
            Effect::Prepare { payment, channel, ids, .. } => {
                let result = if !self.faults.calm && self.rng.chance(5) {
                    Err(no("not-prepared"))
                } else {
                    Ok((self.watch.recovery(channel, ids), "6200****0005".into()))
                };
                let prepared = Input::Prepared { payment: *payment, attempt: ids.attempt, result };
                let ms = self.rng.range(1, 50);
                self.clock.after(ms, Event::Inside(prepared));
            }
            Effect::Authorise { payment, attempt, channel, timeout_ms, .. } => {
                self.authorise(*payment, *attempt, channel, (*timeout_ms).into());
            }
            Effect::ForgetInstrument { payment, attempt } => {
                self.vault.remove(&(*payment, *attempt));
            }
            Effect::ResolveAfter { payment, attempt, after_ms } => {
                let key = (*payment, *attempt);
                let at = self.clock.after(*after_ms, Event::Timer(*payment, *attempt));
                if let Some(old) = self.timers.insert(key, at) {
                    self.clock.cancel(old);
                }
            }
            Effect::Query { payment, attempt, channel, ids, amount, recovery, .. } => {
                self.watch.follow_up(channel, ids, recovery);
                let fate = self.faults.query(&mut self.rng);
                if let QueryFate::Lost = fate {
                    let outcome = QueryOutcome::Unknown(doubt(UnknownReason::NoAnswer));
                    let lost = Input::Queried { payment: *payment, attempt: *attempt, outcome };
                    self.clock.after(5_000, Event::Inside(lost));
                } else {
                    self.send(channel, ids, *amount, What::Query(fate), None);
                }
            }
            Effect::Undo { payment, attempt, channel, ids, amount, recovery, .. } => {
                self.watch.follow_up(channel, ids, recovery);
                let fate = self.faults.undo(&mut self.rng);
                let outcome = match fate {
                    UndoFate::NotSent => Some((50, UndoOutcome::NotSent(no("no-line")))),
                    UndoFate::LostRequest | UndoFate::LostAnswer => {
                        Some((5_000, UndoOutcome::Unknown(doubt(UnknownReason::NoAnswer))))
                    }
                    _ => None,
                };
                if let Some((ms, outcome)) = outcome {
                    let open = Input::Undone { payment: *payment, attempt: *attempt, outcome };
                    self.clock.after(ms, Event::Inside(open));
                }
                if !matches!(fate, UndoFate::NotSent | UndoFate::LostRequest) {
                    self.send(channel, ids, *amount, What::Undo(fate), None);
                }
            }
            Effect::GoOn { payment, after_ms } => {
                self.clock.after(*after_ms, Event::Inside(Input::GoOn { payment: *payment }));
            }
            Effect::AskAcknowledgement { payment, after_ms } => {
                self.clock.after(*after_ms, Event::Inside(Input::NotAcknowledged { payment: *payment }));
            }
            Effect::QueueJob { job } => {
                let ms = self.rng.range(1, 2_000);
                self.clock.after(ms, Event::Inside(Input::SendJob { job: *job }));
            }
            Effect::Print { job, restarted, .. } => {
                let state = match self.rng.below(4) {
                    0 if !self.faults.calm => PrintState::Failed { reason: "paper".into(), partly: true },
                    1 => PrintState::Unconfirmed,
                    _ => PrintState::Done,
                };
                self.watch.print(*job, *restarted);
                self.clock.after(500, Event::Inside(Input::Printed { job: *job, state }));
            }
            Effect::Alarm { code, .. } => self.tally.add(&format!("alarm {code}")),
            Effect::PaymentChanged(id) => {
                assert!(self.till.payment(*id).is_some(), "clients are told of a payment that is not there");
            }
            // No batch is closed here: tests/batches does.
            Effect::BatchChanged { .. }
            | Effect::SettleAfter { .. }
            | Effect::Settle { .. }
            | Effect::UploadRecords { .. }
            | Effect::Shred { .. } => {}
            Effect::ChannelChanged
            | Effect::OpenDrawer { .. }
            | Effect::CancelPrint { .. }
            | Effect::ShowCode { .. }
            | Effect::SignIn { .. } => {}
        }
    }

    fn authorise(&mut self, payment: PaymentId, attempt: u32, channel: &str, timeout_ms: u64) {
        crate::check::before_sending(self, payment, attempt, channel);
        let p = self.till.payment(payment).expect("the payment that is sent");
        let (ids, amount) = (p.attempts[p.attempts.len() - 1].ids.clone(), p.amount);
        let customer = Faults::customer(&mut self.rng, channel);
        let fate = self.faults.pay(&mut self.rng);
        self.log(|| format!("pay {} {customer:?} {fate:?}", ids.order));
        let unknown = |reason| Outcome::Unknown(doubt(reason));
        let gave_up = match fate {
            PayFate::NotSent => Some((20, Outcome::NotSent(no("no-line")))),
            PayFate::LostRequest | PayFate::LostAnswer | PayFate::LateAnswer => {
                Some((timeout_ms, unknown(UnknownReason::NoAnswer)))
            }
            PayFate::Slow(_) => Some((100, unknown(UnknownReason::Broken))),
            PayFate::PluginDied => Some((300, unknown(UnknownReason::PluginDied))),
            PayFate::Well | PayFate::AnsweredTwice | PayFate::Wrong(_) => None,
        };
        if let Some((ms, outcome)) = gave_up {
            self.clock.after(ms, Event::Inside(Input::Answered { payment, attempt, outcome }));
        }
        if matches!(fate, PayFate::NotSent | PayFate::LostRequest) {
            return;
        }
        let delay = if let PayFate::Slow(ms) = fate { Some(ms) } else { None };
        if let Pay::Pending(_) = customer
            && self.rng.chance(40)
        {
            let ms = self.rng.range(1_000, 30_000);
            self.clock.after(ms, Event::Customer(channel.into(), ids.order.clone()));
        }
        self.send(channel, &ids, amount, What::Pay(customer, fate), delay);
    }

    fn send(&mut self, channel: &str, ids: &AttemptIds, amount: Money, what: What, delay: Option<u64>) {
        let mut at = self.clock.now + delay.unwrap_or_else(|| self.rng.range(5, 200));
        if keeps_order(channel) {
            let free = self.line_free.entry(channel.into()).or_default();
            at = at.max(*free);
            *free = at;
        }
        let message = Message { channel: channel.into(), ids: ids.clone(), amount, what, life: self.lives() };
        self.clock.after(at - self.clock.now, Event::Arrive(message));
    }

    fn arrive(&mut self, m: &Message) {
        let now = self.clock.now;
        let lag = match m.what {
            What::Pay(_, PayFate::Slow(_)) => 0,
            _ => self.faults.lag(&mut self.rng),
        };
        let host = self.hosts.get_mut(&m.channel).expect("a host of each channel");
        let (payment, attempt) = (PaymentId(m.ids.payment), m.ids.attempt);
        let mut answers: Vec<(u64, Input)> = Vec::new();
        match m.what {
            What::Pay(customer, fate) => {
                let outcome = match (host.pay(m, customer, lag, now), fate) {
                    (Outcome::Approved(a), PayFate::Wrong(w)) => Outcome::Approved(wrong(a, w)),
                    (outcome, _) => outcome,
                };
                let answer = |ms| (ms, Input::Answered { payment, attempt, outcome: outcome.clone() });
                match fate {
                    PayFate::Well | PayFate::Wrong(_) => answers.push(answer(50)),
                    PayFate::AnsweredTwice => answers.extend([answer(50), answer(90)]),
                    PayFate::LateAnswer => answers.push(answer(11_000)),
                    _ => {}
                }
            }
            What::Query(fate) => {
                let outcome = host.query(m, fate, now);
                let answer = |ms| (ms, Input::Queried { payment, attempt, outcome: outcome.clone() });
                answers.push(answer(50));
                if let QueryFate::AnsweredTwice = fate {
                    answers.push(answer(90));
                }
            }
            What::Undo(fate) => {
                let outcome = host.undo(m, fate, now);
                let answer = |ms| (ms, Input::Undone { payment, attempt, outcome: outcome.clone() });
                match fate {
                    UndoFate::LostAnswer => {}
                    UndoFate::AnsweredTwice => answers.extend([answer(50), answer(90)]),
                    _ => answers.push(answer(50)),
                }
            }
        }
        // Whoever asked may be dead by now: then the answer reaches nobody.
        if self.up && m.life == self.lives() {
            for (ms, input) in answers {
                self.clock.after(ms, Event::Inside(input));
            }
        }
    }

    /// Deaths so far: tells the lives of the process apart.
    pub(crate) fn lives(&self) -> u64 {
        self.tally.get("died before the record") + self.tally.get("died after the record")
    }
}

fn outline(step: &Result<Step, Refusal>) -> String {
    match step {
        Ok(s) => format!("{:?} {:?}", s.record, s.effects),
        Err(r) => format!("refused: {r}"),
    }
}
