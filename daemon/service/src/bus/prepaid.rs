//! `org.tilld.Prepaid1`: the shop's own cards, on the channel that keeps them.

use std::sync::Arc;
use std::time::Duration;

use till_core::input::Input;
use till_core::record::KIND;
use till_core::{PaymentId, Purpose};
use till_hosts::ChannelClient;
use till_plugin::channel::{
    Account, AccountEntry, AccountOperation, AccountOutcome, AccountReport, AccountStanding, AttemptIds,
    Decline,
};
use till_plugin::instrument::ScannedCode;
use till_plugin::{Currency, Extra, Instrument, Money, Sensitive};
use zbus::OwnedObjectPath;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;

use super::describe::{Dict, put};
use super::errors::Error;
use super::options::{self, Options};
use super::{World, lookup, paths, present, terminal};
use crate::till::ChannelView;

/// Longest for one call of the channel: it talks to nobody.
const CALL: Duration = Duration::from_secs(20);
/// How long a channel is waited for whose process is coming back.
const COMING_BACK: Duration = Duration::from_secs(15);
/// How often a request is put again whose answer was lost.
const AGAIN: usize = 3;
/// Most lines of one answer.
const LONGEST: u32 = 200;

/// A row of `History`: number, Unix ms, operation, change, balance, order number.
type Row = (u64, i64, String, i64, i64, String);

/// The cards of one channel.
pub(super) struct Prepaid1 {
    pub(super) world: Arc<World>,
    pub(super) id: String,
}

/// What is asked of the channel.
struct Ask<'a> {
    operation: AccountOperation,
    amount: Option<Money>,
    reason: &'a str,
    before: u64,
    limit: u32,
    extra: Extra,
}

impl Ask<'_> {
    const fn new(operation: AccountOperation) -> Self {
        Ask { operation, amount: None, reason: "", before: 0, limit: 0, extra: Extra::new() }
    }
}

impl Prepaid1 {
    fn view(&self) -> Result<ChannelView, Error> {
        let view = self.world.handle.routes.get(&self.id);
        view.ok_or_else(|| Error::NotFound(format!("there is no channel {}", self.id)))
    }

    async fn client(&self) -> Result<ChannelClient, Error> {
        let instance = self.view()?.instance;
        let instance =
            instance.ok_or_else(|| Error::PluginFailed(format!("the channel {} has no process", self.id)))?;
        match tokio::time::timeout(COMING_BACK, instance.ready()).await {
            Ok(Ok(())) => Ok(ChannelClient::new(instance)),
            Ok(Err(state)) => Err(Error::PluginFailed(format!(
                "the channel {} is {}: {}",
                self.id,
                state.as_str(),
                state.reason()
            ))),
            Err(_) => Err(Error::Timeout(format!("the channel {} is not back yet: try again", self.id))),
        }
    }

    fn card(&self, ticket: &str) -> Result<Instrument, Error> {
        self.world.handle.cards.get(ticket).ok_or_else(present::no_card)
    }

    /// The currency of the channel's cards.
    fn currency(&self) -> Result<Currency, Error> {
        super::currency_of(&self.view()?)
    }

    /// Does it, once for its key. A lost answer is asked for again under the same order number, which changes nothing
    /// twice.
    async fn account(&self, card: &str, ask: Ask<'_>, options: &Options) -> Result<AccountReport, Error> {
        if self.world.handle.published.is_training() {
            // Cards are real ones (I17: nothing of training reaches a channel).
            return Err(Error::WrongState(
                "the till is in training, and this is a real card: end training first".into(),
            ));
        }
        let key = options::text(options, "key", 64)?.unwrap_or_default();
        let request = Account {
            ids: numbers(&order(&self.id, ask.operation, &key)),
            operation: ask.operation,
            amount: ask.amount,
            instrument: Some(self.card(card)?),
            recovery: Sensitive::new(Vec::new()),
            operator: options::text(options, "operator", 32)?.filter(|o| !o.trim().is_empty()),
            reason: ask.reason.into(),
            before: ask.before,
            limit: ask.limit,
            extra: ask.extra,
        };
        let mut why = String::new();
        for _ in 0..AGAIN {
            match self.client().await?.account(&request, CALL).await {
                Ok(AccountOutcome::Done(report)) => return Ok(report),
                Ok(AccountOutcome::Declined(no) | AccountOutcome::NotSent(no)) => return Err(refused(&no)),
                Ok(AccountOutcome::Unknown(unknown)) => why = unknown.text,
                Err(e) if e.nothing_happened() => return Err(e.into()),
                Err(e) => why = e.to_string(),
            }
        }
        Err(Error::Timeout(format!(
            "nobody knows yet whether the {} was booked ({why}): ask again with the same key",
            ask.operation.as_str()
        )))
    }

