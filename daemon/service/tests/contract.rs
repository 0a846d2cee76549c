//! What tilld serves is the contract in `dbus/interfaces`: names, types, directions, change signals, errors.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use till_dbus::contract::{Interface, all, differences, parse};
use till_dbus::events::{Change, Events};
use till_dbus::tree::Tree;
use till_dbus::{Bus, NAME, Options, Payment1Proxy, Terminal1Proxy, connect, paths};
use till_simulators::bus::{BusHandle, start_bus};
use zbus::fdo::{IntrospectableProxy, ObjectManagerProxy};

/// What D-Bus libraries serve on every object; not of the contract.
const STANDARD: &str = "org.freedesktop.DBus.";

#[test]
fn clients_know_every_error_that_the_daemon_names() {
    let source = include_str!("../src/bus/errors.rs");
    let (_, body) = source.split_once("pub enum Error {").unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let served: BTreeSet<&str> = body.lines().filter_map(|l| l.trim().strip_suffix("(String),")).collect();
    let known: BTreeSet<&str> = till_dbus::error::CODES.iter().copied().collect();
    assert_eq!(served, known);
}

#[tokio::test]
async fn live_introspection_is_the_contract_on_every_kind_of_object() {
    let till = Till::start().await;
    let connection = connect::connect(&Bus::from_text(&till.address), Duration::from_secs(20)).await.unwrap();
    let terminal = Terminal1Proxy::new(&connection).await.unwrap();
    let payment = terminal.open_payment(1, "CNY", Options::new()).await.unwrap();

    // Where each interface must be, and nothing else.
    let expected: BTreeMap<String, Vec<&str>> = [
        (
            paths::ROOT.to_owned(),
            vec![
                "org.tilld.AfterSales1",
                "org.tilld.Disputes1",
                "org.tilld.Journal1",
                "org.tilld.Notices1",
                "org.tilld.Plugins1",
                "org.tilld.Settlement1",
                "org.tilld.Terminal1",
            ],
        ),
        // What keeps no cards has no Prepaid1, and what tells no balances no Inquiry1.
        (paths::channel("bank").unwrap().to_string(), vec!["org.tilld.Channel1", "org.tilld.Inquiry1"]),
        (paths::channel("cash").unwrap().to_string(), vec!["org.tilld.Channel1"]),
        (paths::channel("prepaid").unwrap().to_string(), vec!["org.tilld.Channel1", "org.tilld.Prepaid1"]),
        (
            paths::device("receipt-printer").unwrap().to_string(),
            vec!["org.tilld.Device1", "org.tilld.Printer1"],
        ),
        // What is no printer has no Printer1.
        (paths::device("scanner").unwrap().to_string(), vec!["org.tilld.Device1"]),
        (payment.to_string(), vec!["org.tilld.Payment1"]),
    ]
    .into();
    let contract: BTreeMap<String, Interface> =
        all().unwrap().into_iter().map(|i| (i.name.clone(), i)).collect();
    let shown: BTreeSet<&str> = expected.values().flatten().copied().collect();
    assert_eq!(shown, contract.keys().map(String::as_str).collect(), "an interface that no object here has");

    let mut problems = Vec::new();
    for (path, interfaces) in &expected {
        let proxy = IntrospectableProxy::builder(&connection)
            .destination(NAME)
            .path(path.as_str())
            .build()
            .await
            .unwrap();
        let served = parse(&proxy.introspect().await.unwrap()).unwrap();
        let ours: Vec<&Interface> = served.iter().filter(|i| !i.name.starts_with(STANDARD)).collect();
        let mut names: Vec<&str> = ours.iter().map(|i| i.name.as_str()).collect();
        names.sort_unstable();
        if names != *interfaces {
            problems.push(format!("{path} serves {names:?}, the contract says {interfaces:?}"));
        }
        for found in ours {
            match contract.get(&found.name) {
                Some(wanted) => problems.extend(differences(wanted, found)),
                None => problems.push(format!("extra interface {}", found.name)),
            }
        }
        for standard in ["Introspectable", "Peer", "Properties"] {
            if !served.iter().any(|i| i.name == format!("{STANDARD}{standard}")) {
                problems.push(format!("{path} lacks {STANDARD}{standard}"));
            }
        }
        let manages = served.iter().any(|i| i.name == format!("{STANDARD}ObjectManager"));
        if manages != (path == paths::ROOT) {
            problems.push(format!("{path}: ObjectManager is {manages}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));

    // The ObjectManager lists the same objects (and zbus the folders between them, which have no interface of ours).
    let manager = ObjectManagerProxy::new(&connection, NAME, paths::ROOT).await.unwrap();
    let managed = manager.get_managed_objects().await.unwrap();
    let managed: BTreeSet<String> = managed
        .iter()
        .filter(|(_, interfaces)| interfaces.keys().any(|i| !i.as_str().starts_with(STANDARD)))
        .map(|(path, _)| path.to_string())
        .collect();
    let below: BTreeSet<String> = expected.keys().filter(|p| *p != paths::ROOT).cloned().collect();
    assert_eq!(managed, below);
}

/// Introspection says what types are promised; this says that what comes over the wire has them.
#[tokio::test]
async fn what_is_sent_is_what_the_proxies_read() {
    let till = Till::start().await;
    let connection = connect::connect(&Bus::from_text(&till.address), Duration::from_secs(20)).await.unwrap();
    let mut events = Events::subscribe(&connection).await.unwrap();
    let terminal = Terminal1Proxy::new(&connection).await.unwrap();
    let options =
        || Options::from([("key", "k".into()), ("subject", "午餐".into()), ("operator", "001".into())]);
    let path = terminal.open_payment(12_850, "CNY", options()).await.unwrap();
    assert_eq!(
        terminal.open_payment(12_850, "CNY", options()).await.unwrap(),
        path,
        "the same key, the same payment"
    );
    let reuse = terminal.open_payment(1, "CNY", options()).await.unwrap_err();
    assert_eq!(reuse.code(), "KeyReuse");

    let payment = Payment1Proxy::new(&connection, &path).await.unwrap();
    assert_eq!(payment.confirm_amount(1, "CNY", Options::new()).await.unwrap_err().code(), "WrongAmount");
    assert_eq!(
        payment
            .confirm_amount(12_850, "CNY", Options::from([("colour", "red".into())]))
            .await
            .unwrap_err()
            .code(),
        "InvalidArgs",
        "unknown options are refused"
    );
    payment.confirm_amount(12_850, "CNY", Options::new()).await.unwrap();
    assert_eq!(payment.pay_cash(1, Options::new()).await.unwrap_err().code(), "TooLittle");
    payment.pay_cash(15_000, Options::new()).await.unwrap();

    let mut states = Vec::new();
    while states.last().map(String::as_str) != Some("paid") {
        let event = events.next().await.expect("the bus");
        match event.change {
            Change::PaymentState { new, .. } if event.path == path => states.push(new),
            Change::Other { interface, member, .. } => panic!("{interface}.{member} is not in the contract"),
            _ => {}
        }
    }
    assert_eq!(states, ["draft", "ready", "tendering", "paid"]);

    let tree = Tree::read(&connection).await.unwrap();
    assert_eq!(tree.payments.len(), 1);
    let shown = &tree.payments[0];
    assert_eq!(
        (shown.amount, shown.paid, shown.state.as_str(), shown.channel.as_str()),
        (12_850, 12_850, "paid", "cash")
    );
    assert_eq!((shown.prompt.id.as_str(), shown.prompt.arguments.change), ("done", Some(2150)));
    assert_eq!(tree.terminal.active_payment, "/");
    let printer = tree.devices.iter().find(|d| d.id == "receipt-printer").unwrap();
    assert!(printer.jobs.is_some() && tree.devices.iter().any(|d| d.id == "scanner" && d.jobs.is_none()));

    let details = payment.describe(Options::new()).await.unwrap();
    assert_eq!(details, terminal.find_payment(&details.id, Options::new()).await.unwrap());
    assert_eq!(details.attempts[0].change, Some(2150));
    assert_eq!(details.subject.as_deref(), Some("午餐"));
    let rows = terminal.list_payments(10, Options::new()).await.unwrap();
    assert_eq!((rows.len(), rows[0].id.as_str()), (1, details.id.as_str()));
    assert!(payment.receipt_text(Options::new()).await.unwrap().contains("128.50"));
}

/// A till with cash, a bank that nobody reaches, and a printer and a scanner that are not there.
struct Till {
    dir: tempfile::TempDir,
    _bus: BusHandle,
    address: String,
    daemon: Child,
}

const PLUGINS: &[(&str, &str, &str, &str)] = &[
    ("channels/bankcard", "org.tilld.bankcard", "libtill_channel_bankcard.so", "till-channel-bankcard"),
    ("channels/cash", "org.tilld.cash", "libtill_channel_cash.so", "till-channel-cash"),
    ("channels/prepaid", "org.tilld.prepaid", "libtill_channel_prepaid.so", "till-channel-prepaid"),
    ("drivers/printer", "org.tilld.printer", "libtill_driver_printer.so", "till-driver-printer"),
    ("drivers/scanner", "org.tilld.scanner", "libtill_driver_scanner.so", "till-driver-scanner"),
];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}

/// Folder with the built programs; builds what is missing, once.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_tilld")).parent().unwrap().to_path_buf();
        let wanted = PLUGINS.iter().map(|p| (p.2, p.3)).chain([("till-plugin-host", "till-plugin-host")]);
        let missing: Vec<&str> = wanted.filter(|(f, _)| !folder.join(f).is_file()).map(|(_, p)| p).collect();
        if !missing.is_empty() {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.current_dir(workspace()).arg("build").arg("--target-dir").arg(folder.parent().unwrap());
            if folder.ends_with("release") {
                cargo.arg("--release");
            }
            for package in missing {
                cargo.args(["-p", package]);
            }
            assert!(cargo.status().unwrap().success(), "what the test needs does not build");
        }
        folder
    })
}

