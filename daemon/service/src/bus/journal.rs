//! `org.tilld.Journal1`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::Arc;

use crate::service::instance_log::{KIND_INSTANCE_LOG, KIND_INSTANCE_LOG_TRIM};
use till_core::PaymentId;
use till_core::payment::PaymentIdError;
use till_core::record::{KIND, Record};
use till_evidence::PublicKey;
use till_journal::{Journal, JournalError};
use zbus::OwnedFd;
use zbus::message::Header;

use super::World;
use super::errors::Error;
use super::options::{self, Options};
use crate::evidence::{self, EvidenceError};
use crate::keys::KeysError;
use crate::service::key_log::{self, KIND_KEYS_ASKED, KeysAsked};

/// The journal.
pub(super) struct Journal1 {
    pub(super) world: Arc<World>,
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, b| {
        let _infallible = write!(text, "{b:02x}");
        text
    })
}

#[zbus::interface(name = "org.tilld.Journal1")]
impl Journal1 {
    #[zbus(property(emits_changed_signal = "false"))]
    fn head(&self) -> (u64, String) {
        let head = self.world.journal.head();
        (head.seq, hex(&head.hash))
    }

    #[zbus(property)]
    fn state(&self) -> String {
        self.world.handle.published.journal_trouble().unwrap_or_else(|| "well".into())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn evidence_key(&self) -> zbus::fdo::Result<String> {
        let key = evidence::public_key(&self.world.keys);
        key.map(PublicKey::to_pem).map_err(|e| zbus::fdo::Error::Failed(e.to_string()))
    }

    #[zbus(out_args("records", "problems"))]
    async fn verify(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(u64, Vec<String>), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        let journal = self.world.journal.clone();
        let report = blocking(move || journal.verify().map_err(|e| e.to_string())).await?;
        Ok((report.records, report.findings))
    }

    #[zbus(out_args("records"))]
    async fn export(
        &self,
        from: u64,
        to: u64,
        file: OwnedFd,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<u64, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        let journal = self.world.journal.clone();
        let file = File::from(std::os::fd::OwnedFd::from(file));
        blocking(move || write_records(&journal, from, to, file).map_err(|e| e.to_string())).await
    }

    #[zbus(out_args("records"))]
    async fn export_evidence(
        &self,
        payment: String,
        file: OwnedFd,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<u64, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        let id: PaymentId = payment.parse().map_err(|e: PaymentIdError| Error::InvalidArgs(e.to_string()))?;
        let world = self.world.clone();
        let mut file = File::from(std::os::fd::OwnedFd::from(file));
        let made = tokio::task::spawn_blocking(move || {
            let till = (&world.journal, &world.keys, &world.handle);
            let (bytes, records) = evidence::make(till, &world.receipts, id)?;
            Ok::<_, EvidenceError>((bytes, records))
        });
        let made = made.await.map_err(|e| Error::JournalUnavailable(e.to_string()))?;
        let (bytes, records) = made.map_err(|e| match e {
            EvidenceError::Journal(JournalError::NotFound { .. }) => {
                Error::NotFound(format!("the journal has no records of payment {id}"))
            }
            e => Error::JournalUnavailable(e.to_string()),
        })?;
        blocking(move || {
            file.write_all(&bytes).map_err(|e| e.to_string())?;
            // A pipe cannot be synced, a file is.
            let _pipe = file.sync_all();
            Ok(records)
        })
        .await
    }

    #[zbus(out_args("epoch"))]
    async fn rotate_keys(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<u32, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &["operator", "which"])?;
        let operator = options::text(&options, "operator", 32)?.filter(|o| !o.trim().is_empty());
        let operator = operator.ok_or_else(|| {
            Error::InvalidArgs(
                "option \"operator\" is wanted: who replaces the keys stands in the journal".into(),
            )
        })?;
        let which = match options::text(&options, "which", 16)?.as_deref() {
            None | Some("chain") => Which::Chain,
            Some("master") => Which::Master,
            Some("both") => Which::Both,
            Some(_) => return Err(Error::InvalidArgs("option \"which\" is chain, master or both".into())),
        };
        let (journal, keys) = (self.world.journal.clone(), self.world.keys.clone());
        let asked = KeysAsked { operator: operator.clone(), which: which.as_str().into() };
        // Who asked stands there first; that it happened is what the journal and the keyring say themselves.
        key_log::asked(&journal, &asked).await.map_err(|e| Error::JournalUnavailable(e.to_string()))?;
        let done = tokio::task::spawn_blocking(move || {
            // The master first: when it is not tilld's to replace, nothing has changed.
            if which != Which::Chain {
                keys.rotate_master()?;
            }
            if which == Which::Master { Ok(journal.stats().epoch) } else { keys.rotate_device(&journal) }
        });
        let epoch =
            done.await.map_err(|e| Error::JournalUnavailable(e.to_string()))?.map_err(|e| match e {
                KeysError::MasterIsCredential => Error::NotPossible(e.to_string()),
                e => Error::JournalUnavailable(e.to_string()),
            })?;
        tracing::warn!(operator, epoch, "keys were replaced");
        Ok(epoch)
    }

