//! HID readers as the till's `hidraw` transport sees them: reports on a socket of packets (SOCK_SEQPACKET).
//!
//! Written from HID Point of Sale Usage Tables 1.02 (usage pages 8Ch and 8Eh) and MagTek's public report layout (devices.md
//! §1.1); ciphertext by ANSI X9.24-1 with the standards' test keys. **Not certified**: test cards only.
//!
//! ```no_run
//! use till_simulators::hid::{HidScanner, HidStripe, StripeFault};
//!
//! let reader = HidStripe::magtek("/tmp/reader.sock".as_ref())?;
//! println!("settings = {{ report-descriptor = \"{}\" }}", reader.descriptor());
//! reader.swipe("%B6200000000000005^TEST/CARD^3012101000000000?;6200000000000005=301210100000?", &[])?;
//! reader.swipe(";6200000000000005=301210100000?", &[StripeFault::Double { gap_ms: 50 }])?;
//!
//! let scanner = HidScanner::listen("/tmp/scanner.sock".as_ref())?;
//! scanner.scan("6212345678901234567", &[])?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod node;
mod scanner;
mod stripe;
#[cfg(test)]
mod tests;

pub use node::HidNode;
pub use scanner::{HidScanFault, HidScanner, ScanRefused};
pub use stripe::{HidStripe, StripeFault, SwipeRefused};
