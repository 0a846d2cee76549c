//! Memory of a process, from the kernel's own sum over its mappings.

use std::fs;

use crate::Outcome;

/// Kibibytes of one process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// In memory, shared pages counted in full.
    pub resident: u64,
    /// In memory and mapped by nobody else: what the machine gets back when the process ends.
    pub private: u64,
    /// Heap, stacks, changed data: what no file backs. The rest of `private` is program text that only this process
    /// maps; the kernel may drop it and read it again.
    pub anonymous: u64,
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
    Ok(Memory {
        resident: field("Rss:"),
        private: field("Private_Clean:") + field("Private_Dirty:"),
        anonymous: field("Anonymous:"),
    })
}

impl Memory {
    /// `2.6 MiB, of it 0.4 anonymous; resident 5.0`.
    #[must_use]
    pub fn text(&self) -> String {
        let mib = |kib: u64| kib as f64 / 1024.0;
        let (private, anonymous, resident) = (mib(self.private), mib(self.anonymous), mib(self.resident));
        format!("{private:.1} MiB, of it {anonymous:.1} anonymous; resident {resident:.1}")
    }
}

/// Threads of a process.
pub fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}
