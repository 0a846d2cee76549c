//! The spooler: a pure machine. Bytes from the printer, write progress and time go in; bytes to write and events come out.
//!
//! A job is sent in chunks. Before the first, between any two, and after the last the printer is asked how it is; while it is not
//! well, nothing more is sent and the job is held. What is in the printer's buffer is printed by it after refill, so it is not sent
//! again: the receipt is finished once. Where the printer answers `GS r` (a fence), each chunk ends with one: at most two chunks are
//! unconfirmed, and a fence that stays unanswered although the printer is well shows that it lost its buffer (switched off
//! and on). Then the job starts from the top behind a void mark and a cut.

use crate::command;
use crate::encode::{self, Atom};
use crate::job::{
    Confirmed, Direct, Event, Fault, Hold, Input, Job, Millis, Progress, Refused, State, Timing,
};
use crate::poll::{Poller, Round};
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

#[derive(Debug)]
enum Work {
    Print(Job),
    Direct(Direct),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Is it well?
    Check,
    /// Does it answer `GS r`?
    Probe,
    /// Chunks go out.
    Send,
    /// All written; is it on paper?
    Drain,
    /// A void mark goes out, then the job ends as cancelled.
    Void,
}

#[derive(Debug)]
struct Active {
    work: Work,
    /// First atom of each chunk, and the end.
    bounds: Vec<usize>,
    phase: Phase,
    /// Number of the first round of questions that counts.
    since: u64,
    /// Next chunk.
    next: usize,
    /// Chunks whose fence is unanswered.
    fences: VecDeque<usize>,
    confirmed: usize,
    started: bool,
    /// Chunks carry fences.
    fenced: bool,
    /// After a hold: what was sent before it is to be confirmed first. It may have been switched off meanwhile.
    settle: bool,
    held: Option<(Hold, Millis)>,
    /// Time from which an unanswered fence counts, or a real-time drain.
    clear_from: Millis,
    /// Time of the last byte.
    written_at: Millis,
    /// A chunk waits to be taken by the transport.
    chunk_out: bool,
    silent: u8,
    restarts: u8,
}

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

    /// Does what can be done now.
    fn advance(&mut self, now: Millis) {
        self.poller.tick(now, self.timing.reply_ms);
        self.directs(now);
        // Bounded: each turn starts a phase, a chunk or a job, or ends the loop.
        for _ in 0..64 {
            if !self.turn(now) {
                break;
            }
        }
    }

    /// Direct commands that wait behind a job: sent past the buffer while the printer is stopped, given up when their time is over.
    fn directs(&mut self, now: Millis) {
        let Some(Work::Direct(direct)) = self.queue.front() else { return };
        if now >= direct.until {
            self.queue.pop_front();
            self.events.push(Event::Direct(false));
            return;
        }
        let stopped =
            self.active.as_ref().is_some_and(|active| matches!(active.held, Some((Hold::Blocked(_), _))));
        let Some(atom) = direct.when_blocked.as_ref().filter(|_| stopped && self.out.is_empty()) else {
            return;
        };
        if atom.pulse && self.too_soon(now) {
            return;
        }
        let atom = atom.clone();
        self.queue.pop_front();
        self.last_pulse = if atom.pulse { Some(now) } else { self.last_pulse };
        self.send(now, &atom.bytes);
        self.events.push(Event::Direct(true));
    }

    fn too_soon(&self, now: Millis) -> bool {
        self.last_pulse.is_some_and(|last| now < last + self.timing.pulse_gap_ms)
    }

    /// One turn; whether another may follow at once.
    fn turn(&mut self, now: Millis) -> bool {
        if self.active.is_none() && !self.next_work(now) {
            return false;
        }
        if self.expired(now) {
            return true;
        }
        if !self.out.is_empty() {
            self.stalled(now);
            return false;
        }
        let Some(active) = self.active.as_ref() else { return false };
        match active.phase {
            Phase::Void => {
                self.finish(now, State::Cancelled);
                true
            }
            Phase::Check => self.check(now),
            Phase::Probe => self.probe(now),
            Phase::Send => self.send_chunk(now),
            Phase::Drain => self.drain(now),
        }
    }

    fn next_work(&mut self, now: Millis) -> bool {
        let Some(work) = self.queue.pop_front() else {
            let free = self.out.is_empty() && !self.poller.busy();
            if free && self.profile.asks() && now >= self.idle_at {
                self.idle_at = now + self.timing.idle_ms;
                self.ask(now);
            }
            return false;
        };
        self.active = Some(Active::new(work, &self.profile, self.poller.begun() + 1, now));
        true
    }

    /// Gives up what has waited too long.
    fn expired(&mut self, now: Millis) -> bool {
        let Some(active) = self.active.as_ref() else { return false };
        if let Work::Direct(direct) = &active.work {
            // Not a byte of it was taken, perhaps not even of a question before it: it is called back, so that it does not
            // open the drawer when nobody expects it.
            let untouched = !active.started || self.out.len() >= direct.atom.bytes.len();
            if now >= direct.until && untouched {
                if active.started {
                    self.out.clear();
                }
                self.active = None;
                self.events.push(Event::Direct(false));
                return true;
            }
            return false;
        }
        if let Some((why, since)) = active.held {
            if now >= since + self.timing.hold_ms {
                self.finish(now, |progress| State::Failed { fault: Fault::HeldTooLong(why), progress });
                // What was not taken belongs to a job that is over.
                self.out.clear();
                return true;
            }
        }
        false
    }

    fn stalled(&mut self, now: Millis) {
        if now < self.progress_at + self.timing.stall_ms {
            return;
        }
        if self.active.as_ref().is_some_and(|active| active.phase == Phase::Void) {
            self.finish(now, State::Cancelled);
            self.out.clear();
        } else {
            self.hold(now, Hold::NotReading);
        }
    }

    fn ask(&mut self, now: Millis) {
        if let Some(question) = self.poller.start(now) {
            self.send(now, &question);
        }
    }

    /// The result of a round that began at the phase's `since` or later; begins one where there is none. `None`: wait.
    fn round(&mut self, now: Millis) -> Option<Round> {
        if self.poller.busy() {
            return None;
        }
        let since = self.active.as_ref().map_or(0, |active| active.since);
        let result = self.poller.last().filter(|last| last.number >= since).map(|last| last.round);
        if result.is_none() {
            self.ask(now);
        }
        result
    }

    /// Asks again, at once or after the polling time.
    fn ask_again(&mut self, now: Millis, at_once: bool) {
        let last = self.poller.last().map_or(0, |last| last.ended);
        if at_once || now >= last + self.timing.poll_ms {
            self.ask(now);
        }
    }

    /// Whether the printer is well as of a round that is fresh. Holds the job where it is not.
    fn well(&mut self, now: Millis) -> bool {
        let Some(round) = self.round(now) else { return false };
        match (round, self.status.block()) {
            (Round::Answered, None) => {
                self.resume_if_blocked(now);
                if let Some(active) = self.active.as_mut() {
                    active.silent = 0;
                }
                true
            }
            (Round::Answered | Round::Partial, Some(block)) => {
                self.hold(now, Hold::Blocked(block));
                self.ask_again(now, false);
                false
            }
            (Round::Partial, None) => {
                self.ask_again(now, true);
                false
            }
            (Round::Silent, _) => {
                let silent = self.active.as_mut().map_or(0, |active| {
                    active.silent = active.silent.saturating_add(1);
                    active.silent
                });
                if silent >= SILENT && self.poller.ever_answered() {
                    self.hold(now, Hold::NoAnswer);
                }
                self.ask_again(now, silent < SILENT);
                false
            }
        }
    }

    fn resume_if_blocked(&mut self, now: Millis) {
        if self.active.as_ref().is_some_and(|active| active.held.is_some()) {
            self.resume(now);
        }
    }

    /// The printer cannot answer, or has shown that it does not.
    fn blind(&self) -> bool {
        let silent = self.active.as_ref().map_or(0, |active| active.silent);
        !self.profile.asks() || (silent >= SILENT && !self.poller.ever_answered())
    }

    /// Enters a phase; the round just seen counts for it too.
    fn enter(&mut self, phase: Phase) -> bool {
        let since = self.poller.last().map_or(0, |last| last.number);
        let fenced = self.fence == Some(true) && !self.blind();
        if let Some(active) = self.active.as_mut() {
            active.phase = phase;
            active.since = since;
            if phase == Phase::Send {
                active.fenced = fenced;
            }
        }
        true
    }

    fn check(&mut self, now: Millis) -> bool {
        if let Some(Work::Direct(_)) = self.active.as_ref().map(|active| &active.work) {
            return self.send_direct(now);
        }
        if self.blind() {
            return self.enter(Phase::Send);
        }
        if !self.well(now) {
            self.stale_at = now;
            return false;
        }
        // What a job before this left in the buffer is printed first.
        if self.stale > 0 && now < self.stale_at + self.timing.fence_ms {
            self.ask_again(now, false);
            return false;
        }
        self.stale = 0;
        self.enter(if self.fence.is_none() { Phase::Probe } else { Phase::Send })
    }

    fn send_direct(&mut self, now: Millis) -> bool {
        let sent = self.active.as_ref().is_some_and(|active| active.started);
        if sent {
            self.active = None;
            self.events.push(Event::Direct(true));
            return true;
        }
        if self.too_soon(now) {
            return false;
        }
        let round = if self.blind() { Round::Silent } else { self.round(now).unwrap_or(Round::Partial) };
        if self.poller.busy() || !self.out.is_empty() {
            return false;
        }
        let blocked = self.status.block().is_some();
        let Some(active) = self.active.as_mut() else { return false };
        let Work::Direct(direct) = &active.work else { return false };
        let atom = match (&direct.when_blocked, blocked && round != Round::Silent) {
            (_, false) => direct.atom.clone(),
            (Some(atom), true) => atom.clone(),
            (None, true) => {
                self.ask_again(now, false);
                return false;
            }
        };
        active.started = true;
        self.last_pulse = if atom.pulse { Some(now) } else { self.last_pulse };
        self.send(now, &atom.bytes);
        false
    }

    fn probe(&mut self, now: Millis) -> bool {
        if self.fence.is_none() {
            match self.probe_until {
                None => {
                    self.send(now, &command::FENCE);
                    self.probe_until = Some(now + self.timing.probe_ms);
                    return false;
                }
                Some(until) if now < until => return false,
                Some(_) => {
                    self.probe_until = None;
                    self.fence = Some(false);
                }
            }
        }
        self.enter(Phase::Send)
    }

    fn send_chunk(&mut self, now: Millis) -> bool {
        if !self.blind() && !self.well(now) {
            return false;
        }
        let Some(active) = self.active.as_mut() else { return false };
        if active.next + 1 >= active.bounds.len() {
            return self.enter(Phase::Drain);
        }
        let Work::Print(job) = &active.work else { return false };
        let atoms = &job.atoms[active.bounds[active.next]..active.bounds[active.next + 1]];
        active.settle &= !active.fences.is_empty();
        // A receipt with a hole in it must not be cut off as if it were whole.
        let settle = active.settle || atoms.iter().any(|atom| atom.cut);
        if active.fences.len() >= if settle { 1 } else { WINDOW } {
            return self.fence_overdue(now);
        }
        if atoms.iter().any(|atom| atom.pulse) {
            let gap = self.timing.pulse_gap_ms;
            if self.last_pulse.is_some_and(|last| now < last + gap) {
                return false;
            }
            self.last_pulse = Some(now);
        }
        let mut bytes = bytes_of(atoms);
        if active.fenced {
            bytes.extend(command::FENCE);
            active.fences.push_back(active.next);
        }
        active.next += 1;
        active.chunk_out = true;
        // What follows wants a look at the status that begins after this chunk.
        active.since = self.poller.begun() + 1;
        let first = !active.started;
        active.started = true;
        let id = job.id;
        if first {
            self.events.push(Event::Job { id, state: State::Started });
        }
        self.send(now, &bytes);
        false
    }

    /// Called with the printer well and a fence unanswered: asks again in a while; where the fence stays unanswered too long, what was sent is lost.
    fn fence_overdue(&mut self, now: Millis) -> bool {
        let Some(active) = self.active.as_ref() else { return false };
        let Work::Print(job) = &active.work else { return false };
        let from = active.bounds[active.confirmed.min(active.bounds.len() - 1)];
        let lines: u64 = job.atoms[from..active.bounds[active.next]].iter().map(|atom| atom.lines).sum();
        let limit = self.timing.fence_ms + lines * self.profile.line_ms;
        if now < active.clear_from + limit {
            self.ask_again(now, false);
            return false;
        }
        if active.restarts >= RESTARTS {
            let times = active.restarts + 1;
            self.finish(now, |progress| State::Failed { fault: Fault::BufferLost { times }, progress });
            return true;
        }
        self.restart(now);
        true
    }

    /// From the top, behind a void mark and a cut. A drawer pulse that was sent is not sent again.
    fn restart(&mut self, now: Millis) {
        let Some(active) = self.active.as_mut() else { return };
        let lost = active.progress(0);
        let sent = active.bounds[active.next];
        let Work::Print(job) = &mut active.work else { return };
        let mut at = 0;
        job.atoms.retain(|atom| {
            at += 1;
            !atom.pulse || at > sent
        });
        if active.restarts == 0 {
            let hungry = job.atoms.iter().map(|atom| atom.hunger).max().unwrap_or(0);
            let body = std::mem::take(&mut job.atoms);
            job.atoms = encode::void(&self.profile, hungry);
            job.atoms.extend(encode::reprint(&self.profile, body));
        }
        let id = job.id;
        active.bounds = bounds(&job.atoms, self.profile.chunk_bytes);
        active.restarts += 1;
        (active.next, active.confirmed) = (0, 0);
        active.fences.clear();
        (active.phase, active.since, active.clear_from) = (Phase::Check, self.poller.begun() + 1, now);
        self.events.push(Event::Job { id, state: State::Restarted { lost } });
    }

    fn drain(&mut self, now: Millis) -> bool {
        let Some(active) = self.active.as_ref() else { return false };
        let written_at = active.written_at;
        if !self.profile.asks() {
            self.finish(now, |_| State::Unconfirmed);
            return true;
        }
        if !self.well(now) {
            let Some(active) = self.active.as_ref() else { return false };
            let unheard = matches!(active.held, None | Some((Hold::NoAnswer, _)));
            if unheard && active.silent > 0 && now >= written_at + self.timing.confirm_ms {
                self.finish(now, |_| State::Unconfirmed);
                return true;
            }
            return false;
        }
        let Some(active) = self.active.as_ref() else { return false };
        if active.fenced {
            if active.fences.is_empty() {
                self.finish(now, |_| State::Done(Confirmed::Queued));
                return true;
            }
            return self.fence_overdue(now);
        }
        // Without fences: the buffer holds at most what its last two chunks print, or everything if nothing was asked in between.
        let Work::Print(job) = &active.work else { return false };
        let lines: u64 = job.atoms.iter().map(|atom| atom.lines).sum();
        let quiet = active.clear_from + lines * self.profile.line_ms;
        if now < quiet {
            self.ask_again(now, false);
            return false;
        }
        if self.poller.last().is_some_and(|last| last.began >= quiet) {
            self.finish(now, |_| State::Done(Confirmed::RealTime));
            return true;
        }
        self.ask(now);
        false
    }
}

