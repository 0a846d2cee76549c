//! What passes the transport, told to the daemon while it records. Off, it costs one look at a flag; on, it never waits:
//! what the daemon does not take at once is given up and counted.

mod mask;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use till_plugin::proto::FromHost;
use till_plugin::proto::traffic::{MAX_PIECE, Masking, Passed, Piece, Run};
use zeroize::Zeroize;

use crate::clock::boot_ms;
use crate::link::Link;
use crate::shared::lock;
use mask::Masker;

/// The tap on the transport.
#[derive(Default)]
pub(crate) struct Tap {
    on: AtomicBool,
    /// The plugin drives the device through a descriptor of its own.
    by_descriptor: AtomicBool,
    /// Bytes read since the process began: where in an event structure a recording begins.
    read: AtomicUsize,
    active: Mutex<Option<Active>>,
}

struct Active {
    inward: Masker,
    outward: Masker,
    dropped: u64,
    told_descriptor: bool,
}

impl Tap {
    /// Begins, goes on otherwise, or ends.
    pub(crate) fn set(&self, masking: Option<Masking>) {
        let mut active = lock(&self.active);
        let dropped = active.as_ref().map_or(0, |a| a.dropped);
        *active = masking.map(|m| Active {
            inward: Masker::new(m, self.read.load(Ordering::Relaxed)),
            outward: Masker::new(m, 0),
            dropped,
            told_descriptor: false,
        });
        self.on.store(active.is_some(), Ordering::Relaxed);
    }

    /// The plugin took a descriptor of its own.
    pub(crate) fn by_descriptor(&self) {
        self.by_descriptor.store(true, Ordering::Relaxed);
    }

    /// These bytes came from the device.
    pub(crate) fn read(&self, link: &Link, bytes: &[u8]) {
        if self.on.load(Ordering::Relaxed) {
            self.passed(link, bytes, true);
        }
        self.read.fetch_add(bytes.len(), Ordering::Relaxed);
    }

    /// These bytes went to the device.
    pub(crate) fn wrote(&self, link: &Link, bytes: &[u8]) {
        if self.on.load(Ordering::Relaxed) {
            self.passed(link, bytes, false);
        }
    }

    /// Something about the transport.
    pub(crate) fn note(&self, link: &Link, line: &str) {
        if self.on.load(Ordering::Relaxed)
            && let Some(active) = lock(&self.active).as_mut()
        {
            active.offer(link, Passed::Note(line.to_owned()));
        }
    }

    fn passed(&self, link: &Link, bytes: &[u8], inward: bool) {
        let mut active = lock(&self.active);
        let Some(active) = active.as_mut() else { return };
        if self.by_descriptor.load(Ordering::Relaxed) && !active.told_descriptor {
            active.told_descriptor = true;
            let line = "the driver also works the device by its descriptor (ioctl): that is not recorded";
            active.offer(link, Passed::Note(line.into()));
        }
        for part in bytes.chunks(MAX_PIECE) {
            let masker = if inward { &mut active.inward } else { &mut active.outward };
            let runs = masker.mask(part);
            if !runs.is_empty() {
                active.offer(link, if inward { Passed::In(runs) } else { Passed::Out(runs) });
            }
        }
    }
}

impl Active {
    fn offer(&mut self, link: &Link, what: Passed) {
        let mut frame = FromHost::Traffic(Piece { at_ms: boot_ms(), dropped: self.dropped, what });
        self.dropped = if link.offer(&frame) { 0 } else { self.dropped + 1 };
        // A raw recording may hold a card.
        if let FromHost::Traffic(Piece { what: Passed::In(runs) | Passed::Out(runs), .. }) = &mut frame {
            for run in runs {
                if let Run::Known(bytes) = run {
                    bytes.zeroize();
                }
            }
        }
    }
}
