//! The actor: decide, make durable, take in, publish, answer, act. One input at a time.

use std::sync::Arc;

use till_core::batch::BatchEvent;
use till_core::input::{Context, Input, Presented};
use till_core::recognise::{Recognised, Table, recognise};
use till_core::record::{KIND, Record};
use till_core::{Durable, Next, PaymentId, PaymentState, Pending, Refusal, Shell};
use till_journal::{Journal, JournalError, NewRecord, Urgency};
use till_plugin::Family;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::effects::Effects;
use super::notices::{self, Owed};
use super::settlement;
use super::standing::Standings;
use super::vault::Vault;
use super::view::Published;
use super::{Change, Handle, Message, Presentation, Routes, TillError};
use crate::service::clock::TillClock;

/// What the actor is made from.
pub struct Parts {
    /// Device statistics.
    pub statistics: Arc<super::Statistics>,
    /// The journal, open.
    pub journal: Journal,
    /// The state that was replayed from it.
    pub shell: Shell,
    /// Keeps snapshots of the state in the journal.
    pub upkeep: crate::service::upkeep::Upkeep,
    /// Clock.
    pub clock: Arc<TillClock>,
    /// Terminal id.
    pub terminal: String,
    /// Configuration version.
    pub config: String,
    /// Printer instance that prints receipts.
    pub printer: Option<String>,
    /// Device that is the cash drawer; None: the first one that has a drawer.
    pub drawer: Option<String>,
    /// Code rules.
    pub codes: Table,
    /// Reuse window, ms.
    pub reuse_window_ms: i64,
    /// Window of possible duplicates, ms; 0: none.
    pub duplicate_window_ms: i64,
    /// A sale that only a restart found is given back unless it is acknowledged within this many ms.
    pub undo_after_ms: Option<u64>,
    /// How long a hold is good, ms.
    pub hold_valid_ms: i64,
    /// How long a receipt waits for paper, ms.
    pub job_valid_ms: i64,
    /// Rules of batches and limits.
    pub rules: till_core::batch::Rules,
    /// Key for instrument tokens.
    pub token_key: Zeroizing<[u8; 32]>,
    /// Seals recovery data.
    pub sealing: super::Sealing,
    /// Makes receipts.
    pub receipts: Arc<crate::receipts::Receipts>,
}

pub(super) struct Actor {
    parts: Parts,
    published: Arc<Published>,
    routes: Arc<Routes>,
    vault: Arc<Vault>,
    effects: Effects,
    standings: Standings,
    again: Vec<Presentation>,
    stopping: bool,
}

/// A till that is ready to run, and what is needed to fill it.
pub struct Started {
    /// Access for the rest of the daemon.
    pub handle: Handle,
    /// What clients are told.
    pub changes: mpsc::UnboundedReceiver<Change>,
    /// Adds devices.
    pub devices: super::devices::Starter,
    /// Adds channels.
    pub channels: super::channels::Starter,
    /// The actor itself; [`Run::go`] once devices and channels are added, so that what a restart finds open is resolved
    /// on channels that are known.
    pub run: Run,
}

/// An actor that does not run yet.
pub struct Run(Actor, mpsc::Receiver<Message>);

impl Run {
    /// Recovers what a restart finds, then takes inputs.
    pub fn go(self) {
        settlement::tick(self.0.effects.handle.clone());
        tokio::spawn(self.0.run(self.1));
    }
}

