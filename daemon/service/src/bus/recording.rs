//! Recordings of devices: from the instance's task, as text, into the pipe whose other end the caller has.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use till_hosts::till_plugin::host::TransportKind;
use till_hosts::till_plugin::proto::traffic::{Masking, Passed};
use till_hosts::transport::Step;
use till_hosts::transport::recording::{MAX_FILE, comment, first_line, line};
use till_hosts::{Recorded, RecordedWhat, Recorder, redact};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::Notify;
use tokio::time::{interval, sleep, timeout};

use super::errors::Error;
use super::options::{self, Options};
use super::{World, leases};

/// Longest recording.
const MAX_SECONDS: u32 = 3600;
const SECONDS: u32 = 300;
/// Size where the caller does not say, bytes.
const BYTES: u64 = 4 << 20;
/// Smallest: the head alone has some hundred bytes.
const MIN_BYTES: u64 = 4096;
/// Kept free for the end's own lines.
const END_LINES: u64 = 512;
/// How long the last lines may take to be taken.
const LAST_LINES: Duration = Duration::from_secs(1);
/// How often it is looked whether a raw recording may go on; no byte is written without looking.
const LOOK: Duration = Duration::from_millis(200);
/// Longest reason in a recording, bytes.
const MAX_REASON: usize = 200;

/// What a caller may say.
pub(super) struct Limits {
    seconds: u32,
    bytes: u64,
}

impl Limits {
    /// From a method's options.
    pub(super) fn new(options: &Options) -> Result<Self, Error> {
        let seconds = options::number(options, "seconds")?.unwrap_or(SECONDS);
        let bytes = options::big(options, "bytes")?.unwrap_or(BYTES);
        if !(1..=MAX_SECONDS).contains(&seconds) {
            return Err(Error::InvalidArgs(format!("option \"seconds\" is 1 to {MAX_SECONDS}")));
        }
        if !(MIN_BYTES..=MAX_FILE).contains(&bytes) {
            return Err(Error::InvalidArgs(format!("option \"bytes\" is {MIN_BYTES} to {MAX_FILE}")));
        }
        Ok(Self { seconds, bytes })
    }
}

struct Held {
    who: String,
    raw: bool,
    stop: Notify,
}

/// The recordings that run, by device.
#[derive(Default)]
pub struct Recordings(Mutex<BTreeMap<String, Arc<Held>>>);

impl Recordings {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Held>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `redacted`, `raw`, or nothing.
    pub(super) fn mode(&self, device: &str) -> &'static str {
        self.lock().get(device).map_or("", |h| if h.raw { "raw" } else { "redacted" })
    }

    /// Ends a recording; says whether there was one.
    pub(super) fn stop(&self, device: &str) -> bool {
        self.lock().get(device).map(|h| h.stop.notify_one()).is_some()
    }

    fn reserve(&self, device: &str, who: &str, raw: bool) -> Result<Arc<Held>, Error> {
        let mut all = self.lock();
        if let Some(held) = all.get(device) {
            return Err(Error::Busy(format!("the device {device} is being recorded by {}", held.who)));
        }
        let held = Arc::new(Held { who: who.to_owned(), raw, stop: Notify::new() });
        all.insert(device.to_owned(), held.clone());
        Ok(held)
    }
}

/// Who wants a recording, and of what.
pub(super) struct Wish {
    pub(super) device: String,
    /// Unique name: the recording ends with it.
    pub(super) owner: String,
    pub(super) who: String,
    pub(super) raw: bool,
    pub(super) limits: Limits,
}

