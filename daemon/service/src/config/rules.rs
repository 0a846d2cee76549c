//! What the files say of settlement and limits, as the core's rules; routing has its own file.

use std::collections::{BTreeMap, BTreeSet};

use till_core::batch::{BusinessDate, Calendar, CloseAt, PayoutCycle, Rules, SettleRule};
use till_core::fees::{FeePlan, FeePlanError, Rounding, Tier};
use till_core::limits::{Limit, Scope};
use till_core::pinning::Agreed;
use till_plugin::{Currency, Money};

use super::file;
use super::load::{ConfigError, bad};

/// Longest pause between two tries of a settlement's request, s.
const MAX_PAUSE_S: u32 = 3_600;
/// Longest cycle, days.
const MAX_CYCLE: u16 = 90;

/// Rules of batches and limits; the place's offset from UTC is for whoever has the clock.
pub(super) fn rules(
    settlement: &file::Settlement,
    limits: Option<Vec<file::Limit>>,
    channels: &BTreeMap<String, file::Channel>,
) -> Result<Rules, ConfigError> {
    let days = |key: &str, days: &Option<Vec<String>>| -> Result<BTreeSet<BusinessDate>, ConfigError> {
        let all = days.iter().flatten().map(|day| day.parse::<BusinessDate>());
        all.collect::<Result<_, _>>().map_err(|e| bad(format!("settlement.{key}"), e.to_string()))
    };
    let calendar = Calendar {
        holidays: days("holidays", &settlement.holidays)?,
        workdays: days("workdays", &settlement.workdays)?,
    };
    if let Some(both) = calendar.holidays.intersection(&calendar.workdays).next() {
        return Err(bad("settlement.workdays", format!("{both} is a holiday too: it is one or the other")));
    }
    let mut rules = Rules {
        close_at: settlement.close_at.as_deref().map(close_at).transpose()?,
        calendar,
        ..Rules::default()
    };
    for (id, channel) in channels {
        if let Some(written) = &channel.settlement {
            rules.channels.insert(id.clone(), settle_rule(&format!("channel.{id}.settlement"), written)?);
        }
        if let Some(written) = &channel.agreed {
            let agreed = agreed(&format!("channel.{id}.agreed"), written)?;
            rules.channels.entry(id.clone()).or_default().agreed = agreed;
        }
    }
    for (at, written) in limits.into_iter().flatten().enumerate() {
        rules.limits.push(limit(&format!("payment.limits, number {}", at + 1), written, channels)?);
    }
    Ok(rules)
}

/// `HH:MM` as minutes after midnight.
fn close_at(text: &str) -> Result<CloseAt, ConfigError> {
    let wrong =
        || bad("settlement.close-at", format!("{text:?} is no time of day; write HH:MM, such as 23:30"));
    let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
    let part = |digits: &str, below: u16| {
        let good = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|n| good && *n < below)
    };
    let minute = part(hours, 24).ok_or_else(wrong)? * 60 + part(minutes, 60).ok_or_else(wrong)?;
    CloseAt::new(minute).ok_or_else(wrong)
}

fn settle_rule(table: &str, written: &file::ChannelSettlement) -> Result<SettleRule, ConfigError> {
    let usual = SettleRule::default();
    let number = |key: &str, value: Option<u32>, usual: u32, least: u32, most: u32| {
        let value = value.unwrap_or(usual);
        if (least..=most).contains(&value) {
            return Ok(value);
        }
        Err(bad(format!("{table}.{key}"), format!("{value} makes no sense: write {least} to {most}")))
    };
    let pause = |key: &str, value: Option<u32>, usual_ms: u32| {
        number(key, value, usual_ms / 1_000, 1, MAX_PAUSE_S).map(|s| s * 1_000)
    };
    let rule = SettleRule {
        tries: number("tries", written.tries, usual.tries, 1, 100)?,
        pause_ms: pause("pause-s", written.pause_s, usual.pause_ms)?,
        pause_max_ms: pause("pause-max-s", written.pause_max_s, usual.pause_max_ms)?,
        chunk: number("records", written.records, usual.chunk, 1, 100)?,
        payout: written.payout.as_deref().map(|text| cycle(table, text)).transpose()?,
        fee: written.fee.as_ref().map(|fee| fee_plan(table, fee)).transpose()?,
        batch_limit: written
            .batch_limit
            .map(|limit| number("batch-limit", Some(limit), 0, 1, 1_000_000))
            .transpose()?,
        agreed: Agreed::default(),
    };
    if rule.pause_max_ms < rule.pause_ms {
        return Err(bad(format!("{table}.pause-max-s"), "is shorter than pause-s: pauses only grow"));
    }
    Ok(rule)
}

