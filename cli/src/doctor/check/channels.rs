//! Payment channels.

use till_dbus::tree::Channel;

use super::devices::remedy;
use crate::doctor::facts::Facts;
use crate::doctor::finding::{Finding, Id, both, text};
use crate::look::Look;

pub(super) fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    let Some(till) = &facts.till else {
        if facts.config.wanted.channels.is_empty() && !facts.config.files.is_empty() {
            none(findings);
        }
        return;
    };
    let channels = &till.tree.channels;
    if !channels.iter().any(|c| c.state != "disabled") {
        none(findings);
    }
    for channel in channels {
        let from = findings.len();
        standing(channel, findings);
        state(channel, findings, from);
    }
}

fn none(findings: &mut Vec<Finding>) {
    findings.push(Finding::fix(
        Id::ChannelNone,
        "",
        text("no channel is configured: nothing can be paid", "未配置支付通道：无法收款"),
        both("in tilld.toml: [channel.cash] plugin = \"org.tilld.cash\", then `systemctl restart tilld`"),
    ));
}

fn state(c: &Channel, findings: &mut Vec<Finding>, from: usize) {
    let zh = Look { chinese: true, ..Look::plain() }.state(&c.state);
    let reason = c.reason.trim();
    let behind = |s: &str| if reason.is_empty() { s.to_owned() } else { format!("{s}: {reason}") };
    let said = text(behind(&c.state), behind(&zh));
    match c.state.as_str() {
        "ready" => {
            if findings.len() == from {
                findings.push(Finding::well("channel", c.id.clone(), said));
            }
        }
        "disabled" => findings.push(Finding::note(Id::ChannelState, c.id.clone(), said, None)),
        "starting" => {
            let wait = remedy(&c.id, "channel-starting");
            findings.push(Finding::note(Id::ChannelState, c.id.clone(), said, Some(wait)));
        }
        state => {
            let fix = remedy(&c.id, &format!("channel-{state}"));
            findings.push(Finding::fix(Id::ChannelState, c.id.clone(), said, fix));
        }
    }
}

/// What is to be known of it besides its state.
fn standing(c: &Channel, findings: &mut Vec<Finding>) {
    if c.unresolved > 0 {
        let n = c.unresolved;
        findings.push(Finding::note(
            Id::ChannelUnresolved,
            c.id.clone(),
            text(
                format!("{n} payments whose outcome is not known yet are being resolved"),
                format!("{n} 笔未决交易处理中"),
            ),
            Some(both(format!("`tillctl probe {}` asks its network; `tillctl payments` shows them", c.id))),
        ));
    }
    for b in &c.breakers {
        findings.push(Finding::fix(
            Id::ChannelBreaker,
            c.id.clone(),
            text(
                format!("{}: left alone after {} faults in a row", b.operation, b.faults),
                format!("{}：连续 {} 次故障后断开", b.operation, b.faults),
            ),
            remedy(&c.id, "breaker-open"),
        ));
    }
    let m = &c.maintenance;
    if matches!(m.state.as_str(), "closed" | "draining" | "degraded" | "unsure") {
        findings.push(Finding::note(
            Id::ChannelMaintenance,
            c.id.clone(),
            text(format!("announced maintenance: {}", m.state), format!("维护公告：{}", m.state)),
            Some(both("`tillctl maintenance list` shows until when")),
        ));
    }
    match c.merchant.state.as_str() {
        "locked" => findings.push(Finding::fix(
            Id::ChannelMerchant,
            c.id.clone(),
            text("locked after wrong passwords of the merchant", "商户密码错误过多，已锁定"),
            remedy(&c.id, "merchant-locked"),
        )),
        "required" => findings.push(Finding::note(
            Id::ChannelMerchant,
            c.id.clone(),
            text("sells after the merchant has signed in", "须先验证商户"),
            Some(remedy(&c.id, "merchant-required")),
        )),
        _ => {}
    }
}
