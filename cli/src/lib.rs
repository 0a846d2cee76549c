//! The command line of tilld.
