//! Batches: what a business day's money is made of, and how it is settled with the networks.
//!
//! One [`Batch`] of the till is open at any time; its numbers have no gap (I13). Inside it stands a [`Part`] for every
//! channel and batch number of the channel's network. An attempt belongs to the batch that was open when it was
//! created, so freezing a batch and opening the next is one record, and sales never wait for a settlement.
//!
//! * [`Batches`] is the fold; [`BatchEvent`] what the journal holds; `machine::settle` decides.
//! * [`clock`] is the rule that closes a business day by itself, once.
//! * Money counts where it was made. What becomes certain only after its batch was compared with the network is counted
//!   in the open batch, in a part of its own ([`PartId::carried`]): each entry is in exactly one batch (I12).

mod book;
pub mod clock;
mod date;
mod day;
mod entry;
mod event;
mod part;
mod payout;
mod rules;
pub mod slip;
mod totals;

pub use book::{Batches, RECENT};
pub use clock::{CloseAt, Now};
pub(crate) use date::local_ms;
pub use date::{BusinessDate, DateError};
pub use day::{Batch, BatchState};
pub use entry::{Entry, Exception, Item, PartId, Why};
pub use event::BatchEvent;
pub use part::{Answer, Ask, CloseProposal, Exchange, Part, PartState};
pub use payout::{Calendar, Expected, Payout, PayoutCycle, expect as expect_payout};
pub use rules::{Rules, SettleRule};
pub use totals::{Kinds, Line, Side, Totals, side};
