//! One task an instance: starts its process, serves it, and decides what follows its end.

mod link;
mod process;
mod schedule;
mod session;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use till_plugin::host::{TransportInfo, TransportKind};
use till_plugin::proto::traffic::Masking;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::error::{Failure, FailureKind, HostError, Remedy};
use crate::event::{EventSender, InstanceEvent, InstanceState};
use crate::instance::{HostInfo, Instance, Status};
use crate::log::InstanceLog;
use crate::quarantine::Quarantine;
use crate::record::{RecordError, RecordedWhat, Tap};
use crate::spawn::Spawner;
use crate::spec::InstanceSpec;
use crate::supervisor::SupervisorConfig;
use crate::transport::{Appeared, Ports, TransportSpec};
pub(crate) use process::watched;
use schedule::{Next, Schedule};

/// Between two tries to open a device, even when something was plugged in.
const MOMENT: Duration = Duration::from_millis(100);

/// What an [`Instance`] asks of its task.
#[derive(Debug)]
pub(crate) enum Command {
    Call(CallRequest),
    Restart,
    Stop(oneshot::Sender<()>),
    Record { tap: Tap, reply: oneshot::Sender<Result<(), RecordError>> },
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
    /// What is put among the events where the call was answered well ([`InstanceEvent::Answered`]).
    pub(crate) mark: Option<u64>,
}

/// Why an instance does not run now.
enum Interrupt {
    /// Start afresh.
    Restart,
    /// Stop for good, and tell these when done.
    Stop(Vec<oneshot::Sender<()>>),
}

/// How a session ended.
enum End {
    Interrupted(Interrupt),
    Failed { failure: Failure, ready_for: Option<Duration> },
}

/// What every part of the task uses.
struct Actor {
    spec: InstanceSpec,
    config: Arc<SupervisorConfig>,
    spawner: Arc<Spawner>,
    quarantine: Arc<Quarantine>,
    ports: Arc<Ports>,
    log: Arc<dyn InstanceLog>,
    appeared: Appeared,
    /// Where the transport leads that was opened last.
    attached: String,
    /// The open transport.
    open: Option<TransportInfo>,
    /// Who records.
    tap: Option<Tap>,
    events: EventSender,
    commands: mpsc::UnboundedReceiver<Command>,
    status: watch::Sender<Status>,
}

/// What all instances of a supervisor share.
#[derive(Clone, Debug)]
pub(crate) struct Means {
    pub(crate) config: Arc<SupervisorConfig>,
    pub(crate) spawner: Arc<Spawner>,
    pub(crate) quarantine: Arc<Quarantine>,
    pub(crate) ports: Arc<Ports>,
    pub(crate) log: Arc<dyn InstanceLog>,
}

/// Starts the task of an instance.
pub(crate) fn start(spec: InstanceSpec, means: Means, events: EventSender) -> Instance {
    let (sender, commands) = mpsc::unbounded_channel();
    let status = Status { state: InstanceState::Starting, host: None, starts: 0, last_failure: None };
    let (status, watch) = watch::channel(status);
    let instance = Instance::new(spec.id.clone(), spec.plugin.clone(), sender, watch);
    let Means { config, spawner, quarantine, ports, log } = means;
    let (appeared, attached) = (ports.appeared(), String::new());
    let actor = Actor {
        spec,
        config,
        spawner,
        quarantine,
        ports,
        log,
        appeared,
        attached,
        open: None,
        tap: None,
        events,
        commands,
        status,
    };
    tokio::spawn(actor.run());
    instance
}

