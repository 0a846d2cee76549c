//! Children that do not outlive whoever started them, however that ends.

#![allow(unsafe_code)] // `pre_exec` is: its closure runs between fork and exec

use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Signal, set_parent_process_death_signal};

/// Has the kernel kill the child when the thread that starts it ends: a `tilld` left behind by a killed test would go on
/// reading the ports that the next test opens.
pub(crate) fn mortal(command: &mut Command) -> &mut Command {
    // SAFETY: the closure makes one system call and touches no memory of the parent's.
    unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?)) }
}
