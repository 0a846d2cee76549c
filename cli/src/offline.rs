//! Work on a journal that no tilld has: handed over to `tilld journal`, which has its settings, its key and its code
//! (decision 0016).

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use till_dbus::{Bus, Error, connect};
use zbus::Connection;

use crate::args::{JournalCommand, Offline};
use crate::exit::{FAILED, Failure};

/// The connection to the tilld that does it; becomes `tilld journal` when none is to do it, or none runs.
pub(crate) async fn hand_over(
    command: &JournalCommand,
    bus: &Bus,
    timeout: std::time::Duration,
    json: bool,
) -> Result<Connection, Failure> {
    let (words, offline): (Vec<&OsStr>, &Offline) = match command {
        JournalCommand::Check(offline) => (vec!["check".as_ref()], offline),
        JournalCommand::Backup { file, offline } => (vec!["backup".as_ref(), file.as_ref()], offline),
        JournalCommand::Rebuild { anew, offline } => {
            let words: &[&OsStr] =
                if *anew { &["rebuild".as_ref(), "--anew".as_ref()] } else { &["rebuild".as_ref()] };
            return exec(words, offline, json);
        }
        JournalCommand::Restore { file, offline } => {
            return exec(&["restore".as_ref(), file.as_ref()], offline, json);
        }
        JournalCommand::Verify
        | JournalCommand::Export { .. }
        | JournalCommand::RotateKeys { .. }
        | JournalCommand::Head => {
            return Ok(connect::connect(bus, timeout).await?);
        }
    };
    if !offline.offline {
        match connect::connect(bus, timeout).await {
            Ok(connection) => return Ok(connection),
            Err(Error::NotRunning { .. } | Error::NoBus { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    exec(&words, offline, json)
}

/// Becomes `tilld journal …`; comes back only when that cannot be run.
fn exec(words: &[&OsStr], offline: &Offline, json: bool) -> Result<Connection, Failure> {
    let program = tilld();
    let mut command = Command::new(&program);
    if let Some(config) = &offline.config {
        command.arg("--config").arg(config);
    }
    command.arg("journal");
    if json {
        command.arg("--json");
    }
    let e = command.args(words).exec();
    Err(Failure {
        exit: FAILED,
        code: "Io".into(),
        text: format!("{}: {e}", program.display()),
        hint: Some("tilld does not run, and its program is not there either: install the package".into()),
    })
}

/// Beside this program, else wherever the path finds it.
fn tilld() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name("tilld"));
    beside.filter(|p| p.is_file()).unwrap_or_else(|| Path::new("tilld").into())
}
