//! Everything outside the till, simulated from public protocols with scripted faults.
