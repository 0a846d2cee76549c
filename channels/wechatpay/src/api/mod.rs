//! Single exchanges with the platform, by interface v3 or v2: write, seal, send, check the seal, read.

mod three;
mod two;

pub use three::Three;
pub use two::Two;

use std::time::{Duration, Instant};

use till_plugin::Host;
use till_plugin::host::Level;
use till_wallet::http::{Answer, Reply, Request};
use till_wallet::link::{LinkError, Target};

use crate::ask::{Ask, AskError};
use crate::reply::Answered;

/// Kept back from every call's deadline, so that the answer reaches the daemon before it gives the call up.
const MARGIN: Duration = Duration::from_millis(250);

/// Why a call was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotMade {
    /// The time of day is not trusted, and requests are sealed with it.
    #[error(
        "the clock is not synchronised, and WeChat Pay requests are signed with the time; connect the till to a time server, \
         use cash meanwhile"
    )]
    Clock,
    /// It could not be written.
    #[error(transparent)]
    Ask(#[from] AskError),
}

/// The platform's entries: the first, and where there is one a second that leads to the same system.
#[derive(Debug)]
pub struct Line {
    /// The entries in order.
    pub targets: Vec<Target>,
    /// Longest exchange.
    pub patience: Duration,
}

impl Line {
    /// Time an exchange may take now.
    pub fn time_left(&self, host: &Host) -> Duration {
        host.remaining().saturating_sub(MARGIN).min(self.patience)
    }

    /// One exchange. The second entry is tried only where no byte of the request left for the first.
    fn send(&self, host: &Host, request: &Request<'_>) -> Result<Reply, LinkError> {
        let mut failed = LinkError::NotSent { host: "?".into(), why: "no gateway is set".into() };
        for target in &self.targets {
            let deadline = Instant::now() + self.time_left(host);
            match target.exchange(request, Answer::of_any_status(), deadline) {
                Err(e @ LinkError::NotSent { .. }) => {
                    host.log(Level::Warn, e.to_string());
                    failed = e;
                }
                done => return done,
            }
        }
        Err(failed)
    }
}

/// The interface that is set.
pub enum Api {
    /// v3.
    Three(Box<Three>),
    /// v2.
    Two(Box<Two>),
}

impl Api {
    /// Asks. `Err` when nothing was sent because nothing could be.
    pub fn ask(&mut self, host: &Host, ask: &Ask<'_>) -> Result<Answered, NotMade> {
        match self {
            Self::Three(api) => api.ask(host, ask),
            Self::Two(api) => api.ask(host, ask),
        }
    }

    /// Whether it can be written; nothing is sent.
    pub fn check(&self, ask: &Ask<'_>) -> Result<(), NotMade> {
        match self {
            Self::Three(api) => api.check(ask),
            Self::Two(api) => api.check(ask),
        }
    }

    /// Whether the answer to a reverse repeats the order number.
    pub const fn reverse_echoes_order(&self) -> bool {
        matches!(self, Self::Three(_))
    }

    /// Whether codes can be shown.
    pub const fn shows_codes(&self) -> bool {
        match self {
            Self::Three(api) => api.merchant.notify_url.is_some(),
            Self::Two(_) => false,
        }
    }

    /// Time an exchange may take now.
    pub fn time_left(&self, host: &Host) -> Duration {
        match self {
            Self::Three(api) => api.line.time_left(host),
            Self::Two(api) => api.line.time_left(host),
        }
    }
}
