//! A step becomes durable, is taken in, told, and acted on: in this order.

use till_core::batch::BatchEvent;
use till_core::record::{KIND, Record};
use till_core::{Durable, Next, PaymentId, Pending};
use till_journal::{JournalError, NewRecord, Urgency};

use super::Actor;
use crate::till::notices::{self, Owed};
use crate::till::standing::Standings;
use crate::till::{Change, TillError};

impl Actor {
    pub(super) fn publish_batch(&self, number: u32) {
        let book = self.parts.shell.till().batches();
        let date = book.date().map(|d| d.to_string()).unwrap_or_default();
        self.published.batch(book.open_number(), date);
        if let Some(batch) = book.get(number) {
            self.published.tell(Change::Batch { number, state: batch.state.as_str() });
        }
    }

    /// Makes a step durable, takes it in, publishes, and runs its effects.
    pub(super) async fn commit(&mut self, next: Next) -> Result<(), TillError> {
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
                    self.note_wrong_pin(payment);
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
        // Last: everybody has heard of it by now.
        self.parts.upkeep.after(self.parts.shell.till());
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

    pub(super) fn publish(&self, id: PaymentId, show_code: Option<String>) {
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
}
