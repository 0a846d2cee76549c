//! Tables of channels, devices, payments and plugins.

use till_dbus::tree::{Channel, Device};
use till_dbus::types::{PaymentRow, PluginRow, SuspensionRow};

use crate::look::{Look, Tone};
use crate::table::{Cell, render};

/// Channels; the current one is marked with `*`.
pub fn channels(look: &Look, channels: &[Channel], current: &str) -> String {
    if channels.is_empty() {
        return nothing(look, "no channels are configured: add [channel.…] to tilld.toml", "未配置支付通道");
    }
    let rows: Vec<Vec<Cell>> = channels
        .iter()
        .map(|c| {
            let unresolved = match c.unresolved {
                0 => String::new(),
                n => format!("{n} {}", look.say("unresolved", "笔未决")),
            };
            vec![
                Cell::new(if c.id == current { "*" } else { " " }),
                Cell::new(&c.id),
                Cell::new(look.name(&c.name)),
                Cell::state(look, &c.state),
                Cell::right(c.priority.to_string()),
                Cell::new(c.families.join(" ")),
                Cell::new([unresolved.as_str(), &c.reason, &super::standing(look, c)].join(" ").trim())
                    .tone(Tone::Warn),
            ]
        })
        .collect();
    let head = if look.chinese {
        ["", "通道", "名称", "状态", "优先", "支付方式", "说明"]
    } else {
        ["", "channel", "name", "state", "priority", "takes", "remark"]
    };
    render(look, &head, &rows)
}

/// Channels suspended and resumed.
pub fn suspensions(look: &Look, acts: &[SuspensionRow]) -> String {
    if acts.is_empty() {
        return nothing(look, "no channel was suspended", "未暂停过通道");
    }
    let rows: Vec<Vec<Cell>> = acts
        .iter()
        .map(|a| {
            let who = if a.operator.is_empty() { &a.by } else { &a.operator };
            vec![
                Cell::new(look.time(a.at_ms)),
                Cell::new(&a.channel),
                Cell::state(look, &a.what),
                Cell::new(who),
                Cell::new(&a.reason),
                Cell::new(&a.payment).tone(Tone::Faint),
            ]
        })
        .collect();
    let head = if look.chinese {
        ["时间", "通道", "操作", "由", "原因", "交易号"]
    } else {
        ["when", "channel", "what", "by", "why", "payment"]
    };
    render(look, &head, &rows)
}

/// Devices.
pub fn devices(look: &Look, devices: &[Device]) -> String {
    if devices.is_empty() {
        return nothing(look, "no devices are configured: add [device.…] to tilld.toml", "未配置设备");
    }
    let rows: Vec<Vec<Cell>> = devices
        .iter()
        .map(|d| {
            let waiting = d.jobs.as_ref().map_or(0, Vec::len);
            let jobs = match waiting {
                0 => String::new(),
                n => format!("{n} {}", look.say("receipts waiting", "张小票待打印")),
            };
            vec![
                Cell::new(&d.id),
                Cell::new(look.name(&d.name)),
                Cell::new(d.classes.join(" ")),
                Cell::state(look, &d.state),
                Cell::new(&d.transport),
                Cell::new([jobs.as_str(), d.reason.as_str()].join(" ").trim()).tone(Tone::Warn),
            ]
        })
        .collect();
    let head = if look.chinese {
        ["设备", "名称", "类别", "状态", "位置", "说明"]
    } else {
        ["device", "name", "class", "state", "at", "remark"]
    };
    render(look, &head, &rows)
}

/// Payments, as listed.
pub fn payments(look: &Look, rows: &[PaymentRow]) -> String {
    if rows.is_empty() {
        return nothing(look, "no payments yet", "暂无交易");
    }
    let rows: Vec<Vec<Cell>> = rows
        .iter()
        .map(|p| {
            vec![
                Cell::new(look.time(p.opened_ms)),
                Cell::right(look.money(p.amount, &p.currency)),
                Cell::state(look, &p.state),
                Cell::new(&p.channel),
                Cell::new(&p.id).tone(Tone::Faint),
            ]
        })
        .collect();
    let head = if look.chinese {
        ["时间", "金额", "状态", "通道", "交易号"]
    } else {
        ["opened", "amount", "state", "channel", "payment"]
    };
    render(look, &head, &rows)
}

/// Plugins; those with a problem in words below the table.
pub fn plugins(look: &Look, plugins: &[PluginRow]) -> String {
    if plugins.is_empty() {
        return nothing(look, "no plugins are installed; see plugins.dirs in tilld.toml", "未安装插件");
    }
    let rows: Vec<Vec<Cell>> = plugins
        .iter()
        .filter(|p| !p.id.is_empty())
        .map(|p| {
            vec![
                Cell::new(&p.id),
                Cell::new(&p.kind),
                Cell::new(if p.version.is_empty() { "-" } else { &p.version }),
                Cell::new(&p.trust),
                Cell::new(if p.instances.is_empty() { "-".into() } else { p.instances.join(" ") }),
                Cell::new(&p.name),
            ]
        })
        .collect();
    let head = if look.chinese {
        ["插件", "类型", "版本", "信任", "使用者", "名称"]
    } else {
        ["plugin", "kind", "version", "trust", "used by", "name"]
    };
    let mut out = if rows.is_empty() { String::new() } else { render(look, &head, &rows) };
    for p in plugins.iter().filter(|p| !p.problem.is_empty()) {
        let text = format!("{} {}", p.id, p.problem);
        let text = format!("{}: {}", look.say("refused", "被拒绝"), crate::look::clean(text.trim()));
        crate::look::line(&mut out, &look.paint(&text, Tone::Bad));
    }
    out
}

fn nothing(look: &Look, en: &str, zh: &str) -> String {
    format!("{}\n", look.say(en, zh))
}
