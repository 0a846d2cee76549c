//! What commands print, from what the daemon says: pure functions, held by golden tests.

mod bill;
mod doctor;
mod fix;
mod lists;
mod payment;
mod status;
mod why;

pub use bill::{bill, history};
pub use doctor::doctor;
pub use fix::fix;
pub use lists::{channels, devices, payments, plugins, suspensions};
pub use payment::payment;
pub use status::status;
pub(crate) use why::lines;
pub use why::{decisions, standing};
