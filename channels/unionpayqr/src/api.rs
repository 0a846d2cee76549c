//! Single exchanges with UnionPay: write, sign, send, check the seal, read.

use std::time::{Duration, Instant};

use till_plugin::Host;
use till_wallet::chain::Trust;
use till_wallet::http::{Answer, Request};
use till_wallet::keys::SigningKey;
use till_wallet::link::Target;

use crate::ask::{Ask, AskError, Merchant};
use crate::message::{self, Environment};
use crate::reply::{Answered, NoAnswer, Node};

/// Kept back from every call's deadline, so that the answer reaches the daemon before it gives the call up.
const MARGIN: Duration = Duration::from_millis(250);

const HEADERS: &[(&str, &str)] = &[("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8")];

/// Why a call was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotMade {
    /// The time of day is not trusted.
    #[error(
        "the clock is not synchronised, and UnionPay names requests by the time and is believed by its certificate; connect \
         the till to a time server, use cash meanwhile"
    )]
    Clock,
    /// It could not be written.
    #[error(transparent)]
    Ask(#[from] AskError),
}

/// The gateway, and what it is asked and believed with.
pub struct Api {
    /// What every request carries.
    pub merchant: Merchant,
    /// The merchant's private key.
    pub key: SigningKey,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// Which UnionPay.
    pub environment: Environment,
    /// The way there.
    pub target: Target,
    /// Longest exchange.
    pub patience: Duration,
}

impl Api {
    /// Time an exchange may take now.
    pub fn time_left(&self, host: &Host) -> Duration {
        host.remaining().saturating_sub(MARGIN).min(self.patience)
    }

    /// Asks. `Err` when nothing was sent because nothing could be.
    pub fn ask(&self, host: &Host, ask: &Ask<'_>) -> Result<Answered, NotMade> {
        if !host.now().trusted {
            return Err(NotMade::Clock);
        }
        let body = message::body(ask, &self.merchant, &self.key)?;
        let request = Request { method: "POST", path: ask.path(), headers: HEADERS, body: &body };
        let deadline = Instant::now() + self.time_left(host);
        let reply = match self.target.exchange(&request, Answer::default(), deadline) {
            Ok(reply) => reply,
            Err(e) => return Ok(Err(e.into())),
        };
        let now = host.now();
        if !now.trusted {
            return Ok(Err(NoAnswer::Clock));
        }
        let opened = message::open(&reply.body, &self.trust, self.environment, now.wall_ms);
        Ok(opened.map(Node::of).map_err(NoAnswer::from))
    }
}
