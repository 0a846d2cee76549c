//! Why an inquiry told no balance, and what to do next.

use till_hosts::HostError;
use till_plugin::channel::Decline;

use super::book::GivenUp;
use crate::till::TillError;
use crate::till::pads::NoPin;

/// Why there is no balance.
#[derive(Debug)]
pub(crate) enum Untold {
    /// One is under way.
    Another,
    /// The till does not let it go out.
    Till(TillError),
    /// The ticket is of no card.
    NoCard,
    /// The card is not of this channel's kind.
    AnotherKind(String),
    /// The channel's process is not there.
    NoProcess(String),
    /// Stopped before anything was sent.
    GivenUp(GivenUp),
    /// No PIN came from the pad.
    NoPin(NoPin),
    /// The channel, or its network, says no.
    Declined(Decline),
    /// The plugin's process failed.
    Host(HostError),
}

impl From<TillError> for Untold {
    fn from(e: TillError) -> Self {
        Self::Till(e)
    }
}

/// What people are told of a PIN that did not come. Nothing was sent.
pub(crate) fn no_pin(why: &NoPin) -> String {
    let (en, zh) = match why {
        NoPin::NoPad => ("the PIN pad is away: connect it and ask again", "密码键盘未连接，请连接后重试"),
        NoPin::NotEntered => ("no PIN was entered: present the card again", "未输入密码，请重新出示卡片"),
        NoPin::Cancelled => ("stopped before anything was sent", "发送前已取消"),
        NoPin::Silent => {
            ("the PIN pad did not answer: look at its cable and power", "密码键盘无应答，请检查连接")
        }
        NoPin::Gone => ("the PIN pad went away: connect it and ask again", "密码键盘已断开，请连接后重试"),
        NoPin::Busy => (
            "the PIN pad has not ended an earlier request: ask again, or restart it",
            "密码键盘忙，请稍后重试",
        ),
        NoPin::Fault(what) => return format!("no PIN: {what}: ask again 密码键盘故障，请重试"),
        NoPin::Digits => (
            "the PIN pad sent something else than a PIN block; nothing of it was kept, and it is not asked any more",
            "密码键盘数据异常，请勿继续使用",
        ),
    };
    format!("{en} {zh}")
}
