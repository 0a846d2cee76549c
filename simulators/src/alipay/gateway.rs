//! Starting, asking and stopping a gateway.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use jiff::SignedDuration;

use super::{
    amount::Fen,
    ledger::Ledger,
    methods::{House, Shown},
    papers::{Made, Papers, Seal},
    platform::{ABILITIES, CERTIFICATE_ABILITIES, Platform},
    reply::Spelling,
    request::Guard,
    server::{Shared, handle},
};
use crate::faults::Plan;
use crate::wallet::keys::{KeyError, Keys, VerifyingKey};
use crate::wallet::tls::{Tls, names_of};
use crate::wallet::{Buyer, Certificate, Doors, GatewayError};

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
    /// Further host names of the certificate.
    pub names: Vec<String>,
    /// The key pairs; absent: made once per process.
    pub keys: Option<Keys>,
    /// The app's public key (PEM, or bare base64), where its private key is not the simulator's to give out.
    pub app_public_key: Option<String>,
    /// Certificate mode: requests and answers name certificates. Not with [`Settings::app_public_key`]: the app's certificate
    /// is of the simulator's key.
    pub certificates: bool,
    /// The keys behind the certificates; absent: made once per process.
    pub papers: Option<Papers>,
    /// The one app that is known.
    pub app_id: String,
    /// The merchant's id; a request that names another is refused.
    pub seller_id: String,
    /// How far a request's timestamp may be off the gateway's clock.
    pub clock_tolerance: Duration,
    /// How far the gateway's clock is ahead of this machine's.
    pub clock_offset: SignedDuration,
    /// How long a customer may take where the request does not say.
    pub payment_timeout: Duration,
    /// The largest amount of one payment.
    pub limit: Fen,
    /// Whether a payment that arrives after its own cancel is refused. If not, it is booked: the worst that a late packet
    /// can do.
    pub bar_late_payments: bool,
    /// How replies are spelled.
    pub spelling: Spelling,
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
            names: Vec::new(),
            keys: None,
            app_public_key: None,
            certificates: false,
            papers: None,
            app_id: "2021000000000001".to_owned(),
            seller_id: "2088000000000001".to_owned(),
            clock_tolerance: Duration::from_mins(10),
            clock_offset: SignedDuration::ZERO,
            payment_timeout: Duration::from_mins(3),
            limit: Fen::LARGEST,
            bar_late_payments: true,
            spelling: Spelling::Random,
            latency: Duration::ZERO,
        }
    }
}

/// What the till is given in certificate mode, PEM.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The app's certificate.
    pub app_pem: String,
    /// The gateway's first certificate, and the authority behind it.
    pub gateway_pem: String,
    /// The roots, one of them with a key of another kind.
    pub root_pem: String,
}

/// A running gateway, on a thread of its own: it serves blocking and async callers alike. Dropping it stops it.
pub struct Gateway {
    doors: Doors,
    app_id: String,
    seller_id: String,
    app_private_pem: String,
    public_pem: String,
    authority_pem: String,
    certificates: Option<Certificates>,
    platform: Arc<Platform>,
    faults: Plan,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the private key.
        f.debug_struct("Gateway")
            .field("http", &self.doors.http)
            .field("https", &self.doors.https)
            .finish_non_exhaustive()
    }
}

impl Gateway {
    /// Starts a gateway; it accepts connections when this returns.
    pub fn start(settings: Settings) -> Result<Self, GatewayError> {
        let keys = match settings.keys {
            Some(keys) => keys,
            None => Keys::of_this_process()?.duplicate()?,
        };
        let app_public_pem = match &settings.app_public_key {
            Some(pem) => pem.clone(),
            None => keys.app.public_pem()?,
        };
        let made = if settings.certificates {
            let papers = match &settings.papers {
                Some(papers) => papers,
                None => Papers::of_this_process()?,
            };
            Some(Made::new(papers, &keys.app, &keys.gateway, &settings.app_id, &settings.seller_id)?)
        } else {
            None
        };
        let guard = Guard {
            app_id: settings.app_id.clone(),
            app_key: VerifyingKey::from_pem("the app's public key", &app_public_pem)?,
            tolerance: settings.clock_tolerance,
            numbers: made.as_ref().map(|made| (made.app_number.clone(), made.root_numbers.clone())),
        };
        let house = House {
            app_id: settings.app_id.clone(),
            seller_id: settings.seller_id.clone(),
            limit: settings.limit,
            default_timeout: settings.payment_timeout,
            bar_late_payments: settings.bar_late_payments,
            shown: Arc::default(),
        };
        let mut names = names_of(settings.https.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |https| https.ip()));
        names.extend(settings.names);
        let tls = Tls::new(settings.certificate, &names, &keys.authority)?;
        let (app_private_pem, public_pem) = (keys.app.private_pem()?, keys.gateway.public_pem()?);
        let faults = Plan::new(if made.is_some() { CERTIFICATE_ABILITIES } else { ABILITIES });
        let certificates = made.as_ref().map(|made| Certificates {
            app_pem: made.app.clone(),
            gateway_pem: made.gateway.clone(),
            root_pem: made.root_bundle.clone(),
        });
        let seal = made.map_or(Seal::Key(keys.gateway), |made| Seal::Certificates(Box::new(made)));
        let platform = Platform::new(guard, house, seal, settings.spelling, settings.clock_offset);
        let platform = Arc::new(platform);
        let shared =
            Shared { platform: Arc::clone(&platform), faults: faults.clone(), latency: settings.latency };

