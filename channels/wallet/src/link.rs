//! The connection to the gateway: one HTTPS exchange within a deadline, and an honest account of how far it got.
//!
//! The one thing a payment must know of a failed exchange is whether any byte of the *request* left this machine.
//! A general HTTP client reports an I/O error without saying at which step it happened (`ureq::Error::Io`), and may
//! repeat or follow by itself. So the steps are taken one by one here: resolve, connect, TLS handshake, write, read.
//! A failure before the first accepted byte of the request is [`LinkError::NotSent`], every later one is not.
//!
//! Trust is the CA certificates of the settings and nothing else: no system roots, no switch to skip the check (C13).

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use thiserror::Error;

use crate::http::{Answer, HttpError, Reply, Request};

/// How an exchange failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LinkError {
    /// No byte of the request left this machine.
    #[error(
        "the gateway {host} could not be reached ({why}); check the network, then try again or use another channel"
    )]
    NotSent {
        /// The gateway's host.
        host: String,
        /// At which step, and what the system said.
        why: String,
    },
    /// The request, or a part of it, left; no answer came in time.
    #[error("the gateway {host} did not answer in time")]
    NoAnswer {
        /// The gateway's host.
        host: String,
    },
    /// The request, or a part of it, left; the connection broke.
    #[error("the connection to the gateway {host} broke after the request had left ({why})")]
    Broken {
        /// The gateway's host.
        host: String,
        /// What the system said.
        why: String,
    },
    /// An answer came that is not one.
    #[error(transparent)]
    Answer(#[from] HttpError),
}

/// Why the settings do not describe a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TargetError {
    /// Not `https://host[:port]/path`.
    #[error("gateway {0:?} is not of the form https://host/path; write the address the wallet publishes")]
    Url(String),
    /// `http://` without the test switch.
    #[error(
        "gateway {0:?} is not encrypted; write https:// (insecure_http_for_tests is for simulators only)"
    )]
    Insecure(String),
    /// No certificate to trust.
    #[error(
        "ca_file (or ca_pem) gives no CA certificate ({0}); put the PEM of the CA that signs the gateway's certificate there"
    )]
    Ca(String),
    /// The till's own certificate, for a gateway that asks for one, or its key.
    #[error(
        "the till's own certificate for the gateway cannot be used ({0}); give it as the merchant console exports it"
    )]
    Identity(String),
    /// rustls refused its configuration.
    #[error("TLS could not be set up: {0}")]
    Tls(String),
}

/// The till's own certificate, for a gateway that asks for one (mutual TLS).
pub struct Identity<'a> {
    /// PEM of the certificate, and of what stands between it and the root.
    pub certificate_pem: &'a str,
    /// PEM of its private key.
    pub key_pem: &'a str,
}

/// A gateway that can be posted to.
#[derive(Clone, Debug)]
pub struct Target {
    host: String,
    port: u16,
    path: String,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    connect_timeout: Duration,
}

impl Target {
    /// Reads the settings. `ca_pem` is required for `https://`; `http://` needs `insecure`.
    pub fn new(
        url: &str,
        ca_pem: &str,
        insecure: bool,
        connect_timeout: Duration,
    ) -> Result<Self, TargetError> {
        Self::with_identity(url, ca_pem, insecure, connect_timeout, None)
    }

    /// As [`Target::new`], showing a certificate of the till's own where the gateway asks for one.
    pub fn with_identity(
        url: &str,
        ca_pem: &str,
        insecure: bool,
        connect_timeout: Duration,
        identity: Option<&Identity<'_>>,
    ) -> Result<Self, TargetError> {
        let bad = || TargetError::Url(url.into());
        let (scheme, rest) = url.split_once("://").ok_or_else(bad)?;
        let secure = match scheme {
            "https" => true,
            "http" if insecure => false,
            "http" => return Err(TargetError::Insecure(url.into())),
            _ => return Err(bad()),
        };
        let at = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let (host, port) = split_authority(authority).ok_or_else(bad)?;
        if host.is_empty() || !url.bytes().all(|b| b.is_ascii_graphic()) || url.contains(['#', '@', '\\']) {
            return Err(bad());
        }
        let tls = if secure {
            let name = ServerName::try_from(host.to_owned()).map_err(|_| bad())?;
            Some((client_config(ca_pem, identity)?, name))
        } else {
            None
        };
        let path = if path.is_empty() { "/".to_owned() } else { path.to_owned() };
        let port = port.unwrap_or(if secure { 443 } else { 80 });
        Ok(Self { host: host.into(), port, path, tls, connect_timeout })
    }

    /// The gateway's host name.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path of the address, with its query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// One exchange. `answer` is an empty one, which says what status counts as an answer. Blocks until `deadline` at most
    /// (name resolution included).
    pub fn exchange(
        &self,
        request: &Request<'_>,
        answer: Answer,
        deadline: Instant,
    ) -> Result<Reply, LinkError> {
        let not_sent = |step: &str, e: &dyn std::fmt::Display| LinkError::NotSent {
            host: self.host.clone(),
            why: format!("{step}: {e}"),
        };
        let name = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let default = if self.tls.is_some() { 443 } else { 80 };
        let authority = if self.port == default { name } else { format!("{name}:{}", self.port) };
        let request = request.bytes(&authority);
        let mut socket = self.connect(deadline).map_err(|e| not_sent("connect", &e))?;
        let Some((config, name)) = &self.tls else {
            socket.write_request(&request).map_err(|e| self.failed_write(&socket, &e))?;
            return self.read_answer(&mut socket, answer, Read::read);
        };
        let mut tls =
            ClientConnection::new(Arc::clone(config), name.clone()).map_err(|e| not_sent("TLS", &e))?;
        // Only the handshake: the request is handed to rustls after the last handshake byte is out.
        while tls.is_handshaking() || tls.wants_write() {
            tls.complete_io(&mut socket).map_err(|e| not_sent("TLS handshake", &e))?;
        }
        socket.written = 0;
        tls.set_buffer_limit(None);
        tls.writer().write_all(&request).map_err(|e| not_sent("TLS", &e))?;
        while tls.wants_write() {
            tls.write_tls(&mut socket).map_err(|e| self.failed_write(&socket, &e))?;
        }
        self.read_answer(&mut socket, answer, |socket, buffer| read_tls(&mut tls, socket, buffer))
    }

