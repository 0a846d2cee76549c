//! Merchant authentication. A password comes through a pipe, is in no message, and is compared by a thread that nobody
//! else waits for, after the journal has counted the try.

use std::sync::Arc;

use till_core::input::Input;
use till_core::merchant::wait_after_ms;
use till_core::{Refusal, Till};
use zbus::OwnedFd;

use super::errors::Error;
use super::options::{self, Options};
use super::{World, code};
use crate::till::TillError;

/// Somebody says number and password.
pub(super) async fn authenticate(
    world: &Arc<World>,
    channel: &str,
    number: String,
    password: OwnedFd,
    options: &Options,
) -> Result<(), Error> {
    options::only(options, &["operator"])?;
    let operator = options::text(options, "operator", 32)?;
    let password = code::read_as(password.into(), "password").await?;
    // One at a time, from the count to the comparison: nobody tries two at once.
    let _one = world.comparing.lock().await;
    // What makes comparing impossible must cost nobody a try.
    let (theirs, of) = (world.clone(), channel.to_owned());
    let known = tokio::task::spawn_blocking(move || match theirs.config.channels.get(&of) {
        Some(config) => crate::merchant::known(&theirs.config, config).map_err(|e| e.to_string()),
        None => Ok(None),
    });
    let known = known.await.map_err(|e| stopping(&e))?.map_err(|e| cannot(channel, &e))?;
    let (channel, tried) = (channel.to_owned(), operator.clone());
    world.handle.input(Input::TryMerchant { channel: channel.clone(), operator: tried }).await?;
    let Some(known) = known else { return Err(cannot(&channel, "it asks for nobody")) };
    let compared = tokio::task::spawn_blocking(move || known.is(&number, &password));
    let right = compared.await.map_err(|e| stopping(&e))?.map_err(|e| cannot(&channel, &e.to_string()))?;
    if right {
        world.handle.input(Input::MerchantPassed { channel: channel.clone(), operator }).await.map_err(
            |e| match e {
                TillError::Refused(Refusal::Stale) => Error::WrongState(format!(
                    "the channel {channel} was unlocked meanwhile: give number and password once more"
                )),
                e => e.into(),
            },
        )?;
        tracing::info!(CHANNEL = channel, "the merchant passed");
        return Ok(());
    }
    let of = channel.clone();
    let tries = world.handle.look(move |till: &Till| till.merchants().of(&of)).await?;
    if tries.locked {
        let text = format!(
            "{} wrong passwords of the merchant in a row: {channel} is locked until a supervisor unlocks it",
            tries.wrong
        );
        world.handle.warn("merchant-locked", text);
        return Err(Error::WrongPassword(format!(
            "the merchant's number or password is not right, and it was the last try: a supervisor unlocks {channel} \
             (`tillctl merchant unlock {channel} --operator NAME`)"
        )));
    }
    tracing::info!(CHANNEL = channel, tries = tries.wrong, "not the merchant's number and password");
    let seconds = wait_after_ms(tries.wrong).div_ceil(1_000);
    Err(Error::WrongPassword(format!(
        "the merchant's number or password for {channel} is not right: the next try is taken in {seconds} s"
    )))
}

/// Somebody ends it.
pub(super) async fn sign_out(world: &World, channel: &str, options: &Options) -> Result<(), Error> {
    options::only(options, &["operator"])?;
    let operator = options::text(options, "operator", 32)?;
    Ok(world.handle.input(Input::SignOutMerchant { channel: channel.to_owned(), operator }).await?)
}

/// A supervisor lets people try again.
pub(super) async fn unlock(world: &World, channel: &str, options: &Options) -> Result<(), Error> {
    options::only(options, &["operator"])?;
    let operator = options::text(options, "operator", 32)?.unwrap_or_default();
    Ok(world.handle.input(Input::UnlockMerchant { channel: channel.to_owned(), operator }).await?)
}

fn cannot(channel: &str, why: &str) -> Error {
    Error::Unsupported(format!("the channel {channel} cannot compare a password: {why}"))
}

fn stopping(e: &tokio::task::JoinError) -> Error {
    // A panic's text is nobody's business here.
    Error::Stopping(if e.is_panic() { "comparing failed".into() } else { e.to_string() })
}
