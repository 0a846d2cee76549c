//! Customers first: a settlement takes its next step where the till has just served nobody.
//!
//! A settlement of thousands of records shares the actor, the disk and the network with the sales of the next day. Its steps
//! wait for a moment without a payment's records, and no longer than [`PATIENCE`]: a till that never rests settles too.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// Nobody is served once no payment has changed for this long.
const QUIET: Duration = Duration::from_millis(150);

/// Longest that a step of a settlement waits for that.
const PATIENCE: Duration = Duration::from_millis(500);

/// When a customer was served last.
pub(super) struct Pace(watch::Sender<Option<Instant>>);

impl Default for Pace {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Pace {
    /// A payment has changed.
    pub(super) fn served(&self) {
        self.0.send_replace(Some(Instant::now()));
    }

    /// Waits for such a moment.
    pub(super) async fn quiet(&self) {
        let mut served = self.0.subscribe();
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
        pace.quiet().await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "nobody was there");
        pace.served();
        pace.quiet().await;
        assert_eq!(begun.elapsed(), QUIET);
        pace.quiet().await;
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
            () = pace.quiet() => {}
        }
        assert_eq!(begun.elapsed(), QUIET + PATIENCE);
    }
}
