//! `org.tilld.Notices1`: what the merchant is told, by receivers that each have a cursor in the journal.

use std::sync::Arc;

use till_core::input::Input;
use till_journal::JournalError;
use till_plugin::Money;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;

use super::World;
use super::errors::Error;
use super::options::{self, Options};
use crate::till::notices::{self, Notice};

/// The root's interface.
pub(super) struct Notices1 {
    pub(super) world: Arc<World>,
}

/// A row of `List`: seq, id, kind, payment, amount, currency, channel, English, Chinese, Unix ms.
type Row = (u64, String, String, String, i64, String, String, String, String, i64);

/// Records that one call looks at.
const LOOK_ON: usize = 20_000;

fn row(n: Notice) -> Row {
    let amount = n.amount.map_or(0, Money::minor);
    let currency = n.amount.map(|m| m.currency().code().to_owned()).unwrap_or_default();
    let payment = n.payment.map(|p| p.to_string()).unwrap_or_default();
    let (en, zh) = n.text;
    (n.seq, n.id, n.kind.into(), payment, amount, currency, n.channel, en, zh, n.wall_ms)
}

/// A receiver's name: letters, digits, dashes.
fn sink(name: &str) -> Result<String, Error> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(good) {
        return Err(Error::InvalidArgs(
            "a receiver's name has 1 to 64 letters, digits, dashes and points".into(),
        ));
    }
    Ok(name.to_owned())
}

impl Notices1 {
    /// Notices behind a record, and up to which record was looked.
    async fn after(&self, after: u64, limit: usize) -> Result<(Vec<Row>, u64), Error> {
        let journal = self.world.journal.clone();
        let read = move || {
            let refused = |e: JournalError| e.to_string();
            let (head, mut at) = (journal.head().seq, after);
            let (mut rows, mut looked) = (Vec::new(), 0);
            while at < head && looked < LOOK_ON && rows.len() < limit {
                let first = (at + 1).max(journal.stats().first_seq);
                let page = journal.range(first, 256).map_err(refused)?;
                if page.is_empty() {
                    break;
                }
                for frame in page {
                    (at, looked) = (frame.seq, looked + 1);
                    if let Some(notice) = notices::of(&journal, &frame).map_err(|e| e.to_string())? {
                        rows.push(row(notice));
                        if rows.len() >= limit {
                            break;
                        }
                    }
                }
            }
            Ok((rows, at))
        };
        let done = tokio::task::spawn_blocking(read).await;
        done.map_err(|e| Error::JournalUnavailable(e.to_string()))?.map_err(Error::JournalUnavailable)
    }
}

#[zbus::interface(name = "org.tilld.Notices1")]
impl Notices1 {
    #[zbus(out_args("notices", "upto"))]
    async fn list(
        &self,
        receiver: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(Vec<Row>, u64), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["limit", "after"])?;
        let limit = options::number(&options, "limit")?.unwrap_or(100).clamp(1, 500) as usize;
        let name = sink(receiver)?;
        let taken = self.world.handle.look(move |till| till.notices_taken(&name)).await?;
        self.after(options::big(&options, "after")?.unwrap_or(taken), limit).await
    }

    async fn acknowledge(
        &self,
        receiver: &str,
        upto: u64,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        self.world.handle.input(Input::TakeNotices { sink: sink(receiver)?, seq: upto }).await?;
        Ok(())
    }

    #[zbus(out_args("receivers"))]
    async fn list_receivers(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Vec<(String, u64)>, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        let all = |till: &till_core::Till| till.notice_sinks().clone().into_iter().collect();
        Ok(self.world.handle.look(all).await?)
    }

    #[zbus(signal)]
    pub(super) async fn notice_due(emitter: &SignalEmitter<'_>, seq: u64, payment: &str) -> zbus::Result<()>;
}
