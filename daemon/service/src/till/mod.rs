//! The shell around the core.
//!
//! One actor owns the [`till_core::Till`]. For each input: decide (pure) → append the record and wait until it is on
//! disk → take it into the state → publish → answer the caller → run the effects. So nobody, inside or outside, hears
//! of anything that a power cut could still take back (W1, W5).

mod actor;
pub(crate) mod cards;
pub(crate) mod channels;
pub(crate) mod claims;
pub(crate) mod closed;
mod counter;
mod devices;
pub(crate) mod effects;
mod failover;
pub(crate) mod history;
pub(crate) mod inquiry;
pub(crate) mod notices;
mod pace;
mod pads;
mod pin;
mod printer;
mod request;
mod routes;
mod scene;
mod sealing;
mod settlement;
mod shredding;
mod standing;
mod statistics;
mod vault;
mod view;
mod wear;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use till_core::input::Input;
use till_core::{Context, NotDone, PaymentId, Refusal, Till};
use till_plugin::{Instrument, Money};
use tokio::sync::{mpsc, oneshot};

pub use actor::{Parts, Run, Started, start};
pub use channels::Starter as ChannelStarter;
pub use devices::Starter as DeviceStarter;
pub use routes::{ChannelView, Routes};
pub use sealing::{Mark, Sealing};
pub use standing::{MerchantStanding, Standing};
pub use statistics::Statistics;
pub use view::{DeviceView, JobView, PaymentView, Published};

/// Why a request came to nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TillError {
    /// The core refused it; nothing changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be made durable; nothing changed.
    #[error("the journal cannot take it: {0}")]
    Journal(String),
    /// The daemon is stopping.
    #[error("tilld is stopping")]
    Stopping,
}

impl From<NotDone> for TillError {
    fn from(e: NotDone) -> Self {
        match e {
            NotDone::Refused(refusal) => Self::Refused(refusal),
            NotDone::Record(e) => Self::Journal(e.to_string()),
        }
    }
}

/// Looks at the state and at the world.
pub(crate) type Weigh = Box<dyn FnOnce(&Till, &Context) + Send>;

/// What the actor is asked.
pub(crate) enum Message {
    /// Something happened, or a caller wants something.
    Input(Box<Input>, Option<oneshot::Sender<Result<(), TillError>>>),
    /// Something was presented; it carries the clear data.
    Present(Box<Presentation>),
    /// Somebody wants to know something of the state.
    Look(Box<dyn FnOnce(&Till) + Send>),
    /// Somebody wants to know what would be chosen, with the world as it is.
    Weigh(Weigh),
    /// A network whose breaker is open answered without money.
    Answers { channel: String },
    /// It may be time to ask networks.
    AskNetworks,
    /// No new payments; answer when nothing is between two writes.
    Stop(oneshot::Sender<()>),
}

/// Something presented, on its way to the actor.
pub(crate) struct Presentation {
    pub payment: PaymentId,
    pub instrument: Instrument,
    /// Device that read it; None: a caller brought it.
    pub device: Option<String>,
    /// Family that the operator said it is.
    pub family: Option<String>,
    /// Channel that the operator named for this payment.
    pub channel: Option<String>,
    /// How much of what is owed; None: all that remains.
    pub amount: Option<Money>,
    /// Why this is no duplicate though it looks like one.
    pub duplicate_reason: String,
    /// A channel did not take it: it goes to the next one.
    pub again: bool,
    /// Its PIN was wrong: it is asked for once more.
    pub owes_pin: bool,
    pub reply: Option<oneshot::Sender<Result<(), TillError>>>,
}

/// What an operator says of something presented.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// What it is.
    pub family: Option<String>,
    /// Channel for this payment only.
    pub channel: Option<String>,
    /// How much of what is owed; None: all that remains.
    pub amount: Option<Money>,
    /// Why this is no duplicate though it looks like one.
    pub duplicate_reason: String,
}

/// What an operator says of the next thing that a reader reads.
#[derive(Clone, Debug)]
pub(crate) struct NextTender {
    /// How much of what is owed it pays.
    pub amount: Money,
    /// Why this is no duplicate though it looks like one; empty: nobody said.
    pub duplicate_reason: String,
}

/// What clients are told, in this order.
#[derive(Clone, Debug)]
pub enum Change {
    /// A payment is new or changed.
    Payment {
        /// Its state before, as on D-Bus; empty: it is new.
        old: &'static str,
        /// As it is now.
        view: Arc<PaymentView>,
    },
    /// The current channel changed.
    CurrentChannel,
    /// Training began or ended.
    Training,
    /// Another profile is in force, or comes next.
    Profile,
    /// A channel changed.
    Channel {
        /// Which.
        id: String,
        /// State before.
        old: String,
    },
    /// A device changed.
    Device {
        /// Which.
        id: String,
        /// State before.
        old: String,
    },
    /// A print job moved.
    Job {
        /// Printer.
        device: String,
        /// It.
        job: JobView,
        /// Why, lower-kebab, or empty.
        reason: String,
    },
    /// A reader read something.
    Presented {
        /// For.
        payment: PaymentId,
        /// Reader; empty: a caller.
        device: String,
        /// Family.
        family: String,
        /// Masked.
        masked: String,
    },
    /// Something presented was not taken.
    InputRefused {
        /// For.
        payment: PaymentId,
        /// Reader; empty: a caller.
        device: String,
        /// Lower-kebab.
        reason: String,
        /// English.
        text: String,
        /// Chinese.
        text_zh: String,
        /// Families to choose from.
        families: Vec<String>,
    },
    /// A batch or a part of it moved on.
    Batch {
        /// Which.
        number: u32,
        /// State of the batch.
        state: &'static str,
    },
    /// A customer types a PIN for a balance inquiry.
    PinWanted {
        /// Channel.
        channel: String,
        /// The pad.
        device: String,
    },
    /// A reader read a card for something else than a payment.
    CardPresented {
        /// Channel.
        channel: String,
        /// Its ticket.
        card: String,
        /// Masked.
        masked: String,
        /// Reader.
        device: String,
    },
    /// Show a code.
    ShowCode {
        /// For.
        payment: PaymentId,
        /// Content.
        code: String,
    },
    /// A notice is owed.
    Notice {
        /// Journal sequence number.
        seq: u64,
        /// Payment; None: it is about none.
        payment: Option<PaymentId>,
    },
    /// Tell a person.
    Alarm {
        /// info, warning, critical.
        level: &'static str,
        /// Lower-kebab.
        code: String,
        /// About.
        payment: Option<PaymentId>,
        /// One line.
        text: String,
    },
}

