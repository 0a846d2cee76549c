//! The platform's books and the rules of trade (channels.md §3.3). Nothing here trusts the till.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::{Account, Buyer};
use crate::wallet::{Digest, digest_of, masked};

/// No reverse sooner than this after the payment.
const REVERSE_FROM: Duration = Duration::from_secs(15);
/// No reverse later than this.
const REVERSE_UNTIL: Duration = Duration::from_hours(7 * 24);

/// What an order has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// Shown, not paid.
    NotPay,
    /// The customer is typing the password.
    UserPaying,
    /// Paid.
    Success,
    /// Paid, and money of it went back.
    Refund,
    /// Closed without payment.
    Closed,
    /// Reversed.
    Revoked,
    /// The customer gave up.
    PayError,
}

impl State {
    /// The protocol's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotPay => "NOTPAY",
            Self::UserPaying => "USERPAYING",
            Self::Success => "SUCCESS",
            Self::Refund => "REFUND",
            Self::Closed => "CLOSED",
            Self::Revoked => "REVOKED",
            Self::PayError => "PAYERROR",
        }
    }
}

/// Money given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refund {
    /// The till's number for it; a reverse has the number `reverse`.
    pub out_refund_no: String,
    /// How much, fen.
    pub amount: i64,
    /// When it was taken.
    pub at: Timestamp,
}

/// One order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trade {
    /// The till's order number.
    pub out_trade_no: String,
    /// The platform's number.
    pub transaction_id: String,
    /// What it has come to.
    pub state: State,
    /// The amount asked, fen.
    pub total: i64,
    /// Whether the till shows a code for it.
    pub native: bool,
    /// When the request was booked.
    pub opened_at: Timestamp,
    /// When the customer paid.
    pub paid_at: Option<Timestamp>,
    /// What was given back.
    pub refunds: Vec<Refund>,
    /// The wallet code, masked.
    pub wallet_code: Option<String>,
    /// How its customer behaves.
    pub buyer: Buyer,
    #[serde(skip)]
    code: Option<Digest>,
}

impl Trade {
    /// What the merchant has of it now, fen.
    pub fn kept(&self) -> i64 {
        let back: i64 = self.refunds.iter().map(|refund| refund.amount).sum();
        if self.paid_at.is_some() { self.total - back } else { 0 }
    }

    fn catch_up(&mut self, now: Timestamp, patience: Duration) {
        if self.state != State::UserPaying {
            return;
        }
        let ends = self.opened_at.checked_add(patience).unwrap_or(Timestamp::MAX);
        let act =
            self.buyer.act().and_then(|(after, pays)| Some((self.opened_at.checked_add(after).ok()?, pays)));
        match act {
            Some((at, true)) if at <= now && at <= ends => {
                self.state = State::Success;
                self.paid_at = Some(at);
            }
            Some((at, false)) if at <= now && at <= ends => self.state = State::PayError,
            _ if ends <= now => self.state = State::Revoked,
            _ => {}
        }
    }
}

/// One request as the platform saw it; nothing that could hold a wallet code is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The operation.
    pub operation: &'static str,
    /// The till's order or refund number.
    pub number: Option<String>,
    /// Whether its seal was right.
    pub verified: bool,
    /// Status and code of the answer that was made, whether or not it was delivered; absent where none was made.
    pub answer: Option<(u16, String)>,
    /// The fault that struck.
    pub fault: Option<&'static str>,
}

/// The books.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ledger {
    /// Orders as they were booked.
    pub trades: Vec<Trade>,
    /// Every request, in the order the answers were made.
    pub requests: Vec<Seen>,
    /// What the merchant has of all orders, fen; as of the moment the ledger was read.
    pub kept: i64,
    /// Reverses that came within 15 s of their payment and were refused.
    pub early_reverses: usize,
    #[serde(skip)]
    pub(crate) buyers: BTreeMap<Digest, Buyer>,
    #[serde(skip)]
    used: BTreeSet<Digest>,
    #[serde(skip)]
    barred: BTreeSet<String>,
    #[serde(skip)]
    serial: u64,
}

/// What a request asks of the books.
#[derive(Debug, Default)]
pub(crate) struct Input {
    pub(crate) order: String,
    pub(crate) refund: String,
    pub(crate) total: i64,
    pub(crate) back: i64,
    pub(crate) code: String,
}

/// What the books say.
#[derive(Debug)]
pub(crate) enum Said {
    Order(Trade),
    CodeUrl(String),
    Closed,
    Reversed(Trade),
    Refund(Trade, Refund),
}

/// A refusal: HTTP status of v3, code as v3 spells it, words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) u16, pub(crate) &'static str, pub(crate) &'static str);

