//! The wall clock.

use super::well;
use crate::doctor::facts::Facts;
use crate::doctor::finding::{Finding, Id, both, text};

/// 2026-01-01: nothing of this program is older.
const FIRST_MS: i64 = 1_767_225_600_000;

pub(super) fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    let from = findings.len();
    let trust = facts.config.wanted.trust.as_str();
    if facts.system.now_ms < FIRST_MS {
        findings.push(Finding::fix(
            Id::ClockPast,
            "",
            text("the clock is years behind: receipts and signatures would be wrong", "时钟落后多年"),
            both("connect it to a network, or `timedatectl set-time 'YYYY-MM-DD HH:MM:SS'`; a machine without a battery clock needs one, or a network at start"),
        ));
    }
    if trust == "never" {
        findings.push(Finding::fix(
            Id::ClockNever,
            "clock.trust",
            text(
                "the configuration says never to trust the clock: channels that sign with it take nothing",
                "配置为永不信任时钟：需签名的通道不可用",
            ),
            both("in tilld.toml: [clock] trust = \"kernel\""),
        ));
    }
    if trust == "kernel" && facts.system.synchronised == Some(false) {
        let fix = if facts.system.systemd {
            both(
                "`timedatectl set-ntp true` (or `apt install chrony`); `timedatectl timesync-status` shows it come. With a battery clock that is kept right: [clock] trust = \"always\"",
            )
        } else {
            both(
                "run chrony or ntpd; with a battery clock that is kept right: [clock] trust = \"always\" in tilld.toml",
            )
        };
        findings.push(Finding::fix(
            Id::ClockUnsynchronised,
            "",
            text(
                "nothing keeps the clock right: channels that sign with it wait, cash and cards do not",
                "时钟未同步：需签名的通道等待，现金与银行卡不受影响",
            ),
            fix,
        ));
    }
    let said = match trust {
        "always" => text("trusted as configured", "按配置信任"),
        _ => text("kept right, as the kernel says", "已同步"),
    };
    well(findings, from, "clock", said);
}
