//! Facts in, findings out: nothing here asks the machine.

mod access;
mod bus;
mod channels;
mod clock;
mod config;
mod devices;
mod disk;
mod folders;
mod journal;
mod plugins;
mod secrets;
mod till;
mod udev;
mod unit;

use super::facts::Facts;
use super::finding::{Finding, Level, Text, text};

/// Everything that can be said of these facts, area by area.
pub fn all(facts: &Facts) -> Vec<Finding> {
    let areas: [fn(&Facts, &mut Vec<Finding>); 14] = [
        till::check,
        config::check,
        unit::check,
        bus::check,
        access::check,
        folders::check,
        journal::check,
        disk::check,
        clock::check,
        udev::check,
        plugins::check,
        secrets::check,
        devices::check,
        channels::check,
    ];
    let mut findings = Vec::new();
    for area in areas {
        area(facts, &mut findings);
    }
    if !facts.system.systemd {
        for fix in findings.iter_mut().filter_map(|f| f.fix.as_mut()) {
            (fix.en, fix.zh) = (without_systemd(&fix.en), without_systemd(&fix.zh));
        }
    }
    findings
}

/// A fix for a machine on which something else starts tilld.
fn without_systemd(fix: &str) -> String {
    fix.replace(" && systemctl restart tilld`", "`, then start tilld again")
        .replace(" && systemctl reload dbus`", "`, then let dbus read its policies again")
        .replace("`systemctl restart tilld`", "start tilld again")
        .replace("`systemctl start dbus`", "start the system bus")
}

/// Says that an area is well, unless something is wrong with it or could not be looked at.
fn well(findings: &mut Vec<Finding>, from: usize, area: &'static str, said: Text) {
    let bad = |f: &Finding| f.area() == area && f.level > Level::Note;
    if !findings.get(from..).unwrap_or_default().iter().any(bad) {
        findings.insert(from, Finding::well(area, "", said));
    }
}

/// A path, for people.
fn shown(path: &std::path::Path) -> String {
    path.display().to_string()
}

/// The fix that the text of a refusal carries.
fn fix_in(problem: &str) -> Option<&str> {
    let (_, rest) = problem.split_once('`')?;
    let (command, _) = rest.split_once('`')?;
    Some(command)
}

/// A path, in a command.
fn quoted(path: &std::path::Path) -> String {
    super::finding::word(&shown(path))
}

/// How somebody sees what only root or the till's own user may see.
fn as_root() -> Text {
    text("look as root: `sudo tillctl doctor`", "以 root 身份查看：`sudo tillctl doctor`")
}