/// Makes the actor and its helpers.
pub fn start(parts: Parts) -> Started {
    let (messages, receiver) = mpsc::channel(256);
    let (published, changes, notices) = Published::new();
    let routes = Arc::new(Routes::new(parts.shell.till().suspensions().now().clone()));
    let readers = Arc::new(super::devices::Readers::new(parts.drawer.clone(), parts.codes.clone()));
    let handle = Handle {
        tenders: Arc::default(),
        messages,
        published: published.clone(),
        routes: routes.clone(),
        sealing: parts.sealing.clone(),
        readers: readers.clone(),
        cards: Arc::default(),
        statistics: parts.statistics.clone(),
    };
    let vault = Arc::new(Vault::default());
    let printer = super::printer::start(handle.clone(), parts.printer.clone(), parts.receipts.clone());
    let effects = Effects {
        handle: handle.clone(),
        vault: vault.clone(),
        readers: readers.clone(),
        printer: printer.clone(),
        receipts: parts.receipts.clone(),
        journal: parts.journal.clone(),
        timers: Arc::default(),
        pace: Arc::default(),
    };
    let counter = Arc::new(super::counter::Counter::default());
    super::counter::start(handle.clone(), counter.clone(), parts.receipts.shop.language, notices);
    let devices = super::devices::Starter { handle: handle.clone(), readers, printer, counter };
    let channels = super::channels::Starter { handle: handle.clone() };
    let standings =
        Standings::new(&parts.rules, &parts.journal, parts.shell.till(), parts.clock.now().boottime_ms);
    let actor =
        Actor { parts, published, routes, vault, effects, standings, again: Vec::new(), stopping: false };
    Started { handle, changes, devices, channels, run: Run(actor, receiver) }
}

impl Actor {
    async fn run(mut self, mut receiver: mpsc::Receiver<Message>) {
        self.published.current(self.parts.shell.till().current_channel());
        self.publish_batch(self.parts.shell.till().batches().open_number());
        self.published.in_training(self.parts.shell.till().is_training());
        // What a restart finds comes before anything else.
        let steps =
            self.parts.shell.recover().unwrap_or_else(|e| Self::fatal(&TillError::Journal(e.to_string())));
        for next in steps {
            if let Err(e) = self.commit(next).await {
                Self::fatal(&e);
            }
        }
        for payment in self.parts.shell.till().open_payments().map(|p| p.id).collect::<Vec<_>>() {
            self.publish(payment, None);
        }
        self.standings.ask(&self.effects.handle);
        self.stand();
        while let Some(message) = receiver.recv().await {
            match message {
                Message::Input(input, reply) => {
                    let result = match self.input(&input).await {
                        Err(TillError::Journal(text)) => match Shell::unwritten(&input, &text) {
                            Some(instead) => self.input(&instead).await,
                            None => Err(TillError::Journal(text)),
                        },
                        other => other,
                    };
                    // What its channel did not take is on its way to the next one by now.
                    if let Input::Answered { payment, attempt, .. } = &*input {
                        self.vault.forget(*payment, *attempt);
                    }
                    if let Some(reply) = reply {
                        // A caller that left does not undo what it asked for.
                        let _left = reply.send(result);
                    } else {
                        let tick = matches!(*input, Input::Tick);
                        Self::unasked(&input, result);
                        if tick {
                            self.ticked().await;
                        }
                    }
                }
                Message::Look(look) => look(self.parts.shell.till()),
                Message::Weigh(weigh) => weigh(self.parts.shell.till(), &self.context()),
                Message::Answers { channel } => {
                    self.standings.answers(&channel);
                    self.stand();
                }
                Message::AskNetworks => {
                    self.standings.ask(&self.effects.handle);
                    self.stand();
                }
                Message::Present(presentation) => self.present(*presentation).await,
                Message::Stop(reply) => {
                    self.stopping = true;
                    let _left = reply.send(());
                    break;
                }
            }
            while let Some(presentation) = self.again.pop() {
                self.present(presentation).await;
            }
        }
    }

