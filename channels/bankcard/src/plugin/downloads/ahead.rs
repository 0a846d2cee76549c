//! Connections that are given up soon.

use crate::link::{DialError, Dialer, Line};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Another dialer with less time.
pub(super) struct Hurried<'a> {
    pub(super) dialer: &'a dyn Dialer,
    pub(super) within: Duration,
}

impl Dialer for Hurried<'_> {
    fn dial(&self, deadline: Instant) -> Result<Box<dyn Line>, DialError> {
        self.dialer.dial(deadline.min(Instant::now() + self.within))
    }
}

/// Looks names up on a thread of its own, one at a time: the system's resolver takes no deadline.
#[derive(Default)]
pub(super) struct Ahead(Option<Receiver<bool>>);

impl Ahead {
    /// Whether an address's name is known, as far as that is found out in time.
    pub(super) fn is_known(&mut self, address: &str, within: Duration) -> bool {
        if address.parse::<SocketAddr>().is_ok() {
            return true;
        }
        // The last look-up may not have come back yet.
        let Some(answer) = self.0.take().or_else(|| look_up(address)) else { return false };
        let known = answer.recv_timeout(within);
        if known.is_err() {
            self.0 = Some(answer);
        }
        known.unwrap_or(false)
    }
}

fn look_up(address: &str) -> Option<Receiver<bool>> {
    let (told, answer) = channel();
    let address = address.to_owned();
    let look = move || {
        let known = address.to_socket_addrs().is_ok_and(|mut found| found.next().is_some());
        // Nobody may be waiting any more.
        let _ = told.send(known);
    };
    let thread = std::thread::Builder::new().name("look-up".into()).stack_size(256 * 1024);
    thread.spawn(look).ok().map(|_| answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_need_no_look_up_and_names_have_a_deadline() {
        let mut ahead = Ahead::default();
        assert!(ahead.is_known("127.0.0.1:1", Duration::ZERO));
        assert!(ahead.is_known("localhost:1", Duration::from_secs(10)));
        let (told, answer) = channel();
        ahead.0 = Some(answer);
        assert!(!ahead.is_known("localhost:1", Duration::ZERO), "the one under way has not come back");
        told.send(true).unwrap();
        assert!(ahead.is_known("localhost:1", Duration::from_secs(10)));
    }
}
