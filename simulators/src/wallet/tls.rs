//! HTTPS for the gateway: a certificate authority of its own, made at start and trusted by nobody else.

use std::{net::IpAddr, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivatePkcs8KeyDer};

/// What the server shows to its clients. A till must take the first and refuse the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Certificate {
    /// Signed by the simulator's authority, for its names, valid now.
    #[default]
    Good,
    /// As good, but its validity has ended.
    Expired,
    /// As good, but for another host.
    WrongHost,
    /// Signed by nobody but itself.
    SelfSigned,
}

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A certificate could not be made.
    #[error("cannot make a test certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The server would not start with it.
    #[error("cannot set up TLS: {0}")]
    Server(#[from] rustls::Error),
}

/// A server configuration, and the authority (PEM) that a client must trust to reach it.
pub(crate) struct Tls {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) authority_pem: String,
}

impl Tls {
    /// Makes an authority with that key (PEM) and a server certificate for `names` (host names and addresses). TLS 1.2
    /// and 1.3 only.
    pub(crate) fn new(
        certificate: Certificate,
        names: &[String],
        authority_key: &str,
    ) -> Result<Self, TlsError> {
        let authority_key = KeyPair::from_pem(authority_key)?;
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.distinguished_name = named("till-sim TEST authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_pem = authority.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(authority, authority_key);

        let names = match certificate {
            Certificate::WrongHost => vec!["elsewhere.invalid".to_owned()],
            _ => names.to_vec(),
        };
        let key = KeyPair::generate()?;
        let mut leaf = CertificateParams::new(names)?;
        leaf.distinguished_name = named("till-sim TEST gateway");
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        if certificate == Certificate::Expired {
            leaf.not_before = date_time_ymd(2020, 1, 1);
            leaf.not_after = date_time_ymd(2021, 1, 1);
        }
        let leaf = match certificate {
            Certificate::SelfSigned => leaf.self_signed(&key)?,
            _ => leaf.signed_by(&key, &issuer)?,
        };
        let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )?;
        Ok(Self { server: Arc::new(server), authority_pem })
    }
}

/// The names a local client may use for an address.
pub(crate) fn names_of(address: IpAddr) -> Vec<String> {
    vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned(), address.to_string()]
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}
