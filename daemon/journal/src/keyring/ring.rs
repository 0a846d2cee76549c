//! One ring: a directory of key files that are all wrapped under the same master key.
//!
//! `<keyring>/<n>/` is a ring; `<n>.new` one that is being made, `<n>.gone` one that is being destroyed. A rename makes
//! each of them what it is, so that at any cut a ring is there as a whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{KeyringError, Result};
use super::fs::KeyFs;
use super::wrap::{Master, Secret, Unwrapped};

/// Bytes written over a file before its name is removed; more than any key file has.
const ERASED: [u8; 256] = [0; 256];

/// A ring on disk, and the key that wraps what is in it.
pub(super) struct Ring {
    pub(super) fs: Arc<dyn KeyFs>,
    pub(super) dir: PathBuf,
    pub(super) master: Master,
}

/// What lies in a ring.
pub(super) struct Content {
    pub(super) secrets: BTreeMap<String, Secret>,
    /// Names of files that do not open.
    pub(super) damaged: Vec<String>,
}

/// What a ring is to a master key.
pub(super) enum Opened {
    Ours(Content),
    OtherMaster,
    /// No file of it opens, and none says that it is another master's.
    Unreadable,
}

impl Ring {
    /// Reads every file.
    pub(super) fn read(&self) -> Result<Opened> {
        let mut content = Content { secrets: BTreeMap::new(), damaged: Vec::new() };
        let mut other = false;
        for name in list(&*self.fs, &self.dir)? {
            let path = self.dir.join(&name);
            // Not finished: its secret was never used.
            if is_unfinished(&name) {
                destroy(&*self.fs, &path)?;
                continue;
            }
            let bytes = self.fs.read(&path).map_err(|e| KeyringError::io("read", &path, e))?;
            match self.master.unwrap(&name, &bytes) {
                Ok(secret) => {
                    content.secrets.insert(name, secret);
                }
                Err(why) => {
                    other |= why == Unwrapped::OtherMaster;
                    content.damaged.push(name);
                }
            }
        }
        Ok(match (content.secrets.is_empty(), other) {
            (false, _) => Opened::Ours(content),
            (true, true) => Opened::OtherMaster,
            (true, false) => Opened::Unreadable,
        })
    }

    /// Makes a secret durable under a name, in place of what had it.
    pub(super) fn put(&self, name: &str, secret: &[u8; 32]) -> Result<()> {
        let path = self.dir.join(name);
        let aside = self.dir.join(format!("{name}.new"));
        write(&*self.fs, &aside, &self.master.wrap(name, secret)?)?;
        self.fs.rename(&aside, &path).map_err(|e| KeyringError::io("rename", &aside, e))?;
        sync(&*self.fs, &self.dir)
    }

    /// Destroys a secret's file.
    pub(super) fn destroy(&self, name: &str) -> Result<()> {
        destroy(&*self.fs, &self.dir.join(name))?;
        sync(&*self.fs, &self.dir)
    }
}

impl Ring {
    /// Destroys a secret's file. Its name goes first, so that what is half destroyed is never taken for a damaged key:
    /// [`read`](Self::read) finishes it.
    pub(super) fn give_up(&self, name: &str) -> Result<()> {
        let gone = format!("{name}.gone");
        let path = self.dir.join(name);
        self.fs.rename(&path, &self.dir.join(&gone)).map_err(|e| KeyringError::io("rename", &path, e))?;
        sync(&*self.fs, &self.dir)?;
        self.destroy(&gone)
    }
}

/// Makes a whole ring: aside, every file and the directory synced, then renamed.
pub(super) fn make(
    fs: &Arc<dyn KeyFs>,
    keyring: &Path,
    number: u32,
    master: Master,
    secrets: &BTreeMap<String, Secret>,
) -> Result<Ring> {
    let aside = keyring.join(format!("{number}.new"));
    let dir = keyring.join(number.to_string());
    fs.make_dir(&aside).map_err(|e| KeyringError::io("create", &aside, e))?;
    for (name, secret) in secrets {
        write(&**fs, &aside.join(name), &master.wrap(name, secret)?)?;
    }
    sync(&**fs, &aside)?;
    fs.rename(&aside, &dir).map_err(|e| KeyringError::io("rename", &aside, e))?;
    sync(&**fs, keyring)?;
    Ok(Ring { fs: Arc::clone(fs), dir, master })
}

/// Destroys a ring. Its name goes first, so that what is half destroyed is never taken for a ring.
pub(super) fn destroy_ring(fs: &dyn KeyFs, keyring: &Path, dir: &Path) -> Result<()> {
    let gone = if dir.extension().is_some() { dir.to_owned() } else { dir.with_extension("gone") };
    if gone != dir {
        fs.rename(dir, &gone).map_err(|e| KeyringError::io("rename", dir, e))?;
        sync(fs, keyring)?;
    }
    for name in list(fs, &gone)? {
        destroy(fs, &gone.join(name))?;
    }
    sync(fs, &gone)?;
    fs.remove_dir(&gone).map_err(|e| KeyringError::io("remove", &gone, e))?;
    sync(fs, keyring)
}

/// A ring, or a file of one, that never got or has lost its name.
pub(super) fn is_unfinished(name: &str) -> bool {
    matches!(name.rsplit_once('.'), Some((_, "new" | "gone")))
}

/// Overwrites a file, makes that durable, removes the name. The directory is synced by the caller.
fn destroy(fs: &dyn KeyFs, path: &Path) -> Result<()> {
    fs.overwrite(path, &ERASED).map_err(|e| KeyringError::io("overwrite", path, e))?;
    sync(fs, path)?;
    fs.remove_file(path).map_err(|e| KeyringError::io("remove", path, e))
}

fn write(fs: &dyn KeyFs, path: &Path, bytes: &[u8]) -> Result<()> {
    fs.write(path, bytes).map_err(|e| KeyringError::io("write", path, e))?;
    sync(fs, path)
}

pub(super) fn sync(fs: &dyn KeyFs, path: &Path) -> Result<()> {
    fs.sync(path).map_err(|e| KeyringError::io("sync", path, e))
}

pub(super) fn list(fs: &dyn KeyFs, dir: &Path) -> Result<Vec<String>> {
    fs.list(dir).map_err(|e| KeyringError::io("list", dir, e))
}