    /// The result of an input that nobody waits for.
    fn unasked(input: &Input, result: Result<(), TillError>) {
        match result {
            // The clock comes again; until there is room nothing is lost by waiting.
            Err(TillError::Journal(e))
                if matches!(input, Input::Tick | Input::ExpireHold { .. } | Input::ExpireJob { .. }) =>
            {
                tracing::warn!("{e}");
            }
            Ok(()) | Err(TillError::Refused(Refusal::Stale)) => {}
            Err(TillError::Refused(refusal)) => tracing::warn!(%refusal, "an input was refused"),
            // An answer of a channel that cannot be made durable must not be forgotten: end, and resolve it after the
            // restart from what is on disk.
            Err(e) => Self::fatal(&e),
        }
    }

    /// What else time ends: holds and receipts that waited for paper too long.
    async fn ticked(&mut self) {
        self.effects.handle.cards.tidy();
        self.standings.ask(&self.effects.handle);
        self.stand();
        let till = self.parts.shell.till();
        let holds =
            till.open_payments().filter(|p| p.hold().is_some()).map(|p| Input::ExpireHold { payment: p.id });
        let jobs = till.jobs().keys().map(|job| Input::ExpireJob { job: *job });
        for input in holds.chain(jobs).collect::<Vec<_>>() {
            let result = self.input(&input).await;
            Self::unasked(&input, result);
        }
    }

    fn stand(&self) {
        let ctx = self.context();
        let standings = self.standings.all(&ctx, self.parts.shell.till().merchants());
        self.stand_profile(&ctx);
        for (id, old) in self.routes.stand(standings) {
            self.published.tell(Change::Channel { id, old });
        }
    }

    fn stand_profile(&self, ctx: &Context) {
        let now = ctx.rules.now(ctx.wall_ms, ctx.clock_trusted);
        self.published.stand(&till_core::profile::outlook(&ctx.rules.routing.policy.profiles, now));
    }

    fn note_failover(&mut self, id: PaymentId) {
        let Some(payment) = self.parts.shell.till().payment(id) else { return };
        let held = payment.attempts.last().and_then(|last| self.vault.get(id, last.ids.attempt));
        if let Some(held) = held
            && till_core::routing::failover(payment, &self.context()).is_some()
        {
            self.again.extend(super::failover::again(payment, held, &self.parts.codes));
        }
    }

    fn publish_batch(&self, number: u32) {
        let book = self.parts.shell.till().batches();
        let date = book.date().map(|d| d.to_string()).unwrap_or_default();
        self.published.batch(book.open_number(), date);
        if let Some(batch) = book.get(number) {
            self.published.tell(Change::Batch { number, state: batch.state.as_str() });
        }
    }

    fn fatal(error: &TillError) -> ! {
        tracing::error!(%error, "the journal refuses; tilld ends so that a restart resolves what is open");
        crate::service::die()
    }

    async fn input(&mut self, input: &Input) -> Result<(), TillError> {
        if self.stopping && matches!(input, Input::Open { .. } | Input::Confirm { .. }) {
            return Err(TillError::Stopping);
        }
        if let Some(id) = input.payment() {
            self.recall(id);
        }
        if matches!(input, Input::Open { .. }) {
            self.end_the_day().await;
            // Whoever opens a sale sees what is offered for it.
            self.stand_profile(&self.context());
        }
        let next = self.parts.shell.decide(input, &self.context())?;
        self.commit(next).await
    }

    /// The clock may have ended the day, or stepped over its end, since it was last looked at: a sale that is opened now
    /// is of the next one.
    async fn end_the_day(&mut self) {
        let result = match self.parts.shell.decide(&Input::Tick, &self.context()) {
            Ok(next) => self.commit(next).await,
            Err(e) => Err(e.into()),
        };
        Self::unasked(&Input::Tick, result);
    }

    /// A finished payment that has left memory comes back from the journal: somebody wants a refund of it, or an answer
    /// to it came very late.
    fn recall(&mut self, id: PaymentId) {
        if self.parts.shell.till().payment(id).is_none() {
            match super::history::find(&self.parts.journal, id) {
                Ok(Some(payment)) => self.parts.shell.adopt(payment),
                Ok(None) => {}
                Err(e) => tracing::error!(PAYMENT = %id, "cannot be read: {e}"),
            }
        }
    }

