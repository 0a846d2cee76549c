//! What the files say of profiles.

use std::collections::BTreeSet;

use till_core::profile::Profile;
use till_core::windows::When;

use super::file::{ProfileFile, TimesFile};
use super::load::{ConfigError, bad};
use super::routing::{NAME, minute, time, weekday};

/// Most profiles, and times of one: what a choice may look at.
const MOST: usize = 64;
/// A day, minutes.
const DAY_MIN: u32 = 1_440;

/// Checks them; channels are checked by the caller.
pub(super) fn profiles(written: Vec<ProfileFile>) -> Result<Vec<Profile>, ConfigError> {
    if written.len() > MOST {
        return Err(bad("routing.profile", format!("more than {MOST}: nobody can keep them in mind")));
    }
    let mut names = BTreeSet::new();
    let mut all = Vec::new();
    for (n, p) in written.into_iter().enumerate() {
        let at = format!("routing.profile, number {}", n + 1);
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if p.id.is_empty() || p.id.len() > NAME || !p.id.bytes().all(good) {
            return Err(bad(
                at,
                format!("id {:?} is not 1 to {NAME} lower-case letters, digits and dashes", p.id),
            ));
        }
        if !names.insert(p.id.clone()) {
            return Err(bad(at, format!("there is a profile {:?} already: records name profiles", p.id)));
        }
        if let Some(both) = p.on.iter().find(|c| p.off.contains(c)) {
            return Err(bad(at, format!("{both} is on and off")));
        }
        let bound = |text: &Option<String>| text.as_deref().map(|t| time(&at, t)).transpose();
        let (from_ms, until_ms) = (bound(&p.from)?, bound(&p.until)?);
        if let (Some(from), Some(until)) = (from_ms, until_ms)
            && until <= from
        {
            return Err(bad(at, "ends before it begins: until is later than from"));
        }
        if from_ms.is_none() && until_ms.is_none() && p.when.is_empty() {
            return Err(bad(
                at,
                "say when: from, until, or when = [{ days = [\"sat\"], hours = \"10:00-14:00\" }]",
            ));
        }
        if p.when.len() > MOST {
            return Err(bad(at, format!("more than {MOST} times")));
        }
        let mut when = Vec::new();
        for times in &p.when {
            when.extend(self::times(&at, times)?);
        }
        all.push(Profile { id: p.id, from_ms, until_ms, when, on: p.on, off: p.off, priority: p.priority });
    }
    Ok(all)
}

/// One window a day of the week, or one of every day.
fn times(at: &str, t: &TimesFile) -> Result<Vec<When>, ConfigError> {
    let (at_min, length_min) = match &t.hours {
        None => (0, DAY_MIN),
        Some(text) => {
            let split = text.split_once('-');
            let (from, until) =
                split.ok_or_else(|| bad(at, format!("{text:?}: write hours as 22:00-06:00")))?;
            let (from, until) = (minute(at, from)?, if until == "24:00" { 0 } else { minute(at, until)? });
            let length = (u32::from(until) + DAY_MIN - u32::from(from)) % DAY_MIN;
            (from, if length == 0 { DAY_MIN } else { length })
        }
    };
    if t.days.is_empty() {
        if length_min == DAY_MIN {
            return Err(bad(
                at,
                "a time of all day on all days is no time: give days, or hours of less than a day",
            ));
        }
        return Ok(vec![When::Daily { at_min, length_min }]);
    }
    t.days.iter().map(|day| Ok(When::Weekly { day: weekday(at, day)?, at_min, length_min })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Profile>, String> {
        #[derive(serde::Deserialize)]
        struct File {
            profile: Vec<ProfileFile>,
        }
        let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
        profiles(file.profile).map_err(|e| e.to_string())
    }

    #[test]
    fn what_is_written_is_what_holds() {
        let all = read(
            "[[profile]]\nid='fair'\nfrom='2026-10-01T00:00:00+08:00'\nuntil='2026-10-08T00:00:00+08:00'\n\
             when=[{days=['sat','sun']},{hours='22:00-06:00'},{days=['mon'],hours='18:00-24:00'}]\n\
             on=['a']\noff=['b']\npriority={c=1}\n",
        )
        .unwrap();
        let weekly = |day, at_min, length_min| When::Weekly { day, at_min, length_min };
        let p = &all[0];
        let daily = When::Daily { at_min: 1_320, length_min: 480 };
        assert_eq!(p.when, [weekly(5, 0, 1_440), weekly(6, 0, 1_440), daily, weekly(0, 1_080, 360)]);
        assert_eq!(p.until_ms.unwrap() - p.from_ms.unwrap(), 7 * 86_400_000);
        assert_eq!((p.on[0].as_str(), p.off[0].as_str(), p.priority["c"]), ("a", "b", 1));
    }

    #[test]
    fn what_nobody_meant_is_refused_with_what_to_write() {
        for (text, part) in [
            ("id='x'", "say when"),
            ("id='X'\nfrom='2026-10-01T00:00'", "dashes"),
            ("id='x'\nfrom='soon'", "soon"),
            ("id='x'\nfrom='2026-10-01T00:00'\nuntil='2026-10-01T00:00'", "ends before"),
            ("id='x'\nwhen=[{}]", "no time"),
            ("id='x'\nwhen=[{hours='08:00-08:00'}]", "no time"),
            ("id='x'\nwhen=[{hours='08:00'}]", "22:00-06:00"),
            ("id='x'\nwhen=[{days=['sunday']}]", "sunday"),
            ("id='x'\nwhen=[{days=['sun']}]\non=['a']\noff=['a']", "on and off"),
            ("id='x'\nwhen=[{days=['sun']}]\nchannels=['a']", "channels"),
            ("id='x'\nwhen=[{days=['sun']}]\n[[profile]]\nid='x'\nwhen=[{days=['sun']}]", "already"),
        ] {
            let e = read(&format!("[[profile]]\n{text}\n")).unwrap_err();
            assert!(e.contains(part), "{text}: {e}");
        }
    }
}
