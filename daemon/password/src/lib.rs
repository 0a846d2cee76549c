//! Passwords of merchants: made into a salted memory-hard hash, and compared with one.
//!
//! Argon2id (RFC 9106) with 19 MiB, two passes and one lane, which is the first choice of OWASP's Password Storage Cheat
//! Sheet: as much memory as a small till can spare for the half second that it takes there. What a hash says of itself
//! is held to bounds, so that a file by mistake can neither be a toy nor take all memory.
//!
//! A hash is one line of text (PHC string format, `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`), and a secret all
//! the same: whoever has it may guess without being counted. Nothing here shows one, also not in an error.

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, PasswordHash, Version};
use subtle::ConstantTimeEq;
use till_plugin::Sensitive;

/// Memory of a new hash, KiB.
pub const MEMORY_KIB: u32 = 19 * 1024;
/// Passes of a new hash.
pub const PASSES: u32 = 2;
/// Longest password, bytes.
pub const MAX_PASSWORD: usize = 256;
/// Shortest password that is made into a hash, characters.
pub const MIN_PASSWORD: usize = 6;

/// Least memory that is taken for memory-hard (OWASP's smallest), KiB.
const LEAST_KIB: u32 = 7 * 1024;
/// Most memory and passes: what a till can spare while it sells.
const MOST_KIB: u32 = 128 * 1024;
const MOST_PASSES: u32 = 10;
const MOST_LANES: u32 = 4;
/// Longest output of a hash, bytes (PHC string format).
const MOST_OUTPUT: usize = 64;

/// Why a hash cannot be made or used. Says nothing of password or hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Not a hash.
    #[error("this is no argon2id hash: make one with `tillctl hash-password`, and store that one line")]
    NoHash,
    /// Too weak or too dear.
    #[error(
        "the hash's cost is out of bounds (argon2id, {LEAST_KIB} to {MOST_KIB} KiB, 1 to {MOST_PASSES} passes, 1 to \
         {MOST_LANES} lanes): make one with `tillctl hash-password`"
    )]
    Cost,
    /// A password that cannot be one.
    #[error("a password is {MIN_PASSWORD} characters to {MAX_PASSWORD} bytes")]
    Length,
    /// The system gives no random bytes, or not enough memory.
    #[error("the system has no random bytes or too little memory for it: try again")]
    System,
}

/// Makes the line that is stored in place of a password.
pub fn hash(password: &Sensitive<String>) -> Result<Sensitive<String>, PasswordError> {
    let clear = password.expose();
    if clear.chars().count() < MIN_PASSWORD || clear.len() > MAX_PASSWORD {
        return Err(PasswordError::Length);
    }
    let made: PasswordHash =
        hasher(MEMORY_KIB, PASSES, 1)?.hash_password(clear.as_bytes()).map_err(|_| PasswordError::System)?;
    Ok(Sensitive::new(made.to_string()))
}

/// What one must know to be taken for the merchant: the number, and the hash of the password.
pub struct Known {
    number: Sensitive<Vec<u8>>,
    hash: PasswordHash,
    hasher: Argon2<'static>,
}

impl Known {
    /// From the stored line.
    pub fn new(number: &str, line: &[u8]) -> Result<Self, PasswordError> {
        let text = std::str::from_utf8(line).map_err(|_| PasswordError::NoHash)?;
        let hash = PasswordHash::new(text.trim()).map_err(|_| PasswordError::NoHash)?;
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).map_err(|_| PasswordError::NoHash)?;
        let (Some(salt), Some(output)) = (&hash.salt, &hash.hash) else { return Err(PasswordError::NoHash) };
        let cost = Params::try_from(&hash).map_err(|_| PasswordError::NoHash)?;
        let good = algorithm == Algorithm::Argon2id
            && hash.version == Some(Version::V0x13.into())
            && salt.len() >= 8
            && (16..=MOST_OUTPUT).contains(&output.len())
            && (LEAST_KIB..=MOST_KIB).contains(&cost.m_cost())
            && (1..=MOST_PASSES).contains(&cost.t_cost())
            && (1..=MOST_LANES).contains(&cost.p_cost());
        if !good {
            return Err(PasswordError::Cost);
        }
        let hasher = hasher(cost.m_cost(), cost.t_cost(), cost.p_cost())?;
        Ok(Self { number: Sensitive::new(number.as_bytes().to_vec()), hash, hasher })
    }

    /// Whether number and password are the merchant's. Takes the same time whichever of them is wrong. It takes long, and
    /// the memory that the hash asks for: not for a thread that others wait for.
    pub fn is(&self, number: &str, password: &Sensitive<String>) -> Result<bool, PasswordError> {
        // Too long is wrong, but not sooner.
        let clear = password.expose().as_bytes();
        let fits = clear.len() <= MAX_PASSWORD;
        let clear = if fits { clear } else { &clear[..MAX_PASSWORD] };
        let (Some(salt), Some(wanted)) = (&self.hash.salt, &self.hash.hash) else {
            return Err(PasswordError::NoHash);
        };
        let mut made = Sensitive::new(vec![0; wanted.len()]);
        self.hasher
            .hash_password_into(clear, salt.as_ref(), made.expose_mut())
            .map_err(|_| PasswordError::System)?;
        let same = made.expose().ct_eq(wanted.as_bytes());
        let its = self.number.expose().as_slice().ct_eq(number.as_bytes());
        Ok(bool::from(same & its) && fits)
    }
}

