//! TLS to the host: at least 1.2, the acquirer's own root certificates and no others, a client certificate where it asks
//! for one (channels.md C13). There is no switch that accepts an invalid certificate.

use crate::link::{
    DialError, Dialer, Line, Received, SendError, TcpDialer, read_some, time_left, write_some,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Why TLS cannot be set up from the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// No usable root certificate.
    #[error("tls_ca holds no certificate that can be used as a root: {0}")]
    Roots(String),
    /// Client certificate or key unusable.
    #[error("client certificate or key: {0}")]
    Client(String),
    /// The name to compare with the server's certificate.
    #[error("tls_name `{0}` is not a host name or address")]
    Name(String),
}

/// Makes TLS connections.
pub struct TlsDialer {
    tcp: TcpDialer,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

impl fmt::Debug for TlsDialer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "TlsDialer({})", self.tcp.address)
    }
}

/// A client certificate chain and its key, both PEM.
#[derive(Clone, Copy)]
pub struct ClientIdentity<'a> {
    /// Certificate chain, leaf first.
    pub certificate: &'a [u8],
    /// Private key.
    pub key: &'a [u8],
}

impl TlsDialer {
    /// `roots`: PEM of the acquirer's root certificates. `name`: what the server's certificate must be for.
    pub fn new(
        address: String,
        name: &str,
        roots: &[u8],
        client: Option<ClientIdentity<'_>>,
    ) -> Result<Self, TlsError> {
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(roots) {
            let certificate = certificate.map_err(|error| TlsError::Roots(error.to_string()))?;
            store.add(certificate).map_err(|error| TlsError::Roots(error.to_string()))?;
        }
        if store.is_empty() {
            return Err(TlsError::Roots("it is empty".into()));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Roots(error.to_string()))?
            .with_root_certificates(store);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let wrong = |error: &dyn fmt::Display| TlsError::Client(error.to_string());
                let chain = CertificateDer::pem_slice_iter(identity.certificate)
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(|error| wrong(&error))?;
                let key = PrivateKeyDer::from_pem_slice(identity.key).map_err(|error| wrong(&error))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| wrong(&error))?
            }
        };
        let name = ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned()))?;
        Ok(Self { tcp: TcpDialer { address }, name, config: Arc::new(config) })
    }
}

impl Dialer for TlsDialer {
    fn dial(&self, deadline: Instant) -> Result<Box<dyn Line>, DialError> {
        let failed = |what: String| DialError { address: self.tcp.address.clone(), what };
        let mut socket = self.tcp.connect(deadline)?;
        let mut session = ClientConnection::new(self.config.clone(), self.name.clone())
            .map_err(|error| failed(error.to_string()))?;
        while session.is_handshaking() || session.wants_write() {
            if time_left(deadline).is_none() {
                return Err(failed("the TLS handshake took too long".into()));
            }
            if session.wants_write() {
                write_some(&mut socket, deadline, |socket| session.write_tls(socket)).map_err(&failed)?;
                continue;
            }
            match read_some(&mut socket, deadline, |socket| session.read_tls(socket)).map_err(&failed)? {
                Some(0) => {
                    return Err(failed("the host closed the connection during the TLS handshake".into()));
                }
                Some(_) => {}
                None => return Err(failed("the TLS handshake took too long".into())),
            }
            if let Err(error) = session.process_new_packets() {
                // Tell the host why, as far as it still listens.
                let courtesy = Instant::now() + Duration::from_millis(200);
                let _ = write_some(&mut socket, courtesy, |socket| session.write_tls(socket));
                return Err(failed(format!("TLS: {error}")));
            }
        }
        Ok(Box::new(TlsLine { socket, session }))
    }
}

struct TlsLine {
    socket: TcpStream,
    session: ClientConnection,
}

impl Line for TlsLine {
    fn send(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), SendError> {
        // The handshake is flushed, so every byte that leaves from here on belongs to the request.
        let mut written = 0;
        self.session
            .writer()
            .write_all(bytes)
            .map_err(|error| SendError { written, what: error.to_string() })?;
        while self.session.wants_write() {
            let session = &mut self.session;
            match write_some(&mut self.socket, deadline, |socket| session.write_tls(socket)) {
                Ok(count) => written += count,
                Err(what) => return Err(SendError { written, what }),
            }
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], until: Instant) -> Received {
        loop {
            match self.session.reader().read(buffer) {
                Ok(0) => return Received::Closed("the host closed the connection".into()),
                Ok(count) => return Received::Bytes(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Received::Closed(error.to_string()),
            }
            let session = &mut self.session;
            match read_some(&mut self.socket, until, |socket| session.read_tls(socket)) {
                Ok(None) => return Received::Nothing,
                Ok(Some(_)) => {}
                Err(what) => return Received::Closed(what),
            }
            if let Err(error) = self.session.process_new_packets() {
                return Received::Closed(format!("TLS: {error}"));
            }
            while self.session.wants_write() {
                let session = &mut self.session;
                if let Err(what) = write_some(&mut self.socket, until, |socket| session.write_tls(socket)) {
                    return Received::Closed(what);
                }
            }
        }
    }
}
