//! An oscilloscope: looks at the level of a simulated line again and again, and does something in the moment it rises.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use crate::error::VmError;

/// Between two looks.
const PACE: Duration = Duration::from_millis(1);

/// Last look before an edge, and the first one behind it: the edge is somewhere between them.
type Edge = (Instant, Instant);
type Deed = Box<dyn FnOnce() + Send>;

/// The line was high once.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Pulse {
    rose: Edge,
    fell: Edge,
}

impl Pulse {
    /// It was high for so long at least.
    pub(crate) fn least(&self) -> Duration {
        self.fell.0.saturating_duration_since(self.rose.1)
    }

    /// And for so long at most.
    pub(crate) fn most(&self) -> Duration {
        self.fell.1 - self.rose.0
    }
}

#[derive(Default)]
struct Seen {
    pulses: Vec<Pulse>,
    deed: Option<Deed>,
    lost: Option<String>,
}

/// Looks as long as it lives.
pub(crate) struct Scope {
    seen: Arc<Mutex<Seen>>,
    over: Arc<AtomicBool>,
    looking: Option<JoinHandle<()>>,
}

impl Scope {
    /// On the `value` of a line.
    pub(crate) fn on(value: &Path) -> Result<Self, VmError> {
        let file = File::open(value).map_err(VmError::file(value))?;
        let (seen, over) = (Arc::<Mutex<Seen>>::default(), Arc::<AtomicBool>::default());
        let (theirs, end) = (seen.clone(), over.clone());
        let looking = spawn(move || {
            if let Err(e) = look(&file, &theirs, &end) {
                lock(&theirs).lost = Some(e.to_string());
            }
        });
        Ok(Self { seen, over, looking: Some(looking) })
    }

    /// Done at the next rise, before anything else can happen on this thread.
    pub(crate) fn at_rise(&self, deed: impl FnOnce() + Send + 'static) {
        lock(&self.seen).deed = Some(Box::new(deed));
    }

    /// Pulses that are over.
    pub(crate) fn pulses(&self) -> Result<Vec<Pulse>, VmError> {
        let seen = lock(&self.seen);
        match &seen.lost {
            Some(why) => Err(VmError::wrong(format!("the line cannot be looked at: {why}"))),
            None => Ok(seen.pulses.clone()),
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn look(file: &File, seen: &Mutex<Seen>, over: &AtomicBool) -> std::io::Result<()> {
    let mut rose: Option<Edge> = None;
    let mut last = Instant::now();
    while !over.load(Ordering::Relaxed) {
        let mut level = [0];
        file.read_exact_at(&mut level, 0)?;
        let now = Instant::now();
        match (rose, level == *b"1") {
            (None, true) => {
                rose = Some((last, now));
                let deed = lock(seen).deed.take();
                if let Some(deed) = deed {
                    deed();
                }
            }
            (Some(edge), false) => {
                lock(seen).pulses.push(Pulse { rose: edge, fell: (last, now) });
                rose = None;
            }
            _ => {}
        }
        last = now;
        sleep(PACE);
    }
    Ok(())
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(looking) = self.looking.take() {
            let _ended = looking.join();
        }
    }
}
