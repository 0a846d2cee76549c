//! Reads the machine and asks the till. Changes nothing, starts nothing.

mod devices;
mod files;
pub(crate) mod run;
mod system;
mod till;
mod unit;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use till_dbus::Bus;

use super::facts::{Bus as BusFacts, Config, Facts, System};
use super::wanted::Wanted;
use devices::Kinds;
use system::People;

pub(crate) use files::config;
pub(crate) use till::{Link, link, program};

/// Where the machine's files are.
const ROOT: &str = "/";

/// Everything that is judged; `config` as given by the user.
pub(crate) async fn facts(link: &Link, bus: &Bus, config: Option<&Path>) -> Facts {
    let root = Path::new(ROOT);
    let people = People::read(root);
    let now_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis().try_into().unwrap_or(i64::MAX));
    let systemd = root.join("run/systemd/system").is_dir();
    let asked = if systemd { unit::read().await } else { None };
    let (unit, user, groups) = asked.map_or_else(
        || (None, "tilld".to_owned(), Vec::new()),
        |(unit, user, groups)| (Some(unit), user, groups),
    );
    let asker = rustix::process::geteuid().as_raw();
    let system_bus = *bus == Bus::System;
    let config = config.map(Path::to_path_buf).or_else(|| link.config.clone());
    let (files, place, table) = files::config(config.as_deref());
    let wanted = Wanted::read(&table);
    let account = match link.pid {
        Some(pid) => people.of_process(root, pid),
        None if system_bus => people.account(&user, &groups),
        None => people.of_process(root, std::process::id()),
    };
    // Where nothing loads credentials, none are missing to who asks.
    let credentials = root.join("run/credentials/tilld.service");
    let credentials = (wanted.secrets.is_none() && credentials.is_dir()).then_some(credentials);
    let ours = asker == 0 || account.as_ref().is_some_and(|a| a.uid == asker);
    let loads = unit.as_ref().is_some_and(|u| !u.credentials.is_empty());
    let with_secrets = ours && (wanted.secrets.is_some() || credentials.is_some() || !(system_bus && loads));
    let (problems, unchecked) = match till::check_config(config.as_deref(), credentials.as_deref()).await {
        Ok(problems) => (Some(problems), String::new()),
        Err(why) => (None, why),
    };
    let running = till::running(link, root, now_ms).await;
    let mut problem = link.problem.clone();
    let mut denied = None;
    let running = running.unwrap_or_else(|e| {
        match e {
            till_dbus::Error::NotAuthorized(text) => denied = Some(text),
            e => problem = Some(format!("tilld is there, and {e}")),
        }
        None
    });
    let journal = till::journal(link.runs, config.as_deref(), &wanted).await;
    let kinds = Kinds::read(root);
    Facts {
        system: System {
            systemd,
            asker,
            user: account,
            wanted_user: user,
            users: people.ids(),
            now_ms,
            synchronised: system::synchronised(),
        },
        unit,
        bus: BusFacts {
            name: bus.to_string(),
            system: system_bus,
            problem,
            denied,
            policy: policy(root),
            activation: root.join("usr/share/dbus-1/system-services/org.tilld.Till1.service").exists(),
        },
        till: running,
        folders: files::folders(&wanted),
        disk: files::disk(&wanted),
        journal,
        secrets: files::secrets(&wanted),
        udev: devices::udev(root, &people, &kinds),
        nodes: devices::nodes(root, &wanted, &people, &kinds),
        config: Config {
            files,
            place,
            problems,
            unchecked,
            with_secrets,
            host_there: wanted.host.as_ref().is_none_or(|h| h.is_file()),
            wanted,
        },
    }
}

/// The bus policy that is installed, all files that speak of tilld.
fn policy(root: &Path) -> Option<String> {
    let mut text = String::new();
    for folder in ["usr/share/dbus-1/system.d", "etc/dbus-1/system.d"] {
        let files = std::fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
        let ours = files.map(|f| f.path()).filter(|p: &PathBuf| p.to_string_lossy().contains("tilld"));
        for file in ours {
            text += &std::fs::read_to_string(file).unwrap_or_default();
        }
    }
    (!text.is_empty()).then_some(text)
}
