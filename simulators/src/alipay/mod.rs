//! An Alipay gateway (当面付, face-to-face payment) with its own books, keys and certificate authority.
//!
//! Written from the published protocol as told in channels.md §2, never from the till's client. It verifies each
//! request's RSA2 signature over the parameters as received, keeps the rules of trade, and signs each reply over the raw
//! text of its response node, spelled with changing blanks and escapes. What goes wrong is scripted with
//! [`crate::faults`]; how customers behave is in [`Buyer`].
//!
//! ```
//! use till_simulators::alipay::{Gateway, Settings};
//! use till_simulators::faults::{Fault, Rule};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let gateway = Gateway::start(Settings::default())?;
//! println!("POST to {} as app {}", gateway.url(), gateway.app_id());
//! gateway.faults().add(Rule::once("alipay.trade.pay", Fault::DropAfterBooking {}))?;
//! assert_eq!(gateway.ledger().totals.paid.get(), 0);
//! # Ok(())
//! # }
//! ```

mod amount;
mod code;
mod control;
mod gateway;
mod ledger;
mod methods;
mod papers;
mod platform;
mod refusal;
mod reply;
mod request;
mod server;
mod trading;

pub use crate::wallet::{Account, Buyer, Certificate};
pub use amount::Fen;
pub use code::is_wallet_code;
pub use gateway::{Certificates, Gateway, Settings};
pub use ledger::{Ledger, Refund, Refused, Seen, Status, Totals, Trade};
pub use papers::Papers;
pub use refusal::Refusal;
pub use reply::Spelling;
pub use request::METHODS;
