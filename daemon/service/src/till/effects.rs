//! Runs the effects of durable steps: calls to channels, timers, readers, printer, drawer, alarms.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use till_core::batch::{Batch, slip as batch_slip};
use till_core::effect::Effect;
use till_core::input::Input;
use till_core::receipt::{self, Shop};
use till_core::record::KIND;
use till_core::{LegKind, PaymentId, Till};
use till_hosts::{ChannelClient, HostError};
use till_journal::Journal;
use till_plugin::channel::{
    AttemptIds, Decline, DeclineClass, Follow, FollowUp, Operation, Outcome, Prepared, QueryOutcome, SignIn,
    UndoOutcome, UndoReason, Unknown, UnknownReason,
};
use till_plugin::document::Document;
use till_plugin::{Extra, Money, Sensitive};
use tokio::task::AbortHandle;

use super::devices::Readers;
use super::pace::Pace;
use super::printer::PrinterHandle;
use super::request::{self, Request};
use super::settlement;
use super::shredding::Shredding;
use super::vault::Vault;
use super::{Change, Handle};
use crate::receipts::{Printable, Receipts};

/// Longest a channel may take to prepare (it talks to nobody).
const PREPARE: Duration = Duration::from_secs(10);
/// Longest for a query, an undo, a sign-in.
pub(super) const EXCHANGE: Duration = Duration::from_secs(75);
/// How long a follow-up waits for a channel whose process is coming back.
const COMING_BACK: Duration = Duration::from_secs(15);

type Timers = Mutex<HashMap<(PaymentId, u32), AbortHandle>>;

#[derive(Clone)]
pub(super) struct Effects {
    pub handle: Handle,
    pub vault: Arc<Vault>,
    pub readers: Arc<Readers>,
    pub printer: PrinterHandle,
    pub receipts: Arc<Receipts>,
    pub journal: Journal,
    pub timers: Arc<Timers>,
    pub pace: Arc<Pace>,
    pub shredding: Shredding,
}

