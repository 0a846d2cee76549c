//! udev's database, read as the files that it is: `/sys/class` for the nodes there are, `/run/udev/data` for what udev
//! said of them (the format that libudev reads; systemd `sd-device`, `device_read_db`).
//!
//! A line is `E:KEY=value`, `G:tag`, `I:` microseconds of the monotonic clock at which udev was done, or something that
//! nobody needs here. Lines that are none of these are passed over: one bad line must not hide a reader.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// Subsystems whose nodes a driver can be given.
const CLASSES: [&str; 4] = ["input", "tty", "hidraw", "usbmisc"];

/// Longest file that is read; a record of udev is about 1 KiB.
const MAX_FILE: u64 = 64 * 1024;
/// Properties and tags that are kept of one node.
const MAX_LINES: usize = 512;
/// Longest key and value, bytes.
const MAX_KEY: usize = 128;
const MAX_VALUE: usize = 2048;
/// Nodes that are looked at in one class.
const MAX_NODES: usize = 4096;

/// The property by which a site keeps a device from tilld.
pub(super) const IGNORE: &str = "ID_TILLD_IGNORE";

/// A record of the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) properties: BTreeMap<String, String>,
    pub(super) tags: BTreeSet<String>,
    /// When udev was done with it, microseconds of the monotonic clock.
    pub(super) done: Option<u64>,
}

/// A device node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// The node itself, such as `/dev/input/event3`.
    pub(super) path: PathBuf,
    /// `input`, `tty`, `hidraw`, `usbmisc`; `usb` for a whole device.
    pub(super) subsystem: String,
    /// What udev says of it; `None` as long as udev has not said anything.
    pub(super) record: Option<Record>,
    /// The physical device in sysfs. Nodes with the same one are one thing on the counter.
    pub(super) physical: PathBuf,
    /// A rule of the site keeps tilld from it.
    pub(super) ignored: bool,
}

/// All nodes below `root` (`/` but in tests). `None`: there is no udev.
pub(super) fn read(root: &Path) -> Option<Vec<Node>> {
    let data = root.join("run/udev/data");
    if !data.is_dir() {
        return None;
    }
    let mut nodes = Vec::new();
    for class in CLASSES {
        let Ok(entries) = fs::read_dir(root.join("sys/class").join(class)) else { continue };
        nodes.extend(entries.flatten().take(MAX_NODES).filter_map(|e| node(root, &data, class, &e.path())));
    }
    // Devices themselves, for drivers that need no kernel driver; interfaces (`1-1:1.0`) have no node.
    if let Ok(entries) = fs::read_dir(root.join("sys/bus/usb/devices")) {
        nodes.extend(entries.flatten().take(MAX_NODES).filter_map(|e| node(root, &data, "usb", &e.path())));
    }
    nodes.sort_by(|a, b| natural(&a.path).cmp(&natural(&b.path)));
    Some(nodes)
}

/// `event10` behind `event9`.
pub(super) fn natural(path: &Path) -> (usize, &Path) {
    (path.as_os_str().len(), path)
}

fn node(root: &Path, data: &Path, class: &str, entry: &Path) -> Option<Node> {
    // Input devices have other nodes too (mouse0, js0), which carry the same events once more.
    if class == "input" && !entry.file_name()?.to_str()?.starts_with("event") {
        return None;
    }
    let number = device_number(&entry.join("dev"))?;
    let uevent = pairs(&bounded(&entry.join("uevent")).ok()?);
    let name = Path::new(uevent.get("DEVNAME")?);
    if !name.components().all(|c| matches!(c, Component::Normal(_))) {
        return None;
    }
    let system = entry.canonicalize().ok()?;
    let physical = physical(&system);
    let path = root.join("dev").join(name);
    let record = bounded(&data.join(format!("c{number}"))).ok().map(|bytes| {
        let mut record = parse(&bytes);
        for (key, value) in uevent.iter().filter(|(key, _)| *key != "DEVNAME") {
            record.properties.entry(key.clone()).or_insert_with(|| value.clone());
        }
        // These are the kernel's to say.
        record.properties.insert("SUBSYSTEM".into(), class.into());
        record.properties.insert("DEVNAME".into(), path.display().to_string());
        record
    });
    // A rule for `SUBSYSTEM=="usb"` marks the device, not its nodes.
    let above = device_number(&physical.join("dev"))
        .and_then(|number| bounded(&data.join(format!("c{number}"))).ok())
        .map(|bytes| parse(&bytes));
    let ignored = record.iter().chain(&above).any(|r| {
        let value = r.properties.get(IGNORE).map(String::as_str);
        !matches!(value, None | Some("" | "0"))
    });
    Some(Node { path, subsystem: class.into(), record, physical, ignored })
}

