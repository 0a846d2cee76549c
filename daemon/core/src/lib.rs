//! The deciding part of the till, pure: no I/O, no clock, no randomness but what is passed in.
//!
//! * [`till::Till`] is everything the till knows, and is nothing but the fold of its [`record::Record`]s
//!   ([`till::Till::apply`]): replaying the journal gives the live state.
//! * [`machine::decide`] turns (state, input) into at most one record and the effects that may run once that record is
//!   on disk. One input, one record: a step is atomic because a journal frame is.
//! * [`routing::route`] chooses the channel, and says of every other one why not.
//! * [`recognise::recognise`] names what the customer presented, or says that a person must.
//!
//! * [`shell::Shell`] holds a step back until its record is durable, and only then folds it in and gives its effects
//!   out. The daemon's actor and the simulation (`tests/simulation`) are both built on it, so that what is proved
//!   there is what runs here.

pub mod announce;
pub mod batch;
mod bounds;
pub mod breaker;
pub mod dispute;
pub mod effect;
pub mod emvco;
pub mod fees;
mod fold;
pub mod input;
mod keys;
pub mod limits;
pub mod machine;
pub mod merchant;
pub mod payment;
pub mod pinning;
pub mod planted;
pub mod postings;
pub mod profile;
pub mod receipt;
pub mod recognise;
pub mod record;
pub mod refusal;
pub mod routing;
pub mod shell;
pub mod suspension;
pub mod till;
pub mod training;
pub mod windows;
pub mod wrong_pin;

pub use bounds::{MAX_KEY, MAX_RECORD, MAX_RECOVERY};
pub use effect::Effect;
pub use input::{Context, Input};
pub use keys::KEYS;
pub use machine::{Step, decide, recover};
pub use payment::{Attempt, AttemptState, LegKind, Payment, PaymentId, PaymentState, Purpose, Verdict};
pub use record::Record;
pub use refusal::Refusal;
pub use shell::{Durable, Next, NotDone, Pending, Shell};
pub use till::{SnapshotError, Till};
