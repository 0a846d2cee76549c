//! Configuration: there, right, not changeable by others, read by the till that runs.

use super::{as_root, fix_in, quoted, shown, well};
use crate::doctor::facts::Facts;
use crate::doctor::finding::{Finding, Id, both, text, word};

/// What `tilld --check-config` says of a secret that whoever asked cannot see.
fn for_want_of_rights(problem: &str) -> bool {
    problem.contains("there is no secrets folder") || problem.contains("Permission denied")
}

pub(super) fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    let (from, config) = (findings.len(), &facts.config);
    if config.files.is_empty() {
        let place = quoted(&config.place);
        findings.push(Finding::fix(
            Id::ConfigMissing,
            shown(&config.place),
            text("there is no configuration: no shop, no devices, no channels", "没有配置文件"),
            both(format!(
                "`install -D -m 644 /usr/share/doc/tilld/examples/tilld.toml {place}`, then edit it"
            )),
        ));
        return;
    }
    match &config.problems {
        None => findings.push(Finding::unseen(
            Id::ConfigUnseen,
            "",
            text(
                format!("the configuration was not checked: {}", config.unchecked),
                format!("未能检查配置：{}", config.unchecked),
            ),
            both("`apt install tilld`, or put tilld beside tillctl"),
        )),
        Some(problems) => {
            for problem in problems {
                // The running till has its credentials; who asks here may not have them.
                if !config.with_secrets && for_want_of_rights(problem) {
                    findings.push(Finding::unseen(
                        Id::ConfigUnseen,
                        "",
                        text(problem.clone(), problem.clone()),
                        as_root(),
                    ));
                    continue;
                }
                // Whose a file is has a command; what a line should say has none.
                let rights = fix_in(problem).filter(|c| c.starts_with("chmod ") || c.starts_with("chown "));
                let fix = match rights {
                    Some(command) => both(format!("`{command} && systemctl restart tilld`")),
                    None => text(
                        "mend it there, `tilld --check-config`, then `systemctl restart tilld`",
                        "修正后执行 `tilld --check-config`，再执行 `systemctl restart tilld`",
                    ),
                };
                findings.push(Finding::fix(Id::ConfigWrong, "", text(problem.clone(), problem.clone()), fix));
            }
        }
    }
    for file in &config.files {
        let ours = facts.system.user.as_ref().map(|u| u.uid);
        let stranger = file.uid != 0 && Some(file.uid) != ours && file.uid != facts.system.asker;
        if file.mode & 0o022 == 0 && !stranger {
            continue;
        }
        let path = quoted(&file.path);
        findings.push(Finding::fix(
            Id::ConfigWritable,
            shown(&file.path),
            text(
                format!(
                    "other users can change where money goes (owner {}, mode {:04o})",
                    file.uid, file.mode
                ),
                format!("其他用户可修改配置（属主 {}，权限 {:04o}）", file.uid, file.mode),
            ),
            both(format!("`chown root: {path} && chmod 644 {path}`")),
        ));
    }
    let since = facts.till.as_ref().and_then(|t| t.since_ms);
    let newest = config.files.iter().max_by_key(|f| f.changed_ms);
    if let (Some(since), Some(newest)) = (since, newest)
        && newest.changed_ms > since.saturating_add(SLACK_MS)
    {
        let restart = if facts.unit.is_some() && facts.bus.system {
            "`systemctl restart tilld`, when no payment is open"
        } else {
            "start tilld again, when no payment is open"
        };
        findings.push(Finding::fix(
            Id::ConfigStale,
            shown(&newest.path),
            text(
                "it was changed after tilld was started: what runs is older",
                "配置在 tilld 启动后被修改，尚未生效",
            ),
            both(restart),
        ));
    }
    let files: Vec<String> = config.files.iter().map(|f| word(&shown(&f.path))).collect();
    well(findings, from, "config", both(files.join(" ")));
}

/// The kernel tells a start to the second.
const SLACK_MS: i64 = 2_000;
