//! The checks, in the order in which a till finds things out.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use till_hosts::{
    ChannelClient, ClockTrust, DriverClient, HostInfo, Instance, InstanceSpec, InstanceState, Plugin,
    Supervisor, SupervisorConfig, TransportSpec, Trust,
};
use till_plugin::Sensitive;
use till_plugin::manifest::Kind;

use crate::report::{Report, Verdict};

/// Longest that a plugin may take to be ready: what the daemon gives it, and a little.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longest that a call may take.
const CALL: Duration = Duration::from_secs(5);

/// What is checked.
pub(crate) struct Wanted {
    pub(crate) folder: PathBuf,
    pub(crate) settings: toml::Table,
    pub(crate) secrets: Vec<(String, Sensitive<Vec<u8>>)>,
    pub(crate) replay: Option<PathBuf>,
    pub(crate) host: PathBuf,
}

/// Checks one after the other; ends at the first that makes the rest meaningless.
pub(crate) async fn run(wanted: &Wanted, report: &mut Report) {
    let plugin = match Plugin::read(&wanted.folder, &Arc::new(Trust::default())) {
        Ok(plugin) => Arc::new(plugin),
        Err(e) => return report.line("files", Verdict::Fail, e.to_string()),
    };
    report.line("files", Verdict::Ok, "manifest and library are there, and nobody else may write them");
    let kind = match plugin.manifest.plugin.kind {
        Kind::Driver => "driver",
        Kind::Channel => "channel",
    };
    let settings = plugin.manifest.settings.len();
    report.line("manifest", Verdict::Ok, format!("{}, a {kind} with {settings} settings", plugin.id()));
    let signed = |file: &PathBuf| {
        let mut beside = file.clone().into_os_string();
        beside.push(".minisig");
        PathBuf::from(beside).is_file()
    };
    if signed(&plugin.library) && signed(&plugin.folder.join("manifest.toml")) {
        report.line(
            "signed",
            Verdict::Ok,
            "both files have signatures; whose, only a till with the key can say",
        );
    } else {
        report.line(
            "signed",
            Verdict::Note,
            "not signed: tills with plugins.trust = \"signed\" do not load it",
        );
    }
    let mut spec = InstanceSpec::new("check", plugin);
    spec.settings = wanted.settings.clone();
    spec.secrets.clone_from(&wanted.secrets);
    spec.transport = wanted.replay.clone().map(|path| TransportSpec::Replay { path });
    if let Err(e) = spec.check() {
        return report.line("settings", Verdict::Fail, e.to_string());
    }
    report.line("settings", Verdict::Ok, "as the manifest wants them");
    match tempfile::tempdir() {
        Ok(state) => running(wanted, spec, state.path().into(), report).await,
        Err(e) => report.line("started", Verdict::Fail, format!("no folder for its state: {e}")),
    }
}

async fn running(wanted: &Wanted, spec: InstanceSpec, state: PathBuf, report: &mut Report) {
    let config =
        SupervisorConfig { clock: ClockTrust::Always, ..SupervisorConfig::new(wanted.host.clone(), state) };
    let supervisor = match Supervisor::new(config) {
        Ok(supervisor) => supervisor,
        Err(e) => return report.line("started", Verdict::Fail, e.to_string()),
    };
    let instance = match supervisor.start(spec) {
        Ok((instance, mut events)) => {
            // Somebody has to hear what it says.
            tokio::spawn(async move { while events.next().await.is_some() {} });
            instance
        }
        Err(e) => return report.line("started", Verdict::Fail, e.to_string()),
    };
    if let Some(first) = started(&instance, "started", report).await {
        let sandbox: Vec<String> = first.sandbox.iter().map(|l| format!("{} {}", l.name, l.level)).collect();
        report.line("confined", Verdict::Ok, sandbox.join(", "));
        described(&first, report);
        answers(&instance, report).await;
        again(&instance, &first, report).await;
    }
    let begun = Instant::now();
    supervisor.shutdown().await;
    report.line("stops", Verdict::Ok, format!("after {} ms", begun.elapsed().as_millis()));
}

