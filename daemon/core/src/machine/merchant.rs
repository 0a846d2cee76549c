//! Merchant authentication: tries, passes, locks.

use super::Step;
use crate::bounds;
use crate::input::Context;
use crate::merchant::{MerchantEvent, MerchantRefusal, Terms};
use crate::record::Record;
use crate::refusal::Refusal;
use crate::till::Till;

fn terms(ctx: &Context, channel: &str) -> Result<Terms, Refusal> {
    super::command::known_channel(ctx, channel)?;
    let asked = ctx.rules.routing.merchants.terms(channel);
    asked.ok_or_else(|| Refusal::Merchant(MerchantRefusal::NotAsked(channel.into())))
}

fn record(channel: &str, event: MerchantEvent, operator: Option<&str>) -> Step {
    Step::new(Record::Merchant { channel: channel.into(), event, operator: bounds::person(operator) }, [])
}

/// Somebody tries: on disk, and counted, before the password is looked at.
pub(super) fn tried(
    till: &Till,
    ctx: &Context,
    channel: &str,
    operator: Option<&str>,
) -> Result<Step, Refusal> {
    let terms = terms(ctx, channel)?;
    let tries = till.merchants().of(channel);
    if tries.locked {
        return Err(Refusal::Merchant(MerchantRefusal::Locked(channel.into())));
    }
    let wait_ms = ctx.rules.routing.merchants.wait_ms(channel, tries);
    if wait_ms > 0 {
        let seconds = wait_ms.div_ceil(1_000);
        return Err(Refusal::Merchant(MerchantRefusal::TooSoon { channel: channel.into(), seconds }));
    }
    // The configuration may allow fewer than there were.
    let locks = tries.wrong.saturating_add(1) >= terms.tries;
    Ok(record(channel, MerchantEvent::Tried { locks }, operator))
}

/// The try was right.
pub(super) fn passed(
    till: &Till,
    ctx: &Context,
    channel: &str,
    operator: Option<&str>,
) -> Result<Step, Refusal> {
    terms(ctx, channel)?;
    // A supervisor took the try away meanwhile: then nothing was tried.
    if till.merchants().of(channel).wrong == 0 {
        return Err(Refusal::Stale);
    }
    Ok(record(channel, MerchantEvent::Passed, operator))
}

/// Somebody ends it. Ending what is over changes nothing.
pub(super) fn signed_out(ctx: &Context, channel: &str, operator: Option<&str>) -> Result<Step, Refusal> {
    terms(ctx, channel)?;
    if ctx.rules.routing.merchants.pass(channel).is_none() {
        return Ok(Step::default());
    }
    Ok(record(channel, MerchantEvent::SignedOut, operator))
}

/// A supervisor lets people try again.
pub(super) fn unlocked(till: &Till, ctx: &Context, channel: &str, operator: &str) -> Result<Step, Refusal> {
    terms(ctx, channel)?;
    if operator.trim().is_empty() {
        return Err(Refusal::Merchant(MerchantRefusal::Nobody));
    }
    if till.merchants().of(channel).wrong == 0 {
        return Ok(Step::default());
    }
    Ok(record(channel, MerchantEvent::Unlocked, Some(operator)))
}
