//! Fake trees: what `/sys/class` and `/run/udev/data` look like on a till, in a folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::matching::Table;
use super::*;

const NOW: u64 = 100_000_000;

struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["run/udev/data", "sys/class", "dev/input"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        Self(dir)
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A USB device.
    fn usb(&self, port: &str) {
        self.put(&format!("sys/devices/pci0/usb1/{port}/idVendor"), "0801\n");
        self.put(&format!("sys/devices/pci0/usb1/{port}/dev"), "189:7\n");
    }

    /// A node at a place in `/sys/devices`, and its record, if udev has one.
    fn node(&self, class: &str, at: &str, minor: u32, record: Option<&str>) {
        let name = at.rsplit('/').next().unwrap();
        let under = match class {
            "input" => "input/",
            "usbmisc" => "usb/",
            _ => "",
        };
        self.put(&format!("sys/devices/{at}/dev"), &format!("13:{minor}\n"));
        self.put(
            &format!("sys/devices/{at}/uevent"),
            &format!("MAJOR=13\nMINOR={minor}\nDEVNAME={under}{name}\n"),
        );
        let class = self.0.path().join("sys/class").join(class);
        fs::create_dir_all(&class).unwrap();
        let link = class.join(name);
        if !link.exists() {
            symlink(self.0.path().join("sys/devices").join(at), link).unwrap();
        }
        if let Some(record) = record {
            self.put(&format!("run/udev/data/c13:{minor}"), record);
        }
    }

    /// A card reader of three event nodes on two interfaces; the second is the one that types.
    fn reader(&self, port: &str, first: u32, serial: &str) {
        self.usb(port);
        for (n, interface, more) in
            [(0, 0, "E:ID_INPUT_KEY=1\n"), (1, 1, "E:ID_INPUT_KEYBOARD=1\n"), (2, 1, "E:ID_INPUT_MOUSE=1\n")]
        {
            let minor = first + n;
            let record = format!(
                "I:1000000\nE:ID_INPUT=1\n{more}E:ID_VENDOR_ID=0801\nE:ID_MODEL_ID=0001\nE:ID_SERIAL=MagTek_{serial}\n\
                 E:ID_SERIAL_SHORT={serial}\nE:ID_PATH=pci-0-usb-0:{port}:1.{interface}\nG:tilld\nV:1\n"
            );
            let at = format!("pci0/usb1/{port}/{port}:1.{interface}/0003/input/input{minor}/event{minor}");
            self.node("input", &at, minor, Some(&record));
        }
    }

    /// A USB printer as a device, and the node that usblp made of it.
    fn printer(&self, port: &str, minor: u32, marks: &str) {
        let at = format!("pci0/usb1/{port}");
        self.put(&format!("sys/devices/{at}/idVendor"), "0416\n");
        self.put(&format!("sys/devices/{at}/dev"), &format!("189:{minor}\n"));
        self.put(
            &format!("sys/devices/{at}/uevent"),
            &format!("DEVNAME=bus/usb/001/{minor:03}\nDEVTYPE=usb_device\n"),
        );
        self.put(
            &format!("run/udev/data/c189:{minor}"),
            &format!("E:ID_USB_INTERFACES=:070102:\nE:ID_SERIAL=POS_{port}\n"),
        );
        let devices = self.0.path().join("sys/bus/usb/devices");
        fs::create_dir_all(&devices).unwrap();
        symlink(self.0.path().join("sys/devices").join(&at), devices.join(port)).unwrap();
        // An interface is in the same folder and has no node.
        self.put(&format!("sys/devices/{at}/{port}:1.0/bInterfaceClass"), "07\n");
        symlink(
            self.0.path().join(format!("sys/devices/{at}/{port}:1.0")),
            devices.join(format!("{port}:1.0")),
        )
        .unwrap();
        self.node(
            "usbmisc",
            &format!("{at}/{port}:1.0/usbmisc/lp{minor}"),
            minor,
            Some(&format!("I:1\n{marks}")),
        );
    }

    fn try_find(&self, rules: &[Table], properties: Table) -> Result<Result<Found, Duration>, OpenError> {
        let usable = [
            TransportKind::Evdev,
            TransportKind::Serial,
            TransportKind::CharDevice,
            TransportKind::Usb,
            TransportKind::Ccid,
        ];
        let search = Search { root: self.0.path(), rules, usable: Some(&usable) };
        let nodes = database::read(self.0.path()).expect("the tree has a database");
        search.judge(&UdevSpec { properties, baud: 0 }, &nodes, NOW)
    }

    fn find(&self, rules: &[Table], properties: Table) -> Result<Found, OpenError> {
        self.try_find(rules, properties).map(|found| found.expect("udev is done"))
    }

    fn dev(&self, name: &str) -> PathBuf {
        self.0.path().join("dev").join(name)
    }
}

