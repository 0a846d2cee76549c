//! Takes cuts all over a recording, and gives each different disk once.

use std::collections::HashMap;

use crate::model::{Disk, Left, Luck, Rules};
use crate::{Recording, Rng};

/// The ways out of a cut, in the order they are tried.
const LUCKS: [Luck; 6] =
    [Luck::Nothing, Luck::Torn(512), Luck::Everything, Luck::Subset, Luck::Torn(4096), Luck::Zeros];

/// Newest promise of each thread, by thread.
pub type Promises = Vec<(u64, u64)>;

/// One disk, and where it comes from.
#[derive(Debug)]
pub struct Cut {
    /// The cut came before this operation of the recording.
    pub at: usize,
    /// How the unsynced part came out.
    pub luck: Luck,
    /// Under which rules.
    pub rules: Rules,
    /// Newest promise of each thread by then.
    pub acked: Promises,
    /// What is left.
    pub left: Left,
    /// This content was seen before, with fewer promises made by then.
    pub again: bool,
}

/// Where and how often to cut.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Different disks wanted; fewer come when the recording has not so many.
    pub wanted: usize,
    /// Seed of all choices.
    pub seed: u64,
    /// Operations before this one are not cut (they were cut in an earlier plan).
    pub from: usize,
}

/// Gives different disks to `sink` until it says false or `plan.wanted` were given. `base`: what was there before the
/// recording began. Returns how many were given.
pub fn cuts(
    recording: &Recording,
    root: &str,
    base: Option<&Left>,
    plan: &Plan,
    mut sink: impl FnMut(Cut) -> bool,
) -> usize {
    // Content, and the promises made when it was judged last.
    let mut seen: HashMap<[u8; 32], (usize, Promises)> = HashMap::new();
    let mut rng = Rng(plan.seed);
    let points = recording.ops.len() + 1 - plan.from.min(recording.ops.len());
    let mut given = 0;
    let mut idle = 0;
    for pass in 0.. {
        // Both rule sets and all lucks come round within twelve passes.
        let rules = if (pass / LUCKS.len()).is_multiple_of(2) { Rules::Strict } else { Rules::Ext4 };
        let missing = plan.wanted - given;
        if missing == 0 || idle >= 4 * LUCKS.len() {
            return given;
        }
        // Spread the few over the whole: the first passes take a part of what is wanted, the last take all points.
        let share = if pass < 2 * LUCKS.len() { plan.wanted.div_ceil(2 * LUCKS.len()) } else { missing };
        let due = |index: usize, turn: usize| {
            let at = index.saturating_sub(plan.from) + turn * points / (2 * LUCKS.len()) % points;
            share >= points || (at + 1) * share / points > at * share / points
        };
        let mut disk = match base {
            Some(left) => Disk::from_left(root, rules, left),
            None => Disk::new(root, rules),
        };
        let mut acks = recording.acks.iter().peekable();
        let mut acked: HashMap<u64, u64> = HashMap::new();
        let (mut told, mut turn) = (0, 0);
        let before = given;
        for index in 0..=recording.ops.len() {
            while let Some(ack) = acks.next_if(|a| a.at <= index) {
                let newest = acked.entry(ack.thread).or_default();
                *newest = ack.count.max(*newest);
                told += 1;
            }
            if index >= plan.from && due(index, pass) {
                let luck = LUCKS[(pass + turn) % LUCKS.len()];
                turn += 1;
                let left = disk.cut(luck, &mut rng);
                let mut acked: Promises = acked.iter().map(|(t, c)| (*t, *c)).collect();
                acked.sort_unstable();
                let print = left.fingerprint();
                // The same content with more promises made is a harder question, but no other disk.
                let known = seen.get(&print);
                let again = known.is_some();
                if known.is_none_or(|(then, what)| *then < told && *what != acked) {
                    seen.insert(print, (told, acked.clone()));
                    given += usize::from(!again);
                    if !sink(Cut { at: index, luck, rules, acked, left, again }) || given >= plan.wanted {
                        return given;
                    }
                }
            }
            if let Some(op) = recording.ops.get(index) {
                disk.play(index, op);
            }
        }
        idle = if given == before { idle + 1 } else { 0 };
    }
    given
}
