//! Every finding of the doctor: something makes it appear, and doing what it says makes it go.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use till_dbus::tree::{Channel, Device, JournalState, Payment, Terminal, Tree};
use till_dbus::types::{Blocker, BreakerRow, Job, MerchantState, PluginRow, SandboxLayer};
use tillctl::doctor::check::all;
use tillctl::doctor::facts::{
    Account, Bus, Config, ConfigFile, DeviceNode, Disk, Facts, Folder, Journal, Node, Running, Secret,
    System, Udev, Unit,
};
use tillctl::doctor::finding::{Finding, Id, Level};
use tillctl::doctor::wanted::Wanted;
use tillctl::look::Look;
use tillctl::view;

const TILLD: u32 = 990;

fn node() -> Node {
    Node {
        path: "/dev/ttyACM0".into(),
        uid: 0,
        gid: 20,
        group: "dialout".into(),
        mode: 0o660,
        kind: "ttyACM".into(),
        subsystem: "tty".into(),
        usb: Some(("1eab".into(), "0022".into())),
    }
}

fn device(id: &str, state: &str) -> Device {
    let classes = if id == "printer" { &["printer", "drawer"][..] } else { &["scanner"] };
    Device {
        id: id.into(),
        classes: classes.iter().map(|c| (*c).into()).collect(),
        transport: "somewhere".into(),
        state: state.into(),
        sandbox: vec![SandboxLayer { layer: "landlock".into(), level: "full".into() }],
        jobs: (id == "printer").then(Vec::new),
        ..Device::default()
    }
}

fn plugin(problem: &str) -> PluginRow {
    PluginRow {
        id: "org.tilld.cash".into(),
        kind: "channel".into(),
        name: "Cash".into(),
        version: "0.1.0".into(),
        instances: vec!["cash".into()],
        problem: problem.into(),
        trust: "unsigned".into(),
    }
}

fn running() -> Running {
    Running {
        tree: Tree {
            terminal: Terminal { state: "ready".into(), version: "0.1.0".into(), ..Terminal::default() },
            journal: JournalState { head_seq: 12, head_hash: "ab".into(), state: "well".into() },
            channels: vec![Channel {
                id: "cash".into(),
                state: "ready".into(),
                families: vec!["cash".into()],
                merchant: MerchantState { state: "not-required".into(), ..MerchantState::default() },
                ..Channel::default()
            }],
            devices: vec![device("printer", "ready"), device("scanner", "ready")],
            payments: Vec::new(),
        },
        plugins: Some(vec![plugin("")]),
        denied: None,
        since_ms: Some(1_800_000_000_000),
    }
}

/// A till on a machine where all is well.
fn well() -> Facts {
    let own = |what, path: &str| Folder {
        what,
        path: path.into(),
        owner: Some(TILLD),
        needed: true,
        private: true,
        ..Folder::default()
    };
    let mut policy = String::new();
    for (name, _) in till_dbus::XML {
        policy += name;
    }
    Facts {
        system: System {
            systemd: true,
            asker: 0,
            user: Some(Account { name: "tilld".into(), uid: TILLD, groups: vec![985, 20] }),
            wanted_user: "tilld".into(),
            users: vec![0, TILLD, 1001],
            now_ms: 1_800_000_100_000,
            synchronised: Some(true),
        },
        unit: Some(Unit {
            load: "loaded".into(),
            active: "active".into(),
            enabled: "enabled".into(),
            credentials: vec!["tmk".into()],
            devices: Some(vec!["char-ttyACM".into(), "char-hidraw".into()]),
            ..Unit::default()
        }),
        bus: Bus {
            name: "system".into(),
            system: true,
            problem: None,
            denied: None,
            policy: Some(policy),
            activation: true,
        },
        till: Some(running()),
        config: Config {
            files: vec![ConfigFile {
                path: "/etc/tilld/tilld.toml".into(),
                uid: 0,
                mode: 0o644,
                changed_ms: 1_700_000_000_000,
            }],
            place: "/etc/tilld/tilld.toml".into(),
            problems: Some(Vec::new()),
            with_secrets: true,
            host_there: true,
            wanted: Wanted {
                bus: "system".into(),
                journal: "/var/lib/tilld/journal".into(),
                floor_mib: 64,
                trust: "kernel".into(),
                sellers: vec![1001],
                channels: vec!["cash".into()],
                host: Some("/usr/libexec/tilld/till-plugin-host".into()),
                ..Wanted::default()
            },
            ..Config::default()
        },
        folders: vec![own("the journal", "/var/lib/tilld/journal")],
        disk: Some(Disk {
            path: "/var/lib/tilld/journal".into(),
            free_mib: 4096,
            floor_mib: 64,
            files: Some(100_000),
            ..Disk::default()
        }),
        journal: Journal::InUse,
        secrets: vec![Secret { of: "bankcard".into(), file: "tmk".into(), ..Secret::default() }],
        udev: Udev {
            running: true,
            rules: Some("/usr/lib/udev/rules.d/80-tilld.rules".into()),
            marked: vec![Node { gid: 985, group: "tilld".into(), ..node() }],
            group: Some(985),
        },
        nodes: vec![DeviceNode {
            device: "scanner".into(),
            path: Some("/dev/ttyACM0".into()),
            node: Some(node()),
        }],
    }
}