/// Begins a recording; gives the end of the pipe that it comes out of.
pub(super) async fn start(
    world: &Arc<World>,
    connection: &zbus::Connection,
    wish: Wish,
) -> Result<std::os::fd::OwnedFd, Error> {
    if wish.raw && !world.handle.published.is_training() {
        return Err(Error::WrongState(
            "everything is recorded only while the till is in training, with test cards: `tillctl training on`; \
             a redacted recording can be made at any time"
                .into(),
        ));
    }
    let instance = world.supervisor.get(&wish.device).ok_or_else(|| {
        Error::WrongState(format!("device {} has no process: mend its configuration first", wish.device))
    })?;
    let held = world.recordings.reserve(&wish.device, &wish.who, wish.raw)?;
    let begun = async {
        let recorder = instance
            .record(wish.raw)
            .await
            .map_err(|e| Error::WrongState(format!("{}: {e}", wish.device)))?;
        let (reader, writer) = io::pipe().map_err(|e| Error::PluginFailed(e.to_string()))?;
        let pipe =
            pipe::Sender::from_owned_fd(writer.into()).map_err(|e| Error::PluginFailed(e.to_string()))?;
        Ok((recorder, pipe, reader))
    };
    let (recorder, pipe, reader) = begun.await.inspect_err(|_: &Error| {
        world.recordings.lock().remove(&wish.device);
    })?;
    tracing::info!(DEVICE = wish.device, raw = wish.raw, "recorded for {}", wish.who);
    if wish.raw {
        let text =
            format!("everything that passes {} is recorded for {}: test cards only", wish.device, wish.who);
        let _nobody_listens = super::alarm(connection, "warning", "raw-recording", &text).await;
    }
    tell(world, connection, &wish.device).await;
    let (world, connection) = (world.clone(), connection.clone());
    tokio::spawn(async move {
        let device = wish.device.clone();
        let why = Recording::new(&world, wish, pipe).run(&connection, &held, recorder).await;
        world.recordings.lock().remove(&device);
        tracing::info!(DEVICE = device, "recording ended: {why}");
        tell(&world, &connection, &device).await;
    });
    Ok(reader.into())
}

async fn tell(world: &World, connection: &zbus::Connection, device: &str) {
    let mode = world.recordings.mode(device);
    super::device_changed(connection, device, "Recording", mode.into()).await;
}

struct Recording {
    world: Arc<World>,
    wish: Wish,
    pipe: pipe::Sender,
    kind: Option<TransportKind>,
    /// What is not in the pipe yet: whole lines but for the first.
    pending: Vec<u8>,
    written: u64,
    last_ms: u64,
    steps: u64,
    dropped: u64,
}

impl Recording {
    fn new(world: &Arc<World>, wish: Wish, pipe: pipe::Sender) -> Self {
        Self {
            world: world.clone(),
            wish,
            pipe,
            kind: None,
            pending: Vec::new(),
            written: 0,
            last_ms: 0,
            steps: 0,
            dropped: 0,
        }
    }