/// `13:67` of a `dev` file; only numbers, for a file name is made of it.
fn device_number(file: &Path) -> Option<String> {
    let bytes = bounded(file).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?.trim_ascii();
    let (major, minor) = text.split_once(':')?;
    Some(format!("{}:{}", major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
}

/// The USB device above a node; without one the parent of its input device; else the node for itself.
///
/// Not `ID_PATH`: that differs between the interfaces of one USB device, and is the dongle's for all devices on Bluetooth.
fn physical(system: &Path) -> PathBuf {
    for dir in system.ancestors() {
        // Behind a radio, the USB device is the dongle of everybody.
        if dir.file_name().is_some_and(|n| n == "bluetooth") {
            break;
        }
        if dir.join("idVendor").is_file() {
            return dir.into();
        }
    }
    let named = |dir: Option<&Path>, name: &str| dir.and_then(Path::file_name).is_some_and(|n| n == name);
    let device = system.parent();
    let folder = device.and_then(Path::parent);
    let above = folder.and_then(Path::parent);
    match (device, above) {
        // A device of a program (uinput) has nothing above it but the folder of all virtual devices.
        (Some(device), Some(above)) if named(folder, "input") && named(Some(above), "virtual") => {
            device.into()
        }
        (Some(_), Some(above)) if named(folder, "input") => above.into(),
        _ => system.into(),
    }
}

fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == MAX_FILE {
        // Half a line would be another value.
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        bytes.truncate(whole);
    }
    Ok(bytes)
}

/// The lines of text; others are passed over.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &str> {
    let text = |line| std::str::from_utf8(line).ok().filter(|l| !l.chars().any(char::is_control));
    bytes.split(|b| *b == b'\n').filter_map(text).take(MAX_LINES)
}

fn pair(line: &str) -> Option<(String, String)> {
    let (key, value) = line.split_once('=')?;
    let good = !key.is_empty() && key.len() <= MAX_KEY && value.len() <= MAX_VALUE;
    good.then(|| (key.into(), value.into()))
}

fn pairs(bytes: &[u8]) -> BTreeMap<String, String> {
    lines(bytes).filter_map(pair).collect()
}

/// A record from its file.
pub(super) fn parse(bytes: &[u8]) -> Record {
    let mut record = Record::default();
    for line in lines(bytes) {
        match line.split_once(':') {
            Some(("E", rest)) => record.properties.extend(pair(rest)),
            Some(("G", tag)) if !tag.is_empty() && tag.len() <= MAX_KEY => {
                record.tags.insert(tag.into());
            }
            Some(("I", when)) => record.done = when.parse().ok().or(record.done),
            _ => {}
        }
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_is_read_and_what_is_malformed_is_passed_over() {
        let record = parse(
            b"S:input/by-id/usb-x\nI:4711\nE:ID_SERIAL=A=1\nE:NOVALUE\nE:=x\nG:systemd\nG:\nE:\xff=1\nE:ESC=a\x1b[2J\n\
              I:soon\nE:ID_VENDOR_ID=0801\nV:1\ngarbage\nE:LAST=without newline",
        );
        let kept: Vec<_> = record.properties.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(kept, ["ID_SERIAL=A=1", "ID_VENDOR_ID=0801", "LAST=without newline"]);
        assert_eq!(record.tags.into_iter().collect::<Vec<_>>(), ["systemd"]);
        assert_eq!(record.done, Some(4711));
    }

    #[test]
    fn a_file_without_end_is_read_to_a_bound_and_no_half_line_counts() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c1:1");
        let line = format!("E:K=1\nE:{}={}\n", "x".repeat(MAX_KEY + 1), "y".repeat(900));
        fs::write(&file, line.repeat(100) + "E:CUT=whole").unwrap();
        let bytes = bounded(&file).unwrap();
        assert!(bytes.len() as u64 <= MAX_FILE && bytes.ends_with(b"\n"));
        assert_eq!(parse(&bytes).properties.len(), 1, "an over-long key is no key");
    }

    proptest! {
        #[test]
        fn no_file_is_too_strange_and_none_grows(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
            let record = parse(&bytes);
            prop_assert!(record.properties.len() + record.tags.len() <= MAX_LINES);
            for (key, value) in &record.properties {
                prop_assert!(!key.is_empty() && key.len() <= MAX_KEY && value.len() <= MAX_VALUE);
                prop_assert!(!key.chars().chain(value.chars()).any(char::is_control));
            }
        }

        #[test]
        fn what_udev_writes_comes_back(
            properties in proptest::collection::btree_map("[A-Z_]{1,20}", "[ -~]{0,40}", 0..20),
            noise in proptest::collection::vec("[S-Z]:[ -~]{0,20}", 0..20),
        ) {
            let mut text: Vec<String> = noise;
            text.extend(properties.iter().map(|(k, v)| format!("E:{k}={v}")));
            prop_assert_eq!(parse(text.join("\n").as_bytes()).properties, properties);
        }
    }
}
