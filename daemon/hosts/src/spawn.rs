//! Starting a host process with exactly the file descriptors it needs.

#![allow(unsafe_code)] // pre_exec: the only place where code runs between fork and exec

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;

/// Where a host finds its socket.
pub(crate) const SOCKET_FD: RawFd = 3;
/// Where a host finds its transport.
pub(crate) const TRANSPORT_FD: RawFd = 4;

/// A process to start.
pub(crate) struct SpawnRequest {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) socket: OwnedFd,
    pub(crate) transport: Option<OwnedFd>,
}

type Job = (SpawnRequest, oneshot::Sender<io::Result<Child>>);

/// A thread that starts processes.
///
/// One thread for all of them and for as long as the supervisor lives, because the kernel sends the parent-death signal
/// when the *thread* that forked ends: a thread of tokio's blocking pool ends after ten idle seconds.
#[derive(Debug)]
pub(crate) struct Spawner {
    jobs: mpsc::Sender<Job>,
}

impl Spawner {
    pub(crate) fn start() -> io::Result<Self> {
        let reserved = reserve_low_fds()?;
        let (jobs, queue) = mpsc::channel::<Job>();
        thread::Builder::new().name("till-spawn".into()).stack_size(128 * 1024).spawn(move || {
            let _reserved = reserved;
            for (request, answer) in queue {
                let _ = answer.send(spawn(request));
            }
        })?;
        Ok(Self { jobs })
    }

    pub(crate) async fn spawn(&self, request: SpawnRequest) -> io::Result<Child> {
        let (answer, receiver) = oneshot::channel();
        let ended = || io::Error::other("the thread that starts processes has ended");
        self.jobs.send((request, answer)).map_err(|_| ended())?;
        receiver.await.map_err(|_| ended())?
    }
}

/// Holds descriptors 3 and 4 in this process, so that the pipe over which the standard library learns of a failed exec
/// can never be one of the two that the child replaces.
fn reserve_low_fds() -> io::Result<Vec<OwnedFd>> {
    let mut held = Vec::new();
    loop {
        let fd = OwnedFd::from(File::open("/dev/null")?);
        if fd.as_raw_fd() > TRANSPORT_FD {
            return Ok(held);
        }
        held.push(fd);
    }
}

fn spawn(request: SpawnRequest) -> io::Result<Child> {
    let SpawnRequest { program, arguments, socket, transport } = request;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // Ctrl-C at a terminal is the daemon's to handle; it stops its hosts in order.
        .process_group(0);
    let (socket_fd, transport_fd) = (socket.as_raw_fd(), transport.as_ref().map(AsRawFd::as_raw_fd));
    // SAFETY: `pass` only makes system calls that are async-signal-safe, allocates nothing, and uses descriptors that
    // this function keeps open until the child has been started.
    unsafe {
        command.pre_exec(move || pass(socket_fd, transport_fd));
    }
    let child = command.spawn();
    drop((socket, transport));
    child
}

/// In the child: moves the two descriptors into place and marks every other one close-on-exec.
fn pass(socket: RawFd, transport: Option<RawFd>) -> io::Result<()> {
    // Out of the way first: the source of one may be the target of the other.
    let socket = out_of_the_way(socket)?;
    let transport = transport.map(out_of_the_way).transpose()?;
    into_place(socket, SOCKET_FD)?;
    if let Some(transport) = transport {
        into_place(transport, TRANSPORT_FD)?;
    }
    let first: libc::c_uint = if transport.is_some() { 5 } else { 4 };
    // SAFETY: plain integers; marks descriptors only. A kernel older than 5.11 refuses, and then the flags that every
    // descriptor of this daemon was opened with have to do.
    unsafe {
        libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
    Ok(())
}

fn out_of_the_way(fd: RawFd) -> io::Result<RawFd> {
    // SAFETY: plain integers; returns a new descriptor or -1.
    let moved = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 10) };
    if moved < 0 { Err(io::Error::last_os_error()) } else { Ok(moved) }
}

fn into_place(fd: RawFd, target: RawFd) -> io::Result<()> {
    // SAFETY: plain integers; the target is reserved in the parent and belongs to nothing else in this child.
    if unsafe { libc::dup2(fd, target) } < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
