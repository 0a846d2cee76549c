//! What stands on the counter: displays, voices, lamps. Told after the disk has it, each device by a task of its own, the
//! newest only: nothing here is waited for by a sale, and a device that hangs or dies is behind by itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use till_core::PaymentId;
use till_core::receipt::Language;
use till_hosts::{DriverClient, HostError, Instance};
use till_plugin::driver::{Announcement, ShowContent, Signal, Spoken, StageContent, class};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::AbortHandle;

use super::scene::{self, Scene};
use super::view::{JobView, PaymentView};
use super::{Change, Handle};

/// Longest for telling a device something.
const CALL: Duration = Duration::from_secs(2);
/// The end of a payment stays so long, unless the next one comes.
const IDLE_AFTER: Duration = Duration::from_secs(30);
/// Announcements that a voice may be behind.
const BEHIND: usize = 8;

/// What concerns the counter.
pub(super) enum Notice {
    Payment(Arc<PaymentView>),
    Job(JobView),
    Alarm { code: String, payment: Option<PaymentId> },
}

impl Notice {
    pub(super) fn of(change: &Change) -> Option<Self> {
        match change {
            Change::Payment { view, .. } => Some(Self::Payment(view.clone())),
            Change::Job { job, .. } => Some(Self::Job(job.clone())),
            Change::Alarm { level: "critical", code, payment, .. } => {
                Some(Self::Alarm { code: code.clone(), payment: *payment })
            }
            _ => None,
        }
    }
}

/// The devices on the counter.
pub(crate) struct Counter {
    shown: watch::Sender<ShowContent>,
    signal: watch::Sender<Signal>,
    said: broadcast::Sender<Announcement>,
    tasks: Mutex<BTreeMap<String, Vec<AbortHandle>>>,
}

impl Default for Counter {
    fn default() -> Self {
        Self {
            shown: watch::Sender::new(ShowContent::Clear),
            signal: watch::Sender::new(Signal::Off),
            said: broadcast::Sender::new(BEHIND),
            tasks: Mutex::default(),
        }
    }
}

impl Counter {
    /// A device takes calls: it is told what stands now, also one that was away.
    pub(super) fn up(self: &Arc<Self>, device: &Instance, classes: &[String]) {
        let is = |class: &str| classes.iter().any(|c| c == class);
        let mut tasks = Vec::new();
        if is(class::DISPLAY) {
            tasks.push(tokio::spawn(show(device.clone(), self.shown.subscribe())).abort_handle());
        }
        if is(class::SIGNAL) {
            tasks.push(tokio::spawn(signal(device.clone(), self.signal.subscribe())).abort_handle());
        }
        if is(class::VOICE) {
            tasks.push(tokio::spawn(say(device.clone(), self.said.subscribe())).abort_handle());
        }
        self.replace(device.id(), tasks);
    }

    pub(super) fn down(&self, id: &str) {
        self.replace(id, Vec::new());
    }

    fn replace(&self, id: &str, tasks: Vec<AbortHandle>) {
        let mut all = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let before = if tasks.is_empty() { all.remove(id) } else { all.insert(id.to_owned(), tasks) };
        before.iter().flatten().for_each(AbortHandle::abort);
    }

    fn stand(&self, show: &ShowContent, signal: Signal) {
        self.shown.send_if_modified(|shown| {
            let news = shown != show;
            shown.clone_from(show);
            news
        });
        // The same signal again is news: two payments in a row may both succeed.
        self.signal.send_replace(signal);
    }
}

/// Starts the task that turns news into what is shown and said.
pub(super) fn start(
    handle: Handle,
    counter: Arc<Counter>,
    language: Language,
    notices: mpsc::UnboundedReceiver<Notice>,
) {
    let task = Task { handle, counter, language, current: None };
    tokio::spawn(task.run(notices));
}

struct Task {
    handle: Handle,
    counter: Arc<Counter>,
    language: Language,
    /// The payment that is shown, also after its end, and its scene.
    current: Option<(PaymentId, Scene)>,
}

