//! Secrets: files in the credentials folder of the unit (`$CREDENTIALS_DIRECTORY`) or in `secrets.dir`. Never in
//! arguments, environment, configuration or D-Bus.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use till_plugin::Sensitive;
use zeroize::Zeroizing;

/// Largest secret, bytes; a key or certificate is a few KiB.
const MAX: u64 = 64 * 1024;

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// No folder configured.
    #[error(
        "secret {name:?} is asked for, but there is no secrets folder: set secrets.dir, or LoadCredential= in the unit"
    )]
    NoFolder {
        /// Which secret.
        name: String,
    },
    /// Not a plain file name.
    #[error("secret name {name:?} must be a file name without a path")]
    Name {
        /// Which secret.
        name: String,
    },
    /// Cannot be read.
    #[error("{path}: {detail}")]
    Read {
        /// File.
        path: PathBuf,
        /// Why, and what to do.
        detail: String,
    },
    /// No random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

/// Reads a secret file; refuses one that others can read.
pub fn read(dir: Option<&Path>, name: &str) -> Result<Sensitive<Vec<u8>>, SecretError> {
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err(SecretError::Name { name: name.into() });
    }
    let dir = dir.ok_or_else(|| SecretError::NoFolder { name: name.into() })?;
    let path = dir.join(name);
    let fail = |detail: String| SecretError::Read { path: path.clone(), detail };
    let meta = fs::metadata(&path).map_err(|e| fail(e.to_string()))?;
    if meta.len() > MAX {
        return Err(fail(format!("{} bytes are too many for a secret", meta.len())));
    }
    // systemd guards its credentials folder itself, by mount and ACL, which shows as group bits.
    let systemds = std::env::var_os("CREDENTIALS_DIRECTORY").is_some_and(|folder| Path::new(&folder) == dir);
    if !systemds && meta.permissions().mode() & 0o077 != 0 {
        return Err(fail(format!("other users can read it: chmod 600 {}", path.display())));
    }
    fs::read(&path).map(Sensitive::new).map_err(|e| fail(e.to_string()))
}

/// A 32-byte key of the till's own: from the secrets folder if it has one of this name, else from `state`, where it is
/// made once. (A key beside the journal protects copies of the journal, not the machine: put it into a credential.)
pub fn own_key(secrets: Option<&Path>, state: &Path, name: &str) -> Result<Zeroizing<[u8; 32]>, SecretError> {
    let bytes = match secrets.filter(|dir| dir.join(name).exists()) {
        Some(dir) => read(Some(dir), name)?,
        None if state.join(name).exists() => read(Some(state), name)?,
        None => return create(state, name),
    };
    let key: [u8; 32] = bytes.expose().as_slice().try_into().map_err(|_| SecretError::Read {
        path: name.into(),
        detail: format!("the key must be 32 bytes, it is {}", bytes.expose().len()),
    })?;
    Ok(Zeroizing::new(key))
}

/// 32 fresh random bytes.
pub fn random() -> Result<Zeroizing<[u8; 32]>, SecretError> {
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *key).map_err(|_| SecretError::Random)?;
    Ok(key)
}

fn create(state: &Path, name: &str) -> Result<Zeroizing<[u8; 32]>, SecretError> {
    let key = random()?;
    write_own(state, name, &key)?;
    Ok(key)
}

/// Makes a key of the till's own durable in `state`, in place of one that was there.
pub fn write_own(state: &Path, name: &str, key: &[u8; 32]) -> Result<(), SecretError> {
    let path = state.join(name);
    let aside = state.join(format!("{name}.new"));
    // Durable before it is used: a journal written under a lost key could not be read.
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(state)?;
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        file.write_all(key)?;
        file.sync_all()?;
        fs::rename(&aside, &path)?;
        fs::File::open(state)?.sync_all()
    };
    write().map_err(|e| SecretError::Read { path: path.clone(), detail: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_others_can_read_is_refused_with_the_fix() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, b"secret").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let e = read(Some(dir.path()), "key").unwrap_err().to_string();
        assert!(e.contains("chmod 600"), "{e}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(Some(dir.path()), "key").unwrap().expose(), b"secret");
        assert!(matches!(read(Some(dir.path()), "../key"), Err(SecretError::Name { .. })));
        assert!(matches!(read(None, "key"), Err(SecretError::NoFolder { .. })));
    }

    #[test]
    fn an_own_key_is_made_once_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let first = own_key(None, dir.path(), "k").unwrap();
        assert_eq!(*own_key(None, dir.path(), "k").unwrap(), *first);
        assert_ne!(*own_key(None, dir.path(), "other").unwrap(), *first);
    }
}