type Change = fn(&mut Facts);

fn till(f: &mut Facts) -> &mut Running {
    f.till.as_mut().unwrap()
}

fn unit(f: &mut Facts) -> &mut Unit {
    f.unit.as_mut().unwrap()
}

fn disk(f: &mut Facts) -> &mut Disk {
    f.disk.as_mut().unwrap()
}

fn broken_scanner(f: &mut Facts) {
    till(f).tree.devices[1].state = "failed".into();
}

fn secrets_dir(f: &mut Facts) -> &mut Secret {
    f.secrets[0].path = Some("/etc/tilld/secrets/tmk".into());
    &mut f.secrets[0]
}

/// Each id: what makes it appear, and what its fix does.
#[rustfmt::skip] // a table
fn cases() -> Vec<(Id, Change, Change)> {
    vec![
        (Id::ConfigMissing, |f| f.config.files.clear(), |f| f.config.files = well().config.files),
        (Id::ConfigWrong, |f| f.config.problems = Some(vec!["/etc/tilld/tilld.toml:5:1: unknown field `nmae`".into()]), |f| f.config.problems = Some(Vec::new())),
        (Id::ConfigUnseen, |f| f.config.problems = None, |f| f.config.problems = Some(Vec::new())),
        (Id::ConfigStale, |f| f.config.files[0].changed_ms = 1_800_000_050_000, |f| till(f).since_ms = Some(1_800_000_060_000)),
        (Id::ConfigWritable, |f| f.config.files[0].mode = 0o664, |f| f.config.files[0].mode = 0o644),
        (Id::UnitNoSystemd, |f| f.system.systemd = false, |f| f.system.systemd = true),
        (Id::UnitMissing, |f| unit(f).load = "not-found".into(), |f| unit(f).load = "loaded".into()),
        (Id::UnitMasked, |f| unit(f).load = "masked".into(), |f| unit(f).load = "loaded".into()),
        (Id::UnitFailed, |f| unit(f).active = "failed".into(), |f| unit(f).active = "active".into()),
        (Id::UnitStopped, |f| unit(f).active = "inactive".into(), |f| unit(f).active = "active".into()),
        (Id::UnitDisabled, |f| unit(f).enabled = "disabled".into(), |f| unit(f).enabled = "enabled".into()),
        (Id::UnitReload, |f| unit(f).reload = true, |f| unit(f).reload = false),
        (Id::UnitRestarts, |f| unit(f).restarts = 2, |f| unit(f).restarts = 0),
        (Id::UserMissing, |f| f.system.user = None, |f| f.system.user = well().system.user),
        (Id::BusUnreachable, |f| { f.bus.problem = Some("no such file".into()); f.till = None; }, |f| f.bus.problem = None),
        (Id::BusNoTill, |f| f.till = None, |f| f.till = Some(running())),
        (Id::BusPolicyMissing, |f| f.bus.policy = None, |f| f.bus.policy = well().bus.policy),
        (Id::BusPolicyOld, |f| f.bus.policy = Some("org.tilld.Terminal1".into()), |f| f.bus.policy = well().bus.policy),
        (Id::BusActivation, |f| f.bus.activation = false, |f| f.bus.activation = true),
        (Id::AccessDenied, |f| { till(f).plugins = None; till(f).denied = Some("user 1002 may not call ListPlugins".into()); }, |f| { till(f).denied = None; }),
        (Id::AccessNobody, |f| f.config.wanted.sellers.clear(), |f| f.config.wanted.sellers = vec![1001]),
        (Id::AccessUnknown, |f| f.config.wanted.sellers.push(4711), |f| f.system.users.push(4711)),
        (Id::FolderOwner, |f| f.folders[0].owner = Some(0), |f| f.folders[0].owner = Some(TILLD)),
        (Id::FolderOpen, |f| f.folders[0].open = true, |f| f.folders[0].open = false),
        (Id::FolderMissing, |f| f.folders[0].owner = None, |f| f.folders[0].owner = Some(TILLD)),
        (Id::JournalState, |f| till(f).tree.journal.state = "storage full".into(), |f| till(f).tree.journal.state = "well".into()),
        (Id::JournalProblems, |f| { f.till = None; f.journal = Journal::Checked(9, vec!["torn".into()]); }, |f| f.journal = Journal::Checked(9, Vec::new())),
        (Id::JournalUnseen, |f| { f.till = None; f.journal = Journal::Unseen("Permission denied".into()); }, |f| f.journal = Journal::Checked(9, Vec::new())),
        (Id::JournalFilesystem, |f| disk(f).refused = Some("vfat"), |f| disk(f).refused = None),
        (Id::JournalForced, |f| { disk(f).refused = Some("tmpfs"); f.config.wanted.forced = true; }, |f| disk(f).refused = None),
        (Id::DiskFull, |f| disk(f).free_mib = 63, |f| disk(f).free_mib = 4096),
        (Id::DiskLow, |f| disk(f).free_mib = 255, |f| disk(f).free_mib = 256),
        (Id::DiskInodes, |f| disk(f).files = Some(3), |f| disk(f).files = None),
        (Id::DiskReadOnly, |f| disk(f).read_only = true, |f| disk(f).read_only = false),
        (Id::ClockUnsynchronised, |f| f.system.synchronised = Some(false), |f| f.config.wanted.trust = "always".into()),
        (Id::ClockNever, |f| f.config.wanted.trust = "never".into(), |f| f.config.wanted.trust = "kernel".into()),
        (Id::ClockPast, |f| f.system.now_ms = 0, |f| f.system.now_ms = 1_800_000_100_000),
        (Id::PluginRefused, |f| till(f).plugins = Some(vec![plugin("/x may be written: `chmod go-w /x`")]), |f| till(f).plugins = Some(vec![plugin("")])),
        (Id::PluginHost, |f| f.config.host_there = false, |f| f.config.host_there = true),
        (Id::PluginNone, |f| till(f).plugins = Some(Vec::new()), |f| till(f).plugins = Some(vec![plugin("")])),
        (Id::SecretMissing, |f| secrets_dir(f).mode = None, |f| secrets_dir(f).mode = Some(0o600)),
        (Id::SecretOpen, |f| secrets_dir(f).mode = Some(0o640), |f| secrets_dir(f).mode = Some(0o600)),
        (Id::SecretNotLoaded, |f| unit(f).credentials.clear(), |f| unit(f).credentials = vec!["tm*".into()]),
        (Id::SecretUnseen, |f| secrets_dir(f).unseen = true, |f| { secrets_dir(f).unseen = false; secrets_dir(f).mode = Some(0o400); }),
        (Id::UdevAbsent, |f| f.udev.running = false, |f| f.udev.running = true),
        (Id::UdevRules, |f| f.udev.rules = None, |f| f.udev.rules = well().udev.rules),
        (Id::UdevNotApplied, |f| f.udev.marked[0] = node(), |f| f.udev.marked = well().udev.marked),
        (Id::DeviceMissing, |f| { broken_scanner(f); f.nodes[0].node = None; }, |f| f.nodes[0].node = Some(node())),
        (Id::DeviceClosed, |f| { broken_scanner(f); f.system.user.as_mut().unwrap().groups = vec![985]; }, |f| f.system.user.as_mut().unwrap().groups.push(20)),
        (Id::DeviceUnit, |f| { broken_scanner(f); unit(f).devices = Some(Vec::new()); }, |f| unit(f).devices = Some(vec!["char-ttyACM".into()])),
        (Id::DeviceUnmarked, |f| { broken_scanner(f); f.nodes[0].path = None; f.udev.marked.clear(); }, |f| f.udev.marked = well().udev.marked),
        (Id::DeviceUnconfined, |f| till(f).tree.devices[1].sandbox[0].level = "off: this kernel has no landlock".into(), |f| till(f).tree.devices[1].sandbox[0].level = "full".into()),
        (Id::DeviceState, |f| till(f).tree.devices[1].state = "quarantined".into(), |f| till(f).tree.devices[1].state = "ready".into()),
        (Id::ChannelNone, |f| till(f).tree.channels.clear(), |f| till(f).tree.channels = running().tree.channels),
        (Id::ChannelUnresolved, |f| till(f).tree.channels[0].unresolved = 1, |f| till(f).tree.channels[0].unresolved = 0),
        (Id::ChannelBreaker, |f| till(f).tree.channels[0].breakers = vec![BreakerRow { operation: "sale".into(), state: "open".into(), faults: 3, since_ms: 0 }], |f| till(f).tree.channels[0].breakers.clear()),
        (Id::ChannelMaintenance, |f| till(f).tree.channels[0].maintenance.state = "closed".into(), |f| till(f).tree.channels[0].maintenance.state = String::new()),
        (Id::ChannelMerchant, |f| till(f).tree.channels[0].merchant.state = "locked".into(), |f| till(f).tree.channels[0].merchant.state = "passed".into()),
        (Id::ChannelState, |f| till(f).tree.channels[0].state = "suspended".into(), |f| till(f).tree.channels[0].state = "ready".into()),
        (Id::TillBlocked, |f| till(f).tree.terminal.blockers = vec![Blocker { subject: "/x".into(), code: "receipt-template".into(), text: "line 3".into(), text_zh: "第 3 行".into() }], |f| till(f).tree.terminal.blockers.clear()),
        (Id::TillTraining, |f| till(f).tree.terminal.training = true, |f| till(f).tree.terminal.training = false),
        (Id::PaymentReview, |f| till(f).tree.payments = vec![Payment { id: "ab".into(), state: "review".into(), ..Payment::default() }], |f| till(f).tree.payments[0].state = "paid".into()),
        (Id::PrinterNone, |f| { till(f).tree.devices.remove(0); }, |f| till(f).tree.devices = running().tree.devices),
        (Id::PrinterWaiting, |f| { till(f).tree.devices[0].state = "blocked".into(); till(f).tree.devices[0].jobs = Some(vec![Job { job: 1, payment: "ab".into(), state: "queued".into() }]); }, |f| till(f).tree.devices[0].jobs = Some(Vec::new())),
        (Id::DrawerNone, |f| { till(f).tree.devices[0].classes.pop(); }, |f| till(f).tree.devices = running().tree.devices),
    ]
}

