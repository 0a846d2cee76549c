//! RSA2: how requests are signed and answers verified (channels §2.1).
//!
//! The signed text is [`till_wallet::form::sign_string`] of every parameter except `sign`; the signature is
//! RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2), base64. The keys themselves are [`till_wallet::keys`].

pub use till_wallet::form::{Params, form_body};
pub use till_wallet::keys::{PlatformKey, SignError, SigningKey as AppKey};
use zeroize::Zeroizing;

/// The text a request is signed over.
pub fn sign_string(params: &Params) -> Zeroizing<String> {
    till_wallet::form::sign_string(params, "sign")
}
