//! Merchant authentication (S3) on the whole till: no sale before it, tries that are counted over restarts and clock
//! steps, and a password that is left nowhere.
#![allow(clippy::unwrap_used, clippy::panic)] // in helpers too: what fails there fails the test

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use till_dbus::events::{Change, Event};
use till_dbus::types::MerchantState;
use till_dbus::{AfterSales1Proxy, Channel1Proxy, Error, Options, Terminal1Proxy, code_pipe, paths};
use till_simulators::acquirer::{Acquirer, AcquirerConfig};
use till_simulators::faults::{Fault, Rule};
use till_tests::scene::{TRACKS, again, refused, until};
use till_tests::search::{self, Needle};
use till_tests::tap::tap;
use till_tests::wall::Wall;
use till_tests::{Client, Rig, RigOptions, Watch, staging};

const NUMBER: &str = "898440154110042";
const PASSWORD: &str = "heron-Lantern-4917";
const OPERATOR: &str = "001";

fn tillctl(rig: &Rig, arguments: &[&str]) -> Command {
    let mut command = Command::new(staging::built().unwrap().join("tillctl"));
    command.args(["--bus", rig.bus.address()]).args(arguments).env("LC_ALL", "C");
    command
}

/// A rig whose cash channel asks for the merchant; its hash is made as an integrator makes it.
fn stand(tries: u32, mut options: RigOptions) -> Rig {
    let asks = format!(
        "[channel.cash.merchant-auth]\nnumber = \"{NUMBER}\"\npassword-hash = \"cash-password\"\ntries = {tries}\n"
    );
    options.extra_config = asks + &options.extra_config;
    let rig = Rig::stand(options).unwrap();
    make_hash(&rig, "cash-password");
    rig
}

/// Its channels and devices stand; what asks for the merchant keeps it from being called ready.
async fn up(rig: &mut Rig) -> Client {
    let client = rig.wait_up().await.unwrap();
    for channel in ["bankcard", "cash"] {
        let stands = || async { (client.channel(channel).await.ok()?.0 == "ready").then_some(()) };
        until(&format!("{channel} is ready"), stands).await.unwrap();
    }
    let reader = || async { (client.device("cardreader").await.ok()?.0 == "ready").then_some(()) };
    until("the card reader is ready", reader).await.unwrap();
    client
}