fn hasher(memory_kib: u32, passes: u32, lanes: u32) -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(memory_kib, passes, lanes, None).map_err(|_| PasswordError::Cost)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Sensitive<String> {
        Sensitive::new(text.to_owned())
    }

    #[test]
    fn only_both_together_are_the_merchant() {
        let made = hash(&secret("correct horse")).unwrap();
        let known = Known::new("898440112345678", made.expose().as_bytes()).unwrap();
        let is = |number: &str, password: &str| known.is(number, &secret(password)).unwrap();
        assert!(is("898440112345678", "correct horse"));
        assert!(!is("898440112345679", "correct horse"));
        assert!(!is("898440112345678", "correct horsf"));
        assert!(!is("898440112345678", ""));
        assert!(!is("", "correct horse"));
        // What is cut for its length is no other password.
        let long = "x".repeat(MAX_PASSWORD);
        let known = Known::new("1", hash(&secret(&long)).unwrap().expose().as_bytes()).unwrap();
        assert!(known.is("1", &secret(&long)).unwrap());
        assert!(!known.is("1", &secret(&format!("{long}y"))).unwrap());
    }

    #[test]
    fn two_hashes_of_one_password_differ_and_a_stored_line_may_end_in_a_newline() {
        let (a, b) = (hash(&secret("same words")).unwrap(), hash(&secret("same words")).unwrap());
        assert_ne!(a.expose(), b.expose());
        assert!(a.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let known = Known::new("1", format!("{}\n", a.expose()).as_bytes()).unwrap();
        assert!(known.is("1", &secret("same words")).unwrap());
    }

    /// A vector of the reference implementation (phc-winner-argon2, `test.c`), so that hashes made elsewhere are good here.
    #[test]
    fn the_reference_implementations_hash_is_understood() {
        let line = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let known = Known::new("1", line.as_bytes()).unwrap();
        assert!(known.is("1", &secret("password")).unwrap());
        assert!(!known.is("1", &secret("Password")).unwrap());
    }

    #[test]
    fn what_is_no_hash_or_a_toy_is_refused_and_errors_show_nothing() {
        let tail = "c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        for (line, error) in [
            (String::new(), PasswordError::NoHash),
            ("hunter2hunter2".into(), PasswordError::NoHash),
            (format!("$argon2i$v=19$m=65536,t=2,p=1${tail}"), PasswordError::Cost),
            (format!("$argon2id$v=16$m=65536,t=2,p=1${tail}"), PasswordError::Cost),
            (format!("$argon2id$v=19$m=64,t=1,p=1${tail}"), PasswordError::Cost),
            (format!("$argon2id$v=19$m=4194304,t=2,p=1${tail}"), PasswordError::Cost),
            (format!("$argon2id$v=19$m=65536,t=99,p=1${tail}"), PasswordError::Cost),
            ("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ".into(), PasswordError::NoHash),
        ] {
            let e = Known::new("1", line.as_bytes()).err().unwrap();
            assert_eq!(e, error, "{line}");
            assert!(!e.to_string().contains("c29t") && !e.to_string().contains("hunter"), "{e}");
        }
        assert_eq!(Known::new("1", &[0xff]).err(), Some(PasswordError::NoHash));
        assert_eq!(hash(&secret("short")).err(), Some(PasswordError::Length));
        assert_eq!(hash(&secret(&"x".repeat(257))).err(), Some(PasswordError::Length));
    }
}
