//! `tillctl doctor` and `tillctl bundle` on the whole till: what is broken is said, the command that is said mends it, and a
//! bundle has nothing in it that it must not have.
#![allow(clippy::unwrap_used, clippy::panic)] // in helpers too: what fails there fails the test

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine;
use serde_json::Value;
use till_simulators::acquirer::Terminal;
use till_simulators::players::Scan;
use till_simulators::printer::Command as Paper;
use till_tests::scene::{again, until};
use till_tests::search::{self, Needle};
use till_tests::{Client, Rig, RigOptions, staging};

const PAN: &str = "4761739001010119";
/// Discretionary data of both tracks.
const TRACK: &str = "7391586428";
const CODE: &str = "283746592018560001";
const FRONT_END_CODE: &str = "283746592018560002";
/// Stand where nobody should have written them.
const INLINE: &str = "heron-Lantern-4917";
const COMMENT: &str = "osprey-Kettle-2283";
const LOGGED: &str = "6212345678901232";

fn tillctl(rig: &Rig, arguments: &[&str]) -> Command {
    let mut command = Command::new(staging::built().unwrap().join("tillctl"));
    command.args(["--bus", rig.bus.address()]).args(arguments).env("LC_ALL", "C").env("TZ", "UTC");
    command
}

/// What the doctor says, and how it ends.
fn doctor(rig: &Rig, more: &[&str]) -> (i32, Vec<Value>) {
    let said = tillctl(rig, &[&["doctor", "--json"], more].concat()).output().unwrap();
    let json: Value = serde_json::from_slice(&said.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&said.stderr)));
    let findings = json["findings"].as_array().unwrap().clone();
    let code = said.status.code().unwrap();
    assert_eq!(json["well"].as_bool(), Some(code == 0), "{findings:?}");
    (code, findings)
}

fn of<'a>(findings: &'a [Value], id: &str) -> Vec<&'a Value> {
    findings.iter().filter(|f| f["id"] == id).collect()
}

fn to_fix(findings: &[Value]) -> Vec<&str> {
    findings.iter().filter(|f| f["level"] == "fix").filter_map(|f| f["id"].as_str()).collect()
}

