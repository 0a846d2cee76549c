//! The end of a process: what it said, why it was killed, how it exited; and what its callers are told.

use std::time::Duration;

use till_plugin::{ErrorCode, PluginError};

use super::failure;
use super::serving::{Phase, Serving, answer, protocol};
use crate::actor::End;
use crate::actor::process::describe;
use crate::error::{Failure, FailureKind, HostError};
use crate::redact::redact;

/// How long a process may take to end after it closed its socket, said that it ended, or was killed.
const LAST_BREATH: Duration = Duration::from_secs(2);

impl Serving<'_> {
    /// Gathers the last messages and the status, answers everybody who waits.
    pub(super) async fn end(mut self) -> End {
        let by_itself = self.killed.is_none();
        let mut status = self.process.status(if by_itself { Duration::ZERO } else { LAST_BREATH }).await;
        if status.is_none() && by_itself {
            status = self.process.status(LAST_BREATH).await;
        }
        if by_itself {
            // What it sent before it ended still counts: a reply that is here is an answer.
            while !self.link.closed() && self.link.read() > 0 {}
            if let Err(broken) = self.messages().await {
                self.killed.get_or_insert(broken);
            }
        }
        if status.is_none() {
            self.process.kill();
            status = self.process.status(LAST_BREATH).await;
        }
        self.process.tail.drain();
        let last_lines = self.process.tail.lines();
        let mut failure = match (self.told.take(), self.killed.take(), status) {
            (Some(told), _, _) => told,
            (None, Some(killed), _) => killed,
            (None, None, Some(status)) => {
                let (kind, mut reason) = describe(status);
                if let Err(e) = self.link.finish() {
                    reason = format!("{reason}; {e}");
                }
                match last_lines.last() {
                    Some(line) => failure(kind, format!("{reason}; its last line: {line}")),
                    None => failure(kind, reason),
                }
            }
            (None, None, None) => protocol("it closed its socket and did not end"),
        };
        failure.last_lines = last_lines;
        let instance = self.actor.spec.id.clone();
        if let Some(running) = self.running.take() {
            let error = if failure.kind == FailureKind::TimedOut {
                HostError::TimedOut { instance: instance.clone(), after: running.timeout }
            } else {
                HostError::Died { instance: instance.clone(), failure: failure.clone() }
            };
            answer(running.reply, Err(error));
        }
        for (call, _) in std::mem::take(&mut self.queue) {
            let error = HostError::NotRunning { instance: instance.clone(), why: failure.reason.clone() };
            answer(call.reply, Err(error));
        }
        let ready_for = self.ready_since.map(|t| t.elapsed());
        match self.phase {
            Phase::Stopping { then, .. } => {
                if failure.kind != FailureKind::Exited(0) {
                    tracing::warn!(instance, reason = failure.reason, "the host did not stop in order");
                }
                End::Interrupted(then)
            }
            _ => End::Failed { failure, ready_for },
        }
    }
}

/// The plugin could not open.
pub(super) fn create_failed(error: &PluginError) -> Failure {
    let kind = match error.code {
        ErrorCode::Settings | ErrorCode::SecretMissing => FailureKind::Settings,
        ErrorCode::TransportGone
        | ErrorCode::Timeout
        | ErrorCode::Hardware
        | ErrorCode::Protocol
        | ErrorCode::NotReady
        | ErrorCode::Busy => FailureKind::Gone,
        ErrorCode::Panicked => FailureKind::Panicked,
        _ => FailureKind::Create,
    };
    failure(kind, redact(&error.message, 500))
}

/// The plugin ended its instance.
pub(super) fn ended(error: &PluginError, panic_place: Option<&str>) -> Failure {
    let kind = match error.code {
        ErrorCode::TransportGone | ErrorCode::Hardware | ErrorCode::Timeout => FailureKind::Gone,
        ErrorCode::Panicked => FailureKind::Panicked,
        _ => FailureKind::Ended,
    };
    let reason = redact(&error.message, 500);
    match (kind, panic_place) {
        (FailureKind::Panicked, Some(place)) => failure(kind, format!("{reason} ({place})")),
        _ => failure(kind, reason),
    }
}