impl Actor {
    async fn run(mut self) {
        let mut schedule = Schedule::new(&self.config.timing);
        let stop = loop {
            let Some(interrupt) = self.once(&mut schedule).await else { continue };
            match interrupt {
                Interrupt::Restart => schedule.forget(),
                Interrupt::Stop(done) => break done,
            }
        };
        self.set(InstanceState::Stopped);
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            self.refuse(command);
        }
        for done in stop {
            let _ = done.send(());
        }
    }

    /// One process from start to end, and the rest after it.
    async fn once(&mut self, schedule: &mut Schedule) -> Option<Interrupt> {
        if let Some(entry) = self.quarantine.holds(&self.spec.id, &self.spec.plugin.library) {
            self.set(InstanceState::Quarantined { reason: entry.reason });
            return Some(self.rest(std::future::pending()).await.unwrap_or(Interrupt::Restart));
        }
        self.set(InstanceState::Starting);
        let (failure, ready_for) = match self.session().await {
            End::Interrupted(interrupt) => return Some(interrupt),
            End::Failed { failure, ready_for } => (failure, ready_for),
        };
        tracing::debug!(
            instance = self.spec.id,
            kind = failure.kind.as_str(),
            reason = failure.reason,
            "host ended"
        );
        self.status.send_modify(|s| s.last_failure = Some(failure.clone()));
        let was = ready_for.unwrap_or_default();
        let retry = match failure.kind.remedy() {
            Remedy::WaitForDevice => {
                let retry = schedule.gone(ready_for.is_some());
                self.set(InstanceState::Offline { failure, retry });
                let news = self.plugged_in(retry);
                return self.rest(async { drop(timeout(retry, news).await) }).await;
            }
            Remedy::WaitForPerson => {
                self.set(InstanceState::Failed { failure });
                return self.rest(std::future::pending()).await;
            }
            Remedy::Respawn => {
                let next = match failure.kind {
                    FailureKind::Spawn => Next::Retry(schedule.pause(was)),
                    _ => schedule.failed(Instant::now(), was),
                };
                match next {
                    Next::Retry(retry) => {
                        self.set(InstanceState::Backoff { failure, retry });
                        retry
                    }
                    Next::Quarantine => {
                        self.condemn(&failure);
                        schedule.forget();
                        return None;
                    }
                }
            }
        };
        self.rest(tokio::time::sleep(retry)).await
    }

    /// Puts the instance into quarantine.
    fn condemn(&self, failure: &Failure) {
        let timing = &self.config.timing;
        let reason = format!(
            "it failed {} times within {} s, the last time: {}; update the plugin, or release it (tillctl plugins release {})",
            timing.failures,
            timing.window.as_secs(),
            failure.reason,
            self.spec.id
        );
        let put =
            self.quarantine.put(&self.spec.id, self.spec.plugin.id(), &self.spec.plugin.library, &reason);
        if let Err(e) = put {
            // It stands in memory all the same; only a restart would forget it.
            tracing::error!(instance = self.spec.id, error = %e, "the quarantine file cannot be written");
        }
    }

    /// Waits until something is plugged in, where that may help; not before a moment of `retry` has passed, so that
    /// a device which comes and goes all the time is not followed at every step.
    fn plugged_in(&self, retry: Duration) -> impl Future<Output = ()> + use<> {
        let appeared = self.appeared.clone();
        let helps = self.spec.transport.as_ref().is_some_and(TransportSpec::is_plugged);
        async move {
            tokio::time::sleep(retry.min(MOMENT)).await;
            if helps {
                appeared.wait().await;
            } else {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits for `until` while no process runs: calls are refused, restart and stop end the wait. `None`: time is over.
    async fn rest(&mut self, until: impl Future<Output = ()>) -> Option<Interrupt> {
        let mut until = pin!(until);
        loop {
            tokio::select! {
                () = &mut until => return None,
                command = self.commands.recv() => match command {
                    None => return Some(Interrupt::Stop(Vec::new())),
                    Some(Command::Restart) => return Some(Interrupt::Restart),
                    Some(Command::Stop(done)) => return Some(Interrupt::Stop(vec![done])),
                    Some(Command::Record { tap, reply }) => self.record(tap, reply),
                    Some(call) => self.refuse(call),
                },
            }
        }
    }

    /// Runs `work` while no process runs yet.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Interrupt> {
        let mut result = None;
        let interrupt = self.rest(async { result = Some(work.await) }).await;
        match (result, interrupt) {
            (Some(result), None) => Ok(result),
            (_, interrupt) => Err(interrupt.unwrap_or(Interrupt::Restart)),
        }
    }

    /// Answers a command that cannot be served: nothing was sent.
    fn refuse(&self, command: Command) {
        match command {
            Command::Call(call) => {
                let _ = call.reply.send(Err(self.not_running()));
            }
            Command::Restart => {}
            Command::Record { reply, .. } => {
                let _ = reply.send(Err(RecordError::Stopped));
            }
            Command::Stop(done) => {
                let _ = done.send(());
            }
        }
    }

    /// Takes who wants to record, if nobody does.
    fn record(&mut self, tap: Tap, reply: oneshot::Sender<Result<(), RecordError>>) {
        let refusal = if self.spec.transport.is_none() {
            Some(RecordError::NoTransport)
        } else if self.tap.as_ref().is_some_and(|t| !t.is_over()) {
            Some(RecordError::Already)
        } else {
            None
        };
        if let Some(why) = refusal {
            let _ = reply.send(Err(why));
            return;
        }
        if let Some(transport) = &self.open {
            let masking = self.masking(tap.raw, transport.kind);
            tap.now(RecordedWhat::Open { transport: transport.clone(), masking });
        }
        self.tap = Some(tap);
        let _ = reply.send(Ok(()));
    }

    /// What a recording keeps of this device's bytes, by everything that it is known to be.
    fn masking(&self, raw: bool, kind: TransportKind) -> Masking {
        if raw {
            return Masking::Raw;
        }
        let manifest = self.spec.plugin.manifest.driver.as_ref().map(|d| d.classes.clone());
        let told = self.status.borrow().host.as_ref().and_then(|h| h.driver()).map(|d| d.classes);
        let classes: Vec<String> = manifest.into_iter().chain(told).flatten().collect();
        Masking::redacted(kind, classes.iter().map(String::as_str))
    }

    /// The masking of the running recording, if there is one.
    fn recording(&self) -> Option<Masking> {
        let tap = self.tap.as_ref().filter(|t| !t.is_over())?;
        Some(self.masking(tap.raw, self.open.as_ref()?.kind))
    }

    fn not_running(&self) -> HostError {
        let status = self.status.borrow();
        let why = match status.state.reason() {
            "" => format!("it is {}", status.state.as_str()),
            reason => reason.to_owned(),
        };
        HostError::NotRunning { instance: self.spec.id.clone(), why }
    }

    fn set(&self, state: InstanceState) {
        self.set_with(state, None);
    }

    fn set_with(&self, state: InstanceState, host: Option<Arc<HostInfo>>) {
        self.status.send_modify(|s| {
            s.state = state.clone();
            s.host = host;
        });
        self.events.send(InstanceEvent::State(state));
    }
}
