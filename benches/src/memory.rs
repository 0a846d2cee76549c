//! Memory of a process, from the kernel's own sum over its mappings.

use std::fs;

use crate::Outcome;

/// Kibibytes of one process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// In memory, shared pages counted in full.
    pub resident: u64,
    /// In memory and shared with nobody: what the machine gets back when the process ends.
    pub private: u64,
    /// Private pages that were written: heap, stacks, relocated data. The rest of `private` is file pages that only
    /// this process maps (its program), which the kernel can drop and read again.
    pub dirty: u64,
}

/// Reads `/proc/<pid>/smaps_rollup`. A host is not dumpable: only root may read it.
pub fn of(pid: u32) -> Outcome<Memory> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path)
        .map_err(|e| format!("{path}: {e}: a plugin host's memory can be read by root only"))?;
    let field = |name: &str| -> u64 {
        let value = text.lines().find_map(|l| l.strip_prefix(name)?.strip_suffix("kB"));
        value.and_then(|v| v.trim().parse().ok()).unwrap_or(0)
    };
    let dirty = field("Private_Dirty:");
    Ok(Memory { resident: field("Rss:"), private: field("Private_Clean:") + dirty, dirty })
}

/// `12.3 MiB`.
#[must_use]
pub fn mib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}

/// Threads of a process.
pub fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}
