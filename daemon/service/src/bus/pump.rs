//! The one task that turns changes into objects, signals and property changes, in the order in which they were durable.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use till_core::PaymentId;
use till_plugin::channel::Operation;
use till_plugin::driver::class;
use tokio::sync::{mpsc, watch};
use zbus::object_server::SignalEmitter;
use zbus::{OwnedObjectPath, Variant};

use super::device::Device1;
use super::guard::Guard;
use super::inquiry::Inquiry1;
use super::notices::Notices1;
use super::objects::{Channel1, Printer1};
use super::payment::Payment1;
use super::prepaid::Prepaid1;
use super::settlement::Settlement1;
use super::terminal::Terminal1;
use super::{World, describe, paths};
use crate::till::{Change, JobView, PaymentView};

pub(super) struct Pump {
    world: Arc<World>,
    connection: zbus::Connection,
    payments: HashSet<PaymentId>,
    devices: HashSet<String>,
    printers: HashSet<String>,
    channels: HashSet<String>,
    prepaid: HashSet<String>,
    /// Channels that tell balances.
    inquiries: HashSet<String>,
    /// What the till's own properties were last told to be.
    told: (OwnedObjectPath, (&'static str, Vec<super::Blocker>)),
    /// Unresolved payments of each channel, as last told.
    unresolved: HashMap<String, u32>,
    /// Whether a payment is on its way, for the lock against sleep.
    on_its_way: watch::Sender<bool>,
}

impl Pump {
    pub(super) fn new(world: Arc<World>, connection: zbus::Connection) -> Self {
        let (on_its_way, told) = watch::channel(false);
        tokio::spawn(super::sleep::keep(connection.clone(), told));
        Self {
            world,
            connection,
            payments: HashSet::new(),
            devices: HashSet::new(),
            printers: HashSet::new(),
            channels: HashSet::new(),
            prepaid: HashSet::new(),
            inquiries: HashSet::new(),
            told: (paths::none(), ("", Vec::new())),
            unresolved: HashMap::new(),
            on_its_way,
        }
    }

    /// Serves what is there at start.
    pub(super) async fn objects(&mut self) -> zbus::Result<()> {
        for channel in self.world.handle.routes.all() {
            self.add_channel(&channel.config.id).await?;
        }
        for device in self.world.handle.published.devices() {
            self.add_device(&device.id).await?;
        }
        for id in self.world.handle.published.ids() {
            self.add_payment(id).await?;
        }
        Ok(())
    }

    pub(super) async fn run(mut self, mut changes: mpsc::UnboundedReceiver<Change>) {
        while let Some(change) = changes.recv().await {
            if let Err(e) = self.tell(change).await {
                // Clients that left are no fault; state can always be read again.
                tracing::debug!("a change could not be told: {e}");
            }
        }
    }

    async fn tell(&mut self, change: Change) -> zbus::Result<()> {
        match change {
            Change::Payment { old, view } => self.payment(old, &view).await?,
            Change::CurrentChannel => {
                let current = self.world.handle.published.current_channel();
                self.properties(paths::ROOT, "org.tilld.Terminal1", [("CurrentChannel", current.into())])
                    .await?;
            }
            Change::Training => {
                let on = self.world.handle.published.is_training();
                self.properties(paths::ROOT, "org.tilld.Terminal1", [("Training", on.into())]).await?;
            }
            Change::Profile => {
                let now = Variant::from(super::terminal::profile(&self.world));
                self.properties(paths::ROOT, "org.tilld.Terminal1", [("Profile", now)]).await?;
            }
            Change::Channel { id, old } => self.channel(&id, &old).await?,
            Change::Device { id, old } => self.device(&id, &old).await?,
            Change::Job { device, job, reason } => self.job(&device, &job, &reason).await?,
            Change::Presented { payment, device, family, masked } => {
                let emitter = self.emitter(paths::payment(payment))?;
                Payment1::presented(&emitter, &device, &family, &masked).await?;
            }
            Change::InputRefused { payment, device, reason, text, text_zh, families } => {
                let emitter = self.emitter(paths::payment(payment))?;
                Payment1::input_refused(&emitter, &device, &reason, &text, &text_zh, &families).await?;
            }
            Change::CardPresented { channel, card, masked, device } => {
                let emitter = self.emitter(paths::channel(&channel))?;
                if self.prepaid.contains(&channel) {
                    Prepaid1::card_presented(&emitter, &card, &masked, &device).await?;
                }
                if self.inquiries.contains(&channel) {
                    Inquiry1::card_presented(&emitter, &card, &masked, &device).await?;
                }
            }
            Change::PinWanted { channel, device } => {
                Inquiry1::pin_wanted(&self.emitter(paths::channel(&channel))?, &device).await?;
            }
            Change::ShowCode { payment, code } => {
                Payment1::show_code(&self.emitter(paths::payment(payment))?, &code).await?;
            }
            Change::Batch { number, state } => {
                let (open, date) = self.world.handle.published.open_batch();
                let changed = [("OpenBatch", open.into()), ("BusinessDate", date.into())];
                self.properties(paths::ROOT, "org.tilld.Settlement1", changed).await?;
                Settlement1::batch_changed(&self.emitter(paths::ROOT)?, number, state).await?;
            }
            Change::Notice { seq, payment } => {
                let emitter = self.emitter(paths::ROOT)?;
                let payment = payment.map(|p| p.to_string()).unwrap_or_default();
                Notices1::notice_due(&emitter, seq, &payment).await?;
            }
            Change::Alarm { level, code, payment, text } => {
                let about = payment.map_or_else(paths::none, paths::payment);
                let emitter = self.emitter(paths::ROOT)?;
                Terminal1::alarm(&emitter, level, &code, about.into_inner(), &text).await?;
            }
        }
        self.till().await
    }

    fn emitter<'a>(
        &self,
        path: impl TryInto<zbus::ObjectPath<'a>, Error: Into<zbus::Error>>,
    ) -> zbus::Result<SignalEmitter<'a>> {
        SignalEmitter::new(&self.connection, path)
    }

