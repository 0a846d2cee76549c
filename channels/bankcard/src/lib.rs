//! Payment channel: bank cards over ISO 8583, as Chinese POS terminals speak it.
//!
//! Sans-I/O inside: [`dialect`] is an acquirer's way of speaking as data, [`codec`] and [`framing`] turn messages into
//! bytes and back, [`mac`] and [`keys`] are the cryptography, [`messages`] builds requests, [`answers`] judges replies,
//! [`closing`] those to totals, [`balance`] those to inquiries, [`params`] what is downloaded, [`recovery`], [`reversal`],
//! [`session`] and [`slot`] keep the rules between them. Uncertified; see
//! the README.

pub mod answers;
pub mod balance;
pub mod card;
pub mod closing;
pub mod codec;
pub mod dialect;
mod digits;
pub mod exchange;
pub mod framing;
pub mod hosttime;
pub mod keys;
pub mod link;
pub mod link_key;
pub mod mac;
pub mod message;
pub mod messages;
pub mod outcome;
pub mod params;
pub mod plugin;
pub mod recovery;
pub mod reversal;
pub mod session;
pub mod settings;
pub mod slot;
pub mod sm4;
pub mod tdes;
pub mod tls;
pub mod tlv;
