//! What a shop would lose if this printer lied.

mod paper;
mod streams;
mod wire;

use super::{Machine, Model};

/// A printer that has received these bytes.
fn printed(model: Model, bytes: &[u8]) -> Machine {
    let mut machine = Machine::new(model);
    machine.receive(bytes);
    machine
}

fn gb(text: &str) -> Vec<u8> {
    encoding_rs::GB18030.encode(text).0.into_owned()
}