fn of(facts: &Facts, id: Id) -> Vec<Finding> {
    all(facts).into_iter().filter(|f| f.id == id.as_str()).collect()
}

#[test]
fn a_well_till_has_nothing_to_fix_and_names_all_its_parts() {
    let findings = all(&well());
    let bad: Vec<_> = findings.iter().filter(|f| f.level != Level::Well).collect();
    assert!(bad.is_empty(), "{bad:?}");
    let areas: BTreeSet<&str> = findings.iter().map(Finding::area).collect();
    for area in [
        "till", "config", "unit", "bus", "access", "folder", "journal", "disk", "clock", "udev", "plugin",
        "secret", "device", "channel",
    ] {
        assert!(areas.contains(area), "{area} is not spoken of");
    }
}

#[test]
fn every_finding_appears_with_its_fix_and_goes_when_that_is_done() {
    let mut tried = BTreeSet::new();
    for (id, breaks, mends) in cases() {
        let name = id.as_str();
        let mut facts = well();
        assert!(of(&facts, id).is_empty(), "{name} is there from the start");
        breaks(&mut facts);
        let found = of(&facts, id);
        assert!(!found.is_empty(), "{name} does not appear");
        for f in &found {
            assert!(f.level != Level::Well && !f.text.en.is_empty() && !f.text.zh.is_empty(), "{f:?}");
            if matches!(f.level, Level::Fix | Level::Unseen) {
                let fix = f.fix.as_ref().map(|t| t.en.as_str()).unwrap_or_default();
                assert!(!fix.is_empty(), "{name} says no fix");
            }
        }
        // An area that is said to be well is.
        let area = found[0].area();
        if found[0].level == Level::Fix && !["device", "channel", "plugin", "till"].contains(&area) {
            assert!(
                !all(&facts).iter().any(|f| f.id == area && f.level == Level::Well),
                "{name}: {area} is called well"
            );
        }
        mends(&mut facts);
        assert!(of(&facts, id).is_empty(), "{name} stays: {:?}", of(&facts, id));
        tried.insert(name);
    }
    let every: BTreeSet<&str> = Id::ALL.iter().map(|id| id.as_str()).collect();
    assert_eq!(tried, every, "every finding is tried once");
}

