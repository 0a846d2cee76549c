//! The rules of trade: what paying, asking, cancelling, refunding and closing do to the books (channels.md §2.2–2.4).

use std::time::Duration;

use jiff::Timestamp;

use super::{
    amount::Fen,
    code::is_wallet_code,
    ledger::{Ledger, Refund, Refused, Status, Trade},
    refusal::Refusal,
};
use crate::wallet::{Buyer, Digest, digest_of, masked};

/// How long after the payment a cancel is taken.
const CANCEL_WINDOW: Duration = Duration::from_hours(24);

/// What a till asks to be paid.
pub(crate) struct Order<'a> {
    pub(crate) app_id: &'a str,
    pub(crate) out_trade_no: &'a str,
    pub(crate) total: Fen,
    /// How long the customer may take.
    pub(crate) timeout: Duration,
    /// Digest of all parameters but the wallet code.
    pub(crate) terms: Digest,
}

/// What a cancel did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancelled {
    Closed,
    Refunded,
    /// There was no such trade.
    Nothing,
}

/// What a refund did.
pub(crate) struct Refunded {
    pub(crate) trade: Trade,
    /// Whether money moved now, or had moved before under the same number.
    pub(crate) moved: bool,
}

impl Ledger {
    /// Pays an order with a wallet code. The trade that comes back is paid or waits for its customer.
    pub(crate) fn pay(&mut self, order: &Order<'_>, code: &str, now: Timestamp) -> Result<Trade, Refusal> {
        self.catch_up(now);
        let digest = digest_of(code);
        if let Some(at) = self.position(order.app_id, order.out_trade_no) {
            let trade = &self.trades[at];
            let (same_terms, same_code) = (trade.terms == order.terms, trade.code == Some(digest));
            return match trade.status {
                Status::TradeClosed => Err(Refusal::TRADE_HAS_CLOSE),
                _ if !same_terms => Err(Refusal::CONTEXT_INCONSISTENT),
                _ if same_code => Ok(trade.clone()),
                Status::TradeSuccess | Status::TradeFinished => Err(Refusal::TRADE_HAS_SUCCESS),
                _ => Err(Refusal::CONTEXT_INCONSISTENT),
            };
        }
        if let Some(before) = self
            .refused
            .iter()
            .find(|refused| refused.app_id == order.app_id && refused.out_trade_no == order.out_trade_no)
        {
            let same = before.terms == order.terms && before.code == digest;
            let known = Refusal::by_sub_code(before.sub_code).unwrap_or(Refusal::PAYMENT_FAIL);
            return Err(if same { known } else { Refusal::CONTEXT_INCONSISTENT });
        }
        if self.cancelled_unknown.contains(&(order.app_id.to_owned(), order.out_trade_no.to_owned())) {
            return Err(Refusal::TRADE_HAS_CLOSE);
        }
        let buyer = self.buyers.get(&digest).copied().unwrap_or_else(|| Buyer::of_code(code));
        let refusal = match buyer {
            _ if !is_wallet_code(code) || self.used_codes.contains(&digest) => {
                Some(Refusal::AUTH_CODE_INVALID)
            }
            Buyer::Refused { why } => Some(Refusal::of(why)),
            _ => None,
        };
        if let Some(refusal) = refusal {
            self.refused.push(Refused {
                app_id: order.app_id.to_owned(),
                out_trade_no: order.out_trade_no.to_owned(),
                sub_code: refusal.sub_code,
                at: now,
                terms: order.terms,
                code: digest,
            });
            return Err(refusal);
        }
        self.used_codes.insert(digest);
        let trade = self.open(order, buyer, now, Status::WaitBuyerPay);
        trade.wallet_code = Some(masked(code));
        trade.code = Some(digest);
        trade.catch_up(now);
        Ok(trade.clone())
    }

