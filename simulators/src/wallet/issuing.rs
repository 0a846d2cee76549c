//! Keys of ours in the hands of the library that makes certificates.

use rcgen::{KeyPair, PKCS_RSA_SHA256};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};

use super::keys::{KeyError, SigningKey};

/// What a failure of that library is told as.
pub(crate) fn failed(_: impl std::fmt::Display) -> KeyError {
    KeyError::Library("make a certificate")
}

/// A key as that library takes it; it signs with RSA and SHA-256.
pub(crate) fn pair(key: &SigningKey) -> Result<KeyPair, KeyError> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(key.private_pem()?.as_bytes())
        .map_err(|_| KeyError::Library("read a key of its own"))?;
    KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_RSA_SHA256).map_err(failed)
}
