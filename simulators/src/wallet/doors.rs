//! Where a wallet is reached: plain HTTP and HTTPS, served by a thread of its own.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use super::keys::KeyError;
use super::serve::{Answered, Breaker, serve};
use super::tls::TlsError;
use crate::background::Background;

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// A key was refused or could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address is not to be had.
    #[error("cannot listen on {address}: {source}; choose a free port, or 0 for any")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The gateway's thread could not be started.
    #[error("cannot start the gateway's thread: {0}")]
    Thread(#[source] io::Error),
}

/// A wallet's open doors. Dropping them closes them: the ports are free then, and open connections are cut.
pub(crate) struct Doors {
    pub(crate) http: SocketAddr,
    pub(crate) https: Option<SocketAddr>,
    _running: Background,
}

impl Doors {
    /// Accepts connections when this returns, and has every request answered by `answer`.
    pub(crate) fn open<A, F>(
        name: &str,
        http: SocketAddr,
        https: Option<SocketAddr>,
        tls: Arc<ServerConfig>,
        answer: A,
    ) -> Result<Self, GatewayError>
    where
        A: Fn(Request<Incoming>, Arc<Breaker>) -> F + Clone + Send + 'static,
        F: Future<Output = Answered> + Send + 'static,
    {
        // Bound here, so that a port that is taken is told to the caller and connections queue at once.
        let (plain, http) = listen(http)?;
        let (secure, https) = https.map(listen).transpose()?.unzip();
        let acceptor = TlsAcceptor::from(tls);
        let running = Background::spawn(name, move || async move {
            let over_tls = async {
                if let Some(listener) = secure {
                    serve(listener, Some(acceptor), answer.clone()).await;
                }
            };
            tokio::join!(serve(plain, None, answer.clone()), over_tls);
        })
        .map_err(GatewayError::Thread)?;
        Ok(Self { http, https, _running: running })
    }
}

/// Binds a port, ready to be taken over by the gateway's runtime.
fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), GatewayError> {
    let failed = |source| GatewayError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