    async fn report(&self, card: &str, ask: Ask<'_>, options: &Options) -> Result<Dict, Error> {
        Ok(told(&self.account(card, ask, options).await?))
    }
}

/// A key's order number: letters and digits, the same for the same key, never one of the till's own (those begin with
/// the terminal and a date, and are shorter).
fn order(channel: &str, operation: AccountOperation, key: &str) -> String {
    if key.is_empty() {
        return format!("ACC{}", uuid::Uuid::now_v7().simple()).to_ascii_uppercase();
    }
    let mut hasher = blake3::Hasher::new();
    for part in ["card operation", channel, operation.as_str(), key] {
        hasher.update(part.as_bytes()).update(&[0]);
    }
    format!("ACK{}", super::hex(&hasher.finalize().as_bytes()[..20])).to_ascii_uppercase()
}

/// Numbers of a request that is no payment's.
fn numbers(order: &str) -> AttemptIds {
    AttemptIds {
        payment: [0; 16],
        attempt: 0,
        trace: 0,
        batch: 0,
        order: order.into(),
        wall_ms: jiff::Timestamp::now().as_millisecond(),
    }
}

fn refused(no: &Decline) -> Error {
    let text = if no.text_zh.is_empty() { no.text.clone() } else { format!("{} {}", no.text, no.text_zh) };
    match no.code.as_str() {
        "unknown-card" => Error::NotFound(text),
        "wrong-instrument" | "not-ours" | "unreadable" => Error::NotPayable(text),
        "amount" | "currency" | "no-operator" | "too-long" => Error::InvalidArgs(text),
        "key-reused" => Error::KeyReuse(text),
        "unsupported" => Error::Unsupported(text),
        _ => Error::Refused(text),
    }
}

const fn standing(standing: AccountStanding) -> &'static str {
    match standing {
        AccountStanding::Active => "active",
        AccountStanding::Blocked => "blocked",
        AccountStanding::Expired => "expired",
        AccountStanding::Closed => "closed",
        _ => "unknown",
    }
}

fn told(report: &AccountReport) -> Dict {
    let mut d = Dict::new();
    put(&mut d, "account", report.account.clone());
    put(&mut d, "standing", standing(report.standing));
    put(&mut d, "balance", report.balance.minor());
    put(&mut d, "currency", report.balance.currency().code());
    put(&mut d, "expires", report.expires.clone().unwrap_or_default());
    put(&mut d, "class", report.extra.get("class").cloned().unwrap_or_default());
    d
}

fn row(entry: &AccountEntry) -> Row {
    let AccountEntry { number, wall_ms, operation, amount, balance, order } = entry;
    (*number, *wall_ms, operation.clone(), amount.minor(), balance.minor(), order.clone())
}

fn named(options: &Options) -> Result<(), Error> {
    options::text(options, "operator", 32)?.filter(|o| !o.trim().is_empty()).map(drop).ok_or_else(|| {
        Error::InvalidArgs("option \"operator\" is wanted: who does this stands in the ledger".into())
    })
}

#[zbus::interface(name = "org.tilld.Prepaid1")]
impl Prepaid1 {
    #[zbus(out_args("card", "masked"))]
    async fn present_card(
        &self,
        number: zbus::OwnedFd,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(String, String), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        let text = super::code::read(number.into()).await?;
        let instrument = Instrument::Code(ScannedCode { text, symbology: None });
        let masked = instrument.masked();
        Ok((self.world.handle.cards.put(instrument), masked))
    }