    fn context(&self) -> Context {
        let now = self.parts.clock.now();
        Context {
            wall_ms: now.wall_ms,
            clock_trusted: now.clock_ok,
            routes: self.routes.views(),
            terminal: self.parts.terminal.clone(),
            config: self.parts.config.clone(),
            printer: self.parts.printer.clone(),
            reuse_window_ms: self.parts.reuse_window_ms,
            duplicate_window_ms: self.parts.duplicate_window_ms,
            undo_after_ms: self.parts.undo_after_ms,
            hold_valid_ms: self.parts.hold_valid_ms,
            job_valid_ms: self.parts.job_valid_ms,
            rules: till_core::batch::Rules {
                routing: self.standings.routing(now.boottime_ms),
                ..settlement::rules(&self.parts.rules, now.wall_ms, self.routes.batch_limits())
            },
        }
    }

    /// Makes a step durable, takes it in, publishes, and runs its effects.
    async fn commit(&mut self, next: Next) -> Result<(), TillError> {
        let effects = match next {
            Next::Act(effects) => effects,
            Next::Write(mut pending) => {
                if let Record::Batch(BatchEvent::Frozen { .. }) = pending.record()
                    && let Err(e) = self.parts.sealing.next_epoch().await
                {
                    // What the next batch seals shares a key with this one: it only lives longer.
                    tracing::warn!("{e}");
                }
                let at = self.append(&mut pending).await?;
                let owed = notices::owed(pending.record());
                let noted = Standings::before(self.parts.shell.till(), pending.record());
                let ended = match pending.record() {
                    Record::NotSent { payment, .. } | Record::Declined { payment, .. } => Some(*payment),
                    _ => None,
                };
                let standing =
                    matches!(pending.record(), Record::Merchant { .. } | Record::Maintenance { .. })
                        .then(|| pending.record().clone());
                let effects = self.parts.shell.durable(pending, at);
                if let Some(record) = standing {
                    let boottime_ms = self.parts.clock.now().boottime_ms;
                    self.standings.changed(&record, self.parts.shell.till(), boottime_ms);
                    self.stand();
                }
                let wall_ms = self.parts.clock.now().wall_ms;
                if noted.is_some_and(|noted| self.standings.after(&noted, &self.effects.handle, wall_ms)) {
                    self.stand();
                }
                if let Some(payment) = ended {
                    self.note_failover(payment);
                }
                let (till, published) = (self.parts.shell.till(), &self.published);
                match owed {
                    Some(Owed::Day) => published.tell(Change::Notice { seq: till.seq(), payment: None }),
                    // Nothing is told of training: no money moved (I17).
                    Some(Owed::About(id)) if !till.payment(id).is_some_and(|p| p.training) => {
                        published.tell(Change::Notice { seq: till.seq(), payment: Some(id) });
                    }
                    _ => {}
                }
                self.parts.upkeep.after(self.parts.shell.till());
                effects
            }
        };
        let (readers, effects) = effects.into_iter().partition::<Vec<_>, _>(|e| {
            matches!(e, till_core::Effect::Arm { .. } | till_core::Effect::Disarm)
        });
        let asks = readers.iter().any(|e| matches!(e, till_core::Effect::Arm { .. }));
        for effect in readers {
            self.effects.run(effect, self.parts.shell.till());
        }
        if asks {
            // Whoever hears that something may be presented presents it in the next instant: a reader that is armed
            // after that takes it for what lay about before, and it is lost.
            self.effects.readers.settled().await;
        }
        for effect in effects {
            match effect {
                till_core::Effect::PaymentChanged(id) => {
                    self.effects.pace.served();
                    self.publish(id, None);
                }
                till_core::Effect::BatchChanged { batch } => self.publish_batch(batch),
                till_core::Effect::ChannelChanged => {
                    self.published.current(self.parts.shell.till().current_channel());
                    self.published.tell(Change::CurrentChannel);
                }
                till_core::Effect::TrainingChanged => {
                    self.published.in_training(self.parts.shell.till().is_training());
                    self.published.tell(Change::Training);
                }
                till_core::Effect::SuspensionChanged { channel } => {
                    let now = self.parts.shell.till().suspended(&channel).cloned();
                    if let Some((old, _)) = self.routes.change(&channel, |view| view.suspended = now) {
                        self.published.tell(Change::Channel { id: channel, old });
                    }
                }
                till_core::Effect::ShowCode { payment, code } => {
                    self.publish(payment, Some(code.clone()));
                    self.published.tell(Change::ShowCode { payment, code });
                }
                effect => self.effects.run(effect, self.parts.shell.till()),
            }
        }
        Ok(())
    }

