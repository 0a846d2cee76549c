//! Reading a stopped tracee: its memory, and what its descriptors are.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::{fs, io};

thread_local! {
    static DENIED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread was refused a look since it asked last: then what it read says nothing.
pub(crate) fn was_denied() -> bool {
    DENIED.replace(false)
}

fn note(error: &io::Error) {
    if error.kind() == io::ErrorKind::PermissionDenied {
        DENIED.set(true);
    }
}

/// Up to `len` bytes of the tracee; fewer when the memory ends.
pub(crate) fn read(tid: libc::pid_t, at: u64, len: u64) -> Vec<u8> {
    let whole = part(tid, at, len);
    if whole.len() as u64 == len {
        return whole;
    }
    // Page by page: a string may stand just before memory that is not mapped.
    let mut out = Vec::new();
    let (mut at, end) = (at, at.saturating_add(len));
    while at < end {
        let piece = (4096 - at % 4096).min(end - at);
        let read = part(tid, at, piece);
        let short = (read.len() as u64) < piece;
        out.extend(read);
        if short {
            break;
        }
        at += piece;
    }
    out
}

fn part(tid: libc::pid_t, at: u64, len: u64) -> Vec<u8> {
    let (Ok(len), Ok(at)) = (usize::try_from(len), usize::try_from(at)) else { return Vec::new() };
    let mut buffer = vec![0u8; len];
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: len };
    let remote = libc::iovec { iov_base: std::ptr::without_provenance_mut(at), iov_len: len };
    // SAFETY: local is ours and as long as said; the kernel checks remote.
    let got = unsafe { libc::process_vm_readv(tid, &raw const local, 1, &raw const remote, 1, 0) };
    if got == -1 {
        note(&io::Error::last_os_error());
    }
    buffer.truncate(usize::try_from(got).unwrap_or(0));
    buffer
}

/// What `count` entries of a `struct iovec` array hold, in one piece.
pub(crate) fn gather(tid: libc::pid_t, vector: u64, count: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in read(tid, vector, count.min(1024) * 16).chunks_exact(16) {
        out.extend(read(tid, number(&entry[..8]), number(&entry[8..])));
    }
    out
}

/// The payload of a `struct msghdr`.
pub(crate) fn message(tid: libc::pid_t, header: u64) -> Vec<u8> {
    let header = read(tid, header, 56);
    if header.len() < 56 {
        return Vec::new();
    }
    gather(tid, number(&header[16..24]), number(&header[24..32]))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_ne_bytes)
}

/// What a descriptor is: a path, `socket:[…]`, `pipe:[…]`.
pub(crate) fn descriptor(tid: libc::pid_t, fd: u64) -> Option<String> {
    let fd = (fd & 0xffff_ffff) as u32;
    let link = fs::read_link(format!("/proc/{tid}/fd/{}", fd.cast_signed())).inspect_err(note).ok()?;
    link.to_str().map(str::to_owned)
}

/// Where a descriptor writes next.
pub(crate) fn position(tid: libc::pid_t, fd: u64) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{tid}/fdinfo/{fd}")).ok()?;
    let field = |name| text.lines().find_map(|l| l.strip_prefix(name)).map(str::trim);
    let flags = i32::from_str_radix(field("flags:")?, 8).ok()?;
    if flags & libc::O_APPEND != 0 {
        return fs::metadata(format!("/proc/{tid}/fd/{fd}")).ok().map(|m| m.len());
    }
    field("pos:")?.parse().ok()
}

/// A path argument, made absolute.
pub(crate) fn path(tid: libc::pid_t, dir: u64, name: u64) -> Option<String> {
    let bytes = read(tid, name, 4096);
    let text = String::from_utf8(bytes.into_iter().take_while(|b| *b != 0).collect()).ok()?;
    if text.starts_with('/') {
        return Some(text);
    }
    // The descriptor is an int in the low half of the register.
    let number = (dir & 0xffff_ffff) as u32;
    let base = if number.cast_signed() == libc::AT_FDCWD {
        fs::read_link(format!("/proc/{tid}/cwd")).ok()?.to_str()?.to_owned()
    } else {
        descriptor(tid, dir)?
    };
    Some(format!("{base}/{text}"))
}
