//! The simulator's own addresses, for tests in other processes: `/_sim/…`. No real gateway has them.

use std::time::Duration;

use hyper::{Method, Response, StatusCode, header};
use jiff::SignedDuration;
use serde::Deserialize;

use super::{
    body::Reply,
    buyer::Buyer,
    server::{Shared, plain},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetBuyer {
    auth_code: String,
    buyer: Buyer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scan {
    out_trade_no: String,
    #[serde(default)]
    buyer: Buyer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Finish {
    out_trade_no: String,
}

/// Answers one control request.
pub(crate) fn answer(shared: &Shared, method: &Method, path: &str, body: &[u8]) -> Response<Reply> {
    match (method.as_str(), path) {
        ("GET", "ledger") => json(&shared.platform.snapshot()),
        ("GET", "faults") => json(&serde_json::json!({
            "pending": shared.faults.pending(),
            "fired": shared.faults.fired(),
        })),
        ("POST", "faults") => match std::str::from_utf8(body).map(|text| shared.faults.load(text)) {
            Ok(Ok(count)) => json(&serde_json::json!({"added": count})),
            Ok(Err(error)) => plain(StatusCode::BAD_REQUEST, error.to_string()),
            Err(_) => plain(StatusCode::BAD_REQUEST, "the fault script is not UTF-8"),
        },
        ("DELETE", "faults") => {
            shared.faults.clear();
            json(&serde_json::json!({}))
        }
        ("POST", "release") => {
            shared.faults.release();
            json(&serde_json::json!({}))
        }
        ("POST", "buyers") => given(body, |set: SetBuyer| {
            shared.platform.set_buyer(&set.auth_code, set.buyer);
            Ok(())
        }),
        ("POST", "scan") => given(body, |scan: Scan| {
            if shared.platform.scan(&scan.out_trade_no, scan.buyer) {
                Ok(())
            } else {
                Err("there is no code of that order to scan; precreate it first, and scan it once")
            }
        }),
        ("POST", "advance") => given(body, |advance: Advance| {
            let by = SignedDuration::try_from(Duration::from_secs(advance.seconds));
            shared.platform.advance(by.map_err(|_| "too many seconds")?);
            Ok(())
        }),
        ("POST", "finish") => given(body, |finish: Finish| {
            if shared.platform.finish(&finish.out_trade_no) {
                Ok(())
            } else {
                Err("no paid trade has that order number")
            }
        }),
        _ => plain(
            StatusCode::NOT_FOUND,
            "known: GET ledger, GET|POST|DELETE faults, POST release, buyers, scan, advance, finish",
        ),
    }
}

fn given<T: for<'a> Deserialize<'a>>(
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

fn json(value: &impl serde::Serialize) -> Response<Reply> {
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
