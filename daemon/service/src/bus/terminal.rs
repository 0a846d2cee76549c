//! `org.tilld.Terminal1`.

use std::sync::Arc;

use till_core::input::Input;
use till_core::suspension::{Act, By};
use till_core::{Payment, PaymentId, Purpose};
use till_plugin::Money;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{ObjectPath, OwnedObjectPath};

use super::describe::{self, Dict};
use super::errors::Error;
use super::guard::Guard;
use super::lookup::{self, Walk};
use super::options::{self, Options};
use super::payment::Payment1;
use super::{World, paths};
use crate::till::history;

/// The till.
pub(super) struct Terminal1 {
    pub(super) world: Arc<World>,
}

/// A row of `ListPayments`: id, state, amount, currency, channel, opened.
type Row = (String, String, i64, String, String, i64);

#[zbus::interface(name = "org.tilld.Terminal1")]
impl Terminal1 {
    #[zbus(property(emits_changed_signal = "const"))]
    #[allow(clippy::unused_self)] // a property
    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn terminal(&self) -> String {
        self.world.config.terminal.clone()
    }

    #[zbus(property)]
    fn current_channel(&self) -> String {
        self.world.handle.published.current_channel()
    }

    #[zbus(property)]
    fn active_payment(&self) -> OwnedObjectPath {
        self.world.handle.published.active_payment().map_or_else(paths::none, paths::payment)
    }

    #[zbus(property)]
    fn training(&self) -> bool {
        self.world.handle.published.is_training()
    }

    #[zbus(property)]
    fn profile(&self) -> (String, i64, String) {
        profile(&self.world)
    }