impl Till {
    async fn start() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path();
        let bus = start_bus(&dir.join("run")).unwrap();
        let address = bus.address().to_owned();
        for (source, id, library, _) in PLUGINS {
            let folder = dir.join("plugins").join(id);
            fs::create_dir_all(&folder).unwrap();
            fs::copy(workspace().join(source).join("manifest.toml"), folder.join("manifest.toml")).unwrap();
            fs::copy(built().join(library), folder.join(library)).unwrap();
            fs::set_permissions(folder.join(library), std::os::unix::fs::PermissionsExt::from_mode(0o644))
                .unwrap();
        }
        let config = format!(
            "[terminal]\nid = \"T0000001\"\n[bus]\naddress = \"{address}\"\n\
             [journal]\ndir = \"{dir}/state/journal\"\nforce-filesystem = true\nfree-floor-mib = 1\nballast-mib = 1\n\
             [plugins]\ndirs = [\"{dir}/plugins\"]\nstate-dir = \"{dir}/state/plugins\"\n[clock]\ntrust = \"always\"\n\
             [channel.cash]\nplugin = \"org.tilld.cash\"\n\
             [channel.bank]\nplugin = \"org.tilld.bankcard\"\nsecrets = {{ tmk = \"tmk\" }}\n\
             settings = {{ address = \"127.0.0.1:1\", terminal = \"12345678\", merchant = \"123456789012345\", tls = false }}\n\
             [channel.prepaid]\nplugin = \"org.tilld.prepaid\"\nsecrets = {{ card_key = \"card-key\" }}\n\
             settings = {{ prefixes = [\"8600\"] }}\n[secrets]\ndir = \"{dir}/secrets\"\n\
             [device.receipt-printer]\nplugin = \"org.tilld.printer\"\ntransport = {{ kind = \"tcp\", address = \"127.0.0.1:1\" }}\n\
             [device.scanner]\nplugin = \"org.tilld.scanner\"\ntransport = {{ kind = \"serial\", path = \"{dir}/none\" }}\n",
            dir = dir.display()
        );
        fs::write(dir.join("tilld.toml"), config).unwrap();
        fs::create_dir(dir.join("secrets")).unwrap();
        for (name, secret) in
            [("card-key", "a key of thirty-two bytes for tests"), ("tmk", "0123456789ABCDEFFEDCBA9876543210")]
        {
            let path = dir.join("secrets").join(name);
            fs::write(&path, secret).unwrap();
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        }

