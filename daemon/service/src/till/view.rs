//! What is published: snapshots for the bus, written by the actor after the disk has them, read by anybody.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use till_core::{AttemptState, Payment, PaymentId};
use tokio::sync::mpsc;

use super::Change;
use super::counter::Notice;

/// Payments that keep a snapshot (and a bus object) after they are finished.
const KEPT: usize = 64;

/// A payment as published.
#[derive(Clone, Debug)]
pub struct PaymentView {
    /// It.
    pub payment: Payment,
    /// Its receipt is certainly on paper, or nobody will print it.
    pub printed: bool,
    /// Code to show to the customer.
    pub show_code: Option<String>,
    /// The customer types a PIN into this device.
    pub pad: Option<String>,
}

/// A device as published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceView {
    /// Id.
    pub id: String,
    /// Name: English, Chinese.
    pub name: (String, String),
    /// Plugin id.
    pub plugin: String,
    /// Plugin version, once loaded.
    pub version: String,
    /// Classes.
    pub classes: Vec<String>,
    /// Where it is attached.
    pub transport: String,
    /// State, lower-kebab.
    pub state: String,
    /// One line.
    pub reason: String,
    /// Confinement.
    pub sandbox: Vec<(String, String)>,
}

/// A receipt on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobView {
    /// Job.
    pub job: u64,
    /// Whose; all zeros: nobody's, it is a settlement slip.
    pub payment: PaymentId,
    /// State, lower-kebab.
    pub state: String,
}

impl JobView {
    /// As on D-Bus: job, payment id or nothing, state.
    pub(crate) fn row(self) -> (u64, String, String) {
        let payment = if self.payment.0 == [0; 16] { String::new() } else { self.payment.to_string() };
        (self.job, payment, self.state)
    }
}

#[derive(Default)]
struct Inner {
    payments: HashMap<PaymentId, Arc<PaymentView>>,
    finished: VecDeque<PaymentId>,
    current: Option<String>,
    active: Option<PaymentId>,
    devices: BTreeMap<String, DeviceView>,
    jobs: BTreeMap<u64, JobView>,
    journal_problem: Option<String>,
    batch: (u32, String),
    training: bool,
    profile: till_core::profile::Outlook,
}

/// Everything that is published.
pub struct Published {
    inner: Mutex<Inner>,
    changes: mpsc::UnboundedSender<Change>,
    notices: mpsc::UnboundedSender<Notice>,
}

