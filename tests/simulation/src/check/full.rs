//! Batches of networks that count only so many items in one (I12): none too many is sent or booked, and what is full is closed.

use till_core::batch::{Batch, PartId, side};
use till_core::{Attempt, Input, Next};
use till_plugin::Currency;

use crate::host::Message;
use crate::profile;
use crate::world::World;

/// I12: a count that has no room in the message of the totals would be another number there. What closed batches left to
/// people by name, and the network may have booked under the same number, is what a limit's margin is for.
pub(crate) fn i12_its_network_can_count_it(w: &World, m: &Message) {
    let host = &w.hosts[m.channel];
    let (Some(limit), Some(debit)) = (host.limit, side(m.kind)) else { return };
    let line = host.line(m.ids.batch);
    let counted = if debit { line.debits } else { line.credits }.count;
    let named = w.watch.named_under(m.channel, m.ids.batch);
    assert!(
        counted < limit + u32::try_from(named).unwrap_or(u32::MAX),
        "I12: {} {} comes to batch {}, of which its network has counted {counted}; it counts {limit}",
        m.kind.as_str(),
        m.ids.order,
        m.ids.batch
    );
}

/// I12: nor does the till send what may come to be one too many once all that is under way is booked.
pub(super) fn i12_its_batch_has_room(w: &World, channel: &str, network: u32) {
    let Some(limit) = w.hosts[profile::index(channel)].limit else { return };
    let (till, number) = (w.till(), w.till().open_batch());
    let id = PartId { channel: channel.into(), network };
    let Some(part) = till.batches().open().and_then(|b| b.part(&id)) else { return };
    let line = part.totals().line(Currency::CNY);
    let attempts = till.open_payments().flat_map(|p| p.attempts.iter());
    let ours = |a: &&Attempt| (a.batch, a.channel.as_str(), a.ids.batch) == (number, channel, network);
    let under_way = attempts.filter(|a| a.state.is_open()).filter(ours).count();
    let most = line.debits.count.max(line.credits.count) as usize + under_way;
    assert!(most <= limit as usize, "I12: {id:?} may come to {most} items, its network counts {limit}");
}

/// No channel waits for long for a batch that its network takes nothing more in: the clock's next look closes it.
pub(super) fn i12_what_is_full_is_closed(w: &World) {
    for (id, part) in w.till().batches().open().into_iter().flat_map(Batch::parts) {
        let limit = w.ctx.rules.batch_limit(&id.channel).filter(|_| !id.is_carried());
        let current = id.network == w.till().batch(&id.channel);
        let full = current && limit.is_some_and(|limit| part.side_count() >= limit);
        let closes = || matches!(w.shell.decide(&Input::Tick, &w.ctx), Ok(Next::Write(_)));
        assert!(!full || closes(), "I12: {id:?} is full and stays open");
    }
}
