//! `kill -9`, a real ext4 that is cut off, and bad disks, under the real daemon.

use till_crashlab::report::{self, Line};
use till_crashlab::{LabError, Programs, damage, kills, scenario, volume};
use till_powercut::recorder::RecordError;

fn green(lines: &[Line]) {
    println!("{}", report::table(lines));
    assert!(report::is_green(lines), "{}", report::table(lines));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kill_takes_what_was_told() {
    green(&[kills::run(27, 1).await.unwrap()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cut_of_a_real_ext4_takes_what_was_told() {
    green(&[volume::run(1, 1_500, 1).await.unwrap()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_of_any_file_is_told_and_every_record_is_served() {
    let programs = Programs::beside().unwrap();
    // The last start ends by kill -9.
    let size = scenario::Size { sessions: 4, sales: 8, seed: 5 };
    let recorded = match scenario::run(size, &programs).await {
        Ok(recorded) => recorded,
        Err(LabError::Record(e @ RecordError::NotPermitted(_))) => {
            println!("skipped: {e}");
            return;
        }
        Err(e) => panic!("{e}"),
    };
    let lines = [
        damage::in_process(&recorded, &programs, 4, 1).unwrap(),
        damage::on_daemon(&recorded, &programs, 1, 1).await.unwrap(),
    ];
    green(&lines);
}
