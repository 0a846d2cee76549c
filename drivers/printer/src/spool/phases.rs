//! What the spooler does when time has passed: the phases of a job, one after the other.

use super::active::{Phase, Work, bounds, bytes_of};
use super::{RESTARTS, SILENT, Spooler, WINDOW};
use crate::command;
use crate::encode;
use crate::job::{Confirmed, Event, Fault, Hold, Millis, State};
use crate::poll::Round;

impl Spooler {
    /// Does what can be done now.
    pub(super) fn advance(&mut self, now: Millis) {
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
        self.active = Some(super::active::Active::new(work, &self.profile, self.poller.begun() + 1, now));
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
        if let Some((why, since)) = active.held
            && now >= since + self.timing.hold_ms
        {
            self.finish(now, |progress| State::Failed { fault: Fault::HeldTooLong(why), progress });
            // What was not taken belongs to a job that is over.
            self.out.clear();
            return true;
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
