//! Whose plugins are loaded. Owner and mode are looked at always ([`crate::Catalog`]); this is the site's rule on top of it.
//!
//! A plugin is two files, its manifest (which says what it may touch) and its library. Under [`Rule::Signed`] each has a
//! detached signature beside it, `FILE.minisig`, by a key of the configuration; under [`Rule::Listed`] the configuration
//! has the SHA-256 of each. Constructors of a library run when it is loaded: so this is asked again of the files as they
//! are whenever a host is started, not only when tilld starts. Signatures are minisign's (Ed25519 over the BLAKE2b-512 of
//! the file, <https://jedisct1.github.io/minisign/#signature-format>), so that an author needs no tool of ours.
//!
//! What it does not give: an old signed version is as good as a new one, and root can do what it likes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use minisign_verify::{PublicKey, Signature};
use ring::digest::{Context, SHA256};

/// Largest signature file, bytes: four lines.
const MAX_SIGNATURE: u64 = 4096;

/// How much of a library is read at once, bytes.
const PIECE: usize = 64 * 1024;

/// Which plugins a site loads.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Rule {
    /// Whatever root has installed. A signature that is there and by a known key must be right.
    #[default]
    Any,
    /// Signed by one of the keys.
    Signed,
    /// With digests that are listed.
    Listed,
}

impl Rule {
    /// As in the configuration: `any`, `signed`, `allow-list`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "any" => Some(Self::Any),
            "signed" => Some(Self::Signed),
            "allow-list" => Some(Self::Listed),
            _ => None,
        }
    }
}

/// The site's rule with what it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    rule: Rule,
    /// Public keys by the names that the site gave them: base64, as in the second line of a `.pub` file.
    keys: BTreeMap<String, String>,
    /// SHA-256 of files.
    listed: BTreeSet<[u8; 32]>,
}

/// Why a plugin is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// Root has installed it, and the site asks for no more.
    Unsigned,
    /// Both files are signed by the key of this name.
    Signed(String),
    /// Both files are listed.
    Listed,
}

impl fmt::Display for Trusted {
    /// For D-Bus: `unsigned`, `signed:NAME`, `listed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned => f.write_str("unsigned"),
            Self::Signed(key) => write!(f, "signed:{key}"),
            Self::Listed => f.write_str("listed"),
        }
    }
}

/// A rule that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The key of this name is none.
    #[error(
        "this is no minisign public key: give the second line of the .pub file, 56 characters that begin with RW"
    )]
    Key(String),
    /// Not a digest.
    #[error("{0:?} is no SHA-256: `sha256sum FILE` prints 64 hex digits")]
    Digest(String),
    /// Signatures are asked for, and nobody's count.
    #[error("\"signed\" needs a key: add NAME = \"RW…\" to [plugins.keys]")]
    NoKeys,
    /// A list is asked for, and it is empty.
    #[error(
        "\"allow-list\" needs plugins.allow: the `sha256sum` of each manifest and library that may be loaded"
    )]
    NothingListed,
}

/// Why a plugin is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// A file or its signature cannot be read.
    #[error("{path}: {detail}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// There is no signature.
    #[error(
        "{0} is not signed, and this till loads signed plugins only: get {0}.minisig from its vendor (who makes it with `minisign -Sm {0}`)"
    )]
    Unsigned(PathBuf),
    /// The signature file is none.
    #[error("{path} is no minisign signature ({detail}): get it anew from the vendor")]
    Signature {
        /// The signature.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Signed by somebody else.
    #[error("{0} is signed by a key that this till does not know: add the vendor's key to [plugins.keys]")]
    UnknownKey(PathBuf),
    /// The file is not what was signed.
    #[error(
        "{path} is not what {key} has signed: it was changed or damaged, or belongs to another version; install the plugin again"
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// The key's name.
        key: String,
    },
    /// The two files are of two vendors.
    #[error("{manifest} is signed by {first}, its library by {second}: both files are one vendor's")]
    TwoKeys {
        /// The manifest.
        manifest: PathBuf,
        /// Its key.
        first: String,
        /// The library's.
        second: String,
    },
    /// Its digest is not in the list.
    #[error("{path} is not in plugins.allow: if it may be loaded, add {digest}")]
    NotListed {
        /// The file.
        path: PathBuf,
        /// Its SHA-256.
        digest: String,
    },
}

