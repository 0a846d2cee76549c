//! The till's own keys: what is where, and how each is replaced.
//!
//! | key | where | for |
//! |---|---|---|
//! | `master-key` | secrets folder, else made once in `keys/` | wraps everything in the keyring |
//! | `master-key.next` | secrets folder | takes the master key's place at the next start |
//! | `journal-key` | secrets folder, else made once in `keys/` | first chain key of the journal, and tokens |
//! | `keys/keyring/` | epoch keys of recovery data, keys of the records, later chain keys, the device identity | see [`till_journal::keyring`] |
//!
//! A till from before the keyring has a `sealing-key`. One that tilld made itself goes into the keyring as epoch 0, and
//! its file is destroyed; one in the secrets folder is the master key until there is a `master-key`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use till_journal::{DeviceKey, Journal, JournalError, Keyring, KeyringError};
use zeroize::Zeroizing;

use crate::secrets::{self, SecretError};

const MASTER: &str = "master-key";
const NEXT: &str = "master-key.next";
const SEALING: &str = "sealing-key";
const JOURNAL: &str = "journal-key";
const IDENTITY: &str = "identity";
const CHAIN: &str = "chain-";

/// Why the keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A secret file.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The keyring.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The folder of keys.
    #[error("{path}: {source}; tilld must be able to write its folder of keys")]
    Folder {
        /// What could not be made or removed.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The master key is a credential: its place is not tilld's to write.
    #[error(
        "the master key is in the secrets folder: put 32 new random bytes beside it as {NEXT}, restart tilld, then \
             replace {MASTER} by it"
    )]
    MasterIsCredential,
    /// The journal did not take the new key.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// All keys of the till. Cheap to clone; clones are the same keys.
#[derive(Clone, Debug)]
pub struct Keys {
    keyring: Keyring,
    device: DeviceKey,
    folder: PathBuf,
    master_is_credential: bool,
}

impl Keys {
    /// Reads the keys, making those that a first start lacks. Blocking work.
    pub fn open(secrets: Option<&Path>, folder: &Path) -> Result<Self, KeysError> {
        make_folder(folder)?;
        let credential = |name: &str| secrets.is_some_and(|dir| dir.join(name).exists());
        let (master, master_is_credential) = if credential(MASTER) || !credential(SEALING) {
            (secrets::own_key(secrets, folder, MASTER)?, credential(MASTER))
        } else {
            tracing::warn!("{SEALING} in the secrets folder is the master key now: rename it to {MASTER}");
            (secrets::own_key(secrets, folder, SEALING)?, true)
        };
        let keyring = open_keyring(secrets.filter(|_| credential(NEXT)), &folder.join("keyring"), &master)?;
        for path in keyring.damaged() {
            tracing::error!("key file {} is damaged: what it sealed does not open", path.display());
        }
        import_sealing_key(
            &keyring,
            folder,
            credential(SEALING).then(|| secrets::own_key(secrets, folder, SEALING)),
        )?;
        let base = match keyring.kept(&chain(0))? {
            Some(base) => base,
            None => secrets::own_key(secrets, folder, JOURNAL)?,
        };
        let mut device = DeviceKey::new(&base).sealing(keyring.clone());
        for name in keyring.kept_names() {
            let epoch = name.strip_prefix(CHAIN).and_then(|n| n.parse().ok()).filter(|epoch| *epoch > 0);
            if let (Some(epoch), Some(secret)) = (epoch, keyring.kept(&name)?) {
                device = device.with(epoch, &secret);
            }
        }
        if keyring.kept(IDENTITY)?.is_none() {
            keyring.keep(IDENTITY, &*secrets::random()?)?;
        }
        let keys = Self { keyring, device, folder: folder.to_owned(), master_is_credential };
        // Kept from the start on, so that the first chain key outlives a change of its file.
        keys.keyring.keep(&chain(0), &base)?;
        Ok(keys)
    }

    /// Seals and opens recovery data.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The chain's key, with its generations.
    pub fn device(&self) -> &DeviceKey {
        &self.device
    }

    /// Key for tokens of instruments (channels.md C7). Of the first chain key and not changed by rotations: a token
    /// must be equal for ever for the same card.
    pub fn token_key(&self) -> Result<Zeroizing<[u8; 32]>, KeysError> {
        let base = self.keyring.kept(&chain(0))?.ok_or(KeyringError::Forgotten)?;
        Ok(Zeroizing::new(blake3::derive_key("org.tilld token v1", &*base)))
    }

    /// Seed of the device's Ed25519 identity, which signs evidence. Made at the first start.
    pub fn identity(&self) -> Result<Zeroizing<[u8; 32]>, KeysError> {
        Ok(self.keyring.kept(IDENTITY)?.ok_or(KeyringError::Forgotten)?)
    }

