//! What a plugin must not be able to do, tried by one that tries.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use till_hosts::DriverClient;
use till_hosts::till_plugin::driver::HealthLevel;

use crate::bench::{BAD, Bench, CALL, within};

#[tokio::test]
async fn c20_files_networks_programs_and_other_processes_are_closed() {
    let bench = Bench::new(&["bad"]);
    // Readable by everybody, like a journal with a careless mode would be.
    let file = bench.dir.path().join("journal.log");
    std::fs::write(&file, "secret").unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = bench.dir.path().join("bus");
    let _bus = UnixListener::bind(&socket).unwrap();
    let settings = format!(
        "how = 'probe'\nfile = '{}'\naddress = '{}'\nsocket = '{}'",
        file.display(),
        tcp.local_addr().unwrap(),
        socket.display()
    );
    let (bad, _events) = bench.ready(bench.spec("bad", BAD, &settings)).await;
    let layers = bad.status().host.unwrap();
    let layers = layers.layers();
    let health = within(DriverClient::new(bad.clone()).health(HealthLevel::Internal, CALL)).await.unwrap();
    println!("layers: {layers:?}\nreport: {}", health.text);
    let report: BTreeMap<_, _> = health.text.split(' ').filter_map(|r| r.split_once('=')).collect();
    assert_eq!(report["thread"], "done", "a plugin may have threads");
    if layers["seccomp"] == "full" {
        for what in ["connect", "udp", "unix", "exec", "execve", "ptrace", "kill", "fork", "dumpable"] {
            assert_eq!(report[what], "PermissionDenied", "{what}: {}", health.text);
        }
    } else {
        println!("skipped: no seccomp here ({})", layers["seccomp"]);
    }
    if layers["landlock"].starts_with("off") {
        println!("skipped: no landlock here ({})", layers["landlock"]);
    } else {
        for what in ["open", "create", "shadow"] {
            assert_eq!(report[what], "PermissionDenied", "{what}: {}", health.text);
        }
    }
}
