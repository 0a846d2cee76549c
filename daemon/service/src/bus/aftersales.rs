//! `org.tilld.AfterSales1`: what follows a payment, on any payment of the journal.

use std::sync::Arc;

use till_core::input::Input;
use till_core::record::{KIND, Record};
use till_core::{LegKind, Payment, PaymentId, Verdict};
use till_plugin::Money;
use zbus::message::Header;

use super::World;
use super::bill::{BillRow, Filter, carries, row};
use super::describe::Dict;
use super::errors::Error;
use super::lookup::{self, Walk};
use super::options::{self, Options};
use super::told::{self, Step};

/// The root's interface.
pub(super) struct AfterSales1 {
    pub(super) world: Arc<World>,
}

/// Records that `Find` looks back at.
const LOOK_BACK: usize = 100_000;
/// Records that `Bill` looks at in one call.
const LOOK_ON: usize = 20_000;

/// A leg as asked for on the bus.
struct Ask {
    kind: LegKind,
    /// Minor units; 0: all that is left.
    amount: i64,
}

impl AfterSales1 {
    async fn leg(&self, payment: &str, ask: Ask, options: &Options) -> Result<u32, Error> {
        options::only(options, &["operator", "attempt", "key", "reason"])?;
        let p = self.payment(payment)?;
        if ask.amount < 0 {
            return Err(Error::InvalidArgs("an amount is not below zero; 0 is all that is left".into()));
        }
        let key = options::text(options, "key", 64)?.unwrap_or_default();
        let input = Input::Leg {
            payment: p.id,
            kind: ask.kind,
            of: options::number(options, "attempt")?.unwrap_or(0),
            amount: (ask.amount > 0).then(|| Money::new(ask.amount, p.amount.currency())),
            key: key.clone(),
            reason: options::text(options, "reason", 64)?.unwrap_or_default(),
            operator: Some(operator(options)?),
        };
        self.world.handle.input(input).await?;
        let now = self.payment(&p.id.to_string())?;
        let leg = now
            .attempts
            .iter()
            .rev()
            .find(|a| if key.is_empty() { a.kind == ask.kind } else { a.key == key })
            .map(|a| a.ids.attempt);
        leg.ok_or_else(|| Error::NotFound(format!("the leg of payment {} is gone", p.id)))
    }

    fn payment(&self, id_or_key: &str) -> Result<Payment, Error> {
        lookup::payment(&self.world, id_or_key)
    }

    fn id(&self, id_or_key: &str) -> Result<PaymentId, Error> {
        self.payment(id_or_key).map(|p| p.id)
    }
}

/// Who does it: money does not move without a name (channels.md C17).
fn operator(options: &Options) -> Result<String, Error> {
    options::text(options, "operator", 32)?.filter(|o| !o.trim().is_empty()).ok_or_else(|| {
        Error::InvalidArgs("option \"operator\" is wanted: who does this stands in the journal".into())
    })
}

fn read_verdict(text: &str) -> Result<Verdict, Error> {
    match text {
        "happened" => Ok(Verdict::Happened),
        "did-not" => Ok(Verdict::DidNot),
        _ => Err(Error::InvalidArgs("a verdict is happened or did-not".into())),
    }
}

