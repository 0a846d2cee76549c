//! Folders of the till's own: there, its own, closed.

use super::{as_root, quoted, shown, well};
use crate::doctor::facts::{Facts, Folder};
use crate::doctor::finding::{Finding, Id, both, text};

pub(super) fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    let from = findings.len();
    for folder in &facts.folders {
        one(facts, folder, findings);
    }
    let said: Vec<String> =
        facts.folders.iter().filter(|f| f.owner.is_some()).map(|f| shown(&f.path)).collect();
    well(findings, from, "folder", both(said.join(" ")));
}

fn one(facts: &Facts, folder: &Folder, findings: &mut Vec<Finding>) {
    let path = quoted(&folder.path);
    if folder.unseen {
        findings.push(Finding::note(
            Id::FolderMissing,
            shown(&folder.path),
            text(
                format!("folder of {}: closed to you, as it should be", folder.what),
                "对您不可见（应当如此）",
            ),
            Some(as_root()),
        ));
        return;
    }
    let Some(owner) = folder.owner else {
        if folder.needed {
            findings.push(Finding::fix(
                Id::FolderMissing,
                shown(&folder.path),
                text(format!("the folder of {} is not there", folder.what), "文件夹不存在"),
                both(format!("`mkdir -p {path}`, or correct its path in tilld.toml")),
            ));
        }
        return;
    };
    if !folder.private {
        return;
    }
    let user = facts.system.user.as_ref();
    if let Some(user) = user.filter(|u| u.uid != owner) {
        findings.push(Finding::fix(
            Id::FolderOwner,
            shown(&folder.path),
            text(
                format!("the folder of {} belongs to user {owner}; tilld runs as {}", folder.what, user.name),
                format!("属主为用户 {owner}，而 tilld 以 {} 运行", user.name),
            ),
            both(format!("`chown -R {}: {path}`", user.name)),
        ));
    }
    if folder.open {
        findings.push(Finding::fix(
            Id::FolderOpen,
            shown(&folder.path),
            text(format!("other users can get into the folder of {}", folder.what), "其他用户可进入此文件夹"),
            both(format!("`chmod 700 {path}`")),
        ));
    }
}
