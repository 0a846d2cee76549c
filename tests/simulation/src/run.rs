//! One world, and many.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::tally::Tally;
use crate::world::World;

/// What the wall clock does.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Runs, is believed, and nothing looks back in time (no code is used again, no hold runs out).
    Steady,
    /// The same, and it jumps by up to ten years.
    Jumping,
    /// Jumps, is believed or not, and what depends on time depends on it.
    Wild,
}

/// How a world is made besides its seed.
#[derive(Copy, Clone, Debug)]
pub struct Options {
    /// Payments; None: drawn from the seed.
    pub payments: Option<u64>,
    /// Write down what happens.
    pub trace: bool,
    /// The wall clock.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self { payments: None, trace: false, clock: Clock::Wild }
    }
}

/// A world that broke a rule.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its seed: the same again shows the same.
    pub seed: u64,
    /// What was found.
    pub text: String,
}

/// What came of a world.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What happened in it.
    pub tally: Tally,
    /// Payments opened, also in a world that failed.
    pub opened: u64,
    /// What was broken, if anything.
    pub failure: Option<Failure>,
    /// What happened, line by line, where it was asked for.
    pub trace: String,
}

thread_local! {
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
}

static LISTEN: Once = Once::new();

/// Keeps what a panic says instead of printing it, on threads that run worlds.
fn listen() {
    LISTEN.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let ours = SAID.with(|said| {
                let mut said = said.borrow_mut();
                let ours = said.is_some();
                if ours {
                    *said = Some(info.to_string());
                }
                ours
            });
            if !ours {
                before(info);
            }
        }));
    });
}

/// Lives one world.
pub fn live(seed: u64, options: Options) -> Outcome {
    listen();
    SAID.set(Some(String::new()));
    let mut world = World::new(seed, options.payments, options.trace, options.clock);
    let ended = panic::catch_unwind(AssertUnwindSafe(|| world.run()));
    let text = SAID.take().unwrap_or_default();
    let failure = ended.is_err().then_some(Failure { seed, text });
    let opened = world.disk.payments() as u64;
    world.tally.close();
    Outcome { failure, opened, trace: world.take_trace(), tally: world.tally }
}

/// How many worlds.
#[derive(Copy, Clone, Debug)]
pub struct Plan {
    /// Of the first world; the next ones count up.
    pub first_seed: u64,
    /// Stop once so many payments were made; None: no limit.
    pub payments: Option<u64>,
    /// Stop after so long; None: no limit.
    pub time: Option<Duration>,
    /// Worlds at the same time.
    pub threads: usize,
}

/// Lives worlds until the plan is fulfilled or one fails, and tells of progress about once a second.
pub fn many(
    plan: Plan,
    options: Options,
    mut progress: impl FnMut(&Tally, u64, Duration),
) -> (Tally, u64, Option<Failure>) {
    let start = Instant::now();
    let seed = AtomicU64::new(plan.first_seed);
    let stop = AtomicBool::new(false);
    let (results, receiver) = mpsc::sync_channel::<(u64, Tally, Option<Failure>)>(64);
    thread::scope(|scope| {
        for _ in 0..plan.threads.max(1) {
            let results = results.clone();
            let (seed, stop) = (&seed, &stop);
            scope.spawn(move || {
                let (mut worlds, mut tally) = (0, Tally::default());
                while !stop.load(Ordering::Relaxed) {
                    let outcome = live(seed.fetch_add(1, Ordering::Relaxed), options);
                    tally.add(&outcome.tally);
                    worlds += 1;
                    let failed = outcome.failure.is_some();
                    if failed || worlds == 256 || tally.payments > 4_000 {
                        let sent = results.send((worlds, std::mem::take(&mut tally), outcome.failure));
                        worlds = 0;
                        if failed || sent.is_err() {
                            break;
                        }
                    }
                }
                let _done = results.send((worlds, tally, None));
            });
        }
        drop(results);
        let (mut all, mut worlds, mut failure) = (Tally::default(), 0, None::<Failure>);
        let mut told = start;
        for (lived, tally, failed) in receiver {
            worlds += lived;
            all.add(&tally);
            // The smallest seed: the same run names the same failure.
            if let Some(failed) = failed
                && failure.as_ref().is_none_or(|f| failed.seed < f.seed)
            {
                failure = Some(failed);
            }
            let enough = plan.payments.is_some_and(|n| all.payments >= n)
                || plan.time.is_some_and(|t| start.elapsed() >= t);
            if enough || failure.is_some() {
                stop.store(true, Ordering::Relaxed);
            }
            if told.elapsed() >= Duration::from_secs(1) {
                told = Instant::now();
                progress(&all, worlds, start.elapsed());
            }
        }
        (all, worlds, failure)
    })
}