    /// Makes a code for the till's screen.
    pub(crate) fn precreate(&mut self, order: &Order<'_>, now: Timestamp) -> Result<Trade, Refusal> {
        self.catch_up(now);
        if let Some(at) = self.position(order.app_id, order.out_trade_no) {
            let trade = &self.trades[at];
            return match trade.status {
                Status::TradeSuccess | Status::TradeFinished => Err(Refusal::TRADE_HAS_SUCCESS),
                Status::TradeClosed => Err(Refusal::TRADE_HAS_CLOSE),
                _ if trade.terms != order.terms => Err(Refusal::CONTEXT_INCONSISTENT),
                _ => Ok(trade.clone()),
            };
        }
        let trade = self.open(order, Buyer::Ignores, now, Status::NotScanned);
        trade.qr_code = Some(format!("https://qr.alipay.com/bax{}", &trade.trade_no[10..]));
        Ok(trade.clone())
    }

    /// A customer scans the code that the till shows. False where there is nothing to scan, or no longer.
    pub(crate) fn scan(&mut self, out_trade_no: &str, buyer: Buyer, now: Timestamp) -> bool {
        self.catch_up(now);
        let found = self.trades.iter_mut().find(|trade| trade.out_trade_no == out_trade_no);
        let Some(trade) = found.filter(|trade| trade.status == Status::NotScanned) else { return false };
        if trade.expires_at <= now {
            return false;
        }
        trade.status = Status::WaitBuyerPay;
        trade.opened_at = now;
        trade.buyer = buyer;
        trade.catch_up(now);
        true
    }

    /// Finds a trade by the till's number, the gateway's, or both if they belong together.
    pub(crate) fn find(
        &mut self,
        app_id: &str,
        out_trade_no: Option<&str>,
        trade_no: Option<&str>,
        now: Timestamp,
    ) -> Result<usize, Refusal> {
        self.catch_up(now);
        if out_trade_no.is_none() && trade_no.is_none() {
            return Err(Refusal::BAD_PARAMETER);
        }
        let fits = |trade: &Trade| {
            trade.app_id == app_id
                && trade.status != Status::NotScanned
                && trade_no.is_none_or(|wanted| trade.trade_no == wanted)
                && (trade_no.is_some() || out_trade_no.is_none_or(|wanted| trade.out_trade_no == wanted))
        };
        let at = self.trades.iter().position(fits).ok_or(Refusal::TRADE_NOT_EXIST)?;
        // The gateway's number leads where both are sent; one that contradicts it is a mistake of the till.
        if out_trade_no.is_some_and(|wanted| self.trades[at].out_trade_no != wanted) {
            return Err(Refusal::BAD_PARAMETER);
        }
        Ok(at)
    }

    /// Ends a trade whatever its state: unpaid ones close, paid ones are given back whole.
    pub(crate) fn cancel(
        &mut self,
        app_id: &str,
        out_trade_no: Option<&str>,
        trade_no: Option<&str>,
        bar_late: bool,
        now: Timestamp,
    ) -> Result<Cancelled, Refusal> {
        self.catch_up(now);
        if let Some(at) = out_trade_no.and_then(|number| self.position(app_id, number))
            && self.trades[at].status == Status::NotScanned
        {
            self.trades[at].close(now);
            return Ok(Cancelled::Closed);
        }
        let at = match (self.find(app_id, out_trade_no, trade_no, now), out_trade_no) {
            (Err(Refusal::TRADE_NOT_EXIST), Some(number)) => {
                if bar_late {
                    self.cancelled_unknown.insert((app_id.to_owned(), number.to_owned()));
                }
                return Ok(Cancelled::Nothing);
            }
            (found, _) => found?,
        };
        let trade = &mut self.trades[at];
        match (trade.status, trade.paid_at) {
            (Status::TradeFinished, _) => Err(Refusal::TRADE_HAS_FINISHED),
            (Status::TradeSuccess, Some(paid_at)) => {
                if paid_at.checked_add(CANCEL_WINDOW).is_ok_and(|end| end < now) {
                    return Err(Refusal::CANCEL_TIME_OUT);
                }
                let refund = Refund {
                    out_request_no: "cancel".to_owned(),
                    amount: trade.total.minus(trade.refunded()),
                    at: now,
                    by_cancel: true,
                };
                trade.refunds.push(refund);
                trade.close(now);
                Ok(Cancelled::Refunded)
            }
            (Status::TradeClosed, Some(_)) => Ok(Cancelled::Refunded),
            (Status::TradeClosed, None) => Ok(Cancelled::Closed),
            _ => {
                trade.close(now);
                Ok(Cancelled::Closed)
            }
        }
    }

