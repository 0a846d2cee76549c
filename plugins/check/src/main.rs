//! `till-plugin-check FOLDER`: what a till would say of a plugin, before a till says it.
//!
//! Everything is done as the daemon does it, with its own supervisor and host: nothing here is a second opinion.

mod checks;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use checks::Wanted;
use report::Report;

/// Checks a plugin as tilld would: its files, its manifest, its settings, and how it starts, describes itself, dies and
/// stops in a real host.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Exit status: 0 a till would take it, 1 it would not, 2 wrong usage.\n\
    A driver is started without a device unless a recording of one is given (--replay, see tillctl record)."
)]
struct Args {
    /// The plugin's folder: manifest.toml, and the library that it names.
    folder: PathBuf,
    /// TOML file with the settings, as they would stand in [device.X.settings] or [channel.X.settings].
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// A secret from a file.
    #[arg(long, value_name = "NAME=FILE")]
    secret: Vec<String>,
    /// A recording of a device, which is played to the driver.
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// The plugin host; default: beside this program, or /usr/libexec/tilld/till-plugin-host.
    #[arg(long, value_name = "FILE")]
    host: Option<PathBuf>,
    /// One JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let wanted = match wanted(&args) {
        Ok(wanted) => wanted,
        Err(e) => {
            eprintln!("till-plugin-check: {e}");
            return ExitCode::from(2);
        }
    };
    let mut report = Report::new(args.json);
    checks::run(&wanted, &mut report).await;
    report.end()
}

/// What was given cannot be used.
#[derive(Debug, thiserror::Error)]
enum UsageError {
    #[error("{path}: {error}")]
    Read { path: PathBuf, error: std::io::Error },
    #[error("{path}: {error}")]
    Settings { path: PathBuf, error: toml::de::Error },
    #[error("--secret {0}: write NAME=FILE")]
    Secret(String),
    #[error("the plugin host is not at {0}: name it with --host, or install the package tilld")]
    Host(PathBuf),
}

fn wanted(args: &Args) -> Result<Wanted, UsageError> {
    let read =
        |path: &PathBuf| std::fs::read(path).map_err(|error| UsageError::Read { path: path.clone(), error });
    let mut settings = toml::Table::new();
    if let Some(path) = &args.settings {
        let text = String::from_utf8_lossy(&read(path)?).into_owned();
        settings =
            toml::from_str(&text).map_err(|error| UsageError::Settings { path: path.clone(), error })?;
    }
    let mut secrets = Vec::new();
    for given in &args.secret {
        let (name, file) = given.split_once('=').ok_or_else(|| UsageError::Secret(given.clone()))?;
        secrets.push((name.to_owned(), read(&file.into())?.into()));
    }
    let host = args.host.clone().unwrap_or_else(|| {
        let beside = std::env::current_exe().ok().map(|me| me.with_file_name("till-plugin-host"));
        beside.filter(|h| h.exists()).unwrap_or_else(|| "/usr/libexec/tilld/till-plugin-host".into())
    });
    if !host.is_file() {
        return Err(UsageError::Host(host));
    }
    // The host is started with / as its folder.
    let whole =
        |path: &PathBuf| path.canonicalize().map_err(|error| UsageError::Read { path: path.clone(), error });
    let replay = args.replay.as_ref().map(whole).transpose()?;
    Ok(Wanted { folder: whole(&args.folder)?, settings, secrets, replay, host: whole(&host)? })
}
