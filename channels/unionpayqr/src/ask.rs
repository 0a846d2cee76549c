//! What UnionPay is asked, and the fields it is asked with (channels §4.1, §4.3).

use thiserror::Error;
use till_plugin::Sensitive;
use till_plugin::channel::AttemptIds;
use till_wallet::amount::Fen;
use till_wallet::form::Params;
use till_wallet::keys::SignError;
use till_wallet::time::host_stamp;
use zeroize::Zeroizing;

use crate::codes::Operation;

/// Why a request is not built. Nothing has left the machine when one of these is returned.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AskError {
    /// The order number would be refused.
    #[error(
        "the order number is not 8 to 40 letters and digits; the journal must give out numbers of that form"
    )]
    Number,
    /// The payment's own time is no date.
    #[error("the payment's numbers were given at a time that is no date; set the clock and start it again")]
    Time,
    /// Not a payment code. The text is not repeated: it is a bearer credential.
    #[error(
        "what was scanned is not a UnionPay payment code (19 or 20 digits beginning 62); scan the customer's code again"
    )]
    Code,
    /// The number of the payment that is followed is not one of UnionPay's.
    #[error(
        "UnionPay's number of the payment (queryId) is not known; look the payment up in the merchant console"
    )]
    Original,
    /// The request could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// What names a request at UnionPay: its order number and the time it was given, together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// `orderId`.
    pub order: String,
    /// `txnTime`, `YYYYMMDDhhmmss` in Asia/Shanghai.
    pub time: String,
}

impl Number {
    /// From an order number and Unix milliseconds. The time comes from the journal, so that a repetition is identical.
    pub fn new(order: &str, wall_ms: i64) -> Result<Self, AskError> {
        let fits = (8..=40).contains(&order.len()) && order.bytes().all(|b| b.is_ascii_alphanumeric());
        let order = fits.then(|| order.to_owned()).ok_or(AskError::Number)?;
        let time = host_stamp(wall_ms).filter(|_| wall_ms > 0).ok_or(AskError::Time)?;
        Ok(Self { order, time })
    }

    /// Of an attempt.
    pub fn of(ids: &AttemptIds) -> Result<Self, AskError> {
        Self::new(&ids.order, ids.wall_ms)
    }
}

/// What follows a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Takes a payment of the same clearing day back, whole.
    Void,
    /// The same of a completion.
    VoidCapture,
    /// Gives a part or all back.
    Refund,
    /// Takes what is held.
    Capture,
    /// Gives a hold back.
    Release,
}

/// One question. Has no `Debug`: a payment holds the customer's code.
pub enum Ask<'a> {
    /// Charges, or holds, what the customer's code stands for.
    Pay {
        /// Its number.
        number: &'a Number,
        /// How much.
        amount: Fen,
        /// The code.
        code: &'a Sensitive<String>,
        /// Hold it, take it later.
        hold: bool,
    },
    /// Opens an order that the customer pays by scanning the till's code.
    Show {
        /// Its number.
        number: &'a Number,
        /// How much.
        amount: Fen,
        /// Until when it may be paid, `YYYYMMDDhhmmss`.
        until: Option<&'a str>,
    },
    /// What became of a request.
    Query {
        /// Its number.
        number: &'a Number,
    },
    /// Undoes a code payment or hold whose outcome is unknown.
    Reverse {
        /// Its number.
        number: &'a Number,
    },
    /// Void, refund, completion, release.
    Follow {
        /// What it does.
        after: After,
        /// Its own number.
        number: &'a Number,
        /// How much.
        amount: Fen,
        /// UnionPay's number of what it follows.
        of: &'a str,
    },
}

/// What every request of one merchant carries.
#[derive(Clone, Debug, Default)]
pub struct Merchant {
    /// Merchant number, 15 characters.
    pub mer_id: String,
    /// Decimal serial number of the merchant's certificate.
    pub cert_id: String,
    /// Terminal number, 8 characters.
    pub term_id: String,
    /// Where UnionPay may post notifications.
    pub back_url: String,
}

