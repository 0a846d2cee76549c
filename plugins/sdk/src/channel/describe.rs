//! What a channel says of itself, and how its unknown outcomes are resolved.

use serde::{Deserialize, Serialize};

use crate::{Extra, Family};

/// An operation of a channel.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Operation {
    /// Take money.
    Sale,
    /// Hold money.
    PreAuthorisation,
    /// Take held money.
    Capture,
    /// Undo in the same batch.
    Void,
    /// Give money back.
    Refund,
    /// Ask what became of it.
    Query,
    /// Undo an unknown outcome.
    Undo,
    /// Compare totals.
    Settle,
    /// Sign the terminal in.
    SignIn,
    /// Balance of a card.
    Balance,
    /// Money-free check.
    Probe,
    /// Show a code to the customer.
    ShowCode,
    /// Give a hold back without taking it.
    Release,
    /// Accounts of the channel's own: issue, load, block, redeem … ([`super::Account`]).
    Account,
}

/// Answer to `describe`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelDescription {
    /// Families of instruments it takes.
    pub families: Vec<Family>,
    /// Operations it does.
    pub operations: Vec<Operation>,
    /// Currencies it takes, ISO 4217 codes.
    pub currencies: Vec<String>,
    /// How unknown outcomes are resolved.
    pub resolve: ResolveProfile,
    /// Requests are signed with the time of day: unusable while the clock is not trusted.
    pub needs_clock: bool,
    /// The merchant that answers must name, where known (W4): compared with every echo.
    pub merchant: Option<String>,
    /// The terminal that answers must name, where known.
    pub terminal: Option<String>,
    /// Longest an authorisation may take, ms.
    pub authorise_timeout_ms: u32,
    /// Room for later facts.
    pub extra: Extra,
}

/// How the daemon resolves an unknown outcome on this channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolveProfile {
    /// Query rule; `None`: go straight to undo.
    pub query: Option<QueryRule>,
    /// Undo rule; `None`: nothing can be undone, after the queries a person decides.
    pub undo: Option<UndoRule>,
    /// At most one unresolved attempt on the channel (single-slot reversal, Q/CUP): new requests wait for it.
    pub single_slot: bool,
}

/// When to query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryRule {
    /// First query this long after the outcome became unknown, ms.
    pub first_ms: u32,
    /// Pause between queries, ms.
    pub every_ms: u32,
    /// Stop querying this long after the authorisation was sent, ms; then one last query.
    pub until_ms: u32,
    /// "Not found" means "never arrived" only when it stands this long after sending, ms; undone all the same.
    pub settle_ms: u32,
}

/// When to undo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoRule {
    /// Not sooner than this after sending, ms.
    pub not_before_ms: u32,
    /// Pause after the first unanswered try, ms; doubles each time.
    pub pause_ms: u32,
    /// Longest pause, ms.
    pub pause_max_ms: u32,
    /// Tries that reached the other end before a person decides; 0: for ever.
    pub tries: u32,
}
