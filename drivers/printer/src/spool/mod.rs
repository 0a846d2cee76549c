//! The spooler: a pure machine. Bytes from the printer, write progress and time go in; bytes to write and events come out.
//!
//! A job is sent in chunks. Before the first, between any two, and after the last the printer is asked how it is; while it is not
//! well, nothing more is sent and the job is held. What is in the printer's buffer is printed by it after refill, so it is not sent
//! again: the receipt is finished once. Where the printer answers `GS r` (a fence), each chunk ends with one: at most two chunks are
//! unconfirmed, and a fence that stays unanswered although the printer is well shows that it lost its buffer (switched off
//! and on). Then the job starts from the top behind a void mark and a cut.

mod active;
mod phases;

use self::active::{Active, Phase, Work, bytes_of, length};
use crate::encode;
use crate::job::{
    Confirmed, Direct, Event, Fault, Hold, Input, Job, Millis, Progress, Refused, State, Timing,
};
use crate::poll::Poller;
use crate::profile::{Confirm, Profile};
use crate::status::{Parser, Reply, Status};
use std::collections::VecDeque;

/// Jobs that may wait.
pub const QUEUE: usize = 32;
/// Chunks that may be unconfirmed: with one the paper would stop between chunks.
const WINDOW: usize = 2;
/// The four bytes of an automatic status come together; after such a pause the rest does not come.
const TORN_MS: Millis = 200;
/// Times a job is started again.
const RESTARTS: u8 = 2;
/// Rounds without an answer after which a printer that never answered counts as one that cannot.
const SILENT: u8 = 2;

/// See the [module](self).
#[derive(Debug)]
pub struct Spooler {
    profile: Profile,
    timing: Timing,
    honour_xoff: bool,
    parser: Parser,
    poller: Poller,
    status: Status,
    told: Status,
    /// `GS r` is answered, or not; `None`: not known yet.
    fence: Option<bool>,
    probe_until: Option<Millis>,
    /// Unanswered fences of jobs that were given up: their answers may still come, and belong to nobody.
    stale: usize,
    stale_at: Millis,
    /// Time of the last byte from the printer.
    heard_at: Millis,
    xoff: bool,
    out: VecDeque<u8>,
    progress_at: Millis,
    last_pulse: Option<Millis>,
    queue: VecDeque<Work>,
    active: Option<Active>,
    idle_at: Millis,
    events: Vec<Event>,
    gone: bool,
}

impl Spooler {
    /// A spooler for one connection. `honour_xoff`: whether 11h/13h from the printer are flow control (serial lines).
    pub fn new(profile: Profile, timing: Timing, honour_xoff: bool) -> Self {
        let poller = Poller::new(&profile.status);
        let fence = match profile.confirm {
            Confirm::Auto => None,
            Confirm::Queued => Some(true),
            Confirm::RealTime | Confirm::None => Some(false),
        };
        Self {
            profile,
            timing,
            honour_xoff,
            parser: Parser::default(),
            poller,
            status: Status::default(),
            told: Status::default(),
            fence,
            probe_until: None,
            stale: 0,
            stale_at: 0,
            heard_at: 0,
            xoff: false,
            out: VecDeque::new(),
            progress_at: 0,
            last_pulse: None,
            queue: VecDeque::new(),
            active: None,
            idle_at: 0,
            events: Vec::new(),
            gone: false,
        }
    }

    /// What is known of the printer.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Whether the printer has ever answered a status question on this connection.
    pub fn answers(&self) -> bool {
        self.poller.ever_answered()
    }

    /// Whether nothing is printing or waiting, and no question is out.
    pub fn is_idle(&self) -> bool {
        self.active.is_none() && self.queue.is_empty() && self.out.is_empty() && !self.poller.busy()
    }

    /// Why the job at the head waits, if it does.
    pub fn held(&self) -> Option<Hold> {
        self.active.as_ref().and_then(|active| active.held).map(|(why, _)| why)
    }

