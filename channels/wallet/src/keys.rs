//! RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2), base64: how the wallets sign requests and answers.
//!
//! Private operations are ring's: the `rsa` crate leaks timing there (RUSTSEC-2023-0071).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::der;

/// What can be wrong with a key, or with signing. No variant carries key material.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignError {
    /// The till's private key could not be read.
    #[error(
        "the private key is neither PKCS#8 nor PKCS#1 RSA of 2048 to 4096 bits (PEM, or one line of base64): {0}; \
         export it again from the wallet's key tool or console"
    )]
    PrivateKey(&'static str),
    /// The wallet's public key could not be read.
    #[error(
        "the wallet's public key is not an RSA public key (PEM, or one line of base64): {0}; copy the wallet's public key, \
         not the till's own, from the wallet's console"
    )]
    PublicKey(&'static str),
    /// ring would not sign.
    #[error("signing with the private key failed; check that the key file is whole")]
    Signing,
}

/// The till's private key. Has no `Display`, and its `Debug` shows nothing of it.
pub struct SigningKey {
    pair: KeyPair,
    random: SystemRandom,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl SigningKey {
    /// Reads PKCS#8 or PKCS#1, as PEM or as a single line of base64.
    pub fn from_text(text: &str) -> Result<Self, SignError> {
        let der = Zeroizing::new(unwrap_text(text).map_err(SignError::PrivateKey)?);
        let pair = KeyPair::from_pkcs8(&der)
            .or_else(|_| KeyPair::from_der(&der))
            .map_err(|_| SignError::PrivateKey("it did not parse as an RSA private key"))?;
        Ok(Self { pair, random: SystemRandom::new() })
    }

    /// Its public half.
    pub fn public(&self) -> PlatformKey {
        PlatformKey(self.pair.public_key().as_ref().to_vec())
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

/// The key a wallet signs its answers with.
#[derive(Clone, PartialEq, Eq)]
pub struct PlatformKey(Vec<u8>);

impl std::fmt::Debug for PlatformKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PlatformKey(..)")
    }
}

impl PlatformKey {
    /// Reads a SubjectPublicKeyInfo (`BEGIN PUBLIC KEY`), as PEM or as one line of base64.
    pub fn from_text(text: &str) -> Result<Self, SignError> {
        Self::from_spki(&unwrap_text(text).map_err(SignError::PublicKey)?)
    }

    /// Reads a SubjectPublicKeyInfo in DER.
    pub fn from_spki(spki: &[u8]) -> Result<Self, SignError> {
        let key = der::rsa_key_of_spki(spki)
            .ok_or(SignError::PublicKey("it did not parse as SubjectPublicKeyInfo with an RSA key"))?;
        let bits =
            der::rsa_modulus_bits(key).ok_or(SignError::PublicKey("the RSA key inside is malformed"))?;
        if bits < 2048 {
            return Err(SignError::PublicKey(
                "it has fewer than 2048 bits, the wallets' signatures need 2048",
            ));
        }
        Ok(Self(key.to_vec()))
    }

    /// Whether `signature` (base64) is the wallet's over exactly these bytes.
    pub fn verifies(&self, bytes: &[u8], signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else { return false };
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.0).verify(bytes, &signature).is_ok()
    }
}

/// DER out of PEM with one section, or out of bare base64.
pub(crate) fn unwrap_text(text: &str) -> Result<Vec<u8>, &'static str> {
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
