//! Why channels were chosen; what maintenance comes.

use till_dbus::tree::Channel;
use till_dbus::types::DecisionRow;

use crate::look::{Look, Tone, clean, line};

/// Decisions of a payment.
pub fn decisions(look: &Look, rows: &[DecisionRow]) -> String {
    if rows.is_empty() {
        let text = look.say("nothing was presented for it yet", "尚未出示支付方式");
        return format!("{}\n", look.paint(text, Tone::Faint));
    }
    let mut out = String::new();
    for (n, row) in rows.iter().enumerate() {
        if n > 0 {
            line(&mut out, "");
        }
        line(
            &mut out,
            &look.paint(&format!("{} {}", look.say("attempt", "尝试"), row.attempt), Tone::Strong),
        );
        out += &lines(look, look.say(&row.text, &row.text_zh));
    }
    out
}

/// What is to be known of a channel's maintenance and breakers; empty: nothing.
pub fn standing(look: &Look, c: &Channel) -> String {
    let m = &c.maintenance;
    let mut parts = Vec::new();
    let until = |ms: i64| {
        if ms == 0 { String::new() } else { format!(" {} {}", look.say("until", "至"), look.time(ms)) }
    };
    let now = match m.state.as_str() {
        "closed" => Some(look.say("closed for maintenance", "维护中")),
        "draining" => Some(look.say("no new sales: maintenance begins soon", "即将维护，暂停受理")),
        "degraded" => Some(look.say("works badly", "服务不稳定")),
        "unsure" => {
            Some(look.say("maintenance is announced, but the clock is not set", "有维护公告，但时钟未校准"))
        }
        _ => None,
    };
    parts.extend(now.map(|text| format!("{text}{}", until(m.until_ms))));
    if m.next_from_ms != 0 {
        let what = match m.kind.as_str() {
            "degraded" => look.say("works badly from", "服务不稳定"),
            _ => look.say("maintenance from", "维护"),
        };
        parts.push(format!("{what} {}{}", look.time(m.next_from_ms), until(m.next_until_ms)));
    }
    let merchant = match c.merchant.state.as_str() {
        "required" => Some(look.say("asks for the merchant (`tillctl merchant sign-in`)", "须先验证商户")),
        "locked" => {
            Some(look.say("locked: wrong passwords (`tillctl merchant unlock`)", "密码错误过多，已锁定"))
        }
        "passed" => Some(look.say("merchant signed in", "商户已验证")),
        _ => None,
    };
    if let Some(text) = merchant {
        let operator = match c.merchant.operator.as_str() {
            "" => String::new(),
            name => format!(" ({})", clean(name)),
        };
        parts.push(format!("{text}{operator}"));
    }
    for b in &c.breakers {
        let state = match b.state.as_str() {
            "half-open" => look.say("is tried with one sale", "试行一笔"),
            _ => look.say("does not go there", "已断开"),
        };
        let faults = look.say("faults in a row", "次连续故障");
        parts.push(format!("{} {state} ({} {faults})", look.kind(&b.operation), b.faults));
    }
    clean(&parts.join("; "))
}

/// Lines of a text for people, each made safe for a terminal.
pub(crate) fn lines(look: &Look, text: &str) -> String {
    let mut out = String::new();
    for (n, one) in text.lines().enumerate() {
        let indent = if one.starts_with("  ") { "  " } else { "" };
        let shown = format!("{indent}{}", clean(one.trim()));
        line(&mut out, &if n == 0 { look.paint(&shown, Tone::Strong) } else { shown });
    }
    out
}
