//! Answer codes as data: `codes.toml`, built in, read once (channels §2.4).

use std::collections::HashMap;

use serde::Deserialize;
use thiserror::Error;

/// The calls of channels §2.2, as the tables name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Lines for every call that has none of its own.
    Any,
    /// `alipay.trade.pay`.
    Pay,
    /// `alipay.trade.precreate`.
    Precreate,
    /// `alipay.trade.query`.
    Query,
    /// `alipay.trade.cancel`.
    Cancel,
    /// `alipay.trade.refund`.
    Refund,
    /// `alipay.trade.fastpay.refund.query`.
    RefundQuery,
    /// `alipay.trade.close`.
    Close,
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
    QueryThenCancel,
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
    /// Not there yet, may still arrive.
    Cancel,
    /// The cancel is not done.
    CancelAgain,
    /// Undone.
    Closed,
    /// Money went back.
    Refunded,
    /// The same refund again is safe.
    RefundAgainSameNumber,
    /// Nothing under that number.
    NotFound,
    /// The undo or refund is refused for good.
    Refused,
}

impl Action {
    /// What the cashier does next, in a few words: English, Chinese.
    pub const fn advice(self) -> (&'static str, &'static str) {
        match self {
            Self::Approved | Self::Closed | Self::Refunded => ("nothing more to do", "无需处理"),
            Self::Poll => ("the customer confirms on the phone", "等待顾客在手机上确认"),
            Self::QueryThenCancel | Self::Cancel | Self::CancelAgain | Self::RefundAgainSameNumber => {
                ("wait, the till finds out", "请稍候，收银机正在查询结果")
            }
            Self::ChannelFault => (
                "use another way to pay, and have the Alipay settings and contract checked",
                "请换其他支付方式，并检查支付宝配置与签约",
            ),
            Self::Rescan => {
                ("ask the customer for a fresh code and scan again", "请顾客刷新付款码后重新扫码")
            }
            Self::NewOrder => ("start the payment again", "请重新发起支付"),
            Self::OtherTender => ("ask the customer for another way to pay", "请顾客更换支付方式"),
            Self::Decline => ("the payment is declined", "支付被拒绝"),
            Self::NotFound => ("there is no such trade", "交易不存在"),
            Self::Refused => (
                "a supervisor decides; look the trade up in the Alipay merchant console",
                "请主管在支付宝商家后台核对后处理",
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
#[derive(Clone, Debug, Deserialize)]
pub struct Codes(HashMap<Operation, HashMap<String, Action>>);

impl Codes {
    /// The table of this build.
    pub fn built_in() -> Result<Self, TableError> {
        toml::from_str(include_str!("codes.toml")).map_err(|e| TableError(e.message().into()))
    }

    /// What `key` (a code, a `code/sub_code`, or a decided field such as `retry_flag=Y`) means for a call.
    /// The narrow line wins over the wide one; what nobody wrote down is not known.
    pub fn action(&self, operation: Operation, key: &str) -> Action {
        let code = key.split_once('/').map_or(key, |(code, _)| code);
        let line = |operation, key| self.0.get(&operation).and_then(|table| table.get(key)).copied();
        line(operation, key)
            .or_else(|| line(Operation::Any, key))
            // A refusal by the gateway decides whatever its sub_code. A success never does: one that carries a
            // sub_code contradicts itself.
            .or_else(|| {
                line(operation, code)
                    .or_else(|| line(Operation::Any, code))
                    .filter(|_| !code.starts_with('1'))
            })
            .unwrap_or(Action::QueryThenCancel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_built_in_table_parses_and_40004_alone_means_nothing() {
        let codes = Codes::built_in().unwrap();
        assert_eq!(codes.action(Operation::Pay, "40004"), Action::QueryThenCancel);
        assert_eq!(codes.action(Operation::Pay, "40004/ACQ.SOMETHING_NEW"), Action::QueryThenCancel);
        assert_eq!(codes.action(Operation::Query, "40002/isv.invalid-signature"), Action::ChannelFault);
        assert_eq!(codes.action(Operation::Pay, "20000/isp.unknow-error"), Action::QueryThenCancel);
    }

    #[test]
    fn a_success_code_with_a_sub_code_is_no_success() {
        let codes = Codes::built_in().unwrap();
        assert_eq!(codes.action(Operation::Pay, "10000"), Action::Approved);
        assert_eq!(codes.action(Operation::Pay, "10000/ACQ.PAYMENT_FAIL"), Action::QueryThenCancel);
    }

    proptest! {
        #[test]
        fn a_code_nobody_wrote_down_never_approves_declines_or_refunds(code in "[3-9][0-9]{4}(/[A-Z.]{1,20})?") {
            let codes = Codes::built_in().unwrap();
            prop_assume!(!["40001", "40002", "40003", "40006"].iter().any(|known| code.starts_with(known)));
            for operation in [Operation::Pay, Operation::Query, Operation::Cancel, Operation::Refund,
                Operation::RefundQuery, Operation::Precreate, Operation::Close] {
                prop_assert_eq!(codes.action(operation, &code), Action::QueryThenCancel);
            }
        }
    }
}
