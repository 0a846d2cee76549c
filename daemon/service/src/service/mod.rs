//! The life of the daemon: open the journal, fold it, serve the bus, start the plugins, be ready, stop in order.

pub mod clock;
pub mod instance_log;
mod instances;
pub mod key_log;
mod notify;
pub mod recover;
pub mod upkeep;
mod watchdog;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use till_hosts::{Catalog, ClockTrust, Supervisor, SupervisorConfig};
use till_journal::JournalError;
use till_plugin::driver::class;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::config::{ClockConfig, Config};
use crate::keys;
use crate::receipts::Receipts;
use crate::till::{self, Parts, Sealing};
use clock::TillClock;
use recover::{Recovered, own_probe, recover};
use upkeep::Upkeep;

/// Why the daemon ends.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The journal cannot be opened.
    #[error("journal {path}: {detail}")]
    Journal {
        /// Directory.
        path: PathBuf,
        /// Why, and what to do.
        detail: String,
    },
    /// A record cannot be read.
    #[error("journal record {seq}: {error}")]
    Record {
        /// Which.
        seq: u64,
        /// Why.
        error: till_core::record::RecordError,
    },
    /// A key cannot be had.
    #[error(transparent)]
    Keys(#[from] keys::KeysError),
    /// The supervisor cannot be made.
    #[error(transparent)]
    Supervisor(#[from] till_hosts::SupervisorError),
    /// The bus refuses.
    #[error("D-Bus: {0}")]
    Bus(String),
    /// Something of the system.
    #[error("{0}")]
    System(String),
}

const DAY_MS: i64 = 86_400_000;

/// What is wrong with devices and channels that would still let the till start, one line each.
pub fn problems(config: &Config) -> Vec<String> {
    let mut problems =
        instances::problems(config, &Catalog::trusted(&config.plugin_dirs, &config.plugin_trust));
    problems.extend(
        config.shop.receipt_template.as_deref().and_then(|path| crate::receipts::template(path).err()),
    );
    problems.extend(config.maintenance_key.as_deref().and_then(|path| crate::announce::key(path).err()));
    problems
}

/// Names of the secrets that only the unit's credentials bring: [`problems`] cannot look at them.
pub fn secrets_of_the_unit(config: &Config) -> Vec<String> {
    instances::secrets_of_the_unit(config).into_iter().collect()
}

/// Card data passes through this process: no core file, no reading of its memory by others (channels.md C5).
pub fn no_dumps() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let done =
        setrlimit(Resource::Core, none).and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable));
    if let Err(e) = done {
        tracing::warn!("core files could not be switched off: {e}");
    }
}

/// How long a service whose journal is poisoned takes to say so.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Ends at once, without closing anything: what is on disk decides after the restart.
pub(crate) fn die() -> ! {
    std::process::exit(74) // EX_IOERR
}

