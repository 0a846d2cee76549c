//! Recording what passes a device's transport. The instance's task passes pieces on and never waits for who records.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::time::{ClockId, clock_gettime};
use till_plugin::host::TransportInfo;
use till_plugin::proto::traffic::{Masking, Passed, Piece};
use tokio::sync::mpsc;

/// Pieces that may wait; a piece has at most [`till_plugin::proto::traffic::MAX_PIECE`] bytes.
const WAITING: usize = 256;

/// Something that happened on a recorded transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Milliseconds since the recording began.
    pub at_ms: u64,
    /// What.
    pub what: RecordedWhat,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordedWhat {
    /// It was opened, or was open when the recording began; what follows is masked like this.
    Open {
        /// What and where.
        transport: TransportInfo,
        /// What is kept.
        masking: Masking,
    },
    /// More is known of the device; what follows is masked like this.
    Masking(Masking),
    /// Bytes, or a note of the host process.
    Passed(Passed),
    /// It was closed or went away: why, one line.
    Gone(String),
}

/// Why nothing is recorded.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It has no transport.
    #[error("the device has no transport: nothing passes here that could be recorded")]
    NoTransport,
    /// One at a time.
    #[error("the device is being recorded already: wait for its end, or stop it")]
    Already,
    /// It does not run.
    #[error("the device was stopped")]
    Stopped,
}

/// A running recording. Dropping it ends it.
#[derive(Debug)]
pub struct Recorder {
    pieces: mpsc::Receiver<Recorded>,
    dropped: Arc<AtomicU64>,
}

impl Recorder {
    /// The next piece; `None` when the instance was stopped. Cancel safe.
    pub async fn next(&mut self) -> Option<Recorded> {
        self.pieces.recv().await
    }

    /// Pieces that were given up so far because nobody took them in time.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// The instance's end of a recording.
#[derive(Debug)]
pub(crate) struct Tap {
    pieces: mpsc::Sender<Recorded>,
    dropped: Arc<AtomicU64>,
    began_ms: u64,
    pub(crate) raw: bool,
}

impl Tap {
    pub(crate) fn new(raw: bool) -> (Self, Recorder) {
        let (pieces, receiver) = mpsc::channel(WAITING);
        let dropped = Arc::<AtomicU64>::default();
        let tap = Self { pieces, dropped: dropped.clone(), began_ms: boot_ms(), raw };
        (tap, Recorder { pieces: receiver, dropped })
    }

    /// Nobody records any more.
    pub(crate) fn is_over(&self) -> bool {
        self.pieces.is_closed()
    }

    /// Resolves when nobody records any more.
    pub(crate) async fn over(&self) {
        self.pieces.closed().await;
    }

    /// Something happened now.
    pub(crate) fn now(&self, what: RecordedWhat) {
        self.at(boot_ms(), what);
    }

    /// The host tells a piece.
    pub(crate) fn piece(&self, piece: Piece) {
        self.dropped.fetch_add(piece.dropped, Ordering::Relaxed);
        self.at(piece.at_ms, RecordedWhat::Passed(piece.what));
    }

    fn at(&self, at_ms: u64, what: RecordedWhat) {
        let recorded = Recorded { at_ms: at_ms.saturating_sub(self.began_ms), what };
        if self.pieces.try_send(recorded).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The clock of the host processes.
fn boot_ms() -> u64 {
    let boot = clock_gettime(ClockId::Boottime);
    u64::try_from(boot.tv_sec.saturating_mul(1000) + boot.tv_nsec / 1_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_recorder_that_does_not_read_holds_nobody_up_and_every_loss_is_counted() {
        let (tap, mut recorder) = Tap::new(false);
        for n in 0..WAITING as u64 + 10 {
            tap.piece(Piece { at_ms: tap.began_ms + n, dropped: 1, what: Passed::Note(String::new()) });
        }
        // One each on the way here, and ten for which there was no room.
        assert_eq!(recorder.dropped(), WAITING as u64 + 20);
        assert_eq!(recorder.next().await.unwrap().at_ms, 0);
        assert!(!tap.is_over());
        drop(recorder);
        assert!(tap.is_over());
        tap.over().await;
    }
}
