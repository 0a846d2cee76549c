//! Balance inquiries: no payment, no money, and nothing kept of them but the trace number that each takes.
//!
//! One goes out only while nothing else could: no payment holds the till, nothing on its channel is unresolved, and no batch of
//! it is being settled (channels.md §1.7). Asked again once the PIN is typed, for all of that may have changed meanwhile.

use till_plugin::channel::Operation;

use super::Step;
use super::command::known_channel;
use crate::batch::{Batch, Part};
use crate::effect::Effect;
use crate::input::Context;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::routing::in_the_way;
use crate::till::Till;

pub(super) fn begin(
    till: &Till,
    ctx: &Context,
    channel: &str,
    number: u64,
    operator: &str,
) -> Result<Step, Refusal> {
    let no = |en: String, zh: String| Refusal::NoInquiry { channel: channel.into(), en, zh };
    let view = known_channel(ctx, channel)?;
    // Who keeps the accounts himself is asked otherwise, and tells without a network.
    let does = |operation| view.operations.contains(&operation);
    if !does(Operation::Balance) || does(Operation::Account) {
        return Err(no("it tells no balances".into(), "该通道不支持余额查询".into()));
    }
    if till.is_training() {
        return Err(Refusal::Training(
            "the till is in training, and this would ask a real bank about a real card: end training first",
        ));
    }
    if let Some(p) = till.foreground() {
        return Err(Refusal::Busy { payment: p.id, state: p.state });
    }
    super::suspend::refuse(till, channel)?;
    if let Some(why) = in_the_way(till, ctx, view, operator) {
        let (en, zh) = why.text();
        return Err(no(en, zh));
    }
    let under_way = |p: &crate::payment::Payment| p.open_attempt().is_some_and(|a| a.channel == channel);
    if let Some(p) = till.open_payments().find(|p| under_way(p)) {
        let en = format!("payment {} is not resolved yet: try again when it is", p.id);
        return Err(no(en, "上一笔交易尚未处理完毕，请稍后重试".into()));
    }
    if let Some(batch) = till.batches().frozen().find(|batch| settles(batch, channel)) {
        let en = format!("batch {} is being settled: try again when it is closed", batch.number);
        return Err(no(en, "正在结算，请稍后重试".into()));
    }
    let trace = till.next_trace(channel);
    let effect = Effect::Inquire { channel: channel.into(), number, trace, batch: till.batch(channel) };
    Ok(Step::new(Record::TraceTaken { channel: channel.into(), trace }, [effect]))
}

/// Whether a part of the batch is still to be compared with the channel's network. What people decide on waits for them, and
/// nothing is sent for it.
fn settles(batch: &Batch, channel: &str) -> bool {
    let open = |part: &Part| !part.state.is_closed() && part.gave_up.is_none();
    batch.parts().any(|(id, part)| id.channel == channel && open(part))
}
