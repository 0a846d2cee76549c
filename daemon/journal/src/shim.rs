//! The shim that makes sled durable: `sync_file_range` says "not on this system".
//!
//! sled 0.34.7 on Linux answers `flush()` after `sync_file_range`, which neither flushes the device's cache nor
//! makes a file's length and blocks durable. Only when the call fails with `ENOSYS` does it take its own fallback,
//! a whole `fsync`. This module defines that symbol in the program, so the linker takes ours before libc's.
#![allow(unsafe_code)]

use libc::{c_int, c_uint, off64_t};

// SAFETY: the symbol replaces libc's function of the same name and signature for this whole program. Callers must
// already cope with ENOSYS (kernels without the call exist), and nothing but errno is touched.
#[unsafe(no_mangle)]
extern "C" fn sync_file_range(_fd: c_int, _offset: off64_t, _nbytes: off64_t, _flags: c_uint) -> c_int {
    // SAFETY: __errno_location returns a valid pointer to the calling thread's errno.
    unsafe { *libc::__errno_location() = libc::ENOSYS };
    -1
}

/// Whether a call of `sync_file_range` in this program reaches the shim.
///
/// libc's own function would fail with `EBADF` on descriptor −1; only the shim (or a system call filter with the
/// same effect) says `ENOSYS`. [`Journal::open`](crate::Journal::open) refuses when this is false.
pub fn shim_active() -> bool {
    // SAFETY: plain values; −1 is never an open descriptor, so libc's function would touch nothing.
    let code = unsafe { libc::sync_file_range(-1, 0, 0, 0) };
    code == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS)
}