#[test]
fn fixes_are_commands_that_name_the_thing() {
    let mut facts = well();
    broken_scanner(&mut facts);
    facts.system.user.as_mut().unwrap().groups = vec![985];
    let fix = |facts: &Facts, id| of(facts, id)[0].fix.clone().unwrap().en;
    assert!(fix(&facts, Id::DeviceClosed).contains("SupplementaryGroups=dialout"));
    // A node that no group gets: a rule, with the ids of this very device.
    facts.nodes[0].node = Some(Node { gid: 0, group: "root".into(), mode: 0o600, ..node() });
    let rule = fix(&facts, Id::DeviceClosed);
    assert!(rule.contains("ATTRS{idVendor}==\"1eab\"") && rule.contains("GROUP=\"tilld\""), "{rule}");
    // What the kernel has no part in is not mended by another one.
    let mut unwiped = well();
    let layer = &mut till(&mut unwiped).tree.devices[1].sandbox[0];
    layer.level = "off: this kernel has no landlock".into();
    assert!(fix(&unwiped, Id::DeviceUnconfined).starts_with("a kernel"));
    let layer = &mut till(&mut unwiped).tree.devices[1].sandbox[0];
    (layer.layer, layer.level) =
        ("wiped-memory".into(), "off: the plugin's memory is freed past this program".into());
    assert!(fix(&unwiped, Id::DeviceUnconfined).starts_with("`apt install --reinstall tilld`"));
    facts.folders[0].open = true;
    facts.folders[0].path = "/srv/my till/journal".into();
    assert_eq!(fix(&facts, Id::FolderOpen), "`chmod 700 '/srv/my till/journal'`");
    till(&mut facts).plugins = Some(vec![plugin("/x may be written by everybody: `chmod go-w /x`")]);
    assert_eq!(fix(&facts, Id::PluginRefused), "`chmod go-w /x && systemctl restart tilld`");
    // The same where no till runs that could refuse it; what a line of the file should say is no command.
    facts.config.problems = Some(vec!["plugin x: /x may be written by everybody: `chmod go-w /x`".into()]);
    assert_eq!(fix(&facts, Id::ConfigWrong), "`chmod go-w /x && systemctl restart tilld`");
    facts.config.problems = Some(vec!["/etc/tilld/tilld.toml:5:1: unknown field `nmae`".into()]);
    assert!(fix(&facts, Id::ConfigWrong).starts_with("mend it there"));
}