fn table(pairs: &[(&str, &str)]) -> Table {
    pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
}

fn magtek() -> [Table; 2] {
    [
        table(&[("SUBSYSTEM", "input"), ("ID_VENDOR_ID", "0801"), ("ID_INPUT_KEYBOARD", "1")]),
        table(&[("SUBSYSTEM", "tty"), ("TILLD_CLASS", "magstripe")]),
    ]
}

#[test]
fn a_reader_is_read_at_its_keyboard_and_all_its_nodes_are_grabbed() {
    let tree = Tree::new();
    tree.reader("1-1", 9, "B7");
    // Somebody's keyboard, and a node without events.
    tree.node("input", "platform/i8042/serio0/input/input3/event3", 3, Some("E:ID_INPUT_KEYBOARD=1\n"));
    tree.node("input", "pci0/usb1/1-1/1-1:1.1/0003/input/input11/mouse0", 40, Some("E:ID_VENDOR_ID=0801\n"));
    let found = tree.find(&magtek(), Table::new()).unwrap();
    let also = vec![tree.dev("input/event9"), tree.dev("input/event11")];
    assert_eq!(found.spec, TransportSpec::Evdev { path: tree.dev("input/event10"), also });
    assert_eq!(found.label, format!("udev: {} (ID_SERIAL=MagTek_B7)", tree.dev("input/event10").display()));
}

#[test]
fn keyboards_behind_one_radio_and_devices_of_programs_are_not_one_device() {
    let tree = Tree::new();
    tree.usb("1-2");
    for (minor, hid) in [(5, "hci0:256"), (6, "hci0:257")] {
        let at = format!("pci0/usb1/1-2/1-2:1.0/bluetooth/hci0/{hid}/0005/input/input{minor}/event{minor}");
        tree.node("input", &at, minor, Some(&format!("E:ID_INPUT_KEYBOARD=1\nE:NAME=bt{minor}\n")));
        let at = format!("virtual/input/input{}/event{}", minor + 10, minor + 10);
        tree.node("input", &at, minor + 10, Some(&format!("E:ID_INPUT_KEYBOARD=1\nE:NAME=prog{minor}\n")));
    }
    for (name, event) in [("bt5", "event5"), ("bt6", "event6"), ("prog5", "event15")] {
        let found = tree.find(&[], table(&[("NAME", name)])).unwrap();
        let path = tree.dev("input").join(event);
        assert_eq!(found.spec, TransportSpec::Evdev { path, also: Vec::new() }, "{name}");
    }
}

#[test]
fn two_equal_readers_are_refused_until_their_serial_number_is_said() {
    let tree = Tree::new();
    tree.reader("1-1", 1, "A1");
    tree.reader("1-2", 7, "B2");
    let e = tree.find(&magtek(), Table::new()).unwrap_err().to_string();
    assert!(e.contains("event2 (ID_SERIAL_SHORT=A1)") && e.contains("event8 (ID_SERIAL_SHORT=B2)"), "{e}");
    assert!(e.ends_with("such as properties = { ID_SERIAL_SHORT = \"A1\" }"), "{e}");
    let found = tree.find(&magtek(), table(&[("ID_SERIAL_SHORT", "B2")])).unwrap();
    let also = vec![tree.dev("input/event7"), tree.dev("input/event9")];
    assert_eq!(found.spec, TransportSpec::Evdev { path: tree.dev("input/event8"), also });

    // Makers give all of a model one number: then the socket tells.
    tree.reader("1-2", 7, "A1");
    let e = tree.find(&magtek(), Table::new()).unwrap_err().to_string();
    assert!(e.contains("properties = { ID_PATH = \"pci-0-usb-0:1-1:1.1\" }"), "{e}");
}

