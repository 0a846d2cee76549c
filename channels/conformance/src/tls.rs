//! TLS before a network that speaks none of its own (channels.md C13): one server, shown to every channel in the same way.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use till_plugin::channel::Outcome;
use till_plugin::driver::DeviceState;
use till_plugin::{Channel, Settings};

use crate::adapter::{Adapter, Way};
use crate::till::{OWED, Till, cny};

/// What the server shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// Signed by the authority the till was given, for `localhost`, valid now.
    Good,
    Expired,
    NotYet,
    WrongHost,
    SelfSigned,
    /// As good, of an authority that the till was not given.
    OtherAuthority,
    /// Nothing: it only speaks TLS 1.1.
    OldVersion,
}

struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    /// PEM of a certificate for that name and key.
    fn certify(&self, name: &str, key: &KeyPair) -> String {
        CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(key, &self.issuer).unwrap().pem()
    }
}

/// A door with TLS before a network.
struct Front {
    port: u16,
    authority: Authority,
    /// Bytes of requests that came out of the encryption.
    seen: Arc<AtomicUsize>,
    closed: Arc<AtomicBool>,
    door: Option<JoinHandle<()>>,
}

impl Front {
    fn open(shown: Shown, network: SocketAddr, whole: fn(&[u8]) -> bool, clients: bool) -> Self {
        let authority = Authority::new();
        let config = (shown != Shown::OldVersion).then(|| Arc::new(server(shown, &authority, clients)));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, closed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counts, ends) = (Arc::clone(&seen), Arc::clone(&closed));
        let door = std::thread::spawn(move || {
            for socket in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(socket), config, counts) = (socket, config.clone(), Arc::clone(&counts)) else {
                    continue;
                };
                std::thread::spawn(move || match config {
                    Some(config) => serve(config, socket, network, whole, &counts),
                    None => old(socket, &counts),
                });
            }
        });
        Self { port, authority, seen, closed, door: Some(door) }
    }

    /// A certificate of the till's and its key (PEM), of this server's authority or of somebody else's.
    fn identity<A: Adapter>(&self, net: &A, known: bool) -> (String, String) {
        let made = || KeyPair::generate().unwrap();
        let key = net.identity_key().map_or_else(made, |pem| KeyPair::from_pem(&pem).unwrap());
        let stranger = Authority::new();
        let authority = if known { &self.authority } else { &stranger };
        (authority.certify("till", &key), key.serialize_pem())
    }

    fn way(&self, ca_pem: &str, identity: Option<(String, String)>) -> Way {
        Way::Tls { port: self.port, ca_pem: ca_pem.into(), identity }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(door) = self.door.take() {
            let _ = door.join();
        }
    }
}

