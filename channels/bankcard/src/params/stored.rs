//! What is in force, as it lies in the store of the channel: the parts of a download as they came, whose they are, and a
//! SHA-1 over all of it against damage. They are read like a download: what a host could not send is not in force.

use super::{Content, Download};
use crate::messages::Terminal;
use sha1::{Digest, Sha1};
use till_plugin::Currency;

/// First bytes: name and format.
const MAGIC: &[u8; 8] = b"tilldl1\n";

/// Why something stored is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    /// Bytes were changed or are missing.
    #[error("it is damaged")]
    Damaged,
    /// Of another terminal, merchant or acquirer.
    #[error("it was downloaded for another terminal, merchant or acquirer")]
    Another,
    /// It cannot be read as a download (any more).
    #[error("{0}")]
    Content(String),
}

/// A stored download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// When it was downloaded, wall clock, Unix ms.
    pub wall_ms: i64,
    /// What it says.
    pub content: Content,
}

/// Whose it is.
fn owner(terminal: &Terminal, address: &str) -> Vec<u8> {
    [terminal.id.as_str(), &terminal.merchant, address].map(str::as_bytes).join(&b'\n')
}

/// Writes one.
pub fn write(what: Download, wall_ms: i64, terminal: &Terminal, address: &str, parts: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(wall_ms.to_be_bytes());
    let kind = what.as_str().as_bytes().to_vec();
    for part in [&kind, &owner(terminal, address)].into_iter().chain(parts) {
        // A part came in field 62, which has no more than three digits of length.
        bytes.extend(u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend(part);
    }
    let sum = Sha1::digest(&bytes);
    bytes.extend(sum);
    bytes
}

/// Reads one.
pub fn read(
    what: Download,
    terminal: &Terminal,
    address: &str,
    currency: Currency,
    bytes: &[u8],
) -> Result<Stored, StoredError> {
    let (body, sum) = bytes.split_last_chunk::<20>().ok_or(StoredError::Damaged)?;
    if Sha1::digest(body).as_slice() != sum {
        return Err(StoredError::Damaged);
    }
    let body = body.strip_prefix(MAGIC).ok_or(StoredError::Damaged)?;
    let (wall_ms, mut rest) = body.split_first_chunk::<8>().ok_or(StoredError::Damaged)?;
    let mut parts = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let (part, next) =
            after.split_at_checked(u16::from_be_bytes(*length).into()).ok_or(StoredError::Damaged)?;
        parts.push(part.to_vec());
        rest = next;
    }
    let [kind, whose, parts @ ..] = parts.as_slice() else { return Err(StoredError::Damaged) };
    if !rest.is_empty() || kind != what.as_str().as_bytes() {
        return Err(StoredError::Damaged);
    }
    if *whose != owner(terminal, address) {
        return Err(StoredError::Another);
    }
    let content = Content::read(what, parts, currency).map_err(StoredError::Content)?;
    Ok(Stored { wall_ms: i64::from_be_bytes(*wall_ms), content })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal(id: &str) -> Terminal {
        Terminal { id: id.into(), merchant: "123456789012345".into() }
    }

    const LIMITS: Download = Download::ContactlessLimits;

    fn written() -> Vec<u8> {
        let parts = [b"FF80540011FF8058012000000030000".to_vec()];
        write(LIMITS, 1_767_323_045_000, &terminal("12345678"), "host:1", &parts)
    }

    fn again(what: Download, id: &str, address: &str, bytes: &[u8]) -> Result<Stored, StoredError> {
        read(what, &terminal(id), address, Currency::CNY, bytes)
    }

    #[test]
    fn what_was_written_comes_back_for_the_same_terminal_only() {
        let stored = again(LIMITS, "12345678", "host:1", &written()).unwrap();
        assert_eq!(stored.wall_ms, 1_767_323_045_000);
        assert!(stored.content.told().contains("300.00"));
        assert_eq!(again(LIMITS, "12345679", "host:1", &written()), Err(StoredError::Another));
        assert_eq!(again(LIMITS, "12345678", "host:2", &written()), Err(StoredError::Another));
        assert_eq!(again(Download::Keys, "12345678", "host:1", &written()), Err(StoredError::Damaged));
    }

    #[test]
    fn one_changed_bit_or_a_missing_end_is_damage() {
        let good = written();
        for bit in 0..good.len() * 8 {
            let mut bent = good.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(again(LIMITS, "12345678", "host:1", &bent), Err(StoredError::Damaged), "bit {bit}");
        }
        for cut in 0..good.len() {
            assert_eq!(again(LIMITS, "12345678", "host:1", &good[..cut]), Err(StoredError::Damaged));
        }
    }

    #[test]
    fn what_no_host_may_send_is_not_in_force_from_the_store_either() {
        let parts = [b"FF80540011".to_vec()];
        let bytes = write(LIMITS, 0, &terminal("12345678"), "host:1", &parts);
        assert!(matches!(again(LIMITS, "12345678", "host:1", &bytes), Err(StoredError::Content(_))));
    }
}
