//! One task an instance.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use zeroize::Zeroizing;

use crate::error::HostError;
use crate::event::{EventSender, InstanceEvent, InstanceState};
use crate::instance::{Instance, Status};
use crate::quarantine::Quarantine;
use crate::spawn::Spawner;
use crate::spec::InstanceSpec;
use crate::supervisor::SupervisorConfig;

/// What an [`Instance`] asks of its task.
#[derive(Debug)]
pub(crate) enum Command {
    Call(CallRequest),
    Restart,
    Stop(oneshot::Sender<()>),
}

/// A call.
#[derive(Debug)]
pub(crate) struct CallRequest {
    pub(crate) method: u32,
    pub(crate) payload: Zeroizing<Vec<u8>>,
    pub(crate) timeout: Duration,
    pub(crate) reply: oneshot::Sender<Result<Vec<u8>, HostError>>,
    /// Resolves (with an error) when the caller cancels.
    pub(crate) cancelled: oneshot::Receiver<()>,
}

/// Starts the task of an instance.
pub(crate) fn start(
    spec: InstanceSpec,
    _config: Arc<SupervisorConfig>,
    _spawner: Arc<Spawner>,
    _quarantine: Arc<Quarantine>,
    events: EventSender,
) -> Instance {
    let (commands, mut queue) = mpsc::unbounded_channel();
    let status = Status { state: InstanceState::Starting, host: None, starts: 0, last_failure: None };
    let (_status, watch) = watch::channel(status);
    let id = spec.id.clone();
    let instance = Instance::new(spec.id, spec.plugin, commands, watch);
    tokio::spawn(async move {
        while let Some(command) = queue.recv().await {
            match command {
                Command::Call(call) => {
                    let _ = call
                        .reply
                        .send(Err(HostError::NotRunning { instance: id.clone(), why: "starting".into() }));
                }
                Command::Restart => {}
                Command::Stop(done) => {
                    events.send(InstanceEvent::State(InstanceState::Stopped));
                    let _ = done.send(());
                    return;
                }
            }
        }
    });
    instance
}