impl Task {
    async fn run(mut self, mut notices: mpsc::UnboundedReceiver<Notice>) {
        loop {
            let ended = self.current.as_ref().is_some_and(|(_, scene)| scene.ends);
            let next = if ended {
                tokio::time::timeout(IDLE_AFTER, notices.recv()).await
            } else {
                Ok(notices.recv().await)
            };
            match next {
                Ok(Some(notice)) => self.take(notice),
                Ok(None) => return,
                Err(_) => {
                    self.current = None;
                    self.counter.stand(&ShowContent::Clear, Signal::Off);
                }
            }
        }
    }

    fn take(&mut self, notice: Notice) {
        let shown = self.current.as_ref().map(|c| c.0);
        match notice {
            Notice::Payment(view) => {
                let id = view.payment.id;
                // A refund of yesterday's sale in the background is not this customer's business.
                if shown != Some(id) && self.handle.published.active_payment() != Some(id) {
                    return;
                }
                let scene = scene::of(&view, self.language);
                if self.current.as_ref() == Some(&(id, scene.clone())) {
                    return;
                }
                self.counter.stand(&scene.show, scene.signal);
                if let Some((key, spoken)) = scene.say.clone() {
                    self.say(&key, spoken, false, scene.say_valid_ms);
                }
                self.current = Some((id, scene));
            }
            Notice::Job(job) => {
                if shown == Some(job.payment) && job.state == "done" {
                    let amount = till_plugin::Money::zero(till_plugin::Currency::CNY);
                    let stage = till_plugin::driver::Stage::Receipt;
                    let content = StageContent { stage, amount, extra: till_plugin::Extra::new() };
                    self.say(&format!("receipt/{}", job.job), Spoken::Stage(content), false, 10_000);
                }
            }
            Notice::Alarm { code, payment } => {
                self.counter.signal.send_replace(Signal::Alarm);
                let about = payment.map(|p| p.to_string()).unwrap_or_default();
                self.say(
                    &format!("{code}/{about}"),
                    Spoken::Text(scene::staff(self.language).into()),
                    true,
                    0,
                );
            }
        }
    }

    fn say(&self, key: &str, spoken: Spoken, urgent: bool, valid_ms: u32) {
        let key = key.chars().take(64).collect();
        let language = match self.language {
            Language::Chinese => "zh-CN",
            Language::English => "en",
        };
        let extra = till_plugin::Extra::new();
        let announcement = Announcement { key, language: language.into(), spoken, urgent, valid_ms, extra };
        // Without a voice nobody hears it.
        let _unheard = self.counter.said.send(announcement);
    }
}

/// Brings one display to what stands now, as often as that changes.
async fn show(device: Instance, mut shown: watch::Receiver<ShowContent>) {
    let driver = DriverClient::new(device.clone());
    loop {
        let content = shown.borrow_and_update().clone();
        let mut done = driver.show(&content, CALL).await;
        if let (Err(HostError::Refused { error, .. }), ShowContent::Stage(stage)) = (&done, &content)
            && error.code == till_plugin::ErrorCode::BadRequest
        {
            // A driver from before stages knows amounts.
            tracing::debug!(DEVICE = device.id(), "stage {}: {error}", stage.stage.as_str());
            done = driver.show(&ShowContent::Amount(stage.amount), CALL).await;
        }
        if let Err(e) = done {
            tracing::warn!(DEVICE = device.id(), "display: {e}");
        }
        if shown.changed().await.is_err() {
            return;
        }
    }
}

async fn signal(device: Instance, mut signals: watch::Receiver<Signal>) {
    let driver = DriverClient::new(device.clone());
    loop {
        let now = *signals.borrow_and_update();
        match driver.signal(now, CALL).await {
            Ok(()) => {}
            Err(HostError::Refused { error, .. })
                if now == Signal::Alarm && error.code == till_plugin::ErrorCode::BadRequest =>
            {
                let _older = driver.signal(Signal::Failure, CALL).await;
            }
            Err(e) => tracing::warn!(DEVICE = device.id(), "signal: {e}"),
        }
        if signals.changed().await.is_err() {
            return;
        }
    }
}

async fn say(device: Instance, mut said: broadcast::Receiver<Announcement>) {
    let driver = DriverClient::new(device.clone());
    loop {
        match said.recv().await {
            Ok(announcement) => {
                if let Err(e) = driver.announce(&announcement, CALL).await {
                    tracing::warn!(DEVICE = device.id(), "voice: {e}");
                }
            }
            // What it missed while it hung is not worth hearing any more.
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}