/// Access to the till for the rest of the daemon. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) messages: mpsc::Sender<Message>,
    /// What is published.
    pub published: Arc<Published>,
    /// Channels.
    pub routes: Arc<Routes>,
    /// Recovery data.
    pub sealing: Sealing,
    pub(crate) readers: Arc<devices::Readers>,
    /// PIN pads.
    pub(crate) pads: Arc<pads::Pads>,
    /// Device statistics.
    pub(crate) statistics: Arc<Statistics>,
    /// The balance inquiry that is under way.
    pub(crate) inquiries: inquiry::Inquiries,
    /// Cards presented for something else than a payment.
    pub(crate) cards: Arc<cards::Cards>,
    /// What was said of the next thing that a reader reads for a payment. Nothing durable: lost, it is asked for again.
    pub(crate) tenders: Arc<Mutex<HashMap<PaymentId, NextTender>>>,
}

impl Handle {
    /// Hands an input in and waits until its record is durable and published.
    pub async fn input(&self, input: Input) -> Result<(), TillError> {
        let (reply, answer) = oneshot::channel();
        self.messages
            .send(Message::Input(Box::new(input), Some(reply)))
            .await
            .map_err(|_| TillError::Stopping)?;
        answer.await.map_err(|_| TillError::Stopping)?
    }

    /// Hands an input in that nobody waits for.
    pub(crate) async fn tell(&self, input: Input) {
        // A stopping till needs no news: what matters is in the journal.
        if self.messages.send(Message::Input(Box::new(input), None)).await.is_err() {
            tracing::debug!("the till is stopping, an input is dropped");
        }
    }

    /// Hands something presented in and waits until the attempt is durable, or it is refused.
    pub async fn present(
        &self,
        payment: PaymentId,
        instrument: Instrument,
        said: Said,
    ) -> Result<(), TillError> {
        let (reply, answer) = oneshot::channel();
        let Said { family, channel, amount, duplicate_reason } = said;
        let presentation = Presentation {
            payment,
            instrument,
            device: None,
            family,
            channel,
            amount,
            duplicate_reason,
            again: false,
            owes_pin: false,
            reply: Some(reply),
        };
        self.messages
            .send(Message::Present(Box::new(presentation)))
            .await
            .map_err(|_| TillError::Stopping)?;
        answer.await.map_err(|_| TillError::Stopping)?
    }

    /// What the operator says of the next thing that a reader reads for this payment.
    pub(crate) fn next_tender(&self, payment: PaymentId, said: NextTender) {
        let mut tenders = self.tenders.lock().unwrap_or_else(PoisonError::into_inner);
        // One customer stands at the till.
        tenders.clear();
        tenders.insert(payment, said);
    }

    pub(crate) fn take_tender(&self, payment: PaymentId) -> Option<NextTender> {
        self.tenders.lock().unwrap_or_else(PoisonError::into_inner).remove(&payment)
    }

    /// Reads something of the state, as it is between two inputs.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Till) -> T + Send + 'static,
    ) -> Result<T, TillError> {
        let (reply, answer) = oneshot::channel();
        let look = move |till: &Till| drop(reply.send(read(till)));
        self.messages.send(Message::Look(Box::new(look))).await.map_err(|_| TillError::Stopping)?;
        answer.await.map_err(|_| TillError::Stopping)
    }

    /// Asks something of the state and of the world as it is, between two inputs.
    pub(crate) async fn weigh<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Till, &Context) -> T + Send + 'static,
    ) -> Result<T, TillError> {
        let (reply, answer) = oneshot::channel();
        let weigh = move |till: &Till, ctx: &Context| drop(reply.send(read(till, ctx)));
        self.messages.send(Message::Weigh(Box::new(weigh))).await.map_err(|_| TillError::Stopping)?;
        answer.await.map_err(|_| TillError::Stopping)
    }

    /// Tells people something that they should look at; it is about no payment.
    pub(crate) fn warn(&self, code: &str, text: String) {
        tracing::warn!(code, "{text}");
        self.published.tell(Change::Alarm { level: "warning", code: code.into(), payment: None, text });
    }

    /// Ends the actor between two writes.
    pub async fn stop(&self) {
        let (reply, answer) = oneshot::channel();
        if self.messages.send(Message::Stop(reply)).await.is_ok() {
            let _ = answer.await;
        }
    }
}
