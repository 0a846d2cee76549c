//! Payments found in memory or in the journal.

use till_core::record::{KIND, Record};
use till_core::{Payment, PaymentId};
use till_journal::Journal;

use super::World;
use super::errors::Error;
use crate::till::history;

/// Whether to go on.
pub(super) enum Walk {
    /// The next record.
    On,
    /// It is found.
    Enough,
}

/// Goes through the journal from its head until `f` says enough.
pub(super) fn walk_back(journal: &Journal, mut f: impl FnMut(&Record) -> Walk) -> Result<(), Error> {
    let mut end = journal.head().seq;
    while end > 0 {
        let start = end.saturating_sub(511).max(1);
        let mut page = Vec::new();
        let mut at = start;
        // In parts: a range ends where its epoch does.
        while at <= end {
            let wanted = usize::try_from(end - at + 1).unwrap_or(512);
            let part = journal.range(at, wanted).map_err(|e| Error::JournalUnavailable(e.to_string()))?;
            let Some(last) = part.last() else { break };
            at = last.seq.saturating_add(1);
            page.extend(part);
        }
        let frames = page.iter().rev().filter(|r| r.kind == KIND);
        for record in frames.filter_map(|r| Record::decode(&r.payload).ok()) {
            if matches!(f(&record), Walk::Enough) {
                return Ok(());
            }
        }
        if start <= journal.stats().first_seq {
            return Ok(());
        }
        end = start - 1;
    }
    Ok(())
}

/// A payment by its id, published or in the journal.
pub(super) fn known(world: &World, id: PaymentId) -> Result<Option<Payment>, Error> {
    if let Some(view) = world.handle.published.get(id) {
        return Ok(Some(view.payment.clone()));
    }
    history::find(&world.journal, id).map_err(|e| Error::JournalUnavailable(e.to_string()))
}

/// The newest payment with a key; keys of training are their own.
pub(super) fn by_key(world: &World, key: &str, training: bool) -> Result<Option<PaymentId>, Error> {
    let published = &world.handle.published;
    let mut views = published.ids().into_iter().filter_map(|id| published.get(id));
    let open = views.find(|v| v.payment.key == key && v.payment.training == training);
    if let Some(view) = open {
        return Ok(Some(view.payment.id));
    }
    let mut found = None;
    walk_back(&world.journal, |record| match record {
        Record::Opened { payment, key: k, .. } | Record::OpenedFor { payment, key: k, .. }
            if k == key && !training =>
        {
            found = Some(*payment);
            Walk::Enough
        }
        Record::OpenedTraining { payment, key: k, .. } if k == key && training => {
            found = Some(*payment);
            Walk::Enough
        }
        _ => Walk::On,
    })?;
    Ok(found)
}

/// The payment that a caller means: by id, else by idempotency key.
pub(super) fn payment(world: &World, id_or_key: &str) -> Result<Payment, Error> {
    let not_found = || {
        let gone = |id: PaymentId| history::gone(&world.journal, id);
        if let Some(text) = id_or_key.parse::<PaymentId>().ok().and_then(gone) {
            return Error::Gone(text);
        }
        let said: String = id_or_key.chars().take(64).collect();
        Error::NotFound(format!("there is no payment with id or key {said:?}"))
    };
    if let Ok(id) = id_or_key.parse::<PaymentId>()
        && let Some(payment) = known(world, id)?
    {
        return Ok(payment);
    }
    let id = match by_key(world, id_or_key, false)? {
        Some(id) => id,
        None => by_key(world, id_or_key, true)?.ok_or_else(not_found)?,
    };
    known(world, id)?.ok_or_else(not_found)
}
