//! One try on one channel.

use serde::{Deserialize, Serialize};
use till_plugin::channel::{Approval, AttemptIds, Decline, ResolveProfile, UndoReason, UnknownReason};
use till_plugin::{Family, Money};

use super::state::{AttemptState, LegKind};

/// One try on one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its numbers.
    pub ids: AttemptIds,
    /// What it does with money.
    pub kind: LegKind,
    /// The attempt it follows (void, refund, completion, release); 0: none.
    pub of: u32,
    /// How much.
    pub amount: Money,
    /// Channel instance.
    pub channel: String,
    /// What was presented.
    pub family: Family,
    /// How it may be shown.
    pub masked: String,
    /// Keyed token of the instrument; empty: none.
    pub token: String,
    /// Caller's idempotency key of a leg; empty: none.
    pub key: String,
    /// Why a leg was asked for; empty for tenders.
    pub reason: String,
    /// Who asked for a leg.
    pub operator: Option<String>,
    /// Batch of the till that it belongs to.
    pub batch: u32,
    /// Its channel wants the card again and it was not presented yet.
    pub wants_instrument: bool,
    /// Where it stands.
    pub state: AttemptState,
    /// Given up by the operator (or approved after it was undone): may only end undone or in review, and other
    /// attempts of its payment may go on meanwhile.
    pub abandoned: bool,
    /// A hold that ran out.
    pub expired: bool,
    /// Number of its receipt or slip, once approved and if it has one.
    pub receipt: Option<u64>,
    /// Copies of it that were asked for.
    pub copies: u32,
    /// Print job of it.
    pub receipt_job: Option<u64>,
    /// How its unknown outcome would be resolved; fixed when it was created.
    pub resolve: ResolveProfile,
    /// Recovery data, sealed by the shell; present from `Sent` on; opens until its batch is closed.
    pub recovery: Option<Vec<u8>>,
    /// Approval, once verified.
    pub approval: Option<Approval>,
    /// Why it was declined or not sent.
    pub decline: Option<Decline>,
    /// Why it became unknown.
    pub unknown: Option<UnknownReason>,
    /// Queries begun so far.
    pub queries: u32,
    /// "Not found" answers so far.
    pub not_found: u32,
    /// How long the queries so far surely took since the outcome became unknown, ms.
    pub asked_ms: u64,
    /// The next query comes without its pause, because of a restart: its time does not count.
    pub hurried: bool,
    /// Undo tries begun so far.
    pub undos: u32,
    /// Undo tries that surely did not leave; they do not count against the budget.
    pub undos_unsent: u32,
    /// Undo tries answered by "never existed", which a request that is still on its way can make wrong.
    pub never_existed: u32,
    /// A query or undo has begun and is not answered yet.
    pub waiting: bool,
    /// Reason of the undo, once decided.
    pub undo_reason: Option<UndoReason>,
    /// Money had moved and went back, as the channel said.
    pub money_returned: bool,
    /// Journal sequence number of its sent record, the age of the attempt.
    pub sent_seq: u64,
    /// Wall clock when it was sent, Unix ms.
    pub sent_wall_ms: i64,
}

impl Attempt {
    /// Approved: its effect on money stands.
    pub fn stands(&self) -> bool {
        self.state == AttemptState::Approved
    }
}
