//! Logs: to journald with structured fields when run by systemd, to the terminal when run by hand.

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

/// Starts logging. `TILLD_LOG` sets the filter, default `info`.
pub fn start() {
    let filter = || {
        EnvFilter::try_from_env("TILLD_LOG")
            // sled and zbus are chatty; what they know is not the till's news.
            .unwrap_or_else(|_| EnvFilter::new("info,sled=warn,zbus=warn"))
    };
    let under_systemd = std::env::var_os("JOURNAL_STREAM").is_some();
    let journald = under_systemd
        .then(tracing_journald::layer)
        .and_then(Result::ok)
        .map(|layer| layer.with_field_prefix(Some("TILLD".into())).with_syslog_identifier("tilld".into()));
    let terminal = journald
        .is_none()
        .then(|| fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(is_terminal()));
    tracing_subscriber::registry()
        .with(journald.map(|l| l.with_filter(filter())))
        .with(terminal.map(|l| l.with_filter(filter())))
        .init();
}

fn is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}
