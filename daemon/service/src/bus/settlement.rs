//! `org.tilld.Settlement1`: batches and the end of day.

use std::sync::Arc;

use till_core::batch::{Batch, BatchState, Part, PartId, Totals};
use till_core::input::Input;
use till_core::receipt;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;

use super::World;
use super::errors::Error;
use super::fees;
use super::options::{self, Options};
use crate::till::closed;

/// The root's interface.
pub(super) struct Settlement1 {
    pub(super) world: Arc<World>,
    /// Copies of a slip are numbered one after the other.
    pub(super) copies: tokio::sync::Mutex<()>,
}

/// A row of `ListBatches`.
type BatchRow = (u32, String, String, bool, String);
/// A row of `ListParts`.
type PartRow = (String, u32, String, String, i64, u32, i64, u32, String);
/// A row of `ListOperators`.
type OperatorRow = (String, String, i64, u32, i64, u32);
/// A row of `ListPayouts`.
type PayoutRow = (String, u32, String, i64, i64, String);
/// A row of `ListExceptions`.
type ExceptionRow = (String, String, u32, String, String, String);

impl Settlement1 {
    /// Rows made from one batch: as it is in memory, else as the journal has it.
    async fn rows<T: Send + 'static>(
        &self,
        number: u32,
        make: impl Fn(&Batch) -> Vec<T> + Clone + Send + 'static,
    ) -> Result<Vec<T>, Error> {
        let from_memory = make.clone();
        let found = self.world.handle.look(move |till| till.batches().get(number).map(from_memory)).await?;
        match found {
            Some(rows) => Ok(rows),
            None => self.closed(number).await.map(|batch| make(&batch)),
        }
    }

    /// A closed batch that has left memory.
    async fn closed(&self, number: u32) -> Result<Batch, Error> {
        let open = self.world.handle.look(|till| till.batches().open_number()).await?;
        if number == 0 || number >= open {
            return Err(Error::NotFound(format!("there is no batch {number} yet: the open one is {open}")));
        }
        let journal = self.world.journal.clone();
        let read = tokio::task::spawn_blocking(move || closed::batch(&journal, number));
        let read = read.await.map_err(|e| Error::JournalUnavailable(e.to_string()))?;
        read.map_err(|e| Error::JournalUnavailable(e.to_string()))?.ok_or_else(|| {
            Error::NotFound(format!("the records of batch {number} were removed after their time"))
        })
    }

    /// The part that a caller means.
    async fn part(&self, batch: u32, channel: &str, options: &Options) -> Result<PartId, Error> {
        let (network, wanted) = (options::number(options, "network")?, channel.to_owned());
        let mut parts = self
            .rows(batch, move |b| {
                let fits = |id: &PartId| id.channel == wanted && network.is_none_or(|n| id.network == n);
                b.parts().map(|(id, _)| id).filter(fits).collect()
            })
            .await?;
        match (parts.pop(), parts.is_empty()) {
            (Some(only), true) => Ok(only),
            (None, _) => Err(Error::NotFound(format!("batch {batch} has no part of {channel}"))),
            (Some(_), false) => Err(Error::InvalidArgs(
                "the channel has several parts in that batch: say which by option \"network\"".into(),
            )),
        }
    }
}

fn operator(options: &Options) -> Result<String, Error> {
    options::text(options, "operator", 32)?.filter(|o| !o.trim().is_empty()).ok_or_else(|| {
        Error::InvalidArgs("option \"operator\" is wanted: who does this stands in the journal".into())
    })
}

#[zbus::interface(name = "org.tilld.Settlement1")]
impl Settlement1 {
    #[zbus(property)]
    fn open_batch(&self) -> u32 {
        self.world.handle.published.open_batch().0
    }

    #[zbus(property)]
    fn business_date(&self) -> String {
        self.world.handle.published.open_batch().1
    }

    #[zbus(out_args("batch"))]
    async fn close(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<u32, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator"])?;
        let operator = Some(operator(&options)?);
        let open = |till: &till_core::Till| till.batches().open_number();
        let before = self.world.handle.look(open).await?;
        self.world.handle.input(Input::CloseBatch { operator }).await?;
        let after = self.world.handle.look(open).await?;
        Ok(if after > before { before } else { 0 })
    }

    #[zbus(out_args("batches"))]
    async fn list_batches(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Vec<BatchRow>, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        let rows = self.world.handle.look(|till| {
            let book = till.batches();
            let mut live: Vec<&Batch> = book.frozen().chain(book.open()).collect();
            live.sort_by_key(|b| std::cmp::Reverse(b.number));
            live.into_iter().chain(book.closed()).map(batch_row).collect()
        });
        Ok(rows.await?)
    }

    #[zbus(out_args("operators"))]
    async fn list_operators(
        &self,
        batch: u32,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Vec<OperatorRow>, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        self.rows(batch, |b| {
            let row =
                |operator: &String, (currency, line): (till_plugin::Currency, till_core::batch::Line)| {
                    let (debits, credits) = (&line.debits, &line.credits);
                    let (d, c) =
                        ((debits.amount.minor(), debits.count), (credits.amount.minor(), credits.count));
                    (operator.clone(), currency.code().into(), d.0, d.1, c.0, c.1)
                };
            let of =
                |(who, totals)| Totals::lines(totals).map(move |line| row(who, line)).collect::<Vec<_>>();
            b.operators().iter().flat_map(of).collect()
        })
        .await
    }

    #[zbus(out_args("parts"))]
    async fn list_parts(
        &self,
        batch: u32,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Vec<PartRow>, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        self.rows(batch, |b| b.parts().flat_map(|(id, part)| part_rows(&id, part)).collect()).await
    }

