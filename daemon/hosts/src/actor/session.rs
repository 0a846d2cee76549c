//! One host process, from its start to its end.

mod ending;
mod logs;
mod serving;

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use till_plugin::manifest::Kind;
use till_plugin::proto::Create;
use till_plugin::proto::message::Secret;
use tokio::time::Instant;

use super::link::Link;
use super::process::Process;
use super::{Actor, End};
use crate::error::{Failure, FailureKind};
use crate::record::RecordedWhat;
use crate::redact::redact;
use crate::spawn::{SOCKET_FD, SpawnRequest, TRANSPORT_FD};
use crate::store::Store;
use crate::supervisor::ClockTrust;
use crate::transport::OpenTransport;
use serving::Serving;

/// Longest reason in a recording, bytes.
const MAX_REASON: usize = 200;

fn failure(kind: FailureKind, reason: impl Into<String>) -> Failure {
    Failure { kind, reason: reason.into(), last_lines: Vec::new() }
}

fn failed(kind: FailureKind, reason: impl Into<String>) -> End {
    End::Failed { failure: failure(kind, reason), ready_for: None }
}

impl Actor {
    /// Opens the transport, starts a process, serves it until it ends.
    pub(super) async fn session(&mut self) -> End {
        let plugin = self.spec.plugin.clone();
        let checked = tokio::task::spawn_blocking(move || plugin.check().map_err(|e| e.to_string())).await;
        if let Err(reason) = checked.unwrap_or_else(|e| Err(e.to_string())) {
            return failed(FailureKind::Refused, reason);
        }
        let transport = match self.open_transport().await {
            Ok(transport) => transport,
            Err(end) => return end,
        };
        let folder = self.config.state_dir.join("store");
        let id = self.spec.id.clone();
        let opened = tokio::task::spawn_blocking(move || Store::open(&folder, &id)).await;
        let store = match opened.unwrap_or_else(|e| Err(std::io::Error::other(e))) {
            Ok(store) => store,
            Err(e) => {
                let end = failed(FailureKind::Spawn, format!("its stored values cannot be read: {e}"));
                self.closed(&end);
                return end;
            }
        };
        let create = Create {
            settings: serde_json::to_string(&self.spec.settings).unwrap_or_default(),
            secrets: self
                .spec
                .secrets
                .iter()
                .map(|(name, value)| Secret { name: name.clone(), value: value.clone() })
                .collect(),
            transport: transport.as_ref().map(|t| t.info.clone()),
            store: store.values(),
        };
        let began = Instant::now();
        let (link, process) = match self.spawn(transport.as_ref()).await {
            Ok(pair) => pair,
            Err(e) => {
                let end = failed(FailureKind::Spawn, format!("its process cannot be started: {e}"));
                self.closed(&end);
                return end;
            }
        };
        self.status.send_modify(|s| s.starts += 1);
        // The transport lives as long as the process: a grab would end with it.
        let end = Serving::new(self, link, process, store, create, began).run().await;
        drop(transport);
        self.closed(&end);
        end
    }

    /// The transport is closed, for whoever records it.
    fn closed(&mut self, end: &End) {
        if self.open.take().is_some()
            && let Some(tap) = &self.tap
        {
            tap.now(RecordedWhat::Gone(match end {
                End::Interrupted(_) => "closed by the daemon".into(),
                End::Failed { failure, .. } => redact(&failure.reason, MAX_REASON),
            }));
        }
    }

    async fn open_transport(&mut self) -> Result<Option<OpenTransport>, End> {
        let Some(spec) = self.spec.transport.clone() else { return Ok(None) };
        let limit = self.config.timing.open;
        // Guard for openers that have no limit of their own.
        self.appeared.mark();
        let (ports, plugin, id) = (self.ports.clone(), self.spec.plugin.clone(), self.spec.id.clone());
        let opening = ports.open(&id, &spec, plugin.manifest.driver.as_ref(), limit);
        let opening = tokio::time::timeout(limit + Duration::from_secs(5), opening);
        match self.meanwhile(opening).await {
            Err(interrupt) => Err(End::Interrupted(interrupt)),
            Ok(Err(_)) => Err(failed(
                FailureKind::Transport,
                format!("{} could not be opened within {limit:?}", spec.name()),
            )),
            Ok(Ok(Err(e))) => Err(failed(FailureKind::Transport, e.to_string())),
            Ok(Ok(Ok(transport))) => {
                let manifest = &self.spec.plugin.manifest;
                let takes =
                    manifest.driver.as_ref().is_none_or(|d| d.transports.contains(&transport.info.kind));
                if takes {
                    self.attached.clone_from(&transport.label);
                    let info = transport.info.clone();
                    if let Some(tap) = &self.tap {
                        let masking = self.masking(tap.raw, info.kind);
                        tap.now(RecordedWhat::Open { transport: info.clone(), masking });
                    }
                    self.open = Some(info);
                    return Ok(Some(transport));
                }
                Err(failed(
                    FailureKind::Settings,
                    format!(
                        "{} is a {} transport, which the plugin {} cannot use",
                        transport.info.name,
                        transport.info.kind.as_str(),
                        self.spec.plugin.id()
                    ),
                ))
            }
        }
    }

    async fn spawn(&self, transport: Option<&OpenTransport>) -> std::io::Result<(Link, Process)> {
        let (ours, theirs) = UnixStream::pair()?;
        let request = SpawnRequest {
            program: self.config.host_binary.clone(),
            arguments: self.arguments(transport.is_some()),
            socket: OwnedFd::from(theirs),
            transport: transport.map(|t| t.fd.try_clone()).transpose()?,
        };
        let child = self.spawner.spawn(request).await?;
        Ok((Link::new(ours)?, Process::new(child)?))
    }

    fn arguments(&self, transport: bool) -> Vec<OsString> {
        let plugin = &self.spec.plugin;
        let mut arguments: Vec<OsString> = Vec::new();
        let mut add = |name: &str, value: &std::ffi::OsStr| {
            arguments.push(name.into());
            arguments.push(value.to_owned());
        };
        add("--fd", SOCKET_FD.to_string().as_ref());
        if transport {
            add("--transport-fd", TRANSPORT_FD.to_string().as_ref());
        }
        add("--plugin", plugin.library.as_ref());
        add("--id", plugin.id().as_ref());
        let kind = match plugin.manifest.plugin.kind {
            Kind::Driver => "driver",
            Kind::Channel => "channel",
        };
        add("--kind", kind.as_ref());
        add("--parent", std::process::id().to_string().as_ref());
        add("--memory", self.config.memory_limit.to_string().as_ref());
        let clock = match self.config.clock {
            ClockTrust::Kernel => "kernel",
            ClockTrust::Always => "always",
            ClockTrust::Never => "never",
        };
        add("--clock", clock.as_ref());
        for path in self.spec.readable().unwrap_or_default() {
            add("--read", path.as_ref());
        }
        if plugin.manifest.needs.network {
            arguments.push("--network".into());
        }
        arguments
    }
}
