//! RSA2 keys: made, written as PEM, signing and verifying (SHA256withRSA, PKCS#1 v1.5).
//!
//! The library here is aws-lc-rs, which can generate RSA keys, on purpose not the till's ring: a signature that passes
//! between the two was understood alike by two implementations.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt, path::Path, sync::OnceLock};

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey},
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};

/// Why a key was refused or could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not the PEM that was expected.
    #[error("{what} is not PEM with a `{label}` block; give the file as the simulator or openssl wrote it")]
    Pem {
        /// Which key.
        what: String,
        /// The label it should have.
        label: &'static str,
    },
    /// The PEM holds no RSA key of 2048 bits or more.
    #[error("{what} holds no usable RSA key: {reason}; RSA2 needs PKCS#8 and at least 2048 bits")]
    Rejected {
        /// Which key.
        what: String,
        /// What the library said.
        reason: String,
    },
    /// The library failed to make a key or a signature.
    #[error("the cryptographic library could not {0}")]
    Library(&'static str),
    /// A key file could not be read or written.
    #[error("cannot use the key file {path}: {source}; choose a directory this user can write")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A key pair that signs. The private half shows itself only through [`SigningKey::private_pem`].
pub struct SigningKey(RsaKeyPair);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl SigningKey {
    /// A fresh RSA key of 2048 bits.
    pub fn generate() -> Result<Self, KeyError> {
        RsaKeyPair::generate(KeySize::Rsa2048).map(Self).map_err(|_| KeyError::Library("generate an RSA key"))
    }

    /// Reads a PKCS#8 PEM (`BEGIN PRIVATE KEY`).
    pub fn from_pem(what: &str, pem: &str) -> Result<Self, KeyError> {
        let der = pem_body(what, pem, "PRIVATE KEY")?;
        RsaKeyPair::from_pkcs8(&der)
            .map(Self)
            .map_err(|error| KeyError::Rejected { what: what.to_owned(), reason: error.to_string() })
    }

    /// The key of a file; made and written (mode 0600) where there is none.
    pub fn in_file(path: &Path) -> Result<Self, KeyError> {
        match fs::read_to_string(path) {
            Ok(text) => Self::from_pem(&path.display().to_string(), &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key = Self::generate()?;
                write(path, &key.private_pem()?, 0o600)?;
                Ok(key)
            }
            Err(source) => Err(KeyError::File { path: path.to_owned(), source }),
        }
    }

    /// The private key as PKCS#8 PEM, what an app signs with.
    pub fn private_pem(&self) -> Result<String, KeyError> {
        let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'static>>::as_der(&self.0)
            .map_err(|_| KeyError::Library("write an RSA key"))?;
        Ok(pem_text("PRIVATE KEY", der.as_ref()))
    }

    /// The public key as SubjectPublicKeyInfo PEM (`BEGIN PUBLIC KEY`).
    pub fn public_pem(&self) -> Result<String, KeyError> {
        let der = AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'static>>::as_der(self.0.public_key())
            .map_err(|_| KeyError::Library("write an RSA public key"))?;
        Ok(pem_text("PUBLIC KEY", der.as_ref()))
    }

    /// Signs `message`; base64 as both directions of the protocol carry it.
    pub fn sign(&self, message: &[u8]) -> Result<String, KeyError> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| KeyError::Library("sign with an RSA key"))?;
        Ok(BASE64.encode(signature))
    }
}

/// A public key that verifies.
#[derive(Clone, Debug)]
pub struct VerifyingKey(UnparsedPublicKey<Vec<u8>>);

impl VerifyingKey {
    /// Reads a SubjectPublicKeyInfo PEM, or the same in bare base64 as the open platform's console shows it.
    pub fn from_pem(what: &str, pem: &str) -> Result<Self, KeyError> {
        let der = if pem.contains("-----BEGIN") {
            pem_body(what, pem, "PUBLIC KEY")?
        } else {
            decode_base64(pem).ok_or_else(|| KeyError::Pem { what: what.to_owned(), label: "PUBLIC KEY" })?
        };
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der);
        // Parsed once here, so that a bad key is told at start and not as a bad signature later.
        aws_lc_rs::signature::ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.as_ref())
            .map_err(|error| KeyError::Rejected { what: what.to_owned(), reason: error.to_string() })?;
        Ok(Self(key))
    }

    /// Whether `signature` (base64) is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        BASE64.decode(signature).is_ok_and(|bytes| self.0.verify(message, &bytes).is_ok())
    }
}

