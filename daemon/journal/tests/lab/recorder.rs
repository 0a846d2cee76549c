//! Records the file operations of a program and its children with ptrace, on any architecture Linux has.
#![allow(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::mem::size_of;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Op;

const GET_SYSCALL_INFO: libc::c_uint = 0x420e;
const ENTRY: u64 = 1;

/// What a system call that began will do if it succeeds.
enum Pending {
    Op(Op),
    Write { path: String, at: u64, data: Vec<u8> },
    Sync { path: String, since: usize },
}

struct Recorder<'a> {
    root: &'a str,
    ops: Vec<Op>,
    pending: BTreeMap<libc::pid_t, Pending>,
}

/// Runs `command` and appends what it does below `root` to `ops`. `Err` when tracing is not permitted here.
pub(crate) fn record(command: &mut Command, root: &Path, ops: Vec<Op>) -> io::Result<Vec<Op>> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // SAFETY: ptrace is async-signal-safe; it touches nothing of the parent's state.
    unsafe {
        command.pre_exec(|| {
            if libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) == -1 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        });
    }
    let mut child = command.spawn()?;
    let main = libc::pid_t::try_from(child.id()).unwrap();
    // The pipe must be emptied, or the subject waits for us while we wait for it.
    let mut out = child.stdout.take().unwrap();
    let drain = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = io::Read::read_to_string(&mut out, &mut text);
        text
    });
    let mut recorder = Recorder { root: root.to_str().unwrap(), ops, pending: BTreeMap::new() };
    let status = recorder.trace(main)?;
    let text = drain.join().unwrap();
    assert_eq!(status, 0, "the subject failed while being recorded: {text}");
    Ok(recorder.ops)
}

impl Recorder<'_> {
    /// Serves stops until the main process has ended; returns its exit status.
    fn trace(&mut self, main: libc::pid_t) -> io::Result<i32> {
        let mut known = BTreeSet::new();
        loop {
            let mut status = 0;
            // SAFETY: status is a valid place. __WNOTHREAD: other tests' children are not ours to reap.
            let tid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
            if tid == -1 {
                return Err(io::Error::last_os_error());
            }
            if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
                self.pending.remove(&tid);
                if tid == main {
                    return Ok(status);
                }
                continue;
            }
            let signal = libc::WSTOPSIG(status);
            let mut deliver = 0;
            if tid == main && known.is_empty() {
                let options = libc::PTRACE_O_TRACESYSGOOD
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
                self.syscall(tid)?;
            } else if signal != libc::SIGTRAP && (signal != libc::SIGSTOP || known.contains(&tid)) {
                deliver = signal;
            }
            known.insert(tid);
            // SAFETY: the tracee is stopped. It may have been killed meanwhile: then the next wait tells.
            unsafe { libc::ptrace(libc::PTRACE_SYSCALL, tid, 0, libc::c_long::from(deliver)) };
        }
    }

    fn syscall(&mut self, tid: libc::pid_t) -> io::Result<()> {
        // struct ptrace_syscall_info: op in the first byte; entry: [3] number, [4..10] arguments; exit: [3] result.
        let mut info = [0u64; 11];
        // SAFETY: the buffer is as large as said, and plain integers.
        let got = unsafe { libc::ptrace(GET_SYSCALL_INFO, tid, size_of::<[u64; 11]>(), info.as_mut_ptr()) };
        if got == -1 {
            return Err(io::Error::last_os_error());
        }
        if info[0] & 0xff == ENTRY {
            let args: [u64; 6] = info[4..10].try_into().unwrap();
            if let Some(pending) = self.begun(tid, info[3].cast_signed(), args) {
                self.pending.insert(tid, pending);
            }
            return Ok(());
        }
        let result = info[3].cast_signed();
        match self.pending.remove(&tid) {
            Some(_) if result < 0 => {}
            Some(Pending::Op(op)) => self.ops.push(op),
            Some(Pending::Write { path, at, mut data }) => {
                data.truncate(usize::try_from(result).unwrap());
                self.ops.push(Op::Write { path, at, data });
            }
            Some(Pending::Sync { path, since }) => self.ops.push(Op::Sync { path, since }),
            None => {}
        }
        Ok(())
    }

    fn begun(&mut self, tid: libc::pid_t, number: i64, a: [u64; 6]) -> Option<Pending> {
        let at_cwd = i64::from(libc::AT_FDCWD).cast_unsigned();
        match number {
            libc::SYS_openat => self.open(tid, a[0], a[1], a[2]),
            libc::SYS_write => self.write(tid, a, None),
            libc::SYS_pwrite64 => self.write(tid, a, Some(a[3])),
            libc::SYS_fsync | libc::SYS_fdatasync => {
                Some(Pending::Sync { path: self.inside(fd_path(tid, a[0])?)?, since: self.ops.len() })
            }
            libc::SYS_ftruncate => {
                Some(Pending::Op(Op::Truncate { path: self.inside(fd_path(tid, a[0])?)?, len: a[1] }))
            }
            libc::SYS_fallocate => {
                let path = self.inside(fd_path(tid, a[0])?)?;
                assert_eq!(a[1], 0, "fallocate with a mode the model does not know");
                Some(Pending::Op(Op::Allocate { path, end: a[2] + a[3] }))
            }
            libc::SYS_mkdirat => self.op(path_at(tid, a[0], a[1]), |path| Op::Mkdir { path }),
            libc::SYS_unlinkat => self.op(path_at(tid, a[0], a[1]), |path| Op::Unlink { path }),
            libc::SYS_renameat | libc::SYS_renameat2 => self.two(tid, a[0], a[1], a[2], a[3], false),
            libc::SYS_linkat => self.two(tid, a[0], a[1], a[2], a[3], true),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_open => self.open(tid, at_cwd, a[0], a[1]),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_mkdir => self.op(path_at(tid, at_cwd, a[0]), |path| Op::Mkdir { path }),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_unlink | libc::SYS_rmdir => {
                self.op(path_at(tid, at_cwd, a[0]), |path| Op::Unlink { path })
            }
            #[cfg(target_arch = "x86_64")]
            libc::SYS_rename => self.two(tid, at_cwd, a[0], at_cwd, a[1], false),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_link => self.two(tid, at_cwd, a[0], at_cwd, a[1], true),
            libc::SYS_writev | libc::SYS_pwritev | libc::SYS_copy_file_range | libc::SYS_sendfile => {
                let fd = if number == libc::SYS_copy_file_range { a[2] } else { a[0] };
                let path = fd_path(tid, fd).and_then(|p| self.inside(p));
                assert!(path.is_none(), "call {number} on {path:?}: the recorder must learn it");
                None
            }
            _ => None,
        }
    }

    fn inside(&self, path: String) -> Option<String> {
        (path.starts_with(self.root) && !path.ends_with(" (deleted)")).then_some(path)
    }

    fn op(&self, path: Option<String>, op: impl Fn(String) -> Op) -> Option<Pending> {
        Some(Pending::Op(op(self.inside(path?)?)))
    }

    fn two(&self, tid: libc::pid_t, d1: u64, p1: u64, d2: u64, p2: u64, link: bool) -> Option<Pending> {
        let (from, to) = (self.inside(path_at(tid, d1, p1)?)?, self.inside(path_at(tid, d2, p2)?)?);
        Some(Pending::Op(if link { Op::Link { from, to } } else { Op::Rename { from, to } }))
    }

    fn open(&self, tid: libc::pid_t, dir: u64, name: u64, flags: u64) -> Option<Pending> {
        let flags = libc::c_int::try_from(flags & 0x7fff_ffff).unwrap();
        let path = self.inside(path_at(tid, dir, name)?)?;
        let exists = Path::new(&path).exists();
        if flags & libc::O_CREAT != 0 && !exists {
            return Some(Pending::Op(Op::Create { path }));
        }
        (flags & libc::O_TRUNC != 0 && exists).then_some(Pending::Op(Op::Truncate { path, len: 0 }))
    }

    fn write(&mut self, tid: libc::pid_t, a: [u64; 6], at: Option<u64>) -> Option<Pending> {
        if a[0] == 1 {
            let text = String::from_utf8(read_memory(tid, a[1], a[2])).ok()?;
            let mut words = text.strip_prefix("acked ")?.split_whitespace().map(|w| w.parse().unwrap());
            // Counted when the call begins: from here on the world may know.
            self.ops.push(Op::Ack { thread: words.next()?, count: words.next()? });
            return None;
        }
        let path = self.inside(fd_path(tid, a[0])?)?;
        let at = at.or_else(|| fd_position(tid, a[0]))?;
        Some(Pending::Write { path, at, data: read_memory(tid, a[1], a[2]) })
    }
}