/// Runs the command that a fix says, as somebody would who copies it.
fn do_it(finding: &Value) {
    let fix = finding["fix"].as_str().unwrap();
    let command = fix.split('`').nth(1).unwrap();
    let done = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_what_is_broken_and_its_commands_mend_it() {
    let mut rig = Rig::start(RigOptions::default()).await.unwrap();
    // Test folders are open to everybody, which it says, and mends.
    let (_, findings) = doctor(&rig, &[]);
    assert!(to_fix(&findings).iter().all(|id| *id == "folder.open"), "{findings:#?}");
    of(&findings, "folder.open").into_iter().for_each(do_it);
    let (code, findings) = doctor(&rig, &[]);
    assert_eq!((code, to_fix(&findings)), (0, vec![]), "{findings:#?}");
    for id in ["till", "config", "journal", "disk", "secret"] {
        assert_eq!(of(&findings, id).len(), 1, "{id} is well and said to be: {findings:#?}");
    }
    let well =
        |area: &str| of(&findings, area).iter().filter_map(|f| f["subject"].as_str()).collect::<Vec<_>>();
    assert_eq!(well("channel"), ["alipay", "bankcard", "cash"]);
    assert_eq!(well("plugin").len(), staging::PLUGINS.len());

    // Somebody opened a key, and the configuration, to everybody.
    let key = rig.dir.join("secrets/tmk");
    mode(&key, 0o644);
    mode(&rig.config_file(), 0o666);
    let (code, findings) = doctor(&rig, &[]);
    assert_eq!(code, 9);
    do_it(of(&findings, "secret.open")[0]);
    do_it(of(&findings, "config.writable")[0]);
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let (_, findings) = doctor(&rig, &[]);
    assert!(
        !to_fix(&findings).iter().any(|id| ["secret.open", "config.writable"].contains(id)),
        "{findings:#?}"
    );

    // Out of paper; then it has some.
    let client = rig.client().await.unwrap();
    rig.printer.command(&Paper::Paper { lines: 0 });
    let blocked = || async { (client.device("printer").await.ok()?.0 == "blocked").then_some(()) };
    until("the printer is out of paper", blocked).await.unwrap();
    let (code, findings) = doctor(&rig, &[]);
    let said = of(&findings, "device.state");
    assert_eq!((code, said[0]["subject"].as_str()), (9, Some("printer")));
    assert!(said[0]["fix"].as_str().unwrap().contains("put paper in"), "{said:?}");
    rig.printer.command(&Paper::Refill { lines: None });
    let ready = || async { (client.device("printer").await.ok()?.0 == "ready").then_some(()) };
    until("the printer has paper", ready).await.unwrap();
    assert!(of(&doctor(&rig, &[]).1, "device.state").is_empty());

    // Stopped: from the disk, and nothing is started by looking.
    assert!(rig.stop_till());
    let config = rig.config_file();
    let offline = ["--config", config.to_str().unwrap()];
    let (code, findings) = doctor(&rig, &offline);
    assert_eq!((code, to_fix(&findings)), (9, vec!["bus.no-till"]), "{findings:#?}");
    let journal = of(&findings, "journal")[0]["text"].as_str().unwrap();
    assert!(journal.contains("both copies well"), "{journal}");

    // A plugin that anybody could change is refused, with the command that mends it.
    let library = rig.dir.join("plugins/org.tilld.cash/libtill_channel_cash.so");
    mode(&library, 0o666);
    // And a device at a place that is none, a key that no setting has.
    rig.drop_in("zz.toml", "[device.scanner]\nplugin = \"org.tilld.scanner\"\ntransport = { kind = \"serial\", path = \"/dev/none\" }\n").unwrap();
    let (_, findings) = doctor(&rig, &offline);
    let wrong = of(&findings, "config.wrong");
    assert!(wrong.iter().any(|f| f["text"].as_str().unwrap().contains("chmod go-w")), "{findings:#?}");
    let missing = of(&findings, "device.node-missing");
    assert_eq!(missing[0]["subject"], "scanner", "{findings:#?}");
    mode(&library, 0o644);
    rig.drop_in("zz.toml", "[terminal]\nid = \"far-too-long\"\n").unwrap();
    let (_, findings) = doctor(&rig, &offline);
    let wrong = of(&findings, "config.wrong");
    assert!(wrong[0]["text"].as_str().unwrap().contains("terminal.id"), "{wrong:?}");
    fs::remove_file(rig.dir.join("tilld.toml.d/zz.toml")).unwrap();
    assert_eq!(to_fix(&doctor(&rig, &offline).1), ["bus.no-till"]);
}

/// Cards, codes, cash.
async fn sell(rig: &Rig, client: &Client) {
    let card = client.ready(1_000).await.unwrap();
    rig.reader.swipe(&again(&format!("%B{PAN}^TEST/CARD^3012101{TRACK}?;{PAN}=3012101{TRACK}?"))).unwrap();
    card.wait(&["paid"]).await.unwrap();
    let code = client.ready(1_100).await.unwrap();
    rig.scanner.scan(&Scan::new(CODE)).unwrap();
    code.wait(&["paid"]).await.unwrap();
    let code = client.ready(1_200).await.unwrap();
    code.pay_code(FRONT_END_CODE).await.unwrap();
    code.wait(&["paid"]).await.unwrap();
    let cash = client.ready(1_300).await.unwrap();
    cash.pay_cash(1_500).await.unwrap();
    cash.wait(&["paid"]).await.unwrap();
}

/// All that must not be found: of the sales, of the secrets' folder, of what people wrote where it does not belong.
fn needles(rig: &Rig) -> Vec<Needle> {
    let mut all = vec![
        Needle::digits("card number", PAN),
        Needle::digits("track data", TRACK),
        Needle::digits("code", CODE),
        Needle::digits("code from a front-end", FRONT_END_CODE),
        Needle::digits("card number in the log", LOGGED),
        Needle::bytes("password in the configuration", INLINE.as_bytes()),
        Needle::bytes("password in a comment", COMMENT.as_bytes()),
        Needle::bytes("terminal master key", &Terminal::default().tmk),
    ];
    for pass in [INLINE, COMMENT] {
        let wide: Vec<u8> = pass.encode_utf16().flat_map(u16::to_le_bytes).collect();
        all.push(Needle::bytes("password in UTF-16", &wide));
    }
    // A piece of each line of the private key, and of the key itself.
    let pem = rig.gateway.app_private_pem();
    let lines: Vec<&str> = pem.lines().filter(|l| !l.starts_with('-')).collect();
    all.extend(
        lines
            .iter()
            .filter(|l| l.len() >= 40)
            .map(|l| Needle::bytes("line of the private key", &l.as_bytes()[..40])),
    );
    let der = base64::engine::general_purpose::STANDARD.decode(lines.concat()).unwrap();
    all.push(Needle::bytes("private key", &der[der.len() / 2..der.len() / 2 + 32]));
    for entry in fs::read_dir(rig.dir.join("secrets")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        all.push(Needle::bytes(&path.display().to_string(), &bytes[..bytes.len().min(48)]));
    }
    for keys in [rig.dir.join("state/keys")] {
        for entry in fs::read_dir(keys).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                all.push(Needle::bytes(&path.display().to_string(), &fs::read(&path).unwrap()));
            }
        }
    }
    let issued = rig.acquirer.working_keys(&Terminal::default().tid);
    all.extend(issued.iter().filter(|k| k.len() >= 8).map(|k| Needle::bytes("working key", k)));
    all
}

