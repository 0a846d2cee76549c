//! A host in memory, for a plugin's own unit tests: scripted transport, moving clock, collected events.
//!
//! ```ignore
//! let bench = TestHost::new().with_transport(TransportKind::Serial);
//! let mut driver = MyScanner::open(bench.host(), Settings::from_json("{}"))?;
//! bench.arrive(b"6901234567892\r");
//! assert_eq!(driver.poll(Duration::ZERO)?.len(), 1);
//! ```
//!
//! Time does not pass by itself: a read that finds nothing, and a sleep, move the clock forward by what they waited.
//! So no test waits for real.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::channel::ChannelEvent;
use crate::driver::DriverEvent;
use crate::host::{
    Host, Level, LogEntry, LogError, Now, Read, Services, StoreError, TransportError, TransportInfo,
    TransportKind, WriteError,
};
use crate::proto::{decode, event};
use crate::sensitive::Sensitive;

/// What a scripted transport does next when read.
#[derive(Clone, Debug)]
enum Step {
    Bytes(Vec<u8>),
    Pause(Duration),
    Gone,
}

type Responder = Box<dyn FnMut(&[u8]) -> Vec<u8> + Send>;

#[derive(Default)]
struct Bench {
    incoming: VecDeque<Step>,
    written: Vec<u8>,
    take_at_most: Option<usize>,
    responder: Option<Responder>,
    gone: bool,
    wall_ms: i64,
    boot_ms: u64,
    untrusted: bool,
    log: Vec<(Level, String)>,
    events: Vec<(u32, Vec<u8>)>,
    secrets: BTreeMap<String, Vec<u8>>,
    store: BTreeMap<String, Vec<u8>>,
    entries: Vec<LogEntry>,
    last_entry: u64,
    log_fault: Option<LogFault>,
    remaining: Option<Duration>,
    cancelled: bool,
}

/// How the next append to the log goes wrong.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum LogFault {
    /// Refused; nothing is written.
    Refused,
    /// Undecided, and the entry is there.
    UndecidedWritten,
    /// Undecided, and the entry is not there.
    UndecidedLost,
}

/// A host in memory. Clones share everything.
#[derive(Clone)]
pub struct TestHost {
    bench: Arc<Mutex<Bench>>,
    transport: Option<TransportInfo>,
}

impl Default for TestHost {
    fn default() -> Self {
        Self::new()
    }
}

impl TestHost {
    /// Without a transport; the wall clock stands at 2026-01-02 03:04:05 UTC and is trusted.
    pub fn new() -> Self {
        let bench = Bench { wall_ms: 1_767_323_045_000, boot_ms: 1_000_000, ..Bench::default() };
        Self { bench: Arc::new(Mutex::new(bench)), transport: None }
    }

    /// With a transport of a kind.
    #[must_use]
    pub fn with_transport(mut self, kind: TransportKind) -> Self {
        self.transport = Some(TransportInfo { kind, name: "test".into() });
        self
    }

    /// With a secret.
    #[must_use]
    pub fn with_secret(self, name: &str, value: &[u8]) -> Self {
        self.lock().secrets.insert(name.into(), value.into());
        self
    }

    /// The host to open the plugin with.
    pub fn host(&self) -> Host {
        Host::new(Arc::new(self.clone()), self.transport.clone())
    }

    /// Bytes come in from the device.
    pub fn arrive(&self, bytes: &[u8]) {
        self.lock().incoming.push_back(Step::Bytes(bytes.into()));
    }

    /// Nothing comes for this long before what arrives next.
    pub fn pause(&self, time: Duration) {
        self.lock().incoming.push_back(Step::Pause(time));
    }

    /// After what has arrived so far, the device is gone.
    pub fn unplug(&self) {
        self.lock().incoming.push_back(Step::Gone);
    }

