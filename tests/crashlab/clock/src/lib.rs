//! `LD_PRELOAD`ed, it moves the wall clock by `TILL_LAB_CLOCK` seconds; every other clock is the kernel's. So a daemon
//! that runs unchanged keeps records that are months old a minute later, and removes them after their time.
#![allow(unsafe_code)] // stands in for a function of the C library

use std::sync::OnceLock;

static OFFSET: OnceLock<i64> = OnceLock::new();

fn offset() -> i64 {
    // Not `std::env`: it may lock while a thread is being started.
    *OFFSET.get_or_init(|| {
        // SAFETY: the name ends with a zero; what comes back is null or a text of the environment, which nobody changes.
        let text = unsafe {
            let value = libc::getenv(c"TILL_LAB_CLOCK".as_ptr());
            if value.is_null() {
                return 0;
            }
            std::ffi::CStr::from_ptr(value)
        };
        text.to_str().ok().and_then(|t| t.parse().ok()).unwrap_or(0)
    })
}

/// The kernel's `clock_gettime`, the wall clock moved.
///
/// # Safety
/// As `clock_gettime(2)`: `time` is a place for a `timespec`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    // SAFETY: the caller's arguments, passed on.
    let code = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) };
    if code == 0 && clock == libc::CLOCK_REALTIME {
        // SAFETY: the kernel has just written it.
        unsafe { (*time).tv_sec += offset() };
    }
    i32::try_from(code).unwrap_or(-1)
}
