//! The D-Bus contract of tilld: the interface XML, typed proxies of every interface, typed errors, and what a client
//! needs around them.
//!
//! * [`XML`]: the contract itself, as text; everything here is held equal to it by tests.
//! * [`Terminal1Proxy`], [`Payment1Proxy`], [`AfterSales1Proxy`], [`Disputes1Proxy`], [`Notices1Proxy`], [`Settlement1Proxy`], [`Channel1Proxy`], [`Device1Proxy`], [`Printer1Proxy`], [`Plugins1Proxy`],
//!   [`Prepaid1Proxy`], [`Inquiry1Proxy`],
//!   [`Journal1Proxy`]: one an interface, same members, same documentation.
//! * [`connect`]: connects with a timeout, and says so when tilld does not run.
//! * [`events`]: every signal of the till, decoded, in one ordered stream.
//! * [`tree`]: the state of the whole till in two calls.
//! * [`Error`]: `org.tilld.Error.*` as an enum.
//!
//! Amounts are `i64` minor units (fen, cent) beside an ISO 4217 code, as on the wire.
//!
//! A client that takes 128.50 in cash and waits for the end:
//!
//! ```no_run
//! # async fn pay() -> Result<(), till_dbus::Error> {
//! use till_dbus::{Bus, Options, Payment1Proxy, Terminal1Proxy};
//! use till_dbus::events::{Change, Events};
//!
//! let connection = till_dbus::connect::connect(&Bus::from_env(), till_dbus::connect::TIMEOUT).await?;
//! // Listen first: nothing that happens from here on is missed.
//! let mut events = Events::subscribe(&connection).await?;
//! let till = Terminal1Proxy::new(&connection).await?;
//! let options = Options::from([("key", "order-4711".into()), ("subject", "2 coffee".into())]);
//! let path = till.open_payment(12_850, "CNY", options).await?;
//! let payment = Payment1Proxy::new(&connection, &path).await?;
//! payment.confirm_amount(12_850, "CNY", Options::new()).await?;
//! payment.pay_cash(15_000, Options::new()).await?;
//! while let Some(event) = events.next().await {
//!     match event.change {
//!         Change::PaymentState { new, .. } if event.path == path && new == "paid" => break,
//!         Change::DaemonGone => println!("tilld stopped; the payment goes on when it is back"),
//!         _ => {}
//!     }
//! }
//! println!("{}", payment.receipt_text(Options::new()).await?);
//! # Ok(())
//! # }
//! ```

use std::collections::HashMap;

mod choice;
mod code_pipe;
pub mod connect;
#[cfg(feature = "contract")]
pub mod contract;
pub mod error;
pub mod events;
pub mod paths;
pub mod tree;
pub mod types;

pub mod aftersales1;
pub mod channel1;
pub mod device1;
pub mod disputes1;
pub mod inquiry1;
pub mod journal1;
pub mod notices1;
pub mod payment1;
pub mod plugins1;
pub mod prepaid1;
pub mod printer1;
pub mod settlement1;
pub mod terminal1;

pub use aftersales1::AfterSales1Proxy;
pub use channel1::Channel1Proxy;
pub use code_pipe::{MAX_CODE, code_pipe};
pub use connect::Bus;
pub use device1::Device1Proxy;
pub use disputes1::Disputes1Proxy;
pub use error::Error;
pub use inquiry1::Inquiry1Proxy;
pub use journal1::Journal1Proxy;
pub use notices1::Notices1Proxy;
pub use payment1::Payment1Proxy;
pub use plugins1::Plugins1Proxy;
pub use prepaid1::Prepaid1Proxy;
pub use printer1::Printer1Proxy;
pub use settlement1::Settlement1Proxy;
pub use terminal1::Terminal1Proxy;

/// Well-known bus name.
pub const NAME: &str = "org.tilld.Till1";

/// The `a{sv} options` of every method; an empty one asks for nothing special.
pub type Options<'a> = HashMap<&'a str, zbus::Variant<'a>>;

/// The contract: name and XML of every interface.
pub const XML: &[(&str, &str)] = &[
    ("org.tilld.AfterSales1", include_str!("../interfaces/org.tilld.AfterSales1.xml")),
    ("org.tilld.Channel1", include_str!("../interfaces/org.tilld.Channel1.xml")),
    ("org.tilld.Device1", include_str!("../interfaces/org.tilld.Device1.xml")),
    ("org.tilld.Disputes1", include_str!("../interfaces/org.tilld.Disputes1.xml")),
    ("org.tilld.Inquiry1", include_str!("../interfaces/org.tilld.Inquiry1.xml")),
    ("org.tilld.Journal1", include_str!("../interfaces/org.tilld.Journal1.xml")),
    ("org.tilld.Notices1", include_str!("../interfaces/org.tilld.Notices1.xml")),
    ("org.tilld.Payment1", include_str!("../interfaces/org.tilld.Payment1.xml")),
    ("org.tilld.Plugins1", include_str!("../interfaces/org.tilld.Plugins1.xml")),
    ("org.tilld.Prepaid1", include_str!("../interfaces/org.tilld.Prepaid1.xml")),
    ("org.tilld.Printer1", include_str!("../interfaces/org.tilld.Printer1.xml")),
    ("org.tilld.Settlement1", include_str!("../interfaces/org.tilld.Settlement1.xml")),
    ("org.tilld.Terminal1", include_str!("../interfaces/org.tilld.Terminal1.xml")),
];
