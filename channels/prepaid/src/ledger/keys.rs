//! Which keys were used, in bounded memory: the newest exactly, all older ones by filters of about 2.5 bytes a key.
//!
//! A filter says "never" for certain and "perhaps" wrongly once in ten thousand; "perhaps" names a range of the log,
//! which is then read. So a fresh key costs no reading, and no key is ever used twice.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

/// Half a BLAKE3 digest of a key.
type Digest = [u8; 16];

/// Keys known exactly.
const RECENT: usize = 8192;
/// Keys of one filter.
const KEYS: u32 = 65_536;
/// Bits of one filter: 20 a key.
const BITS: u64 = KEYS as u64 * 20;
/// Bits set for a key.
const PROBES: u64 = 14;

/// Where a key may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Never used.
    New,
    /// Used by the entry at this log position.
    At(u64),
    /// If it was used, then by an entry in one of these ranges of log positions (first and last).
    Within(Vec<(u64, u64)>),
}

/// The keys used.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    recent: HashMap<Digest, u64>,
    oldest_first: VecDeque<Digest>,
    older: Vec<Filter>,
    kept: usize,
}

#[derive(Clone, Debug)]
struct Filter {
    bits: Vec<u64>,
    count: u32,
    first: u64,
    last: u64,
}

impl Keys {
    pub(crate) fn new() -> Self {
        Self::with(RECENT)
    }

    /// Knows this many exactly.
    pub(crate) fn with(kept: usize) -> Self {
        Self { recent: HashMap::new(), oldest_first: VecDeque::new(), older: Vec::new(), kept }
    }

    /// The entry at `position` used the key.
    pub(crate) fn add(&mut self, key: &str, position: u64) {
        let digest = digest(key);
        if self.recent.insert(digest, position).is_none() {
            self.oldest_first.push_back(digest);
        }
        if self.oldest_first.len() > self.kept
            && let Some(oldest) = self.oldest_first.pop_front()
            && let Some(position) = self.recent.remove(&oldest)
        {
            if self.older.last().is_none_or(|f| f.count == KEYS) {
                self.older.push(Filter::new(position));
            }
            if let Some(filter) = self.older.last_mut() {
                filter.add(&oldest, position);
            }
        }
    }

    pub(crate) fn find(&self, key: &str) -> Place {
        let digest = digest(key);
        if let Some(position) = self.recent.get(&digest) {
            return Place::At(*position);
        }
        let ranges: Vec<_> =
            self.older.iter().rev().filter(|f| f.has(&digest)).map(|f| (f.first, f.last)).collect();
        if ranges.is_empty() { Place::New } else { Place::Within(ranges) }
    }
}

/// The keys as a checkpoint keeps them.
#[derive(Serialize, Deserialize)]
pub(crate) struct SavedKeys {
    kept: u64,
    /// Oldest first.
    recent: Vec<(Digest, u64)>,
    older: Vec<SavedFilter>,
}

#[derive(Serialize, Deserialize)]
struct SavedFilter {
    /// Its words, little-endian.
    bits: Vec<u8>,
    count: u32,
    first: u64,
    last: u64,
}

impl Keys {
    pub(crate) fn save(&self) -> SavedKeys {
        let recent = self.oldest_first.iter().filter_map(|d| Some((*d, *self.recent.get(d)?))).collect();
        let filter = |f: &Filter| SavedFilter {
            bits: f.bits.iter().flat_map(|w| w.to_le_bytes()).collect(),
            count: f.count,
            first: f.first,
            last: f.last,
        };
        SavedKeys { kept: self.kept as u64, recent, older: self.older.iter().map(filter).collect() }
    }

    pub(crate) fn restored(saved: SavedKeys) -> Self {
        let word = |b: &[u8]| b.iter().rev().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
        let filter = |f: SavedFilter| Filter {
            bits: f.bits.chunks(8).map(word).collect(),
            count: f.count,
            first: f.first,
            last: f.last,
        };
        Self {
            oldest_first: saved.recent.iter().map(|(digest, _)| *digest).collect(),
            recent: saved.recent.into_iter().collect(),
            older: saved.older.into_iter().map(filter).collect(),
            kept: usize::try_from(saved.kept).unwrap_or(RECENT),
        }
    }

    /// The log up to a position is given up: what was used there only is forgotten.
    pub(crate) fn give_up_through(&mut self, position: u64) {
        self.recent.retain(|_, at| *at > position);
        let recent = &self.recent;
        self.oldest_first.retain(|digest| recent.contains_key(digest));
        self.older.retain(|f| f.last > position);
        for filter in &mut self.older {
            filter.first = filter.first.max(position + 1);
        }
    }
}

impl Filter {
    fn new(first: u64) -> Self {
        Self { bits: vec![0; usize::try_from(BITS / 64).unwrap_or(0)], count: 0, first, last: first }
    }

    fn add(&mut self, digest: &Digest, position: u64) {
        for (word, bit) in places(digest) {
            if let Some(word) = self.bits.get_mut(word) {
                *word |= bit;
            }
        }
        self.count += 1;
        self.last = position;
    }

    fn has(&self, digest: &Digest) -> bool {
        places(digest).all(|(word, bit)| self.bits.get(word).is_some_and(|w| w & bit != 0))
    }
}

/// Words and bits of a digest: two halves of it make as many independent places as wanted (Kirsch, Mitzenmacher 2006).
fn places(digest: &Digest) -> impl Iterator<Item = (usize, u64)> {
    let half = |from: usize| digest[from..from + 8].iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
    let (a, b) = (half(0), half(8) | 1);
    (0..PROBES).map(move |n| {
        let place = a.wrapping_add(b.wrapping_mul(n)) % BITS;
        (usize::try_from(place / 64).unwrap_or(0), 1 << (place % 64))
    })
}

fn digest(key: &str) -> Digest {
    let mut half = Digest::default();
    half.copy_from_slice(&blake3::hash(key.as_bytes()).as_bytes()[..16]);
    half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_ever_used_is_found_and_fresh_ones_hardly_ever_cost_a_look() {
        let mut keys = Keys::with(100);
        for n in 0..150_000_u64 {
            keys.add(&format!("T01{n}"), n + 1);
        }
        assert_eq!((keys.recent.len(), keys.older.len()), (100, 3));
        assert_eq!(keys.find("T01149999"), Place::At(150_000));
        for n in 0..149_900_u64 {
            match keys.find(&format!("T01{n}")) {
                Place::Within(ranges) => {
                    assert!(ranges.iter().any(|r| (r.0..=r.1).contains(&(n + 1))), "{n}");
                }
                other => panic!("key {n}: {other:?}"),
            }
        }
        let wrong = (0..100_000).filter(|n| keys.find(&format!("T02{n}")) != Place::New).count();
        assert!(wrong < 60, "{wrong} of 100,000 fresh keys would be looked for in the log");
    }
}
