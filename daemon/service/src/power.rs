//! Power that is about to go: nothing new is sent to a network then, so that the cut finds nothing on its way.
//!
//! What is lost in a power cut is resolved after it whatever this does; a sale that was never begun needs no resolving, and
//! its customer has paid nothing. Queries and reversals go on, and so does cash.
//!
//! Looked at every two seconds, under `/sys/class`: undervoltage as a Raspberry Pi's firmware tells it (`hwmon`,
//! `rpi_volt`, `in0_lcrit_alarm`: Documentation/hwmon/raspberrypi-hwmon.rst), and a battery or UPS of the machine itself
//! that runs down (`power_supply`: Documentation/ABI/testing/sysfs-class-power). A machine without either is never stopped.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::till::Handle;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(2);

/// Good looks in a row before it counts as over: a weak supply comes and goes with the load.
const GOOD: u32 = 3;

/// Longest value that is read, bytes.
const VALUE: usize = 256;

/// What is wrong with the power.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The supply does not hold its voltage.
    Undervoltage,
    /// A battery or UPS runs down.
    Low {
        /// Its name.
        supply: String,
        /// What is left, percent.
        percent: u8,
    },
}

impl Trouble {
    /// One line: what, and what to do.
    fn text(&self) -> String {
        match self {
            Self::Undervoltage => {
                "the supply voltage is too low: use a stronger supply or a shorter cable".into()
            }
            Self::Low { supply, percent } => {
                format!("{supply} is down to {percent} % and not charged: plug in the mains")
            }
        }
    }
}

/// Looks for as long as the daemon runs. `low`: percent of a battery below which nothing new is sent.
pub(crate) async fn follow(handle: Handle, class: PathBuf, low: u8) {
    let mut good = 0;
    let mut now = None;
    loop {
        let folder = class.clone();
        let seen = tokio::task::spawn_blocking(move || look(&folder, low)).await.ok().flatten();
        good = if seen.is_some() { 0 } else { good + 1 };
        let text = seen.map(|t| t.text());
        if text != now && (text.is_some() || good >= GOOD) {
            if let Some(text) = &text {
                tracing::warn!("nothing new is sent: {text}");
            } else {
                tracing::info!("the power is good again");
            }
            handle.power(text.as_deref());
            now = text;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What is wrong, if anything is.
fn look(class: &Path, low: u8) -> Option<Trouble> {
    let undervoltage = entries(&class.join("hwmon")).into_iter().any(|sensor| {
        value(&sensor, "name").as_deref() == Some("rpi_volt")
            && value(&sensor, "in0_lcrit_alarm").as_deref() == Some("1")
    });
    if undervoltage {
        return Some(Trouble::Undervoltage);
    }
    entries(&class.join("power_supply")).into_iter().find_map(|supply| {
        let kind = value(&supply, "type")?;
        // The battery of a mouse is no battery of the till's.
        let ours = value(&supply, "scope").as_deref() != Some("Device");
        let there = value(&supply, "present").as_deref() != Some("0");
        if !matches!(kind.as_str(), "Battery" | "UPS") || !ours || !there {
            return None;
        }
        let percent: u8 = value(&supply, "capacity")?.parse().ok()?;
        let running_down = value(&supply, "status").as_deref() == Some("Discharging");
        let name = supply.file_name()?.to_string_lossy().into_owned();
        (running_down && percent < low).then_some(Trouble::Low { supply: name, percent })
    })
}

/// Entries of a folder in order; none where there is no such folder.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    all.sort();
    all
}

/// A value as the kernel shows it.
fn value(folder: &Path, name: &str) -> Option<String> {
    let bytes = fs::read(folder.join(name)).ok()?;
    let text = String::from_utf8(bytes.get(..bytes.len().min(VALUE))?.to_vec()).ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Path, values: &[(&str, &str)]) {
        fs::create_dir_all(folder).unwrap();
        for (name, text) in values {
            fs::write(folder.join(name), format!("{text}\n")).unwrap();
        }
    }

    #[test]
    fn a_machine_without_sensors_is_never_stopped() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(look(dir.path(), 10), None);
        put(&dir.path().join("hwmon/hwmon0"), &[("name", "coretemp"), ("in0_lcrit_alarm", "1")]);
        put(&dir.path().join("power_supply/AC"), &[("type", "Mains"), ("online", "0")]);
        assert_eq!(look(dir.path(), 10), None);
    }

    #[test]
    fn undervoltage_is_seen_while_it_lasts() {
        let dir = tempfile::tempdir().unwrap();
        let sensor = dir.path().join("hwmon/hwmon1");
        put(&sensor, &[("name", "rpi_volt"), ("in0_lcrit_alarm", "1")]);
        assert_eq!(look(dir.path(), 10), Some(Trouble::Undervoltage));
        put(&sensor, &[("in0_lcrit_alarm", "0")]);
        assert_eq!(look(dir.path(), 10), None);
    }

    #[test]
    fn only_a_battery_of_the_till_that_runs_down_counts() {
        let dir = tempfile::tempdir().unwrap();
        let ups = dir.path().join("power_supply/ups");
        put(&ups, &[("type", "UPS"), ("status", "Discharging"), ("capacity", "9")]);
        assert_eq!(look(dir.path(), 10), Some(Trouble::Low { supply: "ups".into(), percent: 9 }));
        assert_eq!(look(dir.path(), 9), None);
        for (name, text) in
            [("status", "Charging"), ("scope", "Device"), ("present", "0"), ("capacity", "full")]
        {
            let before = fs::read(ups.join(name)).ok();
            put(&ups, &[(name, text)]);
            assert_eq!(look(dir.path(), 10), None, "{name} {text}");
            match before {
                Some(bytes) => fs::write(ups.join(name), bytes).unwrap(),
                None => fs::remove_file(ups.join(name)).unwrap(),
            }
        }
        assert!(look(dir.path(), 10).is_some());
    }
}
