//! What of its past the till still needs.

use std::collections::BTreeSet;

use super::Till;
use crate::batch::Batch;
use crate::payment::PaymentId;

impl Till {
    /// The oldest batch whose sealed data somebody may still need: it is not closed (but for one that is about to be),
    /// or a payment with an attempt in it is not finished.
    pub fn needed_from(&self, closing: Option<u32>) -> u32 {
        let batches = self.batches.oldest_needed(closing);
        let sealed = self.open.values().filter(|p| !p.training);
        let attempts = sealed.flat_map(|p| &p.attempts).map(|a| a.batch);
        attempts.fold(batches, u32::min)
    }

    /// Payments that are not over, whose records no age may remove: open ones; those in a batch that is not closed, whose
    /// details are made of them; disputed ones, whose evidence they are.
    pub fn unfinished(&self) -> BTreeSet<PaymentId> {
        let batches = self.batches.open().into_iter().chain(self.batches.frozen());
        let items = batches.flat_map(Batch::parts).flat_map(|(_, part)| {
            part.entries().iter().map(|e| e.item).chain(part.open_items().map(|(item, _)| item))
        });
        let disputed = self.disputes.all().filter(|d| !d.state.is_closed()).map(|d| d.payment);
        self.open.keys().copied().chain(items.map(|item| item.payment)).chain(disputed).collect()
    }
}
