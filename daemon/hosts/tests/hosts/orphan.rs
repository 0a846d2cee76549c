//! A daemon that is killed leaves no host behind, not even one whose plugin hangs.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::bench::{BAD, Bench};

const ROLE: &str = "TILL_TEST_ROLE";

/// Not a test: the daemon that the test below kills.
#[test]
fn as_a_daemon() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let bench = Bench::with(&["good", "bad"], |c| c.timing.poll = Duration::from_mins(10));
        let (good, _g) = bench.good().await;
        let (bad, _b) = bench.ready(bench.spec("bad", BAD, "how = 'hang'\nwhen = 'poll'")).await;
        let pid = |i: &till_hosts::Instance| i.status().host.unwrap().pid;
        println!("hosts {} {}", pid(&good), pid(&bad));
        std::io::stdout().flush().unwrap();
        std::future::pending::<()>().await;
    });
}

#[test]
fn no_host_outlives_a_killed_daemon() {
    let mut daemon = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "orphan::as_a_daemon", "--nocapture"])
        .env(ROLE, "daemon")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(daemon.stdout.take().unwrap()).lines();
    let pids: Vec<u32> = lines
        .map_while(Result::ok)
        .find_map(|l| l.split_once("hosts ").map(|(_, pids)| pids.to_owned()))
        .expect("the daemon did not start its hosts")
        .split(' ')
        .map(|p| p.parse().unwrap())
        .collect();
    assert_eq!(pids.len(), 2);
    let alive = |pid: &u32| {
        Path::new(&format!("/proc/{pid}/exe")).exists() || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            !stat.is_empty() && !stat.contains(") Z ")
        }
    };
    assert!(pids.iter().all(alive));

    daemon.kill().unwrap();
    daemon.wait().unwrap();
    let killed = Instant::now();
    while pids.iter().any(alive) {
        assert!(killed.elapsed() < Duration::from_secs(1), "a host outlives its daemon");
        std::thread::yield_now();
    }
    println!("the last host was gone after {:?}", killed.elapsed());
}