        let connection = connect::open(&Bus::from_text(&address), Duration::from_secs(20)).await.unwrap();
        let mut events = Events::subscribe(&connection).await.unwrap();
        let daemon = Command::new(env!("CARGO_BIN_EXE_tilld"))
            .arg("--config")
            .arg(dir.join("tilld.toml"))
            .stdin(Stdio::null())
            .stderr(fs::File::create(dir.join("tilld.log")).unwrap())
            .env_remove("JOURNAL_STREAM")
            .spawn()
            .unwrap();
        let till = Self { _bus: bus, address, daemon, dir: temporary };
        // On the bus, and its channel ready: each change of anything is a reason to look again.
        let ready = async {
            loop {
                events.next().await.expect("the bus");
                if events.is_running() {
                    let tree = Tree::read(&connection).await.unwrap();
                    if tree.channels.len() == 3
                        && tree.channels.iter().all(|c| c.state == "ready" || c.id == "bank")
                        && tree.devices.len() == 2
                    {
                        return;
                    }
                }
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(30), ready).await.is_ok();
        assert!(in_time, "not ready: {}", fs::read_to_string(till.dir.path().join("tilld.log")).unwrap());
        till
    }
}

impl Drop for Till {
    fn drop(&mut self) {
        let _gone = self.daemon.kill();
        let _reaped = self.daemon.wait();
    }
}
