//! Answer codes as data: `codes.toml`, built in, read once (channels §4.3).

use std::collections::HashMap;

use serde::Deserialize;
use thiserror::Error;

/// Whose codes, as the tables name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Lines for every call that has none of its own.
    Any,
    /// Payment or hold by the customer's code.
    Pay,
    /// A code for the till's screen.
    Show,
    /// A query itself.
    Query,
    /// What a query asks about.
    Trade,
    /// Reversal.
    Reverse,
    /// Void, refund, completion, release.
    Follow,
}

impl Operation {
    /// For logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Pay => "pay",
            Self::Show => "show",
            Self::Query => "query",
            Self::Trade => "trade",
            Self::Reverse => "reversal",
            Self::Follow => "follow-on",
        }
    }
}

/// What an answer asks for. `codes.toml` explains each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Taken, not done.
    Accepted,
    /// Done, once the echoes fit.
    Approved,
    /// Under way.
    Poll,
    /// Not known.
    Ask,
    /// The payer was charged, and the trade did not come off.
    MoneyTaken,
    /// Was done, and went back.
    Returned,
    /// Our contract, key or settings: stop using the channel.
    ChannelFault,
    /// Another way to pay.
    OtherTender,
    /// A fresh code, under a new order.
    Rescan,
    /// A definite no.
    Decline,
    /// Nothing under that number.
    NotFound,
    /// The reversal is done.
    Undone,
    /// The request is refused for good.
    Refused,
}

impl Action {
    /// What the cashier does next, in a few words: English, Chinese.
    pub const fn advice(self) -> (&'static str, &'static str) {
        match self {
            Self::Approved | Self::Returned | Self::Undone => ("nothing more to do", "无需处理"),
            Self::Accepted | Self::Poll | Self::Ask | Self::MoneyTaken | Self::NotFound => {
                ("wait, the till finds out", "请稍候，收银机正在查询结果")
            }
            Self::ChannelFault => (
                "use another way to pay, and have the UnionPay settings and contract checked",
                "请换其他支付方式，并检查银联配置与签约",
            ),
            Self::OtherTender => {
                ("ask the customer for another card or way to pay", "请顾客更换银行卡或支付方式")
            }
            Self::Rescan => {
                ("ask the customer for a fresh code and scan again", "请顾客刷新付款码后重新扫码")
            }
            Self::Decline => ("the payment is declined", "支付被拒绝"),
            Self::Refused => (
                "a supervisor decides; look the payment up in the UnionPay merchant console",
                "请主管在银联商户服务平台核对后处理",
            ),
        }
    }

    /// Whether it says that the request did nothing and will do nothing.
    pub const fn is_no(self) -> bool {
        matches!(self, Self::ChannelFault | Self::OtherTender | Self::Rescan | Self::Decline | Self::Refused)
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

impl Codes {
    /// The table of this build.
    pub fn built_in() -> Result<Self, TableError> {
        toml::from_str(include_str!("codes.toml")).map(Self).map_err(|e| TableError(e.message().into()))
    }

    /// What a code means for a call.
    pub fn action(&self, operation: Operation, code: &str) -> Action {
        let line = |operation| self.0.get(&operation).and_then(|table| table.get(code)).copied();
        // Of a trade the general lines do not count: a trade is not refused for our signature.
        match line(operation) {
            Some(action) => action,
            None if operation == Operation::Trade && is_code(code) => Action::Decline,
            None if operation == Operation::Trade => Action::Ask,
            None => line(Operation::Any).unwrap_or(Action::Ask),
        }
    }
}

/// Two digits or capitals, as every code of the gateway.
fn is_code(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_two_codes_approve_and_only_of_a_trade() {
        let codes = Codes::built_in().unwrap();
        for operation in [
            Operation::Pay,
            Operation::Show,
            Operation::Query,
            Operation::Trade,
            Operation::Reverse,
            Operation::Follow,
        ] {
            for number in 0..36_u32 * 36 {
                let char = |n| char::from_digit(n, 36).unwrap().to_ascii_uppercase();
                let code: String = [char(number / 36), char(number % 36)].into_iter().collect();
                let approved = codes.action(operation, &code) == Action::Approved;
                assert_eq!(
                    approved,
                    operation == Operation::Trade && matches!(&*code, "00" | "A6"),
                    "{code}"
                );
            }
        }
    }

    #[test]
    fn a_customer_who_was_charged_is_never_told_declined() {
        let codes = Codes::built_in().unwrap();
        for code in ["42", "74", "75"] {
            assert_eq!(codes.action(Operation::Trade, code), Action::MoneyTaken);
        }
    }

    proptest! {
        #[test]
        fn an_answer_nobody_understands_is_never_a_no(code in "[0-9A-Z]{0,1}|[0-9A-Z]{3,8}|[a-z]{2}|\\PC{3,9}") {
            let codes = Codes::built_in().unwrap();
            for operation in [Operation::Pay, Operation::Show, Operation::Query, Operation::Trade, Operation::Reverse, Operation::Follow] {
                prop_assert_eq!(codes.action(operation, &code), Action::Ask);
            }
        }
    }
}