    async fn append(&mut self, pending: &mut Pending) -> Result<Durable, TillError> {
        let (subject, payload) = (pending.subject(), pending.take_payload());
        let record = pending.record();
        let urgency = if record.is_finishing() { Urgency::Finish } else { Urgency::New };
        let result =
            match self.parts.journal.append(vec![NewRecord { kind: KIND, subject, payload }], urgency) {
                Ok(ticket) => ticket.await,
                Err(e) => Err(e),
            };
        match result {
            Ok(appended) => {
                if self.published.journal_trouble().is_some() {
                    self.published.journal_problem(None);
                }
                Ok(Durable::new(appended.last, appended.stamp.wall_ms))
            }
            Err(e) => {
                tracing::error!(error = %e, record = record.name(), "the journal refused a record");
                self.published.journal_problem(Some(e.to_string()));
                if matches!(e, JournalError::Poisoned { .. }) {
                    self.published.tell(Change::Alarm {
                        level: "critical",
                        code: "journal".into(),
                        payment: record.payment(),
                        text: e.to_string(),
                    });
                }
                Err(TillError::Journal(e.to_string()))
            }
        }
    }

    fn publish(&self, id: PaymentId, show_code: Option<String>) {
        if let Some(payment) = self.parts.shell.till().payment(id) {
            let printed =
                payment.receipt_job.is_some_and(|job| !self.parts.shell.till().jobs().contains_key(&job));
            self.published.active(self.parts.shell.till().foreground().map(|p| p.id));
            let attempt = payment.attempts.last();
            tracing::info!(
                PAYMENT = %id,
                SEQ = payment.seq,
                CHANNEL = attempt.map(|a| a.channel.as_str()),
                attempt = attempt.map(|a| a.state.as_str()),
                "payment is {}",
                payment.state.as_str()
            );
            self.published.payment(payment, printed, show_code);
        }
    }

    async fn present(&mut self, p: Presentation) {
        let (payment, device) = (p.payment, p.device.clone().unwrap_or_default());
        let (result, families) = self.try_present(&p).await;
        if let Err(TillError::Refused(refusal)) = &result
            && !matches!(refusal, Refusal::Stale)
        {
            let (text, text_zh) = match refusal {
                Refusal::NoRoute { en, zh } => (en.clone(), zh.clone()),
                other => (other.to_string(), other.to_string()),
            };
            let reason = crate::bus::errors::refusal_code(refusal).to_owned();
            tracing::info!(PAYMENT = %payment, DEVICE = device, reason, "not taken: {text}");
            self.published.tell(Change::InputRefused { payment, device, reason, text, text_zh, families });
        }
        if let Some(reply) = p.reply {
            let _left = reply.send(result);
        } else {
            self.unasked_present(result);
        }
    }

    fn unasked_present(&self, result: Result<(), TillError>) {
        if let Err(e @ TillError::Journal(_)) = result {
            // Nothing was begun: the customer presents again once there is room.
            self.published.tell(Change::Alarm {
                level: "critical",
                code: "journal".into(),
                payment: None,
                text: e.to_string(),
            });
        }
    }

