//! Virtual time: what happens next, and nothing in between.

use std::collections::BTreeMap;

use till_core::{Input, PaymentId};

use crate::host::Message;

/// When, and which of the same moment first.
pub(crate) type At = (u64, u64);

#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// Reaches the daemon; lost when its process dies.
    Inside(Input),
    /// A timer of the resolver; one an attempt, lost when the process dies.
    Timer(PaymentId, u32),
    /// Bytes reach a host; the network does not know that a till died.
    Arrive(Message),
    /// The customer of a pending order makes up their mind.
    Customer(String, String),
    /// A person at the till.
    Operator,
    /// The process is up again.
    Restart,
}

#[derive(Default)]
pub(crate) struct Clock {
    pub(crate) now: u64,
    serial: u64,
    queue: BTreeMap<At, Event>,
}

impl Clock {
    pub(crate) fn after(&mut self, ms: u64, event: Event) -> At {
        self.serial += 1;
        let at = (self.now + ms, self.serial);
        self.queue.insert(at, event);
        at
    }

    pub(crate) fn cancel(&mut self, at: At) {
        self.queue.remove(&at);
    }

    pub(crate) fn next(&mut self) -> Option<Event> {
        let ((now, _), event) = self.queue.pop_first()?;
        self.now = now;
        Some(event)
    }

    /// The process died: what only it knew is gone.
    pub(crate) fn process_died(&mut self) {
        self.queue.retain(|_, e| !matches!(e, Event::Inside(_) | Event::Timer(..)));
    }
}
