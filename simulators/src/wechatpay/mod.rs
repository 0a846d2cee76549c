//! A WeChat Pay platform with its own books, keys and certificate authority: interface v3, and micropay of v2.
//!
//! Written from the published protocol as told in channels.md §3, never from the till's client. It verifies each request's
//! seal, keeps the rules of trade (also that nothing is reversed within 15 s of its payment), and seals each answer. What goes
//! wrong is scripted with [`crate::faults`]; how customers behave is in [`Buyer`].
//!
//! ```
//! use till_simulators::faults::{Fault, Rule};
//! use till_simulators::wechatpay::{Platform, Settings};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let platform = Platform::start(Settings::default())?;
//! println!("at {} as merchant {}", platform.url(), platform.mchid());
//! platform.faults().add(Rule::once("codepay", Fault::DropAfterBooking {}))?;
//! assert_eq!(platform.ledger().kept, 0);
//! # Ok(())
//! # }
//! ```

mod books;
mod inside;
mod platform;
mod sealing;
mod server;
mod three;
mod two;

pub use crate::wallet::{Account, Buyer, Certificate};
pub use books::{Ledger, Refund, Seen, State, Trade};
pub use platform::{Platform, PlatformError, Settings};

/// The operations of both interfaces, as fault scripts name them.
pub const OPERATIONS: &[&str] =
    &["codepay", "native", "query", "close", "reverse", "refund", "refund-query", "certificates"];

/// What this platform can be asked to get wrong.
pub(crate) const ABILITIES: crate::faults::Abilities = crate::faults::Abilities {
    simulator: "the WeChat Pay platform",
    operations: OPERATIONS,
    kinds: &[
        "drop-before-booking",
        "drop-after-booking",
        "delay-reply",
        "delay-booking",
        "hold-reply",
        "hold-booking",
        "wrong-signature",
        "unsigned",
        "wrong-amount",
        "wrong-reference",
        "half-reply",
        "garbage",
        "http-status",
        "slow",
        "reset",
        "answer",
        "signature-probe",
        "stale-signature",
        "replayed-reply",
        "key-rotated",
    ],
};
