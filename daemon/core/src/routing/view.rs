//! Channels as routing sees them.

use till_plugin::Family;
use till_plugin::channel::{Operation, ResolveProfile};

use crate::payment::LegKind;

/// A channel as routing sees it: configuration and what is known right now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteView {
    /// Channel instance.
    pub id: String,
    /// Families it takes.
    pub families: Vec<Family>,
    /// Operations it does.
    pub operations: Vec<Operation>,
    /// Currencies it takes, ISO 4217 codes.
    pub currencies: Vec<String>,
    /// Smaller comes first.
    pub priority: u32,
    /// Switched on in the configuration.
    pub enabled: bool,
    /// Process, sign-in and connection.
    pub health: RouteHealth,
    /// Signs with the time of day.
    pub needs_clock: bool,
    /// How its unknown outcomes are resolved.
    pub resolve: ResolveProfile,
    /// Merchant that its answers must name.
    pub merchant: Option<String>,
    /// Terminal that its answers must name.
    pub terminal: Option<String>,
    /// Longest an authorisation may take, ms.
    pub authorise_timeout_ms: u32,
    /// Legs that it does after an approval, and on what terms.
    pub legs: Vec<LegTerms>,
}

impl RouteView {
    /// The terms of a leg, if the channel does it.
    pub fn leg(&self, kind: LegKind) -> Option<&LegTerms> {
        self.legs.iter().find(|t| t.kind == kind)
    }
}

/// On what terms a channel does a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegTerms {
    /// What it does.
    pub kind: LegKind,
    /// How its unknown outcome is resolved.
    pub resolve: ResolveProfile,
    /// The card must be presented again.
    pub instrument: bool,
    /// Less than the whole is possible.
    pub partial: bool,
}

/// How a channel is right now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteHealth {
    /// Takes payments.
    Ready,
    /// Its process is starting or it is signing in.
    Starting,
    /// Not signed in; a sign-in comes first.
    SignedOff,
    /// Does not work.
    Failed {
        /// One line.
        reason: String,
    },
}

impl RouteView {
    /// How long a sale that begins now may take until its outcome is known: the answer's own time, queries, and the wait
    /// before an undo, ms. New sales stop so long before maintenance.
    pub fn settles_within_ms(&self) -> i64 {
        let query = self.resolve.query.as_ref().map_or(0, |q| i64::from(q.until_ms) + i64::from(q.settle_ms));
        let undo = self.resolve.undo.as_ref().map_or(0, |u| i64::from(u.not_before_ms));
        i64::from(self.authorise_timeout_ms) + query + undo
    }
}
