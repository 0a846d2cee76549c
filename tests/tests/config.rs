//! A wrong configuration or plugin is named with file, line and remedy; it stops a start only where it must, and never
//! another device.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use till_simulators::players::ScannerPty;
use till_tests::scene::until;
use till_tests::{Rig, RigOptions, staging};

/// `tilld --check-config`: exit code and everything it said.
fn check(config: &Path) -> (i32, String) {
    let program = staging::built().unwrap_or_else(|e| panic!("{e}")).join("tilld");
    let output = Command::new(program).arg("--config").arg(config).arg("--check-config").output();
    let output = output.unwrap_or_else(|e| panic!("{e}"));
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}

/// The good configuration with one text replaced.
fn changed(rig: &Rig, from: &str, to: &str) -> (i32, String) {
    let good = fs::read_to_string(rig.config_file()).unwrap_or_else(|e| panic!("{e}"));
    assert!(good.contains(from), "{from}");
    let path = rig.dir.join("changed.toml");
    fs::write(&path, good.replacen(from, to, 1)).unwrap_or_else(|e| panic!("{e}"));
    check(&path)
}

fn line_of(rig: &Rig, text: &str) -> usize {
    let good = fs::read_to_string(rig.config_file()).unwrap_or_default();
    good.lines().position(|l| l.contains(text)).map_or(0, |n| n + 1)
}

#[test]
fn check_config_names_what_is_wrong_where_and_what_to_do() {
    let rig = Rig::stand(RigOptions::default()).unwrap();
    let (code, text) = check(&rig.config_file());
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("3 devices, 3 channels"), "{text}");

    let cases = [
        ("force-filesystem = true", "force-filesytem = true", "force-filesytem"),
        ("force-filesystem = true", "force-filesystem = ", "changed.toml"),
        ("priority = 20", "priority = \"high\"", "invalid type"),
        ("free-floor-mib = 16", "free-floor-mib = -16", "invalid value"),
    ];
    for (from, to, part) in cases {
        let (code, text) = changed(&rig, from, to);
        let place = format!("changed.toml:{}:", line_of(&rig, from));
        assert!(code == 78 && text.contains(&place) && text.contains(part), "{code} {text}");
    }

    let port = "path = \"{dir}/run/scanner\"".replace("{dir}", &rig.dir.display().to_string());
    let second = format!(
        "\n[device.second]\nplugin = \"org.tilld.scanner\"\ntransport = {{ kind = \"serial\", {port} }}\n\n[channel.cash]"
    );
    let (code, text) = changed(&rig, "\n[channel.cash]", &second);
    assert!(
        code == 78 && text.contains("scanner") && text.contains("second") && text.contains("one device"),
        "{text}"
    );

    let (code, text) = changed(&rig, "plugin = \"org.tilld.cash\"", "plugin = \"org.tilld.gold\"");
    assert!(
        code == 78 && text.contains("channel cash") && text.contains("org.tilld.gold is not installed"),
        "{text}"
    );

    // Secrets that the unit's credentials bring are not there for who asks by hand: they are named, and nothing else is let through.
    let folder = format!("[secrets]\ndir = \"{}/secrets\"\n", rig.dir.display());
    let (code, text) = changed(&rig, &folder, "");
    assert!(
        code == 0 && text.contains("LoadCredentialEncrypted=") && text.contains("alipay-key, tmk"),
        "{text}"
    );
    let without = fs::read_to_string(rig.dir.join("changed.toml"))
        .unwrap()
        .replace("tmk = \"tmk\"", "tmk = \"../tmk\"");
    fs::write(rig.dir.join("changed.toml"), without).unwrap();
    let (code, text) = check(&rig.dir.join("changed.toml"));
    assert!(code == 78 && text.contains("without a path"), "{text}");

    let (code, text) = changed(&rig, "tmk = \"tmk\"", "tmk = \"lost\"");
    assert!(code == 78 && text.contains("channel bankcard") && text.contains("secrets/lost"), "{text}");

    let (code, text) = changed(&rig, "duplicate-ms = 0", "duplicate-ms = \"never\"");
    assert!(code == 78 && text.contains("device scanner") && text.contains("duplicate-ms"), "{text}");
    let (code, text) = changed(&rig, "duplicate-ms = 0", "dupliacte-ms = 0");
    assert!(code == 78 && text.contains("device scanner") && text.contains("dupliacte-ms"), "{text}");

    let tmk = rig.dir.join("secrets/tmk");
    fs::set_permissions(&tmk, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, text) = check(&rig.config_file());
    assert!(code == 78 && text.contains("chmod 600") && text.contains("secrets/tmk"), "{text}");
    fs::set_permissions(&tmk, fs::Permissions::from_mode(0o600)).unwrap();

    let (code, text) = check(&rig.dir.join("nowhere.toml"));
    assert!(code == 78 && text.contains("nowhere.toml"), "{text}");
}

