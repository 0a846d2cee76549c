//! Programs of the guest, its processes and its log.

use std::fs;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use crate::error::VmError;

/// Runs a program; what it printed.
pub(crate) fn run(program: &str, args: &[&str]) -> Result<String, VmError> {
    let what = format!("{program} {}", args.join(" "));
    let output = Command::new(program).args(args).output().map_err(VmError::file(program))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(VmError::Command { what, said: format!("{}: {}", output.status, text(&output.stderr)) })
    }
}

/// Runs a program that may end in any way; what it printed.
pub(crate) fn said(program: &str, args: &[&str]) -> Result<String, VmError> {
    let output = Command::new(program).args(args).output().map_err(VmError::file(program))?;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned())
}

/// A drop-in of tilld's unit, and systemd's news of it; empty: none.
pub(crate) fn unit(text: &str) -> Result<(), VmError> {
    let folder = "/etc/systemd/system/tilld.service.d";
    fs::create_dir_all(folder).map_err(VmError::file(folder))?;
    let file = format!("{folder}/vm.conf");
    fs::write(&file, text).map_err(VmError::file(&file))?;
    run("systemctl", &["daemon-reload"]).map(drop)
}

/// Writes what tilld and the kernel logged since the last time to standard error, and whose the device nodes are.
pub(crate) fn show_log() {
    for program in [
        "ls -l /dev/input /dev/hidraw* /dev/gpiochip* 2>/dev/null || true",
        "udevadm info --export-db --subsystem-match=input",
    ] {
        match run("sh", &["-c", program]) {
            Ok(said) => eprintln!("{said}"),
            Err(e) => eprintln!("{e}"),
        }
    }
    for args in [
        ["--no-pager", "--output=cat", "--lines=400", "--unit=tilld.service", "--cursor-file=/run/vm-tilld"],
        ["--no-pager", "--output=short-monotonic", "--lines=60", "--dmesg", "--cursor-file=/run/vm-kernel"],
    ] {
        if let Ok(log) = run("journalctl", &args) {
            eprintln!("{log}");
        }
    }
}

/// What tilld holds of the machine: open files of all its processes, processes, memory of the daemon in KiB.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) files: usize,
    pub(crate) processes: usize,
    pub(crate) memory: u64,
}

/// Sends a signal; a process that is gone hears nothing.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let _gone = pid.map(|pid| kill_process(pid, signal));
}

/// Main process of tilld.
pub(crate) fn pid() -> Result<u32, VmError> {
    let said = run("systemctl", &["show", "--property=MainPID", "--value", "tilld.service"])?;
    said.parse().map_err(|_| VmError::wrong(format!("no main process: {said}")))
}

/// Process of the plugin with this library.
pub(crate) fn host(library: &str) -> Result<u32, VmError> {
    let all = fs::read_dir("/proc").map_err(VmError::file("/proc"))?;
    let pids = all.filter_map(|p| p.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let ours = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.contains("till-plugin-host") && line.contains(library)
    };
    let mut found = pids.filter(ours);
    found.next().ok_or_else(|| VmError::wrong(format!("no process has loaded {library}")))
}

/// All processes of the unit, the daemon first.
pub(crate) fn processes() -> Result<Vec<u32>, VmError> {
    let main = pid()?;
    let mut all = vec![main];
    all.extend(children(main));
    Ok(all)
}

/// Plugins' processes.
fn children(main: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{main}/task/{main}/children")).unwrap_or_default();
    let mut all: Vec<u32> = children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    // Those started by another thread stand in that thread's list.
    if let Ok(tasks) = fs::read_dir(format!("/proc/{main}/task")) {
        for task in tasks.flatten() {
            let list = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(list.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Looks at the daemon and the plugins' processes.
pub(crate) fn held() -> Result<Held, VmError> {
    let main = pid()?;
    let all = children(main);
    let files = |pid: u32| fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    Ok(Held { files: files(main), processes: all.len(), memory: memory(main) })
}

/// Resident memory that is the process's own, KiB.
fn memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse().unwrap_or(0)
}
