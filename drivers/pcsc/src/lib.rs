//! A reader that pcscd has, as tilld's contactless driver takes one: CCID messages on a socket of packets (USB CCID rev. 1.1 §6, one slot,
//! whole short APDUs), each carried out by PC/SC.

pub mod message;
pub mod reader;
pub mod slot;
