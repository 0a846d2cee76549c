//! Answer codes as data: `codes.toml`, built in, read once (channels §3.3, §3.4).

use std::collections::HashMap;

use serde::Deserialize;
use thiserror::Error;

/// The calls of channels §3.1, as the tables name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Lines for every call that has none of its own.
    Any,
    /// Code payment, micropay.
    Pay,
    /// A code for the till's screen.
    Native,
    /// Order query.
    Query,
    /// Close.
    Close,
    /// Reverse.
    Reverse,
    /// Refund.
    Refund,
    /// Refund query.
    RefundQuery,
}

impl Operation {
    /// For logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Pay => "pay",
            Self::Native => "native",
            Self::Query => "query",
            Self::Close => "close",
            Self::Reverse => "reverse",
            Self::Refund => "refund",
            Self::RefundQuery => "refund query",
        }
    }
}

/// What an answer asks for. `codes.toml` explains each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Money moved, once the echoes fit.
    Approved,
    /// Ask again.
    Poll,
    /// Not known: ask, and undo what is not paid.
    QueryThenReverse,
    /// Our contract, key or settings: stop using the channel.
    ChannelFault,
    /// A fresh code, under a new order.
    Rescan,
    /// A new order number.
    NewOrder,
    /// Another way to pay.
    OtherTender,
    /// A definite no.
    Decline,
    /// Nothing under that number.
    NotFound,
    /// Ended without money, or undone.
    Closed,
    /// Was paid, and money of it went back.
    Returned,
    /// The undo is not done.
    ReverseAgain,
    /// Money went back.
    Refunded,
    /// The undo or refund is refused for good.
    Refused,
}

impl Action {
    /// What the cashier does next, in a few words: English, Chinese.
    pub const fn advice(self) -> (&'static str, &'static str) {
        match self {
            Self::Approved | Self::Closed | Self::Refunded | Self::Returned => {
                ("nothing more to do", "无需处理")
            }
            Self::Poll => ("the customer confirms on the phone", "等待顾客在手机上确认"),
            Self::QueryThenReverse | Self::NotFound | Self::ReverseAgain => {
                ("wait, the till finds out", "请稍候，收银机正在查询结果")
            }
            Self::ChannelFault => (
                "use another way to pay, and have the WeChat Pay settings and contract checked",
                "请换其他支付方式，并检查微信支付配置与签约",
            ),
            Self::Rescan => {
                ("ask the customer for a fresh code and scan again", "请顾客刷新付款码后重新扫码")
            }
            Self::NewOrder => ("start the payment again", "请重新发起支付"),
            Self::OtherTender => ("ask the customer for another way to pay", "请顾客更换支付方式"),
            Self::Decline => ("the payment is declined", "支付被拒绝"),
            Self::Refused => (
                "a supervisor decides; look the order up in the WeChat Pay merchant console",
                "请主管在微信支付商户平台核对后处理",
            ),
        }
    }
}

/// The built-in table is broken. Only a bad edit of `codes.toml` can cause it, and a test finds that.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the built-in table of answer codes does not parse: {0}; this build is damaged, reinstall the plugin"
)]
pub struct TableError(String);

/// The table.
#[derive(Clone, Debug)]
pub struct Codes(HashMap<Operation, HashMap<String, Action>>);

/// Interface v3 spells the names of v2 with underscores, not always the same ones.
fn plain(key: &str) -> String {
    key.chars().filter(|c| *c != '_').collect()
}

impl Codes {
    /// The table of this build.
    pub fn built_in() -> Result<Self, TableError> {
        let tables: HashMap<Operation, HashMap<String, Action>> =
            toml::from_str(include_str!("codes.toml")).map_err(|e| TableError(e.message().into()))?;
        let plain = |table: HashMap<String, Action>| table.into_iter().map(|(k, a)| (plain(&k), a)).collect();
        Ok(Self(tables.into_iter().map(|(operation, table)| (operation, plain(table))).collect()))
    }

    /// What a key means for a call. `status` is the HTTP status of the answer, 0 where the interface gives none.
    pub fn action(&self, operation: Operation, key: &str, status: u16) -> Action {
        // A host that is out of order has decided nothing, whatever code it states.
        if status >= 500 || status == 429 {
            return Action::QueryThenReverse;
        }
        let key = plain(key);
        let line = |operation| self.0.get(&operation).and_then(|table| table.get(&key)).copied();
        line(operation).or_else(|| line(Operation::Any)).unwrap_or_else(|| {
            let refused = (400..500).contains(&status) && !key.is_empty() && status != 408;
            match operation {
                Operation::Pay | Operation::Native if refused => Action::Decline,
                _ => Action::QueryThenReverse,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Operation; 7] = [
        Operation::Pay,
        Operation::Native,
        Operation::Query,
        Operation::Close,
        Operation::Reverse,
        Operation::Refund,
        Operation::RefundQuery,
    ];

    #[test]
    fn both_spellings_of_a_name_mean_the_same() {
        let codes = Codes::built_in().unwrap();
        for (one, other) in [("NOTENOUGH", "NOT_ENOUGH"), ("AUTHCODEEXPIRE", "AUTH_CODE_EXPIRE")] {
            assert_eq!(codes.action(Operation::Pay, one, 0), codes.action(Operation::Pay, other, 403));
        }
        assert_eq!(codes.action(Operation::Query, "ORDERNOTEXIST", 404), Action::NotFound);
    }

    #[test]
    fn a_host_that_is_out_of_order_or_overrun_has_decided_nothing() {
        let codes = Codes::built_in().unwrap();
        for status in [429, 500, 503] {
            assert_eq!(codes.action(Operation::Pay, "NOT_ENOUGH", status), Action::QueryThenReverse);
            assert_eq!(codes.action(Operation::Pay, "state=SUCCESS", status), Action::QueryThenReverse);
        }
        assert_eq!(codes.action(Operation::Pay, "", 403), Action::QueryThenReverse);
        assert_eq!(codes.action(Operation::Pay, "SOMETHING_NEW", 403), Action::Decline);
        assert_eq!(codes.action(Operation::Pay, "SOMETHING_NEW", 0), Action::QueryThenReverse);
    }

    proptest! {
        #[test]
        fn a_code_nobody_wrote_down_never_approves_refunds_or_ends_anything(code in "Q[A-Z_]{0,30}", status in 0_u16..600) {
            let codes = Codes::built_in().unwrap();
            for operation in ALL {
                let action = codes.action(operation, &code, status);
                let may_decline = matches!(operation, Operation::Pay | Operation::Native);
                prop_assert!(action == Action::QueryThenReverse || (may_decline && action == Action::Decline));
            }
        }
    }
}
