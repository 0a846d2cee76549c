//! What the files say of routing: windows, rules, shares, breakers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use till_core::breaker::{Breakers, Settings};
use till_core::routing::{Action, Conditions, Policy, Routing, Rule};
use till_core::windows::{Kind, Span, When, Window};
use till_plugin::{Currency, Family, Money};

use super::file::{self, RuleFile, WindowFile, WindowKind};
use super::load::{ConfigError, bad};

/// Most windows and rules: what a choice may look at.
const MOST: usize = 1_000;
/// Longest name of a rule.
pub(super) const NAME: usize = 32;
/// Days, Monday first.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// A day and a week, minutes.
const DAY_MIN: u32 = 1_440;
const WEEK_MIN: u32 = 7 * DAY_MIN;

/// Later wins, key by key; a list of windows or rules is one key.
pub(super) fn merge(to: &mut file::Routing, from: file::Routing) {
    // By name, so that none is forgotten.
    let file::Routing { cost, sticky, failover, shares, window, rule, off, profile, breaker } = from;
    let file::Breaker { in_a_row, faults, of, pause_s, pause_max_s } = breaker;
    let breaker = &mut to.breaker;
    breaker.in_a_row = in_a_row.or(breaker.in_a_row);
    breaker.faults = faults.or(breaker.faults);
    breaker.of = of.or(breaker.of);
    breaker.pause_s = pause_s.or(breaker.pause_s);
    breaker.pause_max_s = pause_max_s.or(breaker.pause_max_s);
    to.cost = cost.or(to.cost);
    to.sticky = sticky.or(to.sticky);
    to.failover = failover.or(to.failover);
    to.shares = shares.or_else(|| to.shares.take());
    to.window = window.or_else(|| to.window.take());
    to.rule = rule.or_else(|| to.rule.take());
    to.off = off.or_else(|| to.off.take());
    to.profile = profile.or_else(|| to.profile.take());
}

/// What routing goes by.
pub(super) fn routing(
    written: file::Routing,
    channels: &BTreeMap<String, file::Channel>,
) -> Result<Routing, ConfigError> {
    let usual = Policy::default();
    let known = |at: &str, id: &String| {
        let text = || bad(at, format!("there is no channel {id:?}"));
        channels.contains_key(id).then_some(()).ok_or_else(text)
    };
    let mut policy = Policy {
        cost: written.cost.unwrap_or(usual.cost),
        sticky: written.sticky.unwrap_or(usual.sticky),
        failover: written.failover.unwrap_or(usual.failover),
        shares: written.shares.unwrap_or_default(),
        ..usual
    };
    for (id, share) in &policy.shares {
        known("routing.shares", id)?;
        if !(1..=1_000_000).contains(share) {
            return Err(bad(format!("routing.shares.{id}"), format!("{share}: write 1 to 1000000")));
        }
    }
    policy.off = written.off.unwrap_or_default();
    for id in &policy.off {
        known("routing.off", id)?;
    }
    policy.profiles = super::profile::profiles(written.profile.unwrap_or_default())?;
    for p in &policy.profiles {
        for id in p.on.iter().chain(&p.off).chain(p.priority.keys()) {
            known(&format!("routing.profile {}", p.id), id)?;
        }
    }
    let (windows, rules) = (written.window.unwrap_or_default(), written.rule.unwrap_or_default());
    if windows.len() > MOST || rules.len() > MOST {
        return Err(bad(
            "routing",
            format!("more than {MOST} windows or rules: nobody can keep them in mind"),
        ));
    }
    for (n, window) in windows.into_iter().enumerate() {
        let at = format!("routing.window, number {}", n + 1);
        for id in &window.channels {
            known(&at, id)?;
        }
        policy.windows.extend(self::window(&at, &window)?);
    }
    let mut names = BTreeSet::new();
    for (n, rule) in rules.into_iter().enumerate() {
        let at = format!("routing.rule, number {}", n + 1);
        let rule = self::rule(&at, rule)?;
        let (Action::Only(these) | Action::Never(these) | Action::Prefer(these)) = &rule.then;
        for id in these {
            known(&at, id)?;
        }
        if let Some(profile) = &rule.when.profile
            && !policy.profiles.iter().any(|p| p.id == *profile)
        {
            return Err(bad(at, format!("there is no profile {profile:?}")));
        }
        if !names.insert(rule.id.clone()) {
            return Err(bad(at, format!("there is a rule {:?} already: records name rules", rule.id)));
        }
        policy.rules.push(rule);
    }
    let breakers = Breakers::new(breaker(written.breaker)?);
    Ok(Routing { policy: Arc::new(policy), breakers: Arc::new(breakers), ..Routing::default() })
}