impl Trust {
    /// Checks a rule with its keys (name, base64) and digests (hex).
    pub fn new(rule: Rule, keys: BTreeMap<String, String>, listed: &[String]) -> Result<Self, RuleError> {
        if let Some((name, _)) = keys.iter().find(|(_, key)| PublicKey::from_base64(key).is_err()) {
            return Err(RuleError::Key(name.clone()));
        }
        let digest = |text: &String| {
            let mut bytes = [0; 32];
            hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_| RuleError::Digest(text.clone()))?;
            Ok(bytes)
        };
        let listed = listed.iter().map(digest).collect::<Result<BTreeSet<_>, RuleError>>()?;
        match rule {
            Rule::Signed if keys.is_empty() => Err(RuleError::NoKeys),
            Rule::Listed if listed.is_empty() => Err(RuleError::NothingListed),
            _ => Ok(Self { rule, keys, listed }),
        }
    }

    /// Whether the files of a plugin decide, so that they are looked at before each start.
    pub fn asks(&self) -> bool {
        self.rule != Rule::Any || !self.keys.is_empty()
    }

    /// Looks at both files of a plugin as they are now. Reads all of them: not for an async task.
    pub fn judge(&self, manifest: &Path, library: &Path) -> Result<Trusted, TrustError> {
        match self.rule {
            Rule::Listed => {
                self.listed(manifest)?;
                self.listed(library)?;
                Ok(Trusted::Listed)
            }
            Rule::Signed => {
                let (first, second) = (self.signed(manifest)?, self.signed(library)?);
                if first == second {
                    Ok(Trusted::Signed(first))
                } else {
                    Err(TrustError::TwoKeys { manifest: manifest.into(), first, second })
                }
            }
            Rule::Any => match (self.perhaps(manifest)?, self.perhaps(library)?) {
                (Some(first), Some(second)) if first == second => Ok(Trusted::Signed(first)),
                _ => Ok(Trusted::Unsigned),
            },
        }
    }

    fn listed(&self, path: &Path) -> Result<(), TrustError> {
        let mut context = Context::new(&SHA256);
        pieces(path, |piece| context.update(piece))?;
        let digest = context.finish();
        if self.listed.iter().any(|l| l == digest.as_ref()) {
            return Ok(());
        }
        Err(TrustError::NotListed { path: path.into(), digest: hex::encode(digest) })
    }

    /// Who signed it; nobody, and somebody unknown, is no error here.
    fn perhaps(&self, path: &Path) -> Result<Option<String>, TrustError> {
        match self.signed(path) {
            Ok(key) => Ok(Some(key)),
            Err(TrustError::Unsigned(_) | TrustError::UnknownKey(_)) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Name of the key that signed it.
    fn signed(&self, path: &Path) -> Result<String, TrustError> {
        let beside = beside(path);
        let text = match read(&beside) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(TrustError::Unsigned(path.into())),
            Err(e) => return Err(failed(&beside, &e)),
        };
        let wrong = |detail: String| TrustError::Signature { path: beside.clone(), detail };
        let signature = Signature::decode(&text).map_err(|e| wrong(e.to_string()))?;
        for (name, key) in &self.keys {
            let Ok(key) = PublicKey::from_base64(key) else { continue };
            let mut verifier = match key.verify_stream(&signature) {
                Ok(verifier) => verifier,
                Err(minisign_verify::Error::UnexpectedKeyId) => continue,
                Err(e) => return Err(wrong(e.to_string())),
            };
            pieces(path, |piece| verifier.update(piece))?;
            return match verifier.finalize() {
                Ok(()) => Ok(name.clone()),
                Err(_) => Err(TrustError::Changed { path: path.into(), key: name.clone() }),
            };
        }
        Err(TrustError::UnknownKey(path.into()))
    }
}

/// Where the signature of a file is.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".minisig");
    name.into()
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let length = File::open(path)?.take(MAX_SIGNATURE + 1).read_to_string(&mut text)?;
    if u64::try_from(length).is_ok_and(|l| l <= MAX_SIGNATURE) {
        return Ok(text);
    }
    Err(io::Error::other(format!("more than {MAX_SIGNATURE} bytes: no signature")))
}

