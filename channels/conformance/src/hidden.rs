//! Looks for what must not be seen, in the forms it could be seen in (channels.md C1, C2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The forms of a secret: as it is, hexadecimal, packed decimal, its nibbles swapped, UTF-16, base64 at each offset.
pub fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    if secret.len() < 6 {
        return Vec::new(); // a key that is not there; anything so short is everywhere
    }
    let mut forms = vec![secret.to_vec(), hex::encode(secret).into(), hex::encode_upper(secret).into()];
    forms.push(secret.iter().flat_map(|byte| [*byte, 0]).collect());
    forms.push(format!("{secret:?}").trim_matches(['[', ']']).into());
    let digits = secret.iter().all(u8::is_ascii_digit);
    if let (true, Ok(packed)) = (digits, hex::decode(secret)) {
        forms.push(packed.iter().map(|byte| byte.rotate_left(4)).collect());
        forms.push(packed);
    }
    for shift in 0..3_usize {
        let padded = [&b"\0\0"[..shift], secret].concat();
        let text = STANDARD.encode(&padded[..padded.len() - padded.len() % 3]);
        // The first group holds the padding; it is no form of the secret alone.
        forms.push(text.as_bytes()[if shift == 0 { 0 } else { 4 }..].to_vec());
    }
    forms.retain(|form| form.len() >= 6);
    forms
}

/// Whether the secret is in there in any form.
pub fn shows(text: &[u8], secret: &[u8]) -> bool {
    forms(secret).iter().any(|form| text.windows(form.len()).any(|part| part == form.as_slice()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_every_form() {
        let pan = b"6200000000000005";
        for told in [
            "pan=6200000000000005".to_owned(),
            format!("{:?}", &pan[..]),
            hex::encode(pan),
            STANDARD.encode(b"a6200000000000005"),
            STANDARD.encode(b"ab6200000000000005z"),
            String::from_utf8_lossy(&pan.iter().flat_map(|b| [*b, 0]).collect::<Vec<_>>()).into_owned(),
        ] {
            assert!(shows(told.as_bytes(), pan), "{told}");
        }
        assert!(shows(&[0x62, 0, 0, 0, 0, 0, 0, 5], pan) && shows(&[0x26, 0, 0, 0, 0, 0, 0, 0x50], pan));
        assert!(!shows(b"620000******0005", pan));
    }
}
