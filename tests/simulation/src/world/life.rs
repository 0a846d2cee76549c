//! The process dies, and comes back with what the disk gives.

use till_core::{Record, Shell, Till};

use super::{Stopped, World, log};
use crate::check;
use crate::clock::Event;
use crate::disk::Health;

impl World {
    pub(crate) fn die(&mut self, when: &'static str) {
        log!(self, "dies {when}");
        *self.tally.died.entry(when).or_default() += 1;
        self.clock.process_died();
        self.vault.clear();
        self.armed_for = None;
        self.up = false;
        let pause = self.rng.range(1_000, 5_000);
        self.clock.after(pause, Event::Restart);
    }

    /// Folds a record of the journal as a replay does.
    pub(super) fn replay(&mut self, seq: u64, wall: i64, record: &Record) {
        if let Some(payment) = self.replayed.lacks(record).and_then(|id| self.disk.payment(id, seq)) {
            self.replayed.adopt(payment);
        }
        self.replayed.apply(seq, wall, record);
        if self.untrained.is_some() {
            self.replay_untrained(seq, wall, record);
        }
    }

    /// The same without training.
    fn replay_untrained(&mut self, seq: u64, wall: i64, record: &Record) {
        let training = record.payment().and_then(|id| self.replayed.payment(id)).is_some_and(|p| p.training);
        let Some(till) = self.untrained.as_mut().filter(|_| !training) else { return };
        if let Some(payment) = till.lacks(record).and_then(|id| self.disk.payment(id, seq)) {
            till.adopt(payment);
        }
        if !matches!(record, Record::TrainingSet { .. }) {
            till.apply(seq, wall, record);
        }
    }

    /// As a start does: the records from a seq on, one after the other.
    fn replay_records(&self, mut shell: Shell, first: u64) -> Shell {
        for seq in first..=self.disk.len() {
            let (at, payload) = self.disk.read(seq);
            if let Err(e) = shell.replay_with(at, payload, |id| self.disk.payment(id, seq)) {
                panic!("record {seq} cannot be replayed: {e}");
            }
        }
        shell
    }

    /// As a start does that finds a snapshot: it, and the records after it.
    fn replay_snapshot(&self) -> Shell {
        let Some((seq, bytes)) = &self.snapshot else { return self.replay_records(Shell::default(), 1) };
        match Till::from_snapshot(bytes) {
            Ok(till) => self.replay_records(Shell::new(till), seq + 1),
            Err(e) => panic!("a snapshot cannot be read: {e}"),
        }
    }

    pub(super) fn restart(&mut self) {
        if self.disk.health == Health::ReadOnly {
            // The journal does not open; systemd tries again.
            self.clock.after(5_000, Event::Restart);
            return;
        }
        let known = self.disk.len();
        let found = self.disk.open();
        assert!(found <= 1, "one record at a time is on its way to the disk");
        let unanswered = (found > 0).then(|| self.disk.record(known + 1));
        if let Some((record, wall)) = &unanswered {
            self.replay(known + 1, *wall, record);
        }
        self.tally.see_many("records found that were never answered", found);
        // The whole replay now and then, or from a snapshot. Else the state that died is compared, record for record what
        // the disk gives back, and goes on: that is the state which a replay gives.
        match self.rng.below(16) {
            0 => self.shell = self.replay_records(Shell::default(), 1),
            1 | 2 => self.shell = self.replay_snapshot(),
            _ => {
                let died = std::mem::take(&mut self.shell);
                self.shell = self.replay_records(died, known + 1);
            }
        }
        check::i07_replay_gives_the_live_state(self);
        if let Some((record, _)) = &unanswered {
            check::after_record(self, record);
        }
        self.up = true;
        self.read_breakers();
        log!(self, "restarts");
        let steps = match self.shell.recover() {
            Ok(steps) => steps,
            Err(e) => panic!("the recovery cannot be recorded: {e}"),
        };
        for next in steps {
            log!(self, "recovery → {next:?}");
            match self.commit(next) {
                Ok(_) => {}
                Err(Stopped::Died) => return,
                Err(Stopped::Journal) => {
                    self.die("unable to write in recovery");
                    return;
                }
            }
        }
        check::after_restart(self);
    }
}