    /// Puts a new chain key in force at once; returns its first epoch. The old ones stay in the keyring. Blocking work.
    pub fn rotate_device(&self, journal: &Journal) -> Result<u32, KeysError> {
        let secret = secrets::random()?;
        let (keyring, kept) = (self.keyring.clone(), secret.clone());
        let persist = move |epoch| keyring.keep(&chain(epoch), &kept).map_err(|e| e.to_string());
        Ok(journal.rotate_key(&secret, persist)?)
    }

    /// Puts a new master key in the place of the one that tilld made itself. Blocking work.
    pub fn rotate_master(&self) -> Result<(), KeysError> {
        if self.master_is_credential {
            return Err(KeysError::MasterIsCredential);
        }
        let secret = secrets::random()?;
        self.keyring.rewrap(&secret, || {
            secrets::write_own(&self.folder, MASTER, &secret).map_err(|e| e.to_string())
        })?;
        Ok(())
    }

    /// Wipes every key from memory: the end of a run (pos.md S79). The journal must be closed.
    pub fn forget(&self) {
        self.keyring.forget();
        self.device.forget();
    }
}

fn chain(epoch: u32) -> String {
    format!("{CHAIN}{epoch}")
}

/// The keyring under the master key, or already under the one that is to follow; then under that.
fn open_keyring(next: Option<&Path>, dir: &Path, master: &[u8; 32]) -> Result<Keyring, KeysError> {
    let Some(secrets) = next else { return Ok(Keyring::load(dir, master)?) };
    let next = secrets::own_key(Some(secrets), secrets, NEXT)?;
    match Keyring::load(dir, master) {
        Ok(keyring) if *next != *master => {
            // The new one is in its place already: an administrator put it there.
            keyring.rewrap(&next, || Ok(()))?;
            tracing::info!("the keyring is under {NEXT} now: replace {MASTER} by it");
            Ok(keyring)
        }
        Err(KeyringError::WrongMaster { .. }) => Ok(Keyring::load(dir, &next)?),
        other => Ok(other?),
    }
}

/// Takes the one sealing key of before the keyring in; destroys the file when it is tilld's own.
fn import_sealing_key(
    keyring: &Keyring,
    folder: &Path,
    credential: Option<Result<Zeroizing<[u8; 32]>, SecretError>>,
) -> Result<(), KeysError> {
    if let Some(secret) = credential {
        keyring.import_legacy(&*secret?)?;
    }
    let path = folder.join(SEALING);
    if !path.exists() {
        return Ok(());
    }
    keyring.import_legacy(&*secrets::own_key(None, folder, SEALING)?)?;
    let destroy = || {
        let mut file = OpenOptions::new().write(true).open(&path)?;
        file.write_all(&[0; 32])?;
        file.sync_all()?;
        fs::remove_file(&path)?;
        File::open(folder)?.sync_all()
    };
    destroy().map_err(|source| KeysError::Folder { path: path.clone(), source })
}

