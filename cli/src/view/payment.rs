//! Everything about one payment.

use serde_json::Value;
use till_dbus::types::{AttemptDetails, PaymentDetails};

use crate::look::{Look, Tone, clean, line};
use crate::table::width;

/// A payment with its attempts.
pub fn payment(look: &Look, p: &PaymentDetails) -> String {
    let mut out = String::new();
    let money = |minor| look.money(minor, &p.currency);
    let state = look.paint(&look.state(&p.state), Look::tone(&p.state));
    let reason = p.reason.as_deref().filter(|r| !r.is_empty()).map(|r| format!(" ({})", clean(r)));
    field(look, &mut out, look.say("payment", "交易"), &p.id);
    painted(look, &mut out, look.say("state", "状态"), &format!("{state}{}", reason.unwrap_or_default()));
    if p.training == Some(true) {
        let text = look.say("TRAINING: no money moves", "培训模式：不动资金");
        field(look, &mut out, look.say("mode", "模式"), text);
    }
    field(look, &mut out, look.say("amount", "金额"), &money(p.amount));
    if p.paid != 0 && p.paid != p.amount {
        field(look, &mut out, look.say("paid", "已付"), &money(p.paid));
    }
    let more = [
        (look.say("returned", "已退"), p.returned),
        (look.say("held", "预授权"), p.held),
        (look.say("remaining", "待付"), p.remaining.filter(|_| p.state == "part-paid")),
    ];
    for (name, minor) in more {
        if let Some(minor) = minor.filter(|m| *m != 0) {
            field(look, &mut out, name, &money(minor));
        }
    }
    optional(look, &mut out, look.say("subject", "事项"), p.subject.as_deref());
    optional(look, &mut out, look.say("operator", "操作员"), p.operator.as_deref());
    optional(look, &mut out, look.say("key", "幂等键"), p.key.as_deref());
    field(look, &mut out, look.say("opened", "开始"), &look.time(p.opened_ms));
    field(look, &mut out, look.say("changed", "更新"), &look.time(p.changed_ms));
    if let Some(receipt) = p.receipt.filter(|r| *r != 0) {
        let printed = match p.receipt_printed {
            Some(true) => look.say("printed", "已打印"),
            Some(false) => look.say("not printed yet", "未打印"),
            None => "",
        };
        field(look, &mut out, look.say("receipt", "小票"), &format!("{receipt}  {printed}"));
    }
    if p.cancel_requested == Some(true) {
        field(look, &mut out, look.say("cancel", "取消"), look.say("was asked for", "已请求"));
    }
    if p.recovered == Some(true) {
        field(
            look,
            &mut out,
            look.say("restart", "重启"),
            look.say("resolved after a restart", "重启后恢复处理"),
        );
    }
    for a in &p.attempts {
        line(&mut out, "");
        attempt(look, &mut out, a, &money);
    }
    out
}

