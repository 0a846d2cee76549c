//! A device's counters over restarts of its process and of the daemon: one small file a device.
//!
//! A driver counts since its process began. What it told last is added to what was kept when the process ends; nothing is
//! counted twice. Nothing is written by itself: the owner decides when ([`Counters::write`]).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::atomic;

const FIRST_WORDS: &str = "# till-statistics 1 ";

/// Most counters of a device, and the longest name of one: what a driver tells beyond is left out.
const MOST: usize = 64;
const LONGEST: usize = 48;

type Values = BTreeMap<String, u64>;

/// The counters of one device.
#[derive(Debug)]
pub struct Counters {
    path: PathBuf,
    /// Of processes that ended, and the daemon's own.
    kept: Values,
    /// What the running process told last.
    told: Values,
    /// What of `told` is not counted: it was told before a reset.
    before: Values,
    since_ms: i64,
    changed: bool,
}

impl Counters {
    /// Reads a device's file; `now_ms` (Unix) is when counting begins where there is none. The second value is the file
    /// that was damaged and put aside: counting begins anew.
    pub fn open(folder: &Path, device: &str, now_ms: i64) -> io::Result<(Self, Option<PathBuf>)> {
        atomic::private_dir(folder)?;
        let path = folder.join(device);
        let mut aside = None;
        let read = match fs::read(&path) {
            Ok(bytes) => {
                let read = std::str::from_utf8(&bytes).ok().and_then(decode);
                if read.is_none() {
                    let to = folder.join(format!("{device}~damaged"));
                    fs::rename(&path, &to)?;
                    aside = Some(to);
                }
                read
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        let changed = read.is_none();
        let (since_ms, kept) = read.unwrap_or((now_ms, Values::new()));
        let counters = Self { path, kept, told: Values::new(), before: Values::new(), since_ms, changed };
        Ok((counters, aside))
    }

    /// Counts something of the daemon's own.
    pub fn add(&mut self, name: &str, n: u64) {
        put(&mut self.kept, name, |v| v.saturating_add(n));
        self.changed = true;
    }

    /// What the running process has counted since it began.
    pub fn told(&mut self, counters: &[(String, u64)]) {
        // A counter that goes back belongs to another process than the last one.
        if counters.iter().any(|(name, n)| self.told.get(name).is_some_and(|before| n < before)) {
            self.ended();
        }
        for (name, n) in counters {
            if self.told.get(name) != Some(n) {
                put(&mut self.told, name, |_| *n);
                self.changed = true;
            }
        }
    }

    /// The process has ended: what it told stays.
    pub fn ended(&mut self) {
        for (name, n) in self.running() {
            put(&mut self.kept, &name, |v| v.saturating_add(n));
        }
        self.told.clear();
        self.before.clear();
    }

    fn running(&self) -> Vec<(String, u64)> {
        let before = |name: &str| self.before.get(name).copied().unwrap_or(0);
        self.told.iter().map(|(name, n)| (name.clone(), n.saturating_sub(before(name)))).collect()
    }

    /// All counters since [`Counters::since_ms`].
    pub fn totals(&self) -> Values {
        let mut totals = self.kept.clone();
        for (name, n) in self.running() {
            put(&mut totals, &name, |v| v.saturating_add(n));
        }
        totals
    }

    /// Since when, Unix ms.
    pub const fn since_ms(&self) -> i64 {
        self.since_ms
    }

    /// Counts from nothing.
    pub fn reset(&mut self, now_ms: i64) {
        self.kept.clear();
        self.before = self.told.clone();
        self.since_ms = now_ms;
        self.changed = true;
    }

    /// What is to be written where, if something changed since the last time; the write itself blocks and is the
    /// caller's.
    pub fn write(&mut self) -> Option<CountersFile> {
        std::mem::take(&mut self.changed)
            .then(|| CountersFile { path: self.path.clone(), text: encode(self.since_ms, &self.totals()) })
    }

    /// The last write failed: the next one writes all the same.
    pub const fn not_written(&mut self) {
        self.changed = true;
    }
}

/// Counters on their way to the disk.
#[derive(Debug)]
pub struct CountersFile {
    path: PathBuf,
    text: String,
}

impl CountersFile {
    /// Writes it, whole or not at all. Blocks.
    pub fn save(self) -> io::Result<()> {
        atomic::replace(&self.path, self.text.as_bytes())
    }
}

fn put(values: &mut Values, name: &str, f: impl FnOnce(u64) -> u64) {
    let fits = !name.is_empty()
        && name.len() <= LONGEST
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if let Some(value) = values.get_mut(name) {
        *value = f(*value);
    } else if fits && values.len() < MOST {
        values.insert(name.to_owned(), f(0));
    }
}

fn encode(since_ms: i64, values: &Values) -> String {
    use std::fmt::Write as _;
    let mut body = format!("since {since_ms}\n");
    for (name, n) in values {
        let _infallible = writeln!(body, "{name} {n}");
    }
    format!("{FIRST_WORDS}{:08x}\n{body}", crc32c::crc32c(body.as_bytes()))
}

fn decode(text: &str) -> Option<(i64, Values)> {
    let (first, body) = text.split_once('\n')?;
    let sum = u32::from_str_radix(first.strip_prefix(FIRST_WORDS)?, 16).ok()?;
    if sum != crc32c::crc32c(body.as_bytes()) {
        return None;
    }
    let mut lines = body.lines();
    let since = lines.next()?.strip_prefix("since ")?.parse().ok()?;
    let mut values = Values::new();
    for line in lines {
        let (name, n) = line.split_once(' ')?;
        let n = n.parse().ok()?;
        put(&mut values, name, |_| n);
    }
    Some((since, values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(values: &[(&str, u64)]) -> Vec<(String, u64)> {
        values.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
    }

    fn open(dir: &Path) -> Counters {
        Counters::open(dir, "reader", 5).unwrap().0
    }

    #[test]
    fn counters_go_on_over_processes_and_daemons_and_begin_anew_only_when_told() {
        let dir = tempfile::tempdir().unwrap();
        let mut c = open(dir.path());
        c.told(&told(&[("swipes-good", 3), ("bytes", 900)]));
        c.told(&told(&[("swipes-good", 4), ("bytes", 1200)]));
        c.ended();
        c.add("reconnects", 1);
        // The next process counts from nothing.
        c.told(&told(&[("swipes-good", 2)]));
        c.write().unwrap().save().unwrap();
        assert!(c.write().is_none(), "nothing changed, nothing is written");
        let mut c = open(dir.path());
        assert_eq!((c.totals()["swipes-good"], c.totals()["bytes"], c.totals()["reconnects"]), (6, 1200, 1));
        c.told(&told(&[("swipes-good", 5)]));
        c.reset(77);
        assert_eq!((c.totals().get("swipes-good"), c.totals().get("bytes")), (Some(&0), None));
        c.told(&told(&[("swipes-good", 6)]));
        c.write().unwrap().save().unwrap();
        let c = open(dir.path());
        assert_eq!((c.totals()["swipes-good"], c.since_ms()), (1, 77));
    }

    #[test]
    fn a_damaged_file_is_put_aside_and_counting_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reader");
        let mut c = open(dir.path());
        c.told(&told(&[("swipes-good", 41)]));
        c.write().unwrap().save().unwrap();
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            fs::write(&path, &bad).unwrap();
            let (c, aside) = Counters::open(dir.path(), "reader", 9).unwrap();
            let aside = aside.unwrap_or_else(|| panic!("byte {at} went unnoticed"));
            assert_eq!((c.totals().len(), c.since_ms()), (0, 9));
            assert_eq!(fs::read(aside).unwrap(), bad);
        }
    }

    #[test]
    fn what_a_driver_tells_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let mut c = open(dir.path());
        let many: Vec<(String, u64)> = (0..1000).map(|n| (format!("counter-{n}"), n)).collect();
        c.told(&many);
        c.told(&told(&[("two words", 1), ("", 1), ("card 6200000000000005", 1)]));
        assert_eq!(c.totals().len(), MOST);
        assert!(c.totals().keys().all(|k| k.starts_with("counter-")));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_counted_twice(processes in proptest::collection::vec(proptest::collection::vec(0_u64..50, 0..6), 0..6)) {
            let dir = tempfile::tempdir().unwrap();
            let mut c = open(dir.path());
            let mut expected = 0;
            for steps in &processes {
                let mut n = 0;
                for step in steps {
                    n += step;
                    c.told(&told(&[("n", n)]));
                }
                expected += n;
                c.ended();
                if let Some(file) = c.write() { file.save().unwrap(); }
                c = open(dir.path());
            }
            prop_assert_eq!(c.totals().get("n").copied().unwrap_or(0), expected);
        }
    }
}
