//! What a channel is asked, built from the till's state: the sale or hold of a tender, or the leg that follows one.

use till_core::record::KIND;
use till_core::{Attempt, LegKind, Payment, Purpose};
use till_plugin::channel::{Account, AccountOperation, Authorise, Follow, FollowKind, Reference};
use till_plugin::{Extra, Instrument, Sensitive};

use super::Sealing;

/// A request, with what is secret in it in the clear: lives from its preparation to its outcome.
#[derive(Clone)]
pub(super) enum Request {
    /// Takes or holds money.
    Tender(Box<Authorise>),
    /// Follows such a one.
    Follow(Box<Follow>),
    /// Loads a card that was paid for.
    Load(Box<Account>),
}

/// The request of an attempt, or why there is none. A tender needs its instrument.
pub(super) fn build(
    p: &Payment,
    a: &Attempt,
    instrument: Option<Instrument>,
    sealing: &Sealing,
) -> Result<Request, String> {
    if a.kind.is_tender() {
        let instrument = instrument.ok_or("what was presented is no longer in memory")?;
        return Ok(Request::Tender(Box::new(till_core::till::authorise_request(p, a, instrument))));
    }
    if a.kind == LegKind::Load {
        let Purpose::TopUp { recovery, .. } = &p.purpose else {
            return Err("this payment is no top-up".into());
        };
        let recovery = sealing.open(p.id.0, KIND, recovery).map_err(|e| e.to_string())?;
        return Ok(Request::Load(Box::new(Account {
            ids: a.ids.clone(),
            operation: AccountOperation::Load,
            amount: Some(a.amount),
            instrument: None,
            recovery: Sensitive::new(recovery.to_vec()),
            operator: p.operator.clone(),
            reason: String::new(),
            before: 0,
            limit: 0,
            extra: Extra::new(),
        })));
    }
    follow(p, a, instrument, sealing).map(|f| Request::Follow(Box::new(f)))
}

/// The follow-on request of a void, refund, completion or release.
pub(super) fn follow(
    p: &Payment,
    a: &Attempt,
    instrument: Option<Instrument>,
    sealing: &Sealing,
) -> Result<Follow, String> {
    let kind = match a.kind {
        LegKind::Void => FollowKind::Void,
        LegKind::Refund => FollowKind::Refund,
        LegKind::Capture => FollowKind::Capture,
        LegKind::Release => FollowKind::Release,
        LegKind::Sale | LegKind::Hold | LegKind::Load => return Err("it follows nothing".into()),
    };
    let original = p.attempt(a.of).ok_or("the payment that it follows is not in the journal")?;
    let approval = original.approval.clone().ok_or("what it follows was never approved")?;
    // Once its batch is closed the key is destroyed: the channel then goes by the reference alone.
    let recovery = original
        .recovery
        .as_ref()
        .and_then(|sealed| sealing.open(p.id.0, KIND, sealed).ok())
        .map(|clear| clear.to_vec())
        .unwrap_or_default();
    Ok(Follow {
        ids: a.ids.clone(),
        kind,
        original: Reference { ids: original.ids.clone(), amount: original.amount, approval },
        original_recovery: Sensitive::new(recovery),
        amount: a.amount,
        instrument,
        operator: a.operator.clone(),
        reason: a.reason.clone(),
        extra: Extra::new(),
    })
}
