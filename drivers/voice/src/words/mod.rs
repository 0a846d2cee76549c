//! Numbers in words. Whole numbers only, to the bounds of 64 bits.

pub mod chinese;
pub mod english;
