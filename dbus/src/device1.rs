//! `org.tilld.Device1`.

use std::collections::HashMap;

use zbus::OwnedFd;

use crate::types::{LocalText, SandboxLayer};
use crate::{Error, Options};

/// org.tilld.Device1: one device, at /org/tilld/Till1/device/`<id>`. A failed device keeps its object, with the
/// reason.
#[zbus::proxy(interface = "org.tilld.Device1", default_service = "org.tilld.Till1")]
pub trait Device1 {
    /// Id from the configuration: lower-case letters, digits and dashes.
    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> Result<String, Error>;

    /// Name for people: English, Chinese.
    #[zbus(property(emits_changed_signal = "const"))]
    fn name(&self) -> Result<LocalText, Error>;

    /// Plugin id.
    #[zbus(property(emits_changed_signal = "const"))]
    fn plugin(&self) -> Result<String, Error>;

    /// magstripe, scanner, printer, drawer …
    #[zbus(property)]
    fn classes(&self) -> Result<Vec<String>, Error>;

    /// Where it is attached, for people.
    #[zbus(property)]
    fn transport(&self) -> Result<String, Error>;

    /// starting, ready, attention, blocked, offline, failed, quarantined, unknown.
    #[zbus(property)]
    fn state(&self) -> Result<String, Error>;

    /// One line when it is not ready.
    #[zbus(property)]
    fn state_reason(&self) -> Result<String, Error>;

    /// Confinement of its process: (layer, level).
    #[zbus(property)]
    fn sandbox(&self) -> Result<Vec<SandboxLayer>, Error>;

    /// Unique bus name of the front-end that claimed it; empty: nobody.
    #[zbus(property)]
    fn claimed_by(&self) -> Result<String, Error>;

    /// redacted or raw while it is recorded, else empty.
    #[zbus(property)]
    fn recording(&self) -> Result<String, Error>;

    /// Takes the device out of quarantine. Errors: WrongState.
    fn restart(&self, options: Options<'_>) -> Result<(), Error>;

    /// Its counters (names of its driver, and starts and reconnects of the daemon's own) since a time, Unix ms, over
    /// restarts of its process and of the daemon. After a crash up to six minutes are missing. Empty: it keeps none.
    fn statistics(&self, options: Options<'_>) -> Result<(HashMap<String, u64>, i64), Error>;

    /// Its counters begin at zero, now. Errors: PluginFailed (not on disk yet). Options: operator (s).
    fn reset_statistics(&self, options: Options<'_>) -> Result<(), Error>;

    /// Records what passes its transport: a recording as of docs/plugins.md comes out of the pipe, line by line. It goes
    /// on while the device is away, and ends at its limits, with StopRecording, when the pipe is closed, or when the
    /// caller leaves the bus; a line "# end:" says why. Nothing that may be card data is in it. Never slows the device:
    /// what the caller does not read in time is dropped and counted. One at a time. Errors: Busy (who records),
    /// WrongState (no process, no transport), InvalidArgs. Options: seconds (u) 1-3600, else 300; bytes (t)
    /// 4096-16777216, else 4194304.
    fn record(&self, options: Options<'_>) -> Result<OwnedFd, Error>;

    /// The same with every byte as it is, CARD DATA INCLUDED. Only while the till is in training, and at its end it
    /// ends. Tells Alarm (raw-recording). Errors: Busy (who records), WrongState (not in training, no process, no transport),
    /// InvalidArgs. Options: as Record.
    fn record_raw(&self, options: Options<'_>) -> Result<OwnedFd, Error>;

    /// Ends a recording, whoever began it. Errors: WrongState.
    fn stop_recording(&self, options: Options<'_>) -> Result<(), Error>;

    /// The caller has this scanner for itself between payments (goods, members, coupons), until Release or until it
    /// leaves the bus. Payments come first. Again by the same caller: nothing happens. Errors: Busy (who has it),
    /// Unsupported (no scanner: what other devices read is a card).
    fn claim(&self, options: Options<'_>) -> Result<(), Error>;

    /// Gives it back. Errors: Busy (another has it), WrongState (not claimed).
    fn release(&self, options: Options<'_>) -> Result<(), Error>;

    /// What it scans while no payment wants something comes out of the pipe, one JSON line each: {"text", "symbology"}
    /// (AIM identifier or null). A payment code never does. The pipe ends with Disable, Release, or another Enable.
    /// Errors: Busy, WrongState (not claimed).
    fn enable(&self, options: Options<'_>) -> Result<OwnedFd, Error>;

    /// No codes any more; the claim stays. Errors: Busy, WrongState (not claimed).
    fn disable(&self, options: Options<'_>) -> Result<(), Error>;

    /// The state moved: once for each move. reason is one line, or empty.
    #[zbus(signal, name = "StateChanged")]
    fn moved(&self, old: &str, new: &str, reason: &str) -> Result<(), Error>;
}
