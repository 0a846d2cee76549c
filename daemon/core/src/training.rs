//! Training (pos.md S63, I17): the flows are practised on the real till, and no money moves.
//!
//! The till is put into training and taken out of it by a recorded act of somebody with a name. A payment that is opened
//! meanwhile says so in its first record and stays training to its end, whatever restarts come between. It knows one
//! channel, the training host of this file, which is a function and has no line to anywhere; what it would count as is
//! counted nowhere; its numbers are its own; its receipts say on every copy that they are none (decision 0023).

use serde::{Deserialize, Serialize};
use till_plugin::channel::{
    Approval, Decline, DeclineClass, NextStep, Operation, Outcome, QueryOutcome, QueryRule, ResolveProfile,
    UndoOutcome, UndoRule,
};
use till_plugin::{Family, Money};

use crate::input::Input;
use crate::keys::Keys;
use crate::payment::{LegKind, PaymentId};
use crate::routing::{LegTerms, RouteHealth, RouteView};

/// The channel of every training payment. No channel may be configured under this name.
pub const CHANNEL: &str = "training";

/// Receipt numbers above this are of training; on paper they begin anew with `T00000001`.
pub const RECEIPTS: u64 = 3 << 32;

/// Amounts that end in these two digits are declined, so that a decline can be practised.
const DECLINED: i64 = 51;

/// What the till knows of training, apart from everything that counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Training {
    pub(crate) on: bool,
    pub(crate) orders: u64,
    pub(crate) receipts: u64,
    pub(crate) keys: Keys,
}

/// A request to the training host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Train {
    /// Payment.
    pub payment: PaymentId,
    /// Attempt.
    pub attempt: u32,
    /// What it does.
    pub kind: LegKind,
    /// How much.
    pub amount: Money,
    /// What is asked.
    pub ask: Ask,
}

/// What the training host is asked.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To check the request, as a channel does before anything leaves.
    Prepare,
    /// For the money.
    Authorise,
    /// What became of it.
    Query,
    /// To undo it.
    Undo,
}

/// The answer of the training host: it says yes, but to amounts that end in 51; what a restart cut off it has not seen.
pub fn answer(train: &Train) -> Input {
    let Train { payment, attempt, kind, amount, ask } = train;
    let (payment, attempt) = (*payment, *attempt);
    match ask {
        // Nothing is kept for it: there is nothing to be undone.
        Ask::Prepare => Input::Prepared { payment, attempt, result: Ok((Vec::new(), String::new())) },
        Ask::Authorise => {
            let outcome = if kind.is_tender() && amount.minor() % 100 == DECLINED {
                Outcome::Declined(declined(
                    "51",
                    "training: short of funds, as every amount that ends in 51",
                    "培训：余额不足（尾数 51 的金额一律拒绝）",
                    NextStep::OtherMethod,
                ))
            } else {
                // No drawer opens: one that does is money.
                Outcome::Approved(Approval::bare(*amount, "TRAINING"))
            };
            Input::Answered { payment, attempt, outcome }
        }
        Ask::Query => {
            let text = "training: cut off by a restart";
            let not = declined("restarted", text, "培训：因重启中断", NextStep::PresentAgain);
            Input::Queried { payment, attempt, outcome: QueryOutcome::NotPaid(not) }
        }
        Ask::Undo => Input::Undone {
            payment,
            attempt,
            outcome: UndoOutcome::Undone { money_moved: false, reference: None },
        },
    }
}

fn declined(code: &str, text: &str, text_zh: &str, next: NextStep) -> Decline {
    let class = DeclineClass::Customer;
    Decline { class, code: code.into(), text: text.into(), text_zh: text_zh.into(), next }
}

/// The training host as the machine sees a channel: ready, and good for whatever is presented.
pub(crate) fn route(family: Family, currency: &str) -> RouteView {
    // Undone for ever: this host answers every time, only restarts keep it from it, and nobody else knows what became of it.
    let resolve = ResolveProfile {
        query: Some(QueryRule { first_ms: 200, every_ms: 1_000, until_ms: 3_000, settle_ms: 0 }),
        undo: Some(UndoRule { not_before_ms: 0, pause_ms: 1_000, pause_max_ms: 1_000, tries: 0 }),
        single_slot: false,
    };
    let leg = |kind, partial| LegTerms { kind, resolve: resolve.clone(), instrument: false, partial };
    RouteView {
        id: CHANNEL.into(),
        families: vec![family],
        operations: vec![Operation::Sale, Operation::PreAuthorisation],
        currencies: vec![currency.into()],
        priority: 0,
        enabled: true,
        health: RouteHealth::Ready,
        needs_clock: false,
        legs: vec![
            leg(LegKind::Void, false),
            leg(LegKind::Refund, true),
            leg(LegKind::Capture, true),
            leg(LegKind::Release, false),
        ],
        resolve,
        merchant: None,
        terminal: None,
        authorise_timeout_ms: 10_000,
    }
}
