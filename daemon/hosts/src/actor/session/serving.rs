//! Serving a process: hello, create, then calls, events and pings until it ends.

use std::collections::VecDeque;
use std::time::Duration;

use till_plugin::channel::ChannelEvent;
use till_plugin::driver::DriverEvent;
use till_plugin::host::Level;
use till_plugin::proto::{self, Create, FromHost, Hello, PROTOCOL, ToHost, event, method};
use till_plugin::{ErrorCode, PluginError};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use zeroize::Zeroize;

use super::failure;
use super::logs::Logs;
use crate::actor::link::Link;
use crate::actor::process::Process;
use crate::actor::{Actor, CallRequest, Command, End, Interrupt};
use crate::error::{Failure, FailureKind, HostError};
use crate::event::{InstanceEvent, InstanceState};
use crate::instance::HostInfo;
use crate::record::{RecordedWhat, Tap};
use crate::redact::redact;
use crate::store::Store;

/// Longest log line that is passed on, bytes.
const MAX_LOG: usize = 1024;

/// Id of the one call that the daemon makes by itself; callers' begin at 1.
const RULES_CALL: u64 = 0;

/// How far it has come.
pub(super) enum Phase {
    Hello {
        by: Instant,
        create: Box<Create>,
    },
    Create {
        by: Instant,
        hello: Box<Hello>,
    },
    /// A channel is asked for its rules ([`RULES_CALL`]) before it takes calls.
    Rules {
        by: Instant,
        info: Box<HostInfo>,
    },
    Ready,
    Stopping {
        by: Instant,
        then: Interrupt,
    },
}

/// The call that the plugin works on.
pub(super) struct Running {
    pub(super) id: u64,
    pub(super) timeout: Duration,
    kill_at: Instant,
    pub(super) reply: oneshot::Sender<Result<Vec<u8>, HostError>>,
    cancelled: oneshot::Receiver<()>,
    cancel_sent: bool,
    mark: Option<u64>,
}

/// A count within the running second.
#[derive(Debug)]
pub(super) struct Rate {
    window: Instant,
    count: u32,
}

impl Rate {
    pub(super) fn new() -> Self {
        Self { window: Instant::now(), count: 0 }
    }

    /// Counts one more; gives how many there are in the running second.
    pub(super) fn count(&mut self) -> u32 {
        if self.window.elapsed() >= Duration::from_secs(1) {
            self.window = Instant::now();
            self.count = 0;
        }
        self.count += 1;
        self.count
    }
}

/// One process being served.
pub(super) struct Serving<'a> {
    pub(super) actor: &'a mut Actor,
    pub(super) link: Link,
    pub(super) process: Process,
    store: Store,
    pub(super) phase: Phase,
    began: Instant,
    pub(super) ready_since: Option<Instant>,
    pub(super) queue: VecDeque<(CallRequest, Instant)>,
    pub(super) running: Option<Running>,
    next_id: u64,
    ping_at: Instant,
    unanswered: u32,
    events: Rate,
    lines: Rate,
    logs: Logs,
    crowded_since: Option<Instant>,
    /// What the host said of its end.
    pub(super) told: Option<Failure>,
    /// Why it was killed.
    pub(super) killed: Option<Failure>,
    /// Where the plugin panicked last.
    pub(super) panic_place: Option<String>,
}

impl<'a> Serving<'a> {
    pub(super) fn new(
        actor: &'a mut Actor,
        link: Link,
        process: Process,
        store: Store,
        create: Create,
        began: Instant,
    ) -> Self {
        let now = Instant::now();
        let by = now + actor.config.timing.hello;
        let per_second = actor.config.timing.events_per_second;
        Self {
            logs: Logs::new(actor.log.clone(), &actor.spec.id, per_second),
            ping_at: now + actor.config.timing.ping,
            actor,
            link,
            process,
            store,
            phase: Phase::Hello { by, create: Box::new(create) },
            began,
            ready_since: None,
            queue: VecDeque::new(),
            running: None,
            next_id: 1,
            unanswered: 0,
            events: Rate::new(),
            lines: Rate::new(),
            crowded_since: None,
            told: None,
            killed: None,
            panic_place: None,
        }
    }

