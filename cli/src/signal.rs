//! Signals as lines and as JSON, for `monitor`. Codes to show to a customer, and long digit runs, are masked.

use serde_json::{Map, Value, json};
use till_dbus::events::{Change, Event, Properties};
use till_dbus::paths;

use crate::look::{Look, clean};
use crate::redact;

/// Object path, interface, signal, arguments.
pub fn parts(event: &Event) -> (String, String, String, Value) {
    let text = |t: &str| json!(redact::digits(t));
    let named = |interface: &str, member: &str, args: Value| (interface.to_owned(), member.to_owned(), args);
    let (interface, member, args) = match &event.change {
        Change::Added { path, interfaces } => {
            let interfaces: Map<String, Value> =
                interfaces.iter().map(|(name, p)| (name.clone(), properties(p))).collect();
            let args = json!({ "object": path.as_str(), "interfaces": interfaces });
            named("org.freedesktop.DBus.ObjectManager", "InterfacesAdded", args)
        }
        Change::Removed { path, interfaces } => named(
            "org.freedesktop.DBus.ObjectManager",
            "InterfacesRemoved",
            json!({ "object": path.as_str(), "interfaces": interfaces }),
        ),
        Change::Properties { interface, changed, invalidated } => {
            let args =
                json!({ "interface": interface, "changed": properties(changed), "invalidated": invalidated });
            named("org.freedesktop.DBus.Properties", "PropertiesChanged", args)
        }
        Change::PaymentState { old, new, reason, seq } => named(
            "org.tilld.Payment1",
            "StateChanged",
            json!({ "old": old, "new": new, "reason": text(reason), "seq": seq }),
        ),
        Change::Presented { device, family, masked } => named(
            "org.tilld.Payment1",
            "Presented",
            json!({ "device": device, "family": family, "masked": text(masked) }),
        ),
        Change::InputRefused { device, reason, text: en, text_zh, families } => named(
            "org.tilld.Payment1",
            "InputRefused",
            json!({ "device": device, "reason": reason, "text": text(en), "text-zh": text(text_zh),
                    "families": families }),
        ),
        Change::ShowCode { code } => {
            named("org.tilld.Payment1", "ShowCode", json!({ "code": redact::code(code) }))
        }
        Change::ChannelState { old, new, reason } => named(
            "org.tilld.Channel1",
            "StateChanged",
            json!({ "old": old, "new": new, "reason": text(reason) }),
        ),
        Change::DeviceState { old, new, reason } => named(
            "org.tilld.Device1",
            "StateChanged",
            json!({ "old": old, "new": new, "reason": text(reason) }),
        ),
        Change::Job { job, payment, state, reason } => named(
            "org.tilld.Printer1",
            "JobChanged",
            json!({ "job": job, "payment": payment.as_str(), "state": state, "reason": text(reason) }),
        ),
        // Its ticket can be used for some minutes by whoever may sell.
        Change::CardPresented { card, masked, device } => named(
            "org.tilld.Prepaid1",
            "CardPresented",
            json!({ "card": redact::code(card), "masked": text(masked), "device": device }),
        ),
        Change::InquiryCard { card, masked, device } => named(
            "org.tilld.Inquiry1",
            "CardPresented",
            json!({ "card": redact::code(card), "masked": text(masked), "device": device }),
        ),
        Change::PinWanted { device } => named("org.tilld.Inquiry1", "PinWanted", json!({ "device": device })),
        Change::NoticeDue { seq, payment } => {
            named("org.tilld.Notices1", "NoticeDue", json!({ "seq": seq, "payment": payment }))
        }
        Change::Alarm { level, code, payment, text: line } => named(
            "org.tilld.Terminal1",
            "Alarm",
            json!({ "level": level, "code": code, "payment": payment.as_str(), "text": text(line) }),
        ),
        Change::Other { interface, member, arguments } => {
            let args = arguments.iter().map(|a| crate::json::value(a)).collect();
            named(interface, member, args)
        }
        Change::DaemonGone => named("org.freedesktop.DBus", "NameOwnerChanged", json!({ "running": false })),
        Change::DaemonCame => named("org.freedesktop.DBus", "NameOwnerChanged", json!({ "running": true })),
        // New kinds show that they came.
        _ => named("", "", Value::Null),
    };
    (event.path.to_string(), interface, member, args)
}

/// Properties; the code of a `show-code` prompt is masked.
fn properties(p: &Properties) -> Value {
    let mut entries: Vec<(&String, Value)> =
        p.iter().map(|(name, v)| (name, crate::json::value(v))).collect();
    entries.sort_by(|a, b| a.0.cmp(b.0));
    for (name, value) in &mut entries {
        if name.as_str() == "Prompt"
            && value.get(0).and_then(Value::as_str) == Some("show-code")
            && let Some(code) = value.get_mut(1).and_then(|d| d.get_mut("code"))
        {
            *code = json!(redact::code(code.as_str().unwrap_or_default()));
        }
    }
    Value::Object(entries.into_iter().map(|(name, v)| (name.clone(), v)).collect())
}

/// One JSON object for a signal: `time-ms`, `path`, `interface`, `signal`, `args`.
pub fn json_line(event: &Event, time_ms: i64) -> Value {
    let (path, interface, signal, args) = parts(event);
    json!({ "time-ms": time_ms, "path": path, "interface": interface, "signal": signal, "args": args })
}

/// One line for a signal.
pub fn line(look: &Look, event: &Event, time_ms: i64) -> String {
    let time = look.time(time_ms);
    let time = time.split_once(' ').map_or(time.as_str(), |(_, t)| t);
    match &event.change {
        Change::DaemonGone => {
            return format!("{time}  {}", look.say("tilld left the bus", "tilld 已离开总线"));
        }
        Change::DaemonCame => return format!("{time}  {}", look.say("tilld is on the bus", "tilld 已上线")),
        _ => {}
    }
    let (path, interface, signal, args) = parts(event);
    let object = path.strip_prefix(paths::ROOT).map_or(path.as_str(), |p| p.trim_start_matches('/'));
    let object = if object.is_empty() { "till" } else { object };
    let interface = interface.rsplit('.').next().unwrap_or_default();
    let args = match &event.change {
        // What changed says more than where it is told.
        Change::Properties { .. } => args.get("changed").cloned().unwrap_or_default(),
        Change::Added { path, .. } => json!({ "object": path.as_str() }),
        _ => args,
    };
    format!("{time}  {object}  {interface}.{signal}  {}", flat(&args))
}

/// `name=value name=value`, nested values as JSON.
fn flat(args: &Value) -> String {
    let show = |v: &Value| match v {
        Value::String(s) if !s.is_empty() && !s.contains(' ') => clean(s),
        other => clean(&other.to_string()),
    };
    match args {
        Value::Object(map) => {
            map.iter().map(|(k, v)| format!("{k}={}", show(v))).collect::<Vec<_>>().join(" ")
        }
        Value::Null => String::new(),
        other => show(other),
    }
}