fn breaker(written: file::Breaker) -> Result<Settings, ConfigError> {
    let usual = Settings::default();
    let number = |key: &str, value: Option<u32>, usual: u64, most: u32, least: u32| {
        let value = value.map_or(Ok(usual), |v| {
            let good = (least..=most).contains(&v);
            let text = || bad(format!("routing.breaker.{key}"), format!("{v}: write {least} to {most}"));
            good.then_some(u64::from(v)).ok_or_else(text)
        })?;
        Ok::<u64, ConfigError>(value)
    };
    let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let settings = Settings {
        in_a_row: small(number("in-a-row", written.in_a_row, usual.in_a_row.into(), 1_000, 1)?),
        faults: small(number("faults", written.faults, usual.faults.into(), 32, 0)?),
        of: small(number("of", written.of, usual.of.into(), 32, 1)?),
        pause_ms: number("pause-s", written.pause_s, usual.pause_ms / 1_000, 86_400, 1)? * 1_000,
        pause_max_ms: number("pause-max-s", written.pause_max_s, usual.pause_max_ms / 1_000, 86_400, 1)?
            * 1_000,
    };
    if settings.faults > settings.of {
        return Err(bad("routing.breaker.faults", "are more than the outcomes that are looked at, `of`"));
    }
    if settings.pause_max_ms < settings.pause_ms {
        return Err(bad("routing.breaker.pause-max-s", "is shorter than pause-s: pauses only grow"));
    }
    Ok(settings)
}

/// One window for each of its channels.
pub(super) fn window(at: &str, written: &WindowFile) -> Result<Vec<Window>, ConfigError> {
    let wrong = |text: &str| bad(at, text);
    let when = match (written.every, &written.from, &written.until) {
        (None, Some(from), Some(until)) => {
            let span = Span { from_ms: time(at, from)?, until_ms: time(at, until)? };
            if span.until_ms <= span.from_ms {
                return Err(wrong("ends before it begins: until is later than from"));
            }
            if written.at.is_some() || written.minutes.is_some() || written.day.is_some() {
                return Err(wrong("has from and until: day, at and minutes go with every"));
            }
            When::Once(span)
        }
        (Some(every), None, None) => {
            let text = written.at.as_deref().ok_or_else(|| wrong("say when it begins: at = \"23:30\""))?;
            let at_min = minute(at, text)?;
            let length_min = written.minutes.ok_or_else(|| wrong("say how long it is: minutes = 90"))?;
            let (period, day) = match (every, &written.day) {
                (file::Every::Day, None) => (DAY_MIN, None),
                (file::Every::Week, Some(day)) => (WEEK_MIN, Some(weekday(at, day)?)),
                (file::Every::Day, Some(_)) => return Err(wrong("comes every day: leave day out")),
                (file::Every::Week, None) => return Err(wrong("say on which day: day = \"sun\"")),
            };
            if !(1..period).contains(&length_min) {
                let text =
                    format!("{length_min} minutes: write 1 to {}; for ever is enabled = false", period - 1);
                return Err(bad(at, text));
            }
            match day {
                None => When::Daily { at_min, length_min },
                Some(day) => When::Weekly { day, at_min, length_min },
            }
        }
        _ => return Err(wrong("say when: from and until, or every, at and minutes")),
    };
    if written.channels.is_empty() {
        return Err(wrong("say whose: channels = [\"…\"]"));
    }
    let one = |channel: &String| Window {
        channel: channel.clone(),
        when,
        kind: match written.kind {
            WindowKind::Down => Kind::Down,
            WindowKind::Degraded => Kind::Degraded,
        },
        lead_ms: written.lead_s.map(|s| i64::from(s) * 1_000),
        reason: written.reason.clone(),
    };
    Ok(written.channels.iter().map(one).collect())
}

/// `2026-12-01T01:00` by the place's clock, or with an offset: `2026-12-01T01:00:00+08:00`. Unix ms.
pub(super) fn time(at: &str, text: &str) -> Result<i64, ConfigError> {
    if let Ok(known) = text.parse::<Timestamp>() {
        return Ok(known.as_millisecond());
    }
    let local = text.parse::<DateTime>().ok().and_then(|t| t.to_zoned(TimeZone::system()).ok());
    local
        .map(|t| t.timestamp().as_millisecond())
        .ok_or_else(|| bad(at, format!("{text:?} is no time: write 2026-12-01T01:00")))
}

