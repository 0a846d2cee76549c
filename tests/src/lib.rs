//! End-to-end tests: the whole till on a private bus.
