//! An approval beside what was agreed (S15): the money stands, and what differs goes into the same record.

use till_plugin::channel::Approval;

use super::suspend::alarm;
use crate::bounds;
use crate::effect::Effect;
use crate::input::Context;
use crate::payment::{Attempt, Payment};
use crate::pinning::{line, mark};
use crate::suspension::{By, Suspension};

/// The approval as it is recorded, and what follows once it is: the fold of its record suspends the channel.
pub(super) fn pinned(
    ctx: &Context,
    p: &Payment,
    a: &Attempt,
    approval: &Approval,
) -> (Approval, Vec<Effect>) {
    let mut kept = bounds::approval(approval);
    let rule = ctx.rules.channels.get(&a.channel).filter(|_| !p.training);
    let amount = a.kind.takes().then_some(a.amount);
    let found = rule.map(|r| r.agreed.differs(r.fee.as_ref(), amount, &kept.extra)).unwrap_or_default();
    mark(&mut kept, &found);
    if found.is_empty() {
        return (kept, Vec::new());
    }
    let reason = bounds::cut(&line(&found), bounds::LINE);
    let told = Suspension {
        by: By::Pinning,
        reason,
        operator: String::new(),
        payment: Some(p.id),
        seq: 0,
        wall_ms: ctx.wall_ms,
    };
    let channel = a.channel.clone();
    (kept, vec![alarm(&channel, &told), Effect::SuspensionChanged { channel }])
}
