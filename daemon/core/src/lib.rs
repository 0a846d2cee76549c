//! The payment machine, routing and recognition: pure functions, no I/O, no clock.
