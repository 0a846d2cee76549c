//! The process that loads one plugin and serves it to the daemon over a socketpair.
