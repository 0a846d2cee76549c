//! The bus, who has the name, and the policy.

use super::well;
use crate::doctor::facts::Facts;
use crate::doctor::finding::{Finding, Id, both, text, word};

pub(super) fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    let (from, bus) = (findings.len(), &facts.bus);
    if let Some(problem) = &bus.problem {
        let fix = if bus.system {
            "`systemctl start dbus`, or name the bus: `tillctl --bus ADDRESS doctor`"
        } else {
            "start that bus, or name another: `tillctl --bus ADDRESS doctor`"
        };
        findings.push(Finding::fix(
            Id::BusUnreachable,
            bus.name.clone(),
            text(format!("the bus cannot be reached: {problem}"), format!("无法连接总线：{problem}")),
            both(fix),
        ));
    } else if facts.till.is_none() && bus.denied.is_none() {
        let wanted = &facts.config.wanted.bus;
        let elsewhere = !wanted.is_empty() && *wanted != bus.name;
        let fix = if elsewhere {
            both(format!("`tillctl --bus {} doctor`: the configuration names that bus", word(wanted)))
        } else if bus.system && facts.system.systemd {
            both("`systemctl start tilld`")
        } else {
            both("start it: `tilld`, with --config where it has a file of its own")
        };
        findings.push(Finding::fix(
            Id::BusNoTill,
            bus.name.clone(),
            text(
                "tilld does not run on this bus; what follows was read from the disk",
                "tilld 未在此总线上运行；以下为离线检查",
            ),
            fix,
        ));
    }
    if bus.system {
        policy(facts, findings);
    }
    well(findings, from, "bus", both(bus.name.clone()));
}

fn policy(facts: &Facts, findings: &mut Vec<Finding>) {
    let Some(policy) = &facts.bus.policy else {
        findings.push(Finding::fix(
            Id::BusPolicyMissing,
            "/usr/share/dbus-1/system.d/org.tilld.Till1.conf",
            text(
                "the bus policy is not installed: tilld may not own its name, nobody may call it",
                "未安装总线策略",
            ),
            both("`apt install --reinstall tilld && systemctl reload dbus`"),
        ));
        return;
    };
    let lacks: Vec<&str> =
        till_dbus::XML.iter().map(|(name, _)| *name).filter(|name| !policy.contains(name)).collect();
    if !lacks.is_empty() {
        findings.push(Finding::fix(
            Id::BusPolicyOld,
            lacks.join(" "),
            text("the bus policy does not let these interfaces be called", "总线策略未放行这些接口"),
            both("`apt install --reinstall tilld && systemctl reload dbus`; a policy of your own in /etc/dbus-1/system.d needs them too"),
        ));
    }
    if !facts.bus.activation {
        findings.push(Finding::note(
            Id::BusActivation,
            "",
            text("a call to its name does not start tilld", "调用不会自动启动 tilld"),
            Some(both("`apt install --reinstall tilld`")),
        ));
    }
}
