//! Device nodes, as the kernel and udev tell of them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::system::People;
use crate::doctor::facts::{DeviceNode, Node, Udev};
use crate::doctor::wanted::Wanted;

/// What the kernel calls each kind of character device, by its major number.
pub(super) struct Kinds(BTreeMap<u32, String>);

impl Kinds {
    pub(super) fn read(root: &Path) -> Self {
        let text = fs::read_to_string(root.join("proc/devices")).unwrap_or_default();
        let lines =
            text.lines().skip_while(|l| !l.starts_with("Character")).skip(1).take_while(|l| !l.is_empty());
        let mut kinds = BTreeMap::new();
        for line in lines {
            if let Some((major, name)) = line.trim().split_once(' ')
                && let Ok(major) = major.parse()
                && !name.starts_with('/')
            {
                // Major 4 is the consoles' and the serial ports': it is the ports that are meant here.
                kinds.insert(major, name.to_owned());
            }
        }
        Self(kinds)
    }
}

/// What udev's database says of a character device.
fn database(root: &Path, number: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(root.join(format!("run/udev/data/c{number}"))).unwrap_or_default();
    let entries = text.lines().filter_map(|l| l.strip_prefix("E:")?.split_once('='));
    entries.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

fn node(root: &Path, path: &Path, people: &People, kinds: &Kinds) -> Option<Node> {
    let meta = fs::metadata(path).ok()?;
    let (major, minor) = (rustix::fs::major(meta.rdev()), rustix::fs::minor(meta.rdev()));
    let number = format!("{major}:{minor}");
    let said = database(root, &number);
    let subsystem = fs::read_link(root.join(format!("sys/dev/char/{number}/subsystem"))).ok();
    let usb = said.get("ID_VENDOR_ID").cloned().zip(said.get("ID_MODEL_ID").cloned());
    let is_node = meta.file_type().is_char_device();
    Some(Node {
        path: fs::canonicalize(path).unwrap_or_else(|_| path.into()),
        uid: meta.uid(),
        gid: meta.gid(),
        group: people.group_name(meta.gid()),
        mode: meta.mode() & 0o7777,
        kind: kinds.0.get(&major).filter(|_| is_node).cloned().unwrap_or_default(),
        subsystem: subsystem
            .and_then(|s| Some(s.file_name()?.to_string_lossy().into_owned()))
            .unwrap_or_default(),
        usb,
    })
}

/// Where the configured devices are.
pub(super) fn nodes(root: &Path, wanted: &Wanted, people: &People, kinds: &Kinds) -> Vec<DeviceNode> {
    let by_path = |kind: &str| {
        matches!(kind, "serial" | "evdev" | "hidraw" | "char-device" | "i2c" | "spi" | "usb" | "ccid")
    };
    let mut nodes = Vec::new();
    for (device, kind, path) in &wanted.devices {
        match (kind.as_str(), path) {
            ("udev", _) => nodes.push(DeviceNode { device: device.clone(), path: None, node: None }),
            (kind, Some(path)) if by_path(kind) => {
                let node = node(root, path, people, kinds);
                nodes.push(DeviceNode { device: device.clone(), path: Some(path.clone()), node });
            }
            _ => {}
        }
    }
    nodes
}

/// udev, its rules, and what they have marked.
pub(super) fn udev(root: &Path, people: &People, kinds: &Kinds) -> Udev {
    let folders = ["etc/udev/rules.d", "run/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d"];
    let rules = folders.iter().map(|f| root.join(f).join("80-tilld.rules")).find(|p| p.exists());
    let mut marked: Vec<Node> = Vec::new();
    for entry in fs::read_dir(root.join("run/udev/data")).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(number) = name.to_str().and_then(|n| n.strip_prefix('c')) else { continue };
        if database(root, number).get("ID_TILLD_CANDIDATE").map(String::as_str) != Some("1") {
            continue;
        }
        let event =
            fs::read_to_string(root.join(format!("sys/dev/char/{number}/uevent"))).unwrap_or_default();
        let path: Option<PathBuf> =
            event.lines().find_map(|l| l.strip_prefix("DEVNAME=")).map(|n| root.join("dev").join(n));
        marked.extend(path.and_then(|p| node(root, &p, people, kinds)));
    }
    marked.sort_by(|a, b| a.path.cmp(&b.path));
    Udev { running: root.join("run/udev/control").exists(), rules, marked, group: people.group("tilld") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_nodes_and_kinds_are_found() {
        let root = tempfile::tempdir().unwrap();
        let at = |p: &str| root.path().join(p);
        for dir in ["proc", "run/udev/data", "sys/dev/char/166:0", "dev", "etc", "usr/lib/udev/rules.d"] {
            fs::create_dir_all(at(dir)).unwrap();
        }
        fs::write(
            at("proc/devices"),
            "Character devices:\n  4 /dev/vc/0\n  4 tty\n  4 ttyS\n166 ttyACM\n\nBlock devices:\n  7 loop\n",
        )
        .unwrap();
        fs::write(at("run/udev/data/c166:0"), "E:ID_TILLD_CANDIDATE=1\nE:ID_VENDOR_ID=1eab\n").unwrap();
        fs::write(at("run/udev/data/c4:64"), "E:ID_VENDOR_ID=ffff\n").unwrap();
        fs::write(at("run/udev/control"), "").unwrap();
        fs::write(at("sys/dev/char/166:0/uevent"), "MAJOR=166\nDEVNAME=ttyACM0\n").unwrap();
        fs::write(at("dev/ttyACM0"), "").unwrap();
        fs::write(at("usr/lib/udev/rules.d/80-tilld.rules"), "").unwrap();
        let kinds = Kinds::read(root.path());
        assert_eq!(kinds.0.get(&166).map(String::as_str), Some("ttyACM"));
        assert_eq!((kinds.0.get(&4).map(String::as_str), kinds.0.get(&7)), (Some("ttyS"), None));
        let udev = udev(root.path(), &People::default(), &kinds);
        assert!(udev.running && udev.rules.is_some());
        assert_eq!(udev.marked.len(), 1);
        assert!(udev.marked[0].path.ends_with("dev/ttyACM0"));
    }
}
