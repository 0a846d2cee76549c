//! Certificate mode (公钥证书模式): the certificates of the app and of the gateway, their numbers, and what the gateway signs under
//! (channels.md §2.1).
//!
//! A certificate's number is the MD5 of its issuer's name (`CN=…,OU=…,O=…,C=…`) and its serial number in decimal. As with the
//! real platform, one root stands behind two authorities: the first issues the apps' certificates, the second the gateway's.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use md5::{Digest, Md5};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, SerialNumber,
    date_time_ymd,
};

use crate::faults::Fault;
use crate::wallet::issuing::{failed, pair};
use crate::wallet::keys::{KeyError, SigningKey};

const ORGANISATION: &str = "SIM Alipay";
const UNIT: &str = "Certification Authority";
const ROOT: &str = "SIM Alipay TEST Certification Authority R1";
const APPS: &str = "SIM Alipay TEST Certification Authority Class 1 R1";
const GATEWAYS: &str = "SIM Alipay TEST Certification Authority Class 2 R1";
/// Another authority's root in the same bundle, as in the real one.
const NEIGHBOUR: &str = "SIM neighbour TEST Root CA - G3";
/// The years a certificate is good for here.
const YEARS: (i32, i32) = (2020, 2099);

/// The keys behind the certificates: of the root, of the authorities under it, and of somebody else.
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

    /// The keys of a directory, made there where absent: a till that trusted the root once trusts it after a restart.
    pub fn in_directory(dir: &Path) -> Result<Self, KeyError> {
        let key = |name| SigningKey::in_file(&dir.join(name));
        Ok(Self {
            root: key("alipay-root-key.pem")?,
            middle: key("alipay-authorities-key.pem")?,
            foreign: key("somebody-else-key.pem")?,
        })
    }
}

/// The number of a certificate that an authority of this bundle issued.
fn number(issuer: &str, serial: u128) -> String {
    let name = format!("CN={issuer},OU={UNIT},O={ORGANISATION},C=CN");
    hex::encode(Md5::digest(format!("{name}{serial}")))
}

fn params(
    name: &str,
    serial: u128,
    authority: bool,
    years: (i32, i32),
) -> Result<CertificateParams, KeyError> {
    let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
    params.distinguished_name = DistinguishedName::new();
    for (kind, text) in [
        (DnType::CountryName, "CN"),
        (DnType::OrganizationName, ORGANISATION),
        (DnType::OrganizationalUnitName, UNIT),
        (DnType::CommonName, name),
    ] {
        params.distinguished_name.push(kind, text);
    }
    params.serial_number = Some(SerialNumber::from_slice(&serial.to_be_bytes()));
    params.is_ca = if authority { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    Ok(params)
}

/// A key the gateway signs with, and what its certificate is called.
struct Under {
    key: SigningKey,
    number: String,
}

/// The certificates, made.
pub(crate) struct Made {
    pub(crate) root_bundle: String,
    pub(crate) app: String,
    /// The gateway's first certificate, with the authority behind it: what the till is given.
    pub(crate) gateway: String,
    pub(crate) app_number: String,
    pub(crate) root_numbers: String,
    by_gateways: Issuer<'static, KeyPair>,
    /// The authority that issues the gateway's.
    gateways: String,
    /// The common name of the gateway's certificates.
    owner: String,
    own: Under,
    rotations: u128,
    foreign: Under,
    expired: Under,
    stranger: Under,
    /// What can be downloaded, by number.
    shelf: BTreeMap<String, String>,
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Made(..)")
    }
}

