//! By what an answer is believed: one key (key mode), or the certificate that the answer names (certificate mode, [`crate::papers`]).

use crate::papers::{Papers, is_number};
use crate::reply::{Envelope, ReplyError, Verified};
use crate::sign::PlatformKey;

/// The mode an application signs in, as its page at the open platform says.
#[derive(Clone, Debug)]
pub enum Seal {
    /// One public key of Alipay's.
    Key(PlatformKey),
    /// Certificates, which requests and answers name.
    Certificates(Box<Papers>),
}

impl Seal {
    /// Checks an answer's signature, and only then reads its node. `now_ms` is the wall clock, where it is trusted.
    pub fn open(&self, envelope: Envelope<'_>, now_ms: Option<i64>) -> Result<Verified, ReplyError> {
        let papers = match self {
            Self::Key(key) => return envelope.verify(key),
            Self::Certificates(papers) => papers,
        };
        envelope.signature()?;
        let number = envelope.certificate()?;
        let now_ms = now_ms.ok_or(ReplyError::Clock)?;
        match papers.key(&number, now_ms) {
            Some(Ok(key)) => envelope.verify(&key),
            Some(Err(why)) => Err(ReplyError::Certificate { number, why }),
            None if is_number(&number) => Err(ReplyError::UnknownCertificate(number)),
            None => Err(ReplyError::NoCertificate),
        }
    }

    /// What requests carry beside what they always carry: `app_cert_sn` and `alipay_root_cert_sn`.
    pub fn numbers(&self) -> Option<(&str, &str)> {
        match self {
            Self::Key(_) => None,
            Self::Certificates(papers) => Some((papers.app_number(), papers.root_numbers())),
        }
    }
}