    async fn run(
        mut self,
        connection: &zbus::Connection,
        held: &Held,
        mut recorder: Recorder,
    ) -> &'static str {
        let time = Duration::from_secs(self.wish.limits.seconds.into());
        let (owner, raw, published) =
            (self.wish.owner.clone(), self.wish.raw, self.world.handle.published.clone());
        let ending = async {
            let training_over = async {
                let mut look = interval(LOOK);
                while published.is_training() {
                    look.tick().await;
                }
            };
            tokio::select! {
                () = leases::left(connection, &owner) => "the caller left the bus",
                () = held.stop.notified() => "stopped",
                () = sleep(time) => "the time limit",
                () = training_over, if raw => "training has ended",
            }
        };
        let why = tokio::select! {
            biased;
            why = ending => why,
            why = self.carry(&mut recorder) => why,
        };
        self.dropped = recorder.dropped();
        // From here on nothing is taken any more: the driver's host stops telling.
        drop(recorder);
        self.finish(why).await;
        why
    }

    /// Writes what comes, until there is a reason to end.
    async fn carry(&mut self, recorder: &mut Recorder) -> &'static str {
        loop {
            if self.flush().await.is_err() {
                return "the caller closed the pipe";
            }
            let recorded = tokio::select! {
                recorded = recorder.next() => recorded,
                // Nobody reads any more, or nobody can tell.
                _ = self.pipe.ready(tokio::io::Interest::ERROR) => return "the caller closed the pipe",
            };
            let Some(recorded) = recorded else { return "the till stops" };
            if self.wish.raw && !self.world.handle.published.is_training() {
                return "training has ended";
            }
            let dropped = recorder.dropped();
            if dropped > self.dropped {
                self.dropped = dropped;
                self.push(&comment(&format!(
                    "{dropped} pieces were dropped up to here: too fast for the recording"
                )));
            }
            let text = match self.text(recorded) {
                Ok(text) => text,
                Err(why) => return why,
            };
            if self.written + (self.pending.len() + text.len()) as u64 + END_LINES > self.wish.limits.bytes {
                return "the size limit";
            }
            self.push(&text);
        }
    }

    fn push(&mut self, text: &str) {
        self.pending.extend_from_slice(text.as_bytes());
    }

    /// Cancel safe: what is left stays pending.
    async fn flush(&mut self) -> io::Result<()> {
        while !self.pending.is_empty() {
            let n = self.pipe.write(&self.pending).await?;
            self.pending.drain(..n);
            self.written += n as u64;
        }
        Ok(())
    }

    fn text(&mut self, recorded: Recorded) -> Result<String, &'static str> {
        self.last_ms = self.last_ms.max(recorded.at_ms);
        let at = Duration::from_millis(self.last_ms);
        Ok(match recorded.what {
            RecordedWhat::Open { transport, masking } => {
                let mut text = match self.kind {
                    None => self.head(transport.kind),
                    Some(kind) if kind == transport.kind => String::new(),
                    Some(_) => return Err("the device came back as another kind of transport"),
                };
                self.kind = Some(transport.kind);
                self.steps += 1;
                text += &line(at, &Step::Open);
                text += &comment(&format!("transport: {}", redact(&transport.name, MAX_REASON)));
                text + &content(masking)
            }
            RecordedWhat::Masking(masking) => content(masking),
            RecordedWhat::Passed(Passed::In(runs)) => {
                self.steps += 1;
                line(at, &Step::In(runs))
            }
            RecordedWhat::Passed(Passed::Out(runs)) => {
                self.steps += 1;
                line(at, &Step::Out(runs))
            }
            RecordedWhat::Passed(Passed::Note(note)) => {
                comment(&format!("{} ms: {}", self.last_ms, redact(&note, MAX_REASON)))
            }
            RecordedWhat::Gone(reason) => {
                self.steps += 1;
                line(at, &Step::Gone) + &comment(&redact(&reason, MAX_REASON))
            }
        })
    }

    fn head(&self, kind: TransportKind) -> String {
        let device = self.world.handle.published.get_device(&self.wish.device).unwrap_or_default();
        let now = jiff::Timestamp::now().round(jiff::Unit::Second).unwrap_or_default();
        let Limits { seconds, bytes } = self.wish.limits;
        [
            first_line(kind),
            comment(&format!("device: {} ({} {})", self.wish.device, device.plugin, device.version)),
            comment(&format!("started: {now}, by tilld {}", env!("CARGO_PKG_VERSION"))),
            comment(&format!("limits: {seconds} s, {bytes} bytes")),
        ]
        .concat()
    }

    /// The last lines, so that an end is told from a tear.
    async fn finish(&mut self, why: &str) {
        if self.kind.is_none() {
            let configured =
                self.world.config.devices.get(&self.wish.device).and_then(|d| d.transport.kind());
            let head = self.head(configured.unwrap_or(TransportKind::Unix));
            self.push(&head);
            self.push(&comment("the device was not there: nothing was recorded"));
        }
        let steps = self.steps;
        self.push(&comment(&format!("dropped: {}", self.dropped)));
        self.push(&comment(&format!("end: {why}, after {steps} steps")));
        let _gone_anyway = timeout(LAST_LINES, self.flush()).await;
    }
}

fn content(masking: Masking) -> String {
    comment(&format!("content: {}: {}", masking.as_str(), masking.reason()))
}
