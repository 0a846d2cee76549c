//! TLS to the host: the acquirer's own root and nothing else (channels.md C13).

use super::{cup, open};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use till_channel_bankcard::codec;
use till_channel_bankcard::framing::{FrameReader, frame};
use till_channel_bankcard::message::Message;
use till_channel_bankcard::plugin::Bankcard;
use till_plugin::testing::TestHost;
use till_plugin::{Channel, Settings};

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    der: rustls::pki_types::CertificateDer<'static>,
}

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Authority { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
}

struct Leaf {
    chain: Vec<rustls::pki_types::CertificateDer<'static>>,
    pem: String,
    key: KeyPair,
}

fn leaf(authority: &Authority, name: &str, expired: bool) -> Leaf {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if expired {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority.issuer).unwrap();
    Leaf { chain: vec![certificate.der().clone()], pem: certificate.pem(), key }
}

/// Answers one echo over TLS; gives how many bytes of requests it read.
fn host(leaf: Leaf, clients: Option<&Authority>) -> (String, JoinHandle<usize>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der.clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf.key.serialize_der()));
    let config = builder.with_single_cert(leaf.chain, key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("localhost:{}", listener.local_addr().unwrap().port());
    let thread = std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), socket);
        let (mut reader, mut seen) = (FrameReader::new(&cup()), 0);
        let mut buffer = [0; 512];
        while let Ok(count) = stream.read(&mut buffer) {
            if count == 0 {
                break;
            }
            seen += count;
            reader.push(&buffer[..count]).unwrap();
            if let Some(payload) = reader.next_payload() {
                let request = codec::decode(&cup(), &payload).unwrap().message;
                let mut reply = Message::new(*b"0830");
                for number in [41, 42, 60] {
                    reply.set(number, request.get(number).unwrap());
                }
                reply.set(39, "00");
                let bytes = frame(&cup(), &codec::encode(&cup(), &reply).unwrap()).unwrap();
                stream.write_all(&bytes).unwrap();
                stream.flush().unwrap();
            }
        }
        seen
    });
    (address, thread)
}

/// A file that goes when the test ends.
struct Pem(PathBuf);

impl Pem {
    fn new(text: &str) -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("till-bankcard-{}-{}.pem", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for Pem {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn probe(address: &str, roots: &str) -> (String, String) {
    let ca = Pem::new(roots);
    let (mut plugin, _) = open(address, |settings| {
        settings["tls"] = true.into();
        settings["tls_ca"] = ca.0.to_str().unwrap().into();
    });
    let health = plugin.probe().unwrap();
    (health.state.as_str().to_owned(), health.text)
}

#[test]
fn the_acquirers_own_root_opens_the_line() {
    let authority = authority();
    let (address, served) = host(leaf(&authority, "localhost", false), None);
    assert_eq!(probe(&address, &authority.pem).0, "ready");
    assert!(served.join().unwrap() > 0);
}

#[test]
fn foreign_roots_wrong_names_and_expired_certificates_get_no_byte_of_a_request() {
    let (own, foreign) = (authority(), authority());
    for (leaf, roots) in [
        (leaf(&foreign, "localhost", false), &own.pem),
        (leaf(&own, "other.example", false), &own.pem),
        (leaf(&own, "localhost", true), &own.pem),
    ] {
        let (address, served) = host(leaf, None);
        let (state, text) = probe(&address, roots);
        assert_eq!(state, "offline", "{text}");
        assert_eq!(served.join().unwrap(), 0);
    }
}

#[test]
fn a_host_that_asks_for_a_client_certificate_gets_it() {
    let authority = authority();
    let till = leaf(&authority, "till", false);
    let (address, served) = host(leaf(&authority, "localhost", false), Some(&authority));
    let (ca, certificate) = (Pem::new(&authority.pem), Pem::new(&till.pem));
    let settings = serde_json::json!({
        "address": address, "terminal": "12345678", "merchant": "123456789012345",
        "tls_ca": ca.0, "tls_client_certificate": certificate.0,
    });
    let host = TestHost::new()
        .with_secret("tmk", crate::acquirer::TMK.as_bytes())
        .with_secret("tls-client-key", till.key.serialize_pem().as_bytes());
    let mut plugin = Bankcard::open(host.host(), Settings::from_json(settings.to_string())).unwrap();
    assert_eq!(plugin.probe().unwrap().state.as_str(), "ready");
    assert!(served.join().unwrap() > 0);
}

#[test]
fn an_empty_or_missing_root_file_does_not_open() {
    let empty = Pem::new("no certificate here\n");
    for path in [empty.0.clone(), PathBuf::from("/nonexistent/acquirer.pem")] {
        let settings = serde_json::json!({
            "address": "localhost:1", "terminal": "12345678", "merchant": "123456789012345", "tls_ca": path,
        });
        let host = TestHost::new().with_secret("tmk", crate::acquirer::TMK.as_bytes());
        let error = Bankcard::open(host.host(), Settings::from_json(settings.to_string())).err().unwrap();
        assert!(error.message.contains("tls_ca"), "{error}");
    }
}
