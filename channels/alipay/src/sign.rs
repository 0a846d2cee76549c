//! RSA2: how requests are signed and answers verified (channels §2.1).
//!
//! The sign string is every non-empty parameter except `sign`, sorted by name, `k=v` joined by `&`, values as
//! they are before URL encoding; the signature is RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2), base64.
//! Private operations are ring's: the `rsa` crate leaks timing there (RUSTSEC-2023-0071).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::der;

/// Request parameters by name. Values are wiped on drop: `biz_content` holds the customer's payment code.
pub type Params = BTreeMap<&'static str, Zeroizing<String>>;

/// What can be wrong with a key, or with signing. No variant carries key material.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignError {
    /// The application's private key could not be read.
    #[error(
        "the application private key is neither PKCS#8 nor PKCS#1 RSA of 2048 to 4096 bits (PEM, or one line of base64): {0}; \
         export it again from Alipay's key tool"
    )]
    PrivateKey(&'static str),
    /// Alipay's public key could not be read.
    #[error(
        "Alipay's public key is not an RSA public key (PEM, or one line of base64): {0}; copy the Alipay public key, \
         not the application's own, from the open platform console"
    )]
    PublicKey(&'static str),
    /// ring would not sign.
    #[error("signing with the application private key failed; check that the key file is whole")]
    Signing,
}

/// The application's private key. Has no `Display`, and its `Debug` shows nothing of it.
pub struct AppKey {
    pair: KeyPair,
    random: SystemRandom,
}

impl std::fmt::Debug for AppKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AppKey(..)")
    }
}

impl AppKey {
    /// Reads PKCS#8 or PKCS#1, as PEM or as the single line of base64 that Alipay's key tool exports.
    pub fn from_text(text: &str) -> Result<Self, SignError> {
        let der = Zeroizing::new(unwrap_text(text).map_err(SignError::PrivateKey)?);
        let pair = KeyPair::from_pkcs8(&der)
            .or_else(|_| KeyPair::from_der(&der))
            .map_err(|_| SignError::PrivateKey("it did not parse as an RSA private key"))?;
        Ok(Self { pair, random: SystemRandom::new() })
    }

    /// Signs a text, base64 result.
    pub fn sign(&self, text: &str) -> Result<String, SignError> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &self.random, text.as_bytes(), &mut signature)
            .map_err(|_| SignError::Signing)?;
        Ok(STANDARD.encode(signature))
    }
}

/// The key Alipay signs its answers with.
#[derive(Clone)]
pub struct PlatformKey(Vec<u8>);

impl std::fmt::Debug for PlatformKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PlatformKey(..)")
    }
}

impl PlatformKey {
    /// Reads a SubjectPublicKeyInfo (`BEGIN PUBLIC KEY`), as PEM or as one line of base64.
    pub fn from_text(text: &str) -> Result<Self, SignError> {
        let spki = unwrap_text(text).map_err(SignError::PublicKey)?;
        let key = der::rsa_key_of_spki(&spki)
            .ok_or(SignError::PublicKey("it did not parse as SubjectPublicKeyInfo with an RSA key"))?;
        let bits =
            der::rsa_modulus_bits(key).ok_or(SignError::PublicKey("the RSA key inside is malformed"))?;
        if bits < 2048 {
            return Err(SignError::PublicKey("it has fewer than 2048 bits, RSA2 needs 2048"));
        }
        Ok(Self(key.to_vec()))
    }

    /// Whether `signature` (base64) is Alipay's over exactly these bytes.
    pub fn verifies(&self, bytes: &[u8], signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else { return false };
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.0).verify(bytes, &signature).is_ok()
    }
}

/// The text a request is signed over.
pub fn sign_string(params: &Params) -> Zeroizing<String> {
    let size = params.iter().map(|(k, v)| k.len() + v.len() + 2).sum();
    let mut text = Zeroizing::new(String::with_capacity(size));
    for (name, value) in params.iter().filter(|(name, value)| **name != "sign" && !value.is_empty()) {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    text
}

/// The form body: the same parameters with their `sign`, percent-encoded (RFC 3986 unreserved kept as is).
pub fn form_body(params: &Params) -> Zeroizing<Vec<u8>> {
    // Worst case three bytes for one: the buffer must not grow, a moved buffer would leave a copy behind.
    let size = params.iter().map(|(k, v)| k.len() + v.len() * 3 + 2).sum();
    let mut body = Zeroizing::new(Vec::with_capacity(size));
    for (name, value) in params {
        if !body.is_empty() {
            body.push(b'&');
        }
        body.extend_from_slice(name.as_bytes());
        body.push(b'=');
        percent_encode(value.as_bytes(), &mut body);
    }
    body
}

fn percent_encode(bytes: &[u8], into: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            into.push(byte);
        } else {
            into.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

/// DER out of PEM with one section, or out of bare base64.
fn unwrap_text(text: &str) -> Result<Vec<u8>, &'static str> {
    let mut bare = Zeroizing::new(String::with_capacity(text.len()));
    let mut sections = 0;
    for line in text.lines().map(str::trim) {
        if line.starts_with("-----BEGIN ") {
            sections += 1;
        } else if !line.starts_with("-----") {
            bare.push_str(line);
        }
    }
    if sections > 1 {
        return Err("the text has more than one PEM section");
    }
    if bare.is_empty() {
        return Err("the text is empty");
    }
    STANDARD.decode(bare.as_bytes()).map_err(|_| "the text is not base64")
}
