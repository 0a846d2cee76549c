//! A UnionPay QR gateway (银联二维码) with its own books, keys, certificates and clearing days.
//!
//! Written from the published protocol as told in channels.md §4, never from the till's client. It verifies each request's
//! signature, keeps the rules of trade (also that nothing is reversed or voided behind 23:00 of its day), and signs each answer
//! with a certificate that leads over one in between to a root of its own. What goes wrong is scripted with
//! [`crate::faults`]; how customers behave is in [`Buyer`].
//!
//! ```
//! use till_simulators::faults::{Fault, Rule};
//! use till_simulators::unionpay::{Platform, Settings};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let platform = Platform::start(Settings::default())?;
//! println!("at {} as merchant {}", platform.url(), platform.mer_id());
//! platform.faults().add(Rule::once("pay", Fault::DropAfterBooking {}))?;
//! assert_eq!(platform.ledger().kept, 0);
//! # Ok(())
//! # }
//! ```

mod books;
mod inside;
mod papers;
mod platform;
mod server;

pub use crate::wallet::{Account, Buyer, Certificate};
pub use books::{Kind, Ledger, Seen, State, Trade};
pub use papers::Papers;
pub use platform::{Platform, PlatformError, Settings};

/// The operations, as fault scripts name them.
pub const OPERATIONS: &[&str] =
    &["pay", "hold", "show", "query", "reverse", "void", "refund", "capture", "release"];

/// What this gateway can be asked to get wrong.
pub(crate) const ABILITIES: crate::faults::Abilities = crate::faults::Abilities {
    simulator: "the UnionPay gateway",
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
        "wrong-merchant",
        "half-reply",
        "garbage",
        "http-status",
        "slow",
        "reset",
        "answer",
        "replayed-reply",
        "foreign-certificate",
        "expired-certificate",
        "wrong-owner",
    ],
};
