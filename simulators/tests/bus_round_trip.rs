//! How long a bare method call takes through the embedded bus and through `dbus-daemon`, side by side in one run:
//! `cargo test --release -p till-simulators --test bus_round_trip -- --ignored --nocapture`

#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests
#![allow(clippy::unused_self)] // D-Bus methods take self

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use till_simulators::bus::start_bus;
use zbus::{Connection, connection};

const NAME: &str = "org.example.Bare1";
const PATH: &str = "/org/example/Bare1";

struct Bare;

#[zbus::interface(name = "org.example.Bare1")]
impl Bare {
    fn ping(&self) {}
}

async fn measure(address: &str, calls: usize) -> Vec<Duration> {
    let _server =
        connection::Builder::address(address).serve_at(PATH, Bare).name(NAME).build().await.unwrap();
    let client: Connection = connection::Builder::address(address).build().await.unwrap();
    let mut times = Vec::with_capacity(calls);
    for call in 0..calls + 200 {
        let start = Instant::now();
        client.call_method(Some(NAME), PATH, Some(NAME), "Ping", &()).await.unwrap();
        if call >= 200 {
            times.push(start.elapsed()); // the first 200 warm both ends up
        }
    }
    times.sort();
    times
}

fn report(what: &str, times: &[Duration]) {
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "{what:<34} p50 {:>9.1?}  p90 {:>9.1?}  p99 {:>9.1?}  ({} calls)",
        at(50),
        at(90),
        at(99),
        times.len()
    );
}

fn process(command: &mut Command) -> (Child, String) {
    let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut address = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).unwrap();
    (process, address.trim().to_owned())
}

#[test]
#[ignore = "a measurement, not a check"]
fn round_trip_beside_dbus_daemon() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let calls = 5_000;
    {
        let bus = start_bus(&dir.path().join("thread")).unwrap();
        report("embedded bus, thread", &runtime.block_on(measure(bus.address(), calls)));
    }
    let socket = |name: &str| format!("unix:path={}", dir.path().join(name).display());
    let (mut embedded, address) = process(Command::new(env!("CARGO_BIN_EXE_till-sim")).args([
        "bus",
        "--print-address",
        "--address",
        &socket("sim"),
    ]));
    report("till-sim bus, own process", &runtime.block_on(measure(&address, calls)));
    embedded.kill().unwrap();
    embedded.wait().unwrap();
    if Command::new("dbus-daemon").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("skipped: dbus-daemon is not installed");
        return;
    }
    let (mut reference, address) = process(Command::new("dbus-daemon").args([
        "--session",
        "--nofork",
        "--print-address",
        "--address",
        &socket("ref"),
    ]));
    report("dbus-daemon --session", &runtime.block_on(measure(&address, calls)));
    reference.kill().unwrap();
    reference.wait().unwrap();
}
