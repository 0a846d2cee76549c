//! The till as a whole: what it says is in the way, training, people who have to decide, paper and drawer.

use super::devices::remedy;
use crate::doctor::facts::Facts;
use crate::doctor::finding::{Finding, Id, both, text};
use crate::look::Look;

pub(super) fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    let Some(till) = &facts.till else { return };
    let from = findings.len();
    let tree = &till.tree;
    // What stands in the way of a device or channel is said there.
    let known = |subject: &str| {
        tree.devices.iter().any(|d| d.id == subject) || tree.channels.iter().any(|c| c.id == subject)
    };
    for b in tree.terminal.blockers.iter().filter(|b| !known(&b.subject) && b.code != "journal") {
        let said = text(b.text.clone(), b.text_zh.clone());
        findings.push(Finding::fix(Id::TillBlocked, b.code.clone(), said, remedy(&b.subject, &b.code)));
    }
    if tree.terminal.training {
        findings.push(Finding::note(
            Id::TillTraining,
            "",
            text("in training: no money moves", "培训模式：不动资金"),
            Some(both("`tillctl training off --operator NAME`")),
        ));
    }
    for p in tree.payments.iter().filter(|p| p.state == "review") {
        findings.push(Finding::fix(
            Id::PaymentReview,
            p.id.clone(),
            text("nobody knows whether its money moved: two people have to decide", "资金结果未知，须两人裁定"),
            both(format!(
                "`tillctl show {0}`, look at the network's statement, then `tillctl review propose {0} --attempt N happened|did-not \
                 --reason WHY --operator NAME` and `tillctl review confirm` by another",
                p.id
            )),
        ));
    }
    paper(facts, findings);
    let zh = Look { chinese: true, ..Look::plain() }.state(&tree.terminal.state);
    let state = &tree.terminal.state;
    if findings.get(from..).unwrap_or_default().iter().all(|f| f.id != Id::TillBlocked.as_str()) {
        let version = &tree.terminal.version;
        findings.insert(
            from,
            Finding::well(
                "till",
                "",
                text(format!("{state}, tilld {version}"), format!("{zh}，tilld {version}")),
            ),
        );
    }
}

fn paper(facts: &Facts, findings: &mut Vec<Finding>) {
    let Some(till) = &facts.till else { return };
    let devices = &till.tree.devices;
    let has =
        |class: &str| devices.iter().any(|d| d.state != "disabled" && d.classes.iter().any(|c| c == class));
    if !has("printer") {
        findings.push(Finding::note(
            Id::PrinterNone,
            "",
            text("no printer is configured: receipts are kept, and not printed", "未配置打印机：小票留存，不打印"),
            Some(both("in tilld.toml: [device.printer] plugin = \"org.tilld.printer\" transport = { kind = \"usb\" }")),
        ));
    }
    for device in devices {
        let waiting = device.jobs.as_ref().map_or(0, Vec::len);
        if waiting == 0 {
            continue;
        }
        let said =
            text(format!("{waiting} receipts are not certainly on paper"), format!("{waiting} 张小票待打印"));
        let fix = text(
            "put paper in and close the cover: they are printed by themselves; `tillctl reprint PAYMENT` prints one again",
            "请装纸并合盖，将自动打印；`tillctl reprint 交易号` 可重打",
        );
        findings.push(if device.state == "ready" {
            Finding::note(Id::PrinterWaiting, device.id.clone(), said, None)
        } else {
            Finding::fix(Id::PrinterWaiting, device.id.clone(), said, fix)
        });
    }
    let cash =
        till.tree.channels.iter().any(|c| c.state != "disabled" && c.families.iter().any(|f| f == "cash"));
    if cash && !has("drawer") {
        findings.push(Finding::note(
            Id::DrawerNone,
            "",
            text("cash is taken, and no device has a drawer", "收现金，但无钱箱设备"),
            Some(both("a drawer on the receipt printer: settings of org.tilld.printer; on a GPIO line: plugin = \"org.tilld.drawer\"")),
        ));
    }
}