fn pieces(path: &Path, mut each: impl FnMut(&[u8])) -> Result<(), TrustError> {
    let mut file = File::open(path).map_err(|e| failed(path, &e))?;
    let mut buffer = vec![0; PIECE];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => each(buffer.get(..length).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(failed(path, &e)),
        }
    }
}

fn failed(path: &Path, e: &io::Error) -> TrustError {
    TrustError::Io { path: path.into(), detail: e.to_string() }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use blake2::{Blake2b512, Digest};
    use ring::rand::SystemRandom;
    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::*;

    /// A plugin's two files.
    struct Files(tempfile::TempDir);

    impl Files {
        fn new() -> Self {
            let files = Self(tempfile::tempdir().unwrap());
            fs::write(files.manifest(), b"[plugin]").unwrap();
            fs::write(files.library(), vec![7; 3 * PIECE + 5]).unwrap();
            files
        }

        fn manifest(&self) -> PathBuf {
            self.0.path().join("manifest.toml")
        }

        fn library(&self) -> PathBuf {
            self.0.path().join("lib.so")
        }

        fn judge(&self, trust: &Trust) -> Result<Trusted, TrustError> {
            trust.judge(&self.manifest(), &self.library())
        }

        fn sign(&self, key: &Key) {
            sign(&self.manifest(), key);
            sign(&self.library(), key);
        }
    }

    /// Somebody who signs, with the number of the key.
    struct Key([u8; 8], Ed25519KeyPair);

    fn key() -> Key {
        let pair = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pair.as_ref()).unwrap();
        let mut number = [0; 8];
        number.copy_from_slice(&pair.public_key().as_ref()[..8]);
        Key(number, pair)
    }

    /// As the format's page has it; that it is right is seen by what the minisign program has signed, below.
    fn sign(path: &Path, Key(number, pair): &Key) {
        let signature = pair.sign(&Blake2b512::digest(fs::read(path).unwrap()));
        let comment = "for a test";
        let whole = pair.sign(&[signature.as_ref(), comment.as_bytes()].concat());
        let line = STANDARD.encode([b"ED", &number[..], signature.as_ref()].concat());
        let last = STANDARD.encode(whole);
        let text = format!("untrusted comment: x\n{line}\ntrusted comment: {comment}\n{last}\n");
        fs::write(beside(path), text).unwrap();
    }

    fn by(rule: Rule, keys: &[(&str, &Key)]) -> Trust {
        let public = |Key(number, pair): &Key| {
            STANDARD.encode([b"Ed", &number[..], pair.public_key().as_ref()].concat())
        };
        let keys = keys.iter().map(|(n, k)| ((*n).into(), public(k))).collect();
        Trust::new(rule, keys, &[]).unwrap()
    }

    #[test]
    fn a_signed_plugin_is_taken_by_the_name_of_its_key_and_an_unsigned_one_is_not() {
        let (files, vendor, other) = (Files::new(), key(), key());
        let trust = by(Rule::Signed, &[("other", &other), ("vendor", &vendor)]);
        assert_eq!(files.judge(&trust), Err(TrustError::Unsigned(files.manifest())));
        sign(&files.manifest(), &vendor);
        assert_eq!(files.judge(&trust), Err(TrustError::Unsigned(files.library())));
        files.sign(&vendor);
        assert_eq!(files.judge(&trust), Ok(Trusted::Signed("vendor".into())));
        sign(&files.library(), &other);
        assert!(matches!(files.judge(&trust), Err(TrustError::TwoKeys { .. })));
        files.sign(&key());
        assert_eq!(files.judge(&trust), Err(TrustError::UnknownKey(files.manifest())));
    }

    /// Also where the site asks for no signatures: a file that its vendor did not make is not loaded.
    #[test]
    fn one_bit_of_the_file_or_of_its_signature_and_it_is_refused_under_every_rule() {
        let (files, vendor) = (Files::new(), key());
        files.sign(&vendor);
        for rule in [Rule::Signed, Rule::Any] {
            let trust = by(rule, &[("vendor", &vendor)]);
            assert_eq!(files.judge(&trust), Ok(Trusted::Signed("vendor".into())));
            for (path, at) in [(files.library(), 0), (files.library(), 3 * PIECE + 4), (files.manifest(), 3)]
            {
                let good = fs::read(&path).unwrap();
                let mut bad = good.clone();
                bad[at] ^= 1;
                fs::write(&path, &bad).unwrap();
                assert!(matches!(files.judge(&trust), Err(TrustError::Changed { .. })), "{rule:?} {at}");
                fs::write(&path, &good[..good.len() - 1]).unwrap();
                assert!(matches!(files.judge(&trust), Err(TrustError::Changed { .. })), "{rule:?} shorter");
                fs::write(&path, &good).unwrap();
            }
            let path = beside(&files.library());
            let good = fs::read_to_string(&path).unwrap();
            for at in 0..good.len() {
                let mut bad = good.clone().into_bytes();
                bad[at] ^= 1;
                fs::write(&path, &bad).unwrap();
                let judged = files.judge(&trust);
                // Only the comment that nobody signed may be anything; another key's number is nobody's signature.
                let comment = at < good.find('\n').unwrap();
                let nobody = rule == Rule::Any && judged == Ok(Trusted::Unsigned);
                assert!(judged.is_err() || comment || nobody, "{rule:?} byte {at}: {judged:?}");
            }
            fs::write(&path, &good).unwrap();
        }
    }

    #[test]
    fn bad_signature_files_are_said_to_be_so() {
        let (files, vendor) = (Files::new(), key());
        files.sign(&vendor);
        let trust = by(Rule::Signed, &[("vendor", &vendor)]);
        for bad in [&b""[..], b"hello\n", &[0xff; 300], &[b'a'; 10_000]] {
            fs::write(beside(&files.library()), bad).unwrap();
            let e = files.judge(&trust).unwrap_err();
            assert!(matches!(e, TrustError::Signature { .. } | TrustError::Io { .. }), "{e}");
            assert!(e.to_string().contains("lib.so.minisig"), "{e}");
        }
    }

    #[test]
    fn a_listed_plugin_is_taken_and_the_refusal_of_another_names_its_digest() {
        let files = Files::new();
        let nothing = Trust::new(Rule::Listed, BTreeMap::new(), &["00".repeat(32)]).unwrap();
        let mut listed = Vec::new();
        let trust = loop {
            let trust = Trust { listed: listed.iter().copied().collect(), ..nothing.clone() };
            match files.judge(&trust) {
                Err(TrustError::NotListed { digest, .. }) => {
                    let mut bytes = [0; 32];
                    hex::decode_to_slice(digest, &mut bytes).unwrap();
                    listed.push(bytes);
                }
                judged => {
                    assert_eq!((judged, listed.len()), (Ok(Trusted::Listed), 2));
                    break trust;
                }
            }
        };
        fs::write(files.library(), b"another").unwrap();
        assert!(matches!(files.judge(&trust), Err(TrustError::NotListed { .. })));
        // sha256sum of three bytes, from FIPS 180-2 B.1.
        fs::write(files.manifest(), b"abc").unwrap();
        let Err(TrustError::NotListed { digest, .. }) = files.judge(&trust) else { panic!("it is listed") };
        assert_eq!(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn what_the_minisign_program_has_signed_is_taken() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signed");
        let key = fs::read_to_string(folder.join("key.pub")).unwrap();
        let keys = BTreeMap::from([("vendor".to_owned(), key.lines().nth(1).unwrap().to_owned())]);
        let trust = Trust::new(Rule::Signed, keys, &[]).unwrap();
        assert_eq!(trust.signed(&folder.join("library")), Ok("vendor".into()));
    }

    #[test]
    fn rules_that_would_load_nothing_or_mean_nothing_are_refused() {
        let keys = |key: &str| BTreeMap::from([("vendor".to_owned(), key.to_owned())]);
        assert_eq!(Trust::new(Rule::Signed, BTreeMap::new(), &[]), Err(RuleError::NoKeys));
        assert_eq!(Trust::new(Rule::Listed, BTreeMap::new(), &[]), Err(RuleError::NothingListed));
        assert_eq!(Trust::new(Rule::Any, keys("RWtoo short"), &[]), Err(RuleError::Key("vendor".into())));
        let short = "ab".to_owned();
        assert_eq!(
            Trust::new(Rule::Listed, BTreeMap::new(), std::slice::from_ref(&short)),
            Err(RuleError::Digest(short))
        );
        assert!(!Trust::default().asks());
    }
}