fn attempt(look: &Look, out: &mut String, a: &AttemptDetails, money: &dyn Fn(i64) -> String) {
    let head = format!("{} {}: {}", look.say("attempt", "第"), a.attempt, clean(&a.channel));
    let state = look.paint(&look.state(&a.state), Look::tone(&a.state));
    line(out, &format!("{}  {state}", look.paint(&head, Tone::Strong)));
    if let Some(kind) = a.kind.as_deref() {
        let of = match a.of.unwrap_or(0) {
            0 => String::new(),
            of => format!("  {} {of}", look.say("of attempt", "原第")),
        };
        let amount = a.amount.map(|m| format!("  {}", money(m))).unwrap_or_default();
        field(look, out, look.say("does", "类型"), &format!("{}{amount}{of}", look.kind(kind)));
    }
    optional(look, out, look.say("reason", "原因"), a.reason.as_deref());
    optional(look, out, look.say("asked by", "经办"), a.operator.as_deref());
    if let Some(receipt) = a.receipt.filter(|r| *r != 0) {
        field(look, out, look.say("receipt", "小票"), &receipt.to_string());
    }
    let with = [a.family.as_deref(), a.account.as_deref()];
    let with = with.iter().flatten().filter(|t| !t.is_empty()).copied().collect::<Vec<_>>().join("  ");
    optional(look, out, look.say("with", "凭证"), Some(&with));
    if let Some(change) = a.change {
        field(look, out, look.say("change", "找零"), &money(change));
    }
    let text = look.say(a.text.as_deref().unwrap_or_default(), a.text_zh.as_deref().unwrap_or_default());
    let code = a.code.as_deref().filter(|c| !c.is_empty()).map(|c| format!("[{c}] ")).unwrap_or_default();
    optional(look, out, look.say("answer", "应答"), Some(&format!("{code}{text}")));
    optional(look, out, look.say("unknown", "未知原因"), a.unknown_reason.as_deref());
    if a.queries.unwrap_or(0) + a.undos.unwrap_or(0) > 0 {
        let text = format!(
            "{} {}, {} {}",
            look.say("queries", "查询"),
            a.queries.unwrap_or(0),
            look.say("undos", "冲正"),
            a.undos.unwrap_or(0)
        );
        field(look, out, look.say("resolving", "处理"), &text);
    }
    let numbers = [
        a.trace.map(|t| format!("STAN {t:06}")),
        a.batch.map(|b| format!("{} {b:06}", look.say("batch", "批次"))),
        a.order.as_ref().filter(|o| !o.is_empty()).map(|o| format!("{} {o}", look.say("order", "订单"))),
        a.reference
            .as_ref()
            .filter(|r| !r.is_empty())
            .map(|r| format!("{} {r}", look.say("reference", "参考号"))),
        a.authorisation_code
            .as_ref()
            .filter(|c| !c.is_empty())
            .map(|c| format!("{} {c}", look.say("authorisation code", "授权码"))),
    ];
    let numbers: Vec<String> = numbers.into_iter().flatten().collect();
    optional(look, out, look.say("numbers", "编号"), Some(&numbers.join(", ")));
    if let Some(why) = a.decision.as_deref().and_then(|d| decision(look, d)) {
        field(look, out, look.say("chosen by", "选择依据"), &why);
    }
}

/// A decision record (JSON) in one line: how the instrument was known, and what became of each channel.
fn decision(look: &Look, json: &str) -> Option<String> {
    let record: Value = serde_json::from_str(json).ok()?;
    let text = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut parts = Vec::new();
    let evidence = text("evidence");
    if !evidence.is_empty() {
        parts.push(format!("{} ({evidence})", text("family")));
    }
    let pinned = text("pinned");
    if !pinned.is_empty() {
        parts.push(format!("{} {pinned}", look.say("the operator chose", "操作员选择")));
    }
    for c in record.get("candidates").and_then(Value::as_array)? {
        let channel = c.get("channel").and_then(Value::as_str).unwrap_or_default();
        let verdict = match c.get("verdict") {
            Some(Value::String(v)) => kebab(v),
            Some(Value::Object(o)) if o.contains_key("Best") => look.say("chosen", "受理").to_owned(),
            Some(Value::Object(o)) if o.contains_key("Fits") => look.say("eligible", "也可受理").to_owned(),
            Some(Value::Object(o)) => match o.get("Excluded").or_else(|| o.values().next()) {
                Some(Value::String(why)) => format!("{} {}", look.say("not:", "排除："), kebab(why)),
                Some(Value::Object(why)) => {
                    let (name, detail) = why.iter().next()?;
                    let detail = detail.as_str().unwrap_or_default();
                    format!("{} {} {detail}", look.say("not:", "排除："), kebab(name))
                }
                _ => continue,
            },
            _ => continue,
        };
        parts.push(format!("{channel} {}", verdict.trim()));
    }
    Some(parts.join("; "))
}

fn kebab(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn optional(look: &Look, out: &mut String, name: &str, text: Option<&str>) {
    if let Some(text) = text.map(str::trim).filter(|t| !t.is_empty()) {
        field(look, out, name, text);
    }
}

fn field(look: &Look, out: &mut String, name: &str, text: &str) {
    painted(look, out, name, &clean(text));
}

/// A field whose text was cleaned, then painted.
fn painted(look: &Look, out: &mut String, name: &str, text: &str) {
    let gap = " ".repeat(12_usize.saturating_sub(width(name)));
    line(out, &format!("  {}{gap}{text}", look.paint(name, Tone::Faint)));
}