/// Makes the folder and its name durable: keys that a power cut takes with their folder are a lost journal.
fn make_folder(folder: &Path) -> Result<(), KeysError> {
    let make = || {
        let missing: Vec<&Path> = folder.ancestors().take_while(|p| !p.exists()).collect();
        fs::create_dir_all(folder)?;
        missing.iter().filter_map(|p| p.parent()).try_for_each(|parent| File::open(parent)?.sync_all())
    };
    make().map_err(|source| KeysError::Folder { path: folder.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use till_journal::sealed::{SealError, SealingKey};

    use super::*;

    const PAYMENT: [u8; 16] = [3; 16];

    fn put(dir: &Path, name: &str, key: &[u8; 32]) {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join(name), key).unwrap();
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn opens(keys: &Keys, sealed: &[u8]) -> bool {
        keys.keyring().open(&PAYMENT, 1, sealed).is_ok_and(|clear| clear.as_slice() == b"recovery")
    }

    #[test]
    fn a_first_start_makes_keys_that_later_starts_find() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/keys");
        let keys = Keys::open(None, &folder).unwrap();
        let sealed = keys.keyring().seal(&PAYMENT, 1, b"recovery").unwrap();
        let same = Keys::open(None, &folder).unwrap();
        assert!(opens(&same, &sealed));
        assert_eq!(same.device().fingerprint(1), keys.device().fingerprint(1));
        assert_eq!(*same.token_key().unwrap(), *keys.token_key().unwrap());
        assert_eq!(*same.identity().unwrap(), *keys.identity().unwrap());
        assert_ne!(*keys.identity().unwrap(), *keys.token_key().unwrap());
    }

    #[test]
    fn s71_a_till_from_before_the_keyring_goes_on_and_its_sealing_key_can_be_shredded() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), JOURNAL, &[1; 32]);
        put(dir.path(), SEALING, &[2; 32]);
        let old = SealingKey::new(&[2; 32]).seal(&PAYMENT, 1, b"recovery").unwrap();
        let keys = Keys::open(None, dir.path()).unwrap();
        assert!(opens(&keys, &old));
        assert_eq!(keys.device().fingerprint(1), DeviceKey::new(&[1; 32]).fingerprint(1));
        assert_eq!(*keys.token_key().unwrap(), blake3::derive_key("org.tilld token v1", &[1; 32]));
        assert!(!dir.path().join(SEALING).exists(), "the key that opens everything still lies there");
        assert!(opens(&Keys::open(None, dir.path()).unwrap(), &old));
        keys.keyring().shred_below(1).unwrap();
        let refused = Keys::open(None, dir.path()).unwrap().keyring().open(&PAYMENT, 1, &old);
        assert_eq!(refused, Err(SealError::Shredded { epoch: 0 }));
    }

    #[test]
    fn s71_a_sealing_key_credential_is_the_master_until_there_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let (secrets, folder) = (dir.path().join("secrets"), dir.path().join("keys"));
        put(&secrets, SEALING, &[2; 32]);
        let old = SealingKey::new(&[2; 32]).seal(&PAYMENT, 1, b"recovery").unwrap();
        let keys = Keys::open(Some(&secrets), &folder).unwrap();
        assert!(opens(&keys, &old));
        assert!(!folder.join(MASTER).exists(), "the master key was put beside the journal");
        assert!(matches!(keys.rotate_master(), Err(KeysError::MasterIsCredential)));
        fs::rename(secrets.join(SEALING), secrets.join(MASTER)).unwrap();
        assert!(opens(&Keys::open(Some(&secrets), &folder).unwrap(), &old));
    }

    #[test]
    fn s71_the_master_key_is_rotated_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::open(None, dir.path()).unwrap();
        let sealed = keys.keyring().seal(&PAYMENT, 1, b"recovery").unwrap();
        let before = fs::read(dir.path().join(MASTER)).unwrap();
        keys.rotate_master().unwrap();
        assert!(opens(&keys, &sealed), "the running till lost its keys");
        assert_ne!(fs::read(dir.path().join(MASTER)).unwrap(), before);
        assert!(opens(&Keys::open(None, dir.path()).unwrap(), &sealed));
        put(dir.path(), MASTER, &before.try_into().unwrap());
        let refused = Keys::open(None, dir.path()).unwrap_err();
        assert!(matches!(refused, KeysError::Keyring(KeyringError::WrongMaster { .. })), "{refused}");
    }

    #[test]
    fn s71_a_master_credential_is_rotated_by_putting_the_next_one_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let (secrets, folder) = (dir.path().join("secrets"), dir.path().join("keys"));
        put(&secrets, MASTER, &[1; 32]);
        let open = || Keys::open(Some(&secrets), &folder);
        let sealed = open().unwrap().keyring().seal(&PAYMENT, 1, b"recovery").unwrap();
        put(&secrets, NEXT, &[2; 32]);
        // The start that goes over, starts before it is tidied up, and after.
        assert!(opens(&open().unwrap(), &sealed) && opens(&open().unwrap(), &sealed));
        put(&secrets, MASTER, &[2; 32]);
        assert!(opens(&open().unwrap(), &sealed));
        fs::remove_file(secrets.join(NEXT)).unwrap();
        assert!(opens(&open().unwrap(), &sealed));
        put(&secrets, MASTER, &[1; 32]);
        assert!(open().is_err(), "the old master key still opens the keyring");
    }

    #[test]
    fn s71_the_chain_key_is_rotated_in_place_and_found_by_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("keys");
        let start = || {
            let keys = Keys::open(None, &folder).unwrap();
            let mut options = till_journal::Options::new(dir.path().join("journal"));
            options.force_filesystem = true;
            (options.free_floor, options.ballast_bytes) = (0, 0);
            let clock = std::sync::Arc::new(till_journal::SystemClock::new());
            let (journal, report) = Journal::open(options, keys.device().clone(), clock).unwrap();
            assert!(!report.has_alarm(), "{report:?}");
            (keys, journal)
        };
        let (keys, journal) = start();
        let token = keys.token_key().unwrap();
        assert_eq!(keys.rotate_device(&journal).unwrap(), 2);
        assert_ne!(keys.device().fingerprint(1), keys.device().fingerprint(2));
        assert_eq!(keys.rotate_device(&journal).unwrap(), 3);
        journal.close().unwrap();
        drop((keys, journal));
        let (keys, journal) = start();
        assert!(journal.verify().unwrap().is_whole());
        assert_eq!(*keys.token_key().unwrap(), *token, "a card would not be known again");
        assert_eq!(keys.rotate_device(&journal).unwrap(), 4);
    }

    #[test]
    fn s79_forgotten_keys_are_gone_for_every_holder() {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::open(None, dir.path()).unwrap();
        let (keyring, device) = (keys.keyring().clone(), keys.device().clone());
        let sealed = keyring.seal(&PAYMENT, 1, b"recovery").unwrap();
        keys.forget();
        assert_eq!(keyring.open(&PAYMENT, 1, &sealed), Err(SealError::Forgotten));
        assert_eq!(device.fingerprint(1), [0; 16]);
        assert!(keys.token_key().is_err() && keys.identity().is_err());
        assert!(opens(&Keys::open(None, dir.path()).unwrap(), &sealed));
    }
}
