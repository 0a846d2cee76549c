//! Which device is meant. Pure: rules and nodes in, a choice out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use till_plugin::host::TransportKind;

use super::database::{Node, natural};

/// A set of properties that must all be equal.
pub(super) type Table = BTreeMap<String, String>;

/// What is looked for.
#[derive(Copy, Clone, Debug)]
pub(super) struct Wish<'a> {
    /// One of these must hold; none at all: the properties alone decide.
    pub(super) rules: &'a [Table],
    /// And all of these.
    pub(super) properties: &'a Table,
    /// Transports that the driver can use; `None`: any.
    pub(super) usable: Option<&'a [TransportKind]>,
}

/// A device that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate<'a> {
    pub(super) kind: TransportKind,
    /// The node that is read.
    pub(super) node: &'a Node,
    /// The other event nodes of the same device.
    pub(super) also: Vec<&'a Path>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice<'a> {
    One(Candidate<'a>),
    /// It is there, and udev may not be done with all of it: look again after this long.
    Unsettled(Duration),
    Several(Vec<Candidate<'a>>),
    None {
        /// Nodes that fit and are kept from tilld.
        ignored: Vec<&'a Path>,
        /// Nodes that fit and are of a kind that the driver cannot use.
        unusable: Vec<(&'a Path, TransportKind)>,
    },
}

/// The event nodes of a device appear one after the other; all must be there to be grabbed. So long after the latest.
const SETTLE: Duration = Duration::from_millis(500);
/// A sister node of which udev says nothing is waited for so long.
const SILENT: Duration = Duration::from_secs(5);

/// Chooses. `now`: microseconds of the monotonic clock.
pub(super) fn choose<'a>(nodes: &'a [Node], wish: Wish<'_>, now: u64) -> Choice<'a> {
    let (mut ignored, mut unusable) = (Vec::new(), Vec::new());
    let mut fitting: Vec<&Node> = Vec::new();
    for node in nodes.iter().filter(|n| fits(n, wish)) {
        let kind = kind(node);
        if node.ignored {
            ignored.push(node.path.as_path());
        } else if wish.usable.is_some_and(|usable| !usable.contains(&kind)) {
            unusable.push((node.path.as_path(), kind));
        } else {
            fitting.push(node);
        }
    }
    // Of one device's nodes the first in this order is read.
    fitting.sort_by_key(|n| {
        (!says(n, "ID_INPUT_KEYBOARD", "1"), text(n, "ID_USB_INTERFACE_NUM"), natural(&n.path))
    });
    let mut found: Vec<Candidate<'_>> = Vec::new();
    for node in fitting {
        let kind = kind(node);
        let grouped = kind == TransportKind::Evdev;
        if grouped && found.iter().any(|c| c.kind == kind && c.node.physical == node.physical) {
            continue;
        }
        let also =
            if grouped { sisters(nodes, node).map(|n| n.path.as_path()).collect() } else { Vec::new() };
        found.push(Candidate { kind, node, also });
    }
    // A device and a node that a kernel driver made of it are one: the node is what a site's rule can mark.
    let nodes_of_drivers: Vec<_> =
        found.iter().filter(|c| !whole(c.kind)).map(|c| c.node.physical.clone()).collect();
    found.retain(|c| !whole(c.kind) || !nodes_of_drivers.contains(&c.node.physical));
    found.sort_by(|a, b| natural(&a.node.path).cmp(&natural(&b.node.path)));
    match found.pop() {
        None => Choice::None { ignored, unusable },
        Some(one) if found.is_empty() => match unsettled(nodes, &one, now) {
            Some(wait) => Choice::Unsettled(wait),
            None => Choice::One(one),
        },
        Some(last) => {
            found.push(last);
            Choice::Several(found)
        }
    }
}

/// The other event nodes of the same physical device.
fn sisters<'a>(nodes: &'a [Node], of: &'a Node) -> impl Iterator<Item = &'a Node> {
    let same = |n: &&Node| n.subsystem == of.subsystem && n.physical == of.physical && n.path != of.path;
    nodes.iter().filter(move |n| same(n) && !n.ignored)
}

fn unsettled(nodes: &[Node], one: &Candidate<'_>, now: u64) -> Option<Duration> {
    if one.kind != TransportKind::Evdev {
        return None;
    }
    let all = || sisters(nodes, one.node).chain([one.node]);
    let latest = all().filter_map(|n| n.record.as_ref()?.done).max()?;
    let age = Duration::from_micros(now.saturating_sub(latest));
    if age < SETTLE {
        return Some(SETTLE.saturating_sub(age));
    }
    (age < SILENT && all().any(|n| n.record.is_none())).then_some(SETTLE)
}

fn fits(node: &Node, wish: Wish<'_>) -> bool {
    let holds = |table: &Table| table.iter().all(|(key, value)| says(node, key, value));
    // A table without keys would take everything that is plugged in.
    let ruled = match wish.rules {
        [] => !wish.properties.is_empty(),
        rules => rules.iter().any(|r| !r.is_empty() && holds(r)),
    };
    node.record.is_some() && ruled && holds(wish.properties)
}

/// Whether a property of the node is equal; `TAG` is one of its tags.
fn says(node: &Node, key: &str, value: &str) -> bool {
    node.record.as_ref().is_some_and(|record| match key {
        "TAG" => record.tags.contains(value),
        _ => record.properties.get(key).is_some_and(|v| v == value),
    })
}

/// A property of a node.
pub(super) fn text<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.record.as_ref()?.properties.get(key).map(String::as_str)
}

/// A USB device itself, not what a kernel driver made of it.
const fn whole(kind: TransportKind) -> bool {
    matches!(kind, TransportKind::Usb | TransportKind::Ccid)
}

/// What a node is for a plugin.
fn kind(node: &Node) -> TransportKind {
    match node.subsystem.as_str() {
        "input" => TransportKind::Evdev,
        "tty" => TransportKind::Serial,
        "hidraw" => TransportKind::Hidraw,
        // Class 0B among the interfaces: a card reader.
        "usb" if text(node, "ID_USB_INTERFACES").is_some_and(|i| i.contains(":0b")) => TransportKind::Ccid,
        "usb" => TransportKind::Usb,
        _ => TransportKind::CharDevice,
    }
}

/// A property that all have and that differs between all: the one to write into the configuration.
pub(super) fn told_apart_by(candidates: &[Candidate<'_>]) -> Option<&'static str> {
    const KEYS: [&str; 5] = ["ID_SERIAL_SHORT", "ID_SERIAL", "ID_USB_INTERFACE_NUM", "SUBSYSTEM", "ID_PATH"];
    KEYS.into_iter().find(|key| {
        let values: Vec<_> = candidates.iter().map(|c| text(c.node, key)).collect();
        values.iter().enumerate().all(|(n, v)| v.is_some() && !values[..n].contains(v))
    })
}

/// `/dev/ttyACM0 (ID_SERIAL=x)`, for people.
pub(super) fn described(node: &Node, key: Option<&str>) -> String {
    let path = node.path.display();
    let keys = ["ID_SERIAL", "ID_PATH", "ID_MODEL"];
    match key.into_iter().chain(keys).find_map(|k| Some((k, text(node, k)?))) {
        Some((key, value)) => format!("{path} ({})", equation(key, value)),
        None => path.to_string(),
    }
}

/// `KEY=value`, the value cut where it is long: it comes from the device.
pub(super) fn equation(key: &str, value: &str) -> String {
    let cut: String = value.chars().take(64).collect();
    let more = if cut.len() < value.len() { "…" } else { "" };
    format!("{key}={cut}{more}")
}

/// A table in words.
pub(super) fn words(table: &Table) -> String {
    table.iter().map(|(k, v)| equation(k, v)).collect::<Vec<_>>().join(" ")
}

/// Where a candidate leads.
pub(super) fn nodes_of(candidate: &Candidate<'_>) -> (PathBuf, Vec<PathBuf>) {
    (candidate.node.path.clone(), candidate.also.iter().map(|p| p.to_path_buf()).collect())
}