    pub(super) async fn run(mut self) -> End {
        loop {
            if let Err(failure) = self.messages().await {
                self.killed.get_or_insert(failure);
            }
            if self.killed.is_some() {
                self.process.kill();
                break;
            }
            if self.told.is_some() || self.link.closed() {
                break;
            }
            self.begin_call();
            let timer = self.timer();
            tokio::select! {
                () = self.link.turn() => {}
                ended = self.process.turn() => if ended { break },
                () = cancelled(self.running.as_mut()) => self.send_cancel(),
                answer = self.logs.answer() => {
                    // What does not fit cannot be: a page holds less than a frame.
                    let _ = self.link.send(&answer);
                }
                () = recording_over(self.actor.tap.as_ref()) => self.stop_recording(),
                () = sleep_until(timer) => self.tick(),
                command = self.actor.commands.recv() => self.command(command),
            }
        }
        self.end().await
    }

    fn command(&mut self, command: Option<Command>) {
        match command {
            Some(Command::Call(call)) if matches!(self.phase, Phase::Ready) => {
                self.queue.push_back((call, Instant::now()));
            }
            Some(Command::Call(call)) => self.actor.refuse(Command::Call(call)),
            Some(Command::Record { tap, reply }) => {
                self.actor.record(tap, reply);
                self.record();
            }
            Some(Command::Restart) => self.stop(Interrupt::Restart),
            Some(Command::Stop(done)) => self.stop(Interrupt::Stop(vec![done])),
            None => self.stop(Interrupt::Stop(Vec::new())),
        }
    }

    /// Tells the host what to record, if somebody does.
    fn record(&mut self) {
        let masking = self.actor.recording();
        // Before its hello it does not listen yet; it is told before its instance is made.
        if masking.is_some() && !matches!(self.phase, Phase::Hello { .. }) {
            let _ = self.link.send(&ToHost::Record { masking });
        }
    }

    fn stop_recording(&mut self) {
        self.actor.tap = None;
        if !matches!(self.phase, Phase::Hello { .. }) {
            let _ = self.link.send(&ToHost::Record { masking: None });
        }
    }

    /// Asks the host to drop its instance and end. A stop is never overruled by a restart.
    fn stop(&mut self, then: Interrupt) {
        match (&mut self.phase, then) {
            (Phase::Stopping { then: Interrupt::Stop(all), .. }, Interrupt::Stop(more)) => all.extend(more),
            (Phase::Stopping { then: Interrupt::Stop(_), .. }, Interrupt::Restart) => {}
            (Phase::Stopping { then: was, .. }, then) => *was = then,
            (phase, then) => {
                *phase = Phase::Stopping { by: Instant::now() + self.actor.config.timing.stop, then };
                let _ = self.link.send(&ToHost::Stop);
            }
        }
    }

    /// Sends the next waiting call, if the plugin is free.
    fn begin_call(&mut self) {
        while self.running.is_none() && matches!(self.phase, Phase::Ready) {
            let Some((mut call, _)) = self.queue.pop_front() else { return };
            // Nobody waits for it any more, so it is never sent.
            if call.reply.is_closed() {
                continue;
            }
            if call.cancelled.try_recv() == Err(oneshot::error::TryRecvError::Closed) {
                let instance = self.actor.spec.id.clone();
                let _ = call.reply.send(Err(HostError::Cancelled { instance }));
                continue;
            }
            let id = self.next_id;
            self.next_id += 1;
            let mut frame = ToHost::Call {
                id,
                method: call.method,
                timeout_ms: u32::try_from(call.timeout.as_millis()).unwrap_or(u32::MAX),
                payload: std::mem::take(&mut *call.payload),
            };
            let sent = self.link.send(&frame);
            if let ToHost::Call { payload, .. } = &mut frame {
                let length = payload.len();
                payload.zeroize();
                if sent.is_err() {
                    let instance = self.actor.spec.id.clone();
                    let _ = call.reply.send(Err(HostError::TooBig { instance, length }));
                    continue;
                }
            }
            self.running = Some(Running {
                id,
                timeout: call.timeout,
                kill_at: Instant::now() + call.timeout + self.actor.config.timing.grace,
                reply: call.reply,
                cancelled: call.cancelled,
                cancel_sent: false,
                mark: call.mark,
            });
        }
    }

    fn send_cancel(&mut self) {
        if let Some(running) = &mut self.running {
            running.cancel_sent = true;
            let _ = self.link.send(&ToHost::Cancel { id: running.id });
        }
    }

