//! What the reading thread, the plugin's thread and the services share.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use rustix::event::PollFlags;
use till_plugin::host::{LogEntry, LogError};
use till_plugin::proto::{Create, message::Secret};
use zeroize::Zeroizing;

use crate::clock::boot_ms;
use crate::link::Link;
use crate::options::Clock;
use crate::tap::Tap;
use crate::transport::Transport;
use crate::wake::{Flag, Woken, wait};

/// Work for the plugin's thread.
pub(crate) enum Work {
    Create(Create),
    Call(Call),
    Stop,
}

/// A call that waits or runs.
pub(crate) struct Call {
    pub(crate) id: u64,
    pub(crate) method: u32,
    pub(crate) deadline: Instant,
    pub(crate) payload: Zeroizing<Vec<u8>>,
}

struct Running {
    id: u64,
    deadline: Instant,
    cancelled: bool,
}

/// One instance's state. There is one instance a process, so it stands still in [`state`].
pub(crate) struct Shared {
    pub(crate) link: Link,
    pub(crate) clock: Clock,
    pub(crate) transport: Option<Transport>,
    pub(crate) tap: Tap,
    queue: Mutex<VecDeque<Work>>,
    /// Raised while work waits.
    work: Flag,
    /// Raised while the running call is cancelled, or the instance must stop.
    cancel: Flag,
    running: Mutex<Option<Running>>,
    /// `CLOCK_BOOTTIME` ms + 1 at which the plugin was entered; 0 while it is not.
    entered: AtomicU64,
    secrets: Mutex<Vec<Secret>>,
    pub(crate) store: Mutex<BTreeMap<String, Vec<u8>>>,
    asked: Mutex<BTreeMap<u64, SyncSender<Answer>>>,
    next_question: AtomicU64,
}

/// What the daemon answers to what a service asked of it.
pub(crate) enum Answer {
    /// A stored value: why it failed, or none.
    Stored(Option<String>),
    /// An append to the log.
    Appended(Result<u64, LogError>),
    /// A read of the log.
    Page(Result<Vec<LogEntry>, LogError>),
    /// A trim of the log.
    Trimmed(Result<(), LogError>),
}

static STATE: OnceLock<Shared> = OnceLock::new();

/// The state, once it is set up.
pub(crate) fn state() -> Option<&'static Shared> {
    STATE.get()
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Sets the process's state up.
    pub(crate) fn install(
        link: Link,
        clock: Clock,
        transport: Option<Transport>,
    ) -> rustix::io::Result<&'static Self> {
        let shared = Self {
            link,
            clock,
            transport,
            tap: Tap::default(),
            queue: Mutex::default(),
            work: Flag::new()?,
            cancel: Flag::new()?,
            running: Mutex::default(),
            entered: AtomicU64::new(0),
            secrets: Mutex::default(),
            store: Mutex::default(),
            asked: Mutex::default(),
            next_question: AtomicU64::new(1),
        };
        Ok(STATE.get_or_init(|| shared))
    }

    /// Adds work and wakes the plugin's thread.
    pub(crate) fn push(&self, work: Work) {
        let mut queue = lock(&self.queue);
        if matches!(work, Work::Stop) {
            queue.push_front(work);
            if let Some(running) = lock(&self.running).as_mut() {
                running.cancelled = true;
            }
            self.cancel.raise();
        } else {
            queue.push_back(work);
        }
        self.work.raise();
    }

    /// The next work, if any.
    pub(crate) fn pop(&self) -> Option<Work> {
        let mut queue = lock(&self.queue);
        let work = queue.pop_front();
        if queue.is_empty() {
            self.work.lower();
        }
        work
    }

    /// Waits for work until `deadline`.
    pub(crate) fn wait_for_work(&self, deadline: Option<Instant>) {
        wait(&self.work, None, deadline);
    }

    /// Takes a call out of the queue, or marks the running one as cancelled. True: it was still waiting.
    pub(crate) fn cancel(&self, id: u64) -> bool {
        let mut queue = lock(&self.queue);
        if let Some(at) = queue.iter().position(|w| matches!(w, Work::Call(c) if c.id == id)) {
            queue.remove(at);
            return true;
        }
        drop(queue);
        if let Some(running) = lock(&self.running).as_mut().filter(|r| r.id == id) {
            running.cancelled = true;
            self.cancel.raise();
        }
        false
    }

    /// The plugin is entered for a call (`Some`) or on its own account.
    pub(crate) fn enter(&self, call: Option<(u64, Instant)>) {
        if let Some((id, deadline)) = call {
            *lock(&self.running) = Some(Running { id, deadline, cancelled: false });
        }
        self.entered.store(boot_ms() + 1, Ordering::Relaxed);
    }

    /// The plugin has returned.
    pub(crate) fn leave(&self) {
        self.entered.store(0, Ordering::Relaxed);
        let mut running = lock(&self.running);
        if running.take().is_some_and(|r| r.cancelled) {
            self.cancel.lower();
        }
    }

    /// How long the plugin has been inside, ms.
    pub(crate) fn busy_ms(&self) -> u32 {
        match self.entered.load(Ordering::Relaxed) {
            0 => 0,
            since => u32::try_from((boot_ms() + 1).saturating_sub(since)).unwrap_or(u32::MAX),
        }
    }

    /// Deadline of the running call.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        lock(&self.running).as_ref().map(|r| r.deadline)
    }

    /// Whether the running call is cancelled.
    pub(crate) fn cancelled(&self) -> bool {
        lock(&self.running).as_ref().is_some_and(|r| r.cancelled)
    }

    /// Waits on the plugin's behalf: ends early when its call is cancelled, or, outside a call, when work waits. Never
    /// longer than the call may take.
    pub(crate) fn wait(&self, fd: Option<(BorrowedFd<'_>, PollFlags)>, until: Instant) -> Woken {
        let (flag, until) = match self.deadline() {
            Some(deadline) => (&self.cancel, until.min(deadline)),
            None => (&self.work, until),
        };
        wait(flag, fd, Some(until))
    }

    /// Keeps what the instance is made from.
    pub(crate) fn keep(&self, secrets: Vec<Secret>, store: Vec<(String, Vec<u8>)>) {
        *lock(&self.secrets) = secrets;
        *lock(&self.store) = store.into_iter().collect();
    }

    /// A secret.
    pub(crate) fn secret(&self, name: &str) -> Option<Zeroizing<Vec<u8>>> {
        let secrets = lock(&self.secrets);
        let secret = secrets.iter().find(|s| s.name == name)?;
        Some(Zeroizing::new(secret.value.expose().clone()))
    }

    /// A number for a question to the daemon, whose answer goes to `answer`.
    pub(crate) fn expect(&self, answer: SyncSender<Answer>) -> u64 {
        let id = self.next_question.fetch_add(1, Ordering::Relaxed);
        lock(&self.asked).insert(id, answer);
        id
    }

    /// Nobody waits for this answer any more.
    pub(crate) fn forget(&self, id: u64) {
        lock(&self.asked).remove(&id);
    }

    /// The daemon has answered.
    pub(crate) fn answered(&self, id: u64, answer: Answer) {
        if let Some(waiting) = lock(&self.asked).remove(&id) {
            let _ = waiting.try_send(answer);
        }
    }
}
