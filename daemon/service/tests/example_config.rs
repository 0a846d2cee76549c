//! The example in the book is loaded, is complete, and fits the plugins: a reader who copies it must not be refused.

#![allow(clippy::unwrap_used, clippy::expect_used)] // clippy knows tests by their attribute only

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tilld::config::{Config, Sources, load};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn example() -> PathBuf {
    root().join("docs/examples/tilld.toml")
}

fn text() -> toml::Table {
    fs::read_to_string(example()).unwrap().parse().unwrap()
}

/// What the code takes in a table: it says so when it refuses a key.
fn keys_of(table: &str, inside: &str) -> BTreeSet<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tilld.toml");
    let head = if table.is_empty() { String::new() } else { format!("[{table}]\n") };
    fs::write(&path, format!("{head}{inside}no-such-key = 1\n")).unwrap();
    let refused = load(&Sources::file(&path)).unwrap_err().to_string();
    let (_, expected) = refused.split_once("expected ").expect("a refusal names the keys there are");
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_example_loads() {
    let config = load(&Sources::file(&example())).unwrap();
    assert_eq!(config.devices.len(), 4);
    assert_eq!(config.channels.len(), 6);
    assert!(!config.devices["spare-scanner"].enabled);
    assert_eq!(config.receipt_printer.as_deref(), Some("printer"));
}

#[test]
fn the_example_and_the_reference_have_every_key() {
    let example = text();
    let reference = fs::read_to_string(root().join("docs/integrators.md")).unwrap();
    let documented =
        |name: &str| assert!(reference.contains(&format!("| `{name}`")), "{name} is not in docs");
    let tables = keys_of("", "");
    assert_eq!(tables, example.keys().cloned().collect(), "tables");
    for table in &tables {
        if table == "device" || table == "channel" {
            continue;
        }
        let known = keys_of(table, "");
        let shown = example[table].as_table().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(known, shown, "[{table}]");
        for key in &known {
            documented(&format!("{table}.{key}"));
        }
    }
    for (table, minimum) in
        [("device", "plugin='x'\ntransport={kind='tcp',address='a:1'}\n"), ("channel", "plugin='x'\n")]
    {
        let known = keys_of(&format!("{table}.x"), minimum);
        let shown =
            example[table].as_table().unwrap().values().flat_map(|t| t.as_table().unwrap().keys().cloned());
        assert_eq!(known, shown.collect(), "[{table}.*]");
        for key in &known {
            documented(&format!("{table}.ID.{key}"));
        }
    }
}

/// The defaults that the example writes down are the defaults.
#[test]
fn what_it_calls_a_default_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tilld.toml");
    fs::write(&path, "").unwrap();
    let empty = load(&Sources::file(&path)).unwrap();
    let example = load(&Sources::file(&example())).unwrap();
    let same = |c: &Config| {
        (
            (
                c.terminal.clone(),
                c.shop.language,
                c.bus.clone(),
                c.clock,
                c.plugin_dirs.clone(),
                c.state_dir.clone(),
            ),
            (
                c.journal.dir.clone(),
                c.journal.free_floor_mib,
                c.journal.ballast_mib,
                c.journal.segment_kib,
                c.journal.epoch_records,
                (c.journal.snapshot_records, c.journal.keep_months, c.journal.keep_records),
                c.journal.force_filesystem,
            ),
            (c.reuse_window_s, c.codes.codes.clone()),
        )
    };
    assert_eq!(same(&empty), same(&example));
}

#[test]
fn its_devices_and_channels_fit_their_plugins() {
    let root = root();
    let dir = tempfile::tempdir().unwrap();
    let put = |path: &Path, bytes: &[u8], mode| {
        fs::write(path, bytes).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for (source, id, library) in [
        ("drivers/scanner", "org.tilld.scanner", "libtill_driver_scanner.so"),
        ("drivers/magstripe", "org.tilld.magstripe", "libtill_driver_magstripe.so"),
        ("drivers/printer", "org.tilld.printer", "libtill_driver_printer.so"),
        ("channels/cash", "org.tilld.cash", "libtill_channel_cash.so"),
        ("channels/alipay", "org.tilld.alipay", "libtill_channel_alipay.so"),
        ("channels/bankcard", "org.tilld.bankcard", "libtill_channel_bankcard.so"),
        ("channels/prepaid", "org.tilld.prepaid", "libtill_channel_prepaid.so"),
        ("channels/unionpayqr", "org.tilld.unionpayqr", "libtill_channel_unionpayqr.so"),
        ("channels/wechatpay", "org.tilld.wechatpay", "libtill_channel_wechatpay.so"),
    ] {
        let folder = dir.path().join("plugins").join(id);
        fs::create_dir_all(&folder).unwrap();
        for made in [folder.parent().unwrap(), &folder] {
            fs::set_permissions(made, fs::Permissions::from_mode(0o755)).unwrap();
        }
        put(
            &folder.join("manifest.toml"),
            &fs::read(root.join(source).join("manifest.toml")).unwrap(),
            0o644,
        );
        // Nothing is loaded here: what is checked is the configuration against the manifest.
        put(&folder.join(library), b"", 0o644);
    }
    let secrets = dir.path().join("secrets");
    fs::create_dir(&secrets).unwrap();
    for name in ["alipay-key", "wechat-key", "unionpay-key", "acquirer-tmk", "prepaid-card-key"] {
        put(&secrets.join(name), b"test", 0o600);
    }
    // Of the reference implementation's tests.
    let hash = b"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    put(&secrets.join("bankcard-password"), hash, 0o600);
    let mut config = load(&Sources::file(&example())).unwrap();
    config.plugin_dirs = vec![dir.path().join("plugins")];
    config.shop.receipt_template = Some(root.join("daemon/receipt/templates/receipt.zh.txt"));
    config.secrets_dir = Some(secrets);
    // Of RFC 8410, section 10.1.
    let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    let key = dir.path().join("maintenance.pem");
    put(&key, pem.as_bytes(), 0o644);
    config.maintenance_key = Some(key);
    assert_eq!(tilld::service::problems(&config), Vec::<String>::new());
    // And it would have been noticed.
    config.channels.get_mut("cash").unwrap().settings.insert("roundign_step".into(), 5.into());
    assert_eq!(tilld::service::problems(&config).len(), 1);
    // So would a template with a field that no receipt has.
    let template = dir.path().join("receipt.txt");
    fs::write(&template, "{{ number }} {{ total }}\n{{ shop.nmae }}\n").unwrap();
    config.shop.receipt_template = Some(template);
    let problems = tilld::service::problems(&config);
    assert_eq!(problems.len(), 2);
    assert!(problems[1].ends_with("receipt.txt: line 2: there is no field `shop.nmae`: docs/integrators.md lists the fields of receipts"), "{}", problems[1]);
}
