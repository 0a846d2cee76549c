//! The gateway's own books: trades, refunds, wallet codes that were used, and every request that came.
//!
//! Nothing here trusts the till. Tests compare these books with the till's journal; the sums must agree.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

use super::amount::Fen;
use crate::wallet::{Buyer, Digest};

/// What a trade has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// A code on the till's screen that nobody has scanned: not yet a trade to the outside.
    NotScanned,
    /// The customer has not paid yet.
    WaitBuyerPay,
    /// Paid.
    TradeSuccess,
    /// Paid, and past the time in which it can be refunded.
    TradeFinished,
    /// Ended without payment, or paid and fully given back.
    TradeClosed,
}

impl Status {
    /// The protocol's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotScanned => "NOT_SCANNED",
            Self::WaitBuyerPay => "WAIT_BUYER_PAY",
            Self::TradeSuccess => "TRADE_SUCCESS",
            Self::TradeFinished => "TRADE_FINISHED",
            Self::TradeClosed => "TRADE_CLOSED",
        }
    }
}

/// Money given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refund {
    /// The till's number for it; a cancel has the number `cancel`.
    pub out_request_no: String,
    /// How much.
    #[serde(rename = "amount_fen")]
    pub amount: Fen,
    /// When.
    pub at: Timestamp,
    /// Whether a cancel gave it back rather than a refund.
    pub by_cancel: bool,
}

/// One trade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trade {
    /// The app it belongs to.
    pub app_id: String,
    /// The till's order number.
    pub out_trade_no: String,
    /// The gateway's number.
    pub trade_no: String,
    /// What it has come to.
    pub status: Status,
    /// The amount asked.
    #[serde(rename = "total_fen")]
    pub total: Fen,
    /// Always `CNY`.
    pub currency: &'static str,
    /// When the request was booked.
    pub opened_at: Timestamp,
    /// When it closes by itself if unpaid.
    pub expires_at: Timestamp,
    /// When the customer paid.
    pub paid_at: Option<Timestamp>,
    /// When it closed.
    pub closed_at: Option<Timestamp>,
    /// What was given back.
    pub refunds: Vec<Refund>,
    /// The wallet code, masked; absent for a code shown on the till's screen.
    pub wallet_code: Option<String>,
    /// The code that the till shows, for precreated trades.
    pub qr_code: Option<String>,
    /// How its customer behaves.
    pub buyer: Buyer,
    /// Digest of the parameters, to tell a repetition from a contradiction.
    #[serde(skip)]
    pub(crate) terms: Digest,
    /// Digest of the wallet code.
    #[serde(skip)]
    pub(crate) code: Option<Digest>,
}

impl Trade {
    /// How much was given back.
    pub fn refunded(&self) -> Fen {
        self.refunds.iter().fold(Fen::ZERO, |sum, refund| sum.plus(refund.amount))
    }

    /// What the merchant has of it now.
    pub fn kept(&self) -> Fen {
        if self.paid_at.is_some() { self.total.minus(self.refunded()) } else { Fen::ZERO }
    }

    /// Lets the customer and the clock act: whatever was due by `now` has happened.
    pub(crate) fn catch_up(&mut self, now: Timestamp) {
        if self.status != Status::WaitBuyerPay {
            return;
        }
        let act =
            self.buyer.act().and_then(|(after, pays)| Some((self.opened_at.checked_add(after).ok()?, pays)));
        match act {
            Some((at, true)) if at <= now && at <= self.expires_at => {
                self.status = Status::TradeSuccess;
                self.paid_at = Some(at);
            }
            Some((at, false)) if at <= now && at <= self.expires_at => self.close(at),
            _ if self.expires_at <= now => self.close(self.expires_at),
            _ => {}
        }
    }

    pub(crate) fn close(&mut self, at: Timestamp) {
        self.status = Status::TradeClosed;
        self.closed_at = Some(at);
    }
}

