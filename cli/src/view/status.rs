//! The till at a glance.

use till_dbus::tree::Tree;
use till_dbus::types::ProfileState;

use super::fix;
use crate::follow;
use crate::look::{Look, Tone, clean, line};
use crate::table::width;

/// The profile in force, and what comes.
fn profile(look: &Look, p: &ProfileState) -> String {
    let name = |id: &str| if id.is_empty() { look.say("none", "无").to_owned() } else { clean(id) };
    if p.next_ms == 0 {
        return name(&p.id);
    }
    format!("{}  {} {}: {}", name(&p.id), look.say("from", "自"), look.time(p.next_ms), name(&p.next))
}

/// Everything on one screen.
pub fn status(look: &Look, tree: &Tree) -> String {
    let mut out = String::new();
    let t = &tree.terminal;
    let state = look.paint(&look.state(&t.state), Look::tone(&t.state));
    let mut field = |name: &str, text: &str| {
        let gap = " ".repeat(10_usize.saturating_sub(width(name)));
        line(&mut out, &format!("{}{gap}{text}", look.paint(name, Tone::Strong)));
    };
    field(
        look.say("till", "收银机"),
        &format!("{}  {state}  (tilld {})", clean(&t.terminal), clean(&t.version)),
    );
    if t.training {
        let text = look.say("TRAINING: no money moves", "培训模式：不动资金");
        field(look.say("mode", "模式"), &look.paint(text, Tone::Bad));
    }
    let channel = if t.current_channel.is_empty() {
        look.say("automatic: chosen for each payment", "自动：按每笔交易选择").to_owned()
    } else {
        let name = tree.channels.iter().find(|c| c.id == t.current_channel).map(|c| look.name(&c.name));
        format!("{}  {}", clean(&t.current_channel), clean(name.unwrap_or_default()))
    };
    field(look.say("channel", "通道"), &channel);
    if !t.profile.id.is_empty() || t.profile.next_ms != 0 {
        field(look.say("profile", "时段方案"), &profile(look, &t.profile));
    }
    let payment = tree.active().map_or_else(
        || look.say("none: the till is free", "无：收银机空闲").to_owned(),
        |p| {
            let money = look.money(p.amount, &p.currency);
            format!("{money}  {}  {}", follow::prompt(look, &p.prompt, &p.currency), clean(&p.id))
        },
    );
    field(look.say("payment", "交易"), &payment);
    let journal = &tree.journal;
    let well =
        look.paint(&look.state(&journal.state), if journal.state == "well" { Tone::Good } else { Tone::Bad });
    field(
        look.say("journal", "流水"),
        &format!("{well}  {} {}", journal.head_seq, look.say("records", "条")),
    );

    for c in &tree.channels {
        let standing = super::standing(look, c);
        if !standing.is_empty() {
            let name = look.paint(look.say("upkeep", "维护"), Tone::Strong);
            let gap = " ".repeat(10_usize.saturating_sub(width(look.say("upkeep", "维护"))));
            line(&mut out, &format!("{name}{gap}{}  {}", clean(&c.id), look.paint(&standing, Tone::Warn)));
        }
    }

    if !t.blockers.is_empty() {
        line(&mut out, "");
        line(&mut out, &look.paint(look.say("in the way", "待处理"), Tone::Strong));
        for blocker in &t.blockers {
            let text = clean(look.say(&blocker.text, &blocker.text_zh));
            let tone = if t.state == "blocked" { Tone::Bad } else { Tone::Warn };
            line(&mut out, &format!("  {}", look.paint(text.trim_end_matches([' ', ':']), tone)));
            line(&mut out, &format!("    → {}", fix(look, blocker)));
        }
    }
    line(&mut out, "");
    out.push_str(&super::channels(look, &tree.channels, &t.current_channel));
    line(&mut out, "");
    out.push_str(&super::devices(look, &tree.devices));
    out
}
