//! `org.tilld.Disputes1`: cases of disputed payments. Nothing here moves money.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use till_core::dispute::{Dispute, DisputeEvent};
use till_core::input::Input;
use till_core::record::{KIND, Record};
use till_core::{Payment, Refusal};
use till_plugin::Money;
use zbus::OwnedFd;
use zbus::message::Header;

use super::World;
use super::errors::Error;
use super::lookup;
use super::options::{self, Options};
use crate::evidence;
use crate::till::TillError;

/// The root's interface.
pub(super) struct Disputes1 {
    pub(super) world: Arc<World>,
}

/// A case: number, payment, attempt, amount, currency, state, reason, reference, opened, changed, answer by (Unix ms).
type Row = (u32, String, u32, i64, String, String, String, String, i64, i64, i64);

/// A leg that followed the disputed attempt: attempt, kind, amount, state, receipt.
type Leg = (u32, String, i64, String, u64);

/// What happened to a case: seq, Unix ms, event, operator, text, hash of the evidence file.
type Event = (u64, i64, String, String, String, String);

fn row(d: &Dispute) -> Row {
    (
        d.number,
        d.payment.to_string(),
        d.attempt,
        d.amount.minor(),
        d.amount.currency().code().into(),
        d.state.as_str().into(),
        d.reason.clone(),
        d.reference.clone(),
        d.opened_wall_ms,
        d.changed_wall_ms,
        d.answer_by_ms,
    )
}

fn legs(p: &Payment, attempt: u32) -> Vec<Leg> {
    let following = p.attempts.iter().filter(|a| a.of == attempt && a.kind.gives_back());
    let leg = |a: &till_core::Attempt| {
        let kind = a.kind.as_str().to_owned();
        (a.ids.attempt, kind, a.amount.minor(), a.state.as_str().to_owned(), a.receipt.unwrap_or(0))
    };
    following.map(leg).collect()
}

fn told(seq: u64, wall_ms: i64, event: DisputeEvent, operator: String) -> Event {
    let name = event.name().trim_start_matches("dispute-").to_owned();
    let (text, hash) = match event {
        DisputeEvent::Opened { reason, .. } => (reason, String::new()),
        DisputeEvent::Noted { text } => (text, String::new()),
        DisputeEvent::Answered { evidence, text } => (text, super::hex(&evidence)),
        DisputeEvent::Closed { won, text } => {
            (format!("{}: {text}", if won { "won" } else { "lost" }), String::new())
        }
    };
    (seq, wall_ms, name, operator, text, hash)
}

fn operator(options: &Options) -> Result<String, Error> {
    options::text(options, "operator", 32)?.filter(|o| !o.trim().is_empty()).ok_or_else(|| {
        Error::InvalidArgs("option \"operator\" is wanted: who does this stands in the journal".into())
    })
}

impl Disputes1 {
    async fn case(&self, number: u32) -> Result<Dispute, Error> {
        let found = self.world.handle.look(move |till| till.disputes().get(number).cloned()).await?;
        found.ok_or_else(|| {
            Error::NotFound(format!("there is no case {number}: `tillctl dispute list` shows them"))
        })
    }

    async fn event(&self, case: &Dispute, event: DisputeEvent, operator: String) -> Result<(), Error> {
        let input = Input::Dispute { payment: case.payment, number: case.number, event, operator };
        Ok(self.world.handle.input(input).await?)
    }
}

