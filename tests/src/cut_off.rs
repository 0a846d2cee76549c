//! A bus that dies, as a client of it sees that. (The private bus of the tests lets the connections live that it has.)

use std::fs;
use std::os::unix::ffi::OsStrExt;

use rustix::net::{Shutdown, SocketAddrUnix, getpeername, shutdown};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::rig::{Rig, RigError};

impl Rig {
    /// Cuts `tilld` off the bus, as a bus that dies would; gives how many connections that were. Root only.
    pub fn cut_off_the_bus(&self) -> Result<usize, RigError> {
        let system = |e: &dyn std::fmt::Display| RigError::System(e.to_string());
        let pid = self.pid().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| system(&"tilld does not run"))?;
        let process = pidfd_open(pid, PidfdFlags::empty()).map_err(|e| system(&e))?;
        let mut cut = 0;
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).map_err(|e| system(&e))?.flatten() {
            let Some(fd) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
            let Ok(theirs) = pidfd_getfd(&process, fd, PidfdGetfdFlags::empty()) else { continue };
            let peer = getpeername(&theirs).ok().flatten();
            let peer = peer.and_then(|a| SocketAddrUnix::try_from(a).ok());
            let bus = self.dir.join("run/bus");
            if peer.is_some_and(|a| a.path().is_some_and(|p| p.to_bytes() == bus.as_os_str().as_bytes())) {
                shutdown(&theirs, Shutdown::Both).map_err(|e| system(&e))?;
                cut += 1;
            }
        }
        Ok(cut)
    }
}
