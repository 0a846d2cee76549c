//! The certificates of UnionPay and of the merchant, and what they sign (channels.md §4.2).

use std::path::Path;
use std::sync::OnceLock;

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, SerialNumber,
    date_time_ymd,
};

use crate::wallet::issuing::{failed, pair};
use crate::wallet::keys::{KeyError, SigningKey};

/// The name that the test environment's certificates bear, in the third part between `@`.
const OWNER: &str = "SIM@Z12@00040000:SIGN@00000062";
/// Serial number of the merchant's certificate; its requests give it in decimal.
const MERCHANT_SERIAL: u64 = 68_759_663_125;

/// The keys behind the certificates: of the root, of the authority between, and of somebody else's root.
pub struct Papers {
    root: SigningKey,
    middle: SigningKey,
    foreign: SigningKey,
}

impl std::fmt::Debug for Papers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Papers(..)")
    }
}

impl Papers {
    /// Fresh keys.
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self {
            root: SigningKey::generate()?,
            middle: SigningKey::generate()?,
            foreign: SigningKey::generate()?,
        })
    }

    /// Keys made once per process and then reused.
    pub fn of_this_process() -> Result<&'static Self, KeyError> {
        static PAPERS: OnceLock<Papers> = OnceLock::new();
        if let Some(papers) = PAPERS.get() {
            return Ok(papers);
        }
        let fresh = Self::generate()?;
        Ok(PAPERS.get_or_init(|| fresh))
    }

    /// The same keys once more, for a second owner.
    pub fn duplicate(&self) -> Result<Self, KeyError> {
        let again = |key: &SigningKey| SigningKey::from_pem("a key of this process", &key.private_pem()?);
        Ok(Self { root: again(&self.root)?, middle: again(&self.middle)?, foreign: again(&self.foreign)? })
    }

    /// The keys of a directory, made there where absent: a till that trusted the root once trusts it after a restart.
    pub fn in_directory(dir: &Path) -> Result<Self, KeyError> {
        let key = |name| SigningKey::in_file(&dir.join(name));
        Ok(Self {
            root: key("unionpay-root-key.pem")?,
            middle: key("unionpay-middle-key.pem")?,
            foreign: key("foreign-root-key.pem")?,
        })
    }
}

fn params(
    name: &str,
    serial: u64,
    authority: bool,
    years: (i32, i32),
) -> Result<CertificateParams, KeyError> {
    let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "CN");
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    params.is_ca = if authority { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    Ok(params)
}

/// Which certificate an answer bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Good,
    Foreign,
    Expired,
    WrongOwner,
}

/// The certificates, made.
pub(crate) struct Made {
    pub(crate) root: String,
    pub(crate) middle: String,
    pub(crate) merchant: String,
    pub(crate) cert_id: String,
    good: String,
    foreign: String,
    expired: String,
    stranger: String,
}

impl Made {
    /// Makes them for the merchant's key and the gateway's.
    pub(crate) fn new(
        papers: &Papers,
        merchant: &SigningKey,
        gateway: &SigningKey,
    ) -> Result<Self, KeyError> {
        const YEARS: (i32, i32) = (2020, 2099);
        let authority = |name: &str, serial, key: &SigningKey, by: Option<&Issuer<'_, KeyPair>>| {
            let (params, key) = (params(name, serial, true, YEARS)?, pair(key)?);
            let certificate = match by {
                None => params.self_signed(&key),
                Some(by) => params.signed_by(&key, by),
            };
            Ok::<_, KeyError>((certificate.map_err(failed)?.pem(), Issuer::new(params, key)))
        };
        let (root, by_root) = authority("SIM UnionPay TEST root", 1, &papers.root, None)?;
        let (middle, by_middle) = authority("SIM UnionPay TEST middle", 2, &papers.middle, Some(&by_root))?;
        let (_, by_foreign) = authority("SIM UnionPay TEST root", 1, &papers.foreign, None)?;
        let leaf = |name: &str, serial, key: &SigningKey, years, by: &Issuer<'_, KeyPair>| {
            let certificate = params(name, serial, false, years)?.signed_by(&pair(key)?, by);
            Ok::<_, KeyError>(certificate.map_err(failed)?.pem())
        };
        Ok(Self {
            root,
            middle,
            merchant: leaf("SIM@merchant@777290058110048", MERCHANT_SERIAL, merchant, YEARS, &by_middle)?,
            cert_id: MERCHANT_SERIAL.to_string(),
            good: leaf(OWNER, 11, gateway, YEARS, &by_middle)?,
            foreign: leaf(OWNER, 11, gateway, YEARS, &by_foreign)?,
            expired: leaf(OWNER, 12, gateway, (2020, 2021), &by_middle)?,
            stranger: leaf("SIM@Z12@00099999:SHOP@00000001", 13, gateway, YEARS, &by_middle)?,
        })
    }

    /// PEM of the certificate that an answer bears.
    pub(crate) fn shown(&self, which: Shown) -> &str {
        match which {
            Shown::Good => &self.good,
            Shown::Foreign => &self.foreign,
            Shown::Expired => &self.expired,
            Shown::WrongOwner => &self.stranger,
        }
    }
}

/// What is signed: the text's SHA-256 in 64 lower-case hexadecimal characters.
pub(crate) fn to_sign(text: &str) -> String {
    hex::encode(digest(&SHA256, text.as_bytes()))
}
