//! Measurements of the hot paths, as ratios in one run.
