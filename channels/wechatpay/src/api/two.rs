//! Interface v2: XML, seals inside (channels §3.2).

use till_plugin::{Host, Sensitive};
use till_wallet::http::Request;

use super::{Line, NotMade};
use crate::ask::Ask;
use crate::reply::{Answered, NoAnswer};
use crate::seal::{SealError, Seals, nonce};
use crate::v2::call::call;
use crate::v2::read::read;
use crate::v2::sign::Method;
use crate::v3::Merchant;

/// The interface.
pub struct Two {
    /// What every request carries.
    pub merchant: Merchant,
    /// How both sides seal.
    pub method: Method,
    /// The key both sides have.
    pub key: Sensitive<String>,
    /// The till's address as the merchant states it.
    pub device_ip: String,
    /// The answers that were seen.
    pub seals: Seals,
    /// The way there.
    pub line: Line,
}

impl Two {
    /// Whether it can be written.
    pub fn check(&self, ask: &Ask<'_>) -> Result<(), NotMade> {
        call(ask, &self.merchant, self.method, &self.device_ip, "0").map(drop).map_err(NotMade::Ask)
    }

    /// Asks.
    pub fn ask(&mut self, host: &Host, ask: &Ask<'_>) -> Result<Answered, NotMade> {
        // Not sealed with the time; but whoever trusts no clock cannot tell a code's age either, and one rule is enough.
        if !host.now().trusted {
            return Err(NotMade::Clock);
        }
        let call = call(ask, &self.merchant, self.method, &self.device_ip, &nonce()?)?;
        let path = call.path;
        let body = call.sealed(self.method, self.key.expose());
        let headers = [("Content-Type", "text/xml; charset=utf-8"), ("Accept", "text/xml")];
        let request = Request { method: "POST", path, headers: &headers, body: &body };
        Ok(self.line.send(host, &request).map_err(NoAnswer::from).and_then(|reply| {
            if reply.status != 200 {
                let seal = SealError::Unsigned("sign");
                return Err(NoAnswer::Seal { seal, status: reply.status, code: None });
            }
            let refund = match ask {
                Ask::RefundQuery { refund } => Some(*refund),
                _ => None,
            };
            let operation = ask.operation();
            let (node, nonce) =
                read(operation, reply.status, &reply.body, self.method, self.key.expose(), refund)?;
            let status = reply.status;
            self.seals.remember(&nonce, host.now().wall_ms).map_err(|seal| NoAnswer::Seal {
                seal,
                status,
                code: None,
            })?;
            Ok(node)
        }))
    }
}
