//! What a tapped card says, without I/O: EMV Books 1–3, Book B (entry point), and the online-only flow of qPBOC and qVSDC
//! (channels: "reader of online data"). No kernel of a scheme; nothing here is certified.

pub mod aid;
pub mod apdu;
pub mod dol;
pub mod holder;
pub mod oda;
pub mod options;
pub mod refusal;
pub mod store;
pub mod tap;
pub mod terminal;
pub mod tlv;
