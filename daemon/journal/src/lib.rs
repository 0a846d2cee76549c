//! The crash-safe journal: sled, a flight recorder beside it, one committer.
