//! What a call across the process boundary costs, how fast a host comes back, and what a host weighs.
//!
//! `cargo bench -p till-hosts`. One run prints all figures; only figures of one run are comparable.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::float_arithmetic, clippy::cast_precision_loss)] // figures for people

use std::path::Path;
use std::time::{Duration, Instant};

use till_fixture_kit as kit;
use till_hosts::till_plugin::channel::{AttemptIds, Authorise};
use till_hosts::till_plugin::instrument::Instrument;
use till_hosts::till_plugin::{Currency, Extra, Money};
use till_hosts::{
    Catalog, ChannelClient, Events, Instance, InstanceEvent, InstanceSpec, Supervisor, SupervisorConfig,
};

const CALL: Duration = Duration::from_secs(10);
const ROUNDS: usize = 20_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let plugins = dir.path().join("plugins");
        kit::install_fixture(&plugins, "goodchannel");
        let supervisor =
            Supervisor::new(SupervisorConfig::new(kit::host(), dir.path().join("state"))).unwrap();
        let catalog = Catalog::scan(&[&plugins]);
        let plugin = catalog.get("org.tilld.fixture.goodchannel").unwrap();
        let spec = InstanceSpec::new("bench", plugin.clone());
        let (instance, mut events) = supervisor.start(spec).unwrap();
        instance.ready().await.unwrap();
        println!("| figure | p50 | p99 | best |");
        println!("|---|---|---|---|");
        floor();
        calls(&instance).await;
        respawn(&instance, &mut events).await;
        memory(instance.status().host.unwrap().pid);
        supervisor.shutdown().await;
    });
}

fn row(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: usize| times[(times.len() - 1) * part / 100].as_nanos() as f64 / 1000.0;
    println!("| {name} | {:.1} us | {:.1} us | {:.1} us |", at(50), at(99), at(0));
}

/// The floor: the same bytes there and back over a socket pair between two blocking threads.
fn floor() {
    use std::io::{Read, Write};
    let (mut here, mut there) = std::os::unix::net::UnixStream::pair().unwrap();
    let echo = std::thread::spawn(move || {
        let mut bytes = [0; 400];
        while there.read_exact(&mut bytes).is_ok() {
            if there.write_all(&bytes).is_err() {
                return;
            }
        }
    });
    let mut bytes = [7; 400];
    let times = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            here.write_all(&bytes).unwrap();
            here.read_exact(&mut bytes).unwrap();
            began.elapsed()
        })
        .collect();
    drop(here);
    echo.join().unwrap();
    row("400 bytes there and back, blocking threads (floor)", times);
}

async fn calls(instance: &Instance) {
    let client = ChannelClient::new(instance.clone());
    let amount = Money::new(12_850, Currency::CNY);
    let request = Authorise {
        ids: AttemptIds {
            payment: [1; 16],
            attempt: 1,
            trace: 42,
            batch: 1,
            order: "T0000000042".into(),
            wall_ms: 0,
        },
        hold: false,
        amount,
        instrument: Instrument::Cash { tendered: amount },
        subject: "x".repeat(300),
        operator: None,
        pin_block: None,
        extra: Extra::new(),
    };
    for _ in 0..1000 {
        client.prepare(&request, CALL).await.unwrap().unwrap();
    }
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let prepared = client.prepare(&request, CALL).await.unwrap().unwrap();
        times.push(began.elapsed());
        assert_eq!(prepared.recovery.expose().len(), 300);
    }
    row("typed call with 300 bytes each way, host busy", times);
    let mut times = Vec::new();
    for _ in 0..100 {
        // Long enough for the plugin to be asleep in its poll.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let began = Instant::now();
        client.prepare(&request, CALL).await.unwrap().unwrap();
        times.push(began.elapsed());
    }
    row("the same after 20 ms of idleness", times);
}

async fn respawn(instance: &Instance, events: &mut Events) {
    let mut ready = async || {
        while let Some(event) = events.next().await {
            if matches!(event, InstanceEvent::State(till_hosts::InstanceState::Ready)) {
                return;
            }
        }
        panic!("the instance has stopped");
    };
    ready().await;
    let (mut restarts, mut starts) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        let began = Instant::now();
        instance.restart();
        ready().await;
        restarts.push(began.elapsed());
        starts.push(instance.status().host.unwrap().start_took);
    }
    row("start of a host process to ready", starts);
    row("restart: stop, start, ready", restarts);
}

/// Private memory of the host, kB, from the kernel's own sums.
fn memory(pid: u32) {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(Path::new(&path)).unwrap_or_default();
    let field = |name: &str| -> u64 {
        text.lines()
            .filter(|l| l.starts_with(name))
            .filter_map(|l| l.split_ascii_whitespace().nth(1)?.parse::<u64>().ok())
            .sum()
    };
    println!();
    println!(
        "host memory: Rss {} kB, Pss {} kB, private {} kB (clean {} + dirty {})",
        field("Rss:"),
        field("Pss:"),
        field("Private_Clean:") + field("Private_Dirty:"),
        field("Private_Clean:"),
        field("Private_Dirty:")
    );
}
