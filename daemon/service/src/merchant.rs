//! What a merchant's number and password are compared with: read when it is needed, and forgotten after.

use till_password::{Known, PasswordError};

use crate::config::{ChannelConfig, Config};
use crate::secrets::{self, SecretError};

/// Why a channel cannot know its merchant.
#[derive(Debug, thiserror::Error)]
pub enum MerchantError {
    /// The secret cannot be had.
    #[error("merchant-auth.password-hash: {0}")]
    Secret(#[from] SecretError),
    /// It is no hash.
    #[error("merchant-auth.password-hash, secret {name:?}: {error}")]
    Hash {
        /// Name of the secret.
        name: String,
        /// Why.
        error: PasswordError,
    },
}

/// Of a channel; None: it asks for nobody. Reads a file.
pub fn known(config: &Config, channel: &ChannelConfig) -> Result<Option<Known>, MerchantError> {
    let Some(merchant) = &channel.merchant else { return Ok(None) };
    let name = &merchant.password_hash;
    let line = secrets::read(config.secrets_dir.as_deref(), name)?;
    Known::new(&merchant.number, line.expose())
        .map(Some)
        .map_err(|error| MerchantError::Hash { name: name.clone(), error })
}
