//! The platform on the network.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};

use super::inside::{Asked, Inside};
use super::{three, two};
use crate::faults::Plan;
use crate::wallet::body::Reply;
use crate::wallet::control;
use crate::wallet::serve::{Answered, Breaker, exchange, plain, whole};

/// What every connection needs.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) inside: Arc<Inside>,
    pub(crate) faults: Plan,
    pub(crate) latency: Duration,
}

/// Answers one request.
pub(crate) async fn handle(request: Request<Incoming>, shared: Shared, breaker: Arc<Breaker>) -> Answered {
    let (parts, body) = request.into_parts();
    let body = match whole(body).await {
        Ok(body) => body.to_vec(),
        Err(refused) => return Ok(refused),
    };
    let path = parts.uri.path().to_owned();
    if let Some(path) = path.strip_prefix("/_sim/") {
        return Ok(look(&shared, &parts.method, path, &body));
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
    let struck = shared.faults.take_held(operation, Some(&asked.number));
    exchange(
        struck,
        shared.latency,
        &breaker,
        |fault| shared.inside.note_lost(&asked, fault),
        |fault| shared.inside.answer(&asked, fault),
    )
    .await
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

/// The simulator's own addresses, for tests in other processes. No real platform has them.
fn look(shared: &Shared, method: &Method, path: &str, body: &[u8]) -> Response<Reply> {
    match (method.as_str(), path) {
        ("GET", "ledger") => control::json(&shared.inside.snapshot()),
        _ => control::faults(&shared.faults, method, path, body).unwrap_or_else(|| {
            plain(StatusCode::NOT_FOUND, "known: GET ledger, GET|POST|DELETE faults, POST release")
        }),
    }
}
