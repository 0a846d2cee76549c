//! What the platform is asked, before it is written in either interface's words.

use thiserror::Error;
use till_plugin::Sensitive;
use till_wallet::amount::Fen;
use till_wallet::keys::SignError;
use till_wallet::words::is_order_number;

use crate::codes::Operation;

/// Why a request is not built. Nothing has left the machine when one of these is returned.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AskError {
    /// The order or refund number would be refused by one wallet or another.
    #[error("{0} is not 8 to 32 letters and digits; the journal must give out numbers of that form")]
    Number(&'static str),
    /// Not a payment code. The text is not repeated: it is a bearer credential.
    #[error(
        "what was scanned is not a WeChat payment code (18 digits beginning 10 to 15); scan the customer's code again"
    )]
    Code,
    /// The settings have no address for notifications, which a shown code must name.
    #[error("a code can be shown only with notify_url in the settings; scan the customer's code instead")]
    NoNotifyUrl,
    /// Interface v2 is set, which does not have it here.
    #[error("interface v2 takes scanned codes only; set api = \"v3\" to show codes")]
    NotInV2,
    /// JSON could not be written.
    #[error("the request could not be written as JSON; report this as a fault of the channel")]
    Json,
    /// The system gave no random bytes.
    #[error("the system gave no random bytes for the request's nonce; restart the till")]
    Random,
    /// The request could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// What a payment says of the sale beside number and amount.
#[derive(Clone, Debug, Default)]
pub struct Sale {
    /// What the customer reads in the wallet.
    pub subject: String,
}

/// One question. Has no `Debug`: a payment holds the customer's code.
pub enum Ask<'a> {
    /// Charges the payer whose code was scanned.
    Pay {
        /// Our order number.
        order: &'a str,
        /// How much.
        amount: Fen,
        /// The code.
        code: &'a Sensitive<String>,
        /// The sale.
        sale: Sale,
    },
    /// Opens an order the customer pays by scanning the till's code.
    Native {
        /// Our order number.
        order: &'a str,
        /// How much.
        amount: Fen,
        /// The sale.
        sale: Sale,
    },
    /// What became of an order.
    Query {
        /// Our order number.
        order: &'a str,
    },
    /// Closes an order that was shown and nobody paid.
    Close {
        /// Our order number.
        order: &'a str,
    },
    /// Undoes a code payment: closes it, or sends the money back.
    Reverse {
        /// Our order number.
        order: &'a str,
    },
    /// Sends a part or all of a paid order back.
    Refund {
        /// Our order number.
        order: &'a str,
        /// The refund's own number: the same again moves nothing twice.
        refund: &'a str,
        /// How much of it.
        amount: Fen,
        /// The order's whole amount.
        total: Fen,
        /// Why, for the wallet.
        reason: Option<String>,
    },
    /// What became of a refund.
    RefundQuery {
        /// The refund's own number.
        refund: &'a str,
    },
}

impl Ask<'_> {
    /// Refuses what the platform would, and what no number of ours may look like.
    pub fn check(&self) -> Result<(), AskError> {
        let number = |text: &str, what| is_order_number(text).then_some(()).ok_or(AskError::Number(what));
        match self {
            Self::Pay { code, .. } if !is_payment_code(code.expose()) => Err(AskError::Code),
            Self::Pay { order, .. }
            | Self::Native { order, .. }
            | Self::Query { order }
            | Self::Close { order }
            | Self::Reverse { order } => number(order, "the order number"),
            Self::Refund { order, refund, .. } => {
                number(order, "the order number")?;
                number(refund, "the refund number")
            }
            Self::RefundQuery { refund } => number(refund, "the refund number"),
        }
    }

    /// Which lines of the code table its answer is read by.
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Pay { .. } => Operation::Pay,
            Self::Native { .. } => Operation::Native,
            Self::Query { .. } => Operation::Query,
            Self::Close { .. } => Operation::Close,
            Self::Reverse { .. } => Operation::Reverse,
            Self::Refund { .. } => Operation::Refund,
            Self::RefundQuery { .. } => Operation::RefundQuery,
        }
    }
}

/// Whether a scan is a WeChat payment code: 18 ASCII digits beginning 10 to 15 (channels §4.6).
pub fn is_payment_code(code: &str) -> bool {
    code.len() == 18
        && code.bytes().all(|b| b.is_ascii_digit())
        && matches!(code.as_bytes(), [b'1', b'0'..=b'5', ..])
}