/// Waits until it takes calls.
async fn started(instance: &Instance, check: &'static str, report: &mut Report) -> Option<Arc<HostInfo>> {
    let mut status = instance.watch();
    // Ready, or resting, or at its first failure: the daemon would try again, here the reason is wanted.
    let settled = status.wait_for(|s| !matches!(s.state, InstanceState::Starting));
    let state = match tokio::time::timeout(PATIENCE, settled).await {
        Ok(Ok(status)) => status.clone(),
        Ok(Err(_)) => return None,
        Err(_) => {
            report.line(check, Verdict::Fail, format!("not ready after {PATIENCE:?}"));
            return None;
        }
    };
    match (state.state, state.host) {
        (InstanceState::Ready, Some(host)) => {
            let (took, sdk, rustc) = (host.start_took.as_millis(), &host.sdk, &host.rustc);
            report.line(check, Verdict::Ok, format!("ready after {took} ms; SDK {sdk}, {rustc}"));
            Some(host)
        }
        (
            InstanceState::Failed { failure }
            | InstanceState::Backoff { failure, .. }
            | InstanceState::Offline { failure, .. },
            _,
        ) => {
            let mut text = failure.reason.clone();
            for line in &failure.last_lines {
                text.push_str("\n      | ");
                text.push_str(line);
            }
            report.line(check, Verdict::Fail, text);
            None
        }
        (state, _) => {
            report.line(check, Verdict::Fail, format!("it is {}", state.as_str()));
            None
        }
    }
}

fn described(host: &HostInfo, report: &mut Report) {
    let text = match (host.driver(), host.channel()) {
        (_, Some(c)) => {
            let families: Vec<String> = c.families.iter().map(ToString::to_string).collect();
            let operations: Vec<String> =
                c.operations.iter().map(|o| format!("{o:?}").to_lowercase()).collect();
            let undo = match (&c.resolve.query, &c.resolve.undo) {
                (Some(_), Some(_)) => "unknown outcomes are asked about, then undone",
                (Some(_), None) => "unknown outcomes are asked about; nothing can be undone",
                (None, Some(_)) => "unknown outcomes are undone",
                (None, None) => "unknown outcomes are a person's to decide",
            };
            format!("takes {}; {}; {undo}", families.join(", "), operations.join(", "))
        }
        (Some(d), None) => format!("{} ({}){}", d.classes.join(", "), d.model, certified(d.certified)),
        (None, None) => return report.line("described", Verdict::Fail, "its description cannot be read"),
    };
    report.line("described", Verdict::Ok, text);
}

const fn certified(claimed: bool) -> &'static str {
    if claimed { ", certified by its own word" } else { "" }
}

async fn answers(instance: &Instance, report: &mut Report) {
    let counted = match instance.plugin().manifest.plugin.kind {
        Kind::Driver => DriverClient::new(instance.clone()).statistics(CALL).await,
        Kind::Channel => ChannelClient::new(instance.clone()).statistics(CALL).await,
    };
    match counted {
        Ok(counters) => report.line("answers", Verdict::Ok, format!("a call; {} counters", counters.len())),
        Err(e) => report.line("answers", Verdict::Fail, e.to_string()),
    }
}

/// A host dies for reasons that are not its own; the plugin has to come back as it was.
async fn again(instance: &Instance, first: &HostInfo, report: &mut Report) {
    let mut status = instance.watch();
    instance.restart();
    let gone = status.wait_for(|s| s.host.as_ref().is_none_or(|h| h.pid != first.pid));
    if tokio::time::timeout(PATIENCE, gone).await.is_err() {
        return report.line("again", Verdict::Fail, "its process did not end");
    }
    // Started by the same words, it says the same of itself.
    if let Some(second) = started(instance, "again", report).await
        && second.description != first.description
    {
        report.line("again", Verdict::Note, "it describes itself otherwise than the first time");
    }
}
