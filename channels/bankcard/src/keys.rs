//! Working keys: unwrapped from a sign-in reply, checked, held in wiped memory, never printed (channels.md §1.4).
//!
//! Either every key of the reply is right and all are installed, or none is.

use crate::dialect::{Cipher, Dialect, KeyName, KeyPart};
use crate::link_key::LinkKey;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Why the keys of a sign-in were not installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The master key text is not 16 or (DES) 24 bytes of hexadecimal.
    #[error(
        "the terminal master key must be 32 hexadecimal digits (triple DES: 32 or 48); have it injected again"
    )]
    MasterKey,
    /// The master key does not have the configured check value.
    #[error(
        "the terminal master key does not match `tmk_check`; the wrong key was injected for this terminal"
    )]
    MasterCheck,
    /// The reply has no keys, or not as many bytes as the dialect's form.
    #[error("field 62 has {got} bytes of keys, the dialect's form has {want}; check request.sign_in_code")]
    Length {
        /// Bytes in the reply.
        got: usize,
        /// Bytes of the form.
        want: usize,
    },
    /// A check value differs: wrong master key, or a damaged reply.
    #[error("the check value of the {0:?} is wrong; no key was installed. Is the right master key injected?")]
    CheckValue(KeyName),
}

/// The terminal master key, injected offline.
#[derive(Clone)]
pub struct MasterKey(LinkKey);

impl MasterKey {
    /// Reads a triple DES key: [`MasterKey::read`] with that cipher.
    pub fn from_hex(text: &str, check: Option<&str>) -> Result<Self, KeyError> {
        Self::read(Cipher::Des, text, check)
    }

    /// Reads the key from hexadecimal text (32 digits, triple DES also 48, blanks around it ignored). `check` is its check
    /// value, as many hexadecimal digits as the injection sheet gives (usually 6 or 8).
    pub fn read(cipher: Cipher, text: &str, check: Option<&str>) -> Result<Self, KeyError> {
        let bytes = Zeroizing::new(hex::decode(text.trim()).map_err(|_| KeyError::MasterKey)?);
        if bytes.len() == 8 {
            return Err(KeyError::MasterKey);
        }
        let key = LinkKey::new(cipher, &bytes).ok_or(KeyError::MasterKey)?;
        if let Some(check) = check {
            let check = hex::decode(check.trim()).map_err(|_| KeyError::MasterCheck)?;
            let full = key.check_value();
            let right =
                full.get(..check.len()).is_some_and(|own| !check.is_empty() && bool::from(own.ct_eq(&check)));
            if !right {
                return Err(KeyError::MasterCheck);
            }
        }
        Ok(Self(key))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("MasterKey")
    }
}

/// The keys of one sign-in. Dropping them wipes them.
#[derive(Clone)]
pub struct WorkingKeys {
    mak: LinkKey,
    pik: Option<LinkKey>,
    tdk: Option<LinkKey>,
}

impl WorkingKeys {
    /// Unwraps and checks field 62 of a sign-in reply in the form of sign-in code `code`.
    pub fn unwrap(
        dialect: &Dialect,
        code: &str,
        master: &MasterKey,
        field62: &[u8],
    ) -> Result<Self, KeyError> {
        let no_form = KeyError::Length { got: field62.len(), want: 0 };
        let form = dialect.sign_in_form(code).ok_or(no_form)?;
        let wrong_length = KeyError::Length { got: field62.len(), want: form.length() };
        // The master key was read for the dialect's own cipher; a form of another one cannot be under it.
        if field62.len() != form.length() || master.0.cipher() != form.cipher {
            return Err(wrong_length);
        }
        let (mut mak, mut pik, mut tdk) = (None, None, None);
        let mut rest = field62.get(form.skip..).ok_or(wrong_length)?;
        for part in &form.parts {
            let (wrapped, after) = rest.split_at_checked(part.bytes).ok_or(wrong_length)?;
            let (check, after) = after.split_at_checked(part.check).ok_or(wrong_length)?;
            rest = after;
            let key = Some(one(part, master, wrapped, check)?);
            match part.key {
                KeyName::Mak => mak = key,
                KeyName::Pik => pik = key,
                KeyName::Tdk => tdk = key,
            }
        }
        Ok(Self { mak: mak.ok_or(wrong_length)?, pik, tdk })
    }

    /// The key for field 64.
    pub fn mak(&self) -> &LinkKey {
        &self.mak
    }

    /// The key a PIN pad enciphers with, where the acquirer sent one.
    pub fn pik(&self) -> Option<&LinkKey> {
        self.pik.as_ref()
    }