#[test]
fn what_only_root_may_see_is_not_called_wrong() {
    let mut facts = well();
    facts.config.with_secrets = false;
    let said = "channel alipay: secret \"key\" is asked for, but there is no secrets folder: set secrets.dir";
    facts.config.problems = Some(vec![said.into()]);
    assert!(of(&facts, Id::ConfigWrong).is_empty());
    assert_eq!(of(&facts, Id::ConfigUnseen)[0].level, Level::Unseen);
    facts.config.with_secrets = true;
    assert_eq!(of(&facts, Id::ConfigWrong).len(), 1, "root has seen it");
}

#[test]
fn who_may_not_look_at_a_running_till_is_told_so_and_not_that_it_is_stopped() {
    let mut facts = well();
    facts.till = None;
    facts.system.asker = 1002;
    facts.bus.denied = Some("user 1002 may not look".into());
    let wrong: Vec<&str> = all(&facts).iter().filter(|f| f.level != Level::Well).map(|f| f.id).collect();
    assert_eq!(wrong, ["access.denied"]);
    assert!(of(&facts, Id::AccessDenied)[0].fix.as_ref().unwrap().en.contains("viewers = [1002]"));
}

#[test]
fn a_stopped_till_on_a_bus_of_its_own_without_systemd_is_looked_at() {
    let mut facts = well();
    facts.till = None;
    facts.unit = None;
    facts.system.systemd = false;
    facts.bus = Bus { name: "unix:path=/run/x".into(), ..Bus::default() };
    facts.journal = Journal::Checked(12, Vec::new());
    let wrong: Vec<&str> = all(&facts).iter().filter(|f| f.level == Level::Fix).map(|f| f.id).collect();
    assert_eq!(wrong, ["bus.no-till"], "no unit, no policy: that is no fault there");
}