    /// Gives money back under the till's number for it; the same number and amount move nothing twice.
    pub(crate) fn refund(
        &mut self,
        at: usize,
        out_request_no: Option<&str>,
        amount: Fen,
        now: Timestamp,
    ) -> Result<Refunded, Refusal> {
        let trade = &mut self.trades[at];
        let number = match out_request_no {
            Some(number) => number,
            // Without a number only the whole can be given back: two equal parts could not be told apart.
            None if amount == trade.total => &trade.out_trade_no.clone(),
            None => return Err(Refusal::BAD_PARAMETER),
        };
        if let Some(before) =
            trade.refunds.iter().find(|refund| !refund.by_cancel && refund.out_request_no == number)
        {
            return if before.amount == amount {
                Ok(Refunded { trade: trade.clone(), moved: false })
            } else {
                Err(Refusal::DISCORDANT_REPEAT)
            };
        }
        match trade.status {
            Status::TradeSuccess => {}
            Status::TradeFinished => return Err(Refusal::TRADE_HAS_FINISHED),
            _ => return Err(Refusal::TRADE_STATUS_ERROR),
        }
        if amount > trade.total.minus(trade.refunded()) {
            return Err(Refusal::REFUND_TOO_MUCH);
        }
        trade.refunds.push(Refund { out_request_no: number.to_owned(), amount, at: now, by_cancel: false });
        if trade.refunded() == trade.total {
            trade.close(now);
        }
        Ok(Refunded { trade: trade.clone(), moved: true })
    }

    /// Closes a trade that is not paid.
    pub(crate) fn close(&mut self, at: usize, now: Timestamp) -> Result<Trade, Refusal> {
        let trade = &mut self.trades[at];
        match trade.status {
            Status::WaitBuyerPay => trade.close(now),
            Status::TradeClosed if trade.paid_at.is_none() => {}
            _ => return Err(Refusal::CLOSE_STATUS_INVALID),
        }
        Ok(trade.clone())
    }

    /// A paid trade passes the time in which it can be refunded. False where it is not paid.
    pub(crate) fn finish(&mut self, out_trade_no: &str, now: Timestamp) -> bool {
        self.catch_up(now);
        let found = self.trades.iter_mut().find(|trade| trade.out_trade_no == out_trade_no);
        let Some(trade) = found.filter(|trade| trade.status == Status::TradeSuccess) else { return false };
        trade.status = Status::TradeFinished;
        true
    }

    fn open(&mut self, order: &Order<'_>, buyer: Buyer, now: Timestamp, status: Status) -> &mut Trade {
        let trade_no = self.next_trade_no(now);
        let at = self.trades.len();
        self.trades.push(Trade {
            app_id: order.app_id.to_owned(),
            out_trade_no: order.out_trade_no.to_owned(),
            trade_no,
            status,
            total: order.total,
            currency: "CNY",
            opened_at: now,
            expires_at: now.checked_add(order.timeout).unwrap_or(Timestamp::MAX),
            paid_at: None,
            closed_at: None,
            refunds: Vec::new(),
            wallet_code: None,
            qr_code: None,
            buyer,
            terms: order.terms,
            code: None,
        });
        &mut self.trades[at]
    }
}

#[cfg(test)]
#[path = "trading_tests.rs"]
mod tests;
