//! A contactless reader with somebody's hand before it: a PN532 on a Unix socket, a pseudo-terminal, TCP, I2C or SPI, an ACR122U, a USB reader that finds cards by itself, and cards with
//! scripted faults. Written from NXP UM0701-02, ISO/IEC 7816-4 and EMV Books 1–3; the till's driver is not looked at.
//!
//! ```no_run
//! use std::time::Duration;
//! use till_simulators::nfc::{Card, Fault, Hand, NfcReader};
//!
//! let reader = NfcReader::on_socket("/tmp/nfc.sock".as_ref())?;
//! reader.present(Hand::with(Card::unionpay()).fault(Fault::RemovedAt { apdu: 2 }));
//! reader.wait(Duration::from_secs(5), |seen| seen.apdus >= 3);
//! reader.remove();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bus;
mod card;
mod ccid;
mod chip;
mod fault;
mod keys;
mod personal;
mod server;
mod slot;
#[cfg(test)]
mod tests;
mod vpcd;

pub use bus::Bus;
pub use card::Card;
pub use ccid::Acr122;
pub use chip::{Chip, Out, Seen};
pub use fault::{Fault, Hand, NotAHand};
pub use personal::scheme_key;
pub use server::NfcReader;
pub use slot::Slot;
pub use vpcd::Inserted;
