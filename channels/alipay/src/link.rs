//! The connection to the gateway: a form goes out, a body comes back. How far an exchange got is told by
//! [`till_wallet::link`].

use std::time::{Duration, Instant};

use till_wallet::http::{Answer, Request};
pub use till_wallet::link::{LinkError, TargetError};

/// The gateway's content types; the charset of a form is the query's.
const HEADERS: &[(&str, &str)] =
    &[("Content-Type", "application/x-www-form-urlencoded;charset=utf-8"), ("Accept", "application/json")];

/// A gateway that can be posted to.
#[derive(Clone, Debug)]
pub struct Target {
    gateway: till_wallet::link::Target,
    path: String,
}

impl Target {
    /// Reads the settings. `ca_pem` is required for `https://`; `http://` needs `insecure`.
    pub fn new(
        url: &str,
        ca_pem: &str,
        insecure: bool,
        connect_timeout: Duration,
    ) -> Result<Self, TargetError> {
        let gateway = till_wallet::link::Target::new(url, ca_pem, insecure, connect_timeout)?;
        let mut path = gateway.path().to_owned();
        // The gateway decodes by the query's charset, not by the form's.
        if !path.contains("charset=") {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str("charset=utf-8");
        }
        Ok(Self { gateway, path })
    }

    /// The gateway's host name.
    pub fn host(&self) -> &str {
        self.gateway.host()
    }

    /// One exchange: posts a form, returns the answer's body. Blocks until `deadline` at most (name resolution included).
    pub fn post(&self, form: &[u8], deadline: Instant) -> Result<Vec<u8>, LinkError> {
        let request = Request { method: "POST", path: &self.path, headers: HEADERS, body: form };
        Ok(self.gateway.exchange(&request, Answer::default(), deadline)?.body)
    }
}
