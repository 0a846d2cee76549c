//! The simulator's own addresses, for tests in other processes: `/_sim/…`. No real gateway has them.

use std::time::Duration;

use hyper::{Method, Response, StatusCode};
use jiff::SignedDuration;
use serde::Deserialize;

use super::methods::Shown;
use super::server::Shared;
use crate::wallet::Buyer;
use crate::wallet::body::Reply;
use crate::wallet::control::{self, given, json};
use crate::wallet::serve::plain;

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
    if let Some(answer) = control::faults(&shared.faults, method, path, body) {
        return answer;
    }
    match (method.as_str(), path) {
        ("GET", "ledger") => json(&shared.platform.snapshot()),
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
        ("POST", "profile") => given(body, |shown: Shown| {
            shared.platform.show(shown);
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
            "known: GET ledger, GET|POST|DELETE faults, POST release, buyers, scan, advance, profile, finish",
        ),
    }
}
