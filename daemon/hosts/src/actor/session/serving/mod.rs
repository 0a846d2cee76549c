//! Serving a process: messages, commands and limits, until it ends.

mod calls;
mod limits;
mod start;
mod told;

use std::collections::VecDeque;
use std::time::Duration;

use till_plugin::proto::{Create, FromHost, Hello, ToHost};
use tokio::time::{Instant, sleep_until};

pub(super) use self::calls::answer;
use self::calls::{Running, cancelled};
pub(super) use self::told::Rate;
use super::failure;
use super::logs::Logs;
use crate::actor::link::Link;
use crate::actor::process::Process;
use crate::actor::{Actor, CallRequest, Command, End, Interrupt};
use crate::error::{Failure, FailureKind};
use crate::instance::HostInfo;
use crate::record::Tap;
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
                answer = self.logs.answer() => self.tell(&answer),
                () = recording_over(self.actor.tap.as_ref()) => self.stop_recording(),
                () = sleep_until(timer) => self.tick(),
                command = self.actor.commands.recv() => self.command(command),
            }
        }
        self.end().await
    }

    /// Tells the host something of the daemon's own. It always fits a frame; a host that would wait for it for ever is ended. One that
    /// is gone is noticed by reading.
    fn tell(&mut self, message: &ToHost) {
        if let Err(e) = self.link.send(message) {
            let reason = format!("it cannot be told what it waits for: {e}; killed");
            self.killed.get_or_insert_with(|| failure(FailureKind::Protocol, reason));
        }
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
            self.tell(&ToHost::Record { masking });
        }
    }

    fn stop_recording(&mut self) {
        self.actor.tap = None;
        if !matches!(self.phase, Phase::Hello { .. }) {
            self.tell(&ToHost::Record { masking: None });
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
                self.tell(&ToHost::Stop);
            }
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
                self.tell(&ToHost::StoreDone { id, error });
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
}

pub(super) fn protocol(what: &str) -> Failure {
    failure(FailureKind::Protocol, format!("it broke the protocol: {what}; killed"))
}

/// Resolves when who records has gone.
async fn recording_over(tap: Option<&Tap>) {
    match tap {
        Some(tap) => tap.over().await,
        None => std::future::pending().await,
    }
}
