//! Everything outside the till, simulated from public protocols with scripted faults.
//!
//! Each simulator keeps its own ledger, so that a test can ask the other side of the network what really happened. None
//! of them imports the till's clients: they are written from the published protocols (channels.md §1.9, §2.5, §3.4 and §4.4).

pub mod acquirer;
pub mod alipay;
mod background;
pub mod bus;
pub mod counter;
pub mod faults;
pub mod hid;
pub mod nfc;
pub mod players;
pub mod printer;
pub mod unionpay;
#[cfg(test)]
mod vectors;
pub mod wallet;
pub mod wechatpay;
