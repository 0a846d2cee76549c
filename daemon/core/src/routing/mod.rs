//! Which channel takes this payment, and why not the others. Pure functions: the same inputs always give the same answer,
//! and the answer is journalled with the attempt.
//!
//! The pipeline is that of pos.md §4.3. What excludes, in this order, each channel by the first reason that hits it:
//! eligibility (configuration, family, operation, currency), the operator's choice, maintenance windows, health and
//! clock, circuit breaker, limits, rules, and what was tried for the same presented instrument before. What is left is
//! put in order: channels that work as they should, the rule's preference, the route that the card went before, the
//! smallest fee, agreed shares, priority, id.
//!
//! * [`route`] is the pipeline over a [`Question`]; [`ask()`] makes the question from the state of the till.
//! * [`Decision`] is the answer and its evidence: [`Decision::replay`] chooses again from it alone,
//!   [`Decision::explain`] says it to people.
//! * [`Policy`] is what the configuration says.

mod ask;
mod decision;
mod pipeline;
mod policy;
mod split;
mod text;
mod view;

pub use ask::{Ask, Suggestion, ask, failover, in_the_way, suggest, what_if};
pub use decision::{Candidate, Decision, Exclusion, RuleWeight, ShareWeight, Verdict, Weights, WindowHit};
pub use pipeline::{Question, route};
pub use policy::{Action, Conditions, Policy, Routing, Rule};
pub use split::turns;
pub use text::instead;
pub use view::{LegTerms, RouteHealth, RouteView};
