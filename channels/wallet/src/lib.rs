//! What the wallet channels share: [`link`] and [`http`] (one HTTPS exchange, and an honest account of how far it got),
//! [`keys`] (RSA both ways), [`certificate`], [`chain`] and [`issue`], [`form`] (signed forms), [`given`] (settings and secrets), [`asked`]
//! (what is asked, checked), [`amount`], [`time`], [`words`], [`doubt`], [`counts`].
//!
//! A library of its own, and not a copy in each channel: what decides whether a byte left the machine, and whether a seal
//! is right, must be one text.

pub mod amount;
pub mod asked;
pub mod certificate;
pub mod chain;
pub mod counts;
mod der;
pub mod doubt;
pub mod form;
pub mod given;
pub mod http;
pub mod issue;
pub mod keys;
pub mod link;
pub mod time;
pub mod words;
