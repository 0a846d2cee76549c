//! What is kept where a value itself must not be.

use aws_lc_rs::digest::{SHA256, digest};

/// A SHA-256 digest: what is kept where the value itself must not be.
pub(crate) type Digest = [u8; 32];

/// The digest of a text.
pub(crate) fn digest_of(text: &str) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    out
}
