//! Calls: one at a time, the next when the one before is answered.

use std::time::Duration;

use till_plugin::PluginError;
use till_plugin::proto::ToHost;
use tokio::sync::oneshot;
use tokio::time::Instant;
use zeroize::Zeroize;

use super::{MAX_LOG, Phase, RULES_CALL, Serving, protocol};
use crate::error::{Failure, HostError};
use crate::event::InstanceEvent;
use crate::redact::redact;

/// The call that the plugin works on.
pub(in crate::actor::session) struct Running {
    pub(in crate::actor::session) id: u64,
    pub(in crate::actor::session) timeout: Duration,
    pub(super) kill_at: Instant,
    pub(in crate::actor::session) reply: oneshot::Sender<Result<Vec<u8>, HostError>>,
    cancelled: oneshot::Receiver<()>,
    cancel_sent: bool,
    mark: Option<u64>,
}

impl Serving<'_> {
    /// Sends the next waiting call, if the plugin is free.
    pub(super) fn begin_call(&mut self) {
        while self.running.is_none() && matches!(self.phase, Phase::Ready) {
            let Some((mut call, _)) = self.queue.pop_front() else { return };
            // Nobody waits for it any more, so it is never sent.
            if call.reply.is_closed() {
                continue;
            }
            if call.cancelled.try_recv() == Err(oneshot::error::TryRecvError::Closed) {
                let instance = self.actor.spec.id.clone();
                answer(call.reply, Err(HostError::Cancelled { instance }));
                continue;
            }
            let id = self.next_id;
            self.next_id += 1;
            let mut frame = ToHost::Call {
                id,
                method: call.method,
                timeout_ms: u32::try_from(call.timeout.as_millis()).unwrap_or(u32::MAX),
                payload: std::mem::take(&mut *call.payload),
            };
            let sent = self.link.send(&frame);
            if let ToHost::Call { payload, .. } = &mut frame {
                let length = payload.len();
                payload.zeroize();
                if sent.is_err() {
                    let instance = self.actor.spec.id.clone();
                    answer(call.reply, Err(HostError::TooBig { instance, length }));
                    continue;
                }
            }
            self.running = Some(Running {
                id,
                timeout: call.timeout,
                kill_at: Instant::now() + call.timeout + self.actor.config.timing.grace,
                reply: call.reply,
                cancelled: call.cancelled,
                cancel_sent: false,
                mark: call.mark,
            });
        }
    }

    pub(super) fn send_cancel(&mut self) {
        if let Some(running) = &mut self.running {
            running.cancel_sent = true;
            let id = running.id;
            self.tell(&ToHost::Cancel { id });
        }
    }

    pub(super) fn reply(&mut self, id: u64, result: Result<Vec<u8>, PluginError>) -> Result<(), Failure> {
        if id == RULES_CALL {
            return match self.phase {
                Phase::Rules { .. } => {
                    self.rules(result);
                    Ok(())
                }
                Phase::Stopping { .. } => Ok(()),
                _ => Err(protocol("it told its rules twice")),
            };
        }
        match self.running.take() {
            Some(running) if running.id == id => {
                let instance = self.actor.spec.id.clone();
                if let (Some(mark), Ok(_)) = (running.mark, &result) {
                    self.actor.events.send(InstanceEvent::Answered { mark });
                }
                let result = result.map_err(|mut error| {
                    error.message = redact(&error.message, MAX_LOG);
                    HostError::Refused { instance, error }
                });
                answer(running.reply, result);
                Ok(())
            }
            running => {
                self.running = running;
                Err(protocol(&format!("it answered call {id}, which is not running")))
            }
        }
    }
}

/// Answers whoever called. Nobody may be waiting any more: who gives a call up decides without its answer.
pub(in crate::actor::session) fn answer(
    reply: oneshot::Sender<Result<Vec<u8>, HostError>>,
    result: Result<Vec<u8>, HostError>,
) {
    drop(reply.send(result));
}

/// Resolves when the running call is cancelled and the host does not know yet.
pub(super) async fn cancelled(running: Option<&mut Running>) {
    match running {
        Some(running) if !running.cancel_sent => {
            let _ = (&mut running.cancelled).await;
        }
        _ => std::future::pending().await,
    }
}
