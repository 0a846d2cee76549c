//! The unit, and the user that it runs as.

use super::well;
use crate::doctor::facts::Facts;
use crate::doctor::finding::{Finding, Id, both, text};

pub(super) fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    let from = findings.len();
    if facts.system.user.is_none() && facts.bus.system {
        let name = &facts.system.wanted_user;
        findings.push(Finding::fix(
            Id::UserMissing,
            name.clone(),
            text(format!("there is no user {name} for tilld to run as"), format!("没有用户 {name}")),
            if facts.system.systemd {
                both("`systemd-sysusers tilld.conf && systemctl reload dbus && systemctl restart tilld`")
            } else {
                both(format!("`useradd --system --home-dir /var/lib/tilld --shell /usr/sbin/nologin {name}`"))
            },
        ));
    }
    if !facts.system.systemd {
        let said =
            text("this machine has no systemd: tilld is started by something else", "本机没有 systemd");
        findings.push(Finding::note(Id::UnitNoSystemd, "", said, None));
        return;
    }
    // A till on a bus of its own is nobody's unit.
    let Some(unit) = facts.unit.as_ref().filter(|_| facts.bus.system) else { return };
    if unit.load == "not-found" {
        findings.push(Finding::fix(
            Id::UnitMissing,
            "tilld.service",
            text("the unit is not installed", "未安装服务单元"),
            both("`apt install --reinstall tilld`"),
        ));
        return;
    }
    if unit.load == "masked" {
        findings.push(Finding::fix(
            Id::UnitMasked,
            "tilld.service",
            text("the unit is masked: nothing can start it", "服务单元被屏蔽"),
            both("`systemctl unmask tilld && systemctl enable --now tilld`"),
        ));
        return;
    }
    if unit.reload {
        findings.push(Finding::fix(
            Id::UnitReload,
            "tilld.service",
            text(
                "its files were changed; systemd still has the old ones",
                "单元文件已修改，systemd 尚未重新载入",
            ),
            both("`systemctl daemon-reload && systemctl restart tilld`"),
        ));
    }
    match unit.active.as_str() {
        "failed" => {
            let fix = match unit.status {
                78 => "mend the configuration (`tilld --check-config`), then `systemctl restart tilld`",
                74 => "look at the journal and its disk above, then `systemctl restart tilld`",
                _ => "`journalctl -u tilld -n 50` tells why; then `systemctl restart tilld`",
            };
            findings.push(Finding::fix(
                Id::UnitFailed,
                "tilld.service",
                text(
                    format!("it ended: {}, status {}", unit.result, unit.status),
                    format!("服务已退出：{}，状态 {}", unit.result, unit.status),
                ),
                both(fix),
            ));
        }
        "inactive" | "deactivating" => findings.push(Finding::fix(
            Id::UnitStopped,
            "tilld.service",
            text("it is stopped", "服务已停止"),
            both("`systemctl start tilld`"),
        )),
        _ => {}
    }
    if unit.enabled == "disabled" {
        findings.push(Finding::fix(
            Id::UnitDisabled,
            "tilld.service",
            text("it does not start at boot", "开机不自动启动"),
            both("`systemctl enable tilld`"),
        ));
    }
    if unit.restarts > 0 {
        let times = unit.restarts;
        findings.push(Finding::note(
            Id::UnitRestarts,
            "tilld.service",
            text(format!("systemd has started it again {times} times"), format!("systemd 已重启 {times} 次")),
            Some(both("`journalctl -u tilld -p warning` tells why")),
        ));
    }
    well(findings, from, "unit", both(format!("tilld.service {}, {}", unit.active, unit.enabled)));
}
