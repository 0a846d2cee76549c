//! `org.tilld.Printer1`.

use zbus::ObjectPath;

use crate::Error;
use crate::types::Job;

/// org.tilld.Printer1: on device objects that print.
#[zbus::proxy(interface = "org.tilld.Printer1", default_service = "org.tilld.Till1")]
pub trait Printer1 {
    /// Receipts and settlement slips that are not certainly printed: (job, payment id or empty, state).
    #[zbus(property)]
    fn jobs(&self) -> Result<Vec<Job>, Error>;

    /// A print job moved: queued, started, held, resumed, done, unconfirmed, cancelled, failed. payment is / for a
    /// settlement slip.
    #[zbus(signal)]
    fn job_changed(&self, job: u64, payment: ObjectPath<'_>, state: &str, reason: &str) -> Result<(), Error>;
}