/// What somebody does who does not know better: secrets in the configuration, in the comments of it, and in the log.
fn careless(rig: &Rig) -> PathBuf {
    let tmk = search_hex(&Terminal::default().tmk);
    let pem = rig.gateway.app_private_pem();
    rig.drop_in(
        "careless.toml",
        &format!(
            "# the password is {COMMENT}, the key {tmk}\n[channel.alipay]\nplugin = \"org.tilld.alipay\"\n\
             secrets = {{ app_private_key = \"{INLINE}\" }}\n[channel.alipay.settings]\npassword = \"{INLINE}\"\n\
             app_private_key = \"\"\"{pem}\"\"\"\ntmk = \"{tmk}\"\ngateway = \"https://user:{INLINE}@gateway.example/?k={INLINE}\"\n\
             card = {LOGGED}\nterminal = \"{PAN}\"\n"
        ),
    )
    .unwrap();
    // A journalctl that has what the till has logged, and what a careless plugin could have.
    let tools = rig.dir.join("run/tools");
    fs::create_dir_all(&tools).unwrap();
    let log = rig.dir.join("run/tools/log");
    let base64 = base64::engine::general_purpose::STANDARD.encode(Terminal::default().tmk);
    let lines = rig.log_lines().join("\n");
    fs::write(
        &log,
        format!("{lines}\nplugin: pan={LOGGED} code {CODE} tmk {tmk} {base64}\n{pem}\nafter the key\n"),
    )
    .unwrap();
    let program = tools.join("journalctl");
    fs::write(&program, format!("#!/bin/sh\nexec cat '{}'\n", log.display())).unwrap();
    mode(&program, 0o755);
    tools
}

fn search_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, b| {
        write!(text, "{b:02X}").unwrap();
        text
    })
}

fn bundle(rig: &Rig, tools: &Path, file: &Path) -> Output {
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default());
    tillctl(rig, &["bundle", "--json"]).arg(file).env("PATH", path).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_of_a_till_that_has_sold_has_no_secret_in_it() {
    let options = RigOptions { env: vec![("TILLD_LOG".into(), "debug".into())], ..RigOptions::default() };
    let mut rig = Rig::start(options).await.unwrap();
    let client = rig.client().await.unwrap();
    sell(&rig, &client).await;
    let tools = careless(&rig);
    let needles = needles(&rig);
    // The control: they are where the bundle takes its things from.
    let mut there = Vec::new();
    search::files(&rig.dir, &["plugins", "secrets", "state"], &needles, &mut there).unwrap();
    let names: Vec<&str> = there.iter().map(|f| f.what.as_str()).collect();
    for what in [
        "card number in the log",
        "code",
        "password in the configuration",
        "password in a comment",
        "line of the private key",
    ] {
        assert!(names.contains(&what), "{what} was not planted: {names:?}");
    }

    let file = rig.dir.join("run/bundle.tar");
    let made = bundle(&rig, &tools, &file);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let bytes = fs::read(&file).unwrap();
    let mut found = search::bytes("bundle", &bytes, &needles);
    found.extend(search::bytes("standard output", &made.stdout, &needles));
    assert_eq!(found, []);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(bytes.len() <= 4 << 20);

    // What it is for is in it.
    let said: Value = serde_json::from_slice(&made.stdout).unwrap();
    let files: Vec<&str> =
        said["files"].as_array().unwrap().iter().filter_map(|f| f["file"].as_str()).collect();
    for name in [
        "doctor.json",
        "till.json",
        "devices.json",
        "channels.json",
        "payments.json",
        "plugins.json",
        "log.txt",
        "system/versions.json",
        "system/clock.json",
        "system/df",
        "system/os-release",
    ] {
        assert!(files.contains(&name), "{name} is not in it: {said}");
    }
    let configs = files.iter().filter(|f| f.starts_with("config/")).count();
    assert_eq!(configs, 2, "{files:?}");
    let text = String::from_utf8_lossy(&bytes);
    assert!(
        text.contains("after the key")
            && text.contains("org.tilld.bankcard")
            && text.contains("[16 characters]") | text.contains("[18 characters]")
    );
    assert!(text.contains("INFO"), "the log is in it");

    // Nothing is written over; nothing half is left.
    let again = bundle(&rig, &tools, &file);
    assert_eq!((again.status.code(), fs::read(&file).unwrap() == bytes), (Some(5), true));
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(said.contains("does not exist yet"), "{said}");
    let nowhere = bundle(&rig, &tools, &rig.dir.join("no-folder/bundle.tar"));
    assert_eq!(nowhere.status.code(), Some(5));
    let left: Vec<_> = fs::read_dir(rig.dir.join("run")).unwrap().flatten().map(|e| e.file_name()).collect();
    assert!(!left.iter().any(|n| n.to_string_lossy().ends_with(".part")), "{left:?}");

    // Stopped, it still tells what there is.
    assert!(rig.stop_till());
    let file = rig.dir.join("run/stopped.tar");
    let config = rig.config_file();
    let mut command = tillctl(&rig, &["bundle", "--config"]);
    assert!(command.arg(&config).arg(&file).output().unwrap().status.success());
    let bytes = fs::read(&file).unwrap();
    assert_eq!(search::bytes("bundle of a stopped till", &bytes, &needles), []);
    assert!(String::from_utf8_lossy(&bytes).contains("bus.no-till"));
}