#[zbus::interface(name = "org.tilld.Disputes1")]
impl Disputes1 {
    #[zbus(out_args("dispute"))]
    async fn open(
        &self,
        payment: &str,
        amount: i64,
        reason: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<u32, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator", "attempt", "reference", "answer-by-ms"])?;
        let operator = operator(&options)?;
        let p = lookup::payment(&self.world, payment)?;
        let wanted = options::number(&options, "attempt")?;
        let took = |a: &&till_core::Attempt| {
            a.kind.takes() && a.stands() && wanted.is_none_or(|n| n == a.ids.attempt)
        };
        let mut taken = p.attempts.iter().filter(took);
        let attempt = match (taken.next(), taken.next()) {
            (Some(only), None) => only,
            (None, _) => {
                return Err(Error::NotPossible(format!("payment {} took no such money", p.id)));
            }
            _ => return Err(Error::InvalidArgs("it was paid in parts: say which attempt".into())),
        };
        let event = DisputeEvent::Opened {
            attempt: attempt.ids.attempt,
            amount: if amount == 0 { attempt.amount } else { Money::new(amount, p.amount.currency()) },
            reason: reason.into(),
            reference: options::text(&options, "reference", 64)?.unwrap_or_default(),
            answer_by_ms: options::signed(&options, "answer-by-ms")?.unwrap_or(0),
        };
        loop {
            let number = self.world.handle.look(|till| till.disputes().next()).await?;
            let (event, operator) = (event.clone(), operator.clone());
            let input = Input::Dispute { payment: p.id, number, event, operator };
            match self.world.handle.input(input).await {
                Ok(()) => return Ok(number),
                // Somebody else took that number.
                Err(TillError::Refused(Refusal::Stale)) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    async fn note(
        &self,
        dispute: u32,
        text: String,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator"])?;
        let operator = operator(&options)?;
        let case = self.case(dispute).await?;
        self.event(&case, DisputeEvent::Noted { text }, operator).await
    }

    #[zbus(out_args("records", "hash"))]
    async fn answer(
        &self,
        dispute: u32,
        file: OwnedFd,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(u64, String), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator", "text"])?;
        let operator = operator(&options)?;
        let text = options::text(&options, "text", 256)?.unwrap_or_default();
        let case = self.case(dispute).await?;
        let (world, id) = (self.world.clone(), case.payment);
        let mut file = File::from(std::os::fd::OwnedFd::from(file));
        let made = tokio::task::spawn_blocking(move || {
            let till = (&world.journal, &world.keys, &world.handle);
            let (bytes, records) = evidence::make(till, &world.receipts, id)
                .map_err(|e| Error::JournalUnavailable(e.to_string()))?;
            let written = file.write_all(&bytes);
            written.map_err(|e| Error::InvalidArgs(format!("the evidence file: {e}")))?;
            // A pipe cannot be synced, a file is.
            let _pipe = file.sync_all();
            Ok::<_, Error>((records, *blake3::hash(&bytes).as_bytes()))
        });
        let (records, hash) = made.await.map_err(|e| Error::JournalUnavailable(e.to_string()))??;
        // The file first: a case that says "answered" has a file to show for it.
        self.event(&case, DisputeEvent::Answered { evidence: hash, text }, operator).await?;
        Ok((records, super::hex(&hash)))
    }

    async fn close(
        &self,
        dispute: u32,
        outcome: &str,
        reason: String,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator"])?;
        let operator = operator(&options)?;
        let won = match outcome {
            "won" => true,
            "lost" => false,
            _ => return Err(Error::InvalidArgs("an outcome is won or lost".into())),
        };
        let case = self.case(dispute).await?;
        self.event(&case, DisputeEvent::Closed { won, text: reason }, operator).await
    }

    #[zbus(out_args("disputes"))]
    async fn list(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Vec<Row>, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["state", "limit"])?;
        let state = options::text(&options, "state", 32)?;
        let limit = options::number(&options, "limit")?.unwrap_or(100).clamp(1, 500) as usize;
        let rows = move |till: &till_core::Till| {
            let wanted = |d: &&Dispute| state.as_ref().is_none_or(|s| d.state.as_str() == s);
            till.disputes().all().rev().filter(wanted).take(limit).map(row).collect()
        };
        Ok(self.world.handle.look(rows).await?)
    }

    #[zbus(out_args("case", "legs", "events"))]
    async fn show(
        &self,
        dispute: u32,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(Row, Vec<Leg>, Vec<Event>), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        let case = self.case(dispute).await?;
        let payment = lookup::known(&self.world, case.payment)?;
        let unreadable = |e: till_journal::JournalError| Error::JournalUnavailable(e.to_string());
        let records = self.world.journal.by_subject(&case.payment.0).map_err(unreadable)?;
        let events = records.into_iter().filter(|r| r.kind == KIND).filter_map(|r| {
            match Record::decode(&r.payload).ok()? {
                Record::Dispute { number, event, operator, .. } if number == dispute => {
                    Some(told(r.seq, r.stamp.wall_ms, event, operator))
                }
                _ => None,
            }
        });
        let events = events.collect();
        Ok((row(&case), payment.map(|p| legs(&p, case.attempt)).unwrap_or_default(), events))
    }
}
