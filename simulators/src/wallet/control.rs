//! Addresses of a simulator's own, for tests in other processes: `/_sim/…`. No real gateway has them.

use hyper::{Method, Response, StatusCode, header};
use serde::Deserialize;

use super::body::Reply;
use super::serve::plain;
use crate::faults::Plan;

/// What goes wrong: `faults` (GET, POST, DELETE) and `release`. Nothing where the address is another.
pub(crate) fn faults(plan: &Plan, method: &Method, path: &str, body: &[u8]) -> Option<Response<Reply>> {
    Some(match (method.as_str(), path) {
        ("GET", "faults") => json(&serde_json::json!({
            "pending": plan.pending(),
            "fired": plan.fired(),
        })),
        ("POST", "faults") => match std::str::from_utf8(body).map(|text| plan.load(text)) {
            Ok(Ok(count)) => json(&serde_json::json!({"added": count})),
            Ok(Err(error)) => plain(StatusCode::BAD_REQUEST, error.to_string()),
            Err(_) => plain(StatusCode::BAD_REQUEST, "the fault script is not UTF-8"),
        },
        ("DELETE", "faults") => {
            plan.clear();
            json(&serde_json::json!({}))
        }
        ("POST", "release") => {
            plan.release();
            json(&serde_json::json!({}))
        }
        _ => return None,
    })
}

/// Reads what was given and does it.
pub(crate) fn given<T: for<'a> Deserialize<'a>>(
    body: &[u8],
    run: impl FnOnce(T) -> Result<(), &'static str>,
) -> Response<Reply> {
    match serde_json::from_slice(body) {
        Ok(value) => match run(value) {
            Ok(()) => json(&serde_json::json!({})),
            Err(reason) => plain(StatusCode::CONFLICT, reason),
        },
        // serde's text may quote the body, and a body here may hold a wallet code: only say where.
        Err(error) => plain(
            StatusCode::BAD_REQUEST,
            format!("not the JSON wanted here (line {}, column {})", error.line(), error.column()),
        ),
    }
}

/// An answer in JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> Response<Reply> {
    match serde_json::to_string_pretty(value) {
        Ok(text) => {
            let mut response = Response::new(Reply::whole(text + "\n"));
            let kind = header::HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
