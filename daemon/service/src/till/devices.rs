//! Devices: one task each, that follows its process; the readers that are armed; the drawer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use till_core::PaymentId;
use till_hosts::{DriverClient, Events, Instance, InstanceEvent, InstanceState};
use till_plugin::driver::{DeviceState, DriverEvent, EnableRequest, OpenDrawer, PrintState, class};
use till_plugin::{Extra, Family, Money};

use super::channels::log;
use super::printer::PrinterHandle;
use super::view::DeviceView;
use super::{Change, Handle, Message, Presentation};

/// Longest for arming, disarming, opening the drawer.
const CALL: Duration = Duration::from_secs(5);

/// Readers and drawers that are ready, and the payment that readers are armed for.
#[derive(Default)]
pub(crate) struct Readers(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    ready: BTreeMap<String, (Instance, Vec<String>)>,
    armed: Option<(PaymentId, EnableRequest)>,
}

fn reads(classes: &[String]) -> bool {
    classes
        .iter()
        .any(|c| [class::MAGSTRIPE, class::SCANNER, class::CONTACTLESS, class::CHIP].contains(&c.as_str()))
}

impl Readers {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Arms every reader for a payment.
    pub(super) fn arm(&self, payment: PaymentId, amount: Money, families: Vec<Family>) {
        let request = EnableRequest { amount, families, extra: Extra::new() };
        let readers = {
            let mut inner = self.lock();
            inner.armed = Some((payment, request.clone()));
            inner.readers()
        };
        for reader in readers {
            enable(reader, request.clone());
        }
    }

    /// Disarms every reader.
    pub(super) fn disarm(&self) {
        let readers = {
            let mut inner = self.lock();
            inner.armed = None;
            inner.readers()
        };
        for reader in readers {
            tokio::spawn(async move {
                let id = reader.id().to_owned();
                if let Err(e) = DriverClient::new(reader).disable(CALL).await {
                    tracing::warn!(DEVICE = id, "disarm: {e}");
                }
            });
        }
    }

    fn armed_for(&self) -> Option<PaymentId> {
        self.lock().armed.as_ref().map(|a| a.0)
    }

    /// A device takes calls now; a reader that comes late is armed at once.
    fn up(&self, instance: &Instance, classes: Vec<String>) {
        let request = {
            let mut inner = self.lock();
            let request = inner.armed.as_ref().filter(|_| reads(&classes)).map(|a| a.1.clone());
            inner.ready.insert(instance.id().to_owned(), (instance.clone(), classes));
            request
        };
        if let Some(request) = request {
            enable(instance.clone(), request);
        }
    }

    fn down(&self, id: &str) {
        self.lock().ready.remove(id);
    }

    /// Opens the first drawer that is there.
    pub(crate) async fn open_drawer(&self, reason: String) -> Result<(), String> {
        let drawer = {
            let inner = self.lock();
            let is_drawer = |classes: &[String]| classes.iter().any(|c| c == class::DRAWER);
            inner.ready.values().find(|(_, classes)| is_drawer(classes)).map(|(i, _)| i.clone())
        };
        let drawer = drawer.ok_or("no cash drawer is ready")?;
        let request = OpenDrawer { reason, pin: 0, extra: Extra::new() };
        DriverClient::new(drawer).open_drawer(&request, CALL).await.map_err(|e| super::effects::line(&e))
    }
}

impl Inner {
    fn readers(&self) -> Vec<Instance> {
        self.ready.values().filter(|(_, classes)| reads(classes)).map(|(i, _)| i.clone()).collect()
    }
}

fn enable(reader: Instance, request: EnableRequest) {
    tokio::spawn(async move {
        let id = reader.id().to_owned();
        if let Err(e) = DriverClient::new(reader).enable(&request, CALL).await {
            tracing::warn!(DEVICE = id, "arm: {e}");
        }
    });
}

/// Starts devices.
pub struct Starter {
    pub(super) handle: Handle,
    pub(super) readers: Arc<Readers>,
    pub(super) printer: PrinterHandle,
}

impl Starter {
    /// Adds a device that cannot be started, with the reason.
    pub fn broken(&self, view: DeviceView) {
        self.handle.published.device(view);
    }