#[test]
fn it_reads_well_in_eighty_columns_and_both_languages() {
    let mut facts = well();
    facts.system.synchronised = Some(false);
    till(&mut facts).tree.devices[0].state = "blocked".into();
    till(&mut facts).tree.devices[0].reason = "paper out\x1b[2J".into();
    let findings = all(&facts);
    let text = view::doctor(&Look::plain(), &findings);
    assert!(text.contains("FIX   device    printer: blocked: paper out [2J\n"), "{text}");
    assert!(
        text.contains("                → put paper in, close the cover, or clear the jam; the job goes\n"),
        "{text}"
    );
    assert!(text.ends_with("2 to fix, 0 not to be seen, 0 to know, 13 well\n"), "{text}");
    let wide = text.lines().filter(|l| tillctl::table::width(l) > 80 && !l.contains('`'));
    assert_eq!(wide.count(), 0, "{text}");
    let chinese = view::doctor(&Look { chinese: true, ..Look::plain() }, &findings);
    assert!(chinese.contains("2 项须处理"), "{chinese}");
}

#[test]
fn json_is_for_programs() {
    let mut facts = well();
    facts.system.synchronised = Some(false);
    let report = tillctl::doctor::report(&facts, &all(&facts));
    assert_eq!((report["well"].as_bool(), report["tilld"].as_str()), (Some(false), Some("0.1.0")));
    let found = report["findings"].as_array().unwrap().iter().find(|f| f["level"] == "fix").unwrap();
    let keys: Vec<&String> = found.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["area", "fix", "fix-zh", "id", "level", "subject", "text", "text-zh"]);
    assert_eq!((found["id"].as_str(), found["area"].as_str()), (Some("clock.unsynchronised"), Some("clock")));
}