impl Refusal {
    pub(crate) const PARAM: Self = Self(400, "PARAM_ERROR", "参数错误");
    pub(crate) const REQUEST: Self = Self(400, "INVALID_REQUEST", "无效请求");
    pub(crate) const SIGN: Self = Self(401, "SIGN_ERROR", "签名错误");
    pub(crate) const AUTH: Self = Self(403, "NO_AUTH", "商户无权限");
    pub(crate) const SYSTEM: Self = Self(500, "SYSTEM_ERROR", "系统异常，请稍后重试");
    pub(crate) const NO_ORDER: Self = Self(404, "ORDER_NOT_EXIST", "订单不存在");
    pub(crate) const NO_RESOURCE: Self = Self(404, "RESOURCE_NOT_EXISTS", "查询的资源不存在");
    pub(crate) const USERPAYING: Self = Self(202, "USERPAYING", "需要用户输入支付密码");
    const CODE_USED: Self = Self(400, "AUTH_CODE_INVALID", "每个二维码仅限使用一次，请刷新再试");
    const CODE_ERROR: Self = Self(400, "AUTH_CODE_ERROR", "请扫描微信支付授权码");
    const NUMBER_USED: Self = Self(400, "OUT_TRADE_NO_USED", "商户订单号重复");
    const PAID: Self = Self(400, "ORDER_PAID", "订单已支付");
    const CLOSED: Self = Self(400, "ORDER_CLOSED", "订单已关闭");
    const REVERSED: Self = Self(400, "ORDER_REVERSED", "订单已撤销");
    const EXPIRED: Self = Self(400, "REVERSE_EXPIRE", "订单无法撤销");

    fn of(account: Account) -> Self {
        match account {
            Account::BalanceShort | Account::BankcardShort => Self(403, "NOT_ENOUGH", "用户账户余额不足"),
            Account::BalanceDisabled => Self(403, "NOTSUPORTCARD", "不支持卡类型"),
            Account::MonthLimit | Account::Risk => Self(403, "RULE_LIMIT", "业务规则限制"),
            Account::Expired => Self(400, "AUTH_CODE_EXPIRE", "付款码已过期，请刷新再试"),
            _ => Self(403, "TRADE_ERROR", "交易失败"),
        }
    }
}

fn is_code(code: &str) -> bool {
    let first = code.get(..2).is_some_and(|two| ("10"..="15").contains(&two));
    code.len() == 18 && code.bytes().all(|byte| byte.is_ascii_digit()) && first
}

impl Ledger {
    /// The order of that number.
    pub fn trade(&self, out_trade_no: &str) -> Option<&Trade> {
        self.trades.iter().find(|trade| trade.out_trade_no == out_trade_no)
    }

    /// Requests of one operation, in order.
    pub fn requests_of<'a>(&'a self, operation: &'a str) -> impl Iterator<Item = &'a Seen> {
        self.requests.iter().filter(move |seen| seen.operation == operation)
    }

    pub(crate) fn catch_up(&mut self, now: Timestamp, patience: Duration) {
        self.trades.iter_mut().for_each(|trade| trade.catch_up(now, patience));
        self.kept = self.trades.iter().map(Trade::kept).sum();
    }

    /// Runs one operation.
    pub(crate) fn run(&mut self, operation: &str, input: &Input, now: Timestamp) -> Result<Said, Refusal> {
        match operation {
            "codepay" => self.pay(input, now),
            "native" => self.native(input, now),
            "query" => Ok(Said::Order(self.find(&input.order)?.clone())),
            "close" => self.close(&input.order),
            "reverse" => self.reverse(&input.order, now),
            "refund" => self.refund(input, now),
            "refund-query" => self.refund_query(&input.refund),
            _ => Err(Refusal::REQUEST),
        }
    }

    fn find(&mut self, order: &str) -> Result<&mut Trade, Refusal> {
        self.trades.iter_mut().find(|trade| trade.out_trade_no == order).ok_or(Refusal::NO_ORDER)
    }

    fn open(&mut self, input: &Input, now: Timestamp, native: bool) -> &mut Trade {
        self.serial += 1;
        let at = self.trades.len();
        self.trades.push(Trade {
            out_trade_no: input.order.clone(),
            transaction_id: format!("420000{:022}", self.serial),
            state: if native { State::NotPay } else { State::UserPaying },
            total: input.total,
            native,
            opened_at: now,
            paid_at: None,
            refunds: Vec::new(),
            wallet_code: None,
            buyer: Buyer::Ignores,
            code: None,
        });
        &mut self.trades[at]
    }

