//! Signatures of interface 5.1.0, method 01 (channels §4.2): SHA-256 of the fields as 64 lower-case hexadecimal characters,
//! then RSASSA-PKCS1-v1_5 with SHA-256 over those characters.
//!
//! An answer brings the certificate of its signer. Its chain, validity and owner come first, the signature second, the
//! fields last. Version 5.0.0 (SHA-1) and the methods with a shared key are refused.

use ring::digest::{SHA256, digest};
use thiserror::Error;
use till_wallet::chain::{ChainError, Trust};
use till_wallet::form::{Params, form_body, sign_string};
use till_wallet::keys::SigningKey;
use zeroize::Zeroizing;

use crate::ask::{Ask, AskError, Merchant};
use crate::form::{self, Fields, FormError};

/// What is wrong with an answer's seal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    /// No list of fields.
    #[error("UnionPay's answer is no list of fields: {0}")]
    Form(#[from] FormError),
    /// A field of the seal is absent.
    #[error("UnionPay's answer is not signed: its field {0} is absent")]
    Unsigned(&'static str),
    /// Another version, method or encoding than asked in.
    #[error(
        "UnionPay's answer is not of version 5.1.0, signature method 01, UTF-8; older ones are not believed"
    )]
    Method,
    /// The certificate is not UnionPay's.
    #[error("{0}; check the root certificates and the environment in the settings, or who is answering")]
    Certificate(#[from] ChainError),
    /// The signature is not the certificate's over these fields.
    #[error("the signature on UnionPay's answer is wrong; it is not believed")]
    Wrong,
}

/// Which UnionPay is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Environment {
    /// The real one.
    Production,
    /// UnionPay's test environment, or a simulator.
    Test,
}

impl Environment {
    /// Its entry.
    pub const fn gateway(self) -> &'static str {
        match self {
            Self::Production => "https://gateway.95516.com",
            Self::Test => "https://gateway.test.95516.com",
        }
    }

    /// Whose name its certificates bear, as the third part of the common name between `@`.
    pub const fn owner(self) -> &'static str {
        match self {
            Self::Production => "中国银联股份有限公司",
            Self::Test => "00040000:SIGN",
        }
    }

    fn owns(self, common_name: &str) -> bool {
        common_name.split('@').nth(2) == Some(self.owner())
    }
}

fn hashed(text: &str) -> String {
    hex::encode(digest(&SHA256, text.as_bytes()))
}

/// The signature of a request's fields.
pub fn signature(fields: &Params, key: &SigningKey) -> Result<String, AskError> {
    Ok(key.sign(&hashed(&sign_string(fields, "signature")))?)
}

/// The body of a request.
pub fn body(ask: &Ask<'_>, merchant: &Merchant, key: &SigningKey) -> Result<Zeroizing<Vec<u8>>, AskError> {
    let mut fields = ask.fields(merchant)?;
    let seal = signature(&fields, key)?;
    fields.insert("signature", Zeroizing::new(seal));
    Ok(form_body(&fields))
}

/// The fields of an answer whose seal is right at `now_ms` of the trusted clock.
pub fn open(body: &[u8], trust: &Trust, environment: Environment, now_ms: i64) -> Result<Fields, SealError> {
    let fields = form::read(body)?;
    let field = |name: &'static str| {
        let value = fields.get(name).map(String::as_str).filter(|v| !v.is_empty());
        value.ok_or(SealError::Unsigned(name))
    };
    let (version, method) = (field("version")?, field("signMethod")?);
    let encoding = fields.get("encoding").map_or("UTF-8", String::as_str);
    if version != "5.1.0" || method != "01" || !encoding.eq_ignore_ascii_case("UTF-8") {
        return Err(SealError::Method);
    }
    let (certificate, signature) = (field("signPubKeyCert")?, field("signature")?);
    let certificate = trust.believe(certificate, now_ms, |name| environment.owns(name))?;
    if !certificate.key.verifies(hashed(&form::sign_string(&fields)).as_bytes(), signature) {
        return Err(SealError::Wrong);
    }
    Ok(fields)
}