/// A payment request that ended in a refusal: the order number is bound to it all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The app.
    pub app_id: String,
    /// The till's order number.
    pub out_trade_no: String,
    /// Why.
    pub sub_code: &'static str,
    /// When.
    pub at: Timestamp,
    #[serde(skip)]
    pub(crate) terms: Digest,
    #[serde(skip)]
    pub(crate) code: Digest,
}

/// One request as the gateway saw it; no parameter that could hold a wallet code is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The method, as sent; empty where absent.
    pub method: String,
    /// The till's order number, where one was sent and the signature was good.
    pub out_trade_no: Option<String>,
    /// Whether the signature verified.
    pub verified: bool,
    /// The public code of the answer that was made, whether or not it was delivered; absent where none was made.
    pub code: Option<String>,
    /// Its sub-code.
    pub sub_code: Option<String>,
    /// The fault that struck, if one did.
    pub fault: Option<&'static str>,
    /// When it came.
    pub at: Timestamp,
}

/// The sums of a ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Everything customers paid.
    #[serde(rename = "paid_fen")]
    pub paid: Fen,
    /// Everything given back.
    #[serde(rename = "refunded_fen")]
    pub refunded: Fen,
    /// What the merchant has.
    #[serde(rename = "kept_fen")]
    pub kept: Fen,
    /// Trades that are paid and not fully given back.
    pub paid_trades: usize,
    /// Trades that still wait for their customer.
    pub waiting_trades: usize,
}

/// The books.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ledger {
    /// Trades in the order they were booked.
    pub trades: Vec<Trade>,
    /// Payment requests that were refused.
    pub refused: Vec<Refused>,
    /// Order numbers (app, order) cancelled before any trade of theirs was booked: a payment that arrives late is refused.
    pub cancelled_unknown: BTreeSet<(String, String)>,
    /// Every request, in the order the answers were made.
    pub requests: Vec<Seen>,
    /// The sums, as of the moment the ledger was read.
    pub totals: Totals,
    #[serde(skip)]
    pub(crate) used_codes: BTreeSet<Digest>,
    #[serde(skip)]
    pub(crate) buyers: BTreeMap<Digest, Buyer>,
    #[serde(skip)]
    pub(crate) serial: u64,
}

impl Ledger {
    /// The trade of an order number, if one is booked; of whichever app.
    pub fn trade(&self, out_trade_no: &str) -> Option<&Trade> {
        self.trades.iter().find(|trade| trade.out_trade_no == out_trade_no)
    }

    /// Requests of one method, in order.
    pub fn requests_of<'a>(&'a self, method: &'a str) -> impl Iterator<Item = &'a Seen> {
        self.requests.iter().filter(move |seen| seen.method == method)
    }

    /// Lets everything that was due by `now` happen, and sums up.
    pub(crate) fn catch_up(&mut self, now: Timestamp) {
        let mut totals = Totals::default();
        for trade in &mut self.trades {
            trade.catch_up(now);
            if trade.paid_at.is_some() {
                totals.paid = totals.paid.plus(trade.total);
                totals.refunded = totals.refunded.plus(trade.refunded());
                totals.paid_trades += usize::from(trade.kept() > Fen::ZERO);
            }
            totals.waiting_trades += usize::from(trade.status == Status::WaitBuyerPay);
        }
        totals.kept = totals.paid.minus(totals.refunded);
        self.totals = totals;
    }

    pub(crate) fn position(&self, app_id: &str, out_trade_no: &str) -> Option<usize> {
        self.trades.iter().position(|trade| trade.app_id == app_id && trade.out_trade_no == out_trade_no)
    }

    /// The gateway's next trade number: date, then digits, 28 in all.
    pub(crate) fn next_trade_no(&mut self, now: Timestamp) -> String {
        self.serial += 1;
        format!("{}22001400{:012}", beijing(now, "%Y%m%d"), self.serial)
    }
}

/// A moment in the hosts' local time (UTC+8 whatever this machine's zone).
pub(crate) fn beijing(at: Timestamp, format: &str) -> String {
    at.to_zoned(zone()).strftime(format).to_string()
}

/// UTC+8.
pub(crate) fn zone() -> TimeZone {
    TimeZone::fixed(jiff::tz::offset(8))
}
