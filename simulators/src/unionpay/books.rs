//! The gateway's books and the rules of trade (channels.md §4.3). Nothing here trusts the till.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::{Account, Buyer};
use crate::wallet::{Digest, digest_of, masked};

const DAY_MS: i64 = 86_400_000;
/// How long after its payment a QR payment can be refunded.
const REFUND_DAYS: i64 = 30;

/// The clearing day of a moment: from 23:00 to 23:00, +08:00.
fn clearing_day(at: Timestamp) -> i64 {
    // 23:00 at +08:00 is 15:00 in universal time.
    (at.as_millisecond() + DAY_MS - 15 * 3_600_000).div_euclid(DAY_MS)
}

/// What a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Paid by the customer's code.
    Pay,
    /// Held by the customer's code.
    Hold,
    /// Paid by a code on the till.
    Show,
    /// Takes a payment back.
    Void,
    /// Takes a completion back.
    VoidCapture,
    /// Gives money back.
    Refund,
    /// Takes what is held.
    Capture,
    /// Gives a hold back.
    Release,
}

impl Kind {
    /// By `txnType` and `txnSubType`.
    pub(crate) fn of(kind: &str, sub: &str) -> Option<Self> {
        Some(match (kind, sub) {
            ("01", "06") => Self::Pay,
            ("01", "07") => Self::Show,
            ("02", "05") => Self::Hold,
            ("31", "00") => Self::Void,
            ("33", "00") => Self::VoidCapture,
            ("04", "00") => Self::Refund,
            ("03", "00") => Self::Capture,
            ("32", "00") => Self::Release,
            _ => return None,
        })
    }

    /// As fault scripts name it.
    pub(crate) const fn operation(self) -> &'static str {
        match self {
            Self::Pay => "pay",
            Self::Hold => "hold",
            Self::Show => "show",
            Self::Void | Self::VoidCapture => "void",
            Self::Refund => "refund",
            Self::Capture => "capture",
            Self::Release => "release",
        }
    }
}

/// What a transaction has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Shown, not scanned.
    Waiting,
    /// Taken, the customer is confirming.
    Open,
    /// Done.
    Done,
    /// Failed, with this code.
    Failed(&'static str),
    /// Reversed.
    Reversed,
}

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trade {
    /// What it is.
    pub kind: Kind,
    /// The till's order number.
    pub order_id: String,
    /// The till's time of it, the other half of its name.
    pub txn_time: String,
    /// The gateway's number.
    pub query_id: String,
    /// What it has come to.
    pub state: State,
    /// Its amount, fen.
    pub amount: i64,
    /// When it was booked.
    pub opened_at: Timestamp,
    /// When it was done.
    pub done_at: Option<Timestamp>,
    /// The gateway's number of what it follows.
    pub of: Option<String>,
    /// The wallet code, masked.
    pub wallet_code: Option<String>,
    /// How its customer behaves.
    pub buyer: Buyer,
    /// Whether it was done once and taken back (void, completion of a hold, release).
    pub ended: bool,
    #[serde(skip)]
    until: Option<String>,
}

impl Trade {
    fn catch_up(&mut self, now: Timestamp) {
        if self.state != State::Open {
            return;
        }
        let act =
            self.buyer.act().and_then(|(after, pays)| Some((self.opened_at.checked_add(after).ok()?, pays)));
        match act {
            Some((at, true)) if at <= now => {
                self.state = State::Done;
                self.done_at = Some(at);
            }
            Some((at, false)) if at <= now => self.state = State::Failed("01"),
            _ => {}
        }
    }

    /// The code of what it has come to, as a query tells it.
    pub(crate) const fn code(&self) -> &'static str {
        match self.state {
            State::Waiting => "34",
            State::Open => "05",
            State::Done => "00",
            State::Failed(code) => code,
            State::Reversed => "46",
        }
    }
}

/// One request as the gateway saw it; nothing that could hold a wallet code is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The operation.
    pub operation: &'static str,
    /// The till's order number.
    pub order_id: Option<String>,
    /// Whether its signature was right.
    pub verified: bool,
    /// The code of the answer that was made, whether or not it was delivered; absent where none was made.
    pub code: Option<String>,
    /// The fault that struck.
    pub fault: Option<&'static str>,
}

/// The books.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ledger {
    /// Transactions as they were booked.
    pub trades: Vec<Trade>,
    /// Every request, in the order the answers were made.
    pub requests: Vec<Seen>,
    /// What the merchant has of all transactions, fen; as of the moment the ledger was read.
    pub kept: i64,
    /// What is held for the merchant and not yet taken, fen.
    pub held: i64,
    #[serde(skip)]
    pub(crate) buyers: BTreeMap<Digest, Buyer>,
    #[serde(skip)]
    used: BTreeSet<Digest>,
    #[serde(skip)]
    barred: BTreeSet<(String, String)>,
    #[serde(skip)]
    serial: u64,
}