fn password_file(rig: &Rig) -> PathBuf {
    let path = rig.dir.join("secrets/typed");
    fs::write(&path, format!("{PASSWORD}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn make_hash(rig: &Rig, name: &str) {
    let (typed, file) = (password_file(rig), rig.dir.join("secrets").join(name));
    let made =
        tillctl(rig, &["hash-password", file.to_str().unwrap(), "--password-file"]).arg(typed).output();
    let made = made.unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

async fn terminal(client: &Client) -> Terminal1Proxy<'static> {
    Terminal1Proxy::new(client.connection()).await.unwrap()
}

/// The error's name, or nothing when it passed.
async fn say(client: &Client, channel: &str, number: &str, password: &str, operator: &str) -> String {
    let pipe = code_pipe(password).unwrap();
    let options = if operator.is_empty() { Options::new() } else { [("operator", operator.into())].into() };
    let fd = zbus::Fd::from(pipe.as_fd());
    let said = terminal(client).await.authenticate_merchant(channel, number, fd, options).await;
    said.map_or_else(|e| e.code().to_owned(), |()| String::new())
}

/// The same, as soon as the till takes a try.
async fn say_when_taken(client: &Client, channel: &str, number: &str, password: &str) -> String {
    let taken = || async {
        let said = say(client, channel, number, password, OPERATOR).await;
        (said != "TooSoon").then_some(said)
    };
    until("a try is taken", taken).await.unwrap()
}

async fn state(client: &Client, channel: &str) -> MerchantState {
    let builder = Channel1Proxy::builder(client.connection()).path(paths::channel(channel).unwrap());
    let proxy = builder.cache_properties(zbus::proxy::CacheProperties::No).build().await.unwrap();
    proxy.merchant().await.unwrap()
}

fn stands(state: &str, wrong_tries: u32, operator: &str) -> MerchantState {
    MerchantState { state: state.into(), wrong_tries, operator: operator.into() }
}

/// What the till says to a sale in cash: English, Chinese.
async fn why_not(client: &Client, watch: &Watch) -> (String, String) {
    let payment = client.ready(1_000).await.unwrap();
    let before = watch.refusals();
    assert_eq!(refused(payment.pay_cash(1_000).await), "NoRoute");
    watch.refusal(before).await.unwrap();
    let text = watch.look(|seen| {
        seen.iter().rev().find_map(|e| match &e.change {
            Change::InputRefused { text, text_zh, .. } => Some((text.clone(), text_zh.clone())),
            _ => None,
        })
    });
    payment.cancel().await.unwrap();
    text.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_no_sale_before_the_merchant_passed_and_none_after_it_ended() {
    let mut rig = stand(5, RigOptions::default());
    rig.start_till().unwrap();
    let client = up(&mut rig).await;
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    assert_eq!(state(&client, "cash").await, stands("required", 0, ""));
    assert_eq!(state(&client, "bankcard").await, stands("not-required", 0, ""));
    let blockers = client.blockers().await.unwrap();
    assert!(
        blockers.iter().any(|b| (b.0.as_str(), b.1.as_str()) == ("cash", "merchant-required")),
        "{blockers:?}"
    );
    let (en, zh) = why_not(&client, &watch).await;
    assert!(en.contains("asks for the merchant's number and password") && zh.contains("商户"), "{en} {zh}");

    assert_eq!(say(&client, "cash", "898440154110043", PASSWORD, OPERATOR).await, "WrongPassword");
    assert_eq!(state(&client, "cash").await, stands("required", 1, ""));
    assert_eq!(say_when_taken(&client, "cash", NUMBER, PASSWORD).await, "");
    assert_eq!(state(&client, "cash").await, stands("passed", 0, OPERATOR));
    let paid = client.ready(1_000).await.unwrap();
    paid.pay_cash(1_000).await.unwrap();
    paid.wait(&["paid"]).await.unwrap();
    assert_eq!(say(&client, "bankcard", NUMBER, PASSWORD, OPERATOR).await, "WrongState");
    assert_eq!(say(&client, "nowhere", NUMBER, PASSWORD, OPERATOR).await, "NotFound");

    // Another person's sales ask again, and WhatIf says so.
    let till = terminal(&client).await;
    let who = |name: &'static str| Options::from([("operator", name.into())]);
    let (chosen, text, ..) = till.what_if(1_000, "CNY", "cash", who(OPERATOR)).await.unwrap();
    assert_eq!(chosen, "cash", "{text}");
    let (chosen, text, text_zh, record, _) = till.what_if(1_000, "CNY", "cash", who("002")).await.unwrap();
    assert!(
        chosen.is_empty() && text.contains("another operator") && text_zh.contains("其他操作员"),
        "{text}"
    );
    assert!(record.contains("OtherOperator"), "{record}");

    till.sign_out_merchant("cash", who(OPERATOR)).await.unwrap();
    assert_eq!(state(&client, "cash").await, stands("required", 0, ""));
    why_not(&client, &watch).await;
    // What was taken can go back all the same.
    let after = AfterSales1Proxy::new(client.connection()).await.unwrap();
    after.refund(&paid.id(), 1_000, who("007")).await.unwrap();
    paid.wait(&["returned"]).await.unwrap();

    // Nobody knows who stands at a till that was restarted.
    assert_eq!(say(&client, "cash", NUMBER, PASSWORD, OPERATOR).await, "");
    rig.kill_till();
    rig.start_till().unwrap();
    let client = up(&mut rig).await;
    let watch = Watch::new(rig.bus.address()).await.unwrap();
    assert_eq!(state(&client, "cash").await, stands("required", 0, ""));
    why_not(&client, &watch).await;
    rig.at_rest(&client).await.unwrap();
}

/// A bank-card channel that comes first and asks for the merchant.
fn guarded(acquirer: &Acquirer) -> String {
    format!(
        r#"
[channel.guarded]
plugin = "org.tilld.bankcard"
priority = 5
secrets = {{ tmk = "tmk" }}
[channel.guarded.merchant-auth]
number = "{NUMBER}"
password-hash = "guarded-password"
[channel.guarded.settings]
address = "{}"
terminal = "12345678"
merchant = "123456789012345"
no_pin = "accept"
tls = false
"#,
        acquirer.addr()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_what_is_under_way_when_it_ends_is_resolved_and_the_next_sale_goes_elsewhere() {
    let second = Acquirer::start(AcquirerConfig::default()).unwrap();
    let mut rig = stand(5, RigOptions { extra_config: guarded(&second), ..RigOptions::default() });
    make_hash(&rig, "guarded-password");
    rig.start_till().unwrap();
    let client = up(&mut rig).await;
    let ready = || async { (client.channel("guarded").await.ok()?.0 == "ready").then_some(()) };
    until("the guarded channel is ready", ready).await.unwrap();
    assert_eq!(say(&client, "guarded", NUMBER, PASSWORD, OPERATOR).await, "");

    // Booked there, and the answer is lost; before it is known what became of it, the merchant is gone.
    second.faults().add(Rule::once("sale", Fault::DropAfterBooking {})).unwrap();
    let fired = second.faults().fired().len();
    let payment = client.ready(2_000).await.unwrap();
    rig.reader.swipe(&again(TRACKS)).unwrap();
    assert!(second.faults().wait_fired(fired + 1, till_tests::scene::PATIENCE));
    terminal(&client).await.sign_out_merchant("guarded", Options::new()).await.unwrap();
    payment.wait_attempt(&["reversed"]).await.unwrap();
    payment.confirm(2_000).await.unwrap();
    rig.reader.swipe(&again(TRACKS)).unwrap();
    payment.wait(&["paid"]).await.unwrap();
    assert_eq!(payment.channel().await.unwrap(), "bankcard");
    let told = terminal(&client).await.explain(&payment.id(), Options::new()).await.unwrap();
    assert!(told[0].text.contains("guarded takes it"), "{}", told[0].text);
    assert!(
        told[1].text.contains("guarded: not: it asks for the merchant's number and password")
            && told[1].text_zh.contains("guarded：排除：该通道须先验证商户号与密码"),
        "{}\n{}",
        told[1].text,
        told[1].text_zh
    );
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_wrong_tries_wait_and_lock_whatever_restarts_and_clocks_do() {
    const YEARS: i64 = 10 * 365 * 86_400;
    let dir = tempfile::tempdir().unwrap();
    let wall = Wall::new(dir.path());
    let mut rig = stand(4, RigOptions { env: wall.env(), ..RigOptions::default() });
    rig.start_till().unwrap();
    let mut client = up(&mut rig).await;
    let mut watch = Watch::new(rig.bus.address()).await.unwrap();

    // Asked again and again, with the clock going wild: each try that is taken comes its time after the one before, and
    // there are no more of them than four.
    let mut taken: Vec<Instant> = Vec::new();
    for wrong in 1..=4_u32 {
        let (began, code) = loop {
            wall.ahead(YEARS * i64::from(wrong % 2));
            let began = Instant::now();
            let code = say(&client, "cash", NUMBER, "heron-Lantern-4918", OPERATOR).await;
            if code != "TooSoon" {
                break (began, code);
            }
            // It waits for a clock: this asks until that has gone on.
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(code, "WrongPassword");
        if let Some(before) = taken.last() {
            let least = Duration::from_millis(1_000 << (wrong - 2));
            assert!(before.elapsed() >= least, "try {wrong} after {:?}", before.elapsed());
        }
        taken.push(began);
        if wrong == 2 {
            rig.kill_till();
            rig.start_till().unwrap();
            client = up(&mut rig).await;
            watch = Watch::new(rig.bus.address()).await.unwrap();
            assert_eq!(state(&client, "cash").await, stands("required", 2, ""), "counted on disk");
        }
    }
    let alarm = |e: &Event| matches!(&e.change, Change::Alarm { code, .. } if code == "merchant-locked");
    watch.wait("the alarm", |seen| seen.iter().any(alarm).then_some(())).await.unwrap();
    assert_eq!(state(&client, "cash").await, stands("locked", 4, ""));
    let (en, zh) = why_not(&client, &watch).await;
    assert!(en.contains("a supervisor unlocks it") && zh.contains("主管解锁"), "{en} {zh}");

    // The right one is not even looked at; no year and no restart opens the lock.
    wall.ahead(YEARS);
    assert_eq!(say(&client, "cash", NUMBER, PASSWORD, OPERATOR).await, "Locked");
    rig.kill_till();
    wall.ahead(-YEARS);
    rig.start_till().unwrap();
    let client = up(&mut rig).await;
    assert_eq!(say(&client, "cash", NUMBER, PASSWORD, OPERATOR).await, "Locked");
    let till = terminal(&client).await;
    assert!(matches!(till.unlock_merchant("cash", Options::new()).await, Err(Error::InvalidArgs(_))));
    till.unlock_merchant("cash", [("operator", "chen".into())].into()).await.unwrap();
    assert_eq!(state(&client, "cash").await, stands("required", 0, ""));
    assert_eq!(say(&client, "cash", NUMBER, PASSWORD, OPERATOR).await, "");
    assert!(rig.stop_till());
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_password_and_hash_are_left_nowhere() {
    let options = RigOptions { env: vec![("TILLD_LOG".into(), "debug".into())], ..RigOptions::default() };
    let mut rig = stand(5, options);
    let heard = tap(&rig).await.unwrap();
    let hash = fs::read_to_string(rig.dir.join("secrets/cash-password")).unwrap();
    let tail = hash.trim().rsplit('$').next().unwrap().to_owned();
    let needles = [
        Needle::bytes("password", PASSWORD.as_bytes()),
        Needle::bytes("a wrong password", b"otter-Lantern-7730"),
        Needle::bytes("hash", tail.as_bytes()),
    ];
    rig.start_till().unwrap();
    let client = up(&mut rig).await;
    let (wrong, typed) = (rig.dir.join("secrets/wrong"), password_file(&rig));
    fs::write(&wrong, "otter-Lantern-7730\n").unwrap();
    let mut found = Vec::new();
    let said = |file: &PathBuf| {
        let arguments = ["--operator", OPERATOR, "merchant", "sign-in", "cash", NUMBER, "--password-file"];
        tillctl(&rig, &arguments).arg(file).output().unwrap()
    };
    let (no, heard_out) = (said(&wrong), Mutex::new(Vec::new()));
    assert_eq!(no.status.code(), Some(5), "{}", String::from_utf8_lossy(&no.stderr));
    until("the next try is taken", || async {
        let yes = said(&typed);
        heard_out.lock().unwrap().extend([yes.stdout, yes.stderr].concat());
        yes.status.success().then_some(())
    })
    .await
    .unwrap();
    let mut out = heard_out.into_inner().unwrap();
    out.extend([no.stdout, no.stderr].concat());
    let payment = client.ready(700).await.unwrap();
    payment.pay_cash(700).await.unwrap();
    payment.wait(&["paid"]).await.unwrap();
    client.find(&payment.id()).await.unwrap();
    assert_eq!(state(&client, "cash").await.state, "passed");
    for pid in rig.hosts().into_iter().map(|(pid, _)| pid).chain(rig.pid()) {
        for part in ["environ", "cmdline"] {
            let place = format!("/proc/{pid}/{part}");
            found.extend(search::bytes(&place, &fs::read(&place).unwrap_or_default(), &needles));
        }
    }
    let export = rig.dir.join("export.jsonl");
    client.export_journal(fs::File::create(&export).unwrap()).await.unwrap();
    let exported = fs::read_to_string(&export).unwrap();
    assert!(exported.contains("merchant-tried") && exported.contains("merchant-passed"), "both are told");

    // A hash that is none is a problem that says where, and not what.
    fs::write(rig.dir.join("secrets/cash-password"), hash.replace("argon2id", "argon3id")).unwrap();
    let checked = rig.till_command().unwrap().arg("--check-config").output().unwrap();
    let problem = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(problem.contains("channel cash: merchant-auth.password-hash"), "{problem}");
    terminal(&client).await.sign_out_merchant("cash", Options::new()).await.unwrap();
    assert_eq!(say(&client, "cash", NUMBER, PASSWORD, OPERATOR).await, "Unsupported");
    assert_eq!(state(&client, "cash").await, stands("required", 0, ""), "it cost nobody a try");
    assert!(rig.stop_till());

    found.extend(search::bytes("tillctl", &out, &needles));
    found.extend(search::bytes("--check-config", &checked.stderr, &needles));
    let count = search::files(&rig.dir, &["secrets", "plugins"], &needles, &mut found).unwrap();
    assert!(count > 5, "{count} files");
    let log = rig.log_lines().join("\n");
    assert!(log.contains("the merchant passed"), "the log is that of this till");
    found.extend(search::bytes("log", log.as_bytes(), &needles));
    let bus = heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let member = b"AuthenticateMerchant";
    assert!(bus.windows(member.len()).any(|w| w == member), "the tap heard the calls");
    found.extend(search::bytes("D-Bus", &bus, &needles));
    assert_eq!(found, []);
    let mut there = Vec::new();
    search::files(&rig.dir.join("secrets"), &[], &needles, &mut there).unwrap();
    assert!(there.len() >= 3, "the search finds them where they are: {there:?}");
}
