//! Records the file operations of a program and its children with ptrace, on any 64-bit architecture Linux has.
//!
//! A subject that forbids reading its memory (`PR_SET_DUMPABLE`, as `tilld` does) can be recorded by root only.
#![allow(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::mem::size_of;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::{fs, io};

use crate::{Ack, Op, Recording, filter, memory};

const GET_SYSCALL_INFO: libc::c_uint = 0x420e;
const ENTRY: u64 = 1;
const SECCOMP: u64 = 3;

/// Why a recording came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// This machine does not let us trace.
    #[error("ptrace or seccomp is not permitted here: {0}")]
    NotPermitted(io::Error),
    /// The subject does something that the model has no word for.
    #[error("the recorder must learn this: {0}")]
    Unknown(String),
    /// The root is no plain text.
    #[error("the recorded directory must be an absolute path in UTF-8")]
    Root,
}

/// Bytes on their way out of the subject to something that is no file.
#[derive(Debug)]
pub struct Sent<'a> {
    /// Process or thread that sends.
    pub tid: i32,
    /// Descriptor number.
    pub fd: u64,
    /// What it is: `pipe:[…]`, `socket:[…]`.
    pub target: &'a str,
    /// What the kernel took.
    pub bytes: &'a [u8],
}

/// Hears everything that the subject sends, and says what of it is a promise: thread and count of an [`Ack`].
pub trait Witness {
    /// Called in the order of the subject's calls, for those that succeeded.
    fn heard(&mut self, sent: &Sent<'_>) -> Vec<(u64, u64)>;
}

/// Promises are lines `acked THREAD COUNT` on standard output.
#[derive(Debug, Default)]
pub struct AckedLines;

impl Witness for AckedLines {
    fn heard(&mut self, sent: &Sent<'_>) -> Vec<(u64, u64)> {
        let text = String::from_utf8_lossy(sent.bytes);
        let mut words = text.strip_prefix("acked ").unwrap_or_default().split_whitespace();
        let mut next = || words.next()?.parse().ok();
        match (sent.fd, next(), next()) {
            (1, Some(thread), Some(count)) => vec![(thread, count)],
            _ => Vec::new(),
        }
    }
}

/// What a system call that began will do if it succeeds.
enum Pending {
    Op(Op),
    Write { path: String, at: u64, data: Vec<u8> },
    Sync { path: String, since: usize, data_only: bool },
    Send { at: usize, fd: u64, target: String, data: Vec<u8> },
}

struct Recorder<'a> {
    root: &'a str,
    recording: &'a mut Recording,
    witness: &'a mut dyn Witness,
    pending: BTreeMap<libc::pid_t, Pending>,
    unknown: Option<String>,
}

/// Starts `command` under the recorder, hands the child to `started` and serves it until it has ended: appends what it
/// does below `root` to `recording`. Gives its wait status. The thread that calls this is the tracer.
pub fn record(
    command: &mut Command,
    root: &Path,
    recording: &mut Recording,
    witness: &mut dyn Witness,
    started: impl FnOnce(&mut Child),
) -> Result<i32, RecordError> {
    let root = root.to_str().filter(|r| r.starts_with('/')).ok_or(RecordError::Root)?;
    let program = filter::program();
    // SAFETY: ptrace, prctl and raise are async-signal-safe; they touch nothing of the parent's state.
    unsafe {
        command.pre_exec(move || {
            if libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) == -1 {
                return Err(io::Error::last_os_error());
            }
            filter::install(&program)
        });
    }
    let mut child = command.spawn().map_err(RecordError::NotPermitted)?;
    let main = libc::pid_t::try_from(child.id()).unwrap_or(0);
    started(&mut child);
    let mut recorder = Recorder { root, recording, witness, pending: BTreeMap::new(), unknown: None };
    let status = recorder.trace(main).map_err(RecordError::NotPermitted)?;
    let unknown = recorder.unknown;
    if memory::was_denied() {
        let why = "the subject forbids others to read its memory: only root may record it";
        return Err(RecordError::NotPermitted(io::Error::new(io::ErrorKind::PermissionDenied, why)));
    }
    match unknown {
        Some(what) => Err(RecordError::Unknown(what)),
        None => Ok(status),
    }
}

