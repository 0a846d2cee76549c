//! Device statistics over restarts.
//!
//! Asked of each driver once a minute and whenever somebody looks; written when they changed, at most once in five minutes a
//! device, at a reset, and when the till stops in order. So a host that dies takes at most the last minute of its own
//! counting with it, and a daemon or machine that dies the last six.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use till_hosts::{Counters, DriverClient, Instance};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use super::wear::{Due, Wear};

/// Between two questions to a driver.
const ASK: Duration = Duration::from_mins(1);
/// Between two writes of one device.
const WRITE: Duration = Duration::from_mins(5);
/// How long a driver may take to answer before it counts as hung: longer than any of its polls may last.
const ANSWER: Duration = Duration::from_secs(30);
/// How long is waited for it where somebody looks, and where the till stops; a late answer harms nobody.
const SOON: Duration = Duration::from_secs(2);

/// The statistics of all devices.
pub struct Statistics {
    folder: PathBuf,
    devices: Mutex<BTreeMap<String, Device>>,
    /// One write at a time: an older one must not come after a newer one.
    writing: tokio::sync::Mutex<()>,
    tell: Tell,
}

/// Who is told of devices that are due for service.
type Tell = Box<dyn Fn(Due) + Send + Sync>;

struct Device {
    counters: Counters,
    wear: Wear,
    instance: Option<Instance>,
    asking: Option<AbortHandle>,
    opened: bool,
    written: Instant,
}

impl Statistics {
    /// Kept in this folder. `tell` hears of each device that is due for service.
    pub(super) fn new(folder: PathBuf, tell: impl Fn(Due) + Send + Sync + 'static) -> Arc<Self> {
        let (devices, writing) = (Mutex::default(), tokio::sync::Mutex::default());
        Arc::new(Self { folder, devices, writing, tell: Box::new(tell) })
    }

    /// Tells what is due and was not told before.
    fn worn(&self, id: &str) {
        let due = match self.lock().get_mut(id) {
            Some(device) => device.wear.due(id, &device.counters.totals()),
            None => return,
        };
        due.into_iter().for_each(&self.tell);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Device>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is kept of a device; a line for people where that was damaged or cannot be read. `limits`: counters to when they are due
    /// for service.
    pub(super) fn add(&self, device: &str, limits: BTreeMap<String, u64>) -> Option<String> {
        let now = jiff::Timestamp::now().as_millisecond();
        let (counters, notice) = match Counters::open(&self.folder, device, now) {
            Ok((counters, None)) => (counters, None),
            Ok((counters, Some(aside))) => (
                counters,
                Some(format!(
                    "the statistics of {device} were damaged and count from zero; the old file is {}",
                    aside.display()
                )),
            ),
            // Without a file it does not count: a till sells all the same.
            Err(e) => {
                return Some(format!(
                    "the statistics of {device} cannot be kept: {}: {e}",
                    self.folder.display()
                ));
            }
        };
        let kept = Device {
            counters,
            wear: Wear::new(limits),
            instance: None,
            asking: None,
            opened: false,
            written: Instant::now(),
        };
        self.lock().insert(device.to_owned(), kept);
        self.worn(device);
        notice
    }

    /// A device takes calls: it is asked from now on.
    pub(super) fn up(self: &Arc<Self>, instance: &Instance) {
        if let Some(device) = self.lock().get_mut(instance.id()) {
            device.counters.ended();
            device.counters.add(if device.opened { "reconnects" } else { "starts" }, 1);
            device.opened = true;
            device.instance = Some(instance.clone());
            let follow = tokio::spawn(self.clone().follow(instance.clone())).abort_handle();
            if let Some(before) = device.asking.replace(follow) {
                before.abort();
            }
        }
    }

    /// Its process ended.
    pub(super) fn down(&self, device: &str) {
        if let Some(device) = self.lock().get_mut(device) {
            device.counters.ended();
            device.instance = None;
            if let Some(asking) = device.asking.take() {
                asking.abort();
            }
        }
    }

    async fn follow(self: Arc<Self>, instance: Instance) {
        loop {
            sleep(ASK).await;
            self.ask(&instance, ANSWER).await;
            let due = self.lock().get(instance.id()).is_some_and(|d| d.written.elapsed() >= WRITE);
            if due && let Err(e) = self.write(instance.id()).await {
                tracing::warn!(DEVICE = instance.id(), "its statistics could not be written: {e}");
            }
        }
    }

    async fn ask(&self, instance: &Instance, patience: Duration) {
        // A plugin without counters, or one that is busy: what was told before stands.
        let driver = DriverClient::new(instance.clone());
        let Ok(Ok(told)) = timeout(patience, driver.statistics(ANSWER)).await else { return };
        if let Some(device) = self.lock().get_mut(instance.id())
            && device.instance.is_some()
        {
            device.counters.told(&told);
        }
        self.worn(instance.id());
    }

    async fn write(&self, id: &str) -> io::Result<()> {
        let _one = self.writing.lock().await;
        let file = self.lock().get_mut(id).and_then(|d| {
            d.written = Instant::now();
            d.counters.write()
        });
        let Some(file) = file else { return Ok(()) };
        let saved = tokio::task::spawn_blocking(move || file.save()).await;
        let saved = saved.unwrap_or_else(|e| Err(io::Error::other(e)));
        if saved.is_err()
            && let Some(device) = self.lock().get_mut(id)
        {
            device.counters.not_written();
        }
        saved
    }

    /// A device's counters now, and since when (Unix ms).
    pub(crate) async fn totals(&self, id: &str) -> (BTreeMap<String, u64>, i64) {
        let instance = self.lock().get(id).and_then(|d| d.instance.clone());
        if let Some(instance) = instance {
            self.ask(&instance, SOON).await;
        }
        self.lock().get(id).map(|d| (d.counters.totals(), d.counters.since_ms())).unwrap_or_default()
    }

    /// Counts from zero, durably.
    pub(crate) async fn reset(&self, id: &str) -> io::Result<()> {
        let instance = self.lock().get(id).and_then(|d| d.instance.clone());
        if let Some(instance) = instance {
            // What happened before the reset is before it.
            self.ask(&instance, SOON).await;
        }
        if let Some(device) = self.lock().get_mut(id) {
            device.counters.reset(jiff::Timestamp::now().as_millisecond());
        }
        self.worn(id);
        self.write(id).await
    }

    /// The till stops: asks once more and writes everything.
    pub async fn close(&self) {
        let all: Vec<(String, Option<Instance>)> =
            self.lock().iter().map(|(id, d)| (id.clone(), d.instance.clone())).collect();
        let mut asked = tokio::task::JoinSet::new();
        for instance in all.iter().filter_map(|(_, i)| i.clone()) {
            asked.spawn(async move {
                let driver = DriverClient::new(instance.clone());
                (instance.id().to_owned(), timeout(SOON, driver.statistics(ANSWER)).await)
            });
        }
        while let Some(answer) = asked.join_next().await {
            if let Ok((id, Ok(Ok(told)))) = answer
                && let Some(device) = self.lock().get_mut(&id)
            {
                device.counters.told(&told);
            }
        }
        for (id, _) in all {
            if let Err(e) = self.write(&id).await {
                tracing::warn!(DEVICE = id, "its statistics could not be written: {e}");
            }
        }
    }
}
