//! The gateway on the network: HTTP/1.1, plain and over TLS, and what faults do to a connection.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use http_body_util::{BodyExt, Limited};
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_rustls::TlsAcceptor;

use super::{body::Reply, control, form::Parameters, platform::Platform};
use crate::faults::{Fault, Hold, Plan};

/// Larger bodies are refused; a real request is about one kilobyte.
pub(crate) const LARGEST_BODY: usize = 256 * 1024;

/// What every connection needs.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) platform: Arc<Platform>,
    pub(crate) faults: Plan,
    pub(crate) latency: Duration,
}

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

/// Answers one request.
pub(crate) async fn handle(
    request: Request<Incoming>,
    shared: Shared,
    breaker: Arc<Breaker>,
) -> Result<Response<Reply>, HangUp> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
        return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"));
    };
    let body = body.to_bytes();
    if let Some(path) = parts.uri.path().strip_prefix("/_sim/") {
        return Ok(control::answer(&shared, &parts.method, path, &body));
    }
    if parts.uri.path() != "/gateway.do" {
        return Ok(plain(StatusCode::NOT_FOUND, "the gateway is at /gateway.do"));
    }
    if parts.method != Method::POST {
        return Ok(plain(StatusCode::METHOD_NOT_ALLOWED, "the gateway takes POST"));
    }
    let form = Parameters::read(parts.uri.query().unwrap_or_default().as_bytes(), &body);
    let (method, order) = named(form.as_ref().ok());
    let (fault, hold) = shared.faults.take_held(&method, order.as_deref()).unzip();
    sleep(shared.latency).await;
    match (&fault, hold) {
        (Some(fault), _) if !fault.books() && !matches!(fault, Fault::Answer { .. }) => {
            shared.platform.note_lost(&form, fault);
            return lost(fault, &breaker);
        }
        (Some(Fault::DelayBooking { ms }), _) => sleep(Duration::from_millis(*ms)).await,
        (Some(Fault::HoldBooking {}), Some(hold)) => Hold::released(hold).await,
        (Some(Fault::HoldReply {}), Some(hold)) => {
            let body = shared.platform.answer(&form, fault.as_ref());
            hold.released().await;
            return finish(body, fault.as_ref(), &breaker).await;
        }
        _ => {}
    }
    finish(shared.platform.answer(&form, fault.as_ref()), fault.as_ref(), &breaker).await
}

/// What the client sees of a request that never reached the books.
pub(crate) fn lost(fault: &Fault, breaker: &Breaker) -> Result<Response<Reply>, HangUp> {
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

async fn finish<E>(
    body: Result<Vec<u8>, E>,
    fault: Option<&Fault>,
    breaker: &Breaker,
) -> Result<Response<Reply>, HangUp> {
    // The only error is a signing library that failed; a real gateway would answer 500 too.
    let Ok(body) = body else { return Ok(plain(StatusCode::INTERNAL_SERVER_ERROR, "cannot sign")) };
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
    let kind = header::HeaderValue::from_static("text/html;charset=utf-8"); // as the real gateway says
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// Method and order number as the request claims them; the fault script goes by them, signed or not.
fn named(form: Option<&Parameters>) -> (String, Option<String>) {
    let method = form.and_then(|form| form.get("method")).unwrap_or_default().to_owned();
    let order = form.and_then(|form| form.get("biz_content")).and_then(|content| {
        let content: serde_json::Value = serde_json::from_str(content).ok()?;
        content.get("out_trade_no")?.as_str().map(str::to_owned)
    });
    (method, order)
}

/// A page of text.
pub(crate) fn plain(status: StatusCode, text: impl Into<String>) -> Response<Reply> {
    let mut response = Response::new(Reply::whole(text.into()));
    *response.status_mut() = status;
    response
}
