//! `SelectChannel` beside a method that returns at once, on the same bus, from the same front-end.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use zbus::Variant;

use crate::figures::{Spread, time};
use crate::table::Row;
use crate::till::{Bench, PATIENCE};
use crate::{Effort, Outcome};

const NAME: &str = "org.tilld.Bench";
const PATH: &str = "/org/tilld/Bench";

struct Bare;

#[zbus::interface(name = "org.tilld.Bench")]
impl Bare {
    /// The arguments of `SelectChannel`, and nothing done with them.
    #[allow(clippy::unused_self, clippy::needless_pass_by_value)] // the macro's shape
    fn nothing(&self, channel: &str, options: HashMap<String, Variant<'_>>) {
        let _ = (channel, options);
    }
}

/// The bare service, a process of its own as `tilld` is, on the same kind of runtime. Ends with its standard input.
pub async fn serve_bare(address: &str) -> Outcome {
    let _connection =
        zbus::connection::Builder::address(address).serve_at(PATH, Bare).name(NAME).build().await?;
    println!("ready");
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    Ok(())
}

/// The bare service as a child; gone with this.
struct Service(Child);

impl Service {
    fn start(address: &str) -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["bare-bus", address])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take();
        let service = Self(child);
        let mut line = String::new();
        BufReader::new(stdout.ok_or("no output of the bare service")?).read_line(&mut line)?;
        (line.trim() == "ready").then_some(service).ok_or_else(|| "the bare service did not start".into())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Measures on a standing till; `whole` says what its journal is on.
pub async fn row(bench: &Bench, on: &str, aim: Option<f64>, effort: Effort) -> Outcome<Row> {
    let address = bench.rig.bus.address();
    let _service = Service::start(address)?;
    let connection = zbus::connection::Builder::address(address).method_timeout(PATIENCE).build().await?;
    let proxy = |name: &'static str, path: &'static str, interface: &'static str| {
        zbus::proxy::Builder::<zbus::Proxy<'static>>::new(&connection)
            .destination(name)
            .path(path)
            .interface(interface)
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()
    };
    let till = proxy("org.tilld.Till1", "/org/tilld/Till1", "org.tilld.Terminal1").await?;
    let bare = proxy(NAME, PATH, "org.tilld.Bench").await?;
    let options = HashMap::<&str, Variant<'_>>::new;

    let (mut switches, mut nothings) = (Vec::new(), Vec::new());
    let rounds = effort.pick(1_000, 200);
    for round in 0..rounds + 50 {
        let channel = ["cash", "bankcard"][round % 2];
        let begun = Instant::now();
        bare.call::<_, _, ()>("Nothing", &(channel, options())).await?;
        let nothing = begun.elapsed();
        let begun = Instant::now();
        till.call::<_, _, ()>("SelectChannel", &(channel, options())).await?;
        let switch = begun.elapsed();
        // A round trip that is not counted: what the switch leaves behind (signals) is not the next call's burden.
        till.get_property::<String>("CurrentChannel").await?;
        if round >= 50 {
            nothings.push(nothing);
            switches.push(switch);
        }
    }
    till.call::<_, _, ()>("SelectChannel", &("", options())).await?;
    let (switch, nothing) = (Spread::of(&switches), Spread::of(&nothings));
    let ratio = switch.p50 / nothing.p50;
    let row = Row::new(
        format!("SelectChannel, journal {on}, p50 / p99"),
        format!("{} / {}", time(switch.p50), time(switch.p99)),
    )
    .beside(format!("bare zbus method, {} / {}", time(nothing.p50), time(nothing.p99)), ratio);
    Ok(match aim {
        Some(most) => row.aim(&format!("≤ {most}"), ratio <= most),
        None => row,
    })
}

/// A till whose journal is in memory, for the line without the disk.
pub async fn without_disk(effort: Effort) -> Outcome<Row> {
    let memory = Path::new("/dev/shm");
    if !memory.is_dir() {
        return Ok(Row::new("SelectChannel, journal in memory", "no /dev/shm on this machine"));
    }
    let mut bench = Bench::start(memory).await?;
    let row = row(&bench, "in memory", Some(2.0), effort).await?;
    bench.rig.stop_till();
    Ok(row)
}
