//! Whether the wall clock may be believed, as the kernel says: the same rule for the daemon and its plugins.

/// Something keeps the kernel's clock right (`STA_UNSYNC` is clear, adjtimex(2)); so say timesyncd, chrony and ntpd alike.
#[allow(unsafe_code)]
pub fn clock_synchronised() -> bool {
    // SAFETY: `timex` is plain data, all zeroes is a valid value, and `modes` 0 only reads.
    unsafe {
        let mut status: libc::timex = std::mem::zeroed();
        libc::adjtimex(&raw mut status) >= 0 && status.status & libc::STA_UNSYNC == 0
    }
}
