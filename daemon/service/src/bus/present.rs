//! A card that is presented for something else than a payment.

use std::time::Duration;

use super::World;
use super::errors::Error;
use super::options::{self, Options};

/// The ticket is of no card.
pub(super) fn no_card() -> Error {
    Error::NotFound("no such card is held, or its time is over: present it again".into())
}

/// Arms the readers for one card of a channel, for the time of the option `timeout-s`.
pub(super) async fn read_card(world: &World, channel: &str, options: &Options) -> Result<(), Error> {
    let seconds = options::number(options, "timeout-s")?.unwrap_or(60).clamp(1, 180);
    let held = |what: &str| Error::Busy(format!("{what}: finish or cancel it first"));
    if world.handle.published.active_payment().is_some() {
        return Err(held("a payment holds the till"));
    }
    let readers = world.handle.readers.clone();
    let view = world.handle.routes.get(channel);
    let view = view.ok_or_else(|| Error::NotFound(format!("there is no channel {channel}")))?;
    let currency = super::currency_of(&view)?;
    let wish = readers
        .arm_for_card(channel, currency, view.families())
        .ok_or_else(|| held("the readers are armed for a payment"))?;
    readers.settled().await;
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(seconds.into())).await;
        readers.disarm_card(wish);
    });
    Ok(())
}
