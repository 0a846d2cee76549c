//! Devices: as the till says; and of one that does not work, whether its node can be opened at all.

use till_dbus::tree::Device;
use till_dbus::types::Blocker;

use super::shown;
use crate::doctor::facts::{DeviceNode, Facts, Node};
use crate::doctor::finding::{Finding, Id, Text, both, text, word};
use crate::look::Look;
use crate::view::fix;

/// States that need nobody.
const WELL: [&str; 1] = ["ready"];

pub(super) fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    let running = facts.till.as_ref();
    for device in running.iter().flat_map(|t| &t.tree.devices) {
        state(device, findings);
    }
    for node in &facts.nodes {
        let device = running.and_then(|t| t.tree.devices.iter().find(|d| d.id == node.device));
        if device.is_none_or(|d| !WELL.contains(&d.state.as_str())) {
            self::node(facts, node, findings);
        }
    }
}

/// The house's own words about a blocker.
pub(super) fn remedy(subject: &str, code: &str) -> Text {
    let blocker =
        Blocker { subject: word(subject), code: code.into(), text: String::new(), text_zh: String::new() };
    let look = |chinese| Look { chinese, ..Look::plain() };
    text(fix(&look(false), &blocker), fix(&look(true), &blocker))
}

fn state(d: &Device, findings: &mut Vec<Finding>) {
    let said = |state: &str| {
        let reason = d.reason.trim();
        let zh = Look { chinese: true, ..Look::plain() }.state(state);
        let behind = |s: &str| if reason.is_empty() { s.to_owned() } else { format!("{s}: {reason}") };
        text(behind(state), behind(&zh))
    };
    match d.state.as_str() {
        "ready" => {
            let layers = || d.sandbox.iter().filter(|l| l.level.starts_with("off"));
            let off: Vec<String> = layers().map(|l| format!("{} {}", l.layer, l.level)).collect();
            let fix = if layers().any(|l| l.layer != "wiped-memory") {
                both("a kernel of 6.1 or newer with landlock in its list: `cat /sys/kernel/security/lsm`")
            } else {
                let reinstall = "`apt install --reinstall tilld`";
                text(
                    format!("{reinstall}; if it stays, report it with what `tillctl bundle` collects"),
                    format!("{reinstall}；仍如此请附上 `tillctl bundle` 的结果报告"),
                )
            };
            if off.is_empty() {
                let at = format!("ready, {}", d.transport);
                findings.push(Finding::well(
                    "device",
                    d.id.clone(),
                    text(at, format!("就绪，{}", d.transport)),
                ));
            } else {
                findings.push(Finding::note(
                    Id::DeviceUnconfined,
                    d.id.clone(),
                    text(
                        format!("ready; its process is confined less: {}", off.join(", ")),
                        format!("就绪；隔离不完整：{}", off.join("，")),
                    ),
                    Some(fix),
                ));
            }
        }
        "disabled" | "starting" => {
            let level = remedy(&d.id, "device-starting");
            let wait = (d.state == "starting").then_some(level);
            findings.push(Finding::note(Id::DeviceState, d.id.clone(), said(&d.state), wait));
        }
        "attention" => {
            let look = text("look at it: paper or battery is low", "请查看：纸张或电量不足");
            findings.push(Finding::note(Id::DeviceState, d.id.clone(), said(&d.state), Some(look)));
        }
        state => findings.push(Finding::fix(
            Id::DeviceState,
            d.id.clone(),
            said(state),
            remedy(&d.id, &format!("device-{state}")),
        )),
    }
}