    /// Asks for the status with the next step, not only when the idle time is over.
    pub fn ask_now(&mut self) {
        self.idle_at = 0;
    }

    /// Drops a direct command that has not been begun.
    pub fn forget_direct(&mut self) {
        self.queue.retain(|work| matches!(work, Work::Print(_)));
        let waiting = |active: &Active| matches!(active.work, Work::Direct(_)) && !active.started;
        if self.active.as_ref().is_some_and(waiting) {
            self.active = None;
        }
    }

    /// Bytes that the transport is to take, and tell with [`Input::Wrote`]. Empty while the printer asks for silence.
    pub fn to_write(&mut self) -> &[u8] {
        if self.xoff || self.gone { &[] } else { self.out.make_contiguous() }
    }

    /// Takes a job. It starts when those before it have ended.
    pub fn submit(&mut self, now: Millis, job: Job) -> Result<(), Refused> {
        let same = |work: &Work| matches!(work, Work::Print(other) if other.id == job.id);
        if self.active.as_ref().is_some_and(|active| same(&active.work)) || self.queue.iter().any(same) {
            return Err(Refused::Duplicate(job.id));
        }
        if self.queue.len() >= QUEUE {
            return Err(Refused::Full(self.queue.len()));
        }
        self.queue.push_back(Work::Print(job));
        self.progress_at = self.progress_at.max(now);
        Ok(())
    }

    /// Takes a drawer pulse or beep, ahead of waiting jobs. While a job is held by the printer the `when_blocked` form goes out at once.
    pub fn direct(&mut self, direct: Direct) -> Result<(), Refused> {
        let waiting = self.queue.iter().filter(|work| matches!(work, Work::Direct(_))).count();
        if waiting > 0 {
            return Err(Refused::Full(waiting));
        }
        self.queue.push_front(Work::Direct(direct));
        Ok(())
    }

    /// One step. `now` never goes back.
    pub fn step(&mut self, now: Millis, input: Input<'_>) -> Vec<Event> {
        match input {
            Input::Bytes(bytes) => self.received(now, bytes),
            Input::Wrote(count) => self.wrote(now, count),
            Input::Gone => self.lost_connection(),
            Input::Cancel(id) => self.cancel(now, id),
            Input::Tick => {}
        }
        if !self.gone {
            self.advance(now);
        }
        if self.status != self.told {
            self.told = self.status;
            self.events.push(Event::Status(self.status));
        }
        std::mem::take(&mut self.events)
    }

    fn received(&mut self, now: Millis, bytes: &[u8]) {
        if now >= self.heard_at + TORN_MS {
            self.parser.give_up();
        }
        self.heard_at = now;
        for reply in self.parser.feed(bytes) {
            match reply {
                Reply::RealTime(b) => {
                    if let Some((n, next)) = self.poller.reply(now) {
                        self.status.real_time(n, b);
                        if let Some(question) = next {
                            self.send(now, &question);
                        }
                    }
                }
                Reply::Asb(bytes) => self.status.asb(bytes),
                Reply::Queued(b) => self.fence_answered(now, b),
                Reply::Xoff => self.xoff = self.honour_xoff,
                Reply::Xon => self.xoff = false,
                Reply::Noise(_) => {}
            }
        }
    }

    fn fence_answered(&mut self, now: Millis, b: u8) {
        if self.probe_until.take().is_some() {
            self.fence = Some(true);
            self.status.queued(b);
            return;
        }
        if self.stale > 0 {
            self.stale -= 1;
            return;
        }
        let Some(active) = self.active.as_mut() else { return };
        if let Some(chunk) = active.fences.pop_front() {
            active.confirmed = chunk + 1;
            active.clear_from = now;
            self.status.queued(b);
        }
    }

