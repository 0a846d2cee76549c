//! A cash drawer whose solenoid hangs on a relay or transistor at a GPIO line, with or without a switch that tells
//! whether it is open.
//!
//! `core` decides, with time as a number: how often and how long the line may be active, what a bouncing switch means,
//! when open is too long. `plugin` is the shell that the daemon loads; lines come from `till-gpio`.

pub mod core;
pub mod plugin;
pub mod settings;
