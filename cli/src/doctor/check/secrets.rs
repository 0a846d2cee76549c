//! Secrets: each file that the configuration names is there, and nobody else reads it. What is in it is not looked at.

use super::{as_root, quoted, shown, well};
use crate::doctor::facts::{Facts, Secret};
use crate::doctor::finding::{Finding, Id, both, text, word};

pub(super) fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    let from = findings.len();
    if facts.secrets.is_empty() {
        return;
    }
    for secret in &facts.secrets {
        one(facts, secret, findings);
    }
    let n = facts.secrets.len();
    well(
        findings,
        from,
        "secret",
        text(format!("{n} files, closed to others"), format!("{n} 个文件，他人不可读")),
    );
}

fn one(facts: &Facts, secret: &Secret, findings: &mut Vec<Finding>) {
    let subject = format!("{} {}", secret.of, secret.file);
    let Some(path) = &secret.path else {
        let Some(unit) = &facts.unit else { return };
        let loads = |c: &String| {
            *c == secret.file || c.strip_suffix('*').is_some_and(|begin| secret.file.starts_with(begin))
        };
        if !unit.credentials.iter().any(loads) {
            let file = word(&secret.file);
            findings.push(Finding::fix(
                Id::SecretNotLoaded,
                subject,
                text("neither secrets.dir nor the unit gives tilld this file", "secrets.dir 与服务单元均未提供此文件"),
                both(format!("`systemctl edit tilld`: [Service] LoadCredential={file}:/etc/tilld/secrets/{file}, then `systemctl restart tilld`")),
            ));
        }
        return;
    };
    if secret.unseen {
        let said = text("its folder is closed to you", "其文件夹对您不可见");
        findings.push(Finding::unseen(Id::SecretUnseen, subject, said, as_root()));
        return;
    }
    match secret.mode {
        None => findings.push(Finding::fix(
            Id::SecretMissing,
            subject,
            text(format!("{} is not there", shown(path)), format!("{} 不存在", shown(path))),
            both(format!(
                "`install -m 600 -o {} FILE {}`, then `systemctl restart tilld`",
                owner(facts),
                quoted(path)
            )),
        )),
        // systemd guards its own folder, by ACL, which shows as group bits.
        Some(mode) if mode & 0o077 != 0 && !path.starts_with("/run/credentials") => {
            findings.push(Finding::fix(
                Id::SecretOpen,
                subject,
                text(
                    format!("other users can read {}", shown(path)),
                    format!("其他用户可读取 {}", shown(path)),
                ),
                both(format!(
                    "`chmod 600 {}`; a key that others could read should be replaced",
                    quoted(path)
                )),
            ));
        }
        Some(_) => {}
    }
}

fn owner(facts: &Facts) -> String {
    facts.system.user.as_ref().map_or_else(|| facts.system.wanted_user.clone(), |u| u.name.clone())
}