/// What a request asks of the books.
#[derive(Debug, Default)]
pub(crate) struct Input {
    pub(crate) order_id: String,
    pub(crate) txn_time: String,
    pub(crate) amount: i64,
    pub(crate) code: String,
    pub(crate) of: String,
    pub(crate) until: Option<String>,
}

/// A refusal: the code and its words.
pub(crate) type Refusal = (&'static str, &'static str);

pub(crate) const SIGNATURE: Refusal = ("11", "验证签名失败");
pub(crate) const FORMAT: Refusal = ("10", "报文格式错误");
pub(crate) const MISSING: Refusal = ("13", "报文交易要素缺失");
pub(crate) const MERCHANT: Refusal = ("31", "商户状态不正确");
pub(crate) const TIMEOUT: Refusal = ("03", "交易通讯超时，请发起查询交易");
const REPEATED: Refusal = ("12", "重复交易");
const NOT_FOUND: Refusal = ("34", "查无此交易");
const STATE: Refusal = ("35", "原交易不存在或状态不正确");
const DIFFERS: Refusal = ("36", "与原交易信息不符");
const TOO_LATE: Refusal = ("39", "交易不在受理时间范围内");
const GONE: Refusal = ("45", "原交易已被成功退货或已被成功撤销");
const CODE: Refusal = ("44", "输入号码错误或暂未开通此项业务");

fn refusal_of(account: Account) -> Refusal {
    match account {
        Account::BalanceShort | Account::BankcardShort => ("64", "卡上的余额不足"),
        Account::MonthLimit => ("33", "交易金额超限"),
        Account::Risk => ("38", "银联风险受限"),
        Account::BalanceDisabled => ("62", "发卡银行不支持该商户"),
        Account::Expired => CODE,
        _ => ("60", "交易失败，详情请咨询您的发卡行"),
    }
}

impl Ledger {
    /// The transaction of that order number.
    pub fn trade(&self, order_id: &str) -> Option<&Trade> {
        self.trades.iter().find(|trade| trade.order_id == order_id)
    }

    /// Requests of one operation, in order.
    pub fn requests_of<'a>(&'a self, operation: &'a str) -> impl Iterator<Item = &'a Seen> {
        self.requests.iter().filter(move |seen| seen.operation == operation)
    }

    /// Lets customers act, and sums up.
    pub(crate) fn catch_up(&mut self, now: Timestamp) {
        self.trades.iter_mut().for_each(|trade| trade.catch_up(now));
        let done = || self.trades.iter().filter(|trade| trade.state == State::Done);
        self.kept = done()
            .map(|trade| match trade.kind {
                Kind::Pay | Kind::Show | Kind::Capture => trade.amount,
                Kind::Void | Kind::VoidCapture | Kind::Refund => -trade.amount,
                Kind::Hold | Kind::Release => 0,
            })
            .sum();
        self.held =
            done().filter(|trade| trade.kind == Kind::Hold && !trade.ended).map(|trade| trade.amount).sum();
    }

    fn find(&mut self, order_id: &str, txn_time: &str) -> Option<&mut Trade> {
        self.trades.iter_mut().find(|trade| trade.order_id == order_id && trade.txn_time == txn_time)
    }

    /// What became of a transaction.
    pub(crate) fn query(&mut self, order_id: &str, txn_time: &str) -> Result<Trade, Refusal> {
        match self.find(order_id, txn_time) {
            // There is no transaction before somebody scans the code.
            Some(trade) if trade.state != State::Waiting => Ok(trade.clone()),
            _ => Err(NOT_FOUND),
        }
    }

