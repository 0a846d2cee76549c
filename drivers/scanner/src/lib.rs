//! Driver for code scanners: serial and keyboard wedge.