    fn wrote(&mut self, now: Millis, count: usize) {
        if count == 0 {
            return;
        }
        self.out.drain(..count.min(self.out.len()));
        self.progress_at = now;
        if self.out.is_empty() {
            self.poller.written(now);
            // A status question that left is no news of the job.
            if let Some(active) = self.active.as_mut().filter(|active| active.chunk_out) {
                active.chunk_out = false;
                active.written_at = now;
                active.clear_from = now;
            }
        }
        if matches!(self.active.as_ref().and_then(|active| active.held), Some((Hold::NotReading, _))) {
            self.resume(now);
        }
    }

    fn send(&mut self, now: Millis, bytes: &[u8]) {
        if self.out.is_empty() {
            self.progress_at = now;
        }
        self.out.extend(bytes);
    }

    fn lost_connection(&mut self) {
        self.gone = true;
        let unsent = std::mem::take(&mut self.out).len();
        if let Some(active) = self.active.take() {
            match active.work {
                Work::Direct(_) => self.events.push(Event::Direct(false)),
                Work::Print(ref job) => {
                    let progress = active.progress(unsent);
                    let all_sent = active.next + 1 >= active.bounds.len() && unsent == 0;
                    let state = if active.phase == Phase::Void {
                        State::Cancelled(progress)
                    } else if all_sent && active.fenced && active.fences.is_empty() {
                        State::Done(Confirmed::Queued)
                    } else if all_sent && !self.poller.ever_answered() {
                        State::Unconfirmed
                    } else {
                        State::Failed { fault: Fault::Gone, progress }
                    };
                    self.events.push(Event::Job { id: job.id, state });
                }
            }
        }
        for work in std::mem::take(&mut self.queue) {
            self.events.push(match work {
                Work::Direct(_) => Event::Direct(false),
                Work::Print(job) => {
                    let progress = Progress { total: length(&job.atoms), ..Progress::default() };
                    Event::Job { id: job.id, state: State::Failed { fault: Fault::Gone, progress } }
                }
            });
        }
    }

    fn cancel(&mut self, now: Millis, id: u64) {
        let is_it = |work: &Work| matches!(work, Work::Print(job) if job.id == id);
        if let Some(at) = self.queue.iter().position(is_it) {
            if let Some(Work::Print(job)) = self.queue.remove(at) {
                let progress = Progress { total: length(&job.atoms), ..Progress::default() };
                self.events.push(Event::Job { id, state: State::Cancelled(progress) });
            }
            return;
        }
        let Some(active) = self.active.as_mut().filter(|active| is_it(&active.work)) else { return };
        if active.phase == Phase::Void {
            return;
        }
        if !active.started {
            self.finish(now, State::Cancelled);
            return;
        }
        // The chunk under way goes out whole, so that the void mark is not taken for picture data.
        active.phase = Phase::Void;
        active.held = None;
        let mark = bytes_of(&encode::void(&self.profile, 0));
        self.send(now, &mark);
        self.progress_at = now;
    }

    /// Ends the active job with a state made from its progress.
    fn finish(&mut self, now: Millis, state: impl FnOnce(Progress) -> State) {
        if let Some(active) = self.active.take() {
            self.stale += active.fences.len();
            self.stale_at = now;
            if let Work::Print(job) = &active.work {
                let unsent = self.out.len();
                self.events.push(Event::Job { id: job.id, state: state(active.progress(unsent)) });
            }
        }
        self.idle_at = now + self.timing.idle_ms;
    }

    fn hold(&mut self, now: Millis, why: Hold) {
        let Some(active) = self.active.as_mut() else { return };
        let changed = active.held.is_none_or(|(old, _)| old != why);
        let since = active.held.map_or(now, |(_, since)| since);
        active.held = Some((why, since));
        active.settle = true;
        if let (true, Work::Print(job)) = (changed, &active.work) {
            self.events.push(Event::Job { id: job.id, state: State::Held(why) });
        }
    }

    fn resume(&mut self, now: Millis) {
        let Some(active) = self.active.as_mut() else { return };
        active.clear_from = now;
        if let (Some(_), Work::Print(job)) = (active.held.take(), &active.work) {
            self.events.push(Event::Job { id: job.id, state: State::Resumed });
        }
    }
}
