//! What every simulated wallet is made of: its doors, its keys and certificates, how customers behave, how a fault bends an
//! answer, and the addresses through which a test in another process looks in.

pub(crate) mod body;
mod buyer;
pub(crate) mod control;
mod digest;
mod doors;
pub mod form;
pub(crate) mod issuing;
pub mod keys;
pub(crate) mod serve;
pub(crate) mod tls;

pub use buyer::{Account, Buyer, masked};
pub(crate) use digest::{Digest, digest_of};
pub(crate) use doors::Doors;
pub use doors::GatewayError;
pub use tls::{Certificate, TlsError};
