//! The platform on the network: HTTP/1.1, plain and over TLS, and what faults do to a connection.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use tokio::time::sleep;

use super::inside::{Asked, Inside};
use super::{three, two};
use crate::alipay::body::Reply;
use crate::alipay::server::{Breaker, HangUp, LARGEST_BODY, lost, plain};
use crate::faults::{Fault, Hold, Plan};

/// What every connection needs.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) inside: Arc<Inside>,
    pub(crate) faults: Plan,
    pub(crate) latency: Duration,
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
    let body = body.to_bytes().to_vec();
    let path = parts.uri.path().to_owned();
    if let Some(path) = path.strip_prefix("/_sim/") {
        return Ok(control(&shared, parts.method.as_str(), path, &body));
    }
    let header = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let method = parts.method.as_str().to_owned();
    let by_two = two::route(&path);
    let routed = by_two.map(|op| (op, String::new())).or_else(|| three::route(&method, &path));
    let Some((operation, mut number)) = routed else {
        return Ok(plain(StatusCode::NOT_FOUND, "no such interface"));
    };
    if number.is_empty() {
        number = number_in(by_two.is_some(), operation, &body);
    }
    let asked = Asked {
        query: parts.uri.query().unwrap_or_default().to_owned(),
        authorization: header("authorization").to_owned(),
        operation: Some(operation),
        two: by_two.is_some(),
        method,
        path,
        body,
        number,
    };
    let (fault, hold) = shared.faults.take_held(operation, Some(&asked.number)).unzip();
    sleep(shared.latency).await;
    match (&fault, hold) {
        (Some(fault), _) if !fault.books() && !matches!(fault, Fault::Answer { .. }) => {
            shared.inside.note_lost(&asked, fault);
            return lost(fault, &breaker);
        }
        (Some(Fault::DelayBooking { ms }), _) => sleep(Duration::from_millis(*ms)).await,
        (Some(Fault::HoldBooking {}), Some(hold)) => Hold::released(hold).await,
        (Some(Fault::HoldReply {}), Some(hold)) => {
            let answer = shared.inside.answer(&asked, fault.as_ref());
            hold.released().await;
            return finish(answer, fault.as_ref(), &breaker).await;
        }
        _ => {}
    }
    finish(shared.inside.answer(&asked, fault.as_ref()), fault.as_ref(), &breaker).await
}

/// The number a request is about, as it claims it; fault scripts go by it.
fn number_in(by_two: bool, operation: &str, body: &[u8]) -> String {
    let name = if operation.starts_with("refund") { "out_refund_no" } else { "out_trade_no" };
    if by_two {
        let fields = two::parse(body).unwrap_or_default();
        return fields.into_iter().find(|(k, _)| k == name).map(|(_, v)| v).unwrap_or_default();
    }
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    json.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}

async fn finish<E>(
    answer: Result<super::sealing::Sealed, E>,
    fault: Option<&Fault>,
    breaker: &Breaker,
) -> Result<Response<Reply>, HangUp> {
    // The only error is a library that failed; a real platform would answer 500 too.
    let Ok(answer) = answer else { return Ok(plain(StatusCode::INTERNAL_SERVER_ERROR, "cannot sign")) };
    let body = answer.body;
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
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    Ok(response)
}

/// The simulator's own addresses, for tests in other processes. No real platform has them.
fn control(shared: &Shared, method: &str, path: &str, body: &[u8]) -> Response<Reply> {
    match (method, path) {
        ("GET", "ledger") => match serde_json::to_string_pretty(&shared.inside.snapshot()) {
            Ok(text) => plain(StatusCode::OK, text),
            Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        },
        ("POST", "faults") => match std::str::from_utf8(body).map(|text| shared.faults.load(text)) {
            Ok(Ok(count)) => plain(StatusCode::OK, count.to_string()),
            Ok(Err(error)) => plain(StatusCode::BAD_REQUEST, error.to_string()),
            Err(_) => plain(StatusCode::BAD_REQUEST, "the fault script is not UTF-8"),
        },
        ("DELETE", "faults") => {
            shared.faults.clear();
            plain(StatusCode::OK, "")
        }
        _ => plain(StatusCode::NOT_FOUND, "known: GET ledger, POST|DELETE faults"),
    }
}
