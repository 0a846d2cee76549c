//! Devices found by their udev properties, from a fake tree to a plugin that reads them.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use till_fixture_kit as kit;
use till_hosts::till_plugin::driver::DriverEvent;
use till_hosts::{
    Events, FailureKind, Instance, InstanceEvent, InstanceSpec, InstanceState, SpecError, StartError,
    TransportSpec, UdevSpec,
};

use crate::bench::{Bench, GOOD, assert_presentable, failure, state, until, within};

/// A bench whose good plugin knows hardware, and whose `/dev`, `/sys` and `/run` are in its folder.
struct Counter(Bench);

impl Counter {
    fn new(timing: impl FnOnce(&mut till_hosts::Timing)) -> Self {
        let bench = Bench::with(&["good"], |c| {
            c.device_root = c.state_dir.parent().unwrap().join("root");
            timing(&mut c.timing);
        });
        let counter = Self(bench);
        for folder in ["run/udev/data", "sys/class/tty", "dev"] {
            fs::create_dir_all(counter.root().join(folder)).unwrap();
        }
        let manifest = counter.0.plugins().join(GOOD).join("manifest.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        kit::put(
            &manifest,
            format!("{text}\n[[driver.match]]\nSUBSYSTEM = \"tty\"\nID_VENDOR_ID = \"1eab\"\n").as_bytes(),
        );
        counter
    }

    fn root(&self) -> PathBuf {
        self.0.dir.path().join("root")
    }

    fn spec(&self, id: &str, properties: &[(&str, &str)]) -> InstanceSpec {
        let mut spec = self.0.spec(id, GOOD, "");
        let properties = properties.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        spec.transport = Some(TransportSpec::Udev(UdevSpec { properties, baud: 115_200 }));
        spec
    }

    fn start(&self, id: &str, properties: &[(&str, &str)]) -> (Instance, Events) {
        self.0.supervisor.start(self.spec(id, properties)).unwrap()
    }

    /// Plugs a scanner in: the kernel's part, then udev's, written aside and renamed as udev does.
    fn plug(&self, minor: u32, serial: &str) -> OwnedFd {
        let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&device).unwrap();
        unlockpt(&device).unwrap();
        let pts = ptsname(&device, Vec::new()).unwrap().into_string().unwrap();
        let (root, name) = (self.root(), format!("ttyACM{minor}"));
        symlink(pts, root.join("dev").join(&name)).unwrap();
        let sys = root.join("sys/class/tty").join(&name);
        fs::create_dir_all(&sys).unwrap();
        fs::write(sys.join("dev"), format!("166:{minor}\n")).unwrap();
        fs::write(sys.join("uevent"), format!("MAJOR=166\nMINOR={minor}\nDEVNAME={name}\n")).unwrap();
        let data = root.join("run/udev/data");
        let aside = data.join(format!(".#c166:{minor}"));
        fs::write(
            &aside,
            format!("I:1\nE:ID_VENDOR_ID=1eab\nE:ID_SERIAL=Newland_{serial}\nE:ID_SERIAL_SHORT={serial}\n"),
        )
        .unwrap();
        fs::rename(aside, data.join(format!("c166:{minor}"))).unwrap();
        device
    }

    fn unplug(&self, minor: u32, device: OwnedFd) {
        let root = self.root();
        fs::remove_file(root.join(format!("run/udev/data/c166:{minor}"))).unwrap();
        fs::remove_dir_all(root.join(format!("sys/class/tty/ttyACM{minor}"))).unwrap();
        fs::remove_file(root.join(format!("dev/ttyACM{minor}"))).unwrap();
        drop(device);
    }
}

async fn heard(events: &mut Events) -> String {
    until(events, |e| match e {
        InstanceEvent::Driver(DriverEvent::State { text, .. }) => Some(text.clone()),
        _ => None,
    })
    .await
}

fn scan(device: &OwnedFd, bytes: &[u8]) {
    assert_eq!(rustix::io::write(device.as_fd(), bytes).unwrap(), bytes.len());
}

fn attached(instance: &Instance) -> String {
    instance.status().host.unwrap().transport.clone()
}

#[tokio::test]
async fn a_scanner_is_found_read_lost_and_found_again_under_another_name() {
    let counter = Counter::new(|_| ());
    let (good, mut events) = counter.start("scanner", &[]);
    let missing = failure(&mut events).await;
    assert_presentable(&missing, FailureKind::Transport);
    assert!(missing.reason.contains("no device matches the plugin's rules; plugged in?"), "{missing:?}");
    assert!(missing.reason.contains("ID_VENDOR_ID=1eab SUBSYSTEM=tty"), "{missing:?}");
    assert_eq!(good.status().starts, 0, "no process without its device");

    for minor in [0, 3] {
        let device = counter.plug(minor, "A1");
        within(good.ready()).await.unwrap();
        let tty = counter.root().join(format!("dev/ttyACM{minor}"));
        assert_eq!(attached(&good), format!("udev: {} (ID_SERIAL=Newland_A1)", tty.display()));
        scan(&device, b"hi");
        assert_eq!(heard(&mut events).await, "6869");
        counter.unplug(minor, device);
        let InstanceState::Offline { failure, .. } = state(&mut events, "offline").await else {
            unreachable!()
        };
        assert_presentable(&failure, FailureKind::Gone);
    }
}

