//! The class of the machine, and how busy it is: what a reader needs to judge the figures, and nothing that names it.

use std::fs;
use std::path::Path;

/// Lines above the table.
#[must_use]
pub fn describe(dir: &Path) -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let release = read("/proc/sys/kernel/osrelease");
    // Version numbers only: what follows them can name the machine's owner.
    let release = release.trim().split('-').next().unwrap_or_default();
    let memory: u64 = read("/proc/meminfo")
        .lines()
        .find_map(|l| l.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap_or(0);
    format!(
        "{} cores ({}), {:.0} GiB, Linux {release}, disk: {}, load {}, {}",
        cores,
        std::env::consts::ARCH,
        memory as f64 / f64::from(1 << 20),
        file_system(dir),
        load(),
        jiff::Timestamp::now().strftime("%Y-%m-%d"),
    )
}

/// Load of the last minute.
#[must_use]
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// Type of the file system that holds `dir`, from the longest mount point above it.
fn file_system(dir: &Path) -> String {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let of = |line: &str| -> Option<(usize, String)> {
        let mut fields = line.split(' ').skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        dir.starts_with(point).then(|| (point.len(), kind.to_owned()))
    };
    mounts.lines().filter_map(of).max_by_key(|(len, _)| *len).map_or_else(|| "?".into(), |(_, kind)| kind)
}