/// Puts a fixture plugin where tilld looks.
fn fixture(rig: &Rig, name: &str) {
    let source = staging::workspace().join("plugins/fixtures").join(name).join("manifest.toml");
    let library = staging::built().map(|b| b.join(format!("libtill_fixture_{name}.so")));
    let id = format!("org.tilld.fixture.{name}");
    library
        .and_then(|l| staging::plugin(&rig.dir.join("plugins"), &id, &source, &l))
        .unwrap_or_else(|e| panic!("{e}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_device_or_plugin_shows_its_reason_and_the_rest_sells() {
    let temporary = tempfile::tempdir().unwrap();
    let lines = temporary.path().to_path_buf();
    let device = |id: &str, plugin: &str| {
        let transport = format!("{{ kind = \"serial\", path = \"{}\" }}", lines.join(id).display());
        format!("\n[device.{id}]\nplugin = \"{plugin}\"\ntransport = {transport}\n")
    };
    let mut ports = Vec::new();
    for id in ["strange", "open", "empty", "missing"] {
        ports.push(ScannerPty::open(Some(&lines.join(id))).unwrap());
    }
    let extra = [
        device("strange", "org.tilld.fixture.wronggeneration"),
        device("open", "org.tilld.fixture.good"),
        device("empty", "org.tilld.fixture.nodescriptor"),
        device("missing", "org.tilld.nowhere"),
        "\n[channel.text]\nplugin = \"org.tilld.fixture.goodchannel\"\n".to_owned(),
        "\n[channel.wrong]\nplugin = \"org.tilld.cash\"\n[channel.wrong.settings]\nbogus = 1\n".to_owned(),
        "\n[channel.locked]\nplugin = \"org.tilld.bankcard\"\nsecrets = { tmk = \"nokey\" }\n".to_owned(),
    ]
    .concat();
    let mut rig = Rig::stand(RigOptions { extra_config: extra, ..RigOptions::default() }).unwrap();
    for name in ["wronggeneration", "good", "nodescriptor", "goodchannel"] {
        fixture(&rig, name);
    }
    let plugins = rig.dir.join("plugins");
    let world = plugins.join("org.tilld.fixture.good/libtill_fixture_good.so");
    fs::set_permissions(&world, fs::Permissions::from_mode(0o666)).unwrap();
    let elf = plugins.join("org.tilld.fixture.goodchannel/libtill_fixture_goodchannel.so");
    fs::write(&elf, "#!/bin/sh\necho hello\n").unwrap();
    rig.start_till().unwrap();
    let client = rig.wait_up().await.unwrap();

    let devices = [
        ("strange", "generation 99"),
        ("open", "chmod go-w"),
        ("empty", "TILL_PLUGIN_DESCRIPTOR"),
        ("missing", "not installed"),
    ];
    for (id, part) in devices {
        let failed = || async {
            let (state, reason) = client.device(id).await.ok()?;
            (state == "failed").then_some(reason)
        };
        let reason = until(&format!("device {id} is shown as failed"), failed).await.unwrap();
        assert!(reason.contains(part) && !reason.contains('\n'), "{id}: {reason}");
    }
    for (id, part) in [("text", "not a shared library"), ("wrong", "bogus"), ("locked", "nokey")] {
        let failed = || async {
            let (state, reason) = client.channel(id).await.ok()?;
            (state == "failed").then_some(reason)
        };
        let reason = until(&format!("channel {id} is shown as failed"), failed).await.unwrap();
        assert!(reason.contains(part) && !reason.contains('\n'), "{id}: {reason}");
    }
    // All of it stands where the merchant sees it, and the till sells.
    let blockers = client.blockers().await.unwrap();
    for id in ["strange", "open", "empty", "missing", "text", "wrong", "locked"] {
        assert!(blockers.iter().any(|b| b.0 == id && !b.2.is_empty()), "{id}: {blockers:?}");
    }
    for id in ["cash", "alipay", "bankcard"] {
        let ready = || async { (client.channel(id).await.ok()?.0 == "ready").then_some(()) };
        until(&format!("{id} is ready"), ready).await.unwrap();
    }
    assert_eq!(client.state().await.unwrap(), "degraded");
    let payment = client.ready(1_000).await.unwrap();
    payment.pay_code(&till_tests::scene::wallet_code(1)).await.unwrap();
    payment.wait(&["paid"]).await.unwrap();
    rig.at_rest(&client).await.unwrap();
}