/// What was agreed with a network.
fn agreed(table: &str, written: &file::Agreed) -> Result<Agreed, ConfigError> {
    let text = |key: &str, value: &Option<String>| match value.as_deref().map(str::trim) {
        Some("") => Err(bad(format!("{table}.{key}"), "is empty: leave it out, then it is not compared")),
        other => Ok(other.map(str::to_owned)),
    };
    let mcc = text("mcc", &written.mcc)?;
    if let Some(wrong) = mcc.as_ref().filter(|m| m.len() != 4 || !m.bytes().all(|b| b.is_ascii_digit())) {
        return Err(bad(format!("{table}.mcc"), format!("{wrong:?} is no category code: write four digits")));
    }
    if let Some(rate) = written.rate_ppm.filter(|rate| *rate > 1_000_000) {
        let what = format!("{rate} millionths are more than the whole amount; 0.6 % is 6000");
        return Err(bad(format!("{table}.rate-ppm"), what));
    }
    Ok(Agreed {
        merchant_name: text("merchant-name", &written.merchant_name)?,
        mcc,
        payee: text("payee", &written.payee)?,
        rate_ppm: written.rate_ppm,
    })
}

/// `T+1` (working days), `D+1` (calendar days).
fn cycle(table: &str, text: &str) -> Result<PayoutCycle, ConfigError> {
    let wrong = || {
        let text = format!("{text:?} is no cycle; write T+1 for the next working day, D+1 for the next day");
        bad(format!("{table}.payout"), text)
    };
    let (unit, days) = text.split_once('+').ok_or_else(wrong)?;
    let digits = !days.is_empty() && days.bytes().all(|b| b.is_ascii_digit());
    let days = days.parse::<u16>().ok().filter(|n| digits && *n <= MAX_CYCLE).ok_or_else(wrong)?;
    match unit {
        "T" => Ok(PayoutCycle::Working(days)),
        "D" => Ok(PayoutCycle::Calendar(days)),
        _ => Err(wrong()),
    }
}

fn fee_plan(table: &str, fee: &file::Fee) -> Result<FeePlan, ConfigError> {
    let tiers = fee.tiers.iter().map(|t| Tier { from: t.from, rate_ppm: t.rate_ppm, fixed: t.fixed });
    let rounding = match fee.rounding {
        file::RoundingName::HalfUp => Rounding::HalfUp,
        file::RoundingName::HalfEven => Rounding::HalfEven,
        file::RoundingName::Up => Rounding::Up,
        file::RoundingName::Down => Rounding::Down,
    };
    let plan = FeePlan {
        rate_ppm: fee.rate_ppm,
        fixed: fee.fixed,
        min: fee.min,
        max: fee.max,
        tiers: tiers.collect(),
        rounding,
    };
    plan.check().map_err(|e| {
        let key = match e {
            FeePlanError::Rate(_) => "rate-ppm",
            FeePlanError::Max { .. } => "max",
            FeePlanError::Tiers(_) | FeePlanError::Order(_) => "tiers",
        };
        bad(format!("{table}.fee.{key}"), e.to_string())
    })?;
    Ok(plan)
}

fn limit(
    at: &str,
    written: file::Limit,
    channels: &BTreeMap<String, file::Channel>,
) -> Result<Limit, ConfigError> {
    let known = |channel: &String| {
        let text = || bad(at, format!("there is no channel {channel:?}"));
        channels.contains_key(channel).then_some(()).ok_or_else(text)
    };
    written.channel.as_ref().map_or(Ok(()), known)?;
    let scope = match (written.scope, written.channel) {
        (file::LimitScope::Payment, channel) => Scope::Payment(channel),
        (file::LimitScope::Channel, Some(channel)) => Scope::Channel(channel),
        (file::LimitScope::Channel, None) => return Err(bad(at, "say which channel: channel = \"…\"")),
        (_, Some(_)) => {
            return Err(bad(at, "has a channel: that goes with the scopes \"payment\" and \"channel\""));
        }
        (file::LimitScope::Day, None) => Scope::Day,
        (file::LimitScope::Operator, None) => Scope::Operator,
        (file::LimitScope::Card, None) => Scope::Instrument,
    };
    if written.amount <= 0 {
        return Err(bad(
            at,
            format!("an amount of {} lets nothing through: switch the channel off instead", written.amount),
        ));
    }
    let currency: Currency = written
        .currency
        .parse()
        .map_err(|_| bad(at, format!("{:?} is no currency: write its ISO 4217 code", written.currency)))?;
    if written.count == Some(0) {
        return Err(bad(at, "a count of 0 lets nothing through: switch the channel off instead"));
    }
    if written.count.is_some() && matches!(scope, Scope::Payment(_)) {
        return Err(bad(at, "a payment by itself has no count: leave it out, or use another scope"));
    }
    Ok(Limit { scope, amount: Money::new(written.amount, currency), count: written.count })
}
