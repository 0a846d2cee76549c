//! A plugin cannot see another's payments, secrets, files, memory or sockets (S74; channels.md C20): one that tries all of it
//! stands in a whole till while cards, codes and cash are taken.

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use till_tests::scene::{again, wallet_code};
use till_tests::{Rig, RigOptions, staging};

const PAN: &str = "4761739001010119";

/// Stands for a secret in the spy's own name.
const OWN: &str = "spy-own";

fn list(values: &[String]) -> String {
    format!("{values:?}")
}

/// Lines of the log that begin with this behind whatever stands before.
fn told(rig: &Rig, what: &str) -> Vec<String> {
    let lines = rig.log_lines().into_iter();
    lines.filter_map(|line| line.find(what).map(|at| line[at..].to_owned())).collect()
}

/// Waits until the spy has looked around so often again.
async fn rounds(rig: &Rig, more: usize) {
    let until = told(rig, "spy has tried").len() + more;
    let deadline = Instant::now() + till_tests::scene::PATIENCE;
    while told(rig, "spy has tried").len() < until {
        assert!(Instant::now() < deadline, "the spy does not look: {}", rig.log_lines().join("\n"));
        tokio::time::sleep(Duration::from_millis(20)).await; // asked again, until it is so
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s74_c20_a_spying_plugin_sees_nothing_of_the_others() {
    let mut rig = Rig::stand(RigOptions::default()).unwrap();
    let dir = rig.dir.clone();
    staging::plugin(
        &dir.join("plugins"),
        "org.tilld.fixture.spy",
        &staging::workspace().join("plugins/fixtures/spy/manifest.toml"),
        &staging::built().unwrap().join("libtill_fixture_spy.so"),
    )
    .unwrap();
    fs::write(dir.join("secrets").join(OWN), "what the spy may know").unwrap();
    fs::set_permissions(dir.join("secrets").join(OWN), fs::Permissions::from_mode(0o600)).unwrap();
    let own = dir.join("plugins/org.tilld.fixture.spy/libtill_fixture_spy.so").display().to_string();
    let at = |part: &str| dir.join(part).display().to_string();
    let bus =
        rig.bus.address().split("path=").nth(1).and_then(|rest| rest.split(',').next()).unwrap().to_owned();
    let look: Vec<String> =
        ["secrets", "state", "tilld.toml", "run", "plugins/org.tilld.alipay", "plugins/org.tilld.bankcard"]
            .map(at)
            .to_vec();
    let secrets: Vec<String> = [
        "tmk",
        "app_private_key",
        "alipay-key",
        "tls-client-key",
        "journal-key",
        "master-key",
        "prepaid-card-key",
    ]
    .map(str::to_owned)
    .to_vec();
    rig.drop_in(
        "spy.toml",
        &format!(
            "[channel.spy]\nplugin = \"org.tilld.fixture.spy\"\npriority = 1\nsecrets = {{ own = \"{OWN}\" }}\n\
             [channel.spy.settings]\nlook = {}\nsockets = {}\naddresses = {}\nsecrets = {}\n",
            list(&[look.clone(), vec![own.clone(), "/proc".into(), "/etc/shadow".into(), "/root".into(), "/tmp".into()]].concat()),
            list(&[bus, at("run/reader.sock"), "/run/dbus/system_bus_socket".into()]),
            list(&[rig.printer.addr().to_string()]),
            list(&secrets),
        ),
    )
    .unwrap();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    rounds(&rig, 1).await;

    let card = client.ready(1_000).await.unwrap();
    rig.reader
        .swipe(&again(&format!("%B{PAN}^TEST/CARD^30121010000000000?;{PAN}=30121010000000000?")))
        .unwrap();
    card.wait(&["paid"]).await.unwrap();
    let code = client.ready(1_100).await.unwrap();
    code.pay_code(&wallet_code(7)).await.unwrap();
    code.wait(&["paid"]).await.unwrap();
    let cash = client.ready(1_200).await.unwrap();
    cash.pay_cash(1_200).await.unwrap();
    cash.wait(&["paid"]).await.unwrap();
    rounds(&rig, 2).await;

    // The control: it is there, has what is its own, and tries a lot.
    assert!(!told(&rig, "spy has its own secret").is_empty());
    let tries = told(&rig, "spy has tried").pop().unwrap();
    let number: u64 = tries.split_whitespace().nth(3).unwrap().parse().unwrap();
    assert!(number > 1_000, "{tries}");
    // What it was given when it was started names no secret.
    let environment = told(&rig, "spy's environment has");
    let known = ["LANG", "PATH", "TZ", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"];
    let strange: Vec<_> =
        environment.iter().filter(|l| !known.iter().any(|k| l.contains(&format!("has {k} ")))).collect();
    assert!(strange.is_empty(), "{strange:?}");
    let log = rig.log_lines().join("\n");
    if log.contains("landlock=off") || log.contains("landlock: off") {
        println!("skipped: no landlock here");
        return;
    }
    // Its own library it may read, and it says so: what it gets it tells.
    let got: std::collections::BTreeSet<String> = told(&rig, "spy got")
        .into_iter()
        .map(|line| line.split(" INSTANCE=").next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(got.into_iter().collect::<Vec<_>>(), [format!("spy got the file {own}")]);
    assert!(rig.stop_till());
}
