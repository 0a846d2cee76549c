//! One call through the plugin boundary beside a bare socketpair and a call within the process.
//!
//! All three carry the same bytes and give them back. In the process and through the host the same code of the SDK
//! decodes and encodes them; what differs is the way.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use till_hosts::{Catalog, ChannelClient, ClockTrust, InstanceSpec, Supervisor, SupervisorConfig};
use till_plugin::channel::{
    AttemptIds, Authorise, Channel, ChannelDescription, ChannelEvent, Decline, FollowUp, Outcome as Answer,
    Prepared, UndoOutcome, UndoReason,
};
use till_plugin::export::{ServeChannel, Served};
use till_plugin::proto::{decode, encode, method};
use till_plugin::testing::TestHost;
use till_plugin::{Currency, Extra, Host, Instrument, Money, PluginError, Sensitive, Settings};
use till_tests::staging;

use crate::figures::{Spread, time};
use crate::table::Row;
use crate::{Effort, Outcome};

/// Bytes of the request.
const REQUEST: usize = 300;
const PLUGIN: &str = "org.tilld.fixture.goodchannel";
const LIBRARY: &str = "libtill_fixture_goodchannel.so";
const CALL: Duration = Duration::from_secs(10);

fn authorise(subject: String) -> Authorise {
    let amount = Money::new(12_850, Currency::CNY);
    Authorise {
        ids: AttemptIds {
            payment: [1; 16],
            attempt: 1,
            trace: 42,
            batch: 1,
            order: "T0000000042".into(),
            wall_ms: 1_767_323_045_000,
        },
        hold: false,
        amount,
        instrument: Instrument::Cash { tendered: amount },
        subject,
        operator: None,
        pin_block: None,
        extra: Extra::new(),
    }
}

/// A request of exactly [`REQUEST`] bytes.
fn request() -> Outcome<Authorise> {
    // A text of 128 bytes or more has its length in two bytes, an empty one in one.
    let rest = encode(&authorise(String::new()))?.len() + 1;
    let request = authorise("x".repeat(REQUEST.saturating_sub(rest)));
    let bytes = encode(&request)?.len();
    if bytes == REQUEST { Ok(request) } else { Err(format!("the request has {bytes} bytes").into()) }
}

/// What the fixture does, within this process.
struct Echo;

impl Channel for Echo {
    fn open(_host: Host, _settings: Settings) -> Result<Self, PluginError> {
        Ok(Self)
    }
    fn describe(&self) -> ChannelDescription {
        ChannelDescription {
            families: Vec::new(),
            operations: Vec::new(),
            currencies: Vec::new(),
            resolve: till_plugin::channel::ResolveProfile { query: None, undo: None, single_slot: false },
            needs_clock: false,
            merchant: None,
            terminal: None,
            authorise_timeout_ms: 1_000,
            extra: Extra::new(),
        }
    }
    fn prepare(&mut self, request: &Authorise) -> Result<Prepared, Decline> {
        let recovery = Sensitive::new(request.subject.as_bytes().to_vec());
        Ok(Prepared { recovery, masked: request.instrument.masked() })
    }
    fn authorise(&mut self, _request: &Authorise, _prepared: &Prepared) -> Answer {
        Answer::NotSent(Decline::local(till_plugin::channel::DeclineClass::Channel, "bench", "an echo"))
    }
    fn undo(&mut self, _original: &FollowUp, _reason: UndoReason) -> UndoOutcome {
        UndoOutcome::NeverExisted
    }
    fn poll(&mut self, _budget: Duration) -> Result<Vec<ChannelEvent>, PluginError> {
        Ok(Vec::new())
    }
}

/// The other end of the bare socketpair: gives every request back. Standard input is the socket.
pub fn echo_main() -> Outcome {
    let mut socket = UnixStream::from(rustix::io::dup(std::io::stdin())?);
    let mut bytes = [0; REQUEST];
    while socket.read_exact(&mut bytes).is_ok() {
        socket.write_all(&bytes)?;
    }
    Ok(())
}