/// `HH:MM` as minutes after midnight.
pub(super) fn minute(at: &str, text: &str) -> Result<u16, ConfigError> {
    let part = |digits: &str, below: u16| {
        let good = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|n| good && *n < below)
    };
    let split = text.split_once(':').and_then(|(h, m)| Some(part(h, 24)? * 60 + part(m, 60)?));
    split.ok_or_else(|| bad(at, format!("{text:?} is no time of day; write HH:MM, such as 23:30")))
}

pub(super) fn weekday(at: &str, text: &str) -> Result<u8, ConfigError> {
    let day = DAYS.iter().position(|d| *d == text).and_then(|d| u8::try_from(d).ok());
    day.ok_or_else(|| bad(at, format!("{text:?} is no day; write one of {}", DAYS.join(", "))))
}

fn rule(at: &str, written: RuleFile) -> Result<Rule, ConfigError> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if written.id.is_empty() || written.id.len() > NAME || !written.id.chars().all(good) {
        let text = format!("id {:?} must be 1 to {NAME} lower-case letters, digits and dashes", written.id);
        return Err(bad(at, text));
    }
    let then = match (written.only, written.never, written.prefer) {
        (Some(these), None, None) => Action::Only(these),
        (None, Some(these), None) => Action::Never(these),
        (None, None, Some(these)) => Action::Prefer(these),
        _ => return Err(bad(at, "say what of them: one of only, never and prefer, a list of channels")),
    };
    let currency: Option<Currency> = match &written.currency {
        None => None,
        Some(code) => Some(
            code.parse().map_err(|_| bad(at, format!("{code:?} is no currency: write its ISO 4217 code")))?,
        ),
    };
    let money = |minor: Option<i64>| match (minor, currency) {
        (None, _) => Ok(None),
        (Some(minor), Some(currency)) if minor >= 0 => Ok(Some(Money::new(minor, currency))),
        (Some(_), Some(_)) => Err(bad(at, "min and max are not below 0")),
        (Some(_), None) => Err(bad(at, "min and max need a currency")),
    };
    let (min, max) = (money(written.min)?, money(written.max)?);
    if let (Some(min), Some(max)) = (min, max)
        && max.minor() < min.minor()
    {
        return Err(bad(at, "max is less than min: it fits no payment"));
    }
    if let Some(bin) =
        written.bins.iter().find(|b| !(1..=6).contains(&b.len()) || !b.bytes().all(|d| d.is_ascii_digit()))
    {
        return Err(bad(at, format!("bin {bin:?} is not 1 to 6 digits: more of a card is never shown")));
    }
    let hours = match &written.hours {
        None => None,
        Some(text) => {
            let (from, until) = text
                .split_once('-')
                .ok_or_else(|| bad(at, format!("{text:?}: write hours as 22:00-06:00")))?;
            Some((minute(at, from)?, minute(at, until)?))
        }
    };
    let mut days = None;
    for day in &written.days {
        days = Some(days.unwrap_or(0) | 1_u8 << weekday(at, day)?);
    }
    let when = Conditions {
        families: written.families.into_iter().map(Family::new).collect(),
        min,
        max,
        currency,
        operators: written.operators,
        bins: written.bins,
        hours,
        days,
        profile: written.profile,
    };
    Ok(Rule { id: written.id, when, then })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Routing, String> {
        let file: file::File = toml::from_str(text).map_err(|e| e.to_string())?;
        routing(file.routing, &file.channel).map_err(|e| e.to_string())
    }

    const CHANNELS: &str = "[channel.a]\nplugin='x.y'\n[channel.b]\nplugin='x.y'\n";

    #[test]
    fn what_is_written_is_what_routing_goes_by() {
        let text = format!(
            "{CHANNELS}[routing]\ncost=false\nshares={{a=1,b=3}}\nbreaker={{in-a-row=2,pause-s=5}}\n\
             [[routing.window]]\nchannels=['a','b']\nfrom='2026-12-01T01:00:00+08:00'\nuntil='2026-12-04T05:00:00+08:00'\n\
             lead-s=600\nreason='core banking'\n\
             [[routing.window]]\nchannels=['a']\nevery='week'\nday='sun'\nat='22:00'\nminutes=600\nkind='degraded'\n\
             [[routing.rule]]\nid='big'\nmin=100000\ncurrency='CNY'\nhours='22:00-06:00'\ndays=['mon','sun']\nprefer=['b']\n"
        );
        let routing = read(&text).unwrap();
        let policy = &*routing.policy;
        assert!(!policy.cost && policy.sticky && policy.failover);
        assert_eq!(policy.shares["b"], 3);
        let from_ms = 1_796_058_000_000;
        let span = Span { from_ms, until_ms: from_ms + 76 * 3_600_000 };
        assert_eq!(policy.windows.len(), 3);
        assert_eq!((policy.windows[1].channel.as_str(), policy.windows[1].when), ("b", When::Once(span)));
        assert_eq!((policy.windows[0].lead_ms, policy.windows[0].kind), (Some(600_000), Kind::Down));
        let weekly = When::Weekly { day: 6, at_min: 1_320, length_min: 600 };
        assert_eq!((policy.windows[2].when, policy.windows[2].kind), (weekly, Kind::Degraded));
        let rule = &policy.rules[0];
        assert_eq!((rule.when.hours, rule.when.days), (Some((1_320, 360)), Some(0b100_0001)));
        assert_eq!(rule.then, Action::Prefer(vec!["b".into()]));
        assert_eq!(*read(CHANNELS).unwrap().policy, Policy::default());
    }

    #[test]
    fn what_nobody_meant_is_refused_with_what_to_write() {
        for (text, part) in [
            ("[routing]\nshares={c=1}", "no channel"),
            ("[routing]\nshares={a=0}", "1 to 1000000"),
            ("[routing]\ncheap=true", "cheap"),
            ("[routing]\nbreaker={in-a-row=0}", "in-a-row"),
            ("[routing]\nbreaker={faults=11}", "faults"),
            ("[routing]\nbreaker={pause-s=60,pause-max-s=5}", "pause-max-s"),
            ("[[routing.window]]\nchannels=['c']\nevery='day'\nat='01:00'\nminutes=5", "no channel"),
            ("[[routing.window]]\nchannels=[]\nevery='day'\nat='01:00'\nminutes=5", "say whose"),
            ("[[routing.window]]\nchannels=['a']", "say when"),
            ("[[routing.window]]\nchannels=['a']\nfrom='2026-12-01T01:00'", "say when"),
            (
                "[[routing.window]]\nchannels=['a']\nfrom='2026-12-01T01:00'\nuntil='2026-12-01T01:00'",
                "ends before",
            ),
            ("[[routing.window]]\nchannels=['a']\nfrom='tomorrow'\nuntil='2026-12-01T01:00'", "tomorrow"),
            ("[[routing.window]]\nchannels=['a']\nevery='day'\nat='24:00'\nminutes=5", "24:00"),
            ("[[routing.window]]\nchannels=['a']\nevery='day'\nat='01:00'\nminutes=1440", "1 to 1439"),
            ("[[routing.window]]\nchannels=['a']\nevery='week'\nat='01:00'\nminutes=5", "which day"),
            (
                "[[routing.window]]\nchannels=['a']\nevery='week'\nday='sunday'\nat='01:00'\nminutes=5",
                "sunday",
            ),
            ("[routing]\noff=['c']", "no channel"),
            ("[[routing.profile]]\nid='p'\nwhen=[{days=['sun']}]\non=['c']", "no channel"),
            ("[[routing.rule]]\nid='x'\nonly=['a']\nprofile='p'", "no profile"),
            ("[[routing.rule]]\nid='x'", "one of only"),
            ("[[routing.rule]]\nid='X y'\nonly=['a']", "dashes"),
            ("[[routing.rule]]\nid='x'\nonly=['a']\nnever=['b']", "one of only"),
            ("[[routing.rule]]\nid='x'\nonly=['c']", "no channel"),
            ("[[routing.rule]]\nid='x'\nonly=['a']\nmin=5", "need a currency"),
            ("[[routing.rule]]\nid='x'\nonly=['a']\nmin=5\nmax=4\ncurrency='CNY'", "less than min"),
            ("[[routing.rule]]\nid='x'\nonly=['a']\nbins=['6200000']", "6 digits"),
            ("[[routing.rule]]\nid='x'\nonly=['a']\nhours='22:00'", "22:00-06:00"),
            ("[[routing.rule]]\nid='x'\nonly=['a']\n[[routing.rule]]\nid='x'\nonly=['b']", "already"),
        ] {
            let e = read(&format!("{CHANNELS}{text}\n")).unwrap_err();
            assert!(e.contains(part), "{text}: {e}");
        }
    }
}
