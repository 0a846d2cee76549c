//! The sealed body of a frame: what a record says, readable with its key only.
//!
//! Each epoch has a secret of 32 random bytes, kept outside the journal ([`RecordKeys`](crate::RecordKeys)). Of it and of
//! the record's seq comes a key of the record's own, so that one record can be shown to somebody without the next one.
//!
//! | bytes | what |
//! |---|---|
//! | 24 | mark: keyed BLAKE3 of the header and the clear text, its first 24 bytes |
//! | m+16 | XChaCha20-Poly1305 of the clear text, the mark as nonce, the header (its CRC zero) as associated data |
//!
//! The clear text is the payload, one byte 0x80, and zeros up to a multiple of 16: the length of an amount does not show.
//!
//! * **No nonce is ever used for two texts.** A seq alone would be one: after a torn commit, and after a restore, the same
//!   seq is written again with another text, and the old bytes may still lie on the medium. The mark is made of the text
//!   itself (as in RFC 8452, SIV), and the sealing key of the mark: equal only for equal records.
//! * **A record opens in one way only.** Poly1305 alone would let who makes the keys craft a body that opens as two texts;
//!   the mark is computed again when it is opened, and binds the text.
//!
//! ```text
//! epoch secret s ─┬─ derive_key("org.tilld journal v2 record mark", s) ─ keyed_hash(·, seq)        = mark key
//!                 └─ derive_key("org.tilld journal v2 record seal", s) ─ keyed_hash(·, seq ‖ mark) = seal key
//! ```

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::frame::{FrameHead, HEADER_LEN, KIND_CHECKPOINT, total_len};
use crate::rotation::KIND_KEY_LINK;

const MARK: usize = 24;
const TAG: usize = 16;
const PAD: usize = 16;
const PAD_BEGIN: u8 = 0x80;

/// Bytes that a sealed body is longer than its clear text (padding not counted).
pub(crate) const OVERHEAD: usize = MARK + TAG;

/// Largest payload whose sealed body has at most so many bytes.
pub(crate) const fn room_for(body: usize) -> usize {
    (body - OVERHEAD) / PAD * PAD - 1
}

/// Bytes of the sealed body of so much payload.
pub(crate) const fn sealed_len(payload: usize) -> usize {
    (payload + 1).next_multiple_of(PAD) + OVERHEAD
}

/// Whether records of a kind are sealed. The two that are not hold nothing but places and hashes of the chain itself,
/// and must be read by who has no key of the records.
pub(crate) const fn is_sealed_kind(kind: u16) -> bool {
    kind != KIND_CHECKPOINT && kind != KIND_KEY_LINK
}

/// What an epoch's records are sealed with.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct EpochKeys {
    mark: [u8; 32],
    seal: [u8; 32],
}

/// What opens one sealed record and no other. May be shown to whom the record is shown.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct RecordKey {
    mark: [u8; 32],
    seal: [u8; 32],
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordKey(..)")
    }
}

impl EpochKeys {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self {
            mark: blake3::derive_key("org.tilld journal v2 record mark", secret),
            seal: blake3::derive_key("org.tilld journal v2 record seal", secret),
        }
    }

    /// The sealed body; `None`: the cipher refused.
    pub(crate) fn seal(&self, head: &FrameHead, payload: &[u8]) -> Option<Vec<u8>> {
        let header = head.bytes(total_len(sealed_len(payload.len())));
        let text = padded(payload);
        let mark_key = self.mark_key(head.seq);
        let mark = mark_of(&mark_key, &header, &text);
        encrypt(&self.seal_key(head.seq, &mark), &mark, &header, &text)
    }

    /// The key of the record with this body.
    pub(crate) fn of(&self, seq: u64, body: &[u8]) -> Option<RecordKey> {
        let mark = body.first_chunk::<MARK>()?;
        Some(RecordKey { mark: *self.mark_key(seq), seal: *self.seal_key(seq, mark) })
    }

    fn mark_key(&self, seq: u64) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(*blake3::keyed_hash(&self.mark, &seq.to_le_bytes()).as_bytes())
    }

    fn seal_key(&self, seq: u64, mark: &[u8; MARK]) -> Zeroizing<[u8; 32]> {
        let mut what = [0; 8 + MARK];
        what[..8].copy_from_slice(&seq.to_le_bytes());
        what[8..].copy_from_slice(mark);
        Zeroizing::new(*blake3::keyed_hash(&self.seal, &what).as_bytes())
    }
}

impl RecordKey {
    /// Both halves: for the mark, then for the seal.
    pub fn to_bytes(&self) -> [u8; 64] {
        let mut out = [0; 64];
        out[..32].copy_from_slice(&self.mark);
        out[32..].copy_from_slice(&self.seal);
        out
    }

    pub(crate) fn from_bytes(bytes: &[u8; 64]) -> Self {
        let mut key = Self { mark: [0; 32], seal: [0; 32] };
        key.mark.copy_from_slice(&bytes[..32]);
        key.seal.copy_from_slice(&bytes[32..]);
        key
    }

