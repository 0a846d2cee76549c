//! The disk below the journal.

use super::{quoted, shown, well};
use crate::doctor::facts::Facts;
use crate::doctor::finding::{Finding, Id, both, text};

/// So few files are soon none.
const FILES: u64 = 1_000;

pub(super) fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    let from = findings.len();
    let Some(disk) = &facts.disk else { return };
    let (path, free, floor) = (quoted(&disk.path), disk.free_mib, disk.floor_mib);
    if disk.read_only {
        findings.push(Finding::fix(
            Id::DiskReadOnly,
            shown(&disk.path),
            text("it is mounted read-only: nothing can be journalled", "只读挂载，无法记录流水"),
            both(format!("`mount -o remount,rw \"$(findmnt -n -o TARGET -T {path})\"`; when it comes back, replace the card: `dmesg` tells")),
        ));
    }
    let space = text(
        format!("{free} MiB free; below {floor} MiB no new payment is taken"),
        format!("剩余 {free} MiB；低于 {floor} MiB 时不受理新交易"),
    );
    let fix = both(format!(
        "free space: `du -xh --max-depth=2 \"$(findmnt -n -o TARGET -T {path})\" | sort -h | tail`, `journalctl --vacuum-size=100M`"
    ));
    if free < floor {
        findings.push(Finding::fix(Id::DiskFull, shown(&disk.path), space.clone(), fix));
    } else if free < floor.saturating_mul(4) {
        findings.push(Finding::fix(Id::DiskLow, shown(&disk.path), space.clone(), fix));
    }
    if let Some(files) = disk.files.filter(|f| *f < FILES) {
        findings.push(Finding::fix(
            Id::DiskInodes,
            shown(&disk.path),
            text(format!("only {files} more files can be made on it"), format!("仅可再创建 {files} 个文件")),
            both(format!("remove small files: `du -x --inodes --max-depth=2 \"$(findmnt -n -o TARGET -T {path})\" | sort -n | tail`")),
        ));
    }
    well(findings, from, "disk", space);
}