        let doors = Doors::open(
            "alipay-gateway",
            settings.http,
            settings.https,
            tls.server,
            move |request, breaker| handle(request, shared.clone(), breaker),
        )?;
        Ok(Self {
            doors,
            app_id: settings.app_id,
            seller_id: settings.seller_id,
            app_private_pem,
            public_pem,
            authority_pem: tls.authority_pem,
            certificates,
            platform,
            faults,
        })
    }

    /// The gateway's address over plain HTTP: `http://127.0.0.1:PORT/gateway.do`.
    pub fn url(&self) -> String {
        format!("http://{}/gateway.do", self.doors.http)
    }

    /// The gateway's address over HTTPS, where it serves that. Trust [`Gateway::authority_pem`] to reach it.
    pub fn https_url(&self) -> Option<String> {
        self.doors.https.map(|address| format!("https://{address}/gateway.do"))
    }

    /// Where plain HTTP is served.
    pub fn http_address(&self) -> SocketAddr {
        self.doors.http
    }

    /// Where HTTPS is served.
    pub fn https_address(&self) -> Option<SocketAddr> {
        self.doors.https
    }

    /// The app the gateway knows.
    pub fn app_id(&self) -> &str {
        &self.app_id
    }

    /// The merchant behind the app.
    pub fn seller_id(&self) -> &str {
        &self.seller_id
    }

    /// The app's private key (PKCS#8 PEM), which a till signs with. A test key; useless where [`Settings::app_public_key`]
    /// names another.
    pub fn app_private_pem(&self) -> &str {
        &self.app_private_pem
    }

    /// The gateway's public key (PEM), which a till verifies replies with.
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// What the till is given in certificate mode; nothing in key mode.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// From now on the gateway signs with another key, under another certificate. Does nothing in key mode.
    pub fn rotate_certificate(&self) -> Result<(), KeyError> {
        self.platform.rotate()
    }

    /// The certificate authority (PEM) behind the HTTPS server.
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    /// The books as they stand now.
    pub fn ledger(&self) -> Ledger {
        self.platform.snapshot()
    }

    /// What goes wrong.
    pub fn faults(&self) -> &Plan {
        &self.faults
    }

    /// Tells how the owner of a wallet code behaves, before the code is used.
    pub fn set_buyer(&self, code: &str, buyer: Buyer) {
        self.platform.set_buyer(code, buyer);
    }

    /// A customer scans the code that the till shows for an order. False where there is none to scan.
    pub fn scan(&self, out_trade_no: &str, buyer: Buyer) -> bool {
        self.platform.scan(out_trade_no, buyer)
    }

    /// Time passes for customers and expiries, at once; the check of timestamps is not touched.
    pub fn advance(&self, by: Duration) {
        self.platform.advance(SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX));
    }

    /// What paid trades say of the shop from now on: its name, and a fee of this rate (millionths).
    pub fn answer_profile(&self, store_name: Option<&str>, rate_ppm: Option<u32>) {
        self.platform.show(Shown { store_name: store_name.map(str::to_owned), rate_ppm });
    }

    /// A paid trade passes the time in which it can be refunded. False where there is none.
    pub fn finish(&self, out_trade_no: &str) -> bool {
        self.platform.finish(out_trade_no)
    }

    /// Stops the gateway: its ports are free when this returns. Open connections are cut.
    pub fn stop(self) {
        drop(self.doors);
    }
}
