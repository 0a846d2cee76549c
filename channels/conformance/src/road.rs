//! The way between a channel and its network: plain TCP, passed on unchanged until a test wants otherwise.
//!
//! What happens to each connection is decided when it is accepted; connections beyond the plan pass. A connection carries one
//! request and its answer, as every channel here uses it.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Closed (FIN).
    Close,
    /// Reset (RST).
    Reset,
}

/// Which part of an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// So many bytes.
    First(usize),
    /// All but so many bytes.
    AllBut(usize),
    /// Half of it.
    Half,
}

impl Cut {
    /// No two answers need be of one length, so the cut is made in the one at hand.
    fn of(self, length: usize) -> usize {
        match self {
            Self::First(bytes) => bytes.min(length.saturating_sub(1)),
            Self::AllBut(bytes) => length.saturating_sub(bytes),
            Self::Half => length / 2,
        }
    }
}

/// What becomes of one connection.
#[derive(Clone, Debug)]
pub enum Act {
    /// Passed on, both ways.
    Pass,
    /// Ended as soon as it is there.
    Slam(End),
    /// Ended when so many bytes of the request have been read; it never reaches the network.
    CutRequest(usize, End),
    /// The whole request reaches the network; the connection ends without an answer.
    NoAnswer(End),
    /// A part of the answer, then the end.
    CutAnswer(Cut, End),
    /// The request reaches the network, and nothing comes back until the till goes.
    Silence,
    /// The request goes nowhere, and nothing comes back until the till goes.
    Lost,
    /// The answer byte by byte, each after a pause.
    Slow(Duration),
    /// The answer's bytes twice.
    Double,
    /// The request reaches the network; then this, and this again and again, ten megabytes in all.
    Flood(Vec<u8>, Vec<u8>),
    /// The answer with one bit changed; past its end nothing is.
    Flip(usize),
    /// The request goes nowhere; these bytes are the answer.
    Say(Vec<u8>),
}

/// As much as is sent to a till that does not stop reading.
const ENDLESS: usize = 10 * 1024 * 1024;

struct Inner {
    network: SocketAddr,
    whole: fn(&[u8]) -> bool,
    plan: Mutex<VecDeque<Act>>,
    answers: Mutex<Vec<Vec<u8>>>,
    requests: Mutex<Vec<Vec<u8>>>,
    asked: AtomicUsize,
    flooded: AtomicUsize,
    closed: AtomicBool,
}

/// A road to one network. Dropping it closes its door.
pub struct Road {
    address: SocketAddr,
    inner: Arc<Inner>,
    door: Option<JoinHandle<()>>,
}

impl Road {
    /// Opens a road. `whole` says whether a request or answer is complete.
    pub fn to(network: SocketAddr, whole: fn(&[u8]) -> bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let inner = Inner {
            network,
            whole,
            plan: Mutex::default(),
            answers: Mutex::default(),
            requests: Mutex::default(),
            asked: AtomicUsize::new(0),
            flooded: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        };
        let (address, inner) = (listener.local_addr().unwrap(), Arc::new(inner));
        let theirs = Arc::clone(&inner);
        let door = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if theirs.closed.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let act = lock(&theirs.plan).pop_front().unwrap_or(Act::Pass);
                let theirs = Arc::clone(&theirs);
                std::thread::spawn(move || theirs.carry(stream, &act));
            }
        });
        Self { address, inner, door: Some(door) }
    }

    /// Where the till connects.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What becomes of the next connections, in order; whatever was planned before is forgotten.
    pub fn plan(&self, acts: impl IntoIterator<Item = Act>) {
        *lock(&self.inner.plan) = acts.into_iter().collect();
    }

    /// Bytes of requests that have come so far.
    pub fn asked(&self) -> usize {
        self.inner.asked.load(Ordering::SeqCst)
    }

    /// Bytes that the last flood could send before the till went away.
    pub fn flooded(&self) -> usize {
        self.inner.flooded.load(Ordering::SeqCst)
    }

    /// The answers that went through since the last time, in order.
    pub fn answers(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut lock(&self.inner.answers))
    }

    /// The requests that came whole since the last time, in order.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut lock(&self.inner.requests))
    }

    /// Closes the door: connections are refused from now on.
    pub fn close(&mut self) {
        self.inner.closed.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        if let Some(door) = self.door.take() {
            door.join().unwrap();
        }
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.close();
    }
}

