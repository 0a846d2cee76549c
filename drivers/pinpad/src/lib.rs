//! PIN pads: what a vendor's driver must do, shown on the pad of till-simulators. **Not certified**: no customer may
//! type a real PIN into anything that this driver talks to.
//!
//! `wire` is the simulated pad's protocol without I/O, `plugin` the shell that the daemon loads. A vendor of a certified pad
//! writes a plugin of its own against the SDK (`Driver::enter_pin`, `DriverEvent::Pin`) and may start from this one.

pub mod plugin;
pub mod wire;