    /// The next moment at which something must be looked at.
    fn timer(&self) -> Instant {
        let phase = match &self.phase {
            Phase::Hello { by, .. }
            | Phase::Create { by, .. }
            | Phase::Rules { by, .. }
            | Phase::Stopping { by, .. } => Some(*by),
            Phase::Ready => None,
        };
        let queued = self.queue.iter().map(|(call, since)| *since + call.timeout).min();
        let running = self.running.as_ref().map(|r| r.kill_at);
        let crowded = self.crowded_since.map(|t| t + self.actor.config.timing.unread_patience);
        [phase, queued, running, crowded].into_iter().flatten().fold(self.ping_at, Instant::min)
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let timing = &self.actor.config.timing;
        let late = match &self.phase {
            Phase::Hello { by, .. } if now >= *by => {
                Some(format!("its process did not load the plugin within {:?}", timing.hello))
            }
            Phase::Create { by, .. } if now >= *by => {
                Some(format!("the plugin did not open within {:?}", timing.create))
            }
            Phase::Rules { by, .. } if now >= *by => {
                Some(format!("the plugin did not say what it does within {:?}", timing.create))
            }
            Phase::Stopping { by, .. } if now >= *by => {
                Some(format!("the plugin did not let itself be dropped within {:?}", timing.stop))
            }
            _ => None,
        };
        if let Some(reason) = late {
            self.killed = Some(failure(FailureKind::Unresponsive, format!("{reason}; killed")));
            return;
        }
        if self.running.as_ref().is_some_and(|r| now >= r.kill_at) {
            let timeout = self.running.as_ref().map_or(Duration::ZERO, |r| r.timeout);
            let reason = format!("a call was not answered within its {timeout:?}; killed");
            self.killed = Some(failure(FailureKind::TimedOut, reason));
            return;
        }
        if self.crowded_since.is_some_and(|t| now >= t + timing.unread_patience) {
            if self.actor.events.waiting() > timing.unread {
                let reason = format!("{} of its events wait unread; killed", self.actor.events.waiting());
                self.killed = Some(failure(FailureKind::Flood, reason));
                return;
            }
            self.crowded_since = None;
        }
        let (gone_by, rest): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.queue)
            .into_iter()
            .partition(|(call, since)| now >= *since + call.timeout);
        self.queue = rest;
        for (call, _) in gone_by {
            let instance = self.actor.spec.id.clone();
            let _ = call.reply.send(Err(HostError::Busy { instance, waited: call.timeout }));
        }
        if now >= self.ping_at {
            if self.unanswered >= timing.missed_pings {
                let reason = format!("its process did not answer {} pings; killed", self.unanswered);
                self.killed = Some(failure(FailureKind::Unresponsive, reason));
                return;
            }
            // Before its hello the host reads nothing yet.
            if !matches!(self.phase, Phase::Hello { .. }) {
                self.unanswered += 1;
                let _ = self.link.send(&ToHost::Ping { nonce: self.next_id });
            }
            self.ping_at = now + timing.ping;
        }
    }

    /// Handles all messages that have come.
    pub(super) async fn messages(&mut self) -> Result<(), Failure> {
        loop {
            match self.link.take() {
                Ok(Some(message)) => self.message(message).await?,
                Ok(None) => return Ok(()),
                Err(e) => return Err(protocol(&e.to_string())),
            }
        }
    }

    async fn message(&mut self, message: FromHost) -> Result<(), Failure> {
        match message {
            FromHost::Hello(hello) => self.hello(hello)?,
            FromHost::Refused { message } => {
                self.told = Some(failure(FailureKind::Refused, redact(&message, MAX_LOG)));
            }
            FromHost::Created { description } => self.created(description)?,
            FromHost::CreateFailed(error) => self.told = Some(super::ending::create_failed(&error)),
            FromHost::Reply { id, result } => self.reply(id, result)?,
            FromHost::Event { kind, payload } => self.event(kind, payload)?,
            FromHost::Log { level, message } => self.log(level, &message),
            FromHost::Pong { busy_ms, .. } => {
                self.unanswered = 0;
                let limit = self.actor.config.timing.poll;
                if matches!(self.phase, Phase::Ready)
                    && self.running.is_none()
                    && Duration::from_millis(busy_ms.into()) > limit
                {
                    let reason = format!("its poll has not returned for {limit:?}; killed");
                    return Err(failure(FailureKind::Unresponsive, reason));
                }
            }
            FromHost::StorePut { id, key, value } => {
                self.count_event()?;
                let error = self.put(key, value).await;
                let _ = self.link.send(&ToHost::StoreDone { id, error });
            }
            FromHost::LogAppend { id, bytes } => self.logs.append(id, bytes)?,
            FromHost::LogRead { id, after, max } => self.logs.read(id, after, max)?,
            FromHost::LogTrim { id, through } => self.logs.trim(id, through)?,
            FromHost::Traffic(piece) => {
                if let Some(tap) = &self.actor.tap {
                    tap.piece(piece);
                }
            }
            FromHost::Ended(error) => {
                self.told = Some(super::ending::ended(&error, self.panic_place.as_deref()));
            }
        }
        Ok(())
    }

    fn hello(&mut self, hello: Hello) -> Result<(), Failure> {
        let by = Instant::now() + self.actor.config.timing.create;
        if matches!(self.phase, Phase::Stopping { .. }) {
            return Ok(());
        }
        if hello.protocol != PROTOCOL {
            let reason = format!(
                "the host speaks protocol {}, this daemon {PROTOCOL}: install both from the same package",
                hello.protocol
            );
            return Err(failure(FailureKind::Refused, reason));
        }
        if hello.plugin != self.actor.spec.plugin.id() {
            return Err(protocol("it loaded another plugin than was asked for"));
        }
        match std::mem::replace(&mut self.phase, Phase::Create { by, hello: Box::new(hello) }) {
            Phase::Hello { create, .. } => {
                self.record();
                let sent = self.link.send(&ToHost::Create(*create));
                sent.map_err(|e| {
                    failure(FailureKind::Settings, format!("its settings and stored values: {e}"))
                })
            }
            _ => Err(protocol("it said hello twice")),
        }
    }

    fn created(&mut self, description: Vec<u8>) -> Result<(), Failure> {
        let since = Instant::now();
        match std::mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Create { hello, .. } => {
                let info = HostInfo {
                    pid: self.process.pid(),
                    version: hello.version,
                    sdk: hello.sdk,
                    rustc: hello.rustc,
                    sandbox: hello.sandbox,
                    transport: self.actor.attached.clone(),
                    since: since.into_std(),
                    start_took: since - self.began,
                    description,
                    leg_rules: Vec::new(),
                };
                if self.actor.spec.plugin.manifest.channel.is_some() {
                    self.ask_rules(info);
                } else {
                    self.ready(info);
                }
                Ok(())
            }
            Phase::Stopping { by, then } => {
                self.phase = Phase::Stopping { by, then };
                Ok(())
            }
            Phase::Hello { .. } | Phase::Rules { .. } | Phase::Ready => {
                Err(protocol("it made its instance twice"))
            }
        }
    }

    fn ask_rules(&mut self, info: HostInfo) {
        let timeout = self.actor.config.timing.create;
        let _ = self.link.send(&ToHost::Call {
            id: RULES_CALL,
            method: method::LEG_RULES_1,
            timeout_ms: u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX),
            payload: Vec::new(),
        });
        self.phase = Phase::Rules { by: Instant::now() + timeout, info: Box::new(info) };
    }

    /// The channel's rules have come. One from before there were rules has none; neither has one whose rules this
    /// daemon cannot read: its sales go on, the rest is not offered.
    fn rules(&mut self, result: Result<Vec<u8>, PluginError>) {
        let Phase::Rules { by, mut info } = std::mem::replace(&mut self.phase, Phase::Ready) else { return };
        match result.and_then(|bytes| proto::decode(&bytes)) {
            Ok(rules) => info.leg_rules = rules,
            Err(e) if e.code == ErrorCode::Unsupported => {}
            // It ends now, and says so next.
            Err(e) if e.code == ErrorCode::Panicked => {
                self.phase = Phase::Rules { by, info };
                return;
            }
            Err(e) => self.log(
                Level::Warn,
                &format!(
                    "its rules cannot be read, so voids, refunds and captures are not offered: {}",
                    e.message
                ),
            ),
        }
        self.ready(*info);
    }

    fn ready(&mut self, info: HostInfo) {
        self.phase = Phase::Ready;
        self.ready_since = Some(Instant::now());
        let before = self.actor.recording();
        self.actor.set_with(InstanceState::Ready, Some(info.into()));
        // What the device says it is may ask for more to be masked.
        let masking = self.actor.recording();
        if masking != before {
            self.record();
            if let (Some(masking), Some(tap)) = (masking, &self.actor.tap) {
                tap.now(RecordedWhat::Masking(masking));
            }
        }
    }

    fn reply(&mut self, id: u64, result: Result<Vec<u8>, PluginError>) -> Result<(), Failure> {
        if id == RULES_CALL {
            return match self.phase {
                Phase::Rules { .. } => {
                    self.rules(result);
                    Ok(())
                }
                Phase::Stopping { .. } => Ok(()),
                _ => Err(protocol("it told its rules twice")),
            };
        }
        match self.running.take() {
            Some(running) if running.id == id => {
                let instance = self.actor.spec.id.clone();
                if let (Some(mark), Ok(_)) = (running.mark, &result) {
                    self.actor.events.send(InstanceEvent::Answered { mark });
                }
                let result = result.map_err(|mut error| {
                    error.message = redact(&error.message, MAX_LOG);
                    HostError::Refused { instance, error }
                });
                // Nobody may be waiting any more.
                let _ = running.reply.send(result);
                Ok(())
            }
            running => {
                self.running = running;
                Err(protocol(&format!("it answered call {id}, which is not running")))
            }
        }
    }

    fn count_event(&mut self) -> Result<(), Failure> {
        let timing = &self.actor.config.timing;
        if self.events.count() > timing.events_per_second {
            let reason = format!("more than {} events in a second; killed", timing.events_per_second);
            return Err(failure(FailureKind::Flood, reason));
        }
        if self.actor.events.waiting() > timing.unread {
            self.crowded_since.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    fn event(&mut self, kind: u32, mut payload: Vec<u8>) -> Result<(), Failure> {
        self.count_event()?;
        let driver = self.actor.spec.plugin.manifest.driver.is_some();
        let decoded = match kind {
            event::DRIVER_1 if driver => {
                proto::decode::<DriverEvent>(&payload).ok().map(InstanceEvent::Driver)
            }
            event::CHANNEL_1 if !driver => {
                proto::decode::<ChannelEvent>(&payload).ok().map(InstanceEvent::Channel)
            }
            _ => None,
        };
        let length = payload.len();
        payload.zeroize();
        match decoded {
            Some(event) => self.actor.events.send(event),
            // From a newer SDK, perhaps; not worth a till.
            None => self.log(
                Level::Warn,
                &format!("an event of kind {kind} with {length} bytes is not known to this tilld; dropped"),
            ),
        }
        Ok(())
    }

    fn log(&mut self, level: Level, message: &str) {
        let limit = self.actor.config.timing.log_lines_per_second;
        let count = self.lines.count();
        let line = redact(message, MAX_LOG);
        if level == Level::Error && line.starts_with("panic at ") {
            self.panic_place = Some(line.clone());
        }
        // The abi_stable report of a refused plugin comes at once and is for debugging.
        if count > limit && level != Level::Debug {
            if count == limit + 1 {
                let message = format!("more than {limit} log lines in a second; the rest of them is dropped");
                self.actor.events.send(InstanceEvent::Log { level: Level::Warn, message });
            }
            return;
        }
        if count > limit * 20 || self.actor.events.waiting() > self.actor.config.timing.unread {
            return;
        }
        self.actor.events.send(InstanceEvent::Log { level, message: line });
    }

    async fn put(&mut self, key: String, value: Vec<u8>) -> Option<String> {
        let Some(mut store) = self.store.take() else { return Some("the store is closed".into()) };
        let done = tokio::task::spawn_blocking(move || {
            let error = store.put(key, value).err();
            (store, error)
        });
        match done.await {
            Ok((store, error)) => {
                self.store = store;
                error
            }
            Err(e) => Some(e.to_string()),
        }
    }
}

pub(super) fn protocol(what: &str) -> Failure {
    failure(FailureKind::Protocol, format!("it broke the protocol: {what}; killed"))
}

/// Resolves when the running call is cancelled and the host does not know yet.
async fn cancelled(running: Option<&mut Running>) {
    match running {
        Some(running) if !running.cancel_sent => {
            let _ = (&mut running.cancelled).await;
        }
        _ => std::future::pending().await,
    }
}

/// Resolves when who records has gone.
async fn recording_over(tap: Option<&Tap>) {
    match tap {
        Some(tap) => tap.over().await,
        None => std::future::pending().await,
    }
}
