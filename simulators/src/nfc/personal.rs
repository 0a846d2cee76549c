//! Personalisation: what is written into the simulated cards, with certificates of the simulated scheme (EMV Book 2 §5, §6).

use sha1::{Digest, Sha1};

use super::keys::{CARD, ISSUER, Pair, SCHEME};

/// Number of the simulated scheme's key.
pub(super) const KEY_INDEX: u8 = 0xE1;

/// The simulated scheme's public key as a terminal is told it: `RID:INDEX:EXPONENT:MODULUS` in hexadecimal.
pub fn scheme_key(rid: &str) -> String {
    format!("{rid}:{KEY_INDEX:02X}:03:{}", hex::encode_upper(SCHEME.modulus()))
}

/// One data object with a length of one or two bytes.
pub(super) fn object(tag: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = tag.to_vec();
    match u8::try_from(value.len()) {
        Ok(length @ 0..=0x7F) => out.push(length),
        Ok(length) => out.extend_from_slice(&[0x81, length]),
        Err(_) => {
            out.push(0x82);
            out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    out.extend_from_slice(value);
    out
}

/// A template of objects.
pub(super) fn template(tag: &[u8], parts: &[Vec<u8>]) -> Vec<u8> {
    object(tag, &parts.concat())
}

/// Signs `6A … hash BC` over the block's inside and what stands beside it.
pub(super) fn signature(key: &Pair, inside: &[u8], beside: &[u8]) -> Vec<u8> {
    let hash = Sha1::digest([inside, beside].concat());
    let mut block = vec![0x6A];
    block.extend_from_slice(inside);
    block.extend_from_slice(&hash);
    block.push(0xBC);
    key.sign(&block)
}

/// A certificate: `head` (format to exponent length), as much of the key as fits, the rest beside it.
fn certificate(by: &Pair, head: &[u8], key: &Pair, beside: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let modulus = key.modulus();
    let room = by.length() - 22 - head.len();
    let (fits, rest) = modulus.split_at(room.min(modulus.len()));
    let mut inside = head.to_vec();
    inside.extend_from_slice(fits);
    inside.resize(head.len() + room, 0xBB);
    (signature(by, &inside, &[rest, &[3], beside].concat()), rest.to_vec())
}

/// Records of a card: number and dates (signed), then certificates.
pub(super) fn records(pan: &[u8], signed_extra: &[u8]) -> Vec<Vec<u8>> {
    let byte = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
    let number =
        [object(&[0x5A], pan), object(&[0x5F, 0x24], &[0x30, 0x12, 0x31]), object(&[0x5F, 0x34], &[1])]
            .concat();
    let mut issuer_head = vec![0x02];
    issuer_head.extend_from_slice(pan.get(..3).unwrap_or_default());
    issuer_head.push(0xFF);
    issuer_head.extend_from_slice(&[0x12, 0x35, 0, 0, 1, 1, 1, byte(ISSUER.length()), 1]);
    let (issuer, issuer_rest) = certificate(&SCHEME, &issuer_head, &ISSUER, &[]);
    let mut padded = pan.to_vec();
    padded.resize(10, 0xFF);
    let mut card_head = vec![0x04];
    card_head.extend_from_slice(&padded);
    card_head.extend_from_slice(&[0x12, 0x35, 0, 0, 2, 1, 1, byte(CARD.length()), 1]);
    let signed = [number.as_slice(), signed_extra].concat();
    let (card, card_rest) = certificate(&ISSUER, &card_head, &CARD, &signed);
    vec![
        object(&[0x70], &number),
        template(
            &[0x70],
            &[
                object(&[0x8F], &[KEY_INDEX]),
                object(&[0x90], &issuer),
                object(&[0x92], &issuer_rest),
                object(&[0x9F, 0x32], &[3]),
            ],
        ),
        template(
            &[0x70],
            &[
                object(&[0x9F, 0x46], &card),
                object(&[0x9F, 0x47], &[3]),
                object(&[0x9F, 0x48], &card_rest),
                object(&[0x9F, 0x4A], &[0x82]),
            ],
        ),
    ]
}
