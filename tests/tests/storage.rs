//! A disk that is full, read-only or damaged: sales are refused with a reason, what was begun is finished, and nothing
//! that was said is lost.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use till_simulators::faults::{Fault, Rule};
use till_simulators::players::Scan;
use till_tests::scene::{refused, until, wallet_code};
use till_tests::{Rig, RigOptions};

/// A small file system of its own, gone with the test.
struct Mount(PathBuf);

impl Mount {
    /// Mounts; None where that is not allowed.
    fn tmpfs(at: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(at).ok()?;
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).status().ok()?;
        status.success().then(|| Self(at.to_owned()))
    }

    fn remount(&self, options: &str) -> bool {
        let options = format!("remount,{options}");
        Command::new("mount").args(["-o", &options]).arg(&self.0).status().is_ok_and(|s| s.success())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Fills a file system to the last byte.
fn fill(dir: &Path) -> PathBuf {
    let path = dir.join("filler");
    let mut file = fs::File::create(&path).unwrap_or_else(|e| panic!("{e}"));
    for size in [1 << 20, 1 << 12, 1] {
        let block = vec![0xa5; size];
        while file.write_all(&block).is_ok() {}
    }
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_new_sales_and_finishes_what_was_begun() {
    let mut rig = Rig::stand(RigOptions::default()).unwrap();
    let journal = rig.dir.join("state/journal");
    // The rig's free floor is 16 MiB, the journal itself needs about 30.
    let Some(_mount) = Mount::tmpfs(&journal, "size=96m") else {
        println!("skipped: mounting a small file system needs root");
        return;
    };
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let first = client.ready(1_000).await.unwrap();
    rig.scanner.scan(&Scan::new(wallet_code(1))).unwrap();
    first.wait(&["paid"]).await.unwrap();
    let begun = client.ready(2_000).await.unwrap();
    rig.gateway.faults().add(Rule::once("alipay.trade.pay", Fault::HoldReply {})).unwrap();
    rig.scanner.scan(&Scan::new(wallet_code(2))).unwrap();
    assert!(rig.gateway.faults().wait_fired(1, Duration::from_secs(15)));

    let filler = fill(&journal);
    rig.gateway.faults().release();
    begun.wait(&["paid"]).await.unwrap();
    // Refused, and said why; also to the front-end that only looks.
    let refusal = || async { (refused(client.open(3_000, "").await) == "JournalUnavailable").then_some(()) };
    until("a new sale is refused", refusal).await.unwrap();
    assert_eq!(client.state().await.unwrap(), "blocked");
    assert!(client.blockers().await.unwrap().iter().any(|b| b.0 == "journal"));

    rig.kill_till();
    fs::remove_file(filler).unwrap();
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    for payment in [&first, &begun] {
        assert_eq!(client.details(&payment.id()).await.unwrap().state, "paid");
    }
    assert_eq!(rig.closed_books(&client).await.unwrap().wallet, 3_000);
    let third = client.ready(3_000).await.unwrap();
    third.pay_cash(3_000).await.unwrap();
    third.wait(&["paid"]).await.unwrap();
    assert_eq!(client.verify_journal().await.unwrap().1, Vec::<String>::new());
    rig.at_rest(&client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_disk_is_a_clear_error_and_an_exit_code() {
    let mut rig = Rig::stand(RigOptions::default()).unwrap();
    let state = rig.dir.join("state");
    let Some(mount) = Mount::tmpfs(&state, "size=96m") else {
        println!("skipped: mounting a small file system needs root");
        return;
    };
    // A till that worked before.
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let payment = client.ready(100).await.unwrap();
    payment.pay_cash(100).await.unwrap();
    payment.wait(&["paid"]).await.unwrap();
    assert!(rig.stop_till(), "a stopped till ends well");
    assert!(mount.remount("ro"));
    rig.start_till().unwrap();
    assert_eq!(rig.wait_end(), Some(1));
    let told = || async {
        let lines = rig.log_lines();
        lines
            .iter()
            .any(|l| l.contains("ERROR") && l.contains("journal") && l.to_lowercase().contains("read-only"))
            .then_some(())
    };
    until("the log says that the disk is read-only", told)
        .await
        .unwrap_or_else(|e| panic!("{e}\n{:#?}", rig.log_lines()));
    assert!(mount.remount("rw"));
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    assert_eq!(client.details(&payment.id()).await.unwrap().state, "paid");
    rig.at_rest(&client).await.unwrap();
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_is_rebuilt_with_an_alarm_and_every_payment_is_there() {
    let mut rig = Rig::start(RigOptions::default()).await.unwrap();
    let client = rig.client().await.unwrap();
    let mut payments = Vec::new();
    for number in 0..5 {
        let payment = client.ready(1_000 + number).await.unwrap();
        payment.pay_cash(2_000).await.unwrap();
        payment.wait(&["paid"]).await.unwrap();
        payments.push(payment);
    }
    let before = client.journal().await.unwrap();
    assert!(rig.stop_till());
    let mut all = Vec::new();
    files(&rig.dir.join("state/journal"), &mut all);
    // sled's log is the file `db`.
    let stores: Vec<_> = all.iter().filter(|p| p.file_name().is_some_and(|n| n == "db")).collect();
    assert!(!stores.is_empty(), "{all:?}");
    for store in stores {
        let mut bytes = fs::read(store).unwrap();
        let data = bytes.iter().rposition(|b| *b != 0).unwrap();
        for at in (0..data).step_by(97) {
            bytes[at] ^= 0x5a;
        }
        fs::write(store, bytes).unwrap();
    }
    rig.start_till().unwrap();
    let client = rig.wait_ready().await.unwrap();
    let log = rig.log_lines();
    assert!(log.iter().any(|l| l.contains("ERROR") && l.contains("journal:")), "{log:#?}");
    for payment in &payments {
        assert_eq!(client.details(&payment.id()).await.unwrap().state, "paid");
    }
    let after = client.journal().await.unwrap();
    for record in &before {
        let same = after.iter().find(|r| r["seq"] == record["seq"]).unwrap();
        assert_eq!(same["hash"], record["hash"]);
    }
    assert_eq!(client.verify_journal().await.unwrap().1, Vec::<String>::new());
    rig.at_rest(&client).await.unwrap();
}
