//! Sealed resources (AES-256-GCM, RFC 5116) and the platform's certificates, which come sealed so (channels §3.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde::Deserialize;
use thiserror::Error;
use till_wallet::certificate::{Certificate, CertificateError};
use zeroize::Zeroizing;

/// Why a resource cannot be opened. No variant carries key material or contents.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ResourceError {
    /// The APIv3 key has another length.
    #[error("the APIv3 key does not have 32 bytes; copy it again from the merchant console (API security)")]
    Key,
    /// Not of the published form.
    #[error("a sealed resource is not of the form published: {0}")]
    Form(&'static str),
    /// The seal is wrong: another key, or changed on the way.
    #[error("a sealed resource does not open with the APIv3 key; check that key")]
    Seal,
    /// What was sealed is no certificate.
    #[error("a platform certificate cannot be used: {0}")]
    Certificate(#[from] CertificateError),
    /// The certificate says of itself another number than the list.
    #[error("a platform certificate has another serial number than the list says; it is not believed")]
    Serial,
}

/// The merchant's APIv3 key. Has no `Display`, and its `Debug` shows nothing of it.
pub struct ApiV3Key(LessSafeKey);

impl std::fmt::Debug for ApiV3Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiV3Key(..)")
    }
}

impl ApiV3Key {
    /// Takes the key's 32 bytes.
    pub fn new(key: &[u8]) -> Result<Self, ResourceError> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| ResourceError::Key)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Opens a resource: base64 of ciphertext and tag.
    pub fn open(
        &self,
        nonce: &str,
        associated_data: &str,
        ciphertext: &str,
    ) -> Result<Zeroizing<Vec<u8>>, ResourceError> {
        let nonce = Nonce::try_assume_unique_for_key(nonce.as_bytes())
            .map_err(|_| ResourceError::Form("its nonce does not have 12 bytes"))?;
        let bytes =
            STANDARD.decode(ciphertext).map_err(|_| ResourceError::Form("its ciphertext is not base64"))?;
        let mut bytes = Zeroizing::new(bytes);
        let length = self
            .0
            .open_in_place(nonce, Aad::from(associated_data.as_bytes()), &mut bytes)
            .map_err(|_| ResourceError::Seal)?
            .len();
        bytes.truncate(length);
        Ok(bytes)
    }
}

#[derive(Deserialize)]
struct List {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    serial_no: String,
    encrypt_certificate: Sealed,
}

#[derive(Deserialize)]
struct Sealed {
    #[serde(default)]
    algorithm: String,
    nonce: String,
    #[serde(default)]
    associated_data: String,
    ciphertext: String,
}

/// More certificates than a platform ever has at once.
const MOST: usize = 16;

/// The certificates of an answer to `GET /v3/certificates`: each was sealed with the key that only the merchant and the
/// platform have. One that does not open or names another serial number spoils the list.
pub fn certificates(body: &[u8], key: &ApiV3Key) -> Result<Vec<Certificate>, ResourceError> {
    let list: List =
        serde_json::from_slice(body).map_err(|_| ResourceError::Form("it is no list of certificates"))?;
    if list.data.len() > MOST {
        return Err(ResourceError::Form("it lists too many certificates"));
    }
    let open = |item: &Item| {
        let sealed = &item.encrypt_certificate;
        if sealed.algorithm != "AEAD_AES_256_GCM" {
            return Err(ResourceError::Form("its algorithm is not AEAD_AES_256_GCM"));
        }
        let pem = key.open(&sealed.nonce, &sealed.associated_data, &sealed.ciphertext)?;
        let pem = std::str::from_utf8(&pem).map_err(|_| ResourceError::Form("it is not text"))?;
        let certificate = Certificate::from_pem(pem)?;
        let same = certificate.serial.eq_ignore_ascii_case(item.serial_no.trim());
        if same { Ok(certificate) } else { Err(ResourceError::Serial) }
    };
    list.data.iter().map(open).collect()
}