#[test]
fn what_cannot_be_told_apart_is_said_and_never_guessed() {
    let tree = Tree::new();
    for minor in 0..9 {
        tree.node("tty", &format!("platform/uart/tty/ttyS{minor}"), minor, Some("E:TILLD_CLASS=magstripe\n"));
    }
    let e = tree.find(&magtek(), Table::new()).unwrap_err().to_string();
    assert!(e.contains("ttyS3, and 5 more") && e.contains("unplug the others"), "{e}");
}

#[test]
fn none_ignored_and_unusable_are_three_different_things() {
    let tree = Tree::new();
    let none = |rules: &[Table], properties| tree.find(rules, properties).unwrap_err().to_string();
    let e = none(&magtek(), table(&[("ID_SERIAL_SHORT", "Z")]));
    assert!(e.starts_with("no device matches ID_SERIAL_SHORT=Z and the plugin's rules; plugged in?"), "{e}");
    assert!(e.contains("knows: ID_INPUT_KEYBOARD=1 ID_VENDOR_ID=0801 SUBSYSTEM=input; SUBSYSTEM=tty"), "{e}");
    let many: Vec<Table> = (0..40).map(|n| table(&[("ID_VENDOR_ID", &"x".repeat(n * 50))])).collect();
    assert!(none(&many, Table::new()).len() < 700, "a reason is a line");

    tree.usb("1-4");
    tree.node("hidraw", "pci0/usb1/1-4/1-4:1.0/hidraw/hidraw0", 50, Some("E:TILLD_CLASS=pinpad\n"));
    let e = none(&[], table(&[("TILLD_CLASS", "pinpad")]));
    assert!(e.contains("hidraw0 matches, but it is a hidraw transport"), "{e}");

    tree.reader("1-1", 1, "A1");
    let reader = fs::read_to_string(tree.0.path().join("run/udev/data/c13:2")).unwrap();
    tree.put("run/udev/data/c13:2", &format!("{reader}E:ID_TILLD_IGNORE=1\n"));
    let e = none(&magtek(), Table::new());
    assert!(e.contains("event2, but gave it ID_TILLD_IGNORE=1"), "{e}");
    // Taken back; then said of the whole USB device.
    tree.put("run/udev/data/c13:2", &format!("{reader}E:ID_TILLD_IGNORE=0\n"));
    tree.find(&magtek(), Table::new()).unwrap();
    tree.put("run/udev/data/c189:7", "E:ID_TILLD_IGNORE=1\n");
    assert!(none(&magtek(), Table::new()).contains("ID_TILLD_IGNORE=1"));
}

#[test]
fn a_node_that_is_kept_from_tilld_is_not_grabbed_with_its_sisters() {
    let tree = Tree::new();
    tree.reader("1-1", 1, "A1");
    tree.put("run/udev/data/c13:3", "E:ID_INPUT_MOUSE=1\nE:ID_TILLD_IGNORE=1\n");
    let found = tree.find(&magtek(), Table::new()).unwrap();
    let also = vec![tree.dev("input/event1")];
    assert_eq!(found.spec, TransportSpec::Evdev { path: tree.dev("input/event2"), also });
}

#[test]
fn each_subsystem_becomes_its_transport_and_tags_can_be_asked_for() {
    let tree = Tree::new();
    tree.node("tty", "pci0/usb1/1-3/1-3:1.0/tty/ttyACM0", 20, Some("E:ID_VENDOR_ID=1eab\nG:counter\n"));
    tree.node("usbmisc", "pci0/usb1/1-4/1-4:1.0/usbmisc/lp0", 21, Some("E:ID_VENDOR_ID=04b8\n"));
    let scanner = [table(&[("SUBSYSTEM", "tty"), ("ID_VENDOR_ID", "1eab")])];
    let tty = TransportSpec::Serial { path: tree.dev("ttyACM0"), baud: 9600 };
    assert_eq!(tree.find(&scanner, Table::new()).unwrap().spec, tty);
    assert_eq!(tree.find(&scanner, table(&[("TAG", "counter")])).unwrap().spec, tty);
    assert!(tree.find(&scanner, table(&[("TAG", "kitchen")])).is_err());
    let printer = tree.find(&[], table(&[("ID_VENDOR_ID", "04b8"), ("SUBSYSTEM", "usbmisc")])).unwrap();
    let path = tree.dev("usb/lp0");
    assert_eq!(printer.spec, TransportSpec::Device { path, kind: TransportKind::CharDevice });
    // Neither nothing nor an empty table means everything.
    for nothing in [&[][..], &[Table::new()]] {
        assert!(matches!(tree.find(nothing, Table::new()), Err(OpenError::NoDevice { .. })));
    }
}

