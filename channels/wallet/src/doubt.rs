//! How a failed exchange reads as an outcome (channels §0.1): not sent only where no byte left, else unknown.

use till_plugin::channel::{Decline, DeclineClass, NextStep, Unknown, UnknownReason};

use crate::http::HttpError;
use crate::link::LinkError;

/// The daemon's words for not knowing; `Err` when in fact nothing was sent. `wallet` is its name in Chinese.
pub fn of_link(error: &LinkError, wallet: &str) -> Result<Unknown, Decline> {
    let reason = match error {
        LinkError::NotSent { .. } => {
            return Err(Decline {
                next: NextStep::Later,
                text_zh: format!("无法连接{wallet}，请求未发出；请检查网络或换其他支付方式"),
                ..Decline::local(DeclineClass::Channel, "not-sent", error.to_string())
            });
        }
        LinkError::NoAnswer { .. } => UnknownReason::NoAnswer,
        LinkError::Broken { .. } => UnknownReason::Broken,
        LinkError::Answer(HttpError::Status(_)) => UnknownReason::HostFault,
        LinkError::Answer(_) => UnknownReason::Garbage,
    };
    Ok(Unknown::new(reason, error.to_string()))
}
