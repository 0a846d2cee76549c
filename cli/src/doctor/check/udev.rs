//! udev: the rules are there, and what they mark has their group and mode.

use super::{quoted, shown, well};
use crate::doctor::facts::Facts;
use crate::doctor::finding::{Finding, Id, both, text};

const RULES: &str = "/usr/lib/udev/rules.d/80-tilld.rules";

pub(super) fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    let (from, udev) = (findings.len(), &facts.udev);
    if !udev.running {
        findings.push(Finding::note(
            Id::UdevAbsent,
            "",
            text(
                "no udev runs here: devices are named by path, and their nodes' rights are somebody else's to give",
                "本机未运行 udev：设备须以路径指定",
            ),
            None,
        ));
        return;
    }
    if udev.rules.is_none() && facts.bus.system {
        findings.push(Finding::fix(
            Id::UdevRules,
            RULES,
            text("the rules that give tilld its readers are not installed", "未安装 udev 规则"),
            both("`apt install --reinstall tilld && udevadm control --reload && udevadm trigger --action=change`"),
        ));
    }
    for node in &udev.marked {
        let applied = udev.group.is_none_or(|g| g == node.gid) && node.mode & 0o060 == 0o060;
        if !applied {
            let path = quoted(&node.path);
            findings.push(Finding::fix(
                Id::UdevNotApplied,
                shown(&node.path),
                text(
                    format!("marked as tilld's, but it is of group {} with mode {:04o}: a later rule has the last word", node.group, node.mode),
                    format!("已标记，但组为 {}、权限 {:04o}", node.group, node.mode),
                ),
                both(format!("`udevadm trigger --action=change {path}`; if it stays, `udevadm test $(udevadm info -q path {path}) 2>&1 | grep -E 'GROUP|MODE'` names the rule that wins")),
            ));
        }
    }
    let rules = udev.rules.as_deref().map(shown).unwrap_or_default();
    let marked = udev.marked.len();
    well(
        findings,
        from,
        "udev",
        text(format!("{rules}, {marked} nodes marked"), format!("{rules}，已标记 {marked} 个")),
    );
}