    /// The payload; `None` when this is another record's key, or anything was altered.
    pub(crate) fn open(&self, head: &FrameHead, body: &[u8]) -> Option<Vec<u8>> {
        let header = head.bytes(total_len(body.len()));
        let (mark, sealed) = body.split_first_chunk::<MARK>()?;
        let mut text = XChaCha20Poly1305::new((&self.seal).into())
            .decrypt(&XNonce::from(*mark), Payload { msg: sealed, aad: &header })
            .ok()?;
        if mark_of(&self.mark, &header, &text) != *mark {
            return None;
        }
        let end = text.iter().rposition(|b| *b != 0).filter(|at| text[*at] == PAD_BEGIN)?;
        text.truncate(end);
        Some(text)
    }

    /// The body that this key was made with, from the payload that it gave.
    pub(crate) fn body_of(&self, head: &FrameHead, payload: &[u8]) -> Option<Vec<u8>> {
        let header = head.bytes(total_len(sealed_len(payload.len())));
        let text = padded(payload);
        encrypt(&self.seal, &mark_of(&self.mark, &header, &text), &header, &text)
    }
}

fn padded(payload: &[u8]) -> Zeroizing<Vec<u8>> {
    let len = (payload.len() + 1).next_multiple_of(PAD);
    let mut text = Zeroizing::new(Vec::with_capacity(len));
    text.extend_from_slice(payload);
    text.push(PAD_BEGIN);
    text.resize(len, 0);
    text
}

fn mark_of(key: &[u8; 32], header: &[u8; HEADER_LEN], text: &[u8]) -> [u8; MARK] {
    let full = blake3::Hasher::new_keyed(key).update(header).update(text).finalize();
    let mut mark = [0; MARK];
    mark.copy_from_slice(&full.as_bytes()[..MARK]);
    mark
}

fn encrypt(key: &[u8; 32], mark: &[u8; MARK], header: &[u8; HEADER_LEN], text: &[u8]) -> Option<Vec<u8>> {
    let sealed = XChaCha20Poly1305::new(key.into())
        .encrypt(&XNonce::from(*mark), Payload { msg: text, aad: header })
        .ok()?;
    let mut out = Vec::with_capacity(MARK + sealed.len());
    out.extend_from_slice(mark);
    out.extend_from_slice(&sealed);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;

    fn head(seq: u64) -> FrameHead {
        FrameHead {
            sealed: true,
            seq,
            epoch: 1,
            kind: 7,
            group_left: 0,
            commit_index: 0,
            boot_id: [1; 16],
            stamp: Stamp { wall_ms: 1, boottime_ms: 1, clock_ok: true },
            subject: [2; 16],
            prev_hash: [3; 32],
        }
    }

    #[test]
    fn s71_a_body_opens_with_its_own_key_at_its_own_place_only_and_no_altered_byte_passes() {
        let keys = EpochKeys::new(&[9; 32]);
        for payload in [&b""[..], b"128.50", &[0; 16], &[0x80; 15], &[7; 300]] {
            let body = keys.seal(&head(5), payload).unwrap();
            assert_eq!(body.len(), sealed_len(payload.len()));
            let key = keys.of(5, &body).unwrap();
            assert_eq!(key.open(&head(5), &body).as_deref(), Some(payload));
            assert_eq!(key.body_of(&head(5), payload), Some(body.clone()));
            assert_eq!(RecordKey::from_bytes(&key.to_bytes()), key);
            for at in 0..body.len() {
                let mut bad = body.clone();
                bad[at] ^= 1;
                assert_eq!(key.open(&head(5), &bad), None, "byte {at} altered unseen");
                assert_eq!(keys.of(5, &bad).unwrap().open(&head(5), &bad), None, "byte {at} altered unseen");
                assert_eq!(key.open(&head(5), &body[..at]), None);
            }
            let another = keys.seal(&head(6), payload).unwrap();
            assert_eq!(key.open(&head(6), &another), None, "one record's key opens another");
            assert_eq!(
                key.open(&FrameHead { subject: [9; 16], ..head(5) }, &body),
                None,
                "moved to another payment"
            );
            let other = EpochKeys::new(&[8; 32]);
            assert_eq!(other.of(5, &body).unwrap().open(&head(5), &body), None, "another epoch's key");
        }
    }

    #[test]
    fn s71_the_same_place_written_twice_never_uses_one_key_stream_for_two_texts() {
        // As after a torn commit, or a restore of a backup.
        let keys = EpochKeys::new(&[9; 32]);
        let (one, two) = ([0x11; 64], [0x22; 64]);
        let (a, b) = (keys.seal(&head(5), &one).unwrap(), keys.seal(&head(5), &two).unwrap());
        let stream = |body: &[u8], text: &[u8]| -> Vec<u8> {
            body[MARK..].iter().zip(text).map(|(c, p)| c ^ p).collect()
        };
        assert_ne!(stream(&a, &one), stream(&b, &two), "the difference of the two texts is on the disk");
        assert!(keys.of(5, &a).unwrap().open(&head(5), &b).is_none(), "shown one, the other opens too");
        assert_eq!(a, keys.seal(&head(5), &one).unwrap());
    }

    #[test]
    fn s71_the_length_of_an_amount_does_not_show() {
        let keys = EpochKeys::new(&[9; 32]);
        let len = |payload: &[u8]| keys.seal(&head(5), payload).unwrap().len();
        assert_eq!(len(b"1"), len(b"1234567890"));
        assert_eq!(room_for(sealed_len(15)), 15);
        assert_eq!(room_for(sealed_len(15) + 15), 15);
    }
}
