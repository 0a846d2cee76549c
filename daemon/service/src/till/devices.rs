//! Devices: one task each, that follows its process; the readers that are armed; the drawer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use till_core::PaymentId;
use till_core::recognise::Table;
use till_hosts::{DriverClient, Events, Instance, InstanceEvent, InstanceState};
use till_plugin::driver::{DeviceState, DriverEvent, EnableRequest, OpenDrawer, PrintState, class};
use till_plugin::{Extra, Family, Instrument, Money};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::channels::log;
use super::claims::Claims;
use super::counter::Counter;
use super::pads::Read;
use super::printer::PrinterHandle;
use super::view::DeviceView;
use super::{Change, Handle, Message, Presentation};

/// Longest for arming, disarming, opening the drawer.
const CALL: Duration = Duration::from_secs(5);

/// Longest that people are kept from hearing that something may be presented, while a reader is not armed yet.
const ARMED: Duration = Duration::from_secs(1);

/// Readers and drawers that are ready, and the payment that readers are to be armed for.
///
/// Every reader has one task that brings it to what is wanted now: the last word counts, whatever overtook what.
pub(crate) struct Readers {
    ready: Mutex<BTreeMap<String, Ready>>,
    wanted: watch::Sender<Wanted>,
    reached: watch::Sender<()>,
    /// The configured drawer; None: the first one.
    drawer: Option<String>,
    /// Who has a scanner between payments.
    pub(crate) claims: Claims,
}

struct Ready {
    instance: Instance,
    classes: Vec<String>,
    /// The number of the newest wish that the reader has carried out; None: it is no reader.
    reached: Option<u64>,
    /// It was waited for in vain, and has carried out nothing since.
    late: bool,
    task: Option<AbortHandle>,
}

#[derive(Clone, Default)]
struct Wanted {
    number: u64,
    armed: Option<(For, EnableRequest)>,
}

/// What a reader reads for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum For {
    /// A payment.
    Payment(PaymentId),
    /// Something about a card of this channel.
    Card(String),
}

impl Ready {
    /// Whether it has carried a wish out; what is no reader has nothing to carry out.
    fn has(&self, wanted: u64) -> bool {
        self.reached.is_none_or(|n| n >= wanted)
    }
}

/// A scanner reads for a claim: there is no amount and no family.
fn claimed() -> Option<EnableRequest> {
    let currency = "XXX".parse().ok()?;
    Some(EnableRequest { amount: Money::zero(currency), families: Vec::new(), extra: Extra::new() })
}

fn reads(classes: &[String]) -> bool {
    classes
        .iter()
        .any(|c| [class::MAGSTRIPE, class::SCANNER, class::CONTACTLESS, class::CHIP].contains(&c.as_str()))
}

impl Readers {
    pub(super) fn new(drawer: Option<String>, codes: Table) -> Self {
        Self {
            ready: Mutex::default(),
            wanted: watch::Sender::default(),
            reached: watch::Sender::default(),
            drawer,
            claims: Claims::new(codes),
        }
    }

