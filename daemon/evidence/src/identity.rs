//! The device's Ed25519 key (RFC 8032): the private half signs, the public half is exported once and kept by whoever may
//! have to check evidence.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

/// `SubjectPublicKeyInfo` of an Ed25519 key (RFC 8410 §4) up to the key's 32 bytes.
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// Why a key cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a public key file.
    #[error(
        "not an Ed25519 public key: give the file that `tillctl evidence key` wrote (PEM, BEGIN PUBLIC KEY)"
    )]
    NotAKey,
    /// The seed gives no key.
    #[error("the device's identity cannot be used: its seed gives no Ed25519 key")]
    Seed,
}

/// The private half.
pub struct Identity(Ed25519KeyPair);

impl Identity {
    /// From its 32 secret bytes.
    pub fn new(seed: &[u8; 32]) -> Result<Self, KeyError> {
        Ed25519KeyPair::from_seed_unchecked(seed).map(Self).map_err(|_| KeyError::Seed)
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        let mut out = [0; 32];
        // An Ed25519 public key has 32 bytes.
        out.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(out)
    }

    /// Signs.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.public().fingerprint())
    }
}

/// The public half.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// As a PEM file, which `openssl pkey -pubin` reads too.
    pub fn to_pem(self) -> String {
        format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode([&SPKI[..], &self.0].concat()))
    }

    /// From a PEM file.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let body =
            text.trim().strip_prefix(BEGIN).and_then(|t| t.strip_suffix(END)).ok_or(KeyError::NotAKey)?;
        let compact: String = body.split_whitespace().collect();
        let der = STANDARD.decode(compact).map_err(|_| KeyError::NotAKey)?;
        let key = der.strip_prefix(&SPKI[..]).ok_or(KeyError::NotAKey)?;
        key.try_into().map(Self).map_err(|_| KeyError::NotAKey)
    }

    /// For people to compare: the first 16 bytes of the key's BLAKE3, in groups.
    pub fn fingerprint(&self) -> String {
        let text = hex::encode(&blake3::hash(&self.0).as_bytes()[..16]);
        let groups: Vec<&str> = (0..8).map(|n| &text[n * 4..n * 4 + 4]).collect();
        groups.join("-")
    }

    /// Whether it is this key's signature over exactly these bytes.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_key_file_comes_back_and_only_its_key_verifies() {
        let one = Identity::new(&[1; 32]).unwrap();
        let pem = one.public().to_pem();
        assert_eq!(PublicKey::from_pem(&pem), Ok(one.public()));
        assert_eq!(PublicKey::from_pem(&pem.replace('\n', "\r\n")), Ok(one.public()));
        for bad in ["", "x", BEGIN, &pem[..60], &pem.replace("MCow", "MCox")] {
            assert_eq!(PublicKey::from_pem(bad), Err(KeyError::NotAKey), "{bad:?}");
        }
        let signature = one.sign(b"message");
        assert!(one.public().verifies(b"message", &signature));
        assert!(!one.public().verifies(b"massage", &signature));
        assert!(!Identity::new(&[2; 32]).unwrap().public().verifies(b"message", &signature));
    }

    #[test]
    fn the_signature_is_that_of_rfc_8032() {
        // RFC 8032 §7.1, test 1: an empty message.
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let mut bytes = [0; 32];
        hex::decode_to_slice(seed, &mut bytes).unwrap();
        let identity = Identity::new(&bytes).unwrap();
        assert_eq!(
            hex::encode(identity.public().0),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
        assert_eq!(
            hex::encode(identity.sign(b"")),
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        );
    }
}
