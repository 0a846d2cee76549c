//! The actor: decide, make durable, take in, publish, answer, act. One input at a time.

mod commit;
mod present;

use std::sync::Arc;

use till_core::input::{Context, Input};
use till_core::recognise::Table;
use till_core::{PaymentId, Refusal, Shell};
use till_journal::Journal;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::service::clock::TillClock;
use crate::till::effects::Effects;
use crate::till::settlement;
use crate::till::shredding::Shredding;
use crate::till::standing::Standings;
use crate::till::vault::{Held, Vault};
use crate::till::view::Published;
use crate::till::{Change, Handle, Message, Presentation, Routes, Statistics, TillError};

/// What the actor is made from.
pub struct Parts {
    /// Folder of the device statistics.
    pub statistics: std::path::PathBuf,
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
    pub sealing: crate::till::Sealing,
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
    pub devices: crate::till::devices::Starter,
    /// Adds channels.
    pub channels: crate::till::channels::Starter,
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
    let readers = Arc::new(crate::till::devices::Readers::new(parts.drawer.clone(), parts.codes.clone()));
    let worn = published.clone();
    let statistics = Statistics::new(parts.statistics.clone(), move |due| {
        tracing::warn!(DEVICE = due.device, "{due}");
        let (text, code) = (due.to_string(), "service-due".into());
        worn.tell(Change::Alarm { level: "warning", code, payment: None, text });
    });
    let handle = Handle {
        tenders: Arc::default(),
        messages,
        published: published.clone(),
        routes: routes.clone(),
        sealing: parts.sealing.clone(),
        readers: readers.clone(),
        pads: Arc::default(),
        cards: Arc::default(),
        inquiries: crate::till::inquiry::Inquiries::default(),
        statistics,
    };
    let vault = Arc::new(Vault::default());
    let printer = crate::till::printer::start(handle.clone(), parts.printer.clone(), parts.receipts.clone());
    let effects = Effects {
        handle: handle.clone(),
        vault: vault.clone(),
        readers: readers.clone(),
        printer: printer.clone(),
        receipts: parts.receipts.clone(),
        journal: parts.journal.clone(),
        timers: Arc::default(),
        pace: Arc::default(),
        shredding: Shredding::default(),
    };
    let counter = Arc::new(crate::till::counter::Counter::default());
    crate::till::counter::start(handle.clone(), counter.clone(), parts.receipts.shop.language, notices);
    let devices = crate::till::devices::Starter { handle: handle.clone(), readers, printer, counter };
    let channels = crate::till::channels::Starter { handle: handle.clone() };
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
            self.again.extend(crate::till::failover::again(payment, held, &self.parts.codes));
        }
    }

    /// A PIN that was wrong is asked for again with the same card, under new numbers, a few times.
    fn note_wrong_pin(&mut self, id: PaymentId) {
        let Some(payment) = self.parts.shell.till().payment(id) else { return };
        let Some(last) = payment.attempts.last() else { return };
        let Some(held) = self.vault.get(id, last.ids.attempt).filter(Held::had_pin) else { return };
        let description = self.routes.get(&last.channel).and_then(|view| view.description);
        let wrong = |code: &str| description.as_ref().is_some_and(|d| crate::till::pin::is_wrong(d, code));
        if till_core::wrong_pin::asks_again(payment, wrong) {
            self.again.extend(crate::till::failover::with_pin(payment, held, &self.parts.codes));
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
        self.commit(next).await?;
        if matches!(input, Input::Open { .. } | Input::Resume { .. }) {
            // A payment comes first: nobody types a PIN for anything else while a customer pays.
            self.effects.handle.give_up_inquiry(crate::till::inquiry::GivenUp::PaymentBegan);
        }
        Ok(())
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
            match crate::till::history::find(&self.parts.journal, id) {
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
            routes: self.effects.handle.inquiries.asked(self.routes.views()),
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
}
