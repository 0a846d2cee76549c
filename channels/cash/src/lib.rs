//! Payment channel: cash.
