//! Virtual time: what happens next, and nothing in between.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use till_core::{Input, PaymentId};

use crate::host::Message;

/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Event {
    /// Reaches the daemon; lost when its process dies.
    Inside(Box<Input>),
    /// A timer of the till; one of a kind and attempt, lost when the process dies.
    Timer(Timer),
    /// Bytes reach a host; the network does not know that a till died.
    Arrive(Box<Message>),
    /// A request of a settlement reaches its network.
    Settlement(Box<crate::settlement::Request>),
    /// The daemon looks at the clock.
    Tick,
    /// The customer of a pending order makes up their mind.
    Customer(usize, String),
    /// An echo reaches a channel's network, asked in this life of the process.
    Echo(String, u64),
    /// A network tells of something until it is heard.
    Notice(Box<Input>),
    /// A person at the till.
    Operator,
    /// The process is up again.
    Restart,
    /// The disk is well again.
    DiskWell,
    /// A channel is well again.
    ChannelWell(usize),
}

/// Which timer.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The next step of a resolver.
    Resolve(PaymentId, u32),
    /// Networks are asked without money.
    Ask,
}

#[derive(Default)]
pub(crate) struct Clock {
    pub(crate) now: u64,
    serial: u64,
    /// Process lives so far: what an earlier one waited for reaches nobody.
    life: u64,
    heap: BinaryHeap<Reverse<(u64, u64, usize)>>,
    events: Vec<Option<(u64, Event)>>,
    free: Vec<usize>,
    /// The newest setting of each timer; an older one was replaced by it.
    timers: BTreeMap<Timer, u64>,
}

impl Clock {
    pub(crate) fn after(&mut self, ms: u64, event: Event) {
        self.serial += 1;
        let item = Some((self.life, event));
        let slot = if let Some(free) = self.free.pop() {
            self.events[free] = item;
            free
        } else {
            self.events.push(item);
            self.events.len() - 1
        };
        self.heap.push(Reverse((self.now + ms, self.serial, slot)));
    }

    pub(crate) fn inside(&mut self, ms: u64, input: Input) {
        self.after(ms, Event::Inside(Box::new(input)));
    }

    /// Sets a timer, instead of what it was set to.
    pub(crate) fn timer(&mut self, ms: u64, timer: Timer) {
        self.after(ms, Event::Timer(timer));
        self.timers.insert(timer, self.serial);
    }

    pub(crate) fn next(&mut self) -> Option<Event> {
        loop {
            let Reverse((now, serial, slot)) = self.heap.pop()?;
            let taken = self.events[slot].take();
            self.free.push(slot);
            let Some((life, event)) = taken else { continue };
            match &event {
                Event::Inside(_) | Event::Timer(_) if life != self.life => continue,
                Event::Timer(timer) if self.timers.get(timer) != Some(&serial) => continue,
                Event::Timer(timer) => {
                    self.timers.remove(timer);
                }
                _ => {}
            }
            self.now = now;
            return Some(event);
        }
    }

    /// The process died: what only it knew is gone.
    pub(crate) fn process_died(&mut self) {
        self.life += 1;
        self.timers.clear();
    }

    pub(crate) const fn life(&self) -> u64 {
        self.life
    }
}
