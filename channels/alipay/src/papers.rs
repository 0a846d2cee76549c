//! Certificate mode (公钥证书模式, channels §2.1): what certificates are called, and which of Alipay's are believed.
//!
//! A certificate's number is the MD5, in hexadecimal, of its issuer's name and its serial number, as the platform's public SDKs
//! reckon it. It only finds the certificate: an answer names one, and it is believed where it leads to a root of the settings,
//! is valid by a clock that is trusted, and bears the name that Alipay's certificate of the settings bears. The name matters:
//! the same roots stand behind every merchant's own certificate.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use thiserror::Error;
use till_wallet::certificate::{Certificate, CertificateError};
use till_wallet::chain::{ChainError, Trust, sections};
use till_wallet::issue::Issue;

use crate::sign::PlatformKey;

/// More certificates than a chain or a bundle of roots has.
const MOST_SECTIONS: usize = 16;

/// How many fetched certificates are kept: Alipay changes its own every few years.
const MOST_FETCHED: usize = 4;

/// Why the settings' certificates cannot be used, or a fetched one is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PapersError {
    /// A setting's text is not what it should be.
    #[error(
        "{setting}_file (or {setting}_pem) cannot be used: {why}; download it again from the application's page at open.alipay.com"
    )]
    Setting {
        /// The setting, without its ending.
        setting: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The application's certificate is not of its key.
    #[error(
        "app_certificate is of another key than the secret app_private_key; give the certificate that was made for this key"
    )]
    OtherKey,
    /// The application's certificate where Alipay's should be.
    #[error("alipay_certificate is the application's own certificate; give alipayCertPublicKey_RSA2.crt")]
    Own,
    /// Alipay's certificate does not lead to a root.
    #[error(
        "alipay_certificate does not lead to alipay_root ({0}); give alipayRootCert.crt as Alipay publishes it, and put the \
         certificates between the two behind alipay_certificate in its own text"
    )]
    Chain(ChainError),
    /// What was fetched is not base64 of PEM.
    #[error("it is not base64 of PEM sections")]
    Form,
    /// What was fetched does not hold the certificate that was asked for.
    #[error("the certificate that was asked for is not in it")]
    Absent,
    /// What was fetched is not believed.
    #[error("{0}")]
    NotBelieved(#[from] ChainError),
}

/// The number of a certificate (DER), 32 lower-case hexadecimal digits.
pub fn number(der: &[u8]) -> Result<String, CertificateError> {
    Ok(number_of(&Issue::from_der(der)?))
}

fn number_of(issue: &Issue) -> String {
    hex::encode(Md5::new().chain_update(&issue.issuer).chain_update(&issue.serial).finalize())
}