    #[zbus(out_args("exceptions"))]
    async fn list_exceptions(
        &self,
        batch: u32,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Vec<ExceptionRow>, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        self.rows(batch, |b| {
            let row = |(id, e): (PartId, &till_core::batch::Exception)| {
                let (en, zh) = e.why.text();
                let payment = e.item.map(|i| i.payment.to_string()).unwrap_or_default();
                let attempt = e.item.map_or(0, |i| i.attempt);
                (id.channel, payment, attempt, e.why.code().into(), en.into(), zh.into())
            };
            b.exceptions().map(row).collect()
        })
        .await
    }

    async fn settle_again(
        &self,
        batch: u32,
        channel: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["network", "operator"])?;
        let operator = options::text(&options, "operator", 32)?;
        let part = self.part(batch, channel, &options).await?;
        self.world.handle.input(Input::SettleAgain { batch, part, operator }).await?;
        Ok(())
    }

    #[zbus(out_args("closed"))]
    async fn close_anyway(
        &self,
        batch: u32,
        channel: &str,
        reason: String,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<bool, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["network", "operator"])?;
        let operator = operator(&options)?;
        let part = self.part(batch, channel, &options).await?;
        let same = part.clone();
        self.world.handle.input(Input::CloseAnyway { batch, part, reason, operator }).await?;
        let closed = move |b: &Batch| vec![b.part(&same).is_some_and(|p| p.state.is_closed())];
        Ok(self.rows(batch, closed).await?.contains(&true))
    }

    #[zbus(out_args("payouts"))]
    async fn list_payouts(
        &self,
        batch: u32,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Vec<PayoutRow>, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        self.rows(batch, |b| b.parts().flat_map(|(id, part)| payout_rows(&id, part)).collect()).await
    }

    #[zbus(out_args("lines", "differences"))]
    async fn fee_report(
        &self,
        batch: u32,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(Vec<fees::Row>, Vec<fees::DifferenceRow>), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["limit"])?;
        let limit = options::number(&options, "limit")?.unwrap_or(fees::DIFFERENCES);
        fees::report(&self.world, batch, limit.min(fees::MOST)).await
    }

    #[zbus(out_args("text"))]
    async fn slip_text(
        &self,
        batch: u32,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<String, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["columns"])?;
        let columns = options::number(&options, "columns")?.unwrap_or(32).clamp(20, 80);
        let found = self.rows(batch, |b| vec![b.clone()]).await?;
        let closed = found.into_iter().find(|b| b.state == BatchState::Closed).ok_or_else(|| {
            Error::WrongState(format!("batch {batch} is not closed: it has no settlement slip yet"))
        })?;
        let slip = crate::till::effects::slip(&self.world.handle, &self.world.receipts.shop, &closed, 0);
        Ok(receipt::text(&slip, columns as usize))
    }

    #[zbus(out_args("copy"))]
    async fn reprint_slip(
        &self,
        batch: u32,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<u32, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator"])?;
        let operator = Some(operator(&options)?);
        let _one_after_the_other = self.copies.lock().await;
        let in_memory = self.world.handle.look(move |till| till.batches().get(batch).is_some()).await?;
        let forgotten = if in_memory { None } else { Some(self.closed(batch).await?.copies) };
        self.world.handle.input(Input::ReprintSlip { batch, forgotten, operator }).await?;
        match forgotten {
            Some(before) => Ok(before.saturating_add(1)),
            None => Ok(self.rows(batch, |b| vec![b.copies]).await?.pop().unwrap_or(0)),
        }
    }

    #[zbus(signal)]
    pub(super) async fn batch_changed(
        emitter: &SignalEmitter<'_>,
        batch: u32,
        state: &str,
    ) -> zbus::Result<()>;
}

fn batch_row(b: &Batch) -> BatchRow {
    let date = b.date.map(|d| d.to_string()).unwrap_or_default();
    (b.number, date, b.state.as_str().into(), b.automatic, b.operator.clone().unwrap_or_default())
}

/// One row a currency; a part without money has one row with no currency.
fn part_rows(id: &PartId, part: &Part) -> Vec<PartRow> {
    let gave_up = part.gave_up.as_ref().map(|g| g.text.clone()).unwrap_or_default();
    let why = match &part.proposal {
        Some(p) => {
            let and = if gave_up.is_empty() { "" } else { "; " };
            format!(
                "{gave_up}{and}{} wants it closed as it is ({}): another person must agree",
                p.operator, p.reason
            )
        }
        None => gave_up,
    };
    let row = |currency: String, (debits, debit_count), (credits, credit_count)| {
        let state = part.state.as_str().to_owned();
        (
            id.channel.clone(),
            id.network,
            state,
            currency,
            debits,
            debit_count,
            credits,
            credit_count,
            why.clone(),
        )
    };
    let rows: Vec<PartRow> = part
        .totals()
        .lines()
        .map(|(currency, line)| {
            let debits = (line.debits.amount.minor(), line.debits.count);
            row(currency.code().into(), debits, (line.credits.amount.minor(), line.credits.count))
        })
        .collect();
    if rows.is_empty() { vec![row(String::new(), (0, 0), (0, 0))] } else { rows }
}

/// What is expected of a closed part, one row a currency; its date is empty where there is no cycle.
fn payout_rows(id: &PartId, part: &Part) -> Vec<PayoutRow> {
    let Some(payout) = &part.payout else { return Vec::new() };
    let date = payout.date.map(|d| d.to_string()).unwrap_or_default();
    let row = |e: &till_core::batch::Expected| {
        let currency = e.net.currency().code().into();
        (id.channel.clone(), id.network, currency, e.fee.minor(), e.net.minor(), date.clone())
    };
    payout.expected.iter().map(row).collect()
}
