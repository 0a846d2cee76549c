//! The acquirer over TCP, against a terminal written for the test.

mod downloads;
mod faulty;
mod holds;
mod inquiries;
mod money;
mod settlement;
mod sm4;
mod terminal;
mod vectors;

use super::{Acquirer, AcquirerConfig};

fn acquirer() -> Acquirer {
    Acquirer::start(AcquirerConfig::default()).unwrap()
}