    /// One `PropertiesChanged` for all of a change.
    async fn properties<'a, const N: usize>(
        &self,
        path: impl TryInto<zbus::ObjectPath<'a>, Error: Into<zbus::Error>>,
        interface: &'static str,
        changed: [(&'static str, Variant<'_>); N],
    ) -> zbus::Result<()> {
        let emitter = self.emitter(path)?;
        let changed: HashMap<&str, Variant<'_>> = changed.into_iter().collect();
        let interface = zbus::names::InterfaceName::from_static_str_unchecked(interface);
        zbus::fdo::Properties::properties_changed(
            &emitter,
            interface,
            changed,
            std::borrow::Cow::Borrowed(&[]),
        )
        .await
    }

    /// The till's own properties, when they differ from what was told.
    async fn till(&mut self) -> zbus::Result<()> {
        let on_its_way = self.world.on_its_way();
        self.on_its_way.send_if_modified(|told| std::mem::replace(told, on_its_way) != on_its_way);
        let active = self.world.handle.published.active_payment().map_or_else(paths::none, paths::payment);
        let (state, blockers) = self.world.readiness();
        if self.told.0 != active {
            self.told.0 = active.clone();
            self.properties(
                paths::ROOT,
                "org.tilld.Terminal1",
                [("ActivePayment", active.into_inner().into())],
            )
            .await?;
        }
        let ready = (state, blockers);
        if self.told.1 != ready {
            self.told.1 = ready.clone();
            let changed = [("State", ready.0.into()), ("Blockers", ready.1.into())];
            self.properties(paths::ROOT, "org.tilld.Terminal1", changed).await?;
        }
        for channel in self.world.handle.routes.all() {
            let id = channel.config.id;
            let count = self.world.unresolved(&id);
            if self.unresolved.insert(id.clone(), count).unwrap_or(0) != count {
                let changed = [("Unresolved", count.into())];
                self.properties(paths::channel(&id), "org.tilld.Channel1", changed).await?;
            }
        }
        Ok(())
    }

    async fn add_payment(&mut self, id: PaymentId) -> zbus::Result<()> {
        if self.payments.insert(id) {
            let object = Payment1 { world: self.world.clone(), id };
            self.connection.object_server().at(paths::payment(id), Guard::new(&self.world, object)).await?;
        }
        Ok(())
    }

    async fn payment(&mut self, old: &str, view: &PaymentView) -> zbus::Result<()> {
        let p = &view.payment;
        self.add_payment(p.id).await?;
        let path = paths::payment(p.id);
        if old != p.state.as_str() {
            Payment1::moved(&self.emitter(path.clone())?, old, p.state.as_str(), &p.reason, p.seq).await?;
        }
        let last = p.attempts.last();
        let (prompt, arguments) = describe::prompt(view);
        let changed = [
            ("State", p.state.as_str().into()),
            ("StateReason", p.reason.clone().into()),
            ("Paid", p.paid().minor().into()),
            ("Returned", p.returned().minor().into()),
            ("Remaining", p.remaining().minor().into()),
            ("Held", p.held().minor().into()),
            ("Channel", last.map(|a| a.channel.clone()).unwrap_or_default().into()),
            ("AttemptState", last.map_or("", |a| a.state.as_str()).into()),
            ("Prompt", Variant::from((prompt, arguments))),
            ("Receipt", p.receipt_number.unwrap_or(0).into()),
            ("Seq", p.seq.into()),
        ];
        self.properties(path, "org.tilld.Payment1", changed).await?;
        self.drop_old_payments().await
    }

    async fn drop_old_payments(&mut self) -> zbus::Result<()> {
        let kept: HashSet<PaymentId> = self.world.handle.published.ids().into_iter().collect();
        if self.payments.len() <= kept.len() {
            return Ok(());
        }
        let gone: Vec<PaymentId> = self.payments.difference(&kept).copied().collect();
        for id in gone {
            self.payments.remove(&id);
            self.connection.object_server().remove::<Guard<Payment1>, _>(paths::payment(id)).await?;
        }
        Ok(())
    }

    async fn add_channel(&mut self, id: &str) -> zbus::Result<()> {
        if self.channels.insert(id.into()) {
            let object = Channel1 { world: self.world.clone(), id: id.into() };
            self.connection.object_server().at(paths::channel(id), Guard::new(&self.world, object)).await?;
        }
        // What its channel does is known once its process has said so; from then on it stays.
        let view = self.world.handle.routes.get(id);
        let does = |operation| view.as_ref().is_some_and(|c| c.does(operation));
        // Who keeps the accounts himself tells them as Prepaid1 does.
        let tells = does(Operation::Balance) && !does(Operation::Account);
        if tells && self.inquiries.insert(id.into()) {
            let object = Inquiry1 { world: self.world.clone(), id: id.into() };
            self.connection.object_server().at(paths::channel(id), Guard::new(&self.world, object)).await?;
        }
        if does(Operation::Account) && self.prepaid.insert(id.into()) {
            let object = Prepaid1 { world: self.world.clone(), id: id.into() };
            self.connection.object_server().at(paths::channel(id), Guard::new(&self.world, object)).await?;
        }
        Ok(())
    }

    async fn channel(&mut self, id: &str, old: &str) -> zbus::Result<()> {
        self.add_channel(id).await?;
        let Some(view) = self.world.handle.routes.get(id) else { return Ok(()) };
        let (state, reason) = view.state();
        let families: Vec<String> = view.families().iter().map(ToString::to_string).collect();
        if old != state {
            Channel1::moved(&self.emitter(paths::channel(id))?, old, state, &reason).await?;
        }
        let operations = super::objects::operations(&view);
        let changed = [
            ("State", state.into()),
            ("StateReason", reason.into()),
            ("Families", families.into()),
            ("Operations", operations.into()),
            ("Maintenance", Variant::from(super::objects::maintenance(&view))),
            ("Breakers", super::objects::breakers(&view).into()),
            ("Merchant", Variant::from(super::objects::merchant(&view))),
        ];
        self.properties(paths::channel(id), "org.tilld.Channel1", changed).await
    }

    async fn add_device(&mut self, id: &str) -> zbus::Result<()> {
        let path = paths::device(id);
        if self.devices.insert(id.into()) {
            let object = Device1 { world: self.world.clone(), id: id.into() };
            self.connection.object_server().at(path.clone(), Guard::new(&self.world, object)).await?;
        }
        let prints = self
            .world
            .handle
            .published
            .get_device(id)
            .is_some_and(|d| d.classes.iter().any(|c| c == class::PRINTER));
        // A capability that is not there has no interface.
        if prints && self.printers.insert(id.into()) {
            let object = Printer1 { world: self.world.clone() };
            self.connection.object_server().at(path, Guard::new(&self.world, object)).await?;
        }
        Ok(())
    }

    async fn device(&mut self, id: &str, old: &str) -> zbus::Result<()> {
        self.add_device(id).await?;
        let Some(view) = self.world.handle.published.get_device(id) else { return Ok(()) };
        if old != view.state {
            Device1::moved(&self.emitter(paths::device(id))?, old, &view.state, &view.reason).await?;
        }
        let changed = [
            ("State", view.state.into()),
            ("StateReason", view.reason.into()),
            ("Classes", view.classes.into()),
            ("Sandbox", view.sandbox.into()),
            ("Transport", view.transport.into()),
        ];
        self.properties(paths::device(id), "org.tilld.Device1", changed).await
    }

    async fn job(&mut self, device: &str, job: &JobView, reason: &str) -> zbus::Result<()> {
        let path = paths::device(device);
        let payment = paths::payment(job.payment);
        Printer1::job_changed(
            &self.emitter(path.clone())?,
            job.job,
            payment.into_inner(),
            &job.state,
            reason,
        )
        .await?;
        let jobs = self.world.handle.published.jobs();
        let jobs: Vec<(u64, String, String)> = jobs.into_iter().map(JobView::row).collect();
        self.properties(path, "org.tilld.Printer1", [("Jobs", jobs.into())]).await
    }
}
