//! `org.tilld.AfterSales1`: what follows a payment, on any payment of the journal.

use std::sync::Arc;

use till_core::input::Input;
use till_core::record::{KIND, Record};
use till_core::{LegKind, Payment, PaymentId, Verdict};
use till_plugin::Money;
use zbus::message::Header;

use super::World;
use super::errors::Error;
use super::lookup::{self, Walk};
use super::options::{self, Options};

/// The root's interface.
pub(super) struct AfterSales1 {
    pub(super) world: Arc<World>,
}

/// A row of `Bill`: seq, id, state, amount, paid, returned, currency, channel, operator, opened.
type BillRow = (u64, String, String, i64, i64, i64, String, String, String, i64);

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
                    && let Ok(Record::Opened { payment, .. } | Record::OpenedFor { payment, .. }) =
                        Record::decode(&frame.payload)
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

/// The number stands in this record.
fn carries(record: &Record, number: &str) -> bool {
    let receipt = |n: u64| n != 0 && (number == format!("{n:08}") || number == n.to_string());
    match record {
        Record::Opened { key, .. } | Record::OpenedFor { key, .. } => !key.is_empty() && key == number,
        Record::AttemptCreated { ids, .. } | Record::Tendered { ids, .. } => {
            ids.order == number || format!("{:06}", ids.trace) == number
        }
        Record::LegCreated { ids, key, .. } => {
            ids.order == number || format!("{:06}", ids.trace) == number || (!key.is_empty() && key == number)
        }
        Record::Approved { approval, receipt_number, .. } => {
            receipt(*receipt_number) || (!approval.reference.is_empty() && approval.reference == number)
        }
        Record::ReviewDecided { receipt_number, .. } => receipt(*receipt_number),
        _ => false,
    }
}

/// What a bill is about.
struct Filter {
    channel: Option<String>,
    operator: Option<String>,
    state: Option<String>,
    from_ms: i64,
    to_ms: i64,
    min: i64,
    max: i64,
    limit: usize,
}

impl Filter {
    fn read(o: &Options) -> Result<Self, Error> {
        options::only(o, &["channel", "operator", "state", "from-ms", "to-ms", "min", "max", "limit"])?;
        Ok(Self {
            channel: options::text(o, "channel", 32)?,
            operator: options::text(o, "operator", 32)?,
            state: options::text(o, "state", 32)?,
            from_ms: options::signed(o, "from-ms")?.unwrap_or(i64::MIN),
            to_ms: options::signed(o, "to-ms")?.unwrap_or(i64::MAX),
            min: options::signed(o, "min")?.unwrap_or(i64::MIN),
            max: options::signed(o, "max")?.unwrap_or(i64::MAX),
            limit: options::number(o, "limit")?.unwrap_or(100).clamp(1, 500) as usize,
        })
    }

    fn takes(&self, p: &Payment) -> bool {
        let channel = |c: &String| p.attempts.iter().any(|a| a.channel == *c);
        self.channel.as_ref().is_none_or(channel)
            && self.operator.as_ref().is_none_or(|o| p.operator.as_ref() == Some(o))
            && self.state.as_ref().is_none_or(|s| p.state.as_str() == s)
            && (self.from_ms..=self.to_ms).contains(&p.opened_wall_ms)
            && (self.min..=self.max).contains(&p.amount.minor())
    }
}

fn row(seq: u64, p: &Payment) -> BillRow {
    (
        seq,
        p.id.to_string(),
        p.state.as_str().into(),
        p.amount.minor(),
        p.paid().minor(),
        p.returned().minor(),
        p.amount.currency().code().into(),
        p.attempts.last().map(|a| a.channel.clone()).unwrap_or_default(),
        p.operator.clone().unwrap_or_default(),
        p.opened_wall_ms,
    )
}
