//! Seals of interface v3 (channels §3.1): how requests are signed and answers verified.
//!
//! Both are RSASSA-PKCS1-v1_5 with SHA-256. An answer's seal covers its moment, its nonce and its body, but neither its status nor
//! the question: so an old or a repeated answer is refused here, and one about something else by [`crate::outcome`].

use std::collections::{BTreeMap, VecDeque};

use ring::rand::{SecureRandom as _, SystemRandom};
use thiserror::Error;
use till_wallet::certificate::Certificate;
use till_wallet::http::Reply;
use till_wallet::keys::{PlatformKey, SigningKey};
use zeroize::Zeroizing;

use crate::ask::AskError;

/// How far an answer's moment may be off the trusted clock, milliseconds (channels §3.1).
pub const WINDOW_MS: i64 = 300_000;

/// Signatures and serials that begin so are sent by the platform to find tills that do not verify.
const PROBE: &str = "WECHATPAY/SIGNTEST/";

/// How many nonces of answers are remembered: more than come within the window.
const MOST_NONCES: usize = 4_096;

/// What is wrong with an answer's seal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    /// A header of the seal is absent, doubled or malformed.
    #[error("WeChat Pay's answer is not signed: its {0} header is absent or malformed")]
    Unsigned(&'static str),
    /// A deliberate probe.
    #[error(
        "WeChat Pay sent a deliberately wrong signature (SIGNTEST) to see whether it is verified; it was"
    )]
    Probe,
    /// Made too long ago, or in the future.
    #[error("WeChat Pay's answer was made {0} s off the till's clock; check the clock, or who is answering")]
    Stale(i64),
    /// Signed with a key the till does not have.
    #[error(
        "WeChat Pay's answer is signed with key {0}, which the till does not have; check the platform's public key in the \
         settings, or give the APIv3 key so that the till can fetch its certificates"
    )]
    UnknownKey(String),
    /// That certificate is not valid now.
    #[error("WeChat Pay's answer is signed with certificate {0}, which is not valid at this time")]
    OldKey(String),
    /// The signature is not the platform's over these bytes.
    #[error(
        "the signature on WeChat Pay's answer is wrong; check the platform's key in the settings, or who is answering"
    )]
    Wrong,
    /// This very answer came before.
    #[error("WeChat Pay's answer came before; a repeated answer is not believed")]
    Replayed,
    /// The clock lost its trust while the answer was on its way.
    #[error("the clock is not synchronised any more, so the answer's moment cannot be checked")]
    Clock,
}

/// Whose seals requests carry.
pub struct Sealer {
    /// Merchant number.
    pub mchid: String,
    /// Serial number of the merchant's certificate.
    pub serial: String,
    /// Its private key.
    pub key: SigningKey,
}

/// 16 bytes of the system's randomness as 32 hexadecimal digits (C14).
pub fn nonce() -> Result<String, AskError> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| AskError::Random)?;
    Ok(hex::encode_upper(bytes))
}

/// The text a request is signed over. `path` has its query.
pub fn request_text(method: &str, path: &str, timestamp: i64, nonce: &str, body: &str) -> Zeroizing<String> {
    // Room enough from the start: a growing buffer would leave copies of the payment code behind.
    let size = method.len() + path.len() + nonce.len() + body.len() + 32;
    let mut text = Zeroizing::new(String::with_capacity(size));
    for part in [method, path, &timestamp.to_string(), nonce, body] {
        text.push_str(part);
        text.push('\n');
    }
    text
}

impl Sealer {
    /// The `Authorization` header. `timestamp` is Unix seconds.
    pub fn authorization(
        &self,
        method: &str,
        path: &str,
        timestamp: i64,
        nonce: &str,
        body: &str,
    ) -> Result<String, AskError> {
        let signature = self.key.sign(&request_text(method, path, timestamp, nonce, body))?;
        let Self { mchid, serial, .. } = self;
        Ok(format!(
            "WECHATPAY2-SHA256-RSA2048 mchid=\"{mchid}\",nonce_str=\"{nonce}\",timestamp=\"{timestamp}\",\
             serial_no=\"{serial}\",signature=\"{signature}\""
        ))
    }
}

#[derive(Clone, Debug)]
enum Known {
    Key(PlatformKey),
    Certificate(Certificate),
}

/// The platform's keys by the name its answers give them, and the answers that were seen.
#[derive(Clone, Debug, Default)]
pub struct Seals {
    keys: BTreeMap<String, Known>,
    seen: VecDeque<(String, i64)>,
}

impl Seals {
    /// Trusts a public key under its id (`PUB_KEY_ID_…`).
    pub fn trust_key(&mut self, id: &str, key: PlatformKey) {
        self.keys.insert(id.to_owned(), Known::Key(key));
    }

    /// Trusts a certificate under its serial number.
    pub fn trust_certificate(&mut self, certificate: Certificate) {
        self.keys.insert(certificate.serial.clone(), Known::Certificate(certificate));
    }

    /// Whether any key is known.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Checks an answer's seal at `now_ms` of the trusted clock, and remembers a right one.
    pub fn check(&mut self, reply: &Reply, now_ms: i64) -> Result<(), SealError> {
        let header = |name| reply.header(name).filter(|v| !v.is_empty()).ok_or(SealError::Unsigned(name));
        let signature = header("Wechatpay-Signature")?;
        let serial = header("Wechatpay-Serial")?;
        if signature.starts_with(PROBE) || serial.starts_with(PROBE) || serial.starts_with("SIGNTEST") {
            return Err(SealError::Probe);
        }
        let nonce = header("Wechatpay-Nonce")?;
        let timestamp = header("Wechatpay-Timestamp")?;
        let digits = timestamp.len() <= 12 && timestamp.bytes().all(|b| b.is_ascii_digit());
        let seconds: i64 =
            timestamp.parse().ok().filter(|_| digits).ok_or(SealError::Unsigned("Wechatpay-Timestamp"))?;
        let off = now_ms.saturating_sub(seconds.saturating_mul(1_000));
        if off.saturating_abs() > WINDOW_MS {
            return Err(SealError::Stale(off / 1_000));
        }
        let key = match self.keys.get(serial) {
            Some(Known::Key(key)) => key,
            Some(Known::Certificate(certificate)) if certificate.is_valid_at(now_ms) => &certificate.key,
            Some(Known::Certificate(_)) => return Err(SealError::OldKey(shown(serial))),
            None => return Err(SealError::UnknownKey(shown(serial))),
        };
        let mut text = format!("{timestamp}\n{nonce}\n").into_bytes();
        text.extend_from_slice(&reply.body);
        text.push(b'\n');
        if !key.verifies(&text, signature) {
            return Err(SealError::Wrong);
        }
        self.remember(nonce, now_ms)
    }

    /// Refuses a nonce that came before within the time in which its answer would still be believed.
    pub fn remember(&mut self, nonce: &str, now_ms: i64) -> Result<(), SealError> {
        self.seen.retain(|(_, at)| now_ms.saturating_sub(*at).saturating_abs() <= 2 * WINDOW_MS);
        if self.seen.iter().any(|(before, _)| before == nonce) {
            return Err(SealError::Replayed);
        }
        if self.seen.len() >= MOST_NONCES {
            self.seen.pop_front();
        }
        self.seen.push_back((nonce.to_owned(), now_ms));
        Ok(())
    }
}

/// A key's name as an error may show it: what an unverified header says is not taken over unlooked.
fn shown(serial: &str) -> String {
    serial.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect()
}
