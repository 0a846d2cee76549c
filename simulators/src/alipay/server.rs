//! The gateway on the network.

use std::{sync::Arc, time::Duration};

use hyper::{Method, Request, StatusCode, body::Incoming};

use super::{control, platform::Platform};
use crate::faults::Plan;
use crate::wallet::form::Parameters;
use crate::wallet::serve::{Answered, Breaker, Made, exchange, plain, whole};

/// What every connection needs.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) platform: Arc<Platform>,
    pub(crate) faults: Plan,
    pub(crate) latency: Duration,
}

/// Answers one request.
pub(crate) async fn handle(request: Request<Incoming>, shared: Shared, breaker: Arc<Breaker>) -> Answered {
    let (parts, body) = request.into_parts();
    let body = match whole(body).await {
        Ok(body) => body,
        Err(refused) => return Ok(refused),
    };
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
    let struck = shared.faults.take_held(&method, order.as_deref());
    let kind = ("content-type", "text/html;charset=utf-8".to_owned()); // as the real gateway says
    exchange(
        struck,
        shared.latency,
        &breaker,
        |fault| shared.platform.note_lost(&form, fault),
        |fault| {
            let body = shared.platform.answer(&form, fault)?;
            Ok::<_, crate::wallet::keys::KeyError>(Made { status: 200, headers: vec![kind], body })
        },
    )
    .await
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