    #[zbus(out_args("records", "head", "hash"))]
    async fn backup(
        &self,
        file: OwnedFd,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(u64, u64, String), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        let journal = self.world.journal.clone();
        let file = File::from(std::os::fd::OwnedFd::from(file));
        blocking(move || {
            let mut out = BufWriter::new(file);
            let summary = journal.backup(&mut out, &mut |_, _, _| ()).map_err(|e| e.to_string())?;
            out.flush().map_err(|e| e.to_string())?;
            // A pipe cannot be synced, a file is.
            match out.get_ref().sync_all() {
                Err(e) if e.kind() != std::io::ErrorKind::InvalidInput => Err(e.to_string()),
                _ => Ok((summary.records, summary.last, hex(&summary.head_hash))),
            }
        })
        .await
    }
}

/// Which key is replaced.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Which {
    Chain,
    Master,
    Both,
}

impl Which {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Master => "master",
            Self::Both => "both",
        }
    }
}

async fn blocking<T: Send + 'static>(
    f: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(f).await.map_err(|e| Error::JournalUnavailable(e.to_string()))?;
    done.map_err(Error::JournalUnavailable)
}

/// JSON lines: one a record, then one with the head of the chain.
fn write_records(journal: &Journal, from: u64, to: u64, file: File) -> std::io::Result<u64> {
    let head = journal.head();
    let to = if to == 0 { head.seq } else { to.min(head.seq) };
    let mut out = BufWriter::new(file);
    let (mut at, mut count) = (from.max(1), 0);
    while at <= to {
        let page = journal.range(at, 256).map_err(std::io::Error::other)?;
        let Some(last) = page.last().map(|r| r.seq) else { break };
        for r in page.iter().filter(|r| r.seq <= to) {
            let decoded = (r.kind == KIND).then(|| Record::decode(&r.payload).ok()).flatten();
            let other = match r.kind {
                KIND_KEYS_ASKED => "keys-asked",
                KIND_INSTANCE_LOG => "instance-log",
                KIND_INSTANCE_LOG_TRIM => "instance-log-trim",
                _ => "journal",
            };
            // The subject of an instance's log is no payment.
            let about_payment = r.kind == KIND && r.subject != [0; 16];
            let asked = (r.kind == KIND_KEYS_ASKED).then(|| KeysAsked::decode(&r.payload)).flatten();
            let record = match (&decoded, &asked) {
                (None, Some(asked)) => serde_json::to_value(asked)?,
                (record, _) => serde_json::to_value(record)?,
            };
            let line = serde_json::json!({
                "seq": r.seq,
                "epoch": r.epoch,
                "kind": decoded.as_ref().map_or(other, Record::name),
                "payment": about_payment.then(|| hex(&r.subject)),
                "wall-ms": r.stamp.wall_ms,
                "boot-ms": r.stamp.boottime_ms,
                "boot-id": hex(&r.boot_id),
                "clock-ok": r.stamp.clock_ok,
                "record": record,
                "prev-hash": hex(&r.prev_hash),
                "hash": hex(&r.hash),
            });
            serde_json::to_writer(&mut out, &line)?;
            out.write_all(b"\n")?;
            count += 1;
        }
        at = last + 1;
    }
    serde_json::to_writer(
        &mut out,
        &serde_json::json!({ "head": { "seq": head.seq, "hash": hex(&head.hash) } }),
    )?;
    out.write_all(b"\n")?;
    out.flush()?;
    // A pipe cannot be synced, a file is.
    let _pipe = out.get_ref().sync_all();
    Ok(count)
}
