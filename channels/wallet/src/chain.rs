//! Whether a certificate that came with an answer may be believed: its chain up to a root of the settings, its validity, and
//! whose it is (channels §4.2).

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use thiserror::Error;
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert};

use crate::certificate::Certificate;
use crate::{der, keys};

/// What the wallets' authorities sign with. Nothing weaker than SHA-256: the old SHA-1 certificates are refused.
const ALGORITHMS: &[&dyn rustls::pki_types::SignatureVerificationAlgorithm] = &[
    webpki::ring::RSA_PKCS1_2048_8192_SHA256,
    webpki::ring::RSA_PKCS1_2048_8192_SHA384,
    webpki::ring::RSA_PKCS1_2048_8192_SHA512,
];

/// Why a certificate is not believed, or the settings give nothing to believe it by.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChainError {
    /// The settings give no usable root.
    #[error(
        "the root certificates of the settings cannot be used ({0}); copy them again as the wallet publishes them"
    )]
    Roots(String),
    /// The certificate of an answer cannot be read.
    #[error("the answer's certificate cannot be read ({0})")]
    Unreadable(String),
    /// It does not lead to a root of the settings, or is not valid now.
    #[error("the answer's certificate does not lead to a root of the settings, or is not valid now ({0})")]
    Chain(String),
    /// It is somebody else's.
    #[error("the answer's certificate belongs to somebody else than the wallet")]
    Owner,
}

/// The roots of the settings, and what may stand between them and a certificate.
#[derive(Clone, Debug)]
pub struct Trust {
    roots: Vec<TrustAnchor<'static>>,
    between: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// From the PEM of the roots, and of the certificates between (may be empty).
    pub fn new(roots_pem: &str, between_pem: &str) -> Result<Self, ChainError> {
        let all = |pem: &str| sections(pem).map_err(ChainError::Roots);
        let mut trust = Self::of_roots(&all(roots_pem)?)?;
        trust.between = all(between_pem)?.into_iter().map(CertificateDer::from).collect();
        Ok(trust)
    }

    /// From the DER of the roots, with nothing between them and a certificate but what comes with it.
    pub fn of_roots<D: AsRef<[u8]>>(roots: &[D]) -> Result<Self, ChainError> {
        if roots.is_empty() {
            return Err(ChainError::Roots("there is no CERTIFICATE section".into()));
        }
        let anchor = |der: &D| {
            let der = CertificateDer::from(der.as_ref());
            let anchor = anchor_from_trusted_cert(&der).map_err(|e| ChainError::Roots(e.to_string()))?;
            Ok(anchor.to_owned())
        };
        Ok(Self { roots: roots.iter().map(anchor).collect::<Result<_, _>>()?, between: Vec::new() })
    }

    /// The certificate in this PEM, if it leads to a root, is valid at `wall_ms` (Unix milliseconds), and `is_owner` says yes
    /// to its common name.
    pub fn believe(
        &self,
        pem: &str,
        wall_ms: i64,
        is_owner: impl FnOnce(&str) -> bool,
    ) -> Result<Certificate, ChainError> {
        let der = keys::unwrap_text(pem).map_err(|e| ChainError::Unreadable(e.to_owned()))?;
        self.believe_der(&der, &[], wall_ms, is_owner)
    }

    /// As [`Trust::believe`], in DER, with certificates that came along and may stand between it and a root.
    pub fn believe_der(
        &self,
        der: &[u8],
        along: &[Vec<u8>],
        wall_ms: i64,
        is_owner: impl FnOnce(&str) -> bool,
    ) -> Result<Certificate, ChainError> {
        let unreadable = |e: &dyn std::fmt::Display| ChainError::Unreadable(e.to_string());
        let bytes = CertificateDer::from(der);
        let leaf = EndEntityCert::try_from(&bytes).map_err(|e| unreadable(&e))?;
        let seconds = u64::try_from(wall_ms.div_euclid(1_000)).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let along = along.iter().map(|der| CertificateDer::from(der.as_slice()));
        let between: Vec<_> = self.between.iter().cloned().chain(along).collect();
        leaf.verify_for_usage(ALGORITHMS, &self.roots, &between, now, AnyUse, None, None)
            .map_err(|e| ChainError::Chain(e.to_string()))?;
        let name = der::common_name(leaf.subject()).ok_or(ChainError::Owner)?;
        if !is_owner(&name) {
            return Err(ChainError::Owner);
        }
        Certificate::from_der(&bytes).map_err(|e| unreadable(&e))
    }
}

/// The certificates of a PEM text in its order, DER; what stands between the sections is skipped. `Err` says what is wrong.
pub fn sections(pem: &str) -> Result<Vec<Vec<u8>>, String> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .map(|section| section.map(|der| der.to_vec()).map_err(|e| e.to_string()))
        .collect()
}

/// What such a certificate is for is not said the same way in all of them, or not at all: whose it is decides.
struct AnyUse;

impl ExtendedKeyUsageValidator for AnyUse {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}