    /// Answers every write with what `f` returns for it.
    pub fn respond(&self, f: impl FnMut(&[u8]) -> Vec<u8> + Send + 'static) {
        self.lock().responder = Some(Box::new(f));
    }

    /// The device takes only this many more bytes, then stops reading.
    pub fn take_at_most(&self, bytes: usize) {
        self.lock().take_at_most = Some(bytes);
    }

    /// The device reads again.
    pub fn take_all(&self) {
        self.lock().take_at_most = None;
    }

    /// What the plugin has written; forgets it.
    pub fn written(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock().written)
    }

    /// Moves both clocks.
    pub fn advance(&self, time: Duration) {
        self.lock().pass(time);
    }

    /// Sets whether the wall clock is trusted.
    pub fn trust_clock(&self, trusted: bool) {
        self.lock().untrusted = !trusted;
    }

    /// Sets the time left for the running call.
    pub fn set_remaining(&self, remaining: Option<Duration>) {
        self.lock().remaining = remaining;
    }

    /// Cancels the running call.
    pub fn cancel(&self) {
        self.lock().cancelled = true;
    }

    /// Log lines so far.
    pub fn log_lines(&self) -> Vec<(Level, String)> {
        self.lock().log.clone()
    }

    /// Driver events emitted during calls; forgets them.
    pub fn driver_events(&self) -> Vec<DriverEvent> {
        self.take_events(event::DRIVER_1).iter().filter_map(|b| decode(b).ok()).collect()
    }

    /// Channel events emitted during calls; forgets them.
    pub fn channel_events(&self) -> Vec<ChannelEvent> {
        self.take_events(event::CHANNEL_1).iter().filter_map(|b| decode(b).ok()).collect()
    }

    /// Values that the plugin stored.
    pub fn stored(&self) -> BTreeMap<String, Vec<u8>> {
        self.lock().store.clone()
    }

    /// The instance's log.
    pub fn log_entries(&self) -> Vec<LogEntry> {
        self.lock().entries.clone()
    }

    /// Makes the next append to the log go wrong.
    pub fn fail_log(&self, fault: LogFault) {
        self.lock().log_fault = Some(fault);
    }

    /// Appends go well again, if the one that was to go wrong has not come.
    pub fn heal_log(&self) {
        self.lock().log_fault = None;
    }

    /// The log loses everything after its first `kept` entries, as if the plugin's machine had stopped before them.
    pub fn cut_log(&self, kept: usize) {
        self.lock().entries.truncate(kept);
    }

    fn take_events(&self, kind: u32) -> Vec<Vec<u8>> {
        let mut bench = self.lock();
        let (wanted, rest) = std::mem::take(&mut bench.events).into_iter().partition(|(k, _)| *k == kind);
        bench.events = rest;
        let wanted: Vec<(u32, Vec<u8>)> = wanted;
        wanted.into_iter().map(|(_, bytes)| bytes).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Bench> {
        self.bench.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gone(&self) -> TransportError {
        match &self.transport {
            Some(t) => TransportError::Gone { name: t.name.clone(), detail: "unplugged by the test".into() },
            None => TransportError::None,
        }
    }
}

impl Bench {
    fn pass(&mut self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap_or(0);
        self.boot_ms += ms;
        self.wall_ms += i64::try_from(ms).unwrap_or(0);
        self.remaining = self.remaining.map(|r| r.saturating_sub(time));
    }
}

impl Services for TestHost {
    fn log(&self, level: Level, message: &str) {
        self.lock().log.push((level, message.into()));
    }

    fn now(&self) -> Now {
        let bench = self.lock();
        Now { wall_ms: bench.wall_ms, boot_ms: bench.boot_ms, trusted: !bench.untrusted }
    }

    fn sleep(&self, time: Duration) -> bool {
        let mut bench = self.lock();
        bench.pass(time);
        !bench.cancelled
    }

    fn read(&self, max: usize, wait: Duration) -> Result<Read, TransportError> {
        let mut bench = self.lock();
        if self.transport.is_none() || bench.gone {
            return Err(self.gone());
        }
        let mut left = wait;
        loop {
            match bench.incoming.pop_front() {
                Some(Step::Bytes(mut bytes)) => {
                    if bytes.len() > max {
                        let rest = bytes.split_off(max);
                        bench.incoming.push_front(Step::Bytes(rest));
                    }
                    return Ok(Read::Data(bytes));
                }
                Some(Step::Pause(time)) if time <= left => {
                    left = left.saturating_sub(time);
                    bench.pass(time);
                }
                Some(Step::Pause(time)) => {
                    bench.pass(left);
                    bench.incoming.push_front(Step::Pause(time.saturating_sub(left)));
                    return Ok(Read::Timeout);
                }
                Some(Step::Gone) => {
                    bench.gone = true;
                    return Err(self.gone());
                }
                None if bench.cancelled => return Ok(Read::Woken),
                None => {
                    bench.pass(left);
                    return Ok(Read::Timeout);
                }
            }
        }
    }

    fn write(&self, bytes: &[u8], wait: Duration) -> Result<(), WriteError> {
        let mut bench = self.lock();
        if self.transport.is_none() || bench.gone {
            return Err(WriteError { written: 0, error: Some(self.gone()) });
        }
        let room = bench.take_at_most.unwrap_or(usize::MAX);
        let taken = bytes.len().min(room);
        bench.written.extend_from_slice(&bytes[..taken]);
        if let Some(left) = bench.take_at_most.as_mut() {
            *left -= taken;
        }
        if let Some(mut responder) = bench.responder.take() {
            let answer = responder(&bytes[..taken]);
            if !answer.is_empty() {
                bench.incoming.push_back(Step::Bytes(answer));
            }
            bench.responder = Some(responder);
        }
        if taken < bytes.len() {
            bench.pass(wait);
            return Err(WriteError { written: taken, error: None });
        }
        Ok(())
    }

    fn secret(&self, name: &str) -> Option<Sensitive<Vec<u8>>> {
        self.lock().secrets.get(name).cloned().map(Sensitive::new)
    }

    fn load(&self, key: &str) -> Option<Vec<u8>> {
        self.lock().store.get(key).cloned()
    }

    fn store(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.lock().store.insert(key.into(), value.into());
        Ok(())
    }

    fn log_append(&self, bytes: &[u8]) -> Result<u64, LogError> {
        let mut bench = self.lock();
        let detail = || "as the test wants it".to_owned();
        let fault = bench.log_fault.take();
        if fault == Some(LogFault::Refused) {
            return Err(LogError::Refused { detail: detail() });
        }
        // With gaps, as in the daemon's journal.
        bench.last_entry += 2;
        let seq = bench.last_entry;
        if fault != Some(LogFault::UndecidedLost) {
            bench.entries.push(LogEntry { seq, bytes: bytes.into() });
        }
        if fault.is_some() {
            return Err(LogError::Undecided { detail: detail() });
        }
        Ok(seq)
    }

    fn log_read(&self, after: u64, max: u32) -> Result<Vec<LogEntry>, LogError> {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        Ok(self.lock().entries.iter().filter(|e| e.seq > after).take(max).cloned().collect())
    }

    fn log_trim(&self, through: u64) -> Result<(), LogError> {
        let mut bench = self.lock();
        if !bench.entries.iter().any(|e| e.seq == through) {
            return Err(LogError::Refused { detail: format!("it has no entry {through}") });
        }
        bench.entries.retain(|e| e.seq > through);
        Ok(())
    }

    fn emit(&self, kind: u32, payload: Vec<u8>) {
        self.lock().events.push((kind, payload));
    }

    fn remaining(&self) -> Option<Duration> {
        self.lock().remaining
    }

    fn cancelled(&self) -> bool {
        self.lock().cancelled
    }
}
