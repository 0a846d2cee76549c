//! What goes into a bundle.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use till_dbus::tree::Tree;
use till_dbus::{Options, Terminal1Proxy};

use super::archive::Archive;
use super::settings;
use crate::doctor::facts::Facts;
use crate::doctor::gather::run::run;
use crate::doctor::gather::{Link, program};

const LONGEST: Duration = Duration::from_secs(20);
/// Newest lines of the unit's log.
const LINES: &str = "5000";

/// What the running till shows.
pub(super) async fn till(archive: &mut Archive, link: &Link, facts: &Facts) {
    let Some(till) = &facts.till else {
        archive.left_out("till.json", "tilld does not run on this bus");
        return;
    };
    let tree = &till.tree;
    archive.json("till.json", &json!({ "terminal": tree.terminal, "journal": tree.journal }));
    archive.json("devices.json", &json!(tree.devices));
    let mut channels = tree.channels.clone();
    for c in &mut channels {
        c.merchant.operator.clear();
    }
    archive.json("channels.json", &json!(channels));
    archive.json("payments.json", &payments(tree));
    match &till.plugins {
        Some(rows) => archive.json("plugins.json", &json!(rows)),
        None => archive.left_out("plugins.json", till.denied.as_deref().unwrap_or_default()),
    }
    let Some(connection) = &link.connection else { return };
    let asked = async { Terminal1Proxy::new(connection).await?.list_suspensions(Options::new()).await }.await;
    match asked {
        Ok(acts) => {
            let acts: Vec<Value> = acts
                .iter()
                .map(|a| json!({ "channel": a.channel, "what": a.what, "by": a.by, "reason": a.reason, "at-ms": a.at_ms }))
                .collect();
            archive.json("suspensions.json", &json!(acts));
        }
        Err(e) => archive.left_out("suspensions.json", &e.to_string()),
    }
}

/// How payments stand: whose, and how much, is nobody's business.
fn payments(tree: &Tree) -> Value {
    let one = |p: &till_dbus::tree::Payment| {
        json!({
            "id": p.id, "state": p.state, "reason": p.reason, "channel": p.channel, "attempt-state": p.attempt_state,
            "prompt": p.prompt.id, "seq": p.seq,
        })
    };
    tree.payments.iter().map(one).collect()
}

/// What is taken out of the configuration is taken out everywhere.
pub(super) fn words(facts: &Facts) -> Vec<String> {
    let secrets = facts.config.wanted.secrets.as_deref();
    let texts = facts.config.files.iter().filter_map(|f| fs::read_to_string(&f.path).ok());
    texts.flat_map(|text| settings::words(&text, secrets)).collect()
}

/// A path as a name in the archive.
fn flat(path: &Path) -> String {
    path.to_string_lossy().trim_start_matches('/').replace('/', "-")
}

/// Configuration, unit, rules, policy: as installed.
pub(super) fn files(archive: &mut Archive, facts: &Facts) {
    let secrets = facts.config.wanted.secrets.as_deref();
    for file in &facts.config.files {
        let name = format!("config/{}", flat(&file.path));
        match fs::read_to_string(&file.path)
            .map_err(|e| e.to_string())
            .and_then(|t| settings::file(&t, secrets))
        {
            Ok(text) => archive.text(&name, &text),
            Err(why) => archive.left_out(&name, &why),
        }
    }
    let ours = |folder: &str| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
        let mut found: Vec<PathBuf> = entries.filter(|p| p.is_file()).collect();
        found.sort();
        found
    };
    let named = |folder: &str| ours(folder).into_iter().filter(|p| p.to_string_lossy().contains("tilld"));
    let mut installed: Vec<PathBuf> = vec![
        "/usr/lib/systemd/system/tilld.service".into(),
        "/etc/systemd/system/tilld.service".into(),
        "/usr/lib/sysusers.d/tilld.conf".into(),
    ];
    for folder in [
        "/usr/lib/systemd/system/tilld.service.d",
        "/etc/systemd/system/tilld.service.d",
        "/run/systemd/system/tilld.service.d",
    ] {
        installed.extend(ours(folder));
    }
    for folder in [
        "/usr/lib/udev/rules.d",
        "/etc/udev/rules.d",
        "/usr/share/dbus-1/system.d",
        "/etc/dbus-1/system.d",
        "/usr/share/dbus-1/system-services",
    ] {
        installed.extend(named(folder));
    }
    for path in installed.iter().filter(|p| p.exists()) {
        let name = format!("installed/{}", flat(path));
        match fs::read_to_string(path) {
            // What the package brought is public; what the site wrote may hold anything.
            Ok(text) if path.starts_with("/usr") => archive.text(&name, &text),
            Ok(text) if text.trim_start().starts_with('<') => {
                archive.text(&name, &without_xml_comments(&text));
            }
            Ok(text) => archive.text(&name, &settings::site_file(&text)),
            Err(e) => archive.left_out(&name, &e.to_string()),
        }
    }
}