    fn ready(&self) -> MutexGuard<'_, BTreeMap<String, Ready>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn want(&self, armed: Option<(For, EnableRequest)>) {
        self.wanted.send_modify(|w| *w = Wanted { number: w.number + 1, armed });
    }

    /// Arms every reader for a payment.
    pub(super) fn arm(&self, payment: PaymentId, amount: Money, families: Vec<Family>) {
        self.want(Some((For::Payment(payment), EnableRequest { amount, families, extra: Extra::new() })));
    }

    /// Arms every reader for one card of a channel, unless a payment has them; gives the number of the wish. A payment
    /// that comes takes them over.
    pub(crate) fn arm_for_card(
        &self,
        channel: &str,
        currency: till_plugin::Currency,
        families: Vec<Family>,
    ) -> Option<u64> {
        let mut number = None;
        self.wanted.send_if_modified(|w| {
            if matches!(w.armed, Some((For::Payment(_), _))) {
                return false;
            }
            let request = EnableRequest { amount: Money::zero(currency), families, extra: Extra::new() };
            *w = Wanted { number: w.number + 1, armed: Some((For::Card(channel.into()), request)) };
            number = Some(w.number);
            true
        });
        number
    }

    /// Disarms the readers if that wish is still the last word; says whether it was.
    pub(crate) fn disarm_card(&self, number: u64) -> bool {
        self.wanted.send_if_modified(|w| {
            let mine = w.number == number;
            if mine {
                *w = Wanted { number: number + 1, armed: None };
            }
            mine
        })
    }

    /// Disarms every reader, unless it is armed for a card.
    pub(super) fn disarm(&self) {
        if !matches!(self.armed_for(), Some((_, For::Card(_)))) {
            self.want(None);
        }
    }

    /// Waits until every reader that is there has been armed or disarmed as was last wanted, or a moment has passed.
    pub(crate) async fn settled(&self) {
        let mut reached = self.reached.subscribe();
        let all = async {
            loop {
                reached.borrow_and_update();
                let wanted = self.wanted.borrow().number;
                if self.ready().values().all(|r| r.late || r.has(wanted)) {
                    return;
                }
                if reached.changed().await.is_err() {
                    return;
                }
            }
        };
        // A reader that hangs is the reader's trouble: the customer can pay another way, and nobody waits for it twice.
        if tokio::time::timeout(ARMED, all).await.is_err() {
            let wanted = self.wanted.borrow().number;
            self.ready().values_mut().for_each(|r| r.late = !r.has(wanted));
        }
    }

    /// What a reader reads for, once it has been armed for that: what it read before was for somebody else.
    fn reads_for(&self, reader: &str) -> Option<(u64, For)> {
        let armed = self.armed_for()?;
        self.ready().get(reader).is_some_and(|r| r.has(armed.0)).then_some(armed)
    }

    fn armed_for(&self) -> Option<(u64, For)> {
        let wanted = self.wanted.borrow();
        wanted.armed.as_ref().map(|a| (wanted.number, a.0.clone()))
    }

    /// A device takes calls now; a reader that comes late is armed at once.
    fn up(self: &Arc<Self>, instance: &Instance, classes: Vec<String>) {
        let reader = reads(&classes);
        let task = reader.then(|| tokio::spawn(self.clone().follow(instance.clone())).abort_handle());
        let ready =
            Ready { instance: instance.clone(), classes, reached: reader.then_some(0), late: false, task };
        let before = self.ready().insert(instance.id().to_owned(), ready);
        if let Some(task) = before.and_then(|b| b.task) {
            task.abort();
        }
    }

    fn down(&self, id: &str) {
        let gone = self.ready().remove(id);
        if let Some(task) = gone.and_then(|g| g.task) {
            task.abort();
        }
        self.reached.send_replace(());
    }

    /// Brings one reader to what is wanted, as often as that changes.
    async fn follow(self: Arc<Self>, reader: Instance) {
        let mut wanted = self.wanted.subscribe();
        let mut claims = self.claims.changes();
        let driver = DriverClient::new(reader.clone());
        // Readers start disarmed.
        let mut armed = false;
        loop {
            let now = wanted.borrow_and_update().clone();
            claims.mark_unchanged();
            // Between payments it is its claimant's.
            let claim = || self.claims.wants(reader.id()).then(claimed).flatten();
            let request = now.armed.as_ref().map(|(_, request)| request.clone()).or_else(claim);
            let done = match request {
                Some(request) => Some(driver.enable(&request, CALL, now.number).await.map(|()| true)),
                None if armed => Some(driver.disable(CALL, now.number).await.map(|()| false)),
                None => None,
            };
            match done {
                // It counts from its place among the reader's events ([`Follower::run`]): what the reader reads in the next
                // instant must not find it unarmed because its event was quicker than this task.
                Some(Ok(is)) => armed = is,
                Some(Err(e)) => {
                    armed = true; // not known: the next disarming is not left out
                    tracing::warn!(DEVICE = reader.id(), "arming: {e}");
                    self.has_reached(reader.id(), now.number);
                }
                None => self.has_reached(reader.id(), now.number),
            }
            loop {
                tokio::select! {
                    biased;
                    moved = wanted.changed() => match moved {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                    // A payment that has the reader keeps it as it is: nothing that was scanned for it is lost.
                    Ok(()) = claims.changed() => if wanted.borrow().armed.is_none() { break },
                }
            }
        }
    }

    /// A reader has carried out this wish, and all before it.
    fn has_reached(&self, reader: &str, wanted: u64) {
        if let Some(r) = self.ready().get_mut(reader) {
            r.reached = r.reached.max(Some(wanted));
            r.late = false;
        }
        self.reached.send_replace(());
    }

    /// Something that no payment asked for: it is its claimant's, or nobody's.
    fn unasked(&self, reader: &str, instrument: &Instrument) {
        if self.wanted.borrow().armed.is_none() {
            self.claims.deliver(reader, instrument);
        }
    }

    fn drawer(&self) -> Option<Instance> {
        let is_drawer = |classes: &[String]| classes.iter().any(|c| c == class::DRAWER);
        let ours = |id: &str| self.drawer.as_deref().is_none_or(|d| d == id);
        let ready = self.ready();
        ready.iter().find(|(id, r)| ours(id) && is_drawer(&r.classes)).map(|(_, r)| r.instance.clone())
    }

    /// Whether a drawer could be opened now.
    pub(crate) fn has_drawer(&self) -> bool {
        self.drawer().is_some()
    }

    /// Opens the drawer.
    pub(crate) async fn open_drawer(&self, reason: String) -> Result<(), String> {
        let drawer = self.drawer().ok_or("no cash drawer is ready")?;
        let request = OpenDrawer { reason, pin: 0, extra: Extra::new() };
        DriverClient::new(drawer).open_drawer(&request, CALL).await.map_err(|e| super::effects::line(&e))
    }
}

