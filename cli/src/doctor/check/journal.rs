//! The journal.

use super::{as_root, quoted, shown, well};
use crate::doctor::facts::{Facts, Journal};
use crate::doctor::finding::{Finding, Id, both, text};

pub(super) fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    let from = findings.len();
    let dir = &facts.config.wanted.journal;
    let mut said = text("", "");
    if let Some(till) = &facts.till {
        let journal = &till.tree.journal;
        if journal.state != "well" {
            findings.push(Finding::fix(
                Id::JournalState,
                shown(dir),
                text(journal.state.clone(), journal.state.clone()),
                both("free space on its disk and make it writable, then `systemctl restart tilld`; `tillctl journal verify` checks every record"),
            ));
        }
        said = text(format!("well, {} records", journal.head_seq), format!("正常，{} 条", journal.head_seq));
    } else {
        match &facts.journal {
            Journal::InUse => said = text("the running till has it", "由运行中的 tilld 使用"),
            Journal::None => said = text("none yet: the first start makes it", "尚无流水，首次启动时创建"),
            Journal::Unseen(why) => findings.push(Finding::unseen(
                Id::JournalUnseen,
                shown(dir),
                text(format!("its files were not checked: {why}"), format!("未检查：{why}")),
                if why.contains("ermission") { as_root() } else { both("`tillctl journal check --offline`") },
            )),
            Journal::Checked(records, problems) => {
                for problem in problems {
                    findings.push(Finding::fix(
                        Id::JournalProblems,
                        shown(dir),
                        text(problem.clone(), problem.clone()),
                        both("`tillctl journal rebuild` mends each copy from the other; nothing is deleted"),
                    ));
                }
                said =
                    text(format!("{records} records, both copies well"), format!("{records} 条，两份均正常"));
            }
        }
    }
    if let Some(kind) = facts.disk.as_ref().and_then(|d| d.refused) {
        let forced = facts.config.wanted.forced;
        let words = text(
            format!("it lies on {kind}, which loses records at a power cut"),
            format!("位于 {kind} 文件系统，断电会丢失记录"),
        );
        let fix =
            both(format!("put it on ext4, xfs or f2fs: journal.dir in tilld.toml (now {})", quoted(dir)));
        findings.push(if forced {
            Finding::note(Id::JournalForced, shown(dir), words, Some(fix))
        } else {
            Finding::fix(Id::JournalFilesystem, shown(dir), words, fix)
        });
    }
    well(findings, from, "journal", said);
}
