//! PINs from a certified pad, in facts beside the messages.
//!
//! A channel whose network takes PIN blocks under a pad's own keys says [`KEY`] and [`FORMAT`] as
//! [extra facts](crate::Extra) of its description. A request for money that comes while a pad works carries [`PAD`]. A card
//! that owes its PIN is then refused by [`Channel::prepare`](super::Channel::prepare) with the code [`NEEDED`]: the daemon asks
//! the pad ([`Driver::enter_pin`](crate::Driver::enter_pin)) and prepares the same attempt once more, now with
//! [`Authorise::pin_block`](super::Authorise::pin_block) and [`KSN`]. Nothing has left meanwhile. No digit of a PIN is in any
//! of this: a pad gives ciphertext only.

/// Code of a [`Decline`](super::Decline) by `prepare`: this card owes its PIN, and none was given.
pub const NEEDED: &str = "needs-pin";

/// In a description: name of the key in the pad that the network knows.
pub const KEY: &str = "pin.key";
/// In a description: PIN block format of ISO 9564-1, a number ([`PinRequest::format`](crate::driver::PinRequest::format)).
pub const FORMAT: &str = "pin.format";
/// In a description: the network's codes for a wrong PIN after which it may be asked for again, apart by blanks.
pub const WRONG: &str = "pin.wrong";
/// In a request: a pad is ready to be asked.
pub const PAD: &str = "pin.pad";
/// In a request, beside the block: key serial number of the derived key (DUKPT), upper-case hexadecimal.
pub const KSN: &str = "pin.ksn";
