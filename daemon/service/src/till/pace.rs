//! Customers first: a settlement takes its next step where the till has just served nobody, and one step at a time.
//!
//! A settlement of thousands of records shares the actor, the disk, the processor and the network with the sales of the next
//! day. Its steps wait for a moment without a payment's records, and no longer than [`PATIENCE`]: a till that never rests
//! settles too. Of ten batches that are settled at once one takes its step then, so that a customer who comes in
//! the middle of it finds little under way.

use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep_until, timeout};

/// Nobody is served once no payment has changed for this long.
const QUIET: Duration = Duration::from_millis(150);

/// Longest that a step of a settlement waits for that; and longest that the next one waits for what a network answers to it.
const PATIENCE: Duration = Duration::from_millis(500);

/// When a customer was served last, and what of a settlement is under way.
pub(super) struct Pace {
    served: watch::Sender<Option<Instant>>,
    /// Requests to networks, begun and not answered.
    exchanges: watch::Sender<usize>,
    /// Whose step it is.
    turn: Mutex<()>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { served: watch::Sender::new(None), exchanges: watch::Sender::new(0), turn: Mutex::default() }
    }
}

/// A request that a network has not answered yet.
pub(super) struct Exchange(watch::Sender<usize>);

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n = n.saturating_sub(1));
    }
}

impl Pace {
    /// A payment has changed.
    pub(super) fn served(&self) {
        self.served.send_replace(Some(Instant::now()));
    }

    /// A request to a network begins; it is over when what is returned is dropped.
    #[must_use]
    pub(super) fn exchange(&self) -> Exchange {
        self.exchanges.send_modify(|n| *n = n.saturating_add(1));
        Exchange(self.exchanges.clone())
    }

    /// Takes a step where nobody is served and no other step is taken; the next one waits for the exchange that it began,
    /// but not for a network that does not answer.
    pub(super) async fn step<T>(&self, step: impl Future<Output = T>) -> T {
        let _turn = self.turn.lock().await;
        self.quiet().await;
        let before = *self.exchanges.borrow();
        let done = step.await;
        let mut exchanges = self.exchanges.subscribe();
        // Answered or not, the next one has its turn.
        let _answered = timeout(PATIENCE, exchanges.wait_for(|now| *now <= before)).await;
        done
    }

    /// Waits for such a moment.
    async fn quiet(&self) {
        let mut served = self.served.subscribe();
        let quiet = async {
            loop {
                let Some(last) = *served.borrow_and_update() else { return };
                tokio::select! {
                    biased;
                    Ok(()) = served.changed() => {}
                    () = sleep_until(last + QUIET) => return,
                }
            }
        };
        // Either way it goes on.
        let _rested = timeout(PATIENCE, quiet).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_settlement_waits_for_customers_and_not_for_ever() {
        let (pace, begun) = (Pace::default(), Instant::now());
        pace.step(async {}).await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "nobody was there");
        pace.served();
        pace.step(async {}).await;
        assert_eq!(begun.elapsed(), QUIET);
        pace.step(async {}).await;
        assert_eq!(begun.elapsed(), QUIET, "nobody came since");
        let rush = async {
            loop {
                pace.served();
                tokio::time::sleep(QUIET / 3).await;
            }
        };
        tokio::select! {
            biased; // somebody is there before it looks
            () = rush => {}
            () = pace.step(async {}) => {}
        }
        assert_eq!(begun.elapsed(), QUIET + PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_batches_one_takes_its_step_and_a_dead_network_holds_nobody_up_for_long() {
        let (pace, begun, begins) = (Pace::default(), Instant::now(), Mutex::new(Vec::new()));
        let network = Duration::from_millis(10);
        let batch = |answers: bool| {
            let (pace, begins) = (&pace, &begins);
            pace.step(async move {
                begins.lock().await.push(begun.elapsed());
                let exchange = pace.exchange();
                tokio::spawn(async move {
                    tokio::time::sleep(if answers { network } else { PATIENCE * 100 }).await;
                    drop(exchange);
                });
            })
        };
        tokio::join!(batch(true), batch(false), batch(true), batch(true));
        let second = network + PATIENCE;
        assert_eq!(*begins.lock().await, [Duration::ZERO, network, second, second + network]);
    }
}
