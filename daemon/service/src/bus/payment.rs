//! `org.tilld.Payment1`.

use std::sync::Arc;

use till_core::input::Input;
use till_core::{PaymentId, receipt};
use till_plugin::instrument::ScannedCode;
use till_plugin::{Currency, Instrument, Money};
use zbus::message::Header;
use zbus::object_server::SignalEmitter;

use super::World;
use super::describe::{self, Dict};
use super::errors::Error;
use super::options::{self, Options};
use crate::till::{NextTender, PaymentView, Said};

/// One payment.
pub(super) struct Payment1 {
    pub(super) world: Arc<World>,
    pub(super) id: PaymentId,
}

impl Payment1 {
    fn view(&self) -> Result<Arc<PaymentView>, Error> {
        self.world
            .handle
            .published
            .get(self.id)
            .ok_or_else(|| Error::NotFound(format!("payment {} has left the bus", self.id)))
    }

    /// What every way to pay may say, and the currency it is said in.
    fn said(&self, options: &Options) -> Result<(Said, Currency), Error> {
        let currency = self.view()?.payment.amount.currency();
        let channel = options::text(options, "channel", 32)?;
        let amount = options::amount(options, "amount", currency)?;
        Ok((Said { channel, amount, ..Said::default() }, currency))
    }

    /// Property getters cannot give typed errors; a view that is just being given up is shown as it was opened.
    fn seen<T: Default>(&self, f: impl FnOnce(&PaymentView) -> T) -> T {
        self.view().map_or_else(|_| T::default(), |v| f(&v))
    }
}

#[zbus::interface(name = "org.tilld.Payment1")]
impl Payment1 {
    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> String {
        self.id.to_string()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn amount(&self) -> i64 {
        self.seen(|v| v.payment.amount.minor())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn currency(&self) -> String {
        self.seen(|v| v.payment.amount.currency().code().into())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn training(&self) -> bool {
        self.seen(|v| v.payment.training)
    }

    #[zbus(property)]
    fn state(&self) -> String {
        self.seen(|v| v.payment.state.as_str().into())
    }

    #[zbus(property)]
    fn state_reason(&self) -> String {
        self.seen(|v| v.payment.reason.clone())
    }

    #[zbus(property)]
    fn paid(&self) -> i64 {
        self.seen(|v| v.payment.paid().minor())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn purpose(&self) -> String {
        self.seen(|v| v.payment.purpose.as_str().into())
    }

    #[zbus(property)]
    fn returned(&self) -> i64 {
        self.seen(|v| v.payment.returned().minor())
    }

    #[zbus(property)]
    fn remaining(&self) -> i64 {
        self.seen(|v| v.payment.remaining().minor())
    }

    #[zbus(property)]
    fn held(&self) -> i64 {
        self.seen(|v| v.payment.held().minor())
    }

    #[zbus(property)]
    fn channel(&self) -> String {
        self.seen(|v| v.payment.attempts.last().map(|a| a.channel.clone()).unwrap_or_default())
    }

    #[zbus(property)]
    fn attempt_state(&self) -> String {
        self.seen(|v| v.payment.attempts.last().map(|a| a.state.as_str().to_owned()).unwrap_or_default())
    }

    #[zbus(property)]
    fn prompt(&self) -> (String, Dict) {
        self.seen(describe::prompt)
    }

    #[zbus(property)]
    fn receipt(&self) -> u64 {
        self.seen(|v| v.payment.receipt_number.unwrap_or(0))
    }

    #[zbus(property)]
    fn seq(&self) -> u64 {
        self.seen(|v| v.payment.seq)
    }

    async fn confirm_amount(
        &self,
        amount: i64,
        currency: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        let currency: Currency = super::currency(currency)?;
        self.world
            .handle
            .input(Input::Confirm { payment: self.id, amount: Money::new(amount, currency) })
            .await?;
        Ok(())
    }

    async fn pay_cash(
        &self,
        tendered: i64,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["channel", "amount"])?;
        let (said, currency) = self.said(&options)?;
        let instrument = Instrument::Cash { tendered: Money::new(tendered, currency) };
        self.world.handle.present(self.id, instrument, said).await?;
        Ok(())
    }

    async fn pay_code(
        &self,
        code: zbus::OwnedFd,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["channel", "family", "amount", "duplicate-reason"])?;
        let (said, _) = self.said(&options)?;
        let family = options::text(&options, "family", 32)?;
        let duplicate_reason = options::text(&options, "duplicate-reason", 128)?.unwrap_or_default();
        let text = super::code::read(code.into()).await?;
        let instrument = Instrument::Code(ScannedCode { text, symbology: None });
        let said = Said { family, duplicate_reason, ..said };
        self.world.handle.present(self.id, instrument, said).await?;
        Ok(())
    }

    async fn pay_shown_code(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["channel", "amount"])?;
        let (said, _) = self.said(&options)?;
        self.world.handle.present(self.id, Instrument::ShowCode, said).await?;
        Ok(())
    }

    async fn cancel(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator"])?;
        let operator = options::text(&options, "operator", 32)?;
        self.world.handle.input(Input::Cancel { payment: self.id, operator }).await?;
        Ok(())
    }

    async fn abandon(
        &self,
        reason: String,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator"])?;
        let operator = options::text(&options, "operator", 32)?;
        self.world.handle.input(Input::Abandon { payment: self.id, reason, operator }).await?;
        Ok(())
    }

    async fn resume(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator"])?;
        let operator = options::text(&options, "operator", 32)?;
        self.world.handle.input(Input::Resume { payment: self.id, operator }).await?;
        Ok(())
    }

    async fn next_tender(
        &self,
        amount: i64,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["duplicate-reason"])?;
        let duplicate_reason = options::text(&options, "duplicate-reason", 128)?.unwrap_or_default();
        let p = self.view()?.payment.clone();
        let amount = Money::new(amount, p.amount.currency());
        if !amount.is_positive() || amount.minor() > p.remaining().minor() {
            return Err(Error::InvalidArgs(format!(
                "a part is more than nothing and at most the {} that remain",
                p.remaining()
            )));
        }
        self.world.handle.next_tender(self.id, NextTender { amount, duplicate_reason });
        Ok(())
    }