#[test]
fn a_reader_is_not_opened_before_all_its_nodes_are_there() {
    let tree = Tree::new();
    tree.reader("1-1", 1, "A1");
    let record = fs::read_to_string(tree.0.path().join("run/udev/data/c13:3")).unwrap();
    let find = || tree.try_find(&magtek(), Table::new()).unwrap();
    // The last node came 0.2 s ago: perhaps it is not the last.
    tree.put("run/udev/data/c13:3", &record.replace("I:1000000", &format!("I:{}", NOW - 200_000)));
    assert_eq!(find().unwrap_err(), Duration::from_millis(300));
    // The kernel has one more, and udev is still at it.
    fs::remove_file(tree.0.path().join("run/udev/data/c13:3")).unwrap();
    tree.put(
        "run/udev/data/c13:2",
        &record.replace(
            "I:1000000\nE:ID_INPUT=1\nE:ID_INPUT_MOUSE",
            &format!("I:{}\nE:ID_INPUT_KEYBOARD", NOW - 2_000_000),
        ),
    );
    assert!(find().is_err());
    // It never says anything: grabbed all the same.
    tree.put("run/udev/data/c13:2", &record.replace("MOUSE", "KEYBOARD"));
    let also = vec![tree.dev("input/event1"), tree.dev("input/event3")];
    assert_eq!(find().unwrap().spec, TransportSpec::Evdev { path: tree.dev("input/event2"), also });
}

#[test]
fn a_bent_database_hides_nothing_but_itself() {
    let tree = Tree::new();
    tree.reader("1-1", 1, "A1");
    tree.node("tty", "platform/a/tty/ttyBAD0", 30, Some("\u{0}\u{1}E:E:E:\n=\nE:\n"));
    tree.node("tty", "platform/a/tty/ttyBAD1", 31, Some("E:ID_VENDOR_ID=0801\n"));
    tree.put("sys/devices/platform/a/tty/ttyBAD1/dev", "../../etc/passwd");
    tree.node("tty", "platform/a/tty/ttyBAD2", 32, Some("E:TILLD_CLASS=magstripe\n"));
    tree.put("sys/devices/platform/a/tty/ttyBAD2/uevent", "DEVNAME=../../etc/passwd\n");
    fs::create_dir(tree.0.path().join("run/udev/data/c13:33")).unwrap();
    tree.node("tty", "platform/a/tty/ttyBAD3", 33, None);
    symlink("/nowhere", tree.0.path().join("sys/class/tty/ttyBAD4")).unwrap();
    // A record cannot say that it is another node.
    tree.node("tty", "platform/a/tty/ttyBAD5", 35, Some("E:SUBSYSTEM=input\nE:DEVNAME=/dev/mem\nE:LIAR=1\n"));
    let found = tree.find(&magtek(), Table::new()).unwrap();
    assert!(matches!(found.spec, TransportSpec::Evdev { .. }));
    let liar = tree.find(&[], table(&[("LIAR", "1")])).unwrap();
    assert_eq!(liar.spec, TransportSpec::Serial { path: tree.dev("ttyBAD5"), baud: 9600 });
}

#[tokio::test]
async fn without_udev_it_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let search = Search { root: dir.path(), rules: &magtek(), usable: None };
    let e = search.find(&UdevSpec::default()).await.unwrap_err();
    assert!(matches!(e, OpenError::NoUdev { .. }) && e.to_string().contains("systemd-udevd"), "{e}");
}

