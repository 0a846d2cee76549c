//! The till: what the running one says over D-Bus; what its program says of the configuration and the journal.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use till_dbus::tree::Tree;
use till_dbus::{Bus, NAME, Options, Plugins1Proxy, connect};
use zbus::Connection;
use zbus::fdo::DBusProxy;
use zbus::names::BusName;

use super::run::run;
use super::system::started_ms;
use crate::doctor::facts::{Journal, Running};
use crate::doctor::wanted::Wanted;

/// A call to the till, or the check of its configuration.
const LONGEST: Duration = Duration::from_secs(20);
/// The check of a journal's files.
const JOURNAL: Duration = Duration::from_mins(2);

/// The bus, and the till on it.
#[derive(Default)]
pub(crate) struct Link {
    /// To the bus; None: it cannot be reached.
    pub(crate) connection: Option<Connection>,
    /// Why not.
    pub(crate) problem: Option<String>,
    /// tilld has its name.
    pub(crate) runs: bool,
    /// Its process, when the bus tells.
    pub(crate) pid: Option<u32>,
    /// The configuration that it was started with, when it was named.
    pub(crate) config: Option<PathBuf>,
}

/// Looks for the till on a bus, and does not start it.
pub(crate) async fn link(bus: &Bus) -> Link {
    let connection = match connect::open(bus, LONGEST).await {
        Ok(connection) => connection,
        Err(till_dbus::Error::NoBus { detail, .. }) => {
            return Link { problem: Some(detail), ..Link::default() };
        }
        Err(e) => return Link { problem: Some(e.to_string()), ..Link::default() },
    };
    let runs = connect::is_running(&connection).await.unwrap_or(false);
    let pid = if runs { pid(&connection).await } else { None };
    let config = pid.and_then(named);
    Link { connection: Some(connection), problem: None, runs, pid, config }
}

async fn pid(connection: &Connection) -> Option<u32> {
    let bus = DBusProxy::new(connection).await.ok()?;
    bus.get_connection_unix_process_id(BusName::from_static_str(NAME).ok()?).await.ok()
}

/// `--config` of a process.
fn named(pid: u32) -> Option<PathBuf> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<String> =
        line.split(|b| *b == 0).map(|w| String::from_utf8_lossy(w).into_owned()).collect();
    let at = words.iter().position(|w| w == "--config" || w.starts_with("--config="))?;
    let given = match words.get(at)?.split_once('=') {
        Some((_, file)) => PathBuf::from(file),
        None => PathBuf::from(words.get(at + 1)?),
    };
    Some(fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default().join(given))
}

/// What the running till says; None: none runs.
pub(super) async fn running(
    link: &Link,
    root: &Path,
    now_ms: i64,
) -> Result<Option<Running>, till_dbus::Error> {
    let Some(connection) = link.connection.as_ref().filter(|_| link.runs) else { return Ok(None) };
    let tree = Tree::read(connection).await?;
    let asked = async { Plugins1Proxy::new(connection).await?.list_plugins(Options::new()).await }.await;
    let (plugins, denied) = match asked {
        Ok(rows) => (Some(rows), None),
        Err(e) => (None, Some(e.to_string())),
    };
    let since_ms = link.pid.and_then(|pid| started_ms(root, pid, now_ms));
    Ok(Some(Running { tree, plugins, denied, since_ms }))
}

/// The daemon's program: beside this one, where the package puts it, or wherever the path finds it.
pub(crate) fn program() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name("tilld"));
    let places = beside.into_iter().chain([PathBuf::from("/usr/sbin/tilld")]);
    places.into_iter().find(|p| p.is_file()).unwrap_or_else(|| "tilld".into())
}

fn with_config<'a>(config: Option<&'a Path>, words: &[&'static str]) -> Vec<&'a OsStr> {
    let config = config.into_iter().flat_map(|c| [OsStr::new("--config"), c.as_os_str()]);
    config.chain(words.iter().map(|w| OsStr::new(*w))).collect()
}

/// The problems of the configuration, a line each; Err: why it was not checked.
pub(super) async fn check_config(
    config: Option<&Path>,
    credentials: Option<&Path>,
) -> Result<Vec<String>, String> {
    let env: Vec<(&str, &OsStr)> =
        credentials.map(|dir| ("CREDENTIALS_DIRECTORY", dir.as_os_str())).into_iter().collect();
    let said = run(&program(), &with_config(config, &["--check-config"]), &env, LONGEST).await?;
    let problems = said.err.lines().filter_map(|l| l.strip_prefix("tilld: ")).map(str::to_owned).collect();
    match said.code {
        Some(0) => Ok(Vec::new()),
        Some(78) => Ok(problems),
        code => Err(format!("tilld --check-config ended with {code:?}: {}", said.err.trim())),
    }
}

/// The journal's files, while no till has them.
pub(super) async fn journal(running: bool, config: Option<&Path>, wanted: &Wanted) -> Journal {
    if running {
        return Journal::InUse;
    }
    match fs::read_dir(&wanted.journal) {
        Ok(_) => {}
        Err(e) if e.kind() == ErrorKind::NotFound => return Journal::None,
        Err(e) => return Journal::Unseen(e.to_string()),
    }
    let words = with_config(config, &["journal", "--json", "check", "--without-keys"]);
    match run(&program(), &words, &[], JOURNAL).await {
        Ok(said) => checked(said.code, &said.out, &said.err),
        Err(why) => Journal::Unseen(why),
    }
}

fn checked(code: Option<i32>, out: &str, err: &str) -> Journal {
    let report = serde_json::from_str::<serde_json::Value>(out).ok();
    let Some(report) = report.filter(|_| matches!(code, Some(0 | 8))) else {
        let said = serde_json::from_str::<serde_json::Value>(err.lines().last().unwrap_or_default()).ok();
        let said = said.and_then(|s| Some(s["error"]["text"].as_str()?.to_owned()));
        return Journal::Unseen(said.unwrap_or_else(|| err.trim().to_owned()));
    };
    let texts = report["problems"].as_array().map(Vec::as_slice).unwrap_or_default();
    let problems = texts.iter().map(|p| p.as_str().map_or_else(|| p.to_string(), str::to_owned)).collect();
    Journal::Checked(report["records"].as_u64().unwrap_or_default(), problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_check_of_a_journal_says_is_taken_as_it_is() {
        let Journal::Checked(records, problems) =
            checked(Some(8), r#"{"records": 7, "problems": ["torn"]}"#, "")
        else {
            panic!("checked")
        };
        assert_eq!((records, problems), (7, vec!["torn".to_owned()]));
        let refused = r#"{"error":{"code":"Journal","text":"in use","exit":5}}"#;
        assert!(matches!(checked(Some(5), "", refused), Journal::Unseen(why) if why == "in use"));
        assert!(matches!(checked(None, "{}", "killed"), Journal::Unseen(_)), "half a check is none");
    }
}
