//! Recovery data over the life of a batch: sealed while it may be needed, destroyed when its batch is closed.
//!
//! How a settlement uses it (docs/decisions/0015):
//! 1. before the record that freezes a batch: [`next_epoch`](Sealing::next_epoch), so that what the next batch seals is
//!    apart;
//! 2. once a batch is closed: [`mark`](Sealing::mark), *then* look up the recovery data that is still needed (of
//!    every attempt that may still be undone, voided or uploaded), then [`shred`](Sealing::shred) with both. Nothing
//!    but what only the closed batch needed is destroyed, whatever is being prepared meanwhile.

use std::sync::Arc;

use till_journal::keyring::Pin;
use till_journal::sealed::{SealError, epoch_of};
use till_journal::{Keyring, KeyringError};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

/// Seals recovery data. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sealing {
    keyring: Keyring,
    /// Whether this run has its own epoch.
    begun: Arc<OnceCell<()>>,
}

/// A moment: what was sealed before it is recorded by now, or waits under a pin that the mark respects.
#[derive(Clone, Copy, Debug)]
#[must_use = "a mark is for `shred`"]
pub struct Mark(u32);

impl Sealing {
    /// On a keyring.
    pub fn new(keyring: Keyring) -> Self {
        Self { keyring, begun: Arc::default() }
    }

    /// Sees to it that this run seals in an epoch of its own. At the first use and not at the start, so that a till that
    /// is started again and again makes no key each time.
    pub async fn begin_run(&self) {
        let begin = || async {
            if let Err(e) = self.next_epoch().await {
                // The epoch before goes on: it only lives longer than it must.
                tracing::warn!("{e}");
            }
        };
        self.begun.get_or_init(begin).await;
    }

    /// Seals for one payment and record kind. The pin is held until the record that carries it is taken in.
    pub fn seal(&self, payment: [u8; 16], kind: u16, clear: &[u8]) -> Result<(Vec<u8>, Pin), SealError> {
        let pin = self.keyring.pin();
        Ok((self.keyring.seal(&payment, kind, clear)?, pin))
    }

    /// Opens what was sealed for the same payment and kind.
    pub fn open(&self, payment: [u8; 16], kind: u16, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        self.keyring.open(&payment, kind, sealed)
    }

    /// Whether it was sealed under the key that is used now.
    pub fn is_of_now(&self, sealed: &[u8]) -> bool {
        epoch_of(sealed) == Some(self.keyring.current())
    }

    /// Begins a new epoch; its key is durable when this returns.
    pub async fn next_epoch(&self) -> Result<u32, KeyringError> {
        let keyring = self.keyring.clone();
        blocking(move || keyring.rotate()).await
    }

    /// Whether some of it needs the oldest key that is left: then [`shred`](Self::shred) destroys nothing.
    pub fn keeps_all<T: AsRef<[u8]>>(&self, needed: &[T]) -> bool {
        let Some(oldest) = self.keyring.epochs().first().copied() else { return true };
        needed.iter().filter_map(|sealed| epoch_of(sealed.as_ref())).any(|epoch| epoch <= oldest)
    }

    /// To be taken before the recovery data that is still needed is looked up, and in the same turn of the actor.
    pub fn mark(&self) -> Mark {
        Mark(self.keyring.needed_from())
    }

    /// Destroys the keys of all recovery data but `needed` (sealed, as recorded) and what came after the mark. Returns
    /// the epoch below which everything is destroyed. To be repeated after an error; a restart finishes it too.
    pub async fn shred<T: AsRef<[u8]>>(
        &self,
        mark: Mark,
        needed: impl IntoIterator<Item = T>,
    ) -> Result<u32, KeyringError> {
        let below = needed.into_iter().filter_map(|sealed| epoch_of(sealed.as_ref())).fold(mark.0, u32::min);
        let keyring = self.keyring.clone();
        blocking(move || keyring.shred_below(below)).await
    }
}

async fn blocking<T: Send + 'static>(
    f: impl FnOnce() -> Result<T, KeyringError> + Send + 'static,
) -> Result<T, KeyringError> {
    // A cancelled task is a runtime that ends.
    tokio::task::spawn_blocking(f).await.unwrap_or(Err(KeyringError::Forgotten))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealing() -> (tempfile::TempDir, Sealing) {
        let dir = tempfile::tempdir().unwrap();
        let keyring = Keyring::load(&dir.path().join("keyring"), &[1; 32]).unwrap();
        (dir, Sealing::new(keyring))
    }

    #[tokio::test]
    async fn s66_a_closed_batch_is_shredded_and_what_others_need_stays() {
        let (_dir, sealing) = sealing();
        let seal = |n: u8| sealing.seal([n; 16], 1, b"recovery").unwrap().0;
        let first = seal(1);
        sealing.next_epoch().await.unwrap();
        let second = seal(2);
        sealing.next_epoch().await.unwrap();
        let third = seal(3);
        // Whoever looks for what is needed may stop at the first that needs the oldest key, and at no other.
        assert!(sealing.keeps_all(&[&third, &first]) && !sealing.keeps_all(&[&second, &third]));

        // The first batch is closed while one of its attempts is in review: nothing goes.
        let mark = sealing.mark();
        sealing.shred(mark, [&first, &third]).await.unwrap();
        assert!(sealing.open([1; 16], 1, &first).is_ok());
        // Then that is decided.
        let mark = sealing.mark();
        sealing.shred(mark, [&second, &third]).await.unwrap();
        assert_eq!(sealing.open([1; 16], 1, &first), Err(SealError::Shredded { epoch: 1 }));
        assert!(sealing.open([2; 16], 1, &second).is_ok());
        assert!(sealing.keeps_all(&[&second]), "the oldest that is left is another one now");
        // All closed: only the present epoch, which the next sale uses, is left.
        let mark = sealing.mark();
        sealing.shred(mark, [[]; 0]).await.unwrap();
        assert_eq!(sealing.open([2; 16], 1, &second), Err(SealError::Shredded { epoch: 2 }));
        assert!(sealing.open([3; 16], 1, &third).is_ok());
    }

    #[tokio::test]
    async fn s66_what_is_sealed_but_not_recorded_yet_survives_a_close_beside_it() {
        let (_dir, sealing) = sealing();
        let (under_way, pin) = sealing.seal([1; 16], 1, b"recovery").unwrap();
        sealing.next_epoch().await.unwrap();
        let mark = sealing.mark();
        // Recorded only after the lookup found nothing.
        drop(pin);
        sealing.shred(mark, [[]; 0]).await.unwrap();
        assert!(sealing.open([1; 16], 1, &under_way).is_ok(), "an armed reversal lost its data");
    }
}
