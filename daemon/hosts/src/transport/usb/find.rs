//! USB printers and card readers that are plugged in, as sysfs lists them.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{UsbClass, UsbSpec};
use crate::transport::OpenError;

/// Longest attribute that is read.
const LONGEST: u64 = 512;
/// Entries that are looked at.
const MOST: usize = 4096;

/// A device with an interface of the class.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Device {
    node: PathBuf,
    id: (u16, u16),
    serial: String,
    product: String,
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04x}:{:04x}", self.id.0, self.id.1)?;
        // Both come from the device.
        let cut = |s: &str| s.chars().filter(|c| !c.is_control()).take(40).collect::<String>();
        if !self.product.is_empty() {
            write!(f, " {}", cut(&self.product))?;
        }
        if !self.serial.is_empty() {
            write!(f, " serial {}", cut(&self.serial))?;
        }
        Ok(())
    }
}

/// The node of the one device that is meant.
pub(super) fn find(root: &Path, spec: &UsbSpec) -> Result<PathBuf, OpenError> {
    let all = devices(root, spec.what);
    let fits = |p: &&Device| {
        spec.id.is_none_or(|id| id == p.id) && spec.serial.as_ref().is_none_or(|serial| *serial == p.serial)
    };
    let fitting: Vec<&Device> = all.iter().filter(fits).collect();
    let list = |all: Vec<&Device>| match all.len() {
        0 => "none".to_owned(),
        _ => all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    match fitting.as_slice() {
        [one] => Ok(one.node.clone()),
        [] => {
            let (wanted, there) = (spec.name(), list(all.iter().collect()));
            Err(match spec.what {
                UsbClass::Printer => OpenError::NoUsbPrinter { wanted, there },
                UsbClass::CardReader => OpenError::NoUsbReader { wanted, there },
            })
        }
        [first, ..] => {
            let fix = if fitting.iter().any(|p| p.serial != first.serial) {
                "say which one by `serial` in tilld.toml".to_owned()
            } else if fitting.iter().any(|p| p.id != first.id) {
                "say which one by `id` in tilld.toml".to_owned()
            } else {
                "they say nothing that differs: use { kind = \"udev\", properties = { ID_PATH = … } }, which is the socket \
                 (`udevadm info` shows it)"
                    .to_owned()
            };
            Err(OpenError::Several { nodes: list(fitting), fix })
        }
    }
}

/// Devices with an interface of the class, by node.
fn devices(root: &Path, what: UsbClass) -> Vec<Device> {
    let class = match what {
        UsbClass::Printer => "07",
        UsbClass::CardReader => "0b",
    };
    let folder = root.join("sys/bus/usb/devices");
    let entries = fs::read_dir(&folder).into_iter().flatten().flatten().take(MOST);
    let mut found: Vec<Device> = Vec::new();
    for entry in entries {
        // `1-1.2:1.0` is an interface of the device `1-1.2`.
        let name = entry.file_name();
        let Some((device, _)) = name.to_str().and_then(|n| n.split_once(':')) else { continue };
        if text(&entry.path().join("bInterfaceClass")).as_deref() != Some(class) {
            continue;
        }
        if let Some(device) = described(root, &folder.join(device))
            && !found.contains(&device)
        {
            found.push(device);
        }
    }
    found.sort_by(|a, b| a.node.cmp(&b.node));
    found
}

fn described(root: &Path, device: &Path) -> Option<Device> {
    let say = |name: &str| text(&device.join(name));
    let hex = |name: &str| u16::from_str_radix(&say(name)?, 16).ok();
    let number = |name: &str| say(name)?.parse::<u16>().ok();
    Some(Device {
        node: root.join(format!("dev/bus/usb/{:03}/{:03}", number("busnum")?, number("devnum")?)),
        id: (hex("idVendor")?, hex("idProduct")?),
        serial: say("serial").unwrap_or_default(),
        product: say("product").unwrap_or_default(),
    })
}

fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(LONGEST).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plug(root: &Path, name: &str, devnum: &str, serial: &str, classes: &[&str]) {
        let folder = root.join("sys/bus/usb/devices");
        let device = folder.join(name);
        fs::create_dir_all(&device).unwrap();
        let all = [
            ("idVendor", "0416"),
            ("idProduct", "5011"),
            ("busnum", "1"),
            ("devnum", devnum),
            ("product", "POS58\u{1b}"),
            ("serial", serial),
        ];
        for (file, value) in all {
            fs::write(device.join(file), format!("{value}\n")).unwrap();
        }
        for (n, class) in classes.iter().enumerate() {
            let interface = folder.join(format!("{name}:1.{n}"));
            fs::create_dir_all(&interface).unwrap();
            fs::write(interface.join("bInterfaceClass"), format!("{class}\n")).unwrap();
        }
    }

    #[test]
    fn the_one_printer_is_found_whatever_else_is_plugged_in() {
        let root = tempfile::tempdir().unwrap();
        let missing = find(root.path(), &UsbSpec::default()).unwrap_err().to_string();
        assert!(missing.contains("none"), "{missing}");
        plug(root.path(), "1-1", "3", "S1", &["03", "03"]);
        plug(root.path(), "1-2.4", "7", "S2", &["03", "07"]);
        let node = root.path().join("dev/bus/usb/001/007");
        assert_eq!(find(root.path(), &UsbSpec::default()), Ok(node.clone()));
        let id = UsbSpec { id: Some((0x0416, 0x5011)), serial: Some("S2".into()), ..UsbSpec::default() };
        assert_eq!(find(root.path(), &id), Ok(node));
        let other = UsbSpec { id: Some((0x04b8, 0x0e15)), ..UsbSpec::default() };
        let text = find(root.path(), &other).unwrap_err().to_string();
        assert!(text.contains("04b8:0e15") && text.contains("0416:5011 POS58 serial S2"), "{text}");
    }

    #[test]
    fn a_card_reader_is_no_printer_and_the_other_way_round() {
        let root = tempfile::tempdir().unwrap();
        let reader = UsbSpec { what: UsbClass::CardReader, ..UsbSpec::default() };
        plug(root.path(), "1-1", "3", "P", &["07"]);
        let text = find(root.path(), &reader).unwrap_err().to_string();
        assert!(text.contains("card reader") && text.contains("none"), "{text}");
        plug(root.path(), "1-2", "4", "R", &["0b"]);
        assert_eq!(find(root.path(), &reader), Ok(root.path().join("dev/bus/usb/001/004")));
        assert_eq!(find(root.path(), &UsbSpec::default()), Ok(root.path().join("dev/bus/usb/001/003")));
    }

    #[test]
    fn two_printers_are_not_guessed_between() {
        let root = tempfile::tempdir().unwrap();
        plug(root.path(), "1-1", "3", "A", &["07"]);
        plug(root.path(), "1-2", "4", "B", &["07", "07"]);
        let text = find(root.path(), &UsbSpec::default()).unwrap_err().to_string();
        assert!(
            text.contains("serial A") && text.contains("serial B") && text.contains("`serial`"),
            "{text}"
        );
        let one = UsbSpec { serial: Some("B".into()), ..UsbSpec::default() };
        assert_eq!(find(root.path(), &one), Ok(root.path().join("dev/bus/usb/001/004")));
        // Cheap ones have all the same serial number, or none.
        plug(root.path(), "1-2", "4", "A", &["07"]);
        let text = find(root.path(), &UsbSpec::default()).unwrap_err().to_string();
        assert!(text.contains("ID_PATH"), "{text}");
    }
}