    async fn try_present(&mut self, p: &Presentation) -> (Result<(), TillError>, Vec<String>) {
        let (family, evidence) = match self.family(p) {
            Ok(found) => found,
            Err((refusal, families)) => return (Err(refusal.into()), families),
        };
        let presented = Presented {
            family: family.clone(),
            evidence,
            masked: p.instrument.masked(),
            token: super::vault::token(&self.parts.token_key, &p.instrument),
            tendered: super::vault::tendered(&p.instrument),
            channel: p.channel.clone(),
            amount: p.amount.or_else(|| {
                // What a reader reads pays what the operator said it would.
                p.device.as_ref().and_then(|_| self.effects.handle.take_tender(p.payment))
            }),
            duplicate_reason: p.duplicate_reason.clone(),
        };
        let masked = presented.masked.clone();
        let payment = p.payment;
        let input = if p.again {
            Input::FailOver { payment, presented }
        } else {
            Input::Present { payment, presented }
        };
        let next = match self.parts.shell.decide(&input, &self.context()) {
            Ok(next) => next,
            Err(e) => return (Err(e.into()), Vec::new()),
        };
        self.published.tell(Change::Presented {
            payment: p.payment,
            device: p.device.clone().unwrap_or_default(),
            family: family.to_string(),
            masked,
        });
        let attempt = match next.record() {
            Some(Record::Tendered { ids, .. }) => Some(ids.attempt),
            // The card, once more, for the leg that waits for it.
            Some(Record::LegPresented { .. }) => self
                .parts
                .shell
                .till()
                .payment(p.payment)
                .and_then(|p| p.open_attempt())
                .map(|a| a.ids.attempt),
            _ => None,
        };
        if let Some(attempt) = attempt {
            self.vault.put(p.payment, attempt, p.instrument.clone(), p.channel.clone());
        }
        let result = self.commit(next).await;
        if let (Err(_), Some(attempt)) = (&result, attempt) {
            // No attempt, so nobody will need what was presented.
            self.vault.forget(p.payment, attempt);
        }
        (result, Vec::new())
    }

    /// What it is: as the operator says, else as recognised. The families to choose from come with a refusal.
    fn family(&self, p: &Presentation) -> Result<(Family, String), (Refusal, Vec<String>)> {
        let takes = self.parts.shell.till().payment(p.payment).is_some_and(|p| {
            matches!(p.state, PaymentState::Ready | PaymentState::PartPaid)
                || p.open_attempt().is_some_and(|a| a.wants_instrument)
        });
        if !takes {
            // The right refusal comes from the machine.
            return Ok((Family::new("unknown"), "none".into()));
        }
        if let Some(said) = &p.family {
            return Ok((Family::new(said.clone()), "operator".into()));
        }
        match recognise(&p.instrument, &self.parts.codes) {
            Recognised::Instrument { family, evidence } => Ok((family, evidence)),
            Recognised::Goods => {
                Err((Refusal::NotPayable("this is an article number, not a payment code".into()), Vec::new()))
            }
            Recognised::Refused { text, .. } => Err((Refusal::NotPayable(text), Vec::new())),
            Recognised::Ambiguous { families } => {
                let names = families.iter().map(ToString::to_string).collect();
                Err((
                    Refusal::NotPayable(
                        "this code could be several things: the operator must say which".into(),
                    ),
                    names,
                ))
            }
            Recognised::Unknown { text } => {
                let channels = self.routes.all();
                let families = channels.iter().flat_map(super::ChannelView::families).map(|f| f.to_string());
                let mut names: Vec<String> =
                    families.filter(|f| f.starts_with("qr-") && f != Family::QR_SHOWN).collect();
                names.sort();
                names.dedup();
                Err((Refusal::NotPayable(text), names))
            }
        }
    }
}
