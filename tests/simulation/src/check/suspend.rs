//! Suspended channels (S11): nothing goes to one but what resolves or gives back, whatever dies in between.

use till_core::{LegKind, Payment, Record};
use till_plugin::channel::answered;

use super::inner;
use crate::profile;
use crate::world::World;

/// After every record.
pub(super) fn after_record(w: &mut World, record: &Record) {
    match record {
        Record::ChannelSuspended { channel, reason, operator } => {
            assert!(!reason.is_empty() && !operator.is_empty(), "S11: suspended by nobody, for nothing");
            assert!(w.watch.suspended.insert(channel.clone()), "S11: {channel} is suspended twice");
            w.tally.see("channels suspended");
        }
        Record::ChannelResumed { channel, .. } => {
            assert!(w.watch.suspended.remove(channel), "S11: {channel} is resumed and was not suspended");
            w.tally.see("channels resumed");
        }
        Record::Tendered { decision, .. } => {
            let chosen = decision.chosen.as_deref().unwrap_or_default();
            assert!(!w.watch.suspended.contains(chosen), "S11: {chosen} is chosen, which is suspended");
        }
        Record::LegCreated { kind: LegKind::Capture, channel, .. } => {
            assert!(!w.watch.suspended.contains(channel), "S11: {channel} takes what it held, suspended");
        }
        Record::LegCreated { channel, .. } if w.watch.suspended.contains(channel) => {
            w.tally.see("given back by a suspended channel");
        }
        _ => s15_another_category_suspends(w, record),
    }
    s11_what_is_suspended_stays_so(w);
}

/// S15: an approval that files the shop elsewhere than agreed is booked, and suspends its channel by the same record.
fn s15_another_category_suspends(w: &mut World, record: &Record) {
    let (Record::Approved { approval, payment, .. }
    | Record::Reopened { approval, payment, .. }
    | Record::UndoDecided { approval: Some(approval), payment, .. }) = inner(record)
    else {
        return;
    };
    let mcc = approval.extra.get(answered::MCC).map(String::as_str);
    if !w.operator.suspends || mcc != Some(profile::OTHER_MCC) {
        return;
    }
    let of = |p: &Payment| {
        let said = p.attempts.iter().rev().find(|a| a.approval.as_ref() == Some(approval));
        said.map(|a| a.channel.clone())
    };
    let Some(channel) = w.till().payment(*payment).and_then(of) else {
        panic!("S15: an approval that is nobody's: {record:?}")
    };
    w.watch.suspended.insert(channel);
    w.tally.see("jump codes");
}

/// A channel is suspended from its record on until the one that resumes it, over every restart.
pub(super) fn s11_what_is_suspended_stays_so(w: &World) {
    let now = w.till().suspensions().now();
    assert!(
        now.keys().eq(&w.watch.suspended),
        "S11: suspended is {now:?}, should be {:?}",
        w.watch.suspended
    );
}

/// Before a request leaves.
pub(super) fn s11_nothing_begins_on_a_suspended_channel(w: &World, kind: LegKind, channel: &str) {
    let begins = matches!(kind, LegKind::Sale | LegKind::Hold | LegKind::Capture);
    assert!(!begins || !w.watch.suspended.contains(channel), "S11: a {kind:?} goes to {channel}, suspended");
}
