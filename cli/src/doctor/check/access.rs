//! Who may use the till.

use super::well;
use crate::doctor::facts::Facts;
use crate::doctor::finding::{Finding, Id, both, text};

pub(super) fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    let from = findings.len();
    let plugins = facts.till.as_ref().and_then(|t| t.denied.as_ref());
    if let Some(said) = facts.bus.denied.as_ref().or(plugins) {
        let me = facts.system.asker;
        let mut viewers = facts.config.wanted.viewers.clone();
        viewers.push(me);
        findings.push(Finding::unseen(
            Id::AccessDenied,
            me.to_string(),
            text(format!("you may not look: {said}"), format!("您无权查看：{said}")),
            both(format!(
                "`sudo tillctl doctor`; or in tilld.toml: [access] viewers = {viewers:?}, then `systemctl restart tilld`"
            )),
        ));
    }
    let wanted = &facts.config.wanted;
    if wanted.sellers.is_empty() && !facts.config.files.is_empty() {
        findings.push(Finding::note(
            Id::AccessNobody,
            "",
            text("nobody but root and tilld's own user may sell", "除 root 与 tilld 自身用户外无人可收款"),
            Some(both(
                "in tilld.toml: [access] operators = [ID], ID of the front-end's user as `id -u NAME` says",
            )),
        ));
    }
    let known = &facts.system.users;
    let strangers = wanted.sellers.iter().chain(&wanted.viewers).filter(|u| !known.contains(u));
    for user in strangers.filter(|_| !known.is_empty()) {
        findings.push(Finding::fix(
            Id::AccessUnknown,
            user.to_string(),
            text(
                format!("[access] names user {user}, whom this machine does not have: who gets that number next may sell"),
                format!("[access] 中的用户 {user} 在本机不存在"),
            ),
            both(format!("take {user} out of [access] in tilld.toml, or make the user: `useradd --uid {user} NAME`")),
        ));
    }
    let list = |users: &[u32]| users.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let may = [list(&wanted.sellers), list(&wanted.viewers)].join(" ");
    if may.trim().is_empty() {
        return;
    }
    well(findings, from, "access", text(format!("users {}", may.trim()), format!("用户 {}", may.trim())));
}