impl Recorder<'_> {
    /// Serves stops until the main process has ended; returns its wait status.
    fn trace(&mut self, main: libc::pid_t) -> io::Result<i32> {
        let mut known = BTreeSet::new();
        loop {
            let mut status = 0;
            // SAFETY: status is a valid place. __WNOTHREAD: other threads' children are not ours to reap.
            let tid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
            if tid == -1 {
                let e = io::Error::last_os_error();
                if e.kind() == io::ErrorKind::Interrupted {
                    continue;
                }
                return Err(e);
            }
            if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
                self.pending.remove(&tid);
                known.remove(&tid);
                if tid == main {
                    return Ok(status);
                }
                continue;
            }
            let signal = libc::WSTOPSIG(status);
            let mut request = libc::PTRACE_CONT;
            let mut deliver = 0;
            if tid == main && known.is_empty() {
                let options = libc::PTRACE_O_TRACESYSGOOD
                    | libc::PTRACE_O_TRACESECCOMP
                    | libc::PTRACE_O_TRACECLONE
                    | libc::PTRACE_O_TRACEFORK
                    | libc::PTRACE_O_TRACEVFORK
                    | libc::PTRACE_O_TRACEEXEC
                    | libc::PTRACE_O_EXITKILL;
                // SAFETY: the tracee is stopped; options are a plain value.
                if unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, tid, 0, libc::c_long::from(options)) } == -1
                {
                    return Err(io::Error::last_os_error());
                }
            } else if signal == libc::SIGTRAP | 0x80 {
                self.ended(tid);
            } else if status >> 8 == libc::SIGTRAP | (libc::PTRACE_EVENT_SECCOMP << 8) {
                if self.entered(tid) {
                    // The next stop is the end of this call.
                    request = libc::PTRACE_SYSCALL;
                }
            } else if signal != libc::SIGTRAP && (signal != libc::SIGSTOP || known.contains(&tid)) {
                deliver = signal;
            }
            known.insert(tid);
            // SAFETY: the tracee is stopped. It may have been killed meanwhile: then the next wait tells.
            unsafe { libc::ptrace(request, tid, 0, libc::c_long::from(deliver)) };
        }
    }

    /// The stop's `struct ptrace_syscall_info`: op in the first byte; entry: `[3]` number, `[4..10]` arguments; exit: `[3]`
    /// result. `None` when the tracee was killed meanwhile.
    fn info(tid: libc::pid_t) -> Option<[u64; 12]> {
        let mut info = [0u64; 12];
        // SAFETY: the buffer is as large as said, and plain integers.
        let got = unsafe { libc::ptrace(GET_SYSCALL_INFO, tid, size_of::<[u64; 12]>(), info.as_mut_ptr()) };
        (got != -1).then_some(info)
    }

    fn entered(&mut self, tid: libc::pid_t) -> bool {
        let Some(info) = Self::info(tid).filter(|i| matches!(i[0] & 0xff, ENTRY | SECCOMP)) else {
            return false;
        };
        let mut arguments = [0; 6];
        arguments.copy_from_slice(&info[4..10]);
        match self.begun(tid, info[3].cast_signed(), arguments) {
            Some(pending) => {
                self.pending.insert(tid, pending);
                true
            }
            None => false,
        }
    }

    fn ended(&mut self, tid: libc::pid_t) {
        let Some(pending) = self.pending.remove(&tid) else { return };
        let Some(result) = Self::info(tid).map(|i| i[3].cast_signed()) else { return };
        let Ok(result) = usize::try_from(result) else { return };
        let ops = &mut self.recording.ops;
        match pending {
            Pending::Op(op) => ops.push(op),
            Pending::Write { path, at, mut data } => {
                data.truncate(result);
                ops.push(Op::Write { path, at, data: data.into() });
            }
            Pending::Sync { path, since, data_only } => ops.push(Op::Sync { path, since, data_only }),
            Pending::Send { at, fd, target, mut data } => {
                data.truncate(result);
                let sent = Sent { tid, fd, target: &target, bytes: &data };
                // Counted from when the call began: from there on the world may know.
                let acks = self.witness.heard(&sent).into_iter();
                self.recording.acks.extend(acks.map(|(thread, count)| Ack { at, thread, count }));
            }
        }
    }

    fn begun(&mut self, tid: libc::pid_t, number: i64, a: [u64; 6]) -> Option<Pending> {
        let at_cwd = i64::from(libc::AT_FDCWD).cast_unsigned();
        match number {
            libc::SYS_openat => self.open(tid, a[0], a[1], a[2]),
            libc::SYS_write => self.write(tid, a[0], None, || memory::read(tid, a[1], a[2])),
            libc::SYS_pwrite64 => self.write(tid, a[0], Some(a[3]), || memory::read(tid, a[1], a[2])),
            libc::SYS_writev => self.write(tid, a[0], None, || memory::gather(tid, a[1], a[2])),
            libc::SYS_pwritev => self.write(tid, a[0], Some(a[3]), || memory::gather(tid, a[1], a[2])),
            libc::SYS_sendto => self.write(tid, a[0], None, || memory::read(tid, a[1], a[2])),
            libc::SYS_sendmsg => self.write(tid, a[0], None, || memory::message(tid, a[1])),
            libc::SYS_fsync | libc::SYS_fdatasync => Some(Pending::Sync {
                path: self.inside(memory::descriptor(tid, a[0])?)?,
                since: self.recording.ops.len(),
                data_only: number == libc::SYS_fdatasync,
            }),
            libc::SYS_ftruncate => {
                let path = self.inside(memory::descriptor(tid, a[0])?)?;
                Some(Pending::Op(Op::Truncate { path, len: a[1] }))
            }
            libc::SYS_truncate => {
                self.op(memory::path(tid, at_cwd, a[0]), |path| Op::Truncate { path, len: a[1] })
            }
            libc::SYS_fallocate => {
                let path = self.inside(memory::descriptor(tid, a[0])?)?;
                if a[1] != 0 {
                    return self.puzzled(format!("fallocate with mode {} on {path}", a[1]));
                }
                Some(Pending::Op(Op::Allocate { path, end: a[2].saturating_add(a[3]) }))
            }
            libc::SYS_mkdirat => self.op(memory::path(tid, a[0], a[1]), |path| Op::Mkdir { path }),
            libc::SYS_unlinkat => self.op(memory::path(tid, a[0], a[1]), |path| Op::Unlink { path }),
            libc::SYS_renameat | libc::SYS_renameat2 => self.two(tid, [a[0], a[1], a[2], a[3]], false),
            libc::SYS_linkat => self.two(tid, [a[0], a[1], a[2], a[3]], true),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_open => self.open(tid, at_cwd, a[0], a[1]),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_mkdir => self.op(memory::path(tid, at_cwd, a[0]), |path| Op::Mkdir { path }),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_unlink | libc::SYS_rmdir => {
                self.op(memory::path(tid, at_cwd, a[0]), |path| Op::Unlink { path })
            }
            #[cfg(target_arch = "x86_64")]
            libc::SYS_rename => self.two(tid, [at_cwd, a[0], at_cwd, a[1]], false),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_link => self.two(tid, [at_cwd, a[0], at_cwd, a[1]], true),
            _ => self.other(tid, number, a),
        }
    }

    /// Calls that may not be made on what is recorded, because the model has no word for them.
    fn other(&mut self, tid: libc::pid_t, number: i64, a: [u64; 6]) -> Option<Pending> {
        let at_cwd = i64::from(libc::AT_FDCWD).cast_unsigned();
        let path = match number {
            libc::SYS_copy_file_range => memory::descriptor(tid, a[2]),
            libc::SYS_symlinkat => memory::path(tid, a[1], a[2]),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_creat => memory::path(tid, at_cwd, a[0]),
            libc::SYS_msync => return None,
            _ => memory::descriptor(tid, a[0]),
        };
        let _ = at_cwd;
        let path = self.inside(path?)?;
        self.puzzled(format!("system call {number} on {path}"))
    }

    fn puzzled(&mut self, what: String) -> Option<Pending> {
        self.unknown.get_or_insert(what);
        None
    }

    fn inside(&self, path: String) -> Option<String> {
        (path.starts_with(self.root) && !path.ends_with(" (deleted)")).then_some(path)
    }

    fn op(&self, path: Option<String>, op: impl Fn(String) -> Op) -> Option<Pending> {
        Some(Pending::Op(op(self.inside(path?)?)))
    }

    fn two(&self, tid: libc::pid_t, [d1, p1, d2, p2]: [u64; 4], link: bool) -> Option<Pending> {
        let from = self.inside(memory::path(tid, d1, p1)?)?;
        let to = self.inside(memory::path(tid, d2, p2)?)?;
        Some(Pending::Op(if link { Op::Link { from, to } } else { Op::Rename { from, to } }))
    }

    fn open(&self, tid: libc::pid_t, dir: u64, name: u64, flags: u64) -> Option<Pending> {
        let flags = libc::c_int::try_from(flags & 0x7fff_ffff).unwrap_or(0);
        if flags & (libc::O_CREAT | libc::O_TRUNC) == 0 {
            return None;
        }
        let path = self.inside(memory::path(tid, dir, name)?)?;
        let exists = fs::symlink_metadata(&path).is_ok();
        if flags & libc::O_CREAT != 0 && !exists {
            return Some(Pending::Op(Op::Create { path }));
        }
        (flags & libc::O_TRUNC != 0 && exists).then_some(Pending::Op(Op::Truncate { path, len: 0 }))
    }

    fn write(
        &mut self,
        tid: libc::pid_t,
        fd: u64,
        at: Option<u64>,
        data: impl FnOnce() -> Vec<u8>,
    ) -> Option<Pending> {
        let target = memory::descriptor(tid, fd)?;
        if target.starts_with("socket:") || target.starts_with("pipe:") {
            return Some(Pending::Send { at: self.recording.ops.len(), fd, target, data: data() });
        }
        let path = self.inside(target)?;
        let at = at.or_else(|| memory::position(tid, fd))?;
        Some(Pending::Write { path, at, data: data() })
    }
}