impl Active {
    fn new(work: Work, profile: &Profile, since: u64, now: Millis) -> Self {
        let bounds = match &work {
            Work::Print(job) => bounds(&job.atoms, profile.chunk_bytes),
            Work::Direct(_) => vec![0],
        };
        Self {
            work,
            bounds,
            phase: Phase::Check,
            since,
            next: 0,
            fences: VecDeque::new(),
            confirmed: 0,
            started: false,
            fenced: false,
            settle: false,
            held: None,
            clear_from: now,
            written_at: now,
            chunk_out: false,
            silent: 0,
            restarts: 0,
        }
    }

    /// How far it got, with `unsent` bytes of the last chunk still here.
    fn progress(&self, unsent: usize) -> Progress {
        let Work::Print(job) = &self.work else { return Progress::default() };
        let up_to = |chunk: usize| {
            let end = self.bounds.get(chunk).copied().unwrap_or(job.atoms.len());
            length(&job.atoms[..end])
        };
        let written = up_to(self.next).saturating_sub(unsent);
        let confirmed = if self.confirmed == 0 { 0 } else { up_to(self.confirmed) };
        Progress { total: length(&job.atoms), written, confirmed }
    }
}

fn length(atoms: &[Atom]) -> usize {
    atoms.iter().map(|atom| atom.bytes.len()).sum()
}

fn bytes_of(atoms: &[Atom]) -> Vec<u8> {
    atoms.iter().flat_map(|atom| atom.bytes.iter().copied()).collect()
}

/// Divides a job into chunks of about `most` bytes, never inside an atom, a drawer pulse and a cut always by themselves.
fn bounds(atoms: &[Atom], most: usize) -> Vec<usize> {
    let mut bounds = vec![0];
    let mut bytes = 0;
    for (at, atom) in atoms.iter().enumerate() {
        let single = |atom: &Atom| atom.pulse || atom.cut;
        let alone = single(atom) || at.checked_sub(1).is_some_and(|before| single(&atoms[before]));
        if bytes > 0 && (bytes + atom.bytes.len() > most || alone) {
            bounds.push(at);
            bytes = 0;
        }
        bytes += atom.bytes.len();
    }
    bounds.push(atoms.len());
    bounds
}
