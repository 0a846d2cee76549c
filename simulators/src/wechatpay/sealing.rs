//! Seals: the platform's keys, which change, and what they make (channels.md §3.1, §3.2).

use std::collections::VecDeque;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use jiff::Timestamp;
use md5::{Digest as _, Md5};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, SerialNumber, date_time_ymd};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde_json::{Value, json};

use crate::wallet::keys::{KeyError, SigningKey};
use crate::wallet::serve::Made;

/// One key of the platform.
pub(crate) struct Signer {
    /// What its answers call it.
    pub(crate) serial: String,
    pub(crate) key: SigningKey,
    /// Its certificate; none where only its public key is given out.
    pub(crate) certificate: Option<String>,
}

impl Signer {
    /// A key that is given out as a public key.
    pub(crate) fn public(key: SigningKey) -> Self {
        Self { serial: "PUB_KEY_ID_0119000000012026090100000000000001".into(), key, certificate: None }
    }

    /// A key with a certificate.
    pub(crate) fn certified(key: SigningKey) -> Result<Self, KeyError> {
        let failed = |_| KeyError::Library("make a platform certificate");
        let der = PrivatePkcs8KeyDer::from_pem_slice(key.private_pem()?.as_bytes())
            .map_err(|_| KeyError::Library("read a key of its own"))?;
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_RSA_SHA256).map_err(failed)?;
        let mut serial = random::<20>()?;
        serial[0] = 0x5a; // positive, and no leading zero
        let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2099, 1, 1);
        let pem = params.self_signed(&pair).map_err(failed)?.pem();
        Ok(Self { serial: hex::encode_upper(serial), key, certificate: Some(pem) })
    }
}

/// The keys that answers were and are signed with; the last one signs.
pub(crate) struct Signers {
    pub(crate) all: VecDeque<Signer>,
    pub(crate) api_v3_key: String,
    /// The last sealed answer, for the fault that sends it again.
    pub(crate) last: Option<Made>,
}

/// How a seal is to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bent {
    No,
    Wrong,
    None,
    Probe,
    Stale,
}

impl Signers {
    /// Seals an answer of interface v3.
    pub(crate) fn seal(
        &mut self,
        status: u16,
        body: Vec<u8>,
        now: Timestamp,
        bent: Bent,
    ) -> Result<Made, KeyError> {
        let mut sealed = Made { status, headers: Vec::new(), body };
        if bent == Bent::None {
            return Ok(sealed);
        }
        let signer = self.all.back().ok_or(KeyError::Library("find its own key"))?;
        let seconds = now.as_second() - if bent == Bent::Stale { 301 } else { 0 };
        let nonce = hex::encode(random::<16>()?);
        let mut text = format!("{seconds}\n{nonce}\n").into_bytes();
        text.extend_from_slice(&sealed.body);
        text.extend_from_slice(if bent == Bent::Wrong { b" \n" } else { b"\n" });
        let mut signature = signer.key.sign(&text)?;
        if bent == Bent::Probe {
            signature.insert_str(0, "WECHATPAY/SIGNTEST/");
        }
        sealed.headers = vec![
            ("wechatpay-timestamp", seconds.to_string()),
            ("wechatpay-nonce", nonce),
            ("wechatpay-serial", signer.serial.clone()),
            ("wechatpay-signature", signature),
            ("wechatpay-signature-type", "WECHATPAY2-SHA256-RSA2048".into()),
        ];
        if bent == Bent::No {
            self.last = Some(sealed.clone());
        }
        Ok(sealed)
    }

    /// The list of certificates, each sealed with the APIv3 key.
    pub(crate) fn list(&self) -> Result<Value, KeyError> {
        let failed = |_| KeyError::Library("seal a certificate");
        let mut data = Vec::new();
        for signer in &self.all {
            let Some(pem) = &signer.certificate else { continue };
            let key = UnboundKey::new(&AES_256_GCM, self.api_v3_key.as_bytes()).map_err(failed)?;
            let nonce = hex::encode(random::<6>()?);
            let aead = Nonce::try_assume_unique_for_key(nonce.as_bytes()).map_err(failed)?;
            let mut bytes = pem.clone().into_bytes();
            LessSafeKey::new(key)
                .seal_in_place_append_tag(aead, Aad::from(b"certificate"), &mut bytes)
                .map_err(failed)?;
            data.push(json!({
                "serial_no": signer.serial,
                "effective_time": "2020-01-01T08:00:00+08:00",
                "expire_time": "2099-01-01T08:00:00+08:00",
                "encrypt_certificate": {
                    "algorithm": "AEAD_AES_256_GCM", "nonce": nonce, "associated_data": "certificate",
                    "ciphertext": BASE64.encode(bytes),
                },
            }));
        }
        Ok(json!({ "data": data }))
    }
}

/// Random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| KeyError::Library("give random bytes"))?;
    Ok(bytes)
}

/// The seal of interface v2 over fields in any order.
pub(crate) fn seal_two(fields: &[(String, String)], hmac_sha256: bool, key: &str) -> String {
    let mut sorted: Vec<_> = fields.iter().filter(|(k, v)| k != "sign" && !v.is_empty()).collect();
    sorted.sort();
    let mut text: String = sorted.iter().flat_map(|(k, v)| [k.as_str(), "=", v.as_str(), "&"]).collect();
    text.push_str("key=");
    text.push_str(key);
    if hmac_sha256 {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
        hex::encode_upper(hmac::sign(&key, text.as_bytes()))
    } else {
        hex::encode_upper(Md5::digest(text.as_bytes()))
    }
}
