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
        let answer = match self.0.take() {
            // The last look-up has not come back yet.
            Some(under_way) => under_way,
            None => {
                let (told, answer) = channel();
                let address = address.to_owned();
                let look = move || {
                    let known = address.to_socket_addrs().is_ok_and(|mut found| found.next().is_some());
                    let _ = told.send(known);
                };
                let small = std::thread::Builder::new().name("look-up".into()).stack_size(256 * 1024);
                if small.spawn(look).is_err() {
                    return false;
                }
                answer
            }
        };
        match answer.recv_timeout(within) {
            Ok(known) => known,
            Err(_) => {
                self.0 = Some(answer);
                false
            }
        }
    }
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