    /// Books a transaction.
    pub(crate) fn run(&mut self, kind: Kind, input: &Input, now: Timestamp) -> Result<Trade, Refusal> {
        if self.find(&input.order_id, &input.txn_time).is_some() {
            return Err(REPEATED);
        }
        let (order_id, txn_time) = (input.order_id.clone(), input.txn_time.clone());
        if self.barred.contains(&(order_id.clone(), txn_time.clone())) {
            return Err(STATE);
        }
        let mut trade = Trade {
            kind,
            order_id,
            txn_time,
            query_id: String::new(),
            state: State::Done,
            amount: input.amount,
            opened_at: now,
            done_at: None,
            of: None,
            wallet_code: None,
            buyer: Buyer::Pays,
            ended: false,
            until: input.until.clone(),
        };
        match kind {
            Kind::Pay | Kind::Hold => {
                if !is_code(&input.code) {
                    return Err(CODE);
                }
                let code = digest_of(&input.code);
                trade.buyer = self.buyers.get(&code).copied().unwrap_or_else(|| Buyer::of_code(&input.code));
                if !self.used.insert(code) {
                    return Err(CODE);
                }
                if let Buyer::Refused { why } = trade.buyer {
                    return Err(refusal_of(why));
                }
                trade.wallet_code = Some(masked(&input.code));
                trade.state = State::Open;
            }
            Kind::Show => trade.state = State::Waiting,
            Kind::Void | Kind::VoidCapture | Kind::Refund | Kind::Capture | Kind::Release => {
                self.follow(kind, input, now)?;
                trade.of = Some(input.of.clone());
                trade.done_at = Some(now);
            }
        }
        self.serial += 1;
        trade.query_id = format!("{}{:07}", trade.txn_time, self.serial);
        trade.catch_up(now);
        self.trades.push(trade.clone());
        Ok(trade)
    }

    /// What may follow what, and for how much.
    fn follow(&mut self, kind: Kind, input: &Input, now: Timestamp) -> Result<(), Refusal> {
        let back: i64 = self
            .trades
            .iter()
            .filter(|t| {
                t.of.as_deref() == Some(&input.of) && t.kind == Kind::Refund && t.state == State::Done
            })
            .map(|t| t.amount)
            .sum();
        let original = self.trades.iter_mut().find(|t| t.query_id == input.of).ok_or(STATE)?;
        let fits = match kind {
            Kind::Void => matches!(original.kind, Kind::Pay | Kind::Show),
            Kind::VoidCapture => original.kind == Kind::Capture,
            Kind::Refund => matches!(original.kind, Kind::Pay | Kind::Show | Kind::Capture),
            _ => original.kind == Kind::Hold,
        };
        if !fits || original.state != State::Done {
            return Err(STATE);
        }
        if original.ended {
            return Err(GONE);
        }
        let done_at = original.done_at.unwrap_or(original.opened_at);
        match kind {
            Kind::Void | Kind::VoidCapture => {
                if back > 0 {
                    return Err(GONE);
                }
                if clearing_day(done_at) != clearing_day(now) {
                    return Err(TOO_LATE);
                }
                if input.amount != original.amount {
                    return Err(DIFFERS);
                }
                original.ended = true;
            }
            Kind::Refund => {
                if now.as_millisecond() - done_at.as_millisecond() > REFUND_DAYS * DAY_MS {
                    return Err(TOO_LATE);
                }
                if input.amount + back > original.amount {
                    return Err(DIFFERS);
                }
            }
            Kind::Capture if input.amount > original.amount => return Err(DIFFERS),
            Kind::Release if input.amount != original.amount => return Err(DIFFERS),
            _ => original.ended = true,
        }
        // A completion that is taken back leaves its hold used up.
        Ok(())
    }

    /// Reverses a code payment or hold of the same clearing day.
    pub(crate) fn reverse(&mut self, order_id: &str, txn_time: &str, now: Timestamp) -> Result<(), Refusal> {
        let Some(trade) = self.find(order_id, txn_time) else {
            // A payment that is still on its way must not be booked behind its reversal.
            self.barred.insert((order_id.to_owned(), txn_time.to_owned()));
            return Err(NOT_FOUND);
        };
        if !matches!(trade.kind, Kind::Pay | Kind::Hold) {
            return Err(STATE);
        }
        if clearing_day(trade.opened_at) != clearing_day(now) {
            return Err(TOO_LATE);
        }
        match trade.state {
            State::Reversed => Ok(()),
            State::Done | State::Open if !trade.ended => {
                trade.state = State::Reversed;
                Ok(())
            }
            _ => Err(STATE),
        }
    }

    /// A customer scans the code that the till shows, and pays. False where there is none to scan, or its time is over.
    pub(crate) fn scan(&mut self, order_id: &str, now: Timestamp, stamp: &str) -> bool {
        let waiting = |t: &&mut Trade| t.order_id == order_id && t.state == State::Waiting;
        let Some(trade) = self.trades.iter_mut().find(waiting) else { return false };
        if trade.until.as_deref().is_some_and(|until| stamp > until) {
            return false;
        }
        trade.state = State::Done;
        trade.done_at = Some(now);
        true
    }
}

fn is_code(code: &str) -> bool {
    matches!(code.len(), 19 | 20) && code.bytes().all(|byte| byte.is_ascii_digit()) && code.starts_with("62")
}