/// Whether a text has the form of a certificate's number.
pub fn is_number(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// One of Alipay's certificates, and what came with it.
#[derive(Clone, Debug)]
struct Known {
    number: String,
    der: Vec<u8>,
    along: Vec<Vec<u8>>,
}

/// The certificates of one application.
#[derive(Clone, Debug)]
pub struct Papers {
    app: Certificate,
    app_number: String,
    root_numbers: String,
    trust: Trust,
    /// The common name of Alipay's certificate.
    owner: String,
    given: Known,
    given_until_ms: i64,
    fetched: Vec<Known>,
}

impl Papers {
    /// From the PEM texts of the settings. Validity is not asked here: there may be no trusted clock yet.
    pub fn new(app: &str, alipay: &str, roots: &str, app_key: &PlatformKey) -> Result<Self, PapersError> {
        let (app_der, _) = first("app_certificate", app)?;
        let no = |setting| move |e: CertificateError| PapersError::Setting { setting, why: e.to_string() };
        let app = Certificate::from_der(&app_der).map_err(no("app_certificate"))?;
        if app.key != *app_key {
            return Err(PapersError::OtherKey);
        }
        let (der, along) = first("alipay_certificate", alipay)?;
        let certificate = Certificate::from_der(&der).map_err(no("alipay_certificate"))?;
        if certificate.key == app.key {
            return Err(PapersError::Own);
        }
        let issue = Issue::from_der(&der).map_err(no("alipay_certificate"))?;
        let owner = issue.common_name.clone().ok_or_else(|| PapersError::Setting {
            setting: "alipay_certificate",
            why: "it does not bear one common name".into(),
        })?;
        let (trust, root_numbers) = believed_roots(roots)?;
        // What stood when it was issued; whether it still stands is asked with each answer.
        trust
            .believe_der(&der, &along, certificate.not_before_ms, |name| name == owner)
            .map_err(PapersError::Chain)?;
        Ok(Self {
            app_number: number(&app_der).map_err(no("app_certificate"))?,
            app,
            root_numbers,
            trust,
            owner,
            given: Known { number: number_of(&issue), der, along },
            given_until_ms: certificate.not_after_ms,
            fetched: Vec::new(),
        })
    }

    /// What requests carry as `app_cert_sn`.
    pub fn app_number(&self) -> &str {
        &self.app_number
    }

    /// What requests carry as `alipay_root_cert_sn`.
    pub fn root_numbers(&self) -> &str {
        &self.root_numbers
    }

    /// The settings whose certificate is not valid at that moment (Unix milliseconds).
    pub fn ended(&self, wall_ms: i64) -> Vec<&'static str> {
        let mut ended = Vec::new();
        if !self.app.is_valid_at(wall_ms) {
            ended.push("app_certificate");
        }
        if self.given_until_ms < wall_ms {
            ended.push("alipay_certificate");
        }
        ended
    }

    fn find(&self, number: &str) -> Option<&Known> {
        std::iter::once(&self.given).chain(&self.fetched).find(|known| known.number == number)
    }

    /// The key of the certificate of that number, if it is believed at `wall_ms` (Unix milliseconds); nothing where there is
    /// no such certificate.
    pub fn key(&self, number: &str, wall_ms: i64) -> Option<Result<PlatformKey, ChainError>> {
        self.find(number).map(|known| self.believe(known, wall_ms))
    }

    fn believe(&self, known: &Known, wall_ms: i64) -> Result<PlatformKey, ChainError> {
        // What stands between is the same for old and new certificates, and may have come with only one of them.
        let along: Vec<_> = known.along.iter().chain(&self.given.along).cloned().collect();
        let believed = self.trust.believe_der(&known.der, &along, wall_ms, |name| name == self.owner)?;
        Ok(believed.key)
    }

    /// Takes in the certificate that was asked for by its number, if it is believed. `content` is the answer's
    /// `alipay_cert_content`: base64 of PEM. That the answer's own seal could not be checked does not matter: the chain is.
    pub fn take_in(&mut self, number: &str, content: &str, wall_ms: i64) -> Result<(), PapersError> {
        let bytes = STANDARD.decode(content).map_err(|_| PapersError::Form)?;
        let text = String::from_utf8(bytes).map_err(|_| PapersError::Form)?;
        let mut all = sections(&text).map_err(|_| PapersError::Form)?;
        if all.len() > MOST_SECTIONS {
            return Err(PapersError::Form);
        }
        let at = all.iter().position(|der| self::number(der).is_ok_and(|found| found == number));
        let der = all.swap_remove(at.ok_or(PapersError::Absent)?);
        let known = Known { number: number.to_owned(), der, along: all };
        self.believe(&known, wall_ms)?;
        if self.fetched.len() == MOST_FETCHED {
            self.fetched.remove(0);
        }
        self.fetched.push(known);
        Ok(())
    }
}

/// The certificate that a setting gives, and what stands behind it in the same text.
fn first(setting: &'static str, pem: &str) -> Result<(Vec<u8>, Vec<Vec<u8>>), PapersError> {
    let no = |why: String| PapersError::Setting { setting, why };
    let mut all = sections(pem).map_err(no)?.into_iter();
    let certificate = all.next().ok_or_else(|| no("it has no CERTIFICATE section".into()))?;
    Ok((certificate, all.take(MOST_SECTIONS).collect()))
}

/// The roots that sign with RSA, and their numbers: those are what Alipay asks for, and nothing else is believed by. The
/// bundle has roots of other algorithms too.
fn believed_roots(pem: &str) -> Result<(Trust, String), PapersError> {
    let no = |why: String| PapersError::Setting { setting: "alipay_root", why };
    let mut roots = Vec::new();
    let mut numbers = Vec::new();
    for der in sections(pem).map_err(no)?.into_iter().take(MOST_SECTIONS) {
        let issue = Issue::from_der(&der).map_err(|e| no(e.to_string()))?;
        if issue.by_rsa {
            numbers.push(number_of(&issue));
            roots.push(der);
        }
    }
    if roots.is_empty() {
        return Err(no("no certificate in it is signed with RSA".into()));
    }
    let trust = Trust::of_roots(&roots).map_err(|e| no(e.to_string()))?;
    Ok((trust, numbers.join("_")))
}
