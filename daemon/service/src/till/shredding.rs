//! What was sealed for a batch is destroyed once the batch is closed.

use std::sync::Arc;

use till_core::batch::{Batch, BatchState};
use till_core::input::Input;
use till_core::payment::Purpose;
use till_core::record::KIND;
use till_core::{Payment, PaymentId, Till};
use tokio::sync::{Mutex, Semaphore};

use super::effects::Effects;
use super::history;

/// Payments that are looked up at one go, between two customers.
const AT_ONCE: usize = 32;

/// One destroys at a time, and one more waits: who comes then is served by the one that waits.
#[derive(Clone)]
pub(super) struct Shredding {
    one: Arc<Mutex<()>>,
    next: Arc<Semaphore>,
}

impl Default for Shredding {
    fn default() -> Self {
        Self { one: Arc::default(), next: Arc::new(Semaphore::new(1)) }
    }
}

/// Everything that is sealed in a payment.
fn sealed_of(payment: &Payment) -> impl Iterator<Item = &[u8]> {
    let own = match &payment.purpose {
        Purpose::TopUp { recovery, .. } => Some(recovery.as_slice()),
        Purpose::Sale | Purpose::Hold => None,
    };
    payment.attempts.iter().filter_map(|a| a.recovery.as_deref()).chain(own)
}

impl Effects {
    /// Destroys the keys of what was sealed for closed batches only. Needed is what belongs to a batch that is not closed,
    /// and whatever an open payment holds, however old: that is sealed anew first, so that one hold does not keep
    /// the keys of a whole day.
    pub(super) async fn shred(&self) {
        // Whoever waits has not looked yet, and sees what is closed by now.
        let Ok(next) = self.shredding.next.try_acquire() else { return };
        let _one = self.shredding.one.lock().await;
        drop(next);
        self.seal_anew().await;
        let sealing = self.handle.sealing.clone();
        // In one turn of the actor: the mark, and then what is looked up.
        let turn = move |till: &Till| {
            let mark = sealing.mark();
            let needed: Vec<Vec<u8>> = till.open_payments().flat_map(sealed_of).map(<[u8]>::to_vec).collect();
            let book = till.batches();
            let live = book.frozen().chain(book.open()).flat_map(Batch::parts);
            let mut payments: Vec<PaymentId> =
                live.flat_map(|(_, part)| part.entries()).map(|entry| entry.item.payment).collect();
            payments.sort_unstable();
            payments.dedup();
            (mark, needed, payments)
        };
        let Ok((mark, mut needed, payments)) = self.handle.look(turn).await else { return };
        for some in payments.chunks(AT_ONCE) {
            // The first that needs the oldest key is enough: nothing will be destroyed.
            if self.handle.sealing.keeps_all(&needed) {
                break;
            }
            match self.sealed_in(some.to_vec()).await {
                Ok(found) => needed.extend(found),
                // What is not certain to be needless stays.
                Err(why) => {
                    tracing::warn!("nothing is destroyed: {why}");
                    return;
                }
            }
        }
        let shredded = self.pace.step(self.handle.sealing.shred(mark, needed)).await;
        match shredded {
            Ok(epoch) => tracing::info!(epoch, "sealed data of closed batches is destroyed"),
            Err(e) => tracing::warn!("{e}"),
        }
    }

    /// What is sealed in payments of batches that are not closed.
    async fn sealed_in(&self, payments: Vec<PaymentId>) -> Result<Vec<Vec<u8>>, String> {
        let journal = self.journal.clone();
        let find = move || {
            let mut found = Vec::new();
            for id in payments {
                let payment = history::find(&journal, id).map_err(|e| e.to_string())?;
                let missing = || format!("payment {id} of an open batch is not in the journal");
                found.extend(sealed_of(&payment.ok_or_else(missing)?).map(<[u8]>::to_vec));
            }
            Ok(found)
        };
        let found = self.pace.step(async { tokio::task::spawn_blocking(find).await });
        found.await.map_err(|e| e.to_string())?
    }

    /// What unfinished payments sealed in batches that are closed: sealed under the key of now, by a record each
    /// (decision 0020). What cannot be opened or recorded stays as it is, and keeps its key.
    async fn seal_anew(&self) {
        let old = self.handle.look(|till| {
            let closed = |batch: u32| {
                let batch = till.batches().get(batch);
                batch.is_none_or(|b| b.state == BatchState::Closed)
            };
            let of = |p: &Payment| {
                let own = match &p.purpose {
                    Purpose::TopUp { recovery, .. } => Some((p.id, 0, recovery.clone())),
                    Purpose::Sale | Purpose::Hold => None,
                };
                let attempts = p.attempts.iter().filter(|a| closed(a.batch));
                let sealed = attempts.filter_map(|a| Some((p.id, a.ids.attempt, a.recovery.clone()?)));
                sealed.chain(own).collect::<Vec<_>>()
            };
            till.open_payments().flat_map(of).collect::<Vec<_>>()
        });
        let Ok(old) = old.await else { return };
        let sealing = &self.handle.sealing;
        for (payment, attempt, sealed) in old.into_iter().filter(|(_, _, sealed)| !sealing.is_of_now(sealed))
        {
            let clear = match sealing.open(payment.0, KIND, &sealed) {
                Ok(clear) => clear,
                Err(e) => {
                    tracing::warn!(PAYMENT = %payment, attempt, "cannot be sealed anew: {e}");
                    continue;
                }
            };
            // The pin keeps the new key until the record that carries it is taken in.
            match sealing.seal(payment.0, KIND, &clear) {
                Ok((recovery, _pin)) => {
                    let input = Input::Resealed { payment, attempt, recovery };
                    if let Err(e) = self.handle.input(input).await {
                        tracing::info!(PAYMENT = %payment, attempt, "not sealed anew: {e}");
                    }
                }
                Err(e) => tracing::warn!(PAYMENT = %payment, attempt, "cannot be sealed anew: {e}"),
            }
        }
    }
}
