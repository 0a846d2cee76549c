//! An ESC/POS printer without its cable: bytes in, receipts out, as text and as a picture dot by dot.
//!
//! Written from the command reference, never from our printer driver, so that the one can judge the other. The simulated printer
//! on TCP (`till_simulators::printer`) is this behind a socket; `tillctl receipt preview` draws with it.

mod barcode;
mod charset;
mod command;
pub mod font;
mod machine;
mod page;
mod picture;
mod print;
#[cfg(test)]
mod tests;
mod text;
pub mod token;

pub use command::{Command, Fault, NotACommand};
pub use machine::{Machine, Model, Pulse, Status};
pub use page::{Bitmap, Block, Cell, Content, Cut, LINE, Receipt, Style, Symbol};

/// Why a picture cannot be made.
pub use image::ImageError;
