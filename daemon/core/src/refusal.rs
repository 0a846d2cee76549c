//! Why a request of a caller was refused. Nothing changed.

use till_plugin::{Currency, Money};

use crate::announce::AnnounceRefusal;
use crate::merchant::MerchantRefusal;
use crate::payment::{PaymentId, PaymentState};

/// A refusal; each variant is one D-Bus error name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another payment holds the till.
    #[error("payment {payment} is {state} at this till: finish or cancel it first", state = .state.as_str())]
    Busy {
        /// It.
        payment: PaymentId,
        /// Where it stands.
        state: PaymentState,
    },
    /// No such payment.
    #[error("there is no payment {0}: `tillctl payments` lists them")]
    NoPayment(PaymentId),
    /// No such channel.
    #[error("there is no channel {asked:?}; there are: {known}")]
    NoChannel {
        /// What was asked for.
        asked: String,
        /// What there is.
        known: String,
    },
    /// No such print job.
    #[error("there is no print job {0}")]
    NoJob(u64),
    /// An amount that cannot be paid.
    #[error("an amount of {0} cannot be paid: it must be greater than zero and at most {max}", max = MAX_AMOUNT_TEXT)]
    Amount(Money),
    /// A currency that no channel takes.
    #[error("no channel of this till takes {0}")]
    Currency(Currency),
    /// The amount confirmed is not the amount owed.
    #[error("the payment is over {owed}, {confirmed} was confirmed: show the amount again")]
    WrongAmount {
        /// What is owed.
        owed: Money,
        /// What was confirmed.
        confirmed: Money,
    },
    /// The key was used for another request.
    #[error(
        "the key {key:?} belongs to payment {payment} with another amount or subject: use a new key for a new payment"
    )]
    KeyReuse {
        /// Key.
        key: String,
        /// The payment it belongs to.
        payment: PaymentId,
    },
    /// The payment is not in a state for this.
    #[error("payment {payment} is {state}: it cannot {what} now", state = .state.as_str())]
    State {
        /// It.
        payment: PaymentId,
        /// Where it stands.
        state: PaymentState,
        /// What was asked, as a verb phrase.
        what: &'static str,
    },
    /// What was presented cannot be paid with.
    #[error("{0}")]
    NotPayable(String),
    /// The same code or card was used a moment ago.
    #[error(
        "this code was used for payment {payment} less than {seconds} s ago: ask the customer for a fresh one"
    )]
    UsedAlready {
        /// That payment.
        payment: PaymentId,
        /// Window, s.
        seconds: u64,
    },
    /// No channel can take it.
    #[error("no channel can take this payment: {en}")]
    NoRoute {
        /// Why, English.
        en: String,
        /// Why, Chinese.
        zh: String,
    },
    /// The same amount was taken with the same card a moment ago.
    #[error(
        "the same amount was taken with the same card for payment {payment} less than {seconds} s ago: say why this is another purchase, or cancel"
    )]
    PossibleDuplicate {
        /// That payment.
        payment: PaymentId,
        /// Window, s.
        seconds: u64,
    },
    /// Another card than the one that paid.
    #[error("this is not the card that payment {0} was made with: present that card")]
    OtherCard(PaymentId),
    /// More than is left.
    #[error("{asked} were asked for, {left} are left of attempt {attempt} of payment {payment}")]
    TooMuch {
        /// Payment.
        payment: PaymentId,
        /// Attempt.
        attempt: u32,
        /// Asked for.
        asked: Money,
        /// Left.
        left: Money,
    },
    /// A leg that cannot be done.
    #[error("payment {payment}: {why}")]
    NoLeg {
        /// Payment.
        payment: PaymentId,
        /// Why, and what can be done instead.
        why: String,
    },
    /// A review needs two people.
    #[error("payment {payment}: {why}")]
    Review {
        /// Payment.
        payment: PaymentId,
        /// Why.
        why: &'static str,
    },
    /// The case of a disputed payment cannot be taken on like this.
    #[error("case {number}: {why}")]
    Dispute {
        /// Case.
        number: u32,
        /// Why, and what to do instead.
        why: String,
    },
    /// A batch or its settlement is not in a state for this.
    #[error("batch {batch}: {why}")]
    Batch {
        /// Batch.
        batch: u32,
        /// Why, and what to do instead.
        why: String,
    },
    /// Not enough cash.
    #[error("{tendered} handed over, {owed} owed")]
    TooLittle {
        /// Handed over.
        tendered: Money,
        /// Owed.
        owed: Money,
    },
    /// The channel is suspended.
    #[error("the channel {channel} is {why}; a supervisor resumes it")]
    Suspended {
        /// Channel.
        channel: String,
        /// Why, English.
        why: String,
        /// Why, Chinese.
        why_zh: String,
    },
    /// A channel is not asked for a balance now.
    #[error("{channel} is not asked for a balance now: {en} {zh}")]
    NoInquiry {
        /// Channel.
        channel: String,
        /// Why, English.
        en: String,
        /// Why, Chinese.
        zh: String,
    },
    /// There is nothing to resume.
    #[error("the channel {channel} is not suspended: there is nothing to resume")]
    NotSuspended {
        /// Channel.
        channel: String,
    },
    /// Something that must be said was not said.
    #[error("{0}")]
    Wanted(&'static str),
    /// Training and selling are kept apart.
    #[error("{0}")]
    Training(&'static str),
    /// About announced maintenance.
    #[error(transparent)]
    Announce(#[from] AnnounceRefusal),
    /// About a merchant's number and password.
    #[error(transparent)]
    Merchant(#[from] MerchantRefusal),
    /// The input does not fit what is going on (a late or doubled answer); nothing to tell a caller.
    #[error("nothing waits for this")]
    Stale,
}

/// The largest amount: eleven digits before the point, as ISO 8583 field 4 (n12) carries with two decimals.
pub const MAX_MINOR: i64 = 999_999_999_999;
const MAX_AMOUNT_TEXT: &str = "999999999999 minor units";
