//! Interface v2 (channels §3.2), for merchants still on it: flat XML both ways, sealed with a key that both sides have.

pub mod call;
pub mod read;
pub mod sign;
pub mod xml;