/// The key pairs of a simulated platform: the app's, which the till holds, the gateway's own, and its certificate
/// authority's.
pub struct Keys {
    /// The app's: the till signs its requests with it.
    pub app: SigningKey,
    /// The gateway's: it signs its replies with it.
    pub gateway: SigningKey,
    /// The certificate authority's private key, PEM: with the same key, a till that trusted the authority once trusts it
    /// after a restart.
    pub(crate) authority: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// What the files of [`Keys::in_directory`] are called.
pub const APP_PRIVATE_FILE: &str = "app-private-key.pem";
/// The app's public key, for a gateway that is run elsewhere.
pub const APP_PUBLIC_FILE: &str = "app-public-key.pem";
/// The gateway's public key, which the till verifies with.
pub const GATEWAY_PUBLIC_FILE: &str = "gateway-public-key.pem";
/// The gateway's private key, which stays with the simulator.
pub const GATEWAY_PRIVATE_FILE: &str = "gateway-private-key.pem";
/// The certificate authority's private key, which stays with the simulator.
pub const AUTHORITY_PRIVATE_FILE: &str = "ca-private-key.pem";

impl Keys {
    /// Fresh key pairs.
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self {
            app: SigningKey::generate()?,
            gateway: SigningKey::generate()?,
            authority: authority_key()?,
        })
    }

    /// Key pairs made once per process and then reused: making RSA keys is slow, and most tests do not care which.
    pub fn of_this_process() -> Result<&'static Self, KeyError> {
        static KEYS: OnceLock<Keys> = OnceLock::new();
        if let Some(keys) = KEYS.get() {
            return Ok(keys);
        }
        let fresh = Self::generate()?;
        Ok(KEYS.get_or_init(|| fresh))
    }

    /// The key pairs of a directory: read where both private keys are there, else made and written, so that a simulator
    /// that is started again is the same gateway to the till. Private keys get mode 0600.
    pub fn in_directory(dir: &Path) -> Result<Self, KeyError> {
        fs::create_dir_all(dir).map_err(|source| KeyError::File { path: dir.to_owned(), source })?;
        let read = |name: &str| match fs::read_to_string(dir.join(name)) {
            Ok(text) => SigningKey::from_pem(name, &text).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(KeyError::File { path: dir.join(name), source }),
        };
        let keys = match (read(APP_PRIVATE_FILE)?, read(GATEWAY_PRIVATE_FILE)?) {
            (Some(app), Some(gateway)) => {
                let authority = match fs::read_to_string(dir.join(AUTHORITY_PRIVATE_FILE)) {
                    Ok(pem) => pem,
                    Err(_) => authority_key()?,
                };
                Self { app, gateway, authority }
            }
            _ => Self::generate()?,
        };
        write(&dir.join(AUTHORITY_PRIVATE_FILE), &keys.authority, 0o600)?;
        write(&dir.join(APP_PRIVATE_FILE), &keys.app.private_pem()?, 0o600)?;
        write(&dir.join(APP_PUBLIC_FILE), &keys.app.public_pem()?, 0o644)?;
        write(&dir.join(GATEWAY_PRIVATE_FILE), &keys.gateway.private_pem()?, 0o600)?;
        write(&dir.join(GATEWAY_PUBLIC_FILE), &keys.gateway.public_pem()?, 0o644)?;
        Ok(keys)
    }

    /// The same keys once more, for a second owner.
    pub fn duplicate(&self) -> Result<Self, KeyError> {
        let again = |key: &SigningKey| SigningKey::from_pem("a key of this process", &key.private_pem()?);
        let authority = self.authority.clone();
        Ok(Self { app: again(&self.app)?, gateway: again(&self.gateway)?, authority })
    }
}

fn authority_key() -> Result<String, KeyError> {
    let key = rcgen::KeyPair::generate().map_err(|_| KeyError::Library("make a key for TLS"))?;
    Ok(key.serialize_pem())
}

/// Writes a file of ours with the mode it must have, whatever the umask and an older file's mode say.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), KeyError> {
    let failed = |source| KeyError::File { path: path.to_owned(), source };
    let _ = fs::remove_file(path);
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

fn pem_text(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    let body = BASE64.encode(der);
    for line in body.as_bytes().chunks(64) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text + "-----END " + label + "-----\n"
}

fn pem_body(what: &str, pem: &str, label: &'static str) -> Result<Vec<u8>, KeyError> {
    let body = || {
        let (_, rest) = pem.split_once(&format!("-----BEGIN {label}-----"))?;
        let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
        decode_base64(body)
    };
    body().ok_or_else(|| KeyError::Pem { what: what.to_owned(), label })
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let dense: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    BASE64.decode(dense).ok().filter(|bytes| !bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_key_signs_only_its_own_public_half_accepts() {
        let keys = Keys::of_this_process().unwrap();
        let public = |key: &SigningKey| VerifyingKey::from_pem("k", &key.public_pem().unwrap()).unwrap();
        let signature = keys.app.sign("金额=1".as_bytes()).unwrap();
        assert!(public(&keys.app).verifies("金额=1".as_bytes(), &signature));
        assert!(!public(&keys.app).verifies("金额=2".as_bytes(), &signature));
        assert!(!public(&keys.gateway).verifies("金额=1".as_bytes(), &signature));
        assert!(!public(&keys.app).verifies(b"", "not base64!"));
    }

    #[test]
    fn a_directory_keeps_its_keys_and_hides_the_private_ones() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let first = Keys::in_directory(dir.path()).unwrap();
        let second = Keys::in_directory(dir.path()).unwrap();
        assert_eq!(first.app.public_pem().unwrap(), second.app.public_pem().unwrap());
        assert_eq!(first.authority, second.authority);
        assert_eq!(first.gateway.public_pem().unwrap(), second.gateway.public_pem().unwrap());
        for name in [APP_PRIVATE_FILE, GATEWAY_PRIVATE_FILE, AUTHORITY_PRIVATE_FILE] {
            let mode = fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        fs::write(dir.path().join(APP_PRIVATE_FILE), "rubbish").unwrap();
        assert!(matches!(Keys::in_directory(dir.path()), Err(KeyError::Pem { .. })));
    }

    #[test]
    fn a_public_key_in_bare_base64_is_read_too() {
        let keys = Keys::of_this_process().unwrap();
        let pem = keys.app.public_pem().unwrap();
        let bare: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let signature = keys.app.sign(b"x").unwrap();
        assert!(VerifyingKey::from_pem("k", &bare).unwrap().verifies(b"x", &signature));
        assert!(VerifyingKey::from_pem("k", "MIIB").is_err());
    }
}
