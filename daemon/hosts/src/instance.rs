//! The handle of one running instance.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use till_plugin::channel::{ChannelDescription, LegRule};
use till_plugin::driver::DriverDescription;
use till_plugin::proto::{self, Layer};
use tokio::sync::{mpsc, oneshot, watch};
use zeroize::{Zeroize, Zeroizing};

use crate::actor::{CallRequest, Command};
use crate::catalog::Plugin;
use crate::error::{Failure, HostError};
use crate::event::InstanceState;
use crate::record::{RecordError, Recorder, Tap};

/// A running (or resting) instance. Cheap to clone; the instance lives until [`Instance::stop`] or the supervisor's end.
#[derive(Clone, Debug)]
pub struct Instance {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    id: String,
    plugin: Arc<Plugin>,
    commands: mpsc::UnboundedSender<Command>,
    status: watch::Receiver<Status>,
}

/// How an instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its state.
    pub state: InstanceState,
    /// Who answers, while it is ready.
    pub host: Option<Arc<HostInfo>>,
    /// Processes started since the daemon started, the first one included.
    pub starts: u64,
    /// The latest failure, kept after it recovered.
    pub last_failure: Option<Failure>,
}

/// The process behind a ready instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostInfo {
    /// Its process id.
    pub pid: u32,
    /// Version of the plugin.
    pub version: String,
    /// Version of the SDK it was built with.
    pub sdk: String,
    /// Compiler it was built with.
    pub rustc: String,
    /// Layers of confinement, each with its level.
    pub sandbox: Vec<Layer>,
    /// Where its device is attached, as found when it was opened; empty without one.
    pub transport: String,
    /// Since when.
    pub since: Instant,
    /// From the start of the process to ready.
    pub start_took: Duration,
    /// Its description message.
    pub description: Vec<u8>,
    /// What a channel does besides a sale, and how; asked once, when it was made. Empty for drivers, and for channels
    /// built before there were rules.
    pub leg_rules: Vec<LegRule>,
}

impl HostInfo {
    /// The description of a driver.
    pub fn driver(&self) -> Option<DriverDescription> {
        proto::decode(&self.description).ok()
    }

    /// The description of a channel.
    pub fn channel(&self) -> Option<ChannelDescription> {
        proto::decode(&self.description).ok()
    }

    /// The layers as a map, for display.
    pub fn layers(&self) -> BTreeMap<&str, &str> {
        self.sandbox.iter().map(|l| (l.name.as_str(), l.level.as_str())).collect()
    }
}

impl Instance {
    pub(crate) fn new(
        id: String,
        plugin: Arc<Plugin>,
        commands: mpsc::UnboundedSender<Command>,
        status: watch::Receiver<Status>,
    ) -> Self {
        Self { shared: Arc::new(Shared { id, plugin, commands, status }) }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.shared.id
    }

    /// Its plugin.
    pub fn plugin(&self) -> &Arc<Plugin> {
        &self.shared.plugin
    }

    /// How it is now.
    pub fn status(&self) -> Status {
        self.shared.status.borrow().clone()
    }