/// The tables that are shipped are the ones that must work.
#[test]
fn the_shipped_rules_find_their_hardware() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let rules = |driver: &str| {
        let text = fs::read_to_string(root.join("drivers").join(driver).join("manifest.toml")).unwrap();
        till_plugin::manifest::Manifest::parse(&text).unwrap().driver.unwrap().matches
    };
    let tree = Tree::new();
    tree.reader("1-1", 1, "A1");
    tree.node(
        "tty",
        "pci0/usb1/1-3/1-3:1.0/tty/ttyACM0",
        20,
        Some("E:ID_VENDOR_ID=05e0\nE:ID_MODEL_ID=1701\n"),
    );
    tree.node(
        "tty",
        "pci0/usb1/1-5/1-5:1.0/tty/ttyACM1",
        22,
        Some("E:ID_VENDOR_ID=2341\nE:ID_MODEL_ID=0043\n"),
    );
    let reader = tree.find(&rules("magstripe"), Table::new()).unwrap();
    assert!(matches!(reader.spec, TransportSpec::Evdev { path, .. } if path == tree.dev("input/event2")));
    let scanner = tree.find(&rules("scanner"), Table::new()).unwrap();
    assert_eq!(scanner.spec, TransportSpec::Serial { path: tree.dev("ttyACM0"), baud: 9600 });
}

#[test]
fn a_usb_printer_is_driven_without_usblp_unless_its_node_is_marked() {
    let rules = [
        table(&[("SUBSYSTEM", "usb"), ("ID_USB_INTERFACES", ":070102:")]),
        table(&[("SUBSYSTEM", "usbmisc"), ("TILLD_CLASS", "printer")]),
    ];
    let tree = Tree::new();
    tree.printer("1-2", 7, "");
    let node = tree.dev("bus/usb/001/007");
    let found = tree.find(&rules, Table::new()).unwrap();
    let usb = |path: PathBuf| TransportSpec::Usb(UsbSpec { path: Some(path), ..UsbSpec::default() });
    assert_eq!(found.spec, usb(node.clone()));
    assert!(found.label.contains("POS_1-2"), "{}", found.label);
    // Two are told apart by what udev says of each.
    tree.printer("1-3", 8, "E:TILLD_CLASS=printer\n");
    assert!(matches!(tree.find(&rules, Table::new()), Err(OpenError::Several { .. })));
    let one = tree.find(&rules, table(&[("ID_SERIAL", "POS_1-2")])).unwrap();
    assert_eq!(one.spec, usb(node));
    // The site wants the kernel's driver for this one: its node and the device are one printer.
    let marked = tree.find(&rules[1..], Table::new()).unwrap();
    let path = tree.dev("usb/lp8");
    assert_eq!(marked.spec, TransportSpec::Device { path: path.clone(), kind: TransportKind::CharDevice });
    let only = Tree::new();
    only.printer("1-3", 8, "E:TILLD_CLASS=printer\n");
    let spec = only.find(&rules, Table::new()).unwrap().spec;
    assert_eq!(spec, TransportSpec::Device { path: only.dev("usb/lp8"), kind: TransportKind::CharDevice });
}

#[test]
fn a_usb_card_reader_is_driven_as_one_and_never_as_a_printer() {
    let tree = Tree::new();
    tree.printer("1-2", 7, "");
    let device = "pci0/usb1/1-4";
    tree.put(&format!("sys/devices/{device}/idVendor"), "072f\n");
    tree.put(&format!("sys/devices/{device}/dev"), "189:9\n");
    tree.put(&format!("sys/devices/{device}/uevent"), "DEVNAME=bus/usb/001/009\nDEVTYPE=usb_device\n");
    let record = "E:ID_USB_INTERFACES=:0b0000:\nE:ID_VENDOR_ID=072f\nE:ID_MODEL_ID=2200\n";
    tree.put("run/udev/data/c189:9", record);
    let devices = tree.0.path().join("sys/bus/usb/devices");
    symlink(tree.0.path().join("sys/devices").join(device), devices.join("1-4")).unwrap();
    let rules = [table(&[("SUBSYSTEM", "usb"), ("ID_VENDOR_ID", "072f"), ("ID_MODEL_ID", "2200")])];
    let spec =
        UsbSpec { what: UsbClass::CardReader, path: Some(tree.dev("bus/usb/001/009")), ..UsbSpec::default() };
    let found = tree.find(&rules, Table::new()).unwrap().spec;
    assert_eq!((found.kind(), found), (Some(TransportKind::Ccid), TransportSpec::Usb(spec)));
}