    #[zbus(out_args("payment"))]
    async fn describe(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Dict, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        let view = self.view()?;
        let decisions = crate::till::history::decisions(&self.world.journal, self.id);
        Ok(describe::payment(&view.payment, view.printed, &decisions))
    }

    #[zbus(out_args("text"))]
    async fn receipt_text(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<String, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["columns"])?;
        let columns = options::number(&options, "columns")?.unwrap_or(32).clamp(20, 80);
        let view = self.view()?;
        let number = view.payment.receipt_number.unwrap_or(0);
        let receipts = &self.world.receipts;
        let facts = crate::till::effects::facts(&self.world.handle, &receipts.shop, &view.payment, number);
        let printable = receipts.receipt(&view.payment, number, &facts).ok_or_else(|| {
            Error::WrongState(format!("payment {} is not paid: it has no receipt", self.id))
        })?;
        Ok(receipt::text(&printable.document, columns as usize))
    }

    #[zbus(signal, name = "StateChanged")]
    pub(super) async fn moved(
        emitter: &SignalEmitter<'_>,
        old: &str,
        new: &str,
        reason: &str,
        seq: u64,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(super) async fn presented(
        emitter: &SignalEmitter<'_>,
        device: &str,
        family: &str,
        masked: &str,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(super) async fn input_refused(
        emitter: &SignalEmitter<'_>,
        device: &str,
        reason: &str,
        text: &str,
        text_zh: &str,
        families: &[String],
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(super) async fn show_code(emitter: &SignalEmitter<'_>, code: &str) -> zbus::Result<()>;
}