impl Inner {
    fn carry(&self, mut till: TcpStream, act: &Act) {
        let _ = till.set_nodelay(true);
        if let Act::Slam(end) = *act {
            return finish(&till, end);
        }
        if let Act::CutRequest(length, end) = *act {
            let mut bytes = vec![0; length];
            let _ = till.read(&mut bytes).map(|n| self.asked.fetch_add(n, Ordering::SeqCst));
            return finish(&till, end);
        }
        loop {
            let Some(request) = self.message(&mut till) else { return };
            self.asked.fetch_add(request.len(), Ordering::SeqCst);
            lock(&self.requests).push(request.clone());
            let answer = match act {
                Act::Lost => return wait_for_end(&mut till),
                Act::Say(bytes) => bytes.clone(),
                _ => {
                    let (answer, ended) = self.forward(&request);
                    if let Some(end) = ended {
                        // What the network itself does to a connection is passed on too.
                        let _ = till.write_all(&answer);
                        return finish(&till, end);
                    }
                    lock(&self.answers).push(answer.clone());
                    answer
                }
            };
            match act {
                Act::NoAnswer(end) => return finish(&till, *end),
                Act::CutAnswer(cut, end) => {
                    let _ = till.write_all(&answer[..cut.of(answer.len())]);
                    return finish(&till, *end);
                }
                Act::Silence => return wait_for_end(&mut till),
                Act::Slow(pause) => {
                    for byte in answer {
                        std::thread::sleep(*pause); // the slowness itself is what is tested
                        if till.write_all(&[byte]).is_err() {
                            return;
                        }
                    }
                }
                Act::Double => {
                    let _ = till.write_all(&[answer.as_slice(), answer.as_slice()].concat());
                }
                Act::Flood(first, rest) => return self.flood(&mut till, first, rest),
                Act::Flip(bit) => {
                    let mut answer = answer;
                    if let Some(byte) = answer.get_mut(bit / 8) {
                        *byte ^= 1 << (bit % 8);
                    }
                    let _ = till.write_all(&answer);
                    return finish(&till, End::Close);
                }
                Act::Say(_) => {
                    let _ = till.write_all(&answer);
                    return finish(&till, End::Close);
                }
                _ => {
                    if till.write_all(&answer).is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// One whole message, or nothing where the till goes before.
    fn message(&self, stream: &mut TcpStream) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 1 << 14];
        while !(self.whole)(&bytes) {
            match stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(n) => bytes.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        Some(bytes)
    }

    /// The network's answer as far as it came, and how the network ended the connection before the answer was whole.
    fn forward(&self, request: &[u8]) -> (Vec<u8>, Option<End>) {
        let mut answer = Vec::new();
        let Ok(mut network) = TcpStream::connect(self.network) else { return (answer, Some(End::Close)) };
        if network.write_all(request).is_err() {
            return (answer, Some(End::Reset));
        }
        let mut buffer = [0; 1 << 14];
        while !(self.whole)(&answer) {
            match network.read(&mut buffer) {
                Ok(0) => return (answer, Some(End::Close)),
                Ok(n) => answer.extend_from_slice(&buffer[..n]),
                Err(_) => return (answer, Some(End::Reset)),
            }
        }
        (answer, None)
    }

    fn flood(&self, till: &mut TcpStream, first: &[u8], rest: &[u8]) {
        self.flooded.store(0, Ordering::SeqCst);
        let mut sent = 0;
        for part in std::iter::once(first).chain(std::iter::repeat(rest)) {
            if sent >= ENDLESS {
                // Still open: only the till can end this.
                return wait_for_end(till);
            }
            if till.write_all(part).is_err() {
                return;
            }
            sent += part.len();
            self.flooded.store(sent, Ordering::SeqCst);
        }
    }
}

fn wait_for_end(till: &mut TcpStream) {
    let mut buffer = [0; 1024];
    while till.read(&mut buffer).is_ok_and(|n| n > 0) {}
}

fn finish(stream: &TcpStream, end: End) {
    if end == End::Reset {
        // Zero linger makes the close an RST.
        let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
    } else {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
