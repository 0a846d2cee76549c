//! Maintenance that people and networks announce.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use till_core::announce::{AnnounceRefusal, Announcement, SIGNED, Source};
use till_core::input::Input;
use till_core::windows::Kind;
use till_core::{Context, Refusal, Till};
use till_evidence::PublicKey;

use super::World;
use super::errors::Error;
use super::options::{self, Options};
use crate::config::announcement::{MAX_TEXT, Said, announcement};
use crate::till::TillError;

/// A row of `ListMaintenance`: name, source, number of the message, channel, beginning, end, kind, reason.
pub(super) type Row = (String, String, u64, String, i64, i64, String, String);

fn read(text: &str) -> Result<Said, Error> {
    announcement(Path::new("announcement"), text).map_err(|e| Error::InvalidArgs(e.to_string()))
}

/// A supervisor announces.
pub(super) async fn announce(world: &World, text: &str, options: &Options) -> Result<String, Error> {
    options::only(options, &["operator"])?;
    let operator = options::text(options, "operator", 32)?;
    let said = read(text)?;
    if said.is_message() {
        return Err(Error::InvalidArgs(
            "issue, tills and valid-until go with signed messages: DeliverMaintenance".into(),
        ));
    }
    let id = said.id.filter(|id| id != SIGNED).ok_or_else(|| {
        Error::InvalidArgs("an announcement needs a name of its own: id = \"bank-december\"".into())
    })?;
    let announcement = Announcement { source: Source::Supervisor, issue: 0, windows: said.windows };
    world.handle.input(Input::Announce { id: id.clone(), announcement, operator }).await?;
    Ok(id)
}

/// A supervisor takes one back.
pub(super) async fn withdraw(world: &World, id: &str, options: &Options) -> Result<(), Error> {
    options::only(options, &["operator"])?;
    let operator = options::text(options, "operator", 32)?;
    let input = Input::Withdraw { id: id.to_owned(), source: Source::Supervisor, operator };
    Ok(world.handle.input(input).await?)
}

/// Whoever may sell brings a message that says by its signature whose it is. What is not to be believed, is for others, is
/// older, or comes too late changes nothing, and people are told (channels.md C22).
pub(super) async fn deliver(
    world: &World,
    message: &str,
    signature: &str,
    options: &Options,
) -> Result<u64, Error> {
    options::only(options, &[])?;
    if message.len() > MAX_TEXT {
        return Err(Error::InvalidArgs(format!("a message has at most {MAX_TEXT} bytes")));
    }
    let key = key(world)?;
    let refused = |make: fn(String) -> Error, why: String| {
        world.handle.warn("maintenance-message", format!("{why}; what was announced before still holds"));
        make(why)
    };
    let signature = STANDARD.decode(signature.trim()).map_err(|_| {
        refused(Error::NotGenuine, "the signature is no base64 of an Ed25519 signature".into())
    })?;
    if !key.verifies(message.as_bytes(), &signature) {
        let why = "the signature is not that of maintenance.public-key over exactly this message";
        return Err(refused(Error::NotGenuine, why.into()));
    }
    let said = read(message)?;
    let issue = said
        .issue
        .filter(|n| *n > 0)
        .ok_or_else(|| Error::InvalidArgs("a signed message needs a number that grows: issue = 1".into()))?;
    let own = &world.config.terminal;
    if !said.tills.is_empty() && !said.tills.contains(own) {
        return Err(refused(Error::InvalidArgs, format!("the message is for other tills, not for {own}")));
    }
    if let Some(until_ms) = said.valid_until_ms {
        let standing = move |till: &Till, ctx: &Context| {
            let holds = till.announced().get(SIGNED).is_some_and(|a| a.issue == issue);
            (holds, ctx.rules.now(ctx.wall_ms, ctx.clock_trusted))
        };
        let (holds, now) = world.handle.weigh(standing).await?;
        if holds {
            // Brought in time, and once more now: nothing new.
        } else if !now.trusted {
            return Err(Error::WrongState(
                "the clock is not trusted, so nobody knows whether the message is still valid: bring it later".into(),
            ));
        } else if now.wall_ms >= until_ms {
            return Err(refused(
                Error::Outdated,
                format!("the message {issue} was to be brought before its valid-until"),
            ));
        }
    }
    let announcement = Announcement { source: Source::Signed, issue, windows: said.windows };
    match world.handle.input(Input::Announce { id: SIGNED.into(), announcement, operator: None }).await {
        Err(TillError::Refused(Refusal::Announce(e @ AnnounceRefusal::Outdated { .. }))) => {
            Err(refused(Error::Outdated, e.to_string()))
        }
        other => Ok(other.map(|()| issue)?),
    }
}

fn key(world: &World) -> Result<PublicKey, Error> {
    let path = world.config.maintenance_key.as_ref().ok_or_else(|| {
        Error::Unsupported("no key is configured whose messages count: maintenance.public-key".into())
    })?;
    crate::announce::key(path).map_err(Error::Unsupported)
}

/// Everything that is announced: each window with its occurrence of now, or the next one.
pub(super) async fn list(world: &World) -> Result<Vec<Row>, Error> {
    let rows = world.handle.weigh(|till, ctx| {
        let now = ctx.rules.now(ctx.wall_ms, ctx.clock_trusted);
        let row = |id: &str, a: &Announcement| {
            let (id, a) = (id.to_owned(), a.clone());
            a.windows.into_iter().map(move |w| {
                let (at, offset) = (now.wall_ms, now.utc_offset_min);
                let span = w.when.covering(at, offset).or_else(|| w.when.after(at, offset));
                let (from, until) = span.map_or((0, 0), |s| (s.from_ms, s.until_ms));
                let kind = if w.kind == Kind::Down { "down" } else { "degraded" };
                let source = a.source.as_str().to_owned();
                (id.clone(), source, a.issue, w.channel, from, until, kind.to_owned(), w.reason)
            })
        };
        till.announced().iter().flat_map(|(id, a)| row(id, a)).collect()
    });
    Ok(rows.await?)
}
