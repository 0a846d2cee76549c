//! A card in the virtual reader that vsmartcard gives pcscd (its protocol on TCP: two bytes of length, then a command to the card, or one byte
//! of control). Here the card dials the reader, and hanging up is taking it away.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::card::Card;
use super::chip::Seen;

const OFF: u8 = 0;
const ON: u8 = 1;
const RESET: u8 = 2;
const ANSWER_TO_RESET: u8 = 4;

/// Between two tries of a card that the virtual reader hung up on.
const AGAIN: Duration = Duration::from_millis(50);

struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
    /// Where the card talks now; nothing once it was taken away.
    line: Mutex<Option<TcpStream>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_away(&self) {
        if let Some(line) = self.line.lock().unwrap_or_else(PoisonError::into_inner).take() {
            drop(line.shutdown(Shutdown::Both));
        }
    }
}

/// A card that lies on the reader until this is dropped.
pub struct Inserted {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Inserted {
    /// Puts a card on the reader that listens there. `gone_at`: it is taken away when this command comes (0: the directory).
    pub fn new(reader: SocketAddr, mut card: Card, gone_at: Option<u64>) -> io::Result<Self> {
        let line = dial(reader)?;
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            changed: Condvar::new(),
            line: Mutex::new(Some(line.try_clone()?)),
        });
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("card".into())
            .spawn(move || lie(reader, line, &mut card, gone_at, &own))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// What it has seen.
    pub fn seen(&self) -> Seen {
        *self.shared.lock()
    }

    /// Waits until it has seen something; false after `timeout`.
    pub fn wait(&self, timeout: Duration, mut enough: impl FnMut(Seen) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        let mut seen = self.shared.lock();
        while !enough(*seen) {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            seen = self.shared.changed.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Drop for Inserted {
    fn drop(&mut self) {
        self.shared.take_away();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn dial(reader: SocketAddr) -> io::Result<TcpStream> {
    let line = TcpStream::connect(reader)?;
    line.set_nodelay(true)?;
    Ok(line)
}

/// Lies on the reader until it is taken away. The virtual reader hangs up on a card when it switches it off, and takes it again.
fn lie(reader: SocketAddr, mut line: TcpStream, card: &mut Card, gone_at: Option<u64>, shared: &Shared) {
    loop {
        // Whatever ended the line: unless the card was taken away, it is still there.
        drop(serve(&line, card, gone_at, shared));
        drop(line.shutdown(Shutdown::Both));
        loop {
            std::thread::sleep(AGAIN);
            let mut there = shared.line.lock().unwrap_or_else(PoisonError::into_inner);
            if there.is_none() {
                return;
            }
            if let Ok(next) = dial(reader) {
                *there = next.try_clone().ok();
                line = next;
                break;
            }
        }
    }
}

fn serve(mut line: &TcpStream, card: &mut Card, gone_at: Option<u64>, shared: &Shared) -> io::Result<()> {
    // An answer to reset as readers make it up for contactless cards (PC/SC part 3, 3.1.3.2.3.1), with its check byte.
    let mut atr = vec![0x3B, 0x82, 0x80, 0x01, 0x70, 0x02];
    atr.push(atr.iter().skip(1).fold(0, |sum, byte| sum ^ byte));
    loop {
        let mut length = [0; 2];
        line.read_exact(&mut length)?;
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        line.read_exact(&mut message)?;
        let answer = match message.as_slice() {
            [OFF | ON | RESET] => {
                card.reset();
                continue;
            }
            [ANSWER_TO_RESET] => atr.clone(),
            // What a contactless reader would answer itself.
            [0xFF, 0xCA, 0, 0, ..] => [card.serial(), &[0x90, 0]].concat(),
            apdu => {
                let mut seen = shared.lock();
                seen.commands += 1;
                if gone_at == Some(seen.apdus) {
                    seen.faults += 1;
                    drop(seen);
                    shared.take_away();
                    shared.changed.notify_all();
                    return Ok(());
                }
                seen.apdus += 1;
                drop(seen);
                card.command(apdu)
            }
        };
        let length = u16::try_from(answer.len()).unwrap_or(u16::MAX).to_be_bytes();
        line.write_all(&[&length, answer.as_slice()].concat())?;
        shared.lock().cryptograms = card.cryptograms().into();
        shared.changed.notify_all();
    }
}
