//! Sets and maps that are only asked whether they have something: nobody goes through them in their order, so they need
//! none. The hash is the same in every run, as everything in a world.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

pub(crate) type LookupMap<K, V> = HashMap<K, V, BuildHasherDefault<Mix>>;
pub(crate) type LookupSet<K> = HashSet<K, BuildHasherDefault<Mix>>;

/// Eight bytes at a time, rotated and multiplied: quick for short texts, and no more is wanted of it.
#[derive(Default)]
pub(crate) struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(8) {
            let mut eight = [0; 8];
            eight[..piece.len()].copy_from_slice(piece);
            self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(eight)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    fn finish(&self) -> u64 {
        // The upper bits are the well mixed ones; a table looks at both ends.
        self.0.rotate_left(26)
    }
}
