//! What a process tells unasked: events, log lines, values to keep. Each within its rate.

use std::time::Duration;

use till_plugin::channel::ChannelEvent;
use till_plugin::driver::DriverEvent;
use till_plugin::host::Level;
use till_plugin::proto::{self, event};
use tokio::time::Instant;
use zeroize::Zeroize;

use super::{MAX_LOG, Serving, failure};
use crate::error::{Failure, FailureKind};
use crate::event::InstanceEvent;
use crate::redact::redact;

/// A count within the running second.
#[derive(Debug)]
pub(in crate::actor::session) struct Rate {
    window: Instant,
    count: u32,
}

impl Rate {
    pub(in crate::actor::session) fn new() -> Self {
        Self { window: Instant::now(), count: 0 }
    }

    /// Counts one more; gives how many there are in the running second.
    pub(in crate::actor::session) fn count(&mut self) -> u32 {
        if self.window.elapsed() >= Duration::from_secs(1) {
            self.window = Instant::now();
            self.count = 0;
        }
        self.count += 1;
        self.count
    }
}

impl Serving<'_> {
    pub(super) fn count_event(&mut self) -> Result<(), Failure> {
        let timing = &self.actor.config.timing;
        if self.events.count() > timing.events_per_second {
            let reason = format!("more than {} events in a second; killed", timing.events_per_second);
            return Err(failure(FailureKind::Flood, reason));
        }
        if self.actor.events.waiting() > timing.unread {
            self.crowded_since.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    pub(super) fn event(&mut self, kind: u32, mut payload: Vec<u8>) -> Result<(), Failure> {
        self.count_event()?;
        let driver = self.actor.spec.plugin.manifest.driver.is_some();
        let decoded = match kind {
            event::DRIVER_1 if driver => {
                proto::decode::<DriverEvent>(&payload).ok().map(InstanceEvent::Driver)
            }
            event::CHANNEL_1 if !driver => {
                proto::decode::<ChannelEvent>(&payload).ok().map(InstanceEvent::Channel)
            }
            _ => None,
        };
        let length = payload.len();
        payload.zeroize();
        match decoded {
            Some(event) => self.actor.events.send(event),
            // From a newer SDK, perhaps; not worth a till.
            None => self.log(
                Level::Warn,
                &format!("an event of kind {kind} with {length} bytes is not known to this tilld; dropped"),
            ),
        }
        Ok(())
    }

    pub(super) fn log(&mut self, level: Level, message: &str) {
        let limit = self.actor.config.timing.log_lines_per_second;
        let count = self.lines.count();
        let line = redact(message, MAX_LOG);
        if level == Level::Error && line.starts_with("panic at ") {
            self.panic_place = Some(line.clone());
        }
        // The abi_stable report of a refused plugin comes at once and is for debugging.
        if count > limit && level != Level::Debug {
            if count == limit + 1 {
                let message = format!("more than {limit} log lines in a second; the rest of them is dropped");
                self.actor.events.send(InstanceEvent::Log { level: Level::Warn, message });
            }
            return;
        }
        if count > limit * 20 || self.actor.events.waiting() > self.actor.config.timing.unread {
            return;
        }
        self.actor.events.send(InstanceEvent::Log { level, message: line });
    }

    pub(super) async fn put(&mut self, key: String, value: Vec<u8>) -> Option<String> {
        let Some(mut store) = self.store.take() else { return Some("the store is closed".into()) };
        let done = tokio::task::spawn_blocking(move || {
            let error = store.put(key, value).err();
            (store, error)
        });
        match done.await {
            Ok((store, error)) => {
                self.store = store;
                error
            }
            Err(e) => Some(e.to_string()),
        }
    }
}