#[zbus::interface(name = "org.tilld.AfterSales1")]
impl AfterSales1 {
    #[zbus(out_args("leg"))]
    async fn refund(
        &self,
        payment: &str,
        amount: i64,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<u32, Error> {
        self.world.access.check(connection, &header).await?;
        self.leg(payment, Ask { kind: LegKind::Refund, amount }, &options).await
    }

    #[zbus(out_args("leg"))]
    async fn void(
        &self,
        payment: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<u32, Error> {
        self.world.access.check(connection, &header).await?;
        self.leg(payment, Ask { kind: LegKind::Void, amount: 0 }, &options).await
    }

    #[zbus(out_args("leg"))]
    async fn capture(
        &self,
        payment: &str,
        amount: i64,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<u32, Error> {
        self.world.access.check(connection, &header).await?;
        self.leg(payment, Ask { kind: LegKind::Capture, amount }, &options).await
    }

    #[zbus(out_args("leg"))]
    async fn release(
        &self,
        payment: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<u32, Error> {
        self.world.access.check(connection, &header).await?;
        self.leg(payment, Ask { kind: LegKind::Release, amount: 0 }, &options).await
    }

    async fn reprint(
        &self,
        payment: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["receipt", "operator"])?;
        let receipt = options::big(&options, "receipt")?.unwrap_or(0);
        let operator = options::text(&options, "operator", 32)?;
        let payment = self.id(payment)?;
        self.world.handle.input(Input::Reprint { payment, receipt, operator }).await?;
        Ok(())
    }

    #[allow(clippy::too_many_arguments)] // they are the method's
    async fn propose_review(
        &self,
        payment: &str,
        attempt: u32,
        verdict: &str,
        reason: String,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator"])?;
        let (operator, verdict) = (operator(&options)?, read_verdict(verdict)?);
        let payment = self.id(payment)?;
        self.world.handle.input(Input::ProposeReview { payment, attempt, verdict, reason, operator }).await?;
        Ok(())
    }

    async fn confirm_review(
        &self,
        payment: &str,
        attempt: u32,
        verdict: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator"])?;
        let (operator, verdict) = (operator(&options)?, read_verdict(verdict)?);
        let payment = self.id(payment)?;
        self.world.handle.input(Input::ConfirmReview { payment, attempt, verdict, operator }).await?;
        Ok(())
    }

    async fn acknowledge(
        &self,
        payment: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator"])?;
        let operator = options::text(&options, "operator", 32)?;
        let payment = self.id(payment)?;
        self.world.handle.input(Input::Acknowledge { payment, operator }).await?;
        Ok(())
    }

    #[zbus(out_args("receipt"))]
    async fn receipt(
        &self,
        payment: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Dict, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["receipt", "columns"])?;
        let number = options::big(&options, "receipt")?.filter(|n| *n != 0);
        let columns = options::number(&options, "columns")?.unwrap_or(32).clamp(20, 80);
        let p = self.payment(payment)?;
        told::receipt(&self.world, &p, number, columns as usize)
    }

    #[zbus(out_args("steps"))]
    async fn history(
        &self,
        payment: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Vec<Step>, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        told::history(&self.world.journal, self.id(payment)?)
    }

    #[zbus(out_args("payments"))]
    async fn find(
        &self,
        number: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Vec<String>, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["limit"])?;
        let limit = options::number(&options, "limit")?.unwrap_or(20).clamp(1, 500) as usize;
        let mut found: Vec<String> = Vec::new();
        let mut left = LOOK_BACK;
        lookup::walk_back(&self.world.journal, |record| {
            if let Some(id) = record.payment().map(|id| id.to_string())
                && (carries(record, number) || id == number)
                && !found.contains(&id)
            {
                found.push(id);
            }
            left -= 1;
            if found.len() < limit && left > 0 { Walk::On } else { Walk::Enough }
        })?;
        Ok(found)
    }

    #[zbus(out_args("payments", "next"))]
    async fn bill(
        &self,
        after: u64,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(Vec<BillRow>, u64), Error> {
        self.world.access.check(connection, &header).await?;
        let filter = Filter::read(&options)?;
        let mut rows = Vec::new();
        let (mut at, mut looked) = (after, 0);
        let head = self.world.journal.head().seq;
        let refused = |e: till_journal::JournalError| Error::JournalUnavailable(e.to_string());
        while at < head && looked < LOOK_ON && rows.len() < filter.limit {
            let first = (at + 1).max(self.world.journal.stats().first_seq);
            let page = self.world.journal.range(first, 256).map_err(refused)?;
            if page.is_empty() {
                break;
            }
            for frame in page {
                (at, looked) = (frame.seq, looked + 1);
                if frame.kind == KIND
                    && let Ok(record) = Record::decode(&frame.payload)
                    && let Some(payment) = record.opens()
                    && let Some(p) = lookup::known(&self.world, payment)?
                    && filter.takes(&p)
                {
                    rows.push(row(at, &p));
                    if rows.len() >= filter.limit {
                        break;
                    }
                }
            }
        }
        Ok((rows, if at < head { at } else { 0 }))
    }
}
