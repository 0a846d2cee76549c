//! Values that an instance keeps over restarts: one small file an instance.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use till_plugin::proto::{self, MAX_STORE};

use crate::atomic;

/// First bytes of a store file: name, format, then a CRC-32C of the rest.
const MAGIC: &[u8; 8] = b"TILLST\0\x01";

/// The values of one instance.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    values: BTreeMap<String, Vec<u8>>,
}

impl Store {
    /// Reads an instance's file. A damaged one is put aside under `~damaged` and the store begins empty.
    pub(crate) fn open(folder: &Path, instance: &str) -> io::Result<Self> {
        let path = folder.join(instance);
        let values = match fs::read(&path) {
            Ok(bytes) => {
                if let Some(values) = decode(&bytes) {
                    values
                } else {
                    let aside = folder.join(format!("{instance}~damaged"));
                    tracing::warn!(instance, file = %path.display(), aside = %aside.display(),
                        "the stored values of a plugin are damaged; put aside, it begins without them");
                    fs::rename(&path, aside)?;
                    BTreeMap::new()
                }
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(e) => return Err(e),
        };
        Ok(Self { path, values })
    }

    /// All values.
    pub(crate) fn values(&self) -> Vec<(String, Vec<u8>)> {
        self.values.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// Takes the store out of its place, to write on another thread; an empty one that cannot be written stays.
    pub(crate) fn take(&mut self) -> Option<Self> {
        if self.path.as_os_str().is_empty() {
            return None;
        }
        Some(Self { path: std::mem::take(&mut self.path), values: std::mem::take(&mut self.values) })
    }

    /// Sets a value; durable when it returns. Blocks. On an error the old value stands.
    pub(crate) fn put(&mut self, key: String, value: Vec<u8>) -> Result<(), String> {
        let others: usize =
            self.values.iter().filter(|(k, _)| **k != key).map(|(k, v)| k.len() + v.len()).sum();
        let total = others + key.len() + value.len();
        if total > MAX_STORE {
            return Err(format!("all values together would have {total} bytes, the limit is {MAX_STORE}"));
        }
        let old = self.values.insert(key.clone(), value);
        let written = encode(&self.values).and_then(|bytes| atomic::replace(&self.path, &bytes));
        written.map_err(|e| {
            match old {
                Some(old) => self.values.insert(key, old),
                None => self.values.remove(&key),
            };
            format!("{}: {e}", self.path.display())
        })
    }
}

fn encode(values: &BTreeMap<String, Vec<u8>>) -> io::Result<Vec<u8>> {
    let body = proto::encode(values).map_err(io::Error::other)?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Option<BTreeMap<String, Vec<u8>>> {
    let (crc, body) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    proto::decode(body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), "printer").unwrap();
        store.put("job".into(), vec![7]).unwrap();
        store.put("job".into(), vec![8, 9]).unwrap();
        let store = Store::open(dir.path(), "printer").unwrap();
        assert_eq!(store.values(), [("job".to_owned(), vec![8, 9])]);
    }

    #[test]
    fn any_damage_is_noticed_and_the_file_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("printer");
        Store::open(dir.path(), "printer").unwrap().put("job".into(), vec![7; 40]).unwrap();
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            fs::write(&path, &bad).unwrap();
            assert!(Store::open(dir.path(), "printer").unwrap().values().is_empty(), "byte {at}");
            assert_eq!(fs::read(dir.path().join("printer~damaged")).unwrap(), bad);
        }
    }

    #[test]
    fn the_limit_holds_and_the_old_value_stands() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), "x").unwrap();
        store.put("a".into(), vec![1; 100]).unwrap();
        assert!(store.put("a".into(), vec![0; MAX_STORE]).unwrap_err().contains("limit"));
        assert_eq!(store.values()[0].1, vec![1; 100]);
        // Replacing counts the new value only.
        store.put("a".into(), vec![2; MAX_STORE - 1]).unwrap();
    }
}
