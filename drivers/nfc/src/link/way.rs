//! The link that fits a transport.

use std::time::Duration;

use till_plugin::host::TransportKind;
use zeroize::Zeroizing;

use super::acr122::Acr122;
use super::hsu::{Awaited, Hsu, Timing};
use super::slot::Slot;
use super::{Event, Link, LinkFault};

/// A link of any kind.
pub enum Way {
    /// Frames, on a line or a bus.
    Frames(Box<Hsu>),
    /// A card reader that may be an ACR122U: it is asked before the first command.
    Messages(Box<Acr122>),
    /// Any other card reader.
    Slot(Box<Slot>),
}

impl Way {
    /// By what the transport is. `beeps`: see [`Acr122::new`].
    pub fn new(kind: TransportKind, timing: Timing, beeps: bool) -> Self {
        match kind {
            TransportKind::Ccid => Self::Messages(Box::new(Acr122::new(beeps))),
            _ => Self::Frames(Box::new(Hsu::new(timing))),
        }
    }

    fn link(&self) -> &dyn Link {
        match self {
            Self::Frames(link) => &**link,
            Self::Messages(link) => &**link,
            Self::Slot(link) => &**link,
        }
    }

    fn link_mut(&mut self) -> &mut dyn Link {
        match self {
            Self::Frames(link) => &mut **link,
            Self::Messages(link) => &mut **link,
            Self::Slot(link) => &mut **link,
        }
    }

    /// A reader that turned out to be no ACR122U is spoken to as what it is.
    fn settle(&mut self, now: Duration) {
        let Self::Messages(link) = self else { return };
        if !link.other() {
            return;
        }
        let (dialogue, first) = std::mem::replace(&mut **link, Acr122::new(false)).into_parts();
        let mut slot = Slot::new(dialogue);
        if let Some((command, within)) = first {
            // A new link with nothing under way takes any command that the engine has.
            let _taken = slot.send(&command, within, true, now);
        }
        *self = Self::Slot(Box::new(slot));
    }
}

impl Link for Way {
    fn send(
        &mut self,
        command: &[u8],
        within: Duration,
        again: bool,
        now: Duration,
    ) -> Result<(), LinkFault> {
        self.link_mut().send(command, within, again, now)
    }

    fn push(&mut self, bytes: &[u8], now: Duration) {
        self.link_mut().push(bytes, now);
        self.settle(now);
    }

    fn push_frame(&mut self, bytes: &[u8], now: Duration) {
        self.link_mut().push_frame(bytes, now);
    }

    fn tick(&mut self, now: Duration) {
        self.link_mut().tick(now);
    }

    fn abort(&mut self) {
        self.link_mut().abort();
    }

    fn deadline(&self) -> Option<Duration> {
        self.link().deadline()
    }

    fn output(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.link_mut().output()
    }

    fn event(&mut self) -> Option<Event> {
        self.link_mut().event()
    }

    fn asleep(&mut self) {
        self.link_mut().asleep();
    }

    fn awaited(&self) -> Option<Awaited> {
        self.link().awaited()
    }

    fn noise(&self) -> (u64, u64) {
        self.link().noise()
    }
}