/// Why a node cannot be opened, seen from the outside.
fn node(facts: &Facts, at: &DeviceNode, findings: &mut Vec<Finding>) {
    let Some(path) = &at.path else {
        if facts.udev.running && facts.udev.marked.is_empty() {
            findings.push(Finding::fix(
                Id::DeviceUnmarked,
                at.device.clone(),
                text(
                    "udev has marked no device as tilld's: it is not plugged in, or no rule knows it",
                    "udev 未标记任何设备：未插入，或无规则识别",
                ),
                both(
                    "plug it in; one that no rule knows is marked by a file of your own, such as \
                     /etc/udev/rules.d/70-tilld-site.rules: SUBSYSTEM==\"tty\", ATTRS{idVendor}==\"VVVV\", \
                     ATTRS{idProduct}==\"PPPP\", ENV{TILLD_CLASS}=\"scanner\" (`lsusb` shows the ids), then \
                     `udevadm control --reload && udevadm trigger`",
                ),
            ));
        }
        return;
    };
    let Some(node) = &at.node else {
        findings.push(Finding::fix(
            Id::DeviceMissing,
            at.device.clone(),
            text(format!("{} is not there", shown(path)), format!("{} 不存在", shown(path))),
            both(format!(
                "plug it in and switch it on, or correct the path in tilld.toml: [device.{}] transport (`ls -l /dev/serial/by-id /dev/input/by-id /dev/usb` shows what is there)",
                word(&at.device)
            )),
        ));
        return;
    };
    if let Some(user) = &facts.system.user
        && !may_open(node, user.uid, &user.groups)
    {
        findings.push(Finding::fix(
            Id::DeviceClosed,
            at.device.clone(),
            text(
                format!(
                    "{} is there and {} may not open it (group {}, mode {:04o})",
                    shown(path),
                    user.name,
                    node.group,
                    node.mode
                ),
                format!(
                    "{} 存在，但 {} 无权打开（组 {}，权限 {:04o}）",
                    shown(path),
                    user.name,
                    node.group,
                    node.mode
                ),
            ),
            give(node),
        ));
    }
    let lets = facts.unit.as_ref().filter(|_| facts.bus.system).and_then(|u| u.devices.as_ref());
    if let Some(lets) = lets.filter(|_| !node.kind.is_empty()) {
        let kind = format!("char-{}", node.kind);
        let path = node.path.to_string_lossy();
        if !lets.iter().any(|l| *l == kind || **l == *path || l == "char-*") {
            findings.push(Finding::fix(
                Id::DeviceUnit,
                at.device.clone(),
                text(
                    format!("the unit lets no node of the kind {} be opened", node.kind),
                    format!("服务单元未放行 {} 类设备", node.kind),
                ),
                both(format!(
                    "`systemctl edit tilld`: [Service] DeviceAllow={kind} rw, then `systemctl restart tilld`"
                )),
            ));
        }
    }
}

fn may_open(node: &Node, uid: u32, groups: &[u32]) -> bool {
    if uid == 0 {
        return true;
    }
    let bits = if node.uid == uid {
        node.mode >> 6
    } else if groups.contains(&node.gid) {
        node.mode >> 3
    } else {
        node.mode
    };
    bits & 0o6 == 0o6
}

/// How it becomes tilld's: by its group, or by a rule.
fn give(node: &Node) -> Text {
    if node.mode & 0o060 == 0o060 && node.group != "root" {
        let group = word(&node.group);
        return both(format!(
            "`systemctl edit tilld`: [Service] SupplementaryGroups={group}, then `systemctl restart tilld`"
        ));
    }
    let subsystem = if node.subsystem.is_empty() { "tty" } else { &node.subsystem };
    let which = node.usb.as_ref().map_or_else(
        || {
            let name = node.path.file_name().unwrap_or_default().to_string_lossy();
            format!("KERNEL==\"{name}\"")
        },
        |(vendor, product)| format!("ATTRS{{idVendor}}==\"{vendor}\", ATTRS{{idProduct}}==\"{product}\""),
    );
    both(format!(
        "a line in /etc/udev/rules.d/90-tilld-site.rules: SUBSYSTEM==\"{subsystem}\", {which}, GROUP=\"tilld\", MODE=\"0660\", \
         then `udevadm control --reload && udevadm trigger`"
    ))
}