    /// How it is now, and every change (the latest wins; for every single change read [`crate::Events`]).
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.shared.status.clone()
    }

    /// Waits until it takes calls; gives the state that it rests in instead, where it will not by itself.
    pub async fn ready(&self) -> Result<(), InstanceState> {
        let mut status = self.watch();
        let settled = status
            .wait_for(|s| {
                !matches!(
                    s.state,
                    InstanceState::Starting | InstanceState::Backoff { .. } | InstanceState::Offline { .. }
                )
            })
            .await;
        match settled.map(|s| s.state.clone()) {
            Ok(InstanceState::Ready) => Ok(()),
            Ok(state) => Err(state),
            Err(_) => Err(InstanceState::Stopped),
        }
    }

    /// One call and its reply. Calls of an instance run one after the other: this one waits for its turn at most
    /// `timeout`, and once sent has `timeout` to run; then the host is killed. Dropping the future cancels the call.
    pub async fn call<Q, R>(&self, method: u32, request: &Q, timeout: Duration) -> Result<R, HostError>
    where
        Q: Serialize + ?Sized + Sync,
        R: DeserializeOwned,
    {
        self.begin(method, request, timeout)?.wait().await
    }

    /// [`Instance::call`], with a mark among the events where it was answered: a reply and an event are read by two tasks,
    /// and which of them comes first says nothing; the mark does.
    pub async fn call_marked<Q, R>(
        &self,
        method: u32,
        request: &Q,
        timeout: Duration,
        mark: u64,
    ) -> Result<R, HostError>
    where
        Q: Serialize + ?Sized + Sync,
        R: DeserializeOwned,
    {
        self.queue(method, self.encoded(request)?, timeout, Some(mark))?.wait().await
    }

    /// Begins a call, to be waited for or cancelled.
    pub fn begin<Q>(&self, method: u32, request: &Q, timeout: Duration) -> Result<PendingCall, HostError>
    where
        Q: Serialize + ?Sized,
    {
        self.begin_raw(method, self.encoded(request)?, timeout)
    }

    fn encoded<Q: Serialize + ?Sized>(&self, request: &Q) -> Result<Zeroizing<Vec<u8>>, HostError> {
        let encoded = proto::encode(request);
        encoded
            .map(Zeroizing::new)
            .map_err(|error| HostError::Refused { instance: self.id().to_owned(), error })
    }

    /// Begins a call with an encoded request.
    pub fn begin_raw(
        &self,
        method: u32,
        payload: Zeroizing<Vec<u8>>,
        timeout: Duration,
    ) -> Result<PendingCall, HostError> {
        self.queue(method, payload, timeout, None)
    }

    fn queue(
        &self,
        method: u32,
        payload: Zeroizing<Vec<u8>>,
        timeout: Duration,
        mark: Option<u64>,
    ) -> Result<PendingCall, HostError> {
        let length = payload.len();
        // Room for the frame's other fields.
        if length > proto::MAX_FRAME - 64 {
            return Err(HostError::TooBig { instance: self.id().to_owned(), length });
        }
        let (reply, receiver) = oneshot::channel();
        let (cancel, cancelled) = oneshot::channel();
        let request = CallRequest { method, payload, timeout, reply, cancelled, mark };
        if self.shared.commands.send(Command::Call(request)).is_err() {
            return Err(self.stopped());
        }
        Ok(PendingCall { instance: self.clone(), method, receiver, cancel: Some(cancel) })
    }

    /// Starts it afresh: ends the process if there is one, forgets back-off and failures. Does not lift a quarantine.
    pub fn restart(&self) {
        let _ = self.shared.commands.send(Command::Restart);
    }

    /// Stops it: the plugin's instance is dropped, the process ends. Waits until it is gone.
    pub async fn stop(&self) {
        let (done, finished) = oneshot::channel();
        if self.shared.commands.send(Command::Stop(done)).is_ok() {
            let _ = finished.await;
        }
    }

    /// Records what passes its transport until the recorder is dropped, also over restarts of its process. One at a time.
    /// Without `raw` nothing that may be card data leaves the plugin's process ([`till_plugin::proto::traffic::Masking`]).
    pub async fn record(&self, raw: bool) -> Result<Recorder, RecordError> {
        let (tap, recorder) = Tap::new(raw);
        let (reply, taken) = oneshot::channel();
        if self.shared.commands.send(Command::Record { tap, reply }).is_err() {
            return Err(RecordError::Stopped);
        }
        match taken.await {
            Ok(Ok(())) => Ok(recorder),
            Ok(Err(e)) => Err(e),
            Err(_) => Err(RecordError::Stopped),
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.shared.commands.is_closed()
    }

    pub(crate) fn send(&self, command: Command) {
        let _ = self.shared.commands.send(command);
    }

    fn stopped(&self) -> HostError {
        HostError::NotRunning { instance: self.id().to_owned(), why: "it was stopped".into() }
    }
}

/// A call that is queued or running. Dropping it cancels the call; the plugin still has until the deadline to end.
#[derive(Debug)]
pub struct PendingCall {
    instance: Instance,
    method: u32,
    receiver: oneshot::Receiver<Result<Vec<u8>, HostError>>,
    cancel: Option<oneshot::Sender<()>>,
}

impl PendingCall {
    /// Tells the plugin that the call is cancelled. The reply still comes, at the deadline at the latest; for a money
    /// call it must still be waited for.
    pub fn cancel(&mut self) {
        // Dropping the sender is the signal.
        self.cancel = None;
    }

    /// Waits for the reply.
    pub async fn wait<R: DeserializeOwned>(self) -> Result<R, HostError> {
        let (instance, method) = (self.instance.id().to_owned(), self.method);
        let mut reply = self.wait_raw().await?;
        let length = reply.len();
        let decoded = proto::decode(&reply);
        reply.zeroize();
        decoded.map_err(|_| HostError::BadReply { instance, method, length })
    }

    /// Waits for the encoded reply.
    pub async fn wait_raw(mut self) -> Result<Vec<u8>, HostError> {
        match (&mut self.receiver).await {
            Ok(result) => result,
            Err(_) => Err(self.instance.stopped()),
        }
    }
}
