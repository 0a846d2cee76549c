//! Plugins, and the program that loads them.

use super::{fix_in, quoted, shown};
use crate::doctor::facts::Facts;
use crate::doctor::finding::{Finding, Id, both, text};

pub(super) fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    if let Some(host) = facts.config.wanted.host.as_ref().filter(|_| !facts.config.host_there) {
        findings.push(Finding::fix(
            Id::PluginHost,
            shown(host),
            text(
                "the program that loads plugins is not there: no device and no channel can start",
                "加载插件的程序不存在",
            ),
            both(format!(
                "`apt install --reinstall tilld`, or correct plugins.host in tilld.toml (now {})",
                quoted(host)
            )),
        ));
    }
    let Some(plugins) = facts.till.as_ref().and_then(|t| t.plugins.as_ref()) else { return };
    if plugins.is_empty() {
        let dirs: Vec<String> = facts.config.wanted.plugins.iter().map(|d| quoted(d)).collect();
        findings.push(Finding::fix(
            Id::PluginNone,
            dirs.join(" "),
            text("there is no plugin: no device and no channel can start", "未安装任何插件"),
            both("`apt install --reinstall tilld`, or correct plugins.dirs in tilld.toml"),
        ));
    }
    for p in plugins {
        if p.problem.is_empty() {
            let used = if p.instances.is_empty() { "not used".into() } else { p.instances.join(" ") };
            let version = if p.version.is_empty() { "" } else { &p.version };
            findings.push(Finding::well(
                "plugin",
                p.id.clone(),
                both(format!("{version} {} {used}", p.trust).trim().replace("  ", " ")),
            ));
            continue;
        }
        let fix = match fix_in(&p.problem) {
            Some(command) => both(format!("`{command} && systemctl restart tilld`")),
            None => text(
                "mend what is said, or reinstall its package; then `systemctl restart tilld`",
                "按提示处理或重装软件包，然后执行 `systemctl restart tilld`",
            ),
        };
        let said = text(format!("refused: {}", p.problem), format!("被拒绝：{}", p.problem));
        findings.push(Finding::fix(Id::PluginRefused, p.id.clone(), said, fix));
    }
}
