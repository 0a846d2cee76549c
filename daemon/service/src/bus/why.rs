//! `Explain` and `WhatIf`: why a channel was chosen, and which one would be.

use till_core::LegKind;
use till_core::routing::{Ask, what_if as weigh};
use till_plugin::{Family, Money};

use super::errors::Error;
use super::options::{self, Options};
use super::{World, lookup};
use crate::till::history;

/// A row of `Explain`: attempt, English, Chinese, decision as JSON.
pub(super) type Decided = (u32, String, String, String);

/// What `WhatIf` gives: channel, English, Chinese, decision as JSON, what else (family, channel, fee).
pub(super) type Choice = (String, String, String, String, Vec<(String, String, i64)>);

/// Why each attempt of a payment went to its channel: from the journal alone.
pub(super) fn explain(world: &World, id_or_key: &str) -> Result<Vec<Decided>, Error> {
    let payment = lookup::payment(world, id_or_key)?;
    let decided = history::decided(&world.journal, payment.id)
        .map_err(|e| Error::JournalUnavailable(e.to_string()))?
        .into_iter()
        .map(|(attempt, amount, decision)| {
            let (en, zh) = decision.explain(amount.unwrap_or(payment.amount));
            (attempt, en, zh, serde_json::to_string(&decision).unwrap_or_default())
        });
    Ok(decided.collect())
}

/// Which channel would take it.
pub(super) async fn what_if(
    world: &World,
    amount: Money,
    family: String,
    options: &Options,
) -> Result<Choice, Error> {
    options::only(options, &["at", "account", "operator", "channel", "purpose"])?;
    let at = options::signed(options, "at")?;
    let account = options::text(options, "account", 6)?.unwrap_or_default();
    if !account.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Error::InvalidArgs("account is the first digits of a card, at most six".into()));
    }
    let operator = options::text(options, "operator", 32)?;
    let pinned = options::text(options, "channel", 32)?;
    let kind = match options::text(options, "purpose", 16)?.as_deref() {
        None | Some("sale") => LegKind::Sale,
        Some("hold") => LegKind::Hold,
        Some(_) => return Err(Error::InvalidArgs("a purpose is sale or hold".into())),
    };
    if !amount.is_positive() {
        return Err(Error::InvalidArgs("the amount is more than nothing".into()));
    }
    if family.is_empty() || family.len() > 32 {
        return Err(Error::InvalidArgs("a family is 1 to 32 characters, such as card-stripe or cash".into()));
    }
    let family = Family::new(family);
    let (decision, instead) = world
        .handle
        .weigh(move |till, ctx| {
            let ask = Ask {
                amount,
                kind,
                family: &family,
                evidence: "what-if",
                account: &account,
                token: "",
                operator: operator.as_deref(),
                pinned: pinned.as_deref().or_else(|| till.current_channel()),
                tried: &[],
                since_ms: None,
            };
            weigh(till, ctx, &ask, at)
        })
        .await?;
    let (en, zh) = decision.explain(amount);
    let json = serde_json::to_string(&decision).unwrap_or_default();
    let instead =
        instead.into_iter().map(|s| (s.family.to_string(), s.channel, s.fee.map_or(-1, Money::minor)));
    Ok((decision.chosen.unwrap_or_default(), en, zh, json, instead.collect()))
}