    #[zbus(property)]
    fn state(&self) -> &'static str {
        self.world.readiness().0
    }

    #[zbus(property)]
    fn blockers(&self) -> Vec<(String, String, String, String)> {
        self.world.readiness().1
    }

    #[zbus(out_args("payment"))]
    async fn open_payment(
        &self,
        amount: i64,
        currency: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<OwnedObjectPath, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["key", "subject", "operator", "purpose", "training"])?;
        let training = options::flag(&options, "training")?.unwrap_or(false);
        let purpose = match options::text(&options, "purpose", 16)?.as_deref() {
            None | Some("sale") => Purpose::Sale,
            Some("hold") => Purpose::Hold,
            Some(_) => return Err(Error::InvalidArgs("a purpose is sale or hold".into())),
        };
        let key = options::text(&options, "key", 64)?.unwrap_or_default();
        let subject = options::text(&options, "subject", 64)?.unwrap_or_default();
        let operator = options::text(&options, "operator", 32)?;
        let amount = Money::new(amount, super::currency(currency)?);
        let id = PaymentId(*uuid::Uuid::now_v7().as_bytes());
        let input =
            Input::Open { payment: id, purpose, key: key.clone(), amount, subject, operator, training };
        self.world.handle.input(input).await?;
        Ok(paths::payment(opened(&self.world, connection, id, &key, training).await?))
    }

    async fn set_training(
        &self,
        on: bool,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator"])?;
        let operator = options::text(&options, "operator", 32)?.unwrap_or_default();
        self.world.handle.input(Input::SetTraining { on, operator }).await?;
        Ok(())
    }

    async fn select_channel(
        &self,
        channel: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator"])?;
        let operator = options::text(&options, "operator", 32)?;
        let channel = (!channel.is_empty()).then(|| channel.to_owned());
        self.world.handle.input(Input::Select { channel, operator }).await?;
        Ok(())
    }

    #[zbus(out_args("id"))]
    async fn announce_maintenance(
        &self,
        text: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<String, Error> {
        self.world.access.check(connection, &header).await?;
        super::maintenance::announce(&self.world, text, &options).await
    }

    async fn withdraw_maintenance(
        &self,
        id: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        super::maintenance::withdraw(&self.world, id, &options).await
    }

    #[zbus(out_args("issue"))]
    async fn deliver_maintenance(
        &self,
        message: &str,
        signature: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<u64, Error> {
        self.world.access.check(connection, &header).await?;
        super::maintenance::deliver(&self.world, message, signature, &options).await
    }

    #[zbus(out_args("windows"))]
    async fn list_maintenance(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Vec<super::maintenance::Row>, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        super::maintenance::list(&self.world).await
    }

    async fn authenticate_merchant(
        &self,
        channel: &str,
        merchant: String,
        password: zbus::OwnedFd,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        super::merchant::authenticate(&self.world, channel, merchant, password, &options).await
    }

    async fn sign_out_merchant(
        &self,
        channel: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        super::merchant::sign_out(&self.world, channel, &options).await
    }

    async fn unlock_merchant(
        &self,
        channel: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        super::merchant::unlock(&self.world, channel, &options).await
    }

    async fn suspend_channel(
        &self,
        channel: &str,
        reason: String,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator"])?;
        let operator = options::text(&options, "operator", 32)?.unwrap_or_default();
        let channel = channel.to_owned();
        self.world.handle.input(Input::Suspend { channel, reason, operator }).await?;
        Ok(())
    }

    async fn resume_channel(
        &self,
        channel: &str,
        reason: String,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator"])?;
        let operator = options::text(&options, "operator", 32)?.unwrap_or_default();
        let channel = channel.to_owned();
        self.world.handle.input(Input::ResumeChannel { channel, reason, operator }).await?;
        Ok(())
    }

    #[zbus(out_args("acts"))]
    async fn list_suspensions(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Vec<SuspensionRow>, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        Ok(self.world.handle.look(|till| till.suspensions().acts().rev().map(act).collect()).await?)
    }

    async fn open_drawer(
        &self,
        reason: String,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator"])?;
        let operator = options::text(&options, "operator", 32)?;
        if reason.trim().is_empty() {
            return Err(Error::InvalidArgs("opening the drawer without a sale needs a reason".into()));
        }
        if !self.world.handle.readers.has_drawer() {
            return Err(Error::Unsupported(
                "no device with a cash drawer is ready: see `tillctl devices`".into(),
            ));
        }
        self.world.handle.input(Input::NoSale { reason, operator }).await?;
        Ok(())
    }

    #[zbus(out_args("payments"))]
    async fn list_payments(
        &self,
        limit: u32,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Vec<Row>, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["before"])?;
        let before = options::text(&options, "before", 32)?;
        let limit = limit.clamp(1, 500) as usize;
        let mut ids = Vec::new();
        let mut passed = before.is_none();
        lookup::walk_back(&self.world.journal, |record| {
            if let Some(payment) = record.opens() {
                if passed {
                    ids.push(payment);
                } else if before.as_ref().is_some_and(|b| *b == payment.to_string()) {
                    passed = true;
                }
            }
            if ids.len() < limit { Walk::On } else { Walk::Enough }
        })?;
        let mut rows = Vec::new();
        for id in ids {
            if let Some(p) = lookup::known(&self.world, id)? {
                rows.push(row(&p));
            }
        }
        Ok(rows)
    }

    #[zbus(out_args("payment"))]
    async fn find_payment(
        &self,
        id_or_key: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Dict, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        let payment = lookup::payment(&self.world, id_or_key)?;
        let published = &self.world.handle.published;
        if published.get(payment.id).is_none() && payment.open_attempt().is_some_and(|a| a.wants_instrument) {
            // The record is on disk before the readers are armed: the card is asked for once the till is through with it.
            self.world.handle.look(|_| ()).await?;
        }
        let printed = match published.get(payment.id) {
            // In the moment after "paid" the receipt is owed before any job is seen.
            Some(view) => view.printed,
            None => {
                payment.receipt_job.is_some() && !published.jobs().iter().any(|j| j.payment == payment.id)
            }
        };
        let decisions = history::decisions(&self.world.journal, payment.id);
        Ok(describe::payment(&payment, printed, &decisions))
    }

    #[zbus(out_args("decisions"))]
    async fn explain(
        &self,
        id_or_key: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Vec<super::why::Decided>, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        super::why::explain(&self.world, id_or_key)
    }

    #[zbus(out_args("channel", "text", "text_zh", "decision", "instead"))]
    async fn what_if(
        &self,
        amount: i64,
        currency: &str,
        family: String,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(String, String, String, String, Vec<(String, String, i64)>), Error> {
        self.world.access.check(connection, &header).await?;
        super::why::what_if(&self.world, Money::new(amount, super::currency(currency)?), family, &options)
            .await
    }

    #[zbus(signal)]
    pub(super) async fn alarm(
        emitter: &SignalEmitter<'_>,
        level: &str,
        code: &str,
        payment: ObjectPath<'_>,
        text: &str,
    ) -> zbus::Result<()>;
}

/// The profile in force, when that changes, and what comes then.
pub(super) fn profile(world: &World) -> (String, i64, String) {
    let outlook = world.handle.published.profile();
    let (at, then) = outlook.next.unwrap_or_default();
    (outlook.id, at, then)
}

/// The payment that was just opened, its object served; or, when the key was known, the one that it belongs to.
pub(super) async fn opened(
    world: &Arc<World>,
    connection: &zbus::Connection,
    id: PaymentId,
    key: &str,
    training: bool,
) -> Result<PaymentId, Error> {
    if world.handle.published.get(id).is_some() {
        // Here and not only where changes are told: the caller's next call must find what this one names.
        let object = Payment1 { world: world.clone(), id };
        connection.object_server().at(paths::payment(id), Guard::new(world, object)).await?;
        return Ok(id);
    }
    lookup::by_key(world, key, training)?
        .ok_or_else(|| Error::NotFound(format!("the payment of key {key:?} is gone")))
}

/// A row of `ListSuspensions`: channel, suspended or resumed, by what, why, who, payment id, Unix ms, journal number.
type SuspensionRow = (String, String, String, String, String, String, i64, u64);

fn act(act: &Act) -> SuspensionRow {
    let Act { channel, by, reason, operator, payment, seq, wall_ms } = act.clone();
    let (what, by) = by.map_or(("resumed", By::Person), |by| ("suspended", by));
    let payment = payment.map(|p| p.to_string()).unwrap_or_default();
    (channel, what.into(), by.as_str().into(), reason, operator, payment, wall_ms, seq)
}

fn row(p: &Payment) -> Row {
    (
        p.id.to_string(),
        p.state.as_str().into(),
        p.amount.minor(),
        p.amount.currency().code().into(),
        p.attempts.last().map(|a| a.channel.clone()).unwrap_or_default(),
        p.opened_wall_ms,
    )
}