    /// Adds a device and follows its process.
    pub fn start(&self, view: DeviceView, instance: Instance, events: Events) {
        self.handle.published.device(view.clone());
        let follower = Follower {
            handle: self.handle.clone(),
            readers: self.readers.clone(),
            printer: self.printer.clone(),
            instance,
            view,
        };
        tokio::spawn(follower.run(events));
    }
}

struct Follower {
    handle: Handle,
    readers: Arc<Readers>,
    printer: PrinterHandle,
    instance: Instance,
    view: DeviceView,
}

impl Follower {
    async fn run(mut self, mut events: Events) {
        while let Some(event) = events.next().await {
            match event {
                InstanceEvent::State(InstanceState::Ready) => self.ready(),
                InstanceEvent::State(state) => self.not_ready(&state),
                InstanceEvent::Driver(event) => self.driver(event).await,
                InstanceEvent::Log { level, message } => log(&self.view.id, level, &message),
                _ => {}
            }
        }
    }

    fn ready(&mut self) {
        let host = self.instance.status().host;
        if let Some(host) = &host {
            self.view.version.clone_from(&host.version);
            self.view.sandbox = host.sandbox.iter().map(|l| (l.name.clone(), l.level.clone())).collect();
            if let Some(description) = host.driver() {
                self.view.classes = description.classes;
            }
        }
        tracing::info!(DEVICE = self.view.id, "ready");
        self.state("ready", String::new());
        self.readers.up(&self.instance, self.view.classes.clone());
        if self.is_printer() {
            self.printer.up(&self.instance);
        }
    }

    fn not_ready(&mut self, state: &InstanceState) {
        self.readers.down(&self.view.id);
        if self.is_printer() {
            self.printer.down(&self.view.id);
        }
        if !matches!(state, InstanceState::Starting | InstanceState::Stopped) {
            tracing::warn!(DEVICE = self.view.id, state = state.as_str(), "{}", state.reason());
        }
        let name = match state {
            // Between two tries: for people it has failed and will be back.
            InstanceState::Backoff { .. } => "failed",
            other => other.as_str(),
        };
        // A start after a failure keeps its reason until it is known to be well.
        let reason = match state {
            InstanceState::Starting => self.view.reason.clone(),
            other => other.reason().to_owned(),
        };
        self.state(name, reason);
    }

    fn is_printer(&self) -> bool {
        self.view.classes.iter().any(|c| c == class::PRINTER)
    }

    fn state(&mut self, state: &str, reason: String) {
        self.view.state = state.into();
        self.view.reason = reason;
        self.handle.published.device(self.view.clone());
    }

    async fn driver(&mut self, event: DriverEvent) {
        match event {
            DriverEvent::Read(instrument) => {
                // A reader that is not armed has nothing to say; what it read is wiped here.
                let Some(payment) = self.readers.armed_for() else { return };
                let device = Some(self.view.id.clone());
                let presentation =
                    Presentation { payment, instrument, device, family: None, channel: None, reply: None };
                let _stopping = self.handle.messages.send(Message::Present(Box::new(presentation))).await;
            }
            DriverEvent::ReadFailed(failure) => {
                if let Some(payment) = self.readers.armed_for() {
                    self.handle.published.tell(Change::InputRefused {
                        payment,
                        device: self.view.id.clone(),
                        reason: failure.reason,
                        text_zh: failure.text.clone(),
                        text: failure.text,
                        families: Vec::new(),
                    });
                }
            }
            DriverEvent::State { state: DeviceState::Unknown, text } => self.state("ready", text),
            DriverEvent::State { state, text } => self.state(state.as_str(), text),
            DriverEvent::Print { job, state } => self.printer.moved(job, state),
            DriverEvent::Drawer(open) => tracing::info!(DEVICE = self.view.id, open, "drawer"),
            _ => {}
        }
    }
}

/// Lower-kebab name and reason of a print state.
pub(super) fn print_state(state: &PrintState) -> (&'static str, String) {
    match state {
        PrintState::Started => ("started", String::new()),
        PrintState::Held { reason } => ("held", reason.clone()),
        PrintState::Resumed => ("resumed", String::new()),
        PrintState::Done => ("done", String::new()),
        PrintState::Unconfirmed => ("unconfirmed", String::new()),
        PrintState::Cancelled => ("cancelled", String::new()),
        PrintState::Failed { reason, .. } => ("failed", reason.clone()),
        _ => ("unknown", String::new()),
    }
}