impl Effects {
    /// Starts an effect; nothing here waits, so that the actor goes on.
    pub(super) fn run(&self, effect: Effect, till: &Till) {
        match effect {
            Effect::Arm { payment, amount } => {
                let families =
                    self.handle.routes.all().iter().flat_map(super::ChannelView::families).collect();
                self.readers.arm(payment, amount, families);
            }
            Effect::Disarm => self.readers.disarm(),
            Effect::Prepare { payment, kind, channel, ids, .. } => {
                let attempt = ids.attempt;
                let request = self.request(till, payment, attempt);
                self.spawn(
                    move |e| async move { e.prepare(payment, kind, attempt, &channel, request).await },
                );
            }
            Effect::Authorise { payment, attempt, channel, timeout_ms, .. } => {
                self.spawn(move |e| async move { e.send(payment, attempt, &channel, timeout_ms).await });
            }
            Effect::StopWaiting { payment } => self.handle.pads.stop(payment),
            Effect::ForgetInstrument { payment, attempt } => self.vault.forget(payment, attempt),
            Effect::ResolveAfter { payment, attempt, after_ms } => {
                self.resolve_after(payment, attempt, after_ms);
            }
            Effect::Query { payment, kind, attempt, channel, ids, amount, recovery, number } => {
                let follow = till
                    .payment(payment)
                    .and_then(|p| request::follow(p, p.attempt(attempt)?, None, &self.handle.sealing).ok());
                self.spawn(move |e| async move {
                    let original = e.follow_up(payment, ids, amount, &recovery, number);
                    let outcome = e.query(kind, &channel, original, follow).await;
                    e.handle.tell(Input::Queried { payment, attempt, outcome }).await;
                });
            }
            Effect::Undo { payment, attempt, channel, ids, amount, recovery, reason, number } => {
                self.spawn(move |e| async move {
                    let outcome = e.undo(payment, &channel, ids, amount, &recovery, reason, number).await;
                    e.handle.tell(Input::Undone { payment, attempt, outcome }).await;
                });
            }
            Effect::GoOn { payment, after_ms } => self.tell_after(after_ms, Input::GoOn { payment }),
            Effect::AskAcknowledgement { payment, after_ms } => {
                self.tell_after(after_ms, Input::NotAcknowledged { payment });
            }
            Effect::QueueJob { job } => {
                if let Some(waiting) = till.jobs().get(&job) {
                    self.printer.queue(job, waiting.payment);
                }
            }
            Effect::CancelPrint { job } => self.printer.cancel(job),
            Effect::Print { job, payment, receipt, copy, restarted, .. } => {
                // A receipt that waited for paper may belong to a payment that has left memory.
                let payment = till
                    .payment(payment)
                    .cloned()
                    .or_else(|| super::history::find(&self.journal, payment).ok().flatten());
                match payment.and_then(|p| self.receipt(&p, receipt, copy)) {
                    Some(document) => self.printer.print(job, copy, document, restarted),
                    None => self.printer.give_up(job, "its payment is not in the journal"),
                }
            }
            Effect::PrintSlip { job, batch, copy, restarted, .. } => match till.batches().get(batch) {
                Some(b) => {
                    let slip = slip(&self.handle, &self.receipts.shop, b, copy);
                    self.printer.print(job, copy, slip.into(), restarted);
                }
                None => self.spawn(move |e| async move { e.old_slip(job, batch, copy, restarted).await }),
            },
            Effect::OpenDrawer { reason } => {
                let readers = self.readers.clone();
                let handle = self.handle.clone();
                tokio::spawn(async move {
                    if let Err(text) = readers.open_drawer(reason).await {
                        handle.published.tell(Change::Alarm {
                            level: "warning",
                            code: "drawer".into(),
                            payment: None,
                            text,
                        });
                    }
                });
            }
            Effect::Inquire { channel, number, trace, batch } => {
                // Here, before anything else is decided: what is presented next finds the channel taken.
                if !self.handle.inquiries.granted(number, (trace, batch)) {
                    tracing::info!(
                        CHANNEL = channel,
                        trace,
                        "nobody waits for this balance inquiry any more"
                    );
                }
            }
            Effect::SignIn { channel, trace, batch } => {
                self.spawn(move |e| async move { e.sign_in(channel, trace, batch).await });
            }
            Effect::Alarm { code, payment, text } => {
                let level = match code {
                    "review" | "late-approval" | "cancelled-but-paid" | "answer-mismatch" | "pinning" => {
                        "critical"
                    }
                    _ => "warning",
                };
                tracing::warn!(PAYMENT = payment.map(|p| p.to_string()), code, "{text}");
                self.handle.published.tell(Change::Alarm { level, code: code.into(), payment, text });
            }
            Effect::SettleAfter { batch, part, after_ms } => {
                self.spawn(move |e| async move {
                    tokio::time::sleep(Duration::from_millis(after_ms)).await;
                    let step = async {
                        e.handle.tell(Input::GoOnSettling { batch, part }).await;
                        // The actor answers once it is durable, and what it asks for has begun.
                        drop(e.handle.look(|_| ()).await);
                    };
                    e.pace.step(step).await;
                });
            }
            Effect::Settle { batch, part, ids, again, totals, currency, operator } => {
                let request = settlement::totals(ids, again, &totals, currency, operator);
                let exchange = self.pace.exchange();
                self.spawn(move |e| async move {
                    e.settle(batch, part, request).await;
                    drop(exchange);
                });
            }
            Effect::UploadRecords { batch, part, ids, entries, total, balanced, .. } => {
                let details = settlement::Details::of(till, ids, &entries, total, balanced);
                let exchange = self.pace.exchange();
                self.spawn(move |e| async move {
                    e.upload(batch, part, details).await;
                    drop(exchange);
                });
            }
            Effect::Shred { .. } => self.spawn(|e| async move { e.shred().await }),
            Effect::Train(train) => {
                self.spawn(move |e| async move { e.handle.tell(till_core::training::answer(&train)).await });
            }
            // Published by the actor itself.
            Effect::PaymentChanged(_)
            | Effect::TrainingChanged
            | Effect::SuspensionChanged { .. }
            | Effect::ChannelChanged
            | Effect::BatchChanged { .. }
            | Effect::ShowCode { .. } => {}
        }
    }

    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, f: impl FnOnce(Self) -> F) {
        tokio::spawn(f(self.clone()));
    }

    /// A receipt or slip of a payment as a document.
    fn receipt(&self, payment: &till_core::Payment, number: u64, copy: u32) -> Option<Printable> {
        let facts = receipt::Facts { copy, ..facts(&self.handle, &self.receipts.shop, payment, number) };
        self.receipts.receipt(payment, number, &facts)
    }

    /// The slip of a batch that has left memory.
    async fn old_slip(&self, job: u64, batch: u32, copy: u32, restarted: bool) {
        let journal = self.journal.clone();
        match tokio::task::spawn_blocking(move || super::closed::batch(&journal, batch)).await {
            Ok(Ok(Some(b))) => {
                let slip = slip(&self.handle, &self.receipts.shop, &b, copy);
                self.printer.print(job, copy, slip.into(), restarted);
            }
            Ok(Err(e)) => self.printer.give_up(job, &e.to_string()),
            _ => self.printer.give_up(job, "its batch is not in the journal"),
        }
    }

    fn client(&self, channel: &str) -> Option<ChannelClient> {
        self.handle.routes.get(channel)?.instance.map(ChannelClient::new)
    }

    /// The channel's client once its process takes calls, or why not in time.
    pub(super) async fn client_when_ready(&self, channel: &str) -> Result<ChannelClient, String> {
        let instance = self
            .handle
            .routes
            .get(channel)
            .and_then(|c| c.instance)
            .ok_or_else(|| format!("the channel {channel} is not configured any more"))?;
        match tokio::time::timeout(COMING_BACK, instance.ready()).await {
            Ok(Ok(())) => Ok(ChannelClient::new(instance)),
            Ok(Err(state)) => Err(format!("the channel {channel} is {}: {}", state.as_str(), state.reason())),
            Err(_) => Err(format!("the channel {channel} is not back yet")),
        }
    }

    /// The request of an attempt that is about to be prepared, with its instrument, if it has one.
    fn request(&self, till: &Till, payment: PaymentId, attempt: u32) -> Result<Request, String> {
        let held = self.vault.get(payment, attempt);
        let p = till.payment(payment).ok_or("its payment is not in memory")?;
        let a = p.attempt(attempt).ok_or("its payment has no such attempt")?;
        request::build(p, a, held.and_then(|h| h.instrument), &self.handle.sealing)
    }

    async fn prepare(
        &self,
        payment: PaymentId,
        kind: LegKind,
        attempt: u32,
        channel: &str,
        request: Result<Request, String>,
    ) {
        let refuse = |code: &str, text: String| Err(Decline::local(DeclineClass::Channel, code, text));
        let owes_pin = self.vault.get(payment, attempt).is_some_and(|held| held.owes_pin);
        let result = match (self.client(channel), request) {
            (Some(client), Ok(mut request)) => {
                match self.prepare_with_pin(&client, payment, &mut request, owes_pin).await {
                    Ok(Ok(prepared)) => {
                        let masked = prepared.masked.clone();
                        self.handle.sealing.begin_run().await;
                        match self.handle.sealing.seal(payment.0, KIND, prepared.recovery.expose()) {
                            Ok((sealed, pin)) => {
                                self.vault.request(payment, attempt, request);
                                self.vault.prepared(payment, attempt, prepared, pin);
                                Ok((sealed, masked))
                            }
                            Err(e) => refuse("sealing", e.to_string()),
                        }
                    }
                    Ok(Err(decline)) => Err(decline),
                    // Preparing sends nothing: whatever went wrong, no money can have moved.
                    Err(e) => refuse(e.code(), e.to_string()),
                }
            }
            (None, _) => refuse("no-channel", format!("the channel {channel} is not there")),
            (_, Err(why)) if kind.is_tender() => refuse("no-instrument", why),
            (_, Err(why)) => refuse("not-possible", why),
        };
        self.handle.tell(Input::Prepared { payment, attempt, result }).await;
    }

    async fn send(&self, payment: PaymentId, attempt: u32, channel: &str, timeout_ms: u32) {
        let timeout = Duration::from_millis(timeout_ms.into());
        let held = self.vault.get(payment, attempt).and_then(|h| Some((h.request?, h.prepared?)));
        let outcome = match (self.client(channel), held) {
            (Some(client), Some((request, prepared))) => match &request {
                Request::Tender(r) => client.authorise(r, &prepared, timeout).await,
                Request::Follow(r) => client.follow(r, &prepared, timeout).await,
                Request::Load(r) => client.account(r, timeout).await.map(|o| o.as_outcome()),
            }
            .unwrap_or_else(|e| e.as_outcome()),
            _ => not_sent("the channel is gone, or nothing was prepared"),
        };
        self.handle.tell(Input::Answered { payment, attempt, outcome }).await;
    }

    fn follow_up(
        &self,
        payment: PaymentId,
        ids: AttemptIds,
        amount: Money,
        sealed: &[u8],
        number: u32,
    ) -> Result<FollowUp, String> {
        let recovery = self.handle.sealing.open(payment.0, KIND, sealed).map_err(|e| e.to_string())?;
        Ok(FollowUp {
            ids,
            amount,
            recovery: Sensitive::new(recovery.to_vec()),
            attempt: number,
            extra: Extra::new(),
        })
    }

    async fn query(
        &self,
        kind: LegKind,
        channel: &str,
        original: Result<FollowUp, String>,
        follow: Option<Follow>,
    ) -> QueryOutcome {
        let open = |text: String| QueryOutcome::Unknown(Unknown::new(UnknownReason::NoAnswer, text));
        let original = match original {
            Ok(original) => original,
            Err(e) => return open(e),
        };
        let client = match self.client_when_ready(channel).await {
            Ok(client) => client,
            Err(e) => return open(e),
        };
        let answer = match (kind, follow) {
            (LegKind::Load, _) => client.query_account(&original, EXCHANGE).await,
            (_, Some(follow)) => client.query_follow(&follow, &original, EXCHANGE).await,
            (_, None) => client.query(&original, EXCHANGE).await,
        };
        answer.unwrap_or_else(|e| open(e.to_string()))
    }

    #[allow(clippy::too_many_arguments)] // they are the effect's fields
    async fn undo(
        &self,
        payment: PaymentId,
        channel: &str,
        ids: AttemptIds,
        amount: Money,
        sealed: &[u8],
        reason: UndoReason,
        number: u32,
    ) -> UndoOutcome {
        let unsent =
            |text: String| UndoOutcome::NotSent(Decline::local(DeclineClass::Channel, "not-sent", text));
        let request = match self.follow_up(payment, ids, amount, sealed, number) {
            Ok(request) => request,
            // The key of the seal is gone: asking again will not help, people must.
            Err(e) => return UndoOutcome::Refused(Decline::local(DeclineClass::Merchant, "seal", e)),
        };
        match self.client_when_ready(channel).await {
            Ok(client) => match client.undo(&request, reason, EXCHANGE).await {
                Ok(outcome) => outcome,
                Err(e) if e.nothing_happened() => unsent(e.to_string()),
                Err(e) => UndoOutcome::Unknown(Unknown::new(UnknownReason::PluginDied, e.to_string())),
            },
            Err(e) => unsent(e),
        }
    }

    fn tell_after(&self, after_ms: u64, input: Input) {
        let handle = self.handle.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            handle.tell(input).await;
        });
    }

    fn resolve_after(&self, payment: PaymentId, attempt: u32, after_ms: u64) {
        let handle = self.handle.clone();
        let task = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            handle.tell(Input::Resolve { payment, attempt }).await;
        });
        let mut timers = self.timers.lock().unwrap_or_else(PoisonError::into_inner);
        timers.retain(|_, t| !t.is_finished());
        if let Some(old) = timers.insert((payment, attempt), task.abort_handle()) {
            old.abort();
        }
    }

    async fn sign_in(&self, channel: String, trace: u32, batch: u32) {
        let wall_ms = jiff::Timestamp::now().as_millisecond();
        let request = SignIn { trace, batch, operator: None, wall_ms };
        let result = match self.client(&channel) {
            Some(client) => client.sign_in(&request, EXCHANGE).await,
            None => return,
        };
        super::channels::signed_in(&self.handle, &channel, result).await;
    }
}