#[tokio::test]
async fn what_is_plugged_in_ends_the_pause() {
    let hour = Duration::from_hours(1);
    let counter = Counter::new(|t| (t.backoff_first, t.reopen_max) = (hour, hour));
    let (good, mut events) = counter.start("scanner", &[]);
    let InstanceState::Offline { retry, .. } = state(&mut events, "offline").await else { unreachable!() };
    assert_eq!(retry, hour);
    let device = counter.plug(0, "A1");
    within(good.ready()).await.unwrap();
    scan(&device, b"x");
    assert_eq!(heard(&mut events).await, "78");
    // And once more, from being gone.
    counter.unplug(0, device);
    state(&mut events, "offline").await;
    let device = counter.plug(1, "A1");
    within(good.ready()).await.unwrap();
    drop(device);
}

#[tokio::test]
async fn a_port_that_is_named_is_waited_for_in_the_same_way_even_without_udev() {
    let hour = Duration::from_hours(1);
    let counter = Counter::new(|t| (t.backoff_first, t.reopen_max) = (hour, hour));
    fs::remove_dir_all(counter.root().join("run")).unwrap();
    let (_found, mut missing) = counter.start("found", &[]);
    let reason = failure(&mut missing).await.reason;
    assert!(reason.contains("udev does not run here"), "{reason}");

    let mut spec = counter.0.spec("named", GOOD, "");
    let path = counter.root().join("dev/ttyS9");
    spec.transport = Some(TransportSpec::Serial { path: path.clone(), baud: 9600 });
    let (named, mut events) = counter.0.supervisor.start(spec).unwrap();
    state(&mut events, "offline").await;
    let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&device).unwrap();
    unlockpt(&device).unwrap();
    symlink(ptsname(&device, Vec::new()).unwrap().into_string().unwrap(), path).unwrap();
    within(named.ready()).await.unwrap();
}

#[tokio::test]
async fn two_equal_scanners_are_told_apart_and_no_port_is_given_to_two() {
    let counter = Counter::new(|_| ());
    let (one, two) = (counter.plug(0, "A1"), counter.plug(1, "B2"));
    let (any, mut any_events) = counter.start("any", &[]);
    let several = failure(&mut any_events).await;
    assert_presentable(&several, FailureKind::Transport);
    assert!(several.reason.contains("ttyACM0 (ID_SERIAL_SHORT=A1)"), "{several:?}");
    any.stop().await;

    let (a, mut a_events) = counter.start("a", &[("ID_SERIAL_SHORT", "A1")]);
    let (b, mut b_events) = counter.start("b", &[("ID_SERIAL_SHORT", "B2")]);
    within(a.ready()).await.unwrap();
    within(b.ready()).await.unwrap();
    scan(&one, b"1");
    scan(&two, b"2");
    assert_eq!((heard(&mut a_events).await, heard(&mut b_events).await), ("31".into(), "32".into()));

    // The same one again, found and by its path.
    let (_late, mut late_events) = counter.start("late", &[("ID_SERIAL_SHORT", "A1")]);
    let taken = failure(&mut late_events).await;
    assert_presentable(&taken, FailureKind::Transport);
    assert!(taken.reason.contains("is already used by device a"), "{taken:?}");
    let mut spec = counter.0.spec("path", GOOD, "");
    spec.transport = Some(TransportSpec::Serial { path: counter.root().join("dev/ttyACM1"), baud: 9600 });
    let (_path, mut path_events) = counter.0.supervisor.start(spec).unwrap();
    assert!(failure(&mut path_events).await.reason.contains("is already used by device b"));

    // Once it is free the other gets it.
    a.stop().await;
    state(&mut late_events, "ready").await;
    scan(&one, b"3");
    assert_eq!(heard(&mut late_events).await, "33");
}

#[tokio::test]
async fn a_plugin_that_knows_no_hardware_must_be_told_which_is_meant() {
    let bench = Bench::new(&["good"]);
    let mut spec = bench.spec("scanner", GOOD, "");
    spec.transport = Some(TransportSpec::Udev(UdevSpec::default()));
    let e = bench.supervisor.start(spec).map(drop).unwrap_err();
    assert!(matches!(e, StartError::Spec(SpecError::NoRules { .. })), "{e}");
    assert!(e.to_string().contains("udevadm info"), "{e}");
}