fn bare(count: usize) -> Outcome<Spread> {
    let (mut here, there) = UnixStream::pair()?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg("echo")
        .stdin(Stdio::from(OwnedFd::from(there)))
        .spawn()?;
    let mut bytes = [0x5a; REQUEST];
    let times = each(count, || {
        here.write_all(&bytes)?;
        here.read_exact(&mut bytes)?;
        Ok(())
    });
    drop(here);
    child.wait()?;
    Ok(Spread::of(&times?))
}

fn in_process(count: usize, request: &Authorise) -> Outcome<Spread> {
    let mut served = ServeChannel::<Echo>::open(TestHost::new().host(), Settings::from_json("{}"))?;
    let times = each(count, || {
        let reply = served.call(method::PREPARE_1, &encode(request)?)?;
        let prepared: Result<Prepared, Decline> = decode(&reply)?;
        if prepared.is_err() {
            return Err("the echo refused".into());
        }
        Ok(())
    })?;
    Ok(Spread::of(&times))
}

fn each(count: usize, mut once: impl FnMut() -> Outcome) -> Outcome<Vec<Duration>> {
    let mut times = Vec::with_capacity(count);
    for turn in 0..count + count / 10 {
        let begun = Instant::now();
        once()?;
        if turn >= count / 10 {
            times.push(begun.elapsed());
        }
    }
    Ok(times)
}

async fn through_host(dir: &Path, count: usize, request: &Authorise) -> Outcome<Spread> {
    let plugins = dir.join("plugins");
    let built = staging::built()?;
    let manifest = staging::workspace().join("plugins/fixtures/goodchannel/manifest.toml");
    staging::plugin(&plugins, PLUGIN, &manifest, &built.join(LIBRARY))?;
    let catalog = Catalog::scan(&[&plugins]);
    let plugin = catalog.get(PLUGIN).ok_or_else(|| format!("{:?}", catalog.errors()))?.clone();
    let config = SupervisorConfig {
        clock: ClockTrust::Always,
        ..SupervisorConfig::new(built.join("till-plugin-host"), dir.join("state"))
    };
    let supervisor = Supervisor::new(config)?;
    let (instance, _events) = supervisor.start(InstanceSpec::new("echo", plugin))?;
    instance.ready().await.map_err(|state| format!("the echo plugin is {state:?}"))?;
    let client = ChannelClient::new(instance);
    let mut times = Vec::with_capacity(count);
    for turn in 0..count + count / 10 {
        let begun = Instant::now();
        client.prepare(request, CALL).await?.map_err(|_| "the echo refused")?;
        if turn >= count / 10 {
            times.push(begun.elapsed());
        }
    }
    supervisor.shutdown().await;
    Ok(Spread::of(&times))
}

/// Lines of the table. `base`: a folder to work in.
pub async fn rows(base: &Path, effort: Effort) -> Outcome<Vec<Row>> {
    let dir = tempfile::tempdir_in(base)?;
    let request = request()?;
    let count = effort.pick(20_000, 2_000);
    // Bare before and after: the better of two says what the machine can do.
    let first = bare(count)?;
    let host = tokio::spawn({
        let (dir, request) = (dir.path().to_path_buf(), request.clone());
        // On a worker thread, as in the daemon.
        async move { through_host(&dir, count, &request).await.map_err(|e| e.to_string()) }
    })
    .await??;
    let second = bare(count)?;
    let bare = if first.p50 < second.p50 { first } else { second };
    let within = in_process(count, &request)?;
    let figure = |s: &Spread| format!("{} / {}", time(s.p50), time(s.p99));
    let what = format!("call of {REQUEST} B through till-hosts and its host, p50 / p99");
    Ok(vec![
        Row::new(what.clone(), figure(&host))
            .beside(format!("blocking socketpair, {}", figure(&bare)), host.p50 / bare.p50),
        Row::new(what, figure(&host))
            .beside(format!("in one process, {}", figure(&within)), host.p50 / within.p50),
    ])
}