impl Ask<'_> {
    /// Its number, which the answer must repeat.
    pub const fn number(&self) -> &Number {
        match self {
            Self::Pay { number, .. }
            | Self::Show { number, .. }
            | Self::Query { number }
            | Self::Reverse { number }
            | Self::Follow { number, .. } => number,
        }
    }

    /// `txnType` and `txnSubType`.
    pub const fn types(&self) -> (&'static str, &'static str) {
        match self {
            Self::Pay { hold: false, .. } => ("01", "06"),
            Self::Pay { hold: true, .. } => ("02", "05"),
            Self::Show { .. } => ("01", "07"),
            Self::Query { .. } => ("00", "00"),
            Self::Reverse { .. } => ("99", "01"),
            Self::Follow { after: After::Void, .. } => ("31", "00"),
            Self::Follow { after: After::VoidCapture, .. } => ("33", "00"),
            Self::Follow { after: After::Refund, .. } => ("04", "00"),
            Self::Follow { after: After::Capture, .. } => ("03", "00"),
            Self::Follow { after: After::Release, .. } => ("32", "00"),
        }
    }

    /// Which lines of the code table its answer is read by.
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Pay { .. } => Operation::Pay,
            Self::Show { .. } => Operation::Show,
            Self::Query { .. } => Operation::Query,
            Self::Reverse { .. } => Operation::Reverse,
            Self::Follow { .. } => Operation::Follow,
        }
    }

    /// Where it is posted.
    pub const fn path(&self) -> &'static str {
        match self {
            Self::Query { .. } => "/gateway/api/queryTrans.do",
            _ => "/gateway/api/backTransReq.do",
        }
    }

    /// Its fields, unsigned.
    pub fn fields(&self, merchant: &Merchant) -> Result<Params, AskError> {
        let plain = |text: &str| Zeroizing::new(text.to_owned());
        let (kind, sub_kind) = self.types();
        let number = self.number();
        let mut fields = Params::from([
            ("version", plain("5.1.0")),
            ("encoding", plain("UTF-8")),
            ("signMethod", plain("01")),
            ("certId", plain(&merchant.cert_id)),
            ("bizType", plain("000000")),
            ("channelType", plain("08")),
            ("accessType", plain("0")),
            ("merId", plain(&merchant.mer_id)),
            ("txnType", plain(kind)),
            ("txnSubType", plain(sub_kind)),
            ("orderId", plain(&number.order)),
            ("txnTime", plain(&number.time)),
        ]);
        let fen = |amount: &Fen| Zeroizing::new(amount.fen().to_string());
        match self {
            Self::Pay { amount, code, .. } => {
                if !is_payment_code(code.expose()) {
                    return Err(AskError::Code);
                }
                fields.insert("qrNo", plain(code.expose()));
                fields.insert("termId", plain(&merchant.term_id));
                fields.insert("currencyCode", plain("156"));
                fields.insert("txnAmt", fen(amount));
                fields.insert("backUrl", plain(&merchant.back_url));
            }
            Self::Show { amount, until, .. } => {
                fields.insert("currencyCode", plain("156"));
                fields.insert("txnAmt", fen(amount));
                fields.insert("backUrl", plain(&merchant.back_url));
                if let Some(until) = until {
                    fields.insert("payTimeout", plain(until));
                }
            }
            Self::Query { .. } | Self::Reverse { .. } => {}
            Self::Follow { amount, of, .. } => {
                if !is_query_id(of) {
                    return Err(AskError::Original);
                }
                fields.insert("origQryId", plain(of));
                fields.insert("txnAmt", fen(amount));
                fields.insert("backUrl", plain(&merchant.back_url));
            }
        }
        Ok(fields)
    }
}

/// Whether a scan is a UnionPay payment code: 19 ASCII digits beginning 62; forms of 20 exist (channels §4.3, §4.6).
pub fn is_payment_code(code: &str) -> bool {
    matches!(code.len(), 19 | 20) && code.bytes().all(|b| b.is_ascii_digit()) && code.starts_with("62")
}

/// Whether a text can be UnionPay's number of a transaction: 21 digits today; also safe on any receipt.
pub fn is_query_id(text: &str) -> bool {
    (8..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}