/// The channel checks a request and says what must be durable before it leaves.
pub(super) async fn ask_to_prepare(
    client: &ChannelClient,
    request: &Request,
) -> Result<Result<Prepared, Decline>, HostError> {
    match request {
        Request::Tender(r) => client.prepare(r, PREPARE).await,
        Request::Follow(r) => client.prepare_follow(r, PREPARE).await,
        Request::Load(r) => {
            // Prepared when the top-up was opened, while the card was there.
            let (recovery, masked) = (r.recovery.clone(), String::new());
            Ok(Ok(Prepared { recovery, masked }))
        }
    }
}

fn not_sent(text: &str) -> Outcome {
    Outcome::NotSent(Decline::local(DeclineClass::Channel, "not-sent", text))
}

/// What a receipt says of a payment besides what the payment holds.
pub(crate) fn facts(
    handle: &Handle,
    shop: &Shop,
    payment: &till_core::Payment,
    number: u64,
) -> receipt::Facts {
    let attempt = payment.attempts.iter().find(|a| a.receipt == Some(number));
    let channel = attempt.map(|a| a.channel.clone()).unwrap_or_default();
    let name = match channel.as_str() {
        // No route: it is a function of the core.
        till_core::training::CHANNEL => Some(("Training".to_owned(), "培训".to_owned())),
        id => handle.routes.get(id).map(|c| c.name),
    };
    let channel_name = name.map_or(channel, |(en, zh)| match shop.language {
        receipt::Language::Chinese if !zh.is_empty() => zh,
        _ => en,
    });
    // When it was sent, not when the payment changed last: a copy says the same as its original.
    let sent = attempt.map(|a| a.sent_wall_ms).filter(|ms| *ms != 0).unwrap_or(payment.changed_wall_ms);
    receipt::Facts { channel_name, local_time: local_time(sent), copy: 0 }
}

/// A time as paper shows it.
fn local_time(wall_ms: i64) -> String {
    let shown = |t: jiff::Timestamp| {
        t.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8))).strftime("%Y-%m-%d %H:%M:%S").to_string()
    };
    jiff::Timestamp::from_millisecond(wall_ms).map(shown).unwrap_or_default()
}

/// The settlement slip of a batch as a document.
pub(crate) fn slip(handle: &Handle, shop: &Shop, batch: &Batch, copy: u32) -> Document {
    let name = |c: super::ChannelView| match shop.language {
        receipt::Language::Chinese if !c.name.1.is_empty() => c.name.1,
        _ => c.name.0,
    };
    let channels = handle.routes.all().into_iter().map(|c| (c.config.id.clone(), name(c))).collect();
    let facts = batch_slip::Facts { local_time: local_time(batch.closed_wall_ms), channels, copy };
    batch_slip::document(batch, shop, &facts)
}

/// Whether a channel signs in at all.
pub(super) fn needs_sign_in(operations: &[Operation]) -> bool {
    operations.contains(&Operation::SignIn)
}

/// One line of a failed call.
pub(super) fn line(e: &HostError) -> String {
    e.to_string()
}
