//! The supervisor: its configuration, and the instances it runs.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::actor::{self, Command, Means};
use crate::event::{EventSender, Events};
use crate::instance::Instance;
use crate::log::{InstanceLog, NoLog};
use crate::quarantine::{Quarantine, QuarantineEntry};
use crate::spawn::Spawner;
use crate::spec::{InstanceSpec, SpecError};
use crate::transport::Ports;

/// Where things are and how patient the supervisor is.
#[derive(Clone, Debug)]
pub struct SupervisorConfig {
    /// The `till-plugin-host` binary.
    pub host_binary: PathBuf,
    /// Folder for quarantine and stored values; made if missing, mode 0700.
    pub state_dir: PathBuf,
    /// Address space that a host may use, bytes.
    pub memory_limit: u64,
    /// Where a plugin's clock-trusted flag comes from.
    pub clock: ClockTrust,
    /// Below this are `dev`, `sys` and `run`, where devices are found by their udev properties; `/` but in tests.
    pub device_root: PathBuf,
    /// Patience.
    pub timing: Timing,
}

impl SupervisorConfig {
    /// With everything else as in production.
    pub fn new(host_binary: impl Into<PathBuf>, state_dir: impl Into<PathBuf>) -> Self {
        Self {
            host_binary: host_binary.into(),
            state_dir: state_dir.into(),
            memory_limit: 256 << 20,
            clock: ClockTrust::Kernel,
            device_root: "/".into(),
            timing: Timing::default(),
        }
    }
}

/// Where a plugin's clock-trusted flag comes from.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ClockTrust {
    /// The kernel's "unsynchronised" flag (`adjtimex`).
    Kernel,
    /// Trusted, whatever the kernel says (tests, machines with a battery clock).
    Always,
    /// Not trusted (tests).
    Never,
}

/// Patience. The defaults are for production; tests shorten them.
#[derive(Clone, Debug)]
pub struct Timing {
    /// From the start of the process to its hello.
    pub hello: Duration,
    /// For making the instance (the plugin's `open`).
    pub create: Duration,
    /// Past a call's deadline before the kill, so that a plugin that keeps its deadline is not killed for a hair.
    pub grace: Duration,
    /// Pause between pings.
    pub ping: Duration,
    /// Pings in a row without an answer before the kill.
    pub missed_pings: u32,
    /// Longest that a poll may take before the kill.
    pub poll: Duration,
    /// First pause after a failure; doubles with each further one.
    pub backoff_first: Duration,
    /// Longest pause.
    pub backoff_max: Duration,
    /// Longest pause before a device that is gone is looked for again.
    pub reopen_max: Duration,
    /// A host that ran this long without failing starts again at the first pause.
    pub settled: Duration,
    /// This many failures within [`Timing::window`] mean quarantine.
    pub failures: usize,
    /// See [`Timing::failures`].
    pub window: Duration,
    /// For dropping the instance on stop, before the kill.
    pub stop: Duration,
    /// Plugin events a second before it counts as a flood.
    pub events_per_second: u32,
    /// Plugin events that may wait unread; more than this for [`Timing::unread_patience`] is a flood.
    pub unread: usize,
    /// See [`Timing::unread`].
    pub unread_patience: Duration,
    /// Log lines a second; more are dropped and counted.
    pub log_lines_per_second: u32,
    /// For opening a transport.
    pub open: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            hello: Duration::from_secs(10),
            create: Duration::from_secs(30),
            grace: Duration::from_millis(500),
            ping: Duration::from_secs(2),
            missed_pings: 3,
            poll: Duration::from_secs(15),
            backoff_first: Duration::from_millis(100),
            backoff_max: Duration::from_secs(30),
            reopen_max: Duration::from_secs(5),
            settled: Duration::from_mins(1),
            failures: 5,
            window: Duration::from_mins(1),
            stop: Duration::from_secs(2),
            events_per_second: 1_000,
            unread: 1_024,
            unread_patience: Duration::from_secs(2),
            log_lines_per_second: 100,
            open: crate::transport::OPEN_TIMEOUT,
        }
    }
}

