//! Interface v3: JSON, seals in headers, platform keys that change while the till runs (channels §3.1).

use std::time::Duration;

use till_plugin::Host;
use till_plugin::host::Level;
use till_wallet::http::{Reply, Request};

use super::{Line, NotMade};
use crate::ask::Ask;
use crate::reply::{Answered, NoAnswer, claimed_code, read_v3};
use crate::resource::{self, ApiV3Key};
use crate::seal::{SealError, Sealer, Seals, nonce};
use crate::v3::{self, CERTIFICATES, Call, Merchant};

/// The list of certificates is fetched at most this often: a wrong serial number must not become a flood.
const FETCH_PAUSE_MS: u64 = 60_000;

/// The least time a fetch is worth starting with.
const LEAST: Duration = Duration::from_millis(500);

/// The interface.
pub struct Three {
    /// What every request carries.
    pub merchant: Merchant,
    /// How requests are sealed.
    pub sealer: Sealer,
    /// The platform's keys.
    pub seals: Seals,
    /// Opens the list of certificates; none where only public keys of the settings are trusted.
    pub api_key: Option<ApiV3Key>,
    /// The public key's id that answers are asked to be signed with.
    pub wanted_key: Option<String>,
    /// The way there.
    pub line: Line,
    /// When certificates were last fetched, boot clock.
    pub fetched_ms: Option<u64>,
}

impl Three {
    /// Whether it can be written.
    pub fn check(&self, ask: &Ask<'_>) -> Result<(), NotMade> {
        v3::call(ask, &self.merchant).map(drop).map_err(NotMade::Ask)
    }

    /// Asks.
    pub fn ask(&mut self, host: &Host, ask: &Ask<'_>) -> Result<Answered, NotMade> {
        let call = v3::call(ask, &self.merchant)?;
        Ok(match self.send(host, &call)? {
            Ok(reply) => self.open(host, &reply),
            Err(no) => Err(no),
        })
    }

    fn send(&self, host: &Host, call: &Call) -> Result<Result<Reply, NoAnswer>, NotMade> {
        let now = host.now();
        if !now.trusted {
            return Err(NotMade::Clock);
        }
        let seconds = now.wall_ms.div_euclid(1_000);
        let Call { method, path, body } = call;
        let authorization = self.sealer.authorization(method, path, seconds, &nonce()?, body)?;
        let mut headers = vec![
            ("Authorization", authorization.as_str()),
            ("Accept", "application/json"),
            ("Content-Type", "application/json"),
            ("User-Agent", concat!("tilld/", env!("CARGO_PKG_VERSION"))),
        ];
        if let Some(id) = &self.wanted_key {
            headers.push(("Wechatpay-Serial", id));
        }
        let request = Request { method, path, headers: &headers, body: body.as_bytes() };
        Ok(self.line.send(host, &request).map_err(NoAnswer::from))
    }

    /// Checks the seal before a field is read (C12).
    fn open(&mut self, host: &Host, reply: &Reply) -> Answered {
        let mut checked = self.check_seal(host, reply);
        if matches!(checked, Err(SealError::UnknownKey(_) | SealError::OldKey(_))) && self.fetch(host) {
            checked = self.check_seal(host, reply);
        }
        match checked {
            Ok(()) => read_v3(reply.status, &reply.body),
            Err(seal) => Err(NoAnswer::Seal { seal, status: reply.status, code: claimed_code(&reply.body) }),
        }
    }

    fn check_seal(&mut self, host: &Host, reply: &Reply) -> Result<(), SealError> {
        let now = host.now();
        if now.trusted { self.seals.check(reply, now.wall_ms) } else { Err(SealError::Clock) }
    }

    /// Fetches the platform's certificates. Each is sealed with the APIv3 key; the answer around them must be signed with
    /// one of them, or with a key that was known before.
    fn fetch(&mut self, host: &Host) -> bool {
        let now = host.now();
        let lately = self.fetched_ms.is_some_and(|at| now.boot_ms.saturating_sub(at) < FETCH_PAUSE_MS);
        if self.api_key.is_none() || lately || self.line.time_left(host) < LEAST {
            return false;
        }
        self.fetched_ms = Some(now.boot_ms);
        match self.fetched(host) {
            Ok(seals) => {
                self.seals = seals;
                host.log(Level::Info, "the platform's certificates were fetched again");
                true
            }
            Err(why) => {
                host.log(Level::Error, format!("the platform's certificates cannot be fetched: {why}"));
                false
            }
        }
    }

    fn fetched(&self, host: &Host) -> Result<Seals, String> {
        let key = self.api_key.as_ref().ok_or("no APIv3 key is given")?;
        let reply = self.send(host, &v3::get(CERTIFICATES.into())).map_err(|e| e.to_string())?;
        let reply = reply.map_err(|e| e.to_string())?;
        if reply.status != 200 {
            let code = claimed_code(&reply.body).unwrap_or_default();
            return Err(format!("HTTP status {} {code}", reply.status));
        }
        let mut seals = self.seals.clone();
        for certificate in resource::certificates(&reply.body, key).map_err(|e| e.to_string())? {
            seals.trust_certificate(certificate);
        }
        let now = host.now();
        if !now.trusted {
            return Err(SealError::Clock.to_string());
        }
        seals.check(&reply, now.wall_ms).map_err(|e| e.to_string())?;
        Ok(seals)
    }
}
