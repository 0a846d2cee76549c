//! `till-pcsc`: lets tilld have a reader that pcscd has. See the crate's README.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use till_pcsc::message::{MOST, Presence};
use till_pcsc::reader::{PcscReader, ReaderError};
use till_pcsc::slot::{Cards, answer};
use zeroize::Zeroizing;

/// What is freed is wiped: the commands and answers of cards pass through here.
#[global_allocator]
static WIPING: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

/// A till that comes back at once to a reader that is not there waits this long.
const PAUSE: Duration = Duration::from_millis(500);

/// Gives tilld's contactless driver a reader that pcscd has, on a socket that the till opens as `{ kind = "unix", path = "…", as = "ccid" }`.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// A part of the reader's name, as `pcsc_scan -r` shows it. Without, or empty: the only reader, or the only contactless one.
    #[arg(long, value_name = "TEXT")]
    reader: Option<String>,
    /// The socket to make. Without: the one that systemd passes as standard input.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Only says which reader it would be, and whether a card lies there.
    #[arg(long)]
    check: bool,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Reader(#[from] ReaderError),
    #[error("cannot listen on {path}: {source}")]
    Listen { path: PathBuf, source: Errno },
    #[error("no socket: give --socket PATH, or start tilld-pcsc.socket")]
    NoSocket,
    #[error("the socket failed: {0}")]
    Accept(Errno),
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("till-pcsc: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    // Another process of this user reads no card out of this one's memory.
    let _best_effort = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let wanted = args.reader.as_deref().filter(|text| !text.is_empty());
    if args.check {
        let mut reader = PcscReader::open(wanted)?;
        let card = match reader.presence() {
            Ok(Presence::None) => "no card".to_owned(),
            Ok(Presence::Active | Presence::Inactive) => "a card".to_owned(),
            Err(error) => error.to_string(),
        };
        println!("{}: {card}", reader.name().to_string_lossy());
        return Ok(());
    }
    let made = args.socket.as_ref().map(listen).transpose()?;
    // Or standard input, where that is a socket that listens (systemd.exec(5), StandardInput=socket).
    let input = std::io::stdin();
    let listener = match &made {
        Some(socket) => socket.as_fd(),
        None if rustix::net::sockopt::socket_acceptconn(&input).unwrap_or(false) => input.as_fd(),
        None => return Err(Failure::NoSocket),
    };
    loop {
        let till = match rustix::net::accept_with(listener, SocketFlags::CLOEXEC) {
            Ok(till) => till,
            Err(Errno::INTR | Errno::CONNABORTED) => continue,
            Err(e) => return Err(Failure::Accept(e)),
        };
        match PcscReader::open(wanted) {
            Ok(reader) => serve(&till, reader),
            Err(error) => {
                eprintln!("till-pcsc: {error}");
                std::thread::sleep(PAUSE);
            }
        }
    }
}

fn listen(path: &PathBuf) -> Result<OwnedFd, Failure> {
    let failed = |source| Failure::Listen { path: path.clone(), source };
    let family = AddressFamily::UNIX;
    let socket = rustix::net::socket_with(family, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(failed)?;
    // One that a process before left behind; nothing else that somebody named by mistake.
    if std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket()) {
        rustix::fs::unlink(path).map_err(failed)?;
    }
    rustix::net::bind(&socket, &SocketAddrUnix::new(path).map_err(failed)?).map_err(failed)?;
    rustix::net::listen(&socket, 4).map_err(failed)?;
    Ok(socket)
}

/// One till, until it or the reader goes. Whoever comes meanwhile waits.
fn serve(till: &OwnedFd, mut reader: PcscReader) {
    let name = reader.name().to_string_lossy().into_owned();
    eprintln!("till-pcsc: the till has {name:?}");
    let mut buffer = Zeroizing::new([0; MOST + 1]);
    loop {
        let count = match rustix::net::recv(till.as_fd(), &mut buffer[..], RecvFlags::empty()) {
            Ok((0, _)) => break,
            Ok((_, count)) => count,
            Err(Errno::INTR) => continue,
            Err(_) => break,
        };
        // A packet longer than any message is cut to one byte too many, and refused for it.
        let packet = buffer.get(..count).unwrap_or_default();
        match answer(&mut reader, packet) {
            Ok(None) => break,
            Ok(Some(said)) => {
                if rustix::net::send(till.as_fd(), &said, SendFlags::NOSIGNAL).is_err() {
                    break;
                }
            }
            Err(gone) => {
                eprintln!("till-pcsc: {name:?}: {gone}");
                break;
            }
        }
    }
}
