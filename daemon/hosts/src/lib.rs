//! `till-hosts`: finds plugins, starts each instance in a `till-plugin-host` process of its own, and keeps it running.
//!
//! * [`Catalog`] reads the manifests of the plugin folders and refuses what is not safe to load.
//! * [`Supervisor::start`] takes an [`InstanceSpec`] and returns an [`Instance`] (to call) and its [`Events`] (to read).
//! * [`DriverClient`] and [`ChannelClient`] are the typed calls of the SDK over an [`Instance`].
//!
//! The rule for money: [`HostError::nothing_happened`] tells whether a failed call certainly did nothing. Everything
//! else is unknown and must be resolved by query or undo, never guessed.
//!
//! The daemon itself never loads a plugin. When it dies its hosts die with it: by `PR_SET_PDEATHSIG`, and by the end of
//! their socket.

mod actor;
mod atomic;
mod catalog;
mod client;
mod clock;
mod error;
mod event;
mod instance;
mod log;
mod quarantine;
mod record;
mod redact;
mod spawn;
mod spec;
mod statistics;
mod store;
mod supervisor;
pub mod transport;
mod trust;

pub use catalog::{Catalog, CatalogError, Plugin};
pub use client::{ChannelClient, DriverClient};
pub use clock::clock_synchronised;
pub use error::{Failure, FailureKind, HostError};
pub use event::{Events, InstanceEvent, InstanceState};
pub use instance::{HostInfo, Instance, PendingCall, Status};
pub use log::{InstanceLog, LogFuture, MemoryLog, NoLog};
pub use quarantine::QuarantineEntry;
pub use record::{RecordError, Recorded, RecordedWhat, Recorder};
pub use redact::redact;
pub use spec::{InstanceSpec, SpecError};
pub use statistics::{Counters, CountersFile};
pub use supervisor::{ClockTrust, StartError, Supervisor, SupervisorConfig, SupervisorError, Timing};
pub use transport::{OpenError, TransportSpec, UdevSpec, UsbClass, UsbSpec};
pub use trust::{Rule, RuleError, Trust, TrustError, Trusted};

/// The SDK whose messages cross.
pub use till_plugin;
