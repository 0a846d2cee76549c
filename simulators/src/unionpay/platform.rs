//! Starting, asking and stopping a gateway.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::SignedDuration;

use super::books::Ledger;
use super::inside::{Books, Inside};
use super::papers::{Made, Papers};
use super::server::{Shared, handle};
use super::{ABILITIES, Buyer, Certificate};
use crate::faults::Plan;
use crate::wallet::keys::{Keys, VerifyingKey};
use crate::wallet::tls::{Tls, names_of};
use crate::wallet::{Doors, GatewayError};

/// Why a gateway did not start.
pub type PlatformError = GatewayError;

/// How a gateway is set up. The default suits a test: loopback, free ports, keys of this process.
#[derive(Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Where plain HTTP is served.
    pub http: SocketAddr,
    /// Where HTTPS is served; nothing for no HTTPS.
    pub https: Option<SocketAddr>,
    /// What the HTTPS server shows.
    pub certificate: Certificate,
    /// The key pairs; absent: made once per process. `app` is the merchant's, `gateway` UnionPay's.
    pub keys: Option<Keys>,
    /// The authorities' keys; absent: made once per process.
    pub papers: Option<Papers>,
    /// The one merchant that is known, 15 digits.
    pub mer_id: String,
    /// How far the gateway's clock is ahead of this machine's.
    pub clock_offset: SignedDuration,
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
            papers: None,
            mer_id: "777290058110048".to_owned(),
            clock_offset: SignedDuration::ZERO,
            latency: Duration::ZERO,
        }
    }
}

/// A running gateway, on a thread of its own. Dropping it stops it.
pub struct Platform {
    doors: Doors,
    mer_id: String,
    merchant_private_pem: String,
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
    /// Starts a gateway; it accepts connections when this returns.
    pub fn start(settings: Settings) -> Result<Self, PlatformError> {
        let keys = match settings.keys {
            Some(keys) => keys,
            None => Keys::of_this_process()?.duplicate()?,
        };
        let papers = match settings.papers {
            Some(papers) => papers,
            None => Papers::of_this_process()?.duplicate()?,
        };
        let names = names_of(settings.https.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |https| https.ip()));
        let tls = Tls::new(settings.certificate, &names, &keys.authority)?;
        let inside = Arc::new(Inside {
            mer_id: settings.mer_id.clone(),
            merchant: VerifyingKey::from_pem("the merchant's public key", &keys.app.public_pem()?)?,
            papers: Made::new(&papers, &keys.app, &keys.gateway)?,
            key: keys.gateway,
            clock_offset: settings.clock_offset,
            books: Mutex::new(Books::default()),
        });
        let faults = Plan::new(ABILITIES);
        let shared =
            Shared { inside: Arc::clone(&inside), faults: faults.clone(), latency: settings.latency };
        let doors =
            Doors::open("unionpay", settings.http, settings.https, tls.server, move |request, breaker| {
                handle(request, shared.clone(), breaker)
            })?;
        Ok(Self {
            doors,
            mer_id: settings.mer_id,
            merchant_private_pem: keys.app.private_pem()?,
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

    /// The merchant.
    pub fn mer_id(&self) -> &str {
        &self.mer_id
    }

    /// The merchant's private key (PKCS#8 PEM), a test key.
    pub fn merchant_private_pem(&self) -> &str {
        &self.merchant_private_pem
    }

    /// The merchant's certificate (PEM).
    pub fn merchant_certificate_pem(&self) -> &str {
        &self.inside.papers.merchant
    }

    /// The root (PEM) that answers are believed by.
    pub fn root_pem(&self) -> &str {
        &self.inside.papers.root
    }

    /// The authority (PEM) between the root and an answer's certificate.
    pub fn middle_pem(&self) -> &str {
        &self.inside.papers.middle
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

    /// A customer scans the code that the till shows for an order, and pays. False where there is none to scan, or its time
    /// is over.
    pub fn scan(&self, order_id: &str) -> bool {
        self.inside.scan(order_id)
    }

    /// Time passes, at once: for customers, for shown codes and for clearing days.
    pub fn advance(&self, by: Duration) {
        self.inside.advance(SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX));
    }

    /// Stops the gateway: its ports are free when this returns.
    pub fn stop(self) {
        drop(self.doors);
    }
}
