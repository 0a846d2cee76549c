//! The contactless reader's simulator on a line, with a clock: what of a tap is its own and its card's, and not the till's.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use till_simulators::nfc::{Card, Chip, Hand, Out, Seen};

use crate::Outcome;
use crate::till::PATIENCE;

/// A tap as the reader saw it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tap {
    /// When it began to tell that a card is there. The time starts here.
    pub seen: Option<Instant>,
    /// Sum over the commands to the card, each from its last byte read to the reply's first byte written.
    pub held: Duration,
    /// Commands to the card.
    pub apdus: u32,
    /// Bytes on the line, both ways, from the telling to the card's last answer.
    pub bytes: usize,
    /// The driver has let go.
    over: bool,
}

struct State {
    chip: Chip,
    tap: Tap,
    /// The card while nobody holds it there: its counter goes on from tap to tap.
    card: Option<Card>,
    /// Looks without a card up to when it was taken away.
    removed: u64,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves one till until it hangs up.
    fn serve(&self, mut line: UnixStream) -> io::Result<()> {
        self.lock().chip.power_cycle();
        let mut buffer = [0; 512];
        loop {
            let count = line.read(&mut buffer)?;
            let came = Instant::now();
            let Some(bytes) = buffer.get(..count).filter(|b| !b.is_empty()) else { return Ok(()) };
            let (before, outs) = {
                let mut state = self.lock();
                (state.chip.seen(), state.chip.receive(bytes))
            };
            let mut said = 0;
            let last = outs.len().saturating_sub(1);
            for (n, out) in outs.into_iter().enumerate() {
                let Out::Bytes(pause, part) = out else { return Ok(()) };
                // The simulated chip's own time, not a wait for anybody.
                std::thread::sleep(pause);
                said += part.len();
                if n == last {
                    let now = Instant::now();
                    self.lock().note(before, now, now.duration_since(came), [count, said]);
                    self.changed.notify_all();
                }
                line.write_all(&part)?;
            }
        }
    }

    fn wait(&self, what: &str, enough: impl Fn(&State) -> bool) -> Outcome<MutexGuard<'_, State>> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.lock();
        while !enough(&state) {
            let left = deadline.checked_duration_since(Instant::now());
            let left =
                left.ok_or_else(|| format!("{what}: not within {PATIENCE:?}: {:?}", state.chip.seen()))?;
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(state)
    }
}

impl State {
    /// A command was carried out and its reply is about to be written.
    fn note(&mut self, before: Seen, now: Instant, held: Duration, [heard, said]: [usize; 2]) {
        let after = self.chip.seen();
        if after.looks > before.looks {
            if after.empty == before.empty && self.card.is_none() {
                self.tap = Tap { seen: Some(now), bytes: said, ..Tap::default() };
            }
        } else if self.tap.seen.is_some() && !self.tap.over {
            if after.apdus > before.apdus {
                self.tap.held += held;
                self.tap.apdus += 1;
                self.tap.bytes += heard + said;
            } else {
                // It lets go of the card, and what it does from here on is in nobody's way.
                self.tap.over = true;
                self.card = self.chip.remove().cards.pop();
                self.removed = after.empty;
            }
        }
    }
}

/// A reader that takes the time of each tap. Its thread ends with the process.
pub struct TimedReader(Arc<Shared>);

impl TimedReader {
    /// Listens, with one customer's card at hand.
    pub fn listen(path: &Path, card: Card) -> Outcome<Self> {
        let listener = UnixListener::bind(path)?;
        let state = State { chip: Chip::new(), tap: Tap::default(), card: Some(card), removed: 0 };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let own = Arc::clone(&shared);
        std::thread::Builder::new().name("nfc".into()).spawn(move || {
            for line in listener.incoming().flatten() {
                if let Err(e) = own.serve(line) {
                    eprintln!("the contactless reader's line: {e}");
                }
            }
        })?;
        Ok(Self(shared))
    }

    /// Holds the card there as soon as the driver has noticed that the last one is gone: it has looked for both kinds.
    pub fn present(&self) -> Outcome {
        let mut state =
            self.0.wait("the driver looks for cards", |s| s.chip.seen().empty >= s.removed + 2)?;
        let card = state.card.take().ok_or("the card lies there already")?;
        state.tap = Tap::default();
        // A look that waits would be answered here, and not by the reader's thread.
        let told = state.chip.present(Hand::with(card));
        told.is_empty().then_some(()).ok_or_else(|| "the driver let the reader look without end".into())
    }

    /// The tap, once the driver has let go of the card.
    pub fn tapped(&self) -> Outcome<Tap> {
        Ok(self.0.wait("the driver reads the card", |s| s.tap.over)?.tap)
    }
}