fn without_xml_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!--") {
        out.push_str(before);
        rest = after.split_once("-->").map_or("", |(_, after)| after);
    }
    out + rest
}

/// The machine, the unit's log, versions, space, clock.
pub(super) async fn system(archive: &mut Archive, facts: &Facts) {
    let uname = rustix::system::uname();
    let text = |c: &std::ffi::CStr| c.to_string_lossy().into_owned();
    let version = run(&program(), &[OsStr::new("--version")], &[], LONGEST).await;
    archive.json(
        "system/versions.json",
        &json!({
            "tillctl": env!("CARGO_PKG_VERSION"),
            "tilld": version.map_or_else(|why| why, |said| said.out.trim().to_owned()),
            "kernel": { "system": text(uname.sysname()), "release": text(uname.release()), "version": text(uname.version()), "machine": text(uname.machine()) },
        }),
    );
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
    archive.json(
        "system/clock.json",
        &json!({
            "now-ms": facts.system.now_ms,
            "synchronised": facts.system.synchronised,
            "trust": facts.config.wanted.trust,
            "zone": jiff::tz::TimeZone::system().iana_name(),
            "uptime": uptime.split_whitespace().next(),
        }),
    );
    for (name, path) in [
        ("system/os-release", "/etc/os-release"),
        ("system/lsm", "/sys/kernel/security/lsm"),
        ("system/memory", "/proc/meminfo"),
    ] {
        match fs::read_to_string(path) {
            Ok(text) => archive.text(name, &text),
            Err(e) => archive.left_out(name, &format!("{path}: {e}")),
        }
    }
    let journal = facts.disk.as_ref().map_or_else(|| PathBuf::from("/"), |d| d.path.clone());
    let df = [OsStr::new("-P"), OsStr::new("-m"), OsStr::new("/"), journal.as_os_str()];
    asked(archive, "system/df", "df", &df).await;
    if facts.system.systemd {
        let show = ["show", "tilld.service", "--no-pager", "--property=LoadState,ActiveState,SubState,Result,ExecMainStatus,UnitFileState,NRestarts,ActiveEnterTimestamp,MemoryCurrent,MemoryPeak,TasksCurrent,CPUUsageNSec"].map(OsStr::new);
        asked(archive, "system/unit", "systemctl", &show).await;
    }
    let log =
        ["--unit=tilld.service", "--no-pager", "--quiet", "--output=short-iso-precise", "--lines", LINES]
            .map(OsStr::new);
    match run(Path::new("journalctl"), &log, &[], LONGEST).await {
        Ok(said) if said.code == Some(0) && said.out.trim().is_empty() => {
            archive.left_out("log.txt", "journald has nothing of tilld.service, or shows it to root only");
        }
        Ok(said) if said.code == Some(0) => archive.log("log.txt", &said.out),
        Ok(said) => archive.left_out("log.txt", said.err.trim()),
        Err(why) => archive.left_out("log.txt", &why),
    }
}

async fn asked(archive: &mut Archive, name: &str, program: &str, arguments: &[&OsStr]) {
    match run(Path::new(program), arguments, &[], LONGEST).await {
        Ok(said) => archive.text(name, &format!("{}{}", said.out, said.err)),
        Err(why) => archive.left_out(name, &why),
    }
}
