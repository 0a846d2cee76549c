//! HTTP/1.1, plain and over TLS, and what faults do to a connection.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use http_body_util::{BodyExt, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{HeaderName, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_rustls::TlsAcceptor;

use super::body::Reply;
use crate::faults::{Fault, Hold};

/// Larger bodies are refused; a real request is about one kilobyte.
const LARGEST_BODY: usize = 256 * 1024;

/// The connection is to end without another byte.
#[derive(Debug, thiserror::Error)]
#[error("the simulator closes the connection here")]
pub(crate) struct HangUp;

/// What a request becomes: an answer, or the end of its connection.
pub(crate) type Answered = Result<Response<Reply>, HangUp>;

/// Accepts connections until its runtime ends, and has every request answered.
pub(crate) async fn serve<A, F>(listener: std::net::TcpListener, tls: Option<TlsAcceptor>, answer: A)
where
    A: Fn(Request<Incoming>, Arc<Breaker>) -> F + Clone + Send + 'static,
    F: Future<Output = Answered> + Send + 'static,
{
    // Fails only outside a runtime.
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, tls.clone(), answer.clone()));
            }
            // Out of descriptors, mostly: the next connection may fare better.
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection<A, F>(stream: TcpStream, tls: Option<TlsAcceptor>, answer: A)
where
    A: Fn(Request<Incoming>, Arc<Breaker>) -> F + Clone + Send + 'static,
    F: Future<Output = Answered> + Send + 'static,
{
    let _ = stream.set_nodelay(true);
    let Ok(breaker) = Breaker::new(&stream) else { return };
    match tls {
        None => converse(stream, answer, breaker).await,
        // A client that refuses our certificate, or speaks no TLS, just goes.
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                converse(stream, answer, breaker).await;
            }
        }
    }
}

async fn converse<A, F>(stream: impl AsyncRead + AsyncWrite + Unpin, answer: A, breaker: Arc<Breaker>)
where
    A: Fn(Request<Incoming>, Arc<Breaker>) -> F + Clone + Send + 'static,
    F: Future<Output = Answered> + Send + 'static,
{
    let reset = Arc::clone(&breaker);
    let service = service_fn(move |request| {
        let (answer, breaker) = (answer.clone(), Arc::clone(&breaker));
        async move {
            // In a task of its own: a request that has arrived is booked even if its sender hangs up meanwhile.
            match tokio::spawn(answer(request, breaker)).await {
                Ok(result) => result,
                Err(_) => Err(HangUp),
            }
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(30))
        .serve_connection(TokioIo::new(stream), service)
        .await;
    // An error here is a client that went away or a fault that was asked for: nothing to tell.
    drop(served);
    drop(reset);
}

/// A second handle on a connection's socket, for the option that turns its close into a reset.
#[derive(Debug)]
pub(crate) struct Breaker(OwnedFd);

impl Breaker {
    fn new(stream: &TcpStream) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self(stream.as_fd().try_clone_to_owned()?)))
    }

    /// When the last handle goes, the peer gets RST.
    pub(crate) fn reset(&self) {
        // A socket that refuses the option is closed all the same, with FIN.
        let _ = rustix::net::sockopt::set_socket_linger(&self.0, Some(Duration::ZERO));
    }
}

/// The whole body of a request, or the answer to one that is too large.
pub(crate) async fn whole(body: Incoming) -> Result<Bytes, Response<Reply>> {
    let whole = Limited::new(body, LARGEST_BODY).collect().await;
    whole
        .map(http_body_util::Collected::to_bytes)
        .map_err(|_| plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"))
}

/// An answer before a fault has bent how it is delivered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Made {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// Takes a request through the fault that strikes it: before the books, the books (`answer`), and behind them. A request
/// that never reaches the books is noted with `note_lost`.
pub(crate) async fn exchange<E>(
    struck: Option<(Fault, Hold)>,
    latency: Duration,
    breaker: &Breaker,
    note_lost: impl FnOnce(&Fault),
    answer: impl FnOnce(Option<&Fault>) -> Result<Made, E>,
) -> Answered {
    let (fault, hold) = struck.unzip();
    let fault = fault.as_ref();
    sleep(latency).await;
    let mut held = None;
    match (fault, hold) {
        (Some(fault), _) if !fault.books() && !matches!(fault, Fault::Answer { .. }) => {
            note_lost(fault);
            return lost(fault, breaker);
        }
        (Some(Fault::DelayBooking { ms }), _) => sleep(Duration::from_millis(*ms)).await,
        (Some(Fault::HoldBooking {}), Some(hold)) => hold.released().await,
        (Some(Fault::HoldReply {}), hold) => held = hold,
        _ => {}
    }
    // The only error is a library that failed to sign; a real gateway would answer 500 too.
    let made = answer(fault).ok();
    if let Some(hold) = held {
        hold.released().await;
    }
    match made {
        Some(made) => finish(made, fault, breaker).await,
        None => Ok(plain(StatusCode::INTERNAL_SERVER_ERROR, "cannot sign")),
    }
}

/// What the client sees of a request that never reached the books.
fn lost(fault: &Fault, breaker: &Breaker) -> Result<Response<Reply>, HangUp> {
    match fault {
        Fault::HttpStatus { status } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Ok(plain(status, "<html><body><h1>the simulator's gateway is out of order</h1></body></html>"))
        }
        Fault::Reset { .. } => {
            breaker.reset();
            Err(HangUp)
        }
        _ => Err(HangUp),
    }
}

async fn finish(made: Made, fault: Option<&Fault>, breaker: &Breaker) -> Answered {
    let Made { status, headers, body } = made;
    let reply = match fault {
        Some(Fault::DropAfterBooking {}) => return Err(HangUp),
        Some(Fault::Reset { .. }) => {
            breaker.reset();
            return Err(HangUp);
        }
        Some(Fault::DelayReply { ms }) => {
            sleep(Duration::from_millis(*ms)).await;
            Reply::whole(body)
        }
        Some(Fault::HalfReply {}) => Reply::half(body),
        Some(Fault::Slow { ms_per_byte }) => Reply::drip(body, Duration::from_millis(*ms_per_byte)),
        Some(Fault::Garbage {}) => Reply::whole(&b"\x00\xff{{ this is no reply"[..]),
        _ => Reply::whole(body),
    };
    let mut response = Response::new(reply);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    Ok(response)
}

/// A page of text.
pub(crate) fn plain(status: StatusCode, text: impl Into<String>) -> Response<Reply> {
    let mut response = Response::new(Reply::whole(text.into()));
    *response.status_mut() = status;
    response
}
