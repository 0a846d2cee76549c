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
pub(crate) mod body;
mod buyer;
mod control;
mod form;
mod gateway;
pub mod keys;
mod ledger;
mod methods;
mod platform;
mod refusal;
mod reply;
mod request;
pub(crate) mod server;
pub(crate) mod tls;
mod trading;

pub use amount::Fen;
pub use buyer::{Account, Buyer, is_wallet_code, masked};
pub use form::{FormError, Parameters};
pub(crate) use gateway::listen;
pub use gateway::{Gateway, GatewayError, Settings};
pub(crate) use ledger::{Digest, digest_of};
pub use ledger::{Ledger, Refund, Refused, Seen, Status, Totals, Trade};
pub use refusal::Refusal;
pub use reply::Spelling;
pub use request::METHODS;
pub use tls::{Certificate, TlsError};
