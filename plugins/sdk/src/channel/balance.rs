//! Balance inquiries of cards whose account is kept elsewhere (a bank's), in facts beside the messages.
//!
//! A channel whose network tells a card's balance lists [`Operation::Balance`](super::Operation::Balance). The daemon asks it
//! by [`Channel::balance`](super::Channel::balance) with an [`Authorise`](super::Authorise) that asks for no money: its amount
//! is zero, [`AttemptIds::payment`](super::AttemptIds::payment) belongs to no payment, [`AttemptIds::trace`](super::AttemptIds::trace)
//! was taken for it. No money moves, so nothing is kept of it and nothing is ever undone: a [`Decline`](super::Decline) says
//! why there is no balance, and [`UNANSWERED`] is one of the reasons.
//!
//! A PIN is asked for as before a payment ([`pin`](super::pin)): the code [`pin::NEEDED`](super::pin::NEEDED) means that nothing
//! has left; the call comes once more, with the block and under another trace number.
//!
//! The balance is its owner's. The daemon gives it to the caller and forgets it; a channel must neither log nor store it, nor
//! put it into a text.

/// Code of a [`Decline`](super::Decline): the network did not answer. It can be asked again.
pub const UNANSWERED: &str = "unanswered";
/// Code of a [`Decline`](super::Decline): an answer came that cannot be believed or holds no readable balance.
pub const BAD_ANSWER: &str = "bad-answer";
