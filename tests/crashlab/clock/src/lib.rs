//! `LD_PRELOAD`ed, it moves the clocks of the program that it is loaded into.
//!
//! * `TILL_LAB_CLOCK`: by so many seconds, for good. So a daemon that runs unchanged keeps records that are months old a
//!   minute later, and removes them after their time.
//! * `TILL_LAB_CLOCK_FILE`: as the file says at that moment: three little-endian `i64`. Seconds of the wall clock; whether
//!   the kernel calls it synchronised (1: yes, 0: no); seconds of the monotonic clock, so that what is looked at from time to
//!   time is looked at now. Whoever writes into the file, in place, steps the clocks of a running program.
#![allow(unsafe_code)] // stands in for functions of the C library

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

static OFFSET: OnceLock<i64> = OnceLock::new();
static FILE: OnceLock<Option<&'static [AtomicI64; 3]>> = OnceLock::new();

/// A value of the environment.
fn setting(name: &std::ffi::CStr) -> Option<&'static std::ffi::CStr> {
    // Not `std::env`: it may lock while a thread is being started.
    // SAFETY: the name ends with a zero; what comes back is null or a text of the environment, which nobody changes.
    unsafe {
        let value = libc::getenv(name.as_ptr());
        (!value.is_null()).then(|| std::ffi::CStr::from_ptr(value))
    }
}

/// The file that somebody else moves the clock with, mapped at the first look: it stays readable in a sandbox.
fn file() -> Option<&'static [AtomicI64; 3]> {
    *FILE.get_or_init(|| {
        let path = setting(c"TILL_LAB_CLOCK_FILE")?;
        // SAFETY: the path ends with a zero. The mapping is 24 bytes of a file that is at least that long (it is the
        // test's), page-aligned, never unmapped; both sides only read and write whole words.
        unsafe {
            let fd = libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
            if fd < 0 {
                return None;
            }
            let at = libc::mmap(std::ptr::null_mut(), 24, libc::PROT_READ, libc::MAP_SHARED, fd, 0);
            libc::close(fd);
            (at != libc::MAP_FAILED).then(|| &*at.cast::<[AtomicI64; 3]>())
        }
    })
}

/// While the program is loaded: later it may be in a sandbox that opens no files.
extern "C" fn begin() {
    let _mapped = file();
}

#[used]
#[unsafe(link_section = ".init_array")]
static BEGIN: extern "C" fn() = begin;

fn offset() -> i64 {
    let fixed = *OFFSET
        .get_or_init(|| setting(c"TILL_LAB_CLOCK").and_then(|v| v.to_str().ok()?.parse().ok()).unwrap_or(0));
    fixed + file().map_or(0, |words| i64::from_le(words[0].load(Ordering::Relaxed)))
}

/// The kernel's `clock_gettime`, moved.
///
/// # Safety
/// As `clock_gettime(2)`: `time` is a place for a `timespec`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    // SAFETY: the caller's arguments, passed on.
    let code = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) };
    let by = match clock {
        libc::CLOCK_REALTIME => offset(),
        libc::CLOCK_MONOTONIC => file().map_or(0, |words| i64::from_le(words[2].load(Ordering::Relaxed))),
        _ => 0,
    };
    if code == 0 {
        // SAFETY: the kernel has just written it.
        unsafe { (*time).tv_sec += by };
    }
    i32::try_from(code).unwrap_or(-1)
}

/// The kernel's `adjtimex`, and whether the clock is synchronised as the file says, where there is one.
///
/// # Safety
/// As `adjtimex(2)`: `state` is a `timex`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adjtimex(state: *mut libc::timex) -> libc::c_int {
    // SAFETY: the caller's argument, passed on.
    let code = unsafe { libc::syscall(libc::SYS_adjtimex, state) };
    let Some(words) = file().filter(|_| code >= 0) else { return i32::try_from(code).unwrap_or(-1) };
    let synchronised = i64::from_le(words[1].load(Ordering::Relaxed)) == 1;
    // SAFETY: the kernel has just written it.
    unsafe {
        if synchronised {
            (*state).status &= !libc::STA_UNSYNC;
        } else {
            (*state).status |= libc::STA_UNSYNC;
        }
    }
    if synchronised { libc::TIME_OK } else { libc::TIME_ERROR }
}