/// Runs instances. Dropping it ends all hosts at once; [`Supervisor::shutdown`] ends them in order.
#[derive(Debug)]
pub struct Supervisor {
    means: Means,
    instances: Mutex<BTreeMap<String, Instance>>,
}

impl Supervisor {
    /// Without logs for its instances: for drivers and tests. See [`Supervisor::with_log`].
    pub fn new(config: SupervisorConfig) -> Result<Self, SupervisorError> {
        Self::with_log(config, Arc::new(NoLog))
    }

    /// Makes the state folder, reads the quarantine, starts the thread that starts processes. `log` keeps what instances
    /// append to their logs.
    pub fn with_log(config: SupervisorConfig, log: Arc<dyn InstanceLog>) -> Result<Self, SupervisorError> {
        let host = &config.host_binary;
        if !host.is_file() {
            return Err(SupervisorError::HostBinary { path: host.clone() });
        }
        let state =
            |e: io::Error| SupervisorError::State { path: config.state_dir.clone(), detail: e.to_string() };
        crate::atomic::private_dir(&config.state_dir).map_err(state)?;
        crate::atomic::private_dir(&config.state_dir.join("store")).map_err(state)?;
        let quarantine = Arc::new(Quarantine::open(config.state_dir.join("quarantine.toml")).map_err(state)?);
        let spawner = Arc::new(Spawner::start().map_err(|e| SupervisorError::Thread(e.to_string()))?);
        let ports = Arc::new(Ports::new(config.device_root.clone()));
        let means = Means { config: Arc::new(config), spawner, quarantine, ports, log };
        Ok(Self { means, instances: Mutex::default() })
    }

    /// Starts an instance; its state comes with the events. Needs a running tokio runtime.
    pub fn start(&self, spec: InstanceSpec) -> Result<(Instance, Events), StartError> {
        spec.check()?;
        let mut instances = self.lock();
        instances.retain(|_, i| !i.is_stopped());
        if instances.contains_key(&spec.id) {
            return Err(StartError::Running { id: spec.id });
        }
        let (events, receiver) = EventSender::new();
        let instance = actor::start(spec, self.means.clone(), events);
        instances.insert(instance.id().to_owned(), instance.clone());
        Ok((instance, receiver))
    }

    /// An instance by id.
    pub fn get(&self, id: &str) -> Option<Instance> {
        self.lock().get(id).cloned()
    }

    /// All instances, by id.
    pub fn instances(&self) -> Vec<Instance> {
        self.lock().values().cloned().collect()
    }

    /// What stands in quarantine, also from earlier runs, by instance id.
    pub fn quarantined(&self) -> BTreeMap<String, QuarantineEntry> {
        self.means.quarantine.entries()
    }

    /// Lifts the quarantine of an instance and starts it. `Ok(false)`: it was not in quarantine.
    pub fn release_quarantine(&self, id: &str) -> Result<bool, SupervisorError> {
        let was = self.means.quarantine.release(id).map_err(|e| SupervisorError::State {
            path: self.means.config.state_dir.clone(),
            detail: e.to_string(),
        })?;
        if was && let Some(instance) = self.get(id) {
            instance.send(Command::Restart);
        }
        Ok(was)
    }

    /// Stops all instances, each within [`Timing::stop`].
    pub async fn shutdown(&self) {
        let running = self.instances();
        let mut tasks = tokio::task::JoinSet::new();
        for instance in running {
            tasks.spawn(async move { instance.stop().await });
        }
        while tasks.join_next().await.is_some() {}
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Instance>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there is no supervisor, or its state could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// No host binary.
    #[error("{path} is not there: it is the process that loads plugins; install the whole tilld package")]
    HostBinary {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The state folder cannot be used.
    #[error("the folder {path} for plugin state cannot be used: {detail}")]
    State {
        /// Which.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// The thread that starts processes could not be started.
    #[error("no thread can be started: {0}")]
    Thread(String),
}

/// Why an instance was not started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The spec is wrong.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The id is taken.
    #[error("an instance {id} is running already: give each device and channel its own id")]
    Running {
        /// The id.
        id: String,
    },
}