impl Published {
    /// With what clients are told, and what the counter is told.
    pub(super) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<Change>, mpsc::UnboundedReceiver<Notice>) {
        let (changes, receiver) = mpsc::unbounded_channel();
        let (notices, noticed) = mpsc::unbounded_channel();
        (Arc::new(Self { inner: Mutex::default(), changes, notices }), receiver, noticed)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells clients.
    pub(super) fn tell(&self, change: Change) {
        if let Some(notice) = Notice::of(&change) {
            // The counter's task only takes note, it waits for no device: this cannot pile up.
            let _stopping = self.notices.send(notice);
        }
        // Without a bus task there is nobody to tell.
        let _gone = self.changes.send(change);
    }

    /// Publishes a payment as it is now; returns those whose snapshot was given up for it.
    pub(super) fn payment(&self, payment: &Payment, printed: bool, show_code: Option<String>) {
        let mut inner = self.lock();
        let old = inner.payments.get(&payment.id).map_or("", |v| v.payment.state.as_str());
        let kept_code = || inner.payments.get(&payment.id).and_then(|v| v.show_code.clone());
        let show_code = if payment.open_attempt().is_some() { show_code.or_else(kept_code) } else { None };
        // Before the request has left, and no longer.
        let created = payment.open_attempt().is_some_and(|a| a.state == AttemptState::Created);
        let pad = inner.payments.get(&payment.id).and_then(|v| v.pad.clone()).filter(|_| created);
        let view = Arc::new(PaymentView { payment: payment.clone(), printed, show_code, pad });
        inner.payments.insert(payment.id, view.clone());
        if payment.state.is_final() && !inner.finished.contains(&payment.id) {
            inner.finished.push_back(payment.id);
            if inner.finished.len() > KEPT
                && let Some(gone) = inner.finished.pop_front()
            {
                inner.payments.remove(&gone);
            }
        }
        drop(inner);
        self.tell(Change::Payment { old, view });
    }

    /// Publishes that a payment waits for the PIN that its customer types into a pad, or that it does not any more. Nothing
    /// durable: no record says it.
    pub(super) fn entering(&self, payment: PaymentId, pad: Option<&str>) {
        let view = {
            let mut inner = self.lock();
            let Some(before) = inner.payments.get(&payment).filter(|v| v.pad.as_deref() != pad) else {
                return;
            };
            let view = Arc::new(PaymentView { pad: pad.map(Into::into), ..PaymentView::clone(before) });
            inner.payments.insert(payment, view.clone());
            view
        };
        self.tell(Change::Payment { old: view.payment.state.as_str(), view });
    }

    pub(super) fn current(&self, channel: Option<&str>) {
        self.lock().current = channel.map(Into::into);
    }

    pub(super) fn in_training(&self, on: bool) {
        self.lock().training = on;
    }

    /// Publishes the profile in force and what comes; silent when nothing changed.
    pub(super) fn stand(&self, profile: &till_core::profile::Outlook) {
        let before = std::mem::replace(&mut self.lock().profile, profile.clone());
        if before != *profile {
            self.tell(Change::Profile);
        }
    }

    /// The profile in force, and what comes.
    pub fn profile(&self) -> till_core::profile::Outlook {
        self.lock().profile.clone()
    }

    /// The till is in training: no money moves by what is sold now.
    pub fn is_training(&self) -> bool {
        self.lock().training
    }

    pub(super) fn active(&self, payment: Option<PaymentId>) {
        self.lock().active = payment;
    }

    pub(super) fn journal_problem(&self, problem: Option<String>) {
        self.lock().journal_problem = problem;
    }

    /// Publishes a device; silent when nothing changed.
    pub(super) fn device(&self, view: &DeviceView) {
        let id = view.id.clone();
        let old = {
            let mut inner = self.lock();
            match inner.devices.insert(id.clone(), view.clone()) {
                Some(before) if before == *view => return,
                Some(before) => before.state,
                None => String::new(),
            }
        };
        self.tell(Change::Device { id, old });
    }

    pub(super) fn job(&self, device: &str, job: JobView, reason: &str) {
        {
            let mut inner = self.lock();
            if matches!(job.state.as_str(), "done" | "unconfirmed" | "cancelled") {
                inner.jobs.remove(&job.job);
            } else {
                inner.jobs.insert(job.job, job.clone());
            }
        }
        self.tell(Change::Job { device: device.into(), job, reason: reason.into() });
    }

    /// A payment's snapshot.
    pub fn get(&self, id: PaymentId) -> Option<Arc<PaymentView>> {
        self.lock().payments.get(&id).cloned()
    }

    /// Ids of all snapshots.
    pub fn ids(&self) -> Vec<PaymentId> {
        self.lock().payments.keys().copied().collect()
    }

    /// The current channel; empty: automatic.
    pub fn current_channel(&self) -> String {
        self.lock().current.clone().unwrap_or_default()
    }

    /// The payment that holds the till.
    pub fn active_payment(&self) -> Option<PaymentId> {
        self.lock().active
    }

    /// A device.
    pub fn get_device(&self, id: &str) -> Option<DeviceView> {
        self.lock().devices.get(id).cloned()
    }

    /// All devices.
    pub fn devices(&self) -> Vec<DeviceView> {
        self.lock().devices.values().cloned().collect()
    }

    /// Receipts on their way.
    pub fn jobs(&self) -> Vec<JobView> {
        self.lock().jobs.values().cloned().collect()
    }

    pub(super) fn batch(&self, number: u32, date: String) {
        self.lock().batch = (number, date);
    }

    /// The open batch: its number, and its business date or nothing.
    pub fn open_batch(&self) -> (u32, String) {
        self.lock().batch.clone()
    }

    /// What is wrong with the journal.
    pub fn journal_trouble(&self) -> Option<String> {
        self.lock().journal_problem.clone()
    }
}
