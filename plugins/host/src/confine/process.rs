//! What the process does to itself first: dies with its parent, limits, no new privileges, no dumps, no capabilities.

use std::io;

use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, getppid, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit,
};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};
use till_plugin::proto::Layer;

use super::layer;
use crate::options::Options;

/// Why the process must not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    /// The daemon has ended between fork and here.
    #[error("the daemon that started this host (process {0}) is gone")]
    Orphan(u32),
    /// A required step failed.
    #[error("{what} failed: {error}")]
    Step {
        what: &'static str,
        #[source]
        error: io::Error,
    },
}

/// Applies the layers that need no plugin.
pub(crate) fn process(options: &Options) -> Result<Vec<Layer>, ProcessError> {
    let step = |what| move |e: Errno| ProcessError::Step { what, error: e.into() };
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(step("asking to end with the daemon"))?;
    // The daemon may have ended before that took effect.
    if getppid().and_then(|p| u32::try_from(p.as_raw_nonzero().get()).ok()) != Some(options.parent) {
        return Err(ProcessError::Orphan(options.parent));
    }
    close_the_rest(options);
    one_arena();
    for (resource, limit) in [
        (Resource::As, options.memory),
        (Resource::Nofile, options.files),
        (Resource::Core, 0),
        (Resource::Nproc, options.tasks),
    ] {
        limit_to(resource, limit).map_err(step("setting a resource limit"))?;
    }
    set_no_new_privs(true).map_err(step("giving up new privileges"))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(step("forbidding dumps"))?;
    let none = CapabilitySet::empty();
    let dropped =
        set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none });
    Ok(vec![
        layer("parent-death", "full"),
        layer("rlimits", "full"),
        layer("no-new-privs", "full"),
        layer("no-dump", "full"),
        layer("capabilities", dropped.map_or_else(|e| format!("off: {e}"), |()| "full".into())),
    ])
}

/// Lowers a limit; never raises one that is lower already.
fn limit_to(resource: Resource, limit: u64) -> rustix::io::Result<()> {
    let now = rustix::process::getrlimit(resource);
    let limit = now.maximum.map_or(limit, |max| max.min(limit));
    setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })
}

/// Closes whatever the daemon did not mean to pass. Its own descriptors are close-on-exec; this is the second lock.
#[allow(unsafe_code)]
fn close_the_rest(options: &Options) {
    let first = options.transport.unwrap_or(options.socket).max(options.socket) + 1;
    // SAFETY: plain integers; nothing above the passed descriptors is in use yet. ENOSYS before Linux 5.9 is ignored.
    unsafe {
        libc::syscall(libc::SYS_close_range, first.cast_unsigned(), libc::c_uint::MAX, 0);
    }
}

/// One malloc arena: each further one reserves 64 MiB of the address space that is limited here.
#[allow(unsafe_code)]
fn one_arena() {
    #[cfg(target_env = "gnu")]
    // SAFETY: called before any other thread exists.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}