fn server(shown: Shown, authority: &Authority, clients: bool) -> ServerConfig {
    let name = if shown == Shown::WrongHost { "elsewhere.invalid" } else { "localhost" };
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    match shown {
        Shown::Expired => {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        Shown::NotYet => {
            params.not_before = date_time_ymd(2090, 1, 1);
            params.not_after = date_time_ymd(2091, 1, 1);
        }
        _ => {}
    }
    let key = KeyPair::generate().unwrap();
    let leaf = match shown {
        Shown::SelfSigned => params.self_signed(&key).unwrap(),
        Shown::OtherAuthority => params.signed_by(&key, &Authority::new().issuer).unwrap(),
        _ => params.signed_by(&key, &authority.issuer).unwrap(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = if clients {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der.clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    builder.with_single_cert(vec![leaf.der().clone()], key).unwrap()
}

/// Requests out of the encryption, answers into it.
fn serve(
    config: Arc<ServerConfig>,
    socket: TcpStream,
    network: SocketAddr,
    whole: fn(&[u8]) -> bool,
    seen: &AtomicUsize,
) {
    let mut till = StreamOwned::new(ServerConnection::new(config).unwrap(), socket);
    let mut buffer = [0; 1 << 14];
    loop {
        let mut request = Vec::new();
        while !whole(&request) {
            match till.read(&mut buffer) {
                Ok(n) if n > 0 => request.extend_from_slice(&buffer[..n]),
                _ => return,
            }
            seen.store(request.len(), Ordering::SeqCst);
        }
        let Ok(mut upstream) = TcpStream::connect(network) else { return };
        let mut answer = Vec::new();
        if upstream.write_all(&request).is_err() {
            return;
        }
        while !whole(&answer) {
            match upstream.read(&mut buffer) {
                Ok(n) if n > 0 => answer.extend_from_slice(&buffer[..n]),
                _ => return,
            }
        }
        if till.write_all(&answer).and_then(|()| till.flush()).is_err() {
            return;
        }
    }
}

/// A server that knows nothing newer than TLS 1.1 (RFC 4346): its hello, and whatever comes after.
fn old(mut socket: TcpStream, seen: &AtomicUsize) {
    let mut buffer = [0; 1 << 14];
    if socket.read(&mut buffer).is_err() {
        return;
    }
    let mut hello = vec![0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2F, 0]);
    if socket.write_all(&hello).is_err() {
        return;
    }
    while let Ok(n @ 1..) = socket.read(&mut buffer) {
        // An alert (record type 21) says no; anything else would be a till that goes on.
        if buffer[0] != 21 {
            seen.fetch_add(n, Ordering::SeqCst);
        }
    }
}

fn till_behind<A: Adapter>(
    front: &Front,
    net: A,
    ca_pem: &str,
    identity: Option<&(String, String)>,
) -> Till<A> {
    let settings = net.settings(&front.way(ca_pem, identity.cloned()));
    let bench = net.bench(identity.map(|(_, key)| key.as_str()));
    Till::on(net, None, bench, settings)
}

/// Only the given authority, the right name, a valid certificate and TLS 1.2 or newer are spoken to. There is no other root
/// and no switch.
pub(crate) fn pinned<A: Adapter>() {
    for shown in [
        Shown::Good,
        Shown::Expired,
        Shown::NotYet,
        Shown::WrongHost,
        Shown::SelfSigned,
        Shown::OtherAuthority,
        Shown::OldVersion,
    ] {
        let net = A::start();
        let front = Front::open(shown, net.network().expect("a network"), A::whole, false);
        let ca_pem = front.authority.pem.clone();
        // A channel that has a certificate of its own may not open without it.
        let identity = A::MUTUAL.then(|| front.identity(&net, true));
        let mut till = till_behind(&front, net, &ca_pem, identity.as_ref());
        if shown == Shown::Good {
            till.reopen();
            till.paid(OWED);
            till.books(OWED, &shown);
            continue;
        }
        let health = till.call(Channel::probe).unwrap();
        assert_ne!(health.state, DeviceState::Ready, "{}: {shown:?}", A::NAME);
        let instrument = till.net.instrument(1, cny(OWED));
        let request = till.asked(cny(OWED), instrument);
        // A channel that has to sign in first cannot come as far as this.
        if let Ok(prepared) = till.call(|c| c.prepare(&request)) {
            let outcome = till.call(|c| c.authorise(&request, &prepared));
            assert!(matches!(outcome, Outcome::NotSent(_)), "{}: {shown:?}: {outcome:?}", A::NAME);
        }
        assert_eq!(front.seen.load(Ordering::SeqCst), 0, "{}: {shown:?}: a request came through", A::NAME);
        till.books(0, &shown);
    }
    // Without a root of its own a channel does not open: there are no system roots to fall back to.
    let net = A::start();
    let settings = net.settings(&Way::Tls { port: 1, ca_pem: String::new(), identity: None });
    assert!(A::Channel::open(net.bench(None).host(), Settings::from_json(settings)).is_err());
}

/// The network that asks for a certificate of the till's gets it, and nobody else gets through.
pub(crate) fn mutual<A: Adapter>() {
    for known in [true, false] {
        let net = A::start();
        let front = Front::open(Shown::Good, net.network().expect("a network"), A::whole, true);
        let (ca_pem, identity) = (front.authority.pem.clone(), Some(front.identity(&net, known)));
        let mut till = till_behind(&front, net, &ca_pem, identity.as_ref());
        if known {
            till.reopen();
            till.paid(OWED);
            till.books(OWED, &"a known certificate");
        } else {
            let health = till.call(Channel::probe).unwrap();
            assert_ne!(health.state, DeviceState::Ready, "{}", A::NAME);
            assert_eq!(front.seen.load(Ordering::SeqCst), 0);
            assert_eq!(till.net.requests(), 0);
        }
    }
}