    async fn read_card(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["timeout-s"])?;
        present::read_card(&self.world, &self.id, &options).await
    }

    #[zbus(out_args("report"))]
    async fn issue(
        &self,
        card: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Dict, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator", "key", "registered"])?;
        named(&options)?;
        let registered = options::flag(&options, "registered")?.unwrap_or(false);
        let extra = Extra::from([("registered".to_owned(), registered.to_string())]);
        self.report(card, Ask { extra, ..Ask::new(AccountOperation::Issue) }, &options).await
    }

    #[zbus(out_args("report"))]
    async fn query(
        &self,
        card: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Dict, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        self.report(card, Ask::new(AccountOperation::History), &options).await
    }

    #[zbus(out_args("entries", "next"))]
    async fn history(
        &self,
        card: &str,
        before: u64,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(Vec<Row>, u64), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["limit"])?;
        let limit = options::number(&options, "limit")?.unwrap_or(50).clamp(1, LONGEST);
        let ask = Ask { before, limit, ..Ask::new(AccountOperation::History) };
        let report = self.account(card, ask, &options).await?;
        let full = report.entries.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let next = report.entries.last().filter(|_| full).map_or(0, |e| e.number);
        Ok((report.entries.iter().map(row).collect(), next))
    }

    #[zbus(out_args("report"))]
    async fn block(
        &self,
        card: &str,
        reason: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Dict, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator", "key"])?;
        named(&options)?;
        self.report(card, Ask { reason, ..Ask::new(AccountOperation::Block) }, &options).await
    }

    #[zbus(out_args("report"))]
    async fn unblock(
        &self,
        card: &str,
        reason: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Dict, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator", "key"])?;
        named(&options)?;
        self.report(card, Ask { reason, ..Ask::new(AccountOperation::Unblock) }, &options).await
    }

    #[zbus(out_args("report"))]
    async fn reactivate(
        &self,
        card: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Dict, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator", "key"])?;
        named(&options)?;
        self.report(card, Ask::new(AccountOperation::Reactivate), &options).await
    }

    #[zbus(out_args("report"))]
    async fn redeem(
        &self,
        card: &str,
        reason: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Dict, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator", "key"])?;
        named(&options)?;
        if reason.trim().is_empty() {
            return Err(Error::InvalidArgs("say why the card is paid out: it stands in the journal".into()));
        }
        let report =
            self.account(card, Ask { reason, ..Ask::new(AccountOperation::Redeem) }, &options).await?;
        let minor = report.extra.get("paid-out").and_then(|m| m.parse().ok()).unwrap_or(0);
        let paid = Money::new(minor, report.balance.currency());
        if paid.is_positive() {
            let why = format!("paid out {paid} of card {}: {reason}", report.account);
            let operator = options::text(&options, "operator", 32)?;
            // The card is closed, whatever comes of the drawer: an error now would have it asked for again.
            if let Err(e) = self.world.handle.input(Input::NoSale { reason: why, operator }).await {
                tracing::warn!("the drawer was not opened for a payout: {e}");
            }
        }
        let mut d = told(&report);
        put(&mut d, "paid-out", paid.minor());
        Ok(d)
    }

    #[zbus(out_args("payment"))]
    async fn top_up(
        &self,
        card: &str,
        amount: i64,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<OwnedObjectPath, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["key", "subject", "operator"])?;
        let key = options::text(&options, "key", 64)?.unwrap_or_default();
        let subject = options::text(&options, "subject", 64)?.unwrap_or_default();
        let operator = options::text(&options, "operator", 32)?;
        let amount = Money::new(amount, self.currency()?);
        let load = Account {
            ids: numbers(&order(&self.id, AccountOperation::Load, "")),
            operation: AccountOperation::Load,
            amount: Some(amount),
            instrument: Some(self.card(card)?),
            recovery: Sensitive::new(Vec::new()),
            operator: operator.clone(),
            reason: String::new(),
            before: 0,
            limit: 0,
            extra: Extra::new(),
        };
        // The channel looks at the card before anybody takes money for it: blocked, expired, over its cap.
        let prepared = self.client().await?.prepare_account(&load, CALL).await?;
        let prepared = prepared.map_err(|no| refused(&no))?;
        let id = PaymentId(*uuid::Uuid::now_v7().as_bytes());
        let sealing = &self.world.handle.sealing;
        sealing.begin_run().await;
        let (recovery, pin) = sealing
            .seal(id.0, KIND, prepared.recovery.expose())
            .map_err(|e| Error::JournalUnavailable(format!("the card cannot be sealed: {e}")))?;
        let masked = prepared.masked;
        let purpose = Purpose::TopUp { channel: self.id.clone(), recovery, masked: masked.clone() };
        let input = Input::Open {
            payment: id,
            purpose,
            key: key.clone(),
            amount,
            subject,
            operator,
            training: false,
        };
        self.world.handle.input(input).await?;
        drop(pin);
        let opened = terminal::opened(&self.world, connection, id, &key, false).await?;
        // The same key is the same top-up only for the same card.
        let same_card = |p: &Purpose, of: PaymentId| match p {
            Purpose::TopUp { channel, recovery, masked: m } => {
                let kept = sealing.open(of.0, KIND, recovery);
                let same = kept.map_or(*m == masked, |kept| *kept == *prepared.recovery.expose());
                *channel == self.id && same
            }
            _ => false,
        };
        match lookup::known(&self.world, opened)? {
            Some(p) if opened != id && !same_card(&p.purpose, opened) => Err(Error::KeyReuse(format!(
                "the key {key:?} belongs to payment {opened}, which is no top-up of this card: use a new key"
            ))),
            _ => Ok(paths::payment(opened)),
        }
    }

    #[zbus(signal)]
    pub(super) async fn card_presented(
        emitter: &SignalEmitter<'_>,
        card: &str,
        masked: &str,
        device: &str,
    ) -> zbus::Result<()>;
}