    /// The key for track data, where the acquirer sent one.
    pub fn tdk(&self) -> Option<&LinkKey> {
        self.tdk.as_ref()
    }
}

impl fmt::Debug for WorkingKeys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("WorkingKeys")
    }
}

fn one(part: &KeyPart, master: &MasterKey, wrapped: &[u8], check: &[u8]) -> Result<LinkKey, KeyError> {
    let (cipher, wrong) = (master.0.cipher(), KeyError::CheckValue(part.key));
    // A DES MAK of 16 bytes with a clear zero second half is a single-length key in a double-length slot.
    let wrapped = match wrapped.split_at_checked(8) {
        Some((half, zeros)) if cipher == Cipher::Des && part.key == KeyName::Mak && zeros == [0; 8] => half,
        _ => wrapped,
    };
    let clear = master.0.unwrap_ecb(wrapped).ok_or(wrong)?;
    let key = LinkKey::new(cipher, &clear).ok_or(wrong)?;
    let own = key.check_value();
    let right = own.get(..check.len()).is_some_and(|own| bool::from(own.ct_eq(check)));
    if right { Ok(key) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::CUP;
    use crate::sm4::Sm4Key;
    use crate::tdes::DesKey;

    const MASTER: &str = "0123456789ABCDEFFEDCBA9876543210";

    fn wrap(key: &LinkKey, bytes: &str) -> Vec<u8> {
        let clear = hex::decode(bytes).unwrap();
        match key {
            LinkKey::Des(key) => {
                clear.chunks_exact(8).flat_map(|half| key.encrypt(half.try_into().unwrap())).collect()
            }
            LinkKey::Sm4(key) => key.encrypt(clear.try_into().unwrap()).to_vec(),
        }
    }

    fn block(master: &LinkKey, keys: &[(&str, bool)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (bytes, pad) in keys {
            out.extend(wrap(master, bytes));
            if *pad {
                out.extend([0; 8]);
            }
            let clear = LinkKey::new(master.cipher(), &hex::decode(bytes).unwrap()).unwrap();
            out.extend(&clear.check_value()[..4]);
        }
        out
    }

    #[test]
    fn all_forms_open_and_a_zero_half_makes_a_single_length_mak() {
        let dialect = Dialect::parse(CUP).unwrap();
        let master = MasterKey::from_hex(MASTER, None).unwrap();
        let pik = "5BA4D213F76E8C90E1C2A4B6D8F03579";
        let (single, double) = ("31A285E0C4D31F6B", "31A285E0C4D31F6BF87C194602BD5EA3");
        let keys =
            WorkingKeys::unwrap(&dialect, "003", &master, &block(&master.0, &[(pik, false), (single, true)]));
        assert_eq!(keys.unwrap().mak().length(), 8);
        let keys = WorkingKeys::unwrap(
            &dialect,
            "003",
            &master,
            &block(&master.0, &[(pik, false), (double, false)]),
        );
        assert_eq!(keys.unwrap().mak().length(), 16);
        let reply = block(&master.0, &[(pik, false), (double, false), (pik, false)]);
        let keys = WorkingKeys::unwrap(&dialect, "004", &master, &reply).unwrap();
        assert!(keys.tdk().is_some() && keys.pik().is_some());
        let reply = block(&master.0, &[("5BA4D213F76E8C90", false), (single, false)]);
        assert_eq!(WorkingKeys::unwrap(&dialect, "001", &master, &reply).unwrap().mak().length(), 8);
    }

    const SM4: &str = include_str!("../tests/dialects/sm4.toml");

    #[test]
    fn an_sm4_form_opens_under_an_sm4_master_key_and_under_no_other() {
        let dialect = Dialect::overlaid(SM4).unwrap();
        let master = MasterKey::read(Cipher::Sm4, MASTER, None).unwrap();
        let (pik, mak) = ("5BA4D213F76E8C90E1C2A4B6D8F03579", "31A285E0C4D31F6BF87C194602BD5EA3");
        let reply = block(&master.0, &[(pik, false), (mak, false)]);
        let keys = WorkingKeys::unwrap(&dialect, "005", &master, &reply).unwrap();
        let own = Sm4Key::new(&hex::decode(mak).unwrap()).unwrap();
        assert!(*keys.mak() == LinkKey::from(own) && keys.pik().is_some());
        // The same digits as another cipher's key are another key.
        let des = MasterKey::from_hex(MASTER, None).unwrap();
        assert!(WorkingKeys::unwrap(&dialect, "005", &des, &reply).is_err());
        assert!(WorkingKeys::unwrap(&dialect, "003", &master, &reply).is_err());
        let single = DesKey::new(&hex::decode(MASTER).unwrap()).unwrap();
        let check = hex::encode(&single.check_value()[..4]);
        assert_eq!(
            MasterKey::read(Cipher::Sm4, MASTER, Some(&check)).unwrap_err(),
            KeyError::MasterCheck,
            "a sheet of the wrong cipher"
        );
        let long = MASTER.repeat(2);
        assert_eq!(MasterKey::read(Cipher::Sm4, &long[..48], None).unwrap_err(), KeyError::MasterKey);
    }

    /// No clear zero half here: a key whose cipher happens to end in zeros is a whole key.
    #[test]
    fn an_sm4_key_that_ends_in_zeros_under_its_master_key_is_not_cut() {
        let dialect = Dialect::overlaid(SM4).unwrap();
        let master = MasterKey::read(Cipher::Sm4, MASTER, None).unwrap();
        let wrapped = [[7; 8], [0; 8]].concat();
        let mak = LinkKey::new(Cipher::Sm4, &master.0.unwrap_ecb(&wrapped).unwrap()).unwrap();
        let mut reply = block(&master.0, &[("5BA4D213F76E8C90E1C2A4B6D8F03579", false)]);
        reply.extend([&wrapped[..], &mak.check_value()[..4]].concat());
        assert!(*WorkingKeys::unwrap(&dialect, "005", &master, &reply).unwrap().mak() == mak);
    }

    #[test]
    fn c11_one_wrong_bit_anywhere_installs_no_sm4_key() {
        let dialect = Dialect::overlaid(SM4).unwrap();
        let master = MasterKey::read(Cipher::Sm4, MASTER, None).unwrap();
        let keys = [("5BA4D213F76E8C90E1C2A4B6D8F03579", false), ("31A285E0C4D31F6BF87C194602BD5EA3", false)];
        nothing_bent_opens(&dialect, "005", &master, &block(&master.0, &keys));
    }

    #[test]
    fn c11_one_wrong_bit_anywhere_installs_nothing() {
        let dialect = Dialect::parse(CUP).unwrap();
        let master = MasterKey::from_hex(MASTER, None).unwrap();
        let good =
            block(&master.0, &[("5BA4D213F76E8C90E1C2A4B6D8F03579", false), ("31A285E0C4D31F6B", true)]);
        nothing_bent_opens(&dialect, "003", &master, &good);
        assert!(WorkingKeys::unwrap(&dialect, "001", &master, &good).is_err());
        assert!(WorkingKeys::unwrap(&dialect, "999", &master, &good).is_err());
    }

    fn nothing_bent_opens(dialect: &Dialect, code: &str, master: &MasterKey, good: &[u8]) {
        assert!(WorkingKeys::unwrap(dialect, code, master, good).is_ok());
        for bit in 0..good.len() * 8 {
            let mut bent = good.to_vec();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(WorkingKeys::unwrap(dialect, code, master, &bent).is_err(), "bit {bit}");
        }
        for cut in 0..good.len() {
            assert!(WorkingKeys::unwrap(dialect, code, master, &good[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_master_key_that_is_not_the_injected_one_is_noticed_before_the_first_sign_in() {
        let check = hex::encode(&DesKey::new(&hex::decode(MASTER).unwrap()).unwrap().check_value()[..3]);
        assert!(MasterKey::from_hex(MASTER, Some(&check)).is_ok());
        assert_eq!(MasterKey::from_hex(MASTER, Some("000000")).unwrap_err(), KeyError::MasterCheck);
        assert_eq!(MasterKey::from_hex(MASTER, Some("")).unwrap_err(), KeyError::MasterCheck);
        for bad in ["", "0123456789ABCDEF", "zz", "0123456789ABCDEFFEDCBA98765432"] {
            assert_eq!(MasterKey::from_hex(bad, None).unwrap_err(), KeyError::MasterKey, "{bad}");
        }
    }

    #[test]
    fn keys_print_as_their_names_only() {
        let dialect = Dialect::parse(CUP).unwrap();
        let master = MasterKey::from_hex(MASTER, None).unwrap();
        let reply = block(&master.0, &[("5BA4D213F76E8C90", false), ("31A285E0C4D31F6B", false)]);
        let keys = WorkingKeys::unwrap(&dialect, "001", &master, &reply).unwrap();
        assert_eq!(format!("{master:?} {keys:?}"), "MasterKey WorkingKeys");
    }
}