    fn connect(&self, deadline: Instant) -> io::Result<Socket> {
        let addresses = resolve(&self.host, self.port, deadline)?;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            let patience = left(deadline)?.min(self.connect_timeout);
            match TcpStream::connect_timeout(&address, patience) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Socket { stream, deadline, written: 0 });
                }
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    fn failed_write(&self, socket: &Socket, error: &io::Error) -> LinkError {
        if socket.written == 0 {
            LinkError::NotSent { host: self.host.clone(), why: format!("write: {error}") }
        } else {
            self.broken(error)
        }
    }

    fn broken(&self, error: &io::Error) -> LinkError {
        let host = self.host.clone();
        if error.kind() == io::ErrorKind::TimedOut {
            LinkError::NoAnswer { host }
        } else {
            LinkError::Broken { host, why: error.to_string() }
        }
    }

    fn read_answer(
        &self,
        socket: &mut Socket,
        mut answer: Answer,
        mut read: impl FnMut(&mut Socket, &mut [u8]) -> io::Result<usize>,
    ) -> Result<Reply, LinkError> {
        let mut buffer = [0; 4096];
        loop {
            let size = read(socket, &mut buffer).map_err(|e| self.broken(&e))?;
            if size == 0 {
                let body = answer.end().map_err(|e| match e {
                    HttpError::Cut => LinkError::Broken { host: self.host.clone(), why: e.to_string() },
                    other => other.into(),
                })?;
                return Ok(answer.reply(body)?);
            }
            if let Some(body) = answer.feed(buffer.get(..size).unwrap_or_default())? {
                return Ok(answer.reply(body)?);
            }
        }
    }
}

fn split_authority(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        (host, after.strip_prefix(':').or(after.is_empty().then_some(""))?)
    } else {
        authority.split_once(':').unwrap_or((authority, ""))
    };
    let port = if port.is_empty() { None } else { Some(port.parse().ok().filter(|p| *p != 0)?) };
    Some((host, port))
}

fn client_config(ca_pem: &str, identity: Option<&Identity<'_>>) -> Result<Arc<ClientConfig>, TargetError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        let certificate = certificate.map_err(|e| TargetError::Ca(e.to_string()))?;
        roots.add(certificate).map_err(|e| TargetError::Ca(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(TargetError::Ca("it has no CERTIFICATE section".into()));
    }
    // The provider is named, not taken from the process: another crate in this process cannot change it.
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| TargetError::Tls(e.to_string()))?
        .with_root_certificates(roots);
    let Some(identity) = identity else { return Ok(Arc::new(builder.with_no_client_auth())) };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes()).collect();
    let chain = chain.map_err(|e| TargetError::Identity(e.to_string()))?;
    // The key's text is not repeated: only that it is none.
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes())
        .map_err(|_| TargetError::Identity("the private key is not PEM".into()))?;
    let config =
        builder.with_client_auth_cert(chain, key).map_err(|e| TargetError::Identity(e.to_string()))?;
    Ok(Arc::new(config))
}

/// The system resolver has no deadline, so a name is looked up on a thread that may be left behind.
fn resolve(host: &str, port: u16, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let (tell, told) = mpsc::sync_channel(1);
    let name = host.to_owned();
    std::thread::Builder::new().name("resolve".into()).spawn(move || {
        let found = (name.as_str(), port).to_socket_addrs().map(Iterator::collect);
        // Nobody listens any more when the deadline has passed.
        let _ = tell.send(found);
    })?;
    match told.recv_timeout(left(deadline)?) {
        Ok(found) => found,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the name could not be looked up in time")),
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    deadline
        .checked_duration_since(Instant::now())
        .filter(|d| !d.is_zero())
        .ok_or_else(|| io::Error::new(io::ErrorKind::TimedOut, "no time left"))
}

/// A socket whose every operation ends by the deadline, and which counts what the system accepted.
struct Socket {
    stream: TcpStream,
    deadline: Instant,
    written: usize,
}

impl Socket {
    fn write_request(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let size = match self.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(size) => size,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            rest = rest.get(size..).unwrap_or_default();
        }
        Ok(())
    }
}

/// A socket timeout is reported as `WouldBlock` on Linux; rustls and we mean "out of time" by it.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.stream.set_read_timeout(Some(left(self.deadline)?))?;
            match self.stream.read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map_err(timed_out),
            }
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.deadline)?))?;
        let size = self.stream.write(bytes).map_err(timed_out)?;
        self.written += size;
        Ok(size)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Plaintext from the connection; 0 only after the other end said goodbye in TLS: a connection cut without it is an
/// error, because anybody on the way can cut it.
fn read_tls(tls: &mut ClientConnection, socket: &mut Socket, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match tls.reader().read(buffer) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            result => return result,
        }
        while tls.wants_write() {
            tls.write_tls(socket)?;
        }
        tls.read_tls(socket)?;
        tls.process_new_packets().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    }
}
