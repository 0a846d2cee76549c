//! Instances that failed too often: kept in a small file, so that a restart of the daemon or the machine does not begin
//! the crashing anew.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::atomic;

/// An instance in quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuarantineEntry {
    /// Plugin id.
    pub plugin: String,
    /// One line: why.
    pub reason: String,
    /// Since when, Unix seconds.
    pub since: u64,
    /// Which file it was: length and modification time. Another file ends the quarantine.
    pub library: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OnDisk {
    #[serde(default)]
    instance: BTreeMap<String, QuarantineEntry>,
}

/// The quarantine and its file.
#[derive(Debug)]
pub(crate) struct Quarantine {
    path: PathBuf,
    entries: Mutex<BTreeMap<String, QuarantineEntry>>,
}

impl Quarantine {
    /// Reads the file. A damaged one is put aside, and nobody is in quarantine: the failures will show again.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let entries = match fs::read_to_string(&path) {
            Ok(text) => match toml::from_str::<OnDisk>(&text) {
                Ok(on_disk) => on_disk.instance,
                Err(e) => {
                    let aside = path.with_extension("toml.damaged");
                    tracing::warn!(file = %path.display(), aside = %aside.display(), error = %e,
                        "the quarantine file cannot be read; put aside");
                    fs::rename(&path, aside)?;
                    BTreeMap::new()
                }
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(e) => return Err(e),
        };
        Ok(Self { path, entries: Mutex::new(entries) })
    }

    /// Everybody in it.
    pub(crate) fn entries(&self) -> BTreeMap<String, QuarantineEntry> {
        self.lock().clone()
    }

    /// Whether this instance is in it, with this very file.
    pub(crate) fn holds(&self, instance: &str, library: &Path) -> Option<QuarantineEntry> {
        let entry = self.lock().get(instance).cloned()?;
        if entry.library == fingerprint(library) {
            return Some(entry);
        }
        if let Err(e) = self.release(instance) {
            tracing::warn!(instance, error = %e, "the quarantine file cannot be written");
        }
        None
    }

    /// Puts an instance in.
    pub(crate) fn put(&self, instance: &str, plugin: &str, library: &Path, reason: &str) -> io::Result<()> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let entry = QuarantineEntry {
            plugin: plugin.to_owned(),
            reason: reason.to_owned(),
            since,
            library: fingerprint(library),
        };
        let mut entries = self.lock();
        entries.insert(instance.to_owned(), entry);
        self.write(&entries)
    }

    /// Lets an instance out; false when it was not in.
    pub(crate) fn release(&self, instance: &str) -> io::Result<bool> {
        let mut entries = self.lock();
        if entries.remove(instance).is_none() {
            return Ok(false);
        }
        self.write(&entries)?;
        Ok(true)
    }

    fn write(&self, entries: &BTreeMap<String, QuarantineEntry>) -> io::Result<()> {
        let text = toml::to_string(&OnDisk { instance: entries.clone() }).map_err(io::Error::other)?;
        atomic::replace(&self.path, text.as_bytes())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, QuarantineEntry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fingerprint(library: &Path) -> String {
    fs::metadata(library)
        .map_or_else(|_| "missing".into(), |m| format!("{}-{}.{:09}", m.len(), m.mtime(), m.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_survives_a_restart_and_ends_with_another_file() {
        let dir = tempfile::tempdir().unwrap();
        let (file, library) = (dir.path().join("quarantine.toml"), dir.path().join("p.so"));
        fs::write(&library, b"one").unwrap();
        let first = Quarantine::open(file.clone()).unwrap();
        first.put("scanner", "org.example.scanner", &library, "it crashed").unwrap();
        drop(first);

        let second = Quarantine::open(file.clone()).unwrap();
        assert_eq!(second.holds("scanner", &library).unwrap().reason, "it crashed");
        fs::write(&library, b"an update").unwrap();
        assert_eq!(second.holds("scanner", &library), None);
        assert!(Quarantine::open(file).unwrap().entries().is_empty());
    }

    #[test]
    fn a_damaged_file_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("quarantine.toml");
        fs::write(&file, "[[[").unwrap();
        assert!(Quarantine::open(file.clone()).unwrap().entries().is_empty());
        assert_eq!(fs::read_to_string(dir.path().join("quarantine.toml.damaged")).unwrap(), "[[[");
    }

    #[test]
    fn release_says_whether_it_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let q = Quarantine::open(dir.path().join("q.toml")).unwrap();
        q.put("a", "p", dir.path(), "r").unwrap();
        assert!(q.release("a").unwrap());
        assert!(!q.release("a").unwrap());
    }
}