impl Made {
    /// Makes them for the keys of app and gateway.
    pub(crate) fn new(
        papers: &Papers,
        app: &SigningKey,
        gateway: &SigningKey,
        app_id: &str,
        seller_id: &str,
    ) -> Result<Self, KeyError> {
        let again = |key: &SigningKey| SigningKey::from_pem("a key of this process", &key.private_pem()?);
        let authority = |name, serial, key: &SigningKey, by: Option<&Issuer<'_, KeyPair>>| {
            let (params, key) = (params(name, serial, true, YEARS)?, pair(key)?);
            let certificate = match by {
                None => params.self_signed(&key),
                Some(by) => params.signed_by(&key, by),
            };
            Ok::<_, KeyError>((certificate.map_err(failed)?.pem(), Issuer::new(params, key)))
        };
        let leaf = |name: &str, serial, key: &SigningKey, years, by: &Issuer<'_, KeyPair>| {
            let certificate = params(name, serial, false, years)?.signed_by(&pair(key)?, by);
            Ok::<_, KeyError>(certificate.map_err(failed)?.pem())
        };
        let (root, by_root) = authority(ROOT, 1, &papers.root, None)?;
        let (apps, by_apps) = authority(APPS, 2, &papers.middle, Some(&by_root))?;
        let (gateways, by_gateways) = authority(GATEWAYS, 3, &papers.middle, Some(&by_root))?;
        let (neighbour, _) = authority(NEIGHBOUR, 4, &papers.foreign, None)?;
        // The bundle has roots that sign with other algorithms too; they have no number.
        let curve = KeyPair::generate().map_err(failed)?;
        let curve = params("SIM Alipay TEST Certification Authority E1", 5, true, YEARS)?.self_signed(&curve);
        // Somebody else's root and authority, with the same names.
        let (_, by_foreign_root) = authority(ROOT, 1, &papers.foreign, None)?;
        let (foreign_gateways, by_foreign) = authority(GATEWAYS, 3, &papers.foreign, Some(&by_foreign_root))?;

        let owner = format!("SIM 支付宝 TEST-{seller_id}");
        let serial = 0x2026_0901_0000_0000_0000_0000_0000_0000_u128;
        let certificate = leaf(&owner, serial + 1, gateway, YEARS, &by_gateways)? + &gateways;
        let foreign = leaf(&owner, serial + 2, &papers.foreign, YEARS, &by_foreign)? + &foreign_gateways;
        let expired = leaf(&owner, serial + 3, gateway, (2020, 2021), &by_gateways)? + &gateways;
        // Another merchant of the same platform, with a good certificate of its own.
        let other = "2088000000000099-2021000000000099";
        let stranger = leaf(other, serial + 4, &papers.foreign, YEARS, &by_apps)? + &apps;
        let under = |key: &SigningKey, issuer, add| {
            Ok::<_, KeyError>(Under { key: again(key)?, number: number(issuer, serial + add) })
        };
        let mut made = Self {
            root_bundle: curve.map_err(failed)?.pem() + &root + &neighbour,
            app: leaf(&format!("{seller_id}-{app_id}"), serial, app, YEARS, &by_apps)?,
            gateway: certificate.clone(),
            app_number: number(APPS, serial),
            root_numbers: format!("{}_{}", number(ROOT, 1), number(NEIGHBOUR, 4)),
            by_gateways,
            gateways,
            owner,
            own: under(gateway, GATEWAYS, 1)?,
            rotations: 0,
            foreign: under(&papers.foreign, GATEWAYS, 2)?,
            expired: under(gateway, GATEWAYS, 3)?,
            stranger: under(&papers.foreign, APPS, 4)?,
            shelf: BTreeMap::new(),
        };
        for (under, pem) in [
            (&made.own, certificate),
            (&made.foreign, foreign),
            (&made.expired, expired),
            (&made.stranger, stranger),
        ] {
            made.shelf.insert(under.number.clone(), pem);
        }
        Ok(made)
    }

    /// Another key and another certificate from now on; the older ones can still be downloaded.
    pub(crate) fn rotate(&mut self) -> Result<(), KeyError> {
        self.rotations += 1;
        let key = SigningKey::generate()?;
        let serial = 0x2027_0000_0000_0000_0000_0000_0000_0000_u128 + self.rotations;
        let certificate =
            params(&self.owner, serial, false, YEARS)?.signed_by(&pair(&key)?, &self.by_gateways);
        let pem = certificate.map_err(failed)?.pem() + &self.gateways;
        self.own = Under { key, number: number(GATEWAYS, serial) };
        self.shelf.insert(self.own.number.clone(), pem);
        Ok(())
    }

    /// PEM of the certificate of that number, with the authority behind it.
    pub(crate) fn download(&self, number: &str) -> Option<&str> {
        self.shelf.get(number).map(String::as_str)
    }

    /// The certificate an answer is signed under, and the number that it names.
    fn under(&self, fault: Option<&Fault>) -> (&SigningKey, Option<String>) {
        let under = match fault {
            Some(Fault::ForeignCertificate {}) => &self.foreign,
            Some(Fault::ExpiredCertificate {}) => &self.expired,
            Some(Fault::WrongOwner {}) => &self.stranger,
            _ => &self.own,
        };
        let number = match fault {
            Some(Fault::WithoutCertificate {}) => None,
            Some(Fault::UnknownCertificate {}) => Some(number(GATEWAYS, 6)),
            _ => Some(under.number.clone()),
        };
        (&under.key, number)
    }
}

/// What the gateway signs with.
#[derive(Debug)]
pub(crate) enum Seal {
    /// One key.
    Key(SigningKey),
    /// The key of the certificate that the answer names.
    Certificates(Box<Made>),
}

impl Seal {
    /// A signature over that text, and the number of the certificate it is under.
    pub(crate) fn sign(
        &mut self,
        text: &[u8],
        fault: Option<&Fault>,
    ) -> Result<(String, Option<String>), KeyError> {
        match self {
            Self::Key(key) => Ok((key.sign(text)?, None)),
            Self::Certificates(made) => {
                if matches!(fault, Some(Fault::KeyRotated {})) {
                    made.rotate()?;
                }
                let (key, number) = made.under(fault);
                Ok((key.sign(text)?, number))
            }
        }
    }
}
