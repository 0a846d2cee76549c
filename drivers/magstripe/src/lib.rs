//! Driver for magnetic-stripe readers: keyboard wedge.
