//! `kill -9` at any moment: what was acknowledged is there. (It says nothing about power: see power_cut.rs.)

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const LAB: &str = env!("CARGO_BIN_EXE_till-journal-lab");

#[test]
fn twenty_kills_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("journal");
    let mut acked: BTreeMap<u64, u64> = BTreeMap::new();
    for round in 0..20u32 {
        let mut writer = Command::new(LAB)
            .args(["write", root.to_str().unwrap(), "100000", "4", "3000"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Killed after so many answers: during opening, early, at rotations. What still stands in the pipe counts.
        let answers = (round % 7) * (round % 7) * 12;
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
        if answers > 0 {
            let mut seen = 0;
            for line in lines.by_ref() {
                seen += u32::from(note(&mut acked, &line));
                if seen >= answers {
                    break;
                }
            }
        }
        writer.kill().unwrap();
        for line in lines {
            note(&mut acked, &line);
        }
        writer.wait().unwrap();
        let mut verify = Command::new(LAB);
        verify.arg("verify").arg(&root).args(acked.iter().map(|(t, c)| format!("{t}:{c}")));
        let output = verify.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "round {round}: {said}");
        assert!(!said.contains("damaged"), "round {round}: a kill must not look like damage: {said}");
    }
    println!("acknowledged: {acked:?}");
    assert!(acked.values().sum::<u64>() > 1000, "too little was acknowledged to mean anything: {acked:?}");
}

/// Notes an acknowledgement; false for any other line.
fn note(acked: &mut BTreeMap<u64, u64>, line: &str) -> bool {
    assert!(!line.starts_with("FAILED"), "{line}");
    let mut words = line.split(' ');
    let (Some("acked"), Some(thread), Some(count)) = (words.next(), words.next(), words.next()) else {
        return false;
    };
    acked.insert(thread.parse().unwrap(), count.parse().unwrap());
    true
}