/// Runs until told to stop.
pub async fn run(config: Config) -> Result<(), ServiceError> {
    let config = Arc::new(config);
    let receipts = Arc::new(Receipts::new(&config));
    let clock = Arc::new(TillClock::new(config.clock));
    // Blocking work, off the runtime's threads.
    let (theirs, its_clock) = (config.clone(), clock.clone());
    let recovered = tokio::task::spawn_blocking(move || recover(&theirs, its_clock, own_probe()))
        .await
        .map_err(|e| ServiceError::System(e.to_string()))??;
    let (poisoned, is_poisoned) = oneshot::channel();
    recovered.journal.on_poison(move |e| {
        let _nobody_left = poisoned.send(e);
    });
    let Recovered { journal, till: folded, keys, .. } = recovered;
    let catalog = Arc::new(Catalog::trusted(&config.plugin_dirs, &config.plugin_trust));
    for error in catalog.errors() {
        tracing::warn!("plugin refused: {error}");
    }
    let mut hosts = SupervisorConfig::new(&config.plugin_host, &config.state_dir);
    hosts.clock = match config.clock {
        ClockConfig::Kernel => ClockTrust::Kernel,
        ClockConfig::Always => ClockTrust::Always,
        ClockConfig::Never => ClockTrust::Never,
    };
    let its_log = instance_log::JournalLog::new(journal.clone());
    let log = Arc::new(its_log.clone());
    let supervisor = Arc::new(Supervisor::with_log(hosts, log)?);

    let covered = journal.last_snapshot().ok().flatten().map_or(0, |s| s.covers);
    let upkeep = Upkeep::start(&journal, &its_log, &config.journal, covered)
        .map_err(|e| ServiceError::System(format!("no thread for the journal's upkeep: {e}")))?;
    let parts = Parts {
        statistics: config.state_dir.join("statistics"),
        journal: journal.clone(),
        shell: till_core::Shell::new(folded),
        upkeep,
        clock,
        terminal: config.terminal.clone(),
        config: config.version.clone(),
        printer: receipt_printer(&config, &catalog),
        drawer: config.drawer.clone(),
        codes: config.codes.clone(),
        reuse_window_ms: i64::from(config.reuse_window_s) * 1000,
        duplicate_window_ms: i64::from(config.duplicate_window_s) * 1000,
        undo_after_ms: config.undo_after_s.map(|s| u64::from(s) * 1000),
        hold_valid_ms: i64::from(config.hold_days) * DAY_MS,
        job_valid_ms: i64::from(config.receipt_days) * DAY_MS,
        rules: config.rules.clone(),
        token_key: keys.token_key()?,
        sealing: Sealing::new(keys.keyring().clone()),
        receipts: receipts.clone(),
    };
    let till::Started { handle, changes, devices, channels, run } = till::start(parts);
    instances::start(&config, &catalog, &supervisor, &devices, &channels);
    run.go();
    tokio::spawn(crate::announce::feed::follow(handle.clone(), config.maintenance_dir.clone()));

    if config.power_low > 0 {
        tokio::spawn(crate::power::follow(handle.clone(), config.power_dir.clone(), config.power_low));
    }

    // Objects first, name second, READY third: whoever sees the name finds everything.
    let connection = crate::bus::serve(
        crate::bus::Parts {
            handle: handle.clone(),
            journal: journal.clone(),
            catalog,
            supervisor: supervisor.clone(),
            config: config.clone(),
            receipts,
            keys: keys.clone(),
        },
        changes,
    )
    .await
    .map_err(|e| ServiceError::Bus(e.to_string()))?;
    let gone = crate::bus::gone::Gone::listen(&connection).await;
    let gone = async {
        match gone {
            Ok(gone) => gone.wait().await,
            Err(e) => format!("the bus is gone: {e}"),
        }
    };
    notify::ready(&format!("{} devices, {} channels", config.devices.len(), config.channels.len()));
    tracing::info!(terminal = config.terminal, "ready");
    watchdog::start(&handle, &connection);

    let why = tokio::select! {
        stop = wait_for_stop() => stop.map(|()| None)?,
        Ok(error) = is_poisoned => end_poisoned(&handle, &connection, &error).await,
        why = gone => Some(why),
    };
    if let Some(why) = &why {
        tracing::error!("{why}; tilld ends in order, to be started again");
    }
    tracing::info!("stopping");
    notify::stopping();
    handle.stop().await;
    handle.statistics.close().await;
    supervisor.shutdown().await;
    drop(connection);
    let closed = journal.close();
    // Only now: the journal's last record is made with one of them.
    keys.forget();
    closed.map_err(|e| ServiceError::Journal { path: config.journal.dir.clone(), detail: e.to_string() })?;
    why.map_or(Ok(()), |why| Err(ServiceError::Bus(why)))
}

/// The journal stopped accepting records: whoever waits is answered, everybody is told, and the service ends so that its
/// restart recovers from what is on disk. Nothing is closed: it could not be trusted.
async fn end_poisoned(handle: &till::Handle, connection: &zbus::Connection, error: &JournalError) -> ! {
    tracing::error!(%error, "the journal is poisoned; tilld ends so that a restart recovers from disk");
    let tell = async {
        if let Err(e) = crate::bus::alarm(connection, "critical", "journal", &error.to_string()).await {
            tracing::warn!("nobody could be told: {e}");
        }
        // Behind every input that was taken before: its caller has the refusal by then.
        handle.stop().await;
        if let Ok(bus) = zbus::fdo::DBusProxy::new(connection).await {
            let _sent_all = bus.get_id().await;
        }
    };
    let _in_time = tokio::time::timeout(LAST_WORDS, tell).await;
    die()
}

/// The configured receipt printer, else the first device whose plugin prints.
fn receipt_printer(config: &Config, catalog: &Catalog) -> Option<String> {
    let prints = |plugin: &str| {
        catalog
            .get(plugin)
            .and_then(|p| p.manifest.driver.as_ref())
            .is_some_and(|d| d.classes.iter().any(|c| c == class::PRINTER))
    };
    config
        .receipt_printer
        .clone()
        .or_else(|| config.devices.values().find(|d| d.enabled && prints(&d.plugin)).map(|d| d.id.clone()))
}

async fn wait_for_stop() -> Result<(), ServiceError> {
    let listen = |kind| signal(kind).map_err(|e| ServiceError::System(e.to_string()));
    let mut term = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
