//! Maintenance that is announced while the till runs: the folder of files, and the key of signed messages.

pub(crate) mod feed;

use std::path::Path;

use till_evidence::PublicKey;

/// The key whose messages count. Read when it is needed.
pub fn key(path: &Path) -> Result<PublicKey, String> {
    let shown = |e: String| format!("maintenance.public-key, {}: {e}", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| shown(e.to_string()))?;
    PublicKey::from_pem(&text).map_err(|_| {
        shown("no Ed25519 public key in PEM; `openssl pkey -in key.pem -pubout` writes one".into())
    })
}