fn fd_path(tid: libc::pid_t, fd: u64) -> Option<String> {
    let link = fs::read_link(format!("/proc/{tid}/fd/{}", libc::c_int::try_from(fd).ok()?)).ok()?;
    link.to_str().map(str::to_owned)
}

fn fd_position(tid: libc::pid_t, fd: u64) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{tid}/fdinfo/{fd}")).ok()?;
    text.lines().find_map(|l| l.strip_prefix("pos:"))?.trim().parse().ok()
}

fn path_at(tid: libc::pid_t, dir: u64, name: u64) -> Option<String> {
    let bytes = read_memory(tid, name, 4096);
    let text = String::from_utf8(bytes.into_iter().take_while(|b| *b != 0).collect()).ok()?;
    if text.starts_with('/') {
        return Some(text);
    }
    // The descriptor is an int in the low half of the register.
    let dir = (dir & 0xffff_ffff) as u32;
    let base = if dir.cast_signed() == libc::AT_FDCWD {
        fs::read_link(format!("/proc/{tid}/cwd")).ok()?.to_str()?.to_owned()
    } else {
        fd_path(tid, u64::from(dir))?
    };
    Some(format!("{base}/{text}"))
}

/// Up to `len` bytes of the tracee; fewer when the memory ends.
fn read_memory(tid: libc::pid_t, at: u64, len: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut at, end) = (at, at + len);
    // Page by page: a string may stand just before memory that is not mapped.
    while at < end {
        let part = usize::try_from((4096 - at % 4096).min(end - at)).unwrap();
        let mut buffer = vec![0u8; part];
        let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: part };
        let remote = libc::iovec {
            iov_base: std::ptr::without_provenance_mut(usize::try_from(at).unwrap()),
            iov_len: part,
        };
        // SAFETY: local is ours and as long as said; the kernel checks remote.
        if unsafe { libc::process_vm_readv(tid, &raw const local, 1, &raw const remote, 1, 0) }
            .cast_unsigned()
            != part
        {
            break;
        }
        out.append(&mut buffer);
        at += part as u64;
    }
    out
}