    fn pay(&mut self, input: &Input, now: Timestamp) -> Result<Said, Refusal> {
        if self.barred.contains(&input.order) {
            return Err(Refusal::REVERSED);
        }
        let code = digest_of(&input.code);
        if let Ok(trade) = self.find(&input.order) {
            let same = trade.total == input.total && trade.code == Some(code);
            return Err(match trade.state {
                State::Revoked | State::PayError => Refusal::REVERSED,
                State::Closed => Refusal::CLOSED,
                State::UserPaying if same => Refusal::USERPAYING,
                _ if same => Refusal::PAID,
                _ => Refusal::NUMBER_USED,
            });
        }
        if !is_code(&input.code) {
            return Err(Refusal::CODE_ERROR);
        }
        let buyer = self.buyers.get(&code).copied().unwrap_or_else(|| Buyer::of_code(&input.code));
        if !self.used.insert(code) {
            return Err(Refusal::CODE_USED);
        }
        if let Buyer::Refused { why } = buyer {
            return Err(Refusal::of(why));
        }
        let trade = self.open(input, now, false);
        trade.buyer = buyer;
        trade.wallet_code = Some(masked(&input.code));
        trade.code = Some(code);
        trade.catch_up(now, Duration::MAX);
        if trade.state == State::Success { Ok(Said::Order(trade.clone())) } else { Err(Refusal::USERPAYING) }
    }

    fn native(&mut self, input: &Input, now: Timestamp) -> Result<Said, Refusal> {
        if let Ok(trade) = self.find(&input.order) {
            return match trade.state {
                State::NotPay if trade.total == input.total => Ok(Said::CodeUrl(url(trade))),
                State::NotPay => Err(Refusal::REQUEST),
                State::Closed => Err(Refusal::CLOSED),
                _ => Err(Refusal::PAID),
            };
        }
        Ok(Said::CodeUrl(url(self.open(input, now, true))))
    }

    /// A customer scans the code that the till shows, and pays. False where there is none to scan.
    pub(crate) fn scan(&mut self, order: &str, now: Timestamp) -> bool {
        let Ok(trade) = self.find(order) else { return false };
        if trade.state != State::NotPay {
            return false;
        }
        trade.state = State::Success;
        trade.paid_at = Some(now);
        true
    }

    fn close(&mut self, order: &str) -> Result<Said, Refusal> {
        let trade = self.find(order)?;
        match trade.state {
            State::NotPay | State::Closed => {
                trade.state = State::Closed;
                Ok(Said::Closed)
            }
            State::Success | State::Refund => Err(Refusal::PAID),
            _ => Err(Refusal::REQUEST),
        }
    }

    fn reverse(&mut self, order: &str, now: Timestamp) -> Result<Said, Refusal> {
        let Ok(trade) = self.find(order) else {
            // A payment that is still on its way must not be booked behind its reverse.
            self.barred.insert(order.to_owned());
            return Err(Refusal::NO_ORDER);
        };
        let age = now.duration_since(trade.opened_at);
        if trade.native {
            return Err(Refusal::REQUEST);
        }
        if trade.state == State::Revoked {
            return Ok(Said::Reversed(trade.clone()));
        }
        if age < jiff::SignedDuration::try_from(REVERSE_FROM).unwrap_or_default() {
            self.early_reverses += 1;
            return Err(Refusal::REQUEST);
        }
        if jiff::SignedDuration::try_from(REVERSE_UNTIL).is_ok_and(|end| age > end) {
            return Err(Refusal::EXPIRED);
        }
        if trade.kept() > 0 {
            let amount = trade.kept();
            trade.refunds.push(Refund { out_refund_no: "reverse".into(), amount, at: now });
        }
        trade.state = State::Revoked;
        Ok(Said::Reversed(trade.clone()))
    }

    fn refund(&mut self, input: &Input, now: Timestamp) -> Result<Said, Refusal> {
        let trade = self.find(&input.order).map_err(|_| Refusal::NO_RESOURCE)?;
        if let Some(before) = trade.refunds.iter().find(|r| r.out_refund_no == input.refund) {
            let same = before.amount == input.back;
            return if same {
                Ok(Said::Refund(trade.clone(), before.clone()))
            } else {
                Err(Refusal::REQUEST)
            };
        }
        let open = matches!(trade.state, State::Success | State::Refund);
        if !open || input.total != trade.total || input.back < 1 || input.back > trade.kept() {
            return Err(Refusal::REQUEST);
        }
        let refund = Refund { out_refund_no: input.refund.clone(), amount: input.back, at: now };
        trade.refunds.push(refund.clone());
        trade.state = State::Refund;
        Ok(Said::Refund(trade.clone(), refund))
    }

    fn refund_query(&mut self, number: &str) -> Result<Said, Refusal> {
        let found = self.trades.iter().find_map(|trade| {
            let refund = trade.refunds.iter().find(|refund| refund.out_refund_no == number)?;
            Some(Said::Refund(trade.clone(), refund.clone()))
        });
        found.ok_or(Refusal::NO_RESOURCE)
    }
}

fn url(trade: &Trade) -> String {
    format!("weixin://wxpay/bizpayurl?pr={}", &trade.transaction_id[18..])
}
