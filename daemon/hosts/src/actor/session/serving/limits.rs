//! What may take how long: every wait for a process has an end.

use std::collections::VecDeque;
use std::time::Duration;

use till_plugin::proto::ToHost;
use tokio::time::Instant;

use super::{Phase, Serving, answer, failure};
use crate::error::{FailureKind, HostError};

impl Serving<'_> {
    /// The next moment at which something must be looked at.
    pub(super) fn timer(&self) -> Instant {
        let phase = match &self.phase {
            Phase::Hello { by, .. }
            | Phase::Create { by, .. }
            | Phase::Rules { by, .. }
            | Phase::Stopping { by, .. } => Some(*by),
            Phase::Ready => None,
        };
        let queued = self.queue.iter().map(|(call, since)| *since + call.timeout).min();
        let running = self.running.as_ref().map(|r| r.kill_at);
        let crowded = self.crowded_since.map(|t| t + self.actor.config.timing.unread_patience);
        [phase, queued, running, crowded].into_iter().flatten().fold(self.ping_at, Instant::min)
    }

    pub(super) fn tick(&mut self) {
        let now = Instant::now();
        let timing = &self.actor.config.timing;
        let late = match &self.phase {
            Phase::Hello { by, .. } if now >= *by => {
                Some(format!("its process did not load the plugin within {:?}", timing.hello))
            }
            Phase::Create { by, .. } if now >= *by => {
                Some(format!("the plugin did not open within {:?}", timing.create))
            }
            Phase::Rules { by, .. } if now >= *by => {
                Some(format!("the plugin did not say what it does within {:?}", timing.create))
            }
            Phase::Stopping { by, .. } if now >= *by => {
                Some(format!("the plugin did not let itself be dropped within {:?}", timing.stop))
            }
            _ => None,
        };
        if let Some(reason) = late {
            self.killed = Some(failure(FailureKind::Unresponsive, format!("{reason}; killed")));
            return;
        }
        if self.running.as_ref().is_some_and(|r| now >= r.kill_at) {
            let timeout = self.running.as_ref().map_or(Duration::ZERO, |r| r.timeout);
            let reason = format!("a call was not answered within its {timeout:?}; killed");
            self.killed = Some(failure(FailureKind::TimedOut, reason));
            return;
        }
        if self.crowded_since.is_some_and(|t| now >= t + timing.unread_patience) {
            if self.actor.events.waiting() > timing.unread {
                let reason = format!("{} of its events wait unread; killed", self.actor.events.waiting());
                self.killed = Some(failure(FailureKind::Flood, reason));
                return;
            }
            self.crowded_since = None;
        }
        let (gone_by, rest): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.queue)
            .into_iter()
            .partition(|(call, since)| now >= *since + call.timeout);
        self.queue = rest;
        for (call, _) in gone_by {
            let instance = self.actor.spec.id.clone();
            answer(call.reply, Err(HostError::Busy { instance, waited: call.timeout }));
        }
        if now >= self.ping_at {
            if self.unanswered >= timing.missed_pings {
                let reason = format!("its process did not answer {} pings; killed", self.unanswered);
                self.killed = Some(failure(FailureKind::Unresponsive, reason));
                return;
            }
            self.ping_at = now + timing.ping;
            // Before its hello the host reads nothing yet.
            if !matches!(self.phase, Phase::Hello { .. }) {
                self.unanswered += 1;
                self.tell(&ToHost::Ping { nonce: self.next_id });
            }
        }
    }
}