/// Starts devices.
pub struct Starter {
    pub(super) handle: Handle,
    pub(super) readers: Arc<Readers>,
    pub(super) printer: PrinterHandle,
    pub(super) counter: Arc<Counter>,
}

impl Starter {
    /// Adds a device that cannot be started, with the reason.
    pub fn broken(&self, view: &DeviceView) {
        self.handle.published.device(view);
    }

    /// Adds a device and follows its process. `service_after`: see [`crate::config::DeviceConfig`].
    pub fn start(
        &self,
        view: DeviceView,
        service_after: BTreeMap<String, u64>,
        instance: Instance,
        events: Events,
    ) {
        self.handle.published.device(&view);
        if let Some(text) = self.handle.statistics.add(&view.id, service_after) {
            tracing::warn!(DEVICE = view.id, "{text}");
            self.handle.published.tell(Change::Alarm {
                level: "warning",
                code: "statistics".into(),
                payment: None,
                text,
            });
        }
        let follower = Follower {
            handle: self.handle.clone(),
            readers: self.readers.clone(),
            printer: self.printer.clone(),
            counter: self.counter.clone(),
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
    counter: Arc<Counter>,
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
                InstanceEvent::Answered { mark } => self.readers.has_reached(&self.view.id, mark),
                InstanceEvent::Log { level, message } => log(&self.view.id, level, &message),
                _ => {}
            }
        }
    }

    fn ready(&mut self) {
        let host = self.instance.status().host;
        if let Some(host) = &host {
            self.view.version.clone_from(&host.version);
            if !host.transport.is_empty() {
                self.view.transport.clone_from(&host.transport);
            }
            self.view.sandbox = host.sandbox.iter().map(|l| (l.name.clone(), l.level.clone())).collect();
            if let Some(description) = host.driver() {
                self.view.classes = description.classes;
            }
        }
        tracing::info!(DEVICE = self.view.id, "ready");
        self.state("ready", String::new());
        self.readers.up(&self.instance, self.view.classes.clone());
        self.handle.statistics.up(&self.instance);
        self.counter.up(&self.instance, &self.view.classes);
        self.handle.pads.ready(&self.instance, &self.view.classes);
        if self.is_printer() {
            self.printer.up(&self.instance);
        }
    }

    fn not_ready(&mut self, state: &InstanceState) {
        self.readers.down(&self.view.id);
        self.handle.statistics.down(&self.view.id);
        self.counter.down(&self.view.id);
        self.handle.pads.down(&self.view.id);
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
        self.handle.published.device(&self.view);
    }

    /// A drawer that is open for too long or does not open is somebody's business now (S23).
    fn drawer_alarm(&self, text: &str) {
        if self.is_printer() {
            // Its attention is about paper.
            return;
        }
        let text = format!("{}: {text}", self.view.id);
        tracing::warn!(DEVICE = self.view.id, "{text}");
        self.handle.published.tell(Change::Alarm {
            level: "warning",
            code: "drawer".into(),
            payment: None,
            text,
        });
    }

    async fn driver(&mut self, event: DriverEvent) {
        match event {
            DriverEvent::Read(instrument) => {
                match self.handle.pads.read(&self.view.id) {
                    Read::Passes => {}
                    Read::Dropped => {
                        tracing::warn!(
                            DEVICE = self.view.id,
                            "read something while a PIN is entered: dropped"
                        );
                        return;
                    }
                    Read::FromThePad => {
                        let text = "read something while a PIN was entered, which no PIN pad does: it is not asked any more \
                                    until it is started anew";
                        self.handle.warn("pin-pad", format!("{}: {text}", self.view.id));
                        return;
                    }
                }
                // A reader that is not armed has nothing to say; what it read is wiped here.
                let device = Some(self.view.id.clone());
                let payment = match self.readers.reads_for(&self.view.id) {
                    Some((_, For::Payment(payment))) => payment,
                    // The first card is the one; a payment may have taken the readers over this very moment.
                    Some((number, For::Card(channel))) if self.readers.disarm_card(number) => {
                        let masked = instrument.masked();
                        let card = self.handle.cards.put(instrument);
                        self.handle.published.tell(Change::CardPresented {
                            channel,
                            card,
                            masked,
                            device: self.view.id.clone(),
                        });
                        return;
                    }
                    _ => {
                        self.readers.unasked(&self.view.id, &instrument);
                        return;
                    }
                };
                let presentation = Presentation {
                    payment,
                    instrument,
                    device,
                    family: None,
                    channel: None,
                    amount: None,
                    duplicate_reason: String::new(),
                    again: false,
                    owes_pin: false,
                    reply: None,
                };
                let _stopping = self.handle.messages.send(Message::Present(Box::new(presentation))).await;
            }
            DriverEvent::ReadFailed(mut failure) => {
                // Its own words: they go to the log and the bus, and of a PIN pad to the journal.
                failure.text = till_hosts::redact(&failure.text, 200);
                tracing::info!(
                    DEVICE = self.view.id,
                    reason = failure.reason,
                    "nothing read: {}",
                    failure.text
                );
                self.handle.pads.trouble(&self.view.id, &failure.text);
                if let Some((_, For::Payment(payment))) = self.readers.armed_for() {
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
            DriverEvent::State { state: DeviceState::Unknown, text } => {
                self.handle.pads.works(&self.view.id, true);
                self.state("ready", text);
            }
            DriverEvent::State { state, text } => {
                let works = matches!(state, DeviceState::Ready | DeviceState::Attention);
                self.handle.pads.works(&self.view.id, works);
                if state == DeviceState::Attention && self.view.classes.iter().any(|c| c == class::DRAWER) {
                    self.drawer_alarm(&text);
                }
                self.state(state.as_str(), text);
            }
            DriverEvent::Print { job, state } => self.printer.moved(job, state),
            DriverEvent::Pin { block, ksn } => self.handle.pads.said(&self.view.id, block, ksn),
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
