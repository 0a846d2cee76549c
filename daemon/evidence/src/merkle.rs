//! Merkle trees over frames, in the form of RFC 9162 §2.1 (Certificate Transparency), with BLAKE3.
//!
//! A leaf is the hash of a whole frame. A frame ends with its keyed hash, which nobody can guess without the device's
//! key: so the hashes beside a path say nothing about other payments' records.

/// A node.
pub type Hash = [u8; 32];

/// Longest path of a stretch.
pub const MAX_PATH: usize = 10;

/// The leaf of a frame.
pub fn leaf(frame: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[0]).update(frame);
    *hasher.finalize().as_bytes()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[1]).update(left).update(right);
    *hasher.finalize().as_bytes()
}

/// Where a list of more than one leaf is divided: the largest power of two below its length.
fn split(len: usize) -> usize {
    len.next_power_of_two() / 2
}

/// The root over leaves in order; of none, the hash of nothing.
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => *blake3::hash(b"").as_bytes(),
        [one] => *one,
        many => {
            let (left, right) = many.split_at(split(many.len()));
            node(&root(left), &root(right))
        }
    }
}

/// The hashes from leaf `at` up to the root, lowest first. `at` must be below the number of leaves.
pub fn path(leaves: &[Hash], at: usize) -> Vec<Hash> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut out, other) = match at.checked_sub(left.len()) {
        None => (path(left, at), root(right)),
        Some(at) => (path(right, at), root(left)),
    };
    out.push(other);
    out
}

/// The root that a leaf at `at` of `count` leads to along `path`; `None` when the path has not the length of that place.
pub fn climb(leaf: Hash, at: u64, count: u64, path: &[Hash]) -> Option<Hash> {
    if at >= count {
        return None;
    }
    let (mut at, mut last, mut hash) = (at, count - 1, leaf);
    for other in path {
        if last == 0 {
            return None;
        }
        if at % 2 == 1 || at == last {
            hash = node(other, &hash);
            while at % 2 == 0 && at != 0 {
                at /= 2;
                last /= 2;
            }
        } else {
            hash = node(&hash, other);
        }
        at /= 2;
        last /= 2;
    }
    (last == 0).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_leaf_climbs_to_the_root_from_its_own_place_only() {
        for count in 1..40usize {
            let leaves: Vec<Hash> = (0..count).map(|n| leaf(&n.to_le_bytes())).collect();
            let top = root(&leaves);
            for at in 0..count {
                let path = path(&leaves, at);
                assert!(path.len() <= MAX_PATH);
                for place in 0..count {
                    let reached = climb(leaves[at], place as u64, count as u64, &path);
                    assert_eq!(reached == Some(top), place == at, "leaf {at} at {place} of {count}");
                }
                for other in [count - 1, count + 1] {
                    let reached = climb(leaves[at], at as u64, other as u64, &path);
                    // A tree of another size may have the same shape above this leaf; never when it is the last.
                    assert!(reached != Some(top) || at + 1 < count.min(other), "{at} of {count} in {other}");
                }
            }
        }
        assert_eq!(path(&vec![[0; 32]; 1024], 1023).len(), MAX_PATH);
    }
}
