//! Who is not named in the configuration can do nothing with money and read nothing of it.
//!
//! Methods only: properties and signals are kept from strangers by the bus's policy, which the private bus of the tests does
//! not enforce.
//!
//! Needs root: a second process of this test gives its rights up and calls the till as user 65534.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use till_dbus::Options;
use till_tests::scene::{refused, wallet_code};
use till_tests::{Client, Rig, RigOptions};

const NOBODY: u32 = 65_534;
const ADDRESS: &str = "TILL_TEST_STRANGER_BUS";
const PAYMENT: &str = "TILL_TEST_STRANGER_PAYMENT";

/// Not a test of its own: what the stranger does, in a process of its own, one line a call.
#[tokio::test(flavor = "multi_thread")]
async fn stranger() {
    let (Ok(address), Ok(path)) = (std::env::var(ADDRESS), std::env::var(PAYMENT)) else { return };
    assert_eq!(rustix::process::geteuid().as_raw(), NOBODY);
    let client = Client::connect(&address).await.unwrap();
    let path: zbus::OwnedObjectPath = path.try_into().unwrap();
    let payment = client.payment(path);
    let drawer = client.terminal().await.unwrap();
    let drawer: zbus::Result<()> = drawer.call("OpenDrawer", &("I want it", Options::new())).await;
    let file = tempfile::tempfile().unwrap();
    let sign_in = client.proxy("/org/tilld/Till1/channel/bankcard", "org.tilld.Channel1").await.unwrap();
    let sign_in: zbus::Result<()> = sign_in.call("SignIn", &(Options::new(),)).await;
    let restart = client.proxy("/org/tilld/Till1/device/printer", "org.tilld.Device1").await.unwrap();
    let record: zbus::Result<zbus::OwnedFd> = restart.call("Record", &(Options::new(),)).await;
    let raw: zbus::Result<zbus::OwnedFd> = restart.call("RecordRaw", &(Options::new(),)).await;
    let claim: zbus::Result<()> = restart.call("Claim", &(Options::new(),)).await;
    let restart: zbus::Result<()> = restart.call("Restart", &(Options::new(),)).await;
    let answers = [
        ("OpenPayment", refused(client.open(100, "").await)),
        ("ConfirmAmount", refused(payment.confirm(1_000).await)),
        ("PayCash", refused(payment.pay_cash(1_000).await)),
        ("PayCode", refused(payment.pay_code(&wallet_code(7)).await)),
        ("Cancel", refused(payment.cancel().await)),
        ("Describe", refused(payment.describe().await)),
        ("ReceiptText", refused(payment.receipt().await)),
        ("FindPayment", refused(client.find(&payment.id()).await)),
        ("ListPayments", refused(client.all_payments().await)),
        ("SelectChannel", refused(client.select("cash").await)),
        ("OpenDrawer", refused(drawer)),
        ("Verify", refused(client.verify_journal().await)),
        ("Export", refused(client.export_journal(file).await)),
        ("SignIn", refused(sign_in)),
        ("Record", refused(record)),
        ("RecordRaw", refused(raw)),
        ("Claim", refused(claim)),
        ("Restart", refused(restart)),
    ];
    for (call, answer) in answers {
        println!("stranger {call} {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c16_a_user_whom_nobody_named_moves_no_money_and_reads_no_payment() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root to become another user");
        return;
    }
    let rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let payment = client.ready(1_000).await.unwrap();
    // The private bus keeps strangers out; a system bus does not.
    let open = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(&rig.dir, 0o755);
    open(&rig.dir.join("run"), 0o755);
    for entry in std::fs::read_dir(rig.dir.join("run")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|n| n.to_string_lossy().contains("bus")) {
            open(&path, 0o777);
        }
    }
    // The test's own file may lie where the stranger cannot go.
    let program = rig.dir.join("run/stranger");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    open(&program, 0o755);
    let mut command = Command::new(&program);
    command.args(["stranger", "--exact", "--nocapture"]).current_dir("/").uid(NOBODY).gid(NOBODY);
    command.env(ADDRESS, rig.bus.address()).env(PAYMENT, payment.path.as_str());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let answers: Vec<&str> =
        text.lines().filter(|l| l.contains("stranger ") && !l.contains("test ")).collect();
    assert!(answers.len() >= 15, "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let let_in: Vec<&&str> = answers.iter().filter(|l| !l.ends_with("NotAuthorized")).collect();
    assert!(let_in.is_empty(), "not refused: {let_in:?}");
    assert_eq!(payment.state().await.unwrap(), "ready");
    assert_eq!(client.all_payments().await.unwrap().len(), 1);
    assert_eq!(client.current_channel().await.unwrap(), "");
}
