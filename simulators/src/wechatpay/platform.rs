//! Starting, asking and stopping a platform.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::SignedDuration;

use super::books::Ledger;
use super::inside::{Books, Inside};
use super::sealing::{Signer, Signers};
use super::server::{Shared, handle};
use super::{ABILITIES, Buyer, Certificate, three, two};
use crate::faults::Plan;
use crate::wallet::keys::{KeyError, Keys, VerifyingKey};
use crate::wallet::tls::{Tls, names_of};
use crate::wallet::{Doors, GatewayError};

/// Why a platform did not start.
pub type PlatformError = GatewayError;

/// How a platform is set up. The default suits a test: loopback, free ports, keys of this process.
#[derive(Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Where plain HTTP is served.
    pub http: SocketAddr,
    /// Where HTTPS is served; nothing for no HTTPS.
    pub https: Option<SocketAddr>,
    /// What the HTTPS server shows.
    pub certificate: Certificate,
    /// The key pairs; absent: made once per process. `app` is the merchant's, `gateway` the platform's.
    pub keys: Option<Keys>,
    /// The merchant's application.
    pub appid: String,
    /// The merchant.
    pub mchid: String,
    /// Serial number of the merchant's certificate.
    pub merchant_serial: String,
    /// The key that resources are sealed with, 32 characters.
    pub api_v3_key: String,
    /// The key of interface v2.
    pub api_v2_key: String,
    /// Whether answers are signed with a certificate's key, which the till fetches, or with a public key it is given.
    pub certificates: bool,
    /// How far the platform's clock is ahead of this machine's.
    pub clock_offset: SignedDuration,
    /// How long a customer may take before the platform revokes by itself.
    pub patience: Duration,
    /// How long every request takes at least.
    pub latency: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            http: loopback,
            https: Some(loopback),
            certificate: Certificate::Good,
            keys: None,
            appid: "wxd930ea5d5a258f4f".to_owned(),
            mchid: "1900000001".to_owned(),
            merchant_serial: "5F1C72E2A8931B72A2E13AF8DEE92471EB397100".to_owned(),
            api_v3_key: "an-api-v3-key-of-32-characters-0".to_owned(),
            api_v2_key: "an-api-v2-key-of-32-characters-0".to_owned(),
            certificates: false,
            clock_offset: SignedDuration::ZERO,
            patience: Duration::from_secs(45),
            latency: Duration::ZERO,
        }
    }
}

/// A running platform, on a thread of its own. Dropping it stops it.
pub struct Platform {
    doors: Doors,
    appid: String,
    mchid: String,
    merchant_serial: String,
    api_v3_key: String,
    api_v2_key: String,
    merchant_private_pem: String,
    public_pem: String,
    key_id: String,
    authority_pem: String,
    inside: Arc<Inside>,
    faults: Plan,
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the private keys.
        f.debug_struct("Platform")
            .field("http", &self.doors.http)
            .field("https", &self.doors.https)
            .finish_non_exhaustive()
    }
}

impl Platform {
    /// Starts a platform; it accepts connections when this returns.
    pub fn start(settings: Settings) -> Result<Self, PlatformError> {
        let keys = match settings.keys {
            Some(keys) => keys,
            None => Keys::of_this_process()?.duplicate()?,
        };
        let merchant_public = keys.app.public_pem()?;
        let (merchant_private_pem, public_pem) = (keys.app.private_pem()?, keys.gateway.public_pem()?);
        let names = names_of(settings.https.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |https| https.ip()));
        let tls = Tls::new(settings.certificate, &names, &keys.authority)?;
        let signer = if settings.certificates {
            Signer::certified(keys.gateway)?
        } else {
            Signer::public(keys.gateway)
        };
        let key_id = signer.serial.clone();
        let three = three::Merchant {
            appid: settings.appid.clone(),
            mchid: settings.mchid.clone(),
            serial: settings.merchant_serial.clone(),
            key: VerifyingKey::from_pem("the merchant's public key", &merchant_public)?,
        };
        let two = two::Merchant {
            appid: settings.appid.clone(),
            mchid: settings.mchid.clone(),
            key: settings.api_v2_key.clone(),
        };
        let signers = Signers { all: [signer].into(), api_v3_key: settings.api_v3_key.clone(), last: None };
        let inside = Arc::new(Inside {
            three,
            two,
            clock_offset: settings.clock_offset,
            patience: settings.patience,
            books: Mutex::new(Books { ledger: Ledger::default(), advanced: SignedDuration::ZERO, signers }),
        });
        let faults = Plan::new(ABILITIES);
        let shared =
            Shared { inside: Arc::clone(&inside), faults: faults.clone(), latency: settings.latency };
        let doors =
            Doors::open("wechatpay", settings.http, settings.https, tls.server, move |request, breaker| {
                handle(request, shared.clone(), breaker)
            })?;
        Ok(Self {
            doors,
            appid: settings.appid,
            mchid: settings.mchid,
            merchant_serial: settings.merchant_serial,
            api_v3_key: settings.api_v3_key,
            api_v2_key: settings.api_v2_key,
            merchant_private_pem,
            public_pem,
            key_id,
            authority_pem: tls.authority_pem,
            inside,
            faults,
        })
    }

    /// The address over plain HTTP.
    pub fn url(&self) -> String {
        format!("http://{}", self.doors.http)
    }

    /// The address over HTTPS, where it serves that. Trust [`Platform::authority_pem`] to reach it.
    pub fn https_url(&self) -> Option<String> {
        self.doors.https.map(|address| format!("https://{address}"))
    }

    /// The merchant's application.
    pub fn appid(&self) -> &str {
        &self.appid
    }

    /// The merchant.
    pub fn mchid(&self) -> &str {
        &self.mchid
    }

    /// Serial number of the merchant's certificate.
    pub fn merchant_serial(&self) -> &str {
        &self.merchant_serial
    }

    /// The merchant's private key (PKCS#8 PEM), a test key.
    pub fn merchant_private_pem(&self) -> &str {
        &self.merchant_private_pem
    }

    /// The key resources are sealed with.
    pub fn api_v3_key(&self) -> &str {
        &self.api_v3_key
    }

    /// The key of interface v2.
    pub fn api_v2_key(&self) -> &str {
        &self.api_v2_key
    }

    /// The public key the platform began to sign with (PEM).
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// What its answers call that key: an id, or a certificate's serial number.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The certificate authority (PEM) behind the HTTPS server.
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    /// The books as they stand now.
    pub fn ledger(&self) -> Ledger {
        self.inside.snapshot()
    }

    /// What goes wrong.
    pub fn faults(&self) -> &Plan {
        &self.faults
    }

    /// Tells how the owner of a wallet code behaves, before the code is used.
    pub fn set_buyer(&self, code: &str, buyer: Buyer) {
        self.inside.set_buyer(code, buyer);
    }

    /// A customer scans the code that the till shows for an order, and pays. False where there is none to scan.
    pub fn scan(&self, out_trade_no: &str) -> bool {
        self.inside.scan(out_trade_no)
    }

    /// Time passes for customers and reverses, at once; the check of timestamps is not touched.
    pub fn advance(&self, by: Duration) {
        self.inside.advance(SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX));
    }

    /// From now on the platform signs with a new key, whose certificate it lists beside the old one.
    pub fn rotate_key(&self) -> Result<(), KeyError> {
        self.inside.rotate()
    }

    /// Stops the platform: its ports are free when this returns.
    pub fn stop(self) {
        drop(self.doors);
    }
}
