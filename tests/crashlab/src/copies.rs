//! What a client of the till was being written when the daemon was killed: a backup, or a payment's evidence. Half of one
//! must be known for that: nobody may restore it, nobody may rely on it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use till_dbus::{Journal1Proxy, Options};
use till_evidence::{PublicKey, verify_evidence};
use till_powercut::Rng;
use tilld::keys::Keys;
use tilld::service::clock::TillClock;
use tilld::service::recover::{journal_options, keys_dir};

use crate::kills::Shop;
use crate::{LabError, check};

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copy {
    /// Of the whole journal.
    Backup,
    /// Of one payment.
    Evidence,
}

/// A file that the daemon was writing for a client.
pub struct Half {
    copy: Copy,
    path: PathBuf,
    key: String,
    /// Head of the journal before.
    head: u64,
}

fn lab(e: &dyn std::fmt::Display) -> LabError {
    LabError::Lab(e.to_string())
}

/// Asks for a copy and does not wait for it.
pub async fn begin(shop: &Shop, copy: Copy) -> Result<Half, LabError> {
    let path = shop.rig.dir.join("copy");
    let file = File::create(&path).map_err(LabError::file("copy"))?;
    let connection = shop.client.connection().clone();
    let journal = Journal1Proxy::new(&connection).await?;
    let key = journal.evidence_key().await.map_err(|e| lab(&e))?;
    let head = journal.head().await.map_err(|e| lab(&e))?.seq;
    let payments = shop.client.all_payments().await?;
    let payment = payments.last().map(|p| p.id.clone()).unwrap_or_default();
    tokio::spawn(async move {
        let Ok(journal) = Journal1Proxy::new(&connection).await else { return };
        let file = zbus::Fd::from(&file);
        // Its answer dies with the daemon.
        match copy {
            Copy::Backup => drop(journal.backup(file, Options::new()).await),
            Copy::Evidence => drop(journal.export_evidence(&payment, file, Options::new()).await),
        }
    });
    Ok(Half { copy, path, key, head })
}

impl Half {
    /// While no daemon runs: what is wrong with how the file is taken, as the kill left it and cut once more. `whole`
    /// counts those that the kill came too late for.
    pub fn judge(&self, shop: &Shop, rng: &mut Rng, whole: &mut usize) -> Result<Vec<String>, LabError> {
        let bytes = std::fs::read(&self.path).map_err(LabError::file("copy"))?;
        let mut wrong = Vec::new();
        let left = self.taken(shop, &bytes)?;
        match left {
            // Whole, and of all that there was.
            Some(last) if self.copy == Copy::Backup && last < self.head => {
                wrong.push(format!("a backup of {} records was made when there were {}", last, self.head));
            }
            Some(_) => *whole += 1,
            None => {}
        }
        if !bytes.is_empty() {
            let cut = rng.below(bytes.len());
            if self.taken(shop, &bytes[..cut])?.is_some() {
                let len = bytes.len();
                wrong.push(format!("{:?}: {cut} of {len} bytes were taken for the whole", self.copy));
            }
        }
        Ok(wrong)
    }

    /// Whether the file is believed; of a backup its last record.
    fn taken(&self, shop: &Shop, bytes: &[u8]) -> Result<Option<u64>, LabError> {
        if self.copy == Copy::Evidence {
            let key = PublicKey::from_pem(&self.key).map_err(|e| lab(&e))?;
            return Ok(verify_evidence(bytes, Some(&key)).ok().map(|_| 0));
        }
        let scratch = crate::scratch()?;
        let config = check::config(&shop.rig.config_file())?;
        let keys = Keys::open(config.secrets_dir.as_deref(), &keys_dir(&config)).map_err(|e| lab(&e))?;
        let mut options = journal_options(&config, till_journal::Probe::Thread);
        options.dir = scratch.path().join("journal");
        let clock = Arc::new(TillClock::new(config.clock));
        let device = keys.device().clone();
        let mut input = bytes;
        match till_journal::restore(&mut input, &options, device, clock, &mut |_, _, _| ()) {
            Ok(summary) => Ok(Some(summary.last)),
            Err(_) if left_nothing(&options.dir) => Ok(None),
            Err(e) => Err(LabError::Lab(format!("a refused backup left files behind: {e}"))),
        }
    }
}

fn left_nothing(dir: &Path) -> bool {
    std::fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none())
}
