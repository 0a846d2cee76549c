//! An input, decided, written, folded in and done.

use till_core::{Input, Next, NotDone, PaymentId, Record, Shell};

use super::{Done, Stopped, Told, World, log};
use crate::check;
use crate::disk::{Fate, Trouble};

/// Records between two comparisons of the whole till with its replay; what a record touches is compared every time.
const WHOLE_EVERY: u64 = 48;

/// Records between two snapshots.
const SNAPSHOT_EVERY: u64 = 80;

impl World {
    /// An input that somebody waits for the answer of.
    pub(crate) fn asked(&mut self, input: &Input) -> Told {
        if !self.up {
            return Err(Stopped::Died);
        }
        let told = self.input(input);
        if told == Err(Stopped::Journal) && self.rng.chance(30) {
            // A till that takes nothing any more is restarted by somebody sooner or later.
            self.die("by hand");
        }
        told
    }

    /// An input that nobody waits for: what cannot be written must not be forgotten, so the process ends, as the
    /// daemon's does, and resolves after its restart what is on disk.
    pub(super) fn unasked(&mut self, input: &Input) {
        if self.up && self.input(input) == Err(Stopped::Journal) {
            self.die("unable to write an answer");
        }
    }

    /// A payment that the input is about and that has left memory.
    fn lacks(&self, input: &Input) -> Option<PaymentId> {
        input.payment().filter(|id| self.till().payment(*id).is_none())
    }

    pub(super) fn input(&mut self, input: &Input) -> Told {
        self.ctx.wall_ms = self.wall();
        if let Some(payment) = self.lacks(input).and_then(|id| self.disk.payment(id, u64::MAX)) {
            self.tally.see("payments brought back to memory");
            self.shell.adopt(payment);
        }
        match self.shell.decide(input, &self.ctx) {
            Ok(next) => {
                log!(self, "{input:?} → {next:?}");
                let created = match next.record() {
                    Some(Record::Tendered { payment, ids, .. }) => Some((*payment, ids.attempt)),
                    Some(Record::LegPresented { payment, .. }) => {
                        let leg = self.till().payment(*payment).and_then(|p| p.open_attempt());
                        leg.map(|leg| (*payment, leg.ids.attempt))
                    }
                    _ => None,
                };
                self.vault.extend(created);
                let done = self.commit(next);
                if let (Err(Stopped::Journal), Some(created)) = (&done, created) {
                    // No attempt, so nobody will need what was presented.
                    self.vault.remove(&created);
                }
                let instead = (done == Err(Stopped::Journal)).then(|| Shell::unwritten(input, "no room"));
                match instead.flatten() {
                    Some(instead) => self.input(&instead),
                    None => Ok(Ok(done?)),
                }
            }
            Err(NotDone::Refused(refusal)) => {
                log!(self, "{input:?} → refused: {refusal}");
                Ok(Err(refusal))
            }
            Err(NotDone::Record(e)) => panic!("{input:?} cannot be recorded: {e}"),
        }
    }

    pub(super) fn commit(&mut self, next: Next) -> Result<Done, Stopped> {
        let (effects, wrote) = match next {
            Next::Act(effects) => (effects, false),
            Next::Write(mut pending) => {
                #[cfg(feature = "planted")]
                for effect in pending.before_durable() {
                    self.effect(effect);
                }
                let noted = self.noted(pending.record());
                let fate = self.faults.append(&mut self.rng);
                let wall = self.wall();
                let payload = pending.take_payload();
                let (rng, now) = (&mut self.rng, self.clock.now);
                let at = match self.disk.append(rng, fate, pending.record(), payload, wall, now) {
                    Ok(at) => at,
                    Err(Trouble::Died(when)) => {
                        self.die(when);
                        return Err(Stopped::Died);
                    }
                    Err(Trouble::Refused(why)) => {
                        self.tally.see(why);
                        log!(self, "the journal refuses: {why}");
                        return Err(Stopped::Journal);
                    }
                };
                debug_assert_ne!(fate, Fate::After, "not answered");
                // As a replay reads it.
                let (record, wall) = self.disk.record(self.disk.len());
                self.replay(self.disk.len(), wall, &record);
                let effects = self.shell.durable(pending, at);
                self.note(&record, noted);
                self.tally.records += 1;
                self.tally.count_record(record.name());
                check::after_record(self, &record);
                if self.tally.records.is_multiple_of(WHOLE_EVERY) {
                    check::i07_replay_gives_the_live_state(self);
                }
                if self.tally.records.is_multiple_of(SNAPSHOT_EVERY) {
                    match self.till().to_snapshot() {
                        Ok(bytes) => self.snapshot = Some((self.disk.len(), bytes)),
                        Err(e) => panic!("the state cannot be written as a snapshot: {e}"),
                    }
                }
                (effects, true)
            }
        };
        let count = effects.len();
        for effect in effects {
            if self.faults.effect(&mut self.rng) {
                self.die("before an effect");
                return Err(Stopped::Died);
            }
            self.effect(effect);
        }
        Ok(Done { wrote, effects: count })
    }
}
