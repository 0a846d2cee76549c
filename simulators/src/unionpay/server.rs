//! The gateway on the network.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use jiff::SignedDuration;
use serde::Deserialize;

use super::Buyer;
use super::books::Kind;
use super::inside::Inside;
use crate::faults::Plan;
use crate::wallet::body::Reply;
use crate::wallet::control::{self, given, json};
use crate::wallet::form::{FormError, Parameters};
use crate::wallet::serve::{Answered, Breaker, exchange, plain, whole};

/// What every connection needs.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) inside: Arc<Inside>,
    pub(crate) faults: Plan,
    pub(crate) latency: Duration,
}

/// Which operation a request is, as it claims; fault scripts go by it, signed or not.
pub(crate) fn operation(form: &Result<Parameters, FormError>) -> &'static str {
    let get = |name| form.as_ref().ok().and_then(|form| form.get(name)).unwrap_or_default();
    match (get("txnType"), get("txnSubType")) {
        ("00", _) => "query",
        ("99", "01") => "reverse",
        (kind, sub) => Kind::of(kind, sub).map_or("", Kind::operation),
    }
}

/// Answers one request.
pub(crate) async fn handle(request: Request<Incoming>, shared: Shared, breaker: Arc<Breaker>) -> Answered {
    let (parts, body) = request.into_parts();
    let body = match whole(body).await {
        Ok(body) => body,
        Err(refused) => return Ok(refused),
    };
    let path = parts.uri.path();
    if let Some(path) = path.strip_prefix("/_sim/") {
        return Ok(look(&shared, &parts.method, path, &body));
    }
    let queries = match path {
        "/gateway/api/queryTrans.do" => true,
        "/gateway/api/backTransReq.do" => false,
        _ => return Ok(plain(StatusCode::NOT_FOUND, "no such interface")),
    };
    if parts.method != Method::POST {
        return Ok(plain(StatusCode::METHOD_NOT_ALLOWED, "the gateway takes POST"));
    }
    let form = Parameters::read(b"", &body);
    let operation = operation(&form);
    if (operation == "query") != queries {
        return Ok(plain(StatusCode::NOT_FOUND, "that is asked at the other address"));
    }
    let order = form.as_ref().ok().and_then(|form| form.get("orderId")).map(str::to_owned);
    let struck = shared.faults.take_held(operation, order.as_deref());
    exchange(
        struck,
        shared.latency,
        &breaker,
        |fault| shared.inside.note_lost(operation, &form, fault),
        |fault| shared.inside.answer(operation, &form, fault),
    )
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetBuyer {
    code: String,
    buyer: Buyer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scan {
    order_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: i64,
}

/// The simulator's own addresses, for tests in other processes. No real gateway has them.
fn look(shared: &Shared, method: &Method, path: &str, body: &[u8]) -> Response<Reply> {
    if let Some(answer) = control::faults(&shared.faults, method, path, body) {
        return answer;
    }
    match (method.as_str(), path) {
        ("GET", "ledger") => json(&shared.inside.snapshot()),
        ("POST", "buyers") => given(body, |set: SetBuyer| {
            shared.inside.set_buyer(&set.code, set.buyer);
            Ok(())
        }),
        ("POST", "scan") => given(body, |scan: Scan| {
            if shared.inside.scan(&scan.order_id) {
                Ok(())
            } else {
                Err("there is no code of that order to scan")
            }
        }),
        ("POST", "advance") => given(body, |advance: Advance| {
            shared.inside.advance(SignedDuration::from_secs(advance.seconds));
            Ok(())
        }),
        _ => plain(
            StatusCode::NOT_FOUND,
            "known: GET ledger, GET|POST|DELETE faults, POST release, buyers, scan, advance",
        ),
    }
}
