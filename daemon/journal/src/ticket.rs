//! The answer to an append, for a thread that waits, a callback, or an async task: no runtime is needed.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::clock::Stamp;
use crate::error::{JournalError, Result};

/// Where acknowledged records stand. They are on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Seq of the append's first record.
    pub first: u64,
    /// Seq of its last record.
    pub last: u64,
    /// Time stamped on the last record: what every later reading of it says. State folded live takes this one, not a
    /// clock of its own, or it would differ from what a replay gives.
    pub stamp: Stamp,
}

type Callback = Box<dyn FnOnce(Result<Appended>) + Send>;

#[derive(Default)]
struct State {
    answer: Option<Result<Appended>>,
    callback: Option<Callback>,
    waker: Option<Waker>,
}

#[derive(Default)]
struct Slot {
    state: Mutex<State>,
    answered: Condvar,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A callback that panicked does not make the answer wrong.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pending answer to one append. Await it, [`wait`](Ticket::wait) for it, or hand over a callback.
///
/// Dropping it, or giving up waiting, does not take the append back: the records may still become durable.
#[must_use = "until the ticket is answered nothing is on disk"]
pub struct Ticket(Arc<Slot>);

/// The side that answers. Dropped without an answer it answers `Closed`.
pub(crate) struct Answer(Option<Arc<Slot>>);

pub(crate) fn ticket() -> (Answer, Ticket) {
    let slot = Arc::new(Slot::default());
    (Answer(Some(Arc::clone(&slot))), Ticket(slot))
}

impl Answer {
    pub(crate) fn give(mut self, answer: Result<Appended>) {
        self.set(answer);
    }

    fn set(&mut self, answer: Result<Appended>) {
        let Some(slot) = self.0.take() else { return };
        let (callback, waker) = {
            let mut state = slot.lock();
            state.answer = Some(answer.clone());
            (state.callback.take(), state.waker.take())
        };
        slot.answered.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
        if let Some(callback) = callback {
            callback(answer);
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.set(Err(JournalError::Closed));
    }
}

impl Ticket {
    /// Waits until the records are durable, or refused.
    pub fn wait(self) -> Result<Appended> {
        let mut state = self.0.lock();
        loop {
            if let Some(answer) = &state.answer {
                return answer.clone();
            }
            state = self.0.answered.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits at most `limit`; gives the ticket back when there is no answer yet.
    pub fn wait_for(self, limit: Duration) -> std::result::Result<Result<Appended>, Self> {
        let end = Instant::now() + limit;
        let mut state = self.0.lock();
        loop {
            if let Some(answer) = &state.answer {
                return Ok(answer.clone());
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(state);
                return Err(self);
            }
            state = self.0.answered.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Calls `f` with the answer: at once when it is there, else on the committer's thread. `f` must be short and
    /// must not wait for the journal: every other append waits for it.
    pub fn on_done(self, f: impl FnOnce(Result<Appended>) + Send + 'static) {
        let mut state = self.0.lock();
        if let Some(answer) = state.answer.clone() {
            drop(state);
            f(answer);
        } else {
            state.callback = Some(Box::new(f));
        }
    }
}

impl Future for Ticket {
    type Output = Result<Appended>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.lock();
        if let Some(answer) = &state.answer {
            return Poll::Ready(answer.clone());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("answer", &self.0.lock().answer).finish()
    }
}
