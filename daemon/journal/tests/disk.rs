//! Full and read-only disks: refused in clear words, nothing acknowledged that is not there, and a way out.

#![allow(clippy::unwrap_used)] // clippy knows tests by their attribute only

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{numbers, open_with, options, record};
use till_journal::{JournalError, Options, Urgency};

/// A small file system of its own; unmounted at the end.
struct Mount(tempfile::TempDir);

impl Mount {
    /// `None`, with the reason printed, where mounting is not allowed (it needs root).
    fn new(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "till-journal-test"])
            .arg(dir.path())
            .output();
        match done {
            Ok(output) if output.status.success() => Some(Self(dir)),
            Ok(output) => {
                println!(
                    "skipped: cannot mount a small tmpfs ({})",
                    String::from_utf8_lossy(&output.stderr).trim()
                );
                None
            }
            Err(e) => {
                println!("skipped: cannot run mount ({e})");
                None
            }
        }
    }

    fn journal(&self) -> PathBuf {
        self.0.path().join("journal")
    }

    fn remount(&self, how: &str) {
        let status = Command::new("mount").args(["-o", how]).arg(self.0.path()).status().unwrap();
        assert!(status.success());
    }

    /// Fills the disk to the last block.
    fn fill(&self) -> PathBuf {
        let path = self.0.path().join("someone-elses-file");
        let mut file = std::fs::File::create(&path).unwrap();
        let block = [1u8; 4096];
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
        path
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn small(dir: &Path) -> Options {
    let mut options = options(dir);
    options.free_floor = 4 << 20;
    options.ballast_bytes = 6 << 20;
    options
}

#[test]
fn a_full_disk_refuses_new_work_finishes_old_work_and_starts_again() {
    let Some(mount) = Mount::new("24m") else { return };
    let (journal, _) = open_with(small(&mount.journal())).unwrap();
    assert_eq!(journal.stats().ballast_bytes, 6 << 20);
    for n in 0..50 {
        journal.append(vec![record(n)], Urgency::New).unwrap().wait().unwrap();
    }
    let other = mount.fill();
    let refused = journal.append(vec![record(50)], Urgency::New).unwrap().wait().unwrap_err();
    assert!(matches!(refused, JournalError::StorageFull { .. }), "{refused}");
    // What was begun can be finished: over a segment's end, on the ballast's space.
    for n in 50..700 {
        journal.append(vec![record(n)], Urgency::Finish).unwrap().wait().unwrap();
    }
    assert_eq!(journal.stats().ballast_bytes, 0, "the ballast was not given up");
    assert!(!journal.stats().poisoned);
    let refused = journal.append(vec![record(700)], Urgency::New).unwrap().wait().unwrap_err();
    assert!(matches!(refused, JournalError::StorageFull { .. }), "{refused}");
    drop(journal);
    // A start on the full disk.
    let (journal, _) = open_with(small(&mount.journal())).unwrap();
    assert_eq!(numbers(&journal), (0..700).collect::<Vec<_>>());
    journal.append(vec![record(700)], Urgency::Finish).unwrap().wait().unwrap();
    // Space again: new work is taken, and the ballast comes back.
    std::fs::remove_file(other).unwrap();
    journal.append(vec![record(701)], Urgency::New).unwrap().wait().unwrap();
    drop(journal);
    let (journal, _) = open_with(small(&mount.journal())).unwrap();
    assert_eq!(journal.stats().ballast_bytes, 6 << 20);
    assert_eq!(numbers(&journal), (0..702).collect::<Vec<_>>());
    assert!(journal.verify().unwrap().is_whole());
}

#[test]
fn not_one_free_block_never_loses_what_was_acknowledged() {
    let Some(mount) = Mount::new("24m") else { return };
    let mut options = small(&mount.journal());
    options.free_floor = 0;
    options.ballast_bytes = 0;
    let (journal, _) = open_with(options.clone()).unwrap();
    let mut acked = 0;
    let mut other = None;
    for n in 0..3000 {
        if n == 100 {
            other = Some(mount.fill());
        }
        match journal.append(vec![record(n)], Urgency::New).and_then(till_journal::Ticket::wait) {
            Ok(_) => acked = n + 1,
            Err(e) => {
                let clear = matches!(e, JournalError::StorageFull { .. } | JournalError::Poisoned { .. });
                assert!(clear, "{e}");
                break;
            }
        }
    }
    assert!((100..3000).contains(&acked), "{acked}");
    drop(journal);
    // Full: opening says so, or opens; it never puts a sound store away.
    match open_with(options.clone()) {
        Ok((journal, report)) => {
            assert!(!report.has_alarm(), "{report:?}");
            assert!(numbers(&journal).len() as u64 >= acked);
        }
        Err(e) => assert!(matches!(e, JournalError::StorageFull { .. }), "{e}"),
    }
    assert!(!mount.journal().join("quarantine").exists(), "a sound store was put away on a full disk");
    std::fs::remove_file(other.unwrap()).unwrap();
    let (journal, report) = open_with(options).unwrap();
    assert!(!report.has_alarm(), "{report:?}");
    assert!(numbers(&journal).len() as u64 >= acked, "acknowledged records are lost");
    assert!(journal.verify().unwrap().is_whole());
}

#[test]
fn a_read_only_disk_is_said_at_open() {
    let Some(mount) = Mount::new("24m") else { return };
    let (journal, _) = open_with(small(&mount.journal())).unwrap();
    journal.append(vec![record(0)], Urgency::New).unwrap().wait().unwrap();
    drop(journal);
    mount.remount("remount,ro");
    let refused = open_with(small(&mount.journal())).unwrap_err();
    assert!(matches!(refused, JournalError::ReadOnly { .. }), "{refused}");
    assert!(refused.to_string().contains("read-only"), "{refused}");
    mount.remount("remount,rw");
    let (journal, _) = open_with(small(&mount.journal())).unwrap();
    assert_eq!(numbers(&journal), [0]);
}

#[test]
fn a_file_system_that_forgets_is_refused_unless_forced() {
    let Some(mount) = Mount::new("24m") else { return };
    let mut options = small(&mount.journal());
    options.force_filesystem = false;
    let refused = open_with(options).unwrap_err();
    assert!(matches!(refused, JournalError::UnsuitableFilesystem { kind: "tmpfs", .. }), "{refused}");
}

/// A disk that breaks under an open journal: ext4 on a loop device, cut off as a pulled card is.
#[test]
fn a_write_that_fails_is_told_at_once_and_what_was_acknowledged_is_there_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let (image, at) = (dir.path().join("disk"), dir.path().join("mnt"));
    std::fs::create_dir(&at).unwrap();
    std::fs::File::create(&image).unwrap().set_len(48 << 20).unwrap();
    let mkfs = Command::new("mkfs.ext4").arg("-q").arg(&image).status();
    let mount = || {
        let status = Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at).status();
        status.is_ok_and(|s| s.success())
    };
    if !mkfs.is_ok_and(|s| s.success()) || !mount() {
        println!("skipped: a loop device with ext4 needs root");
        return;
    }
    let unmount = || Command::new("umount").arg("-l").arg(&at).status().unwrap();
    let (journal, _) = open_with(options(&at.join("journal"))).unwrap();
    let (told, hears) = std::sync::mpsc::channel();
    let second = told.clone();
    journal.on_poison(move |e| told.send(e).unwrap());
    for n in 0..100 {
        journal.append(vec![record(n)], Urgency::New).unwrap().wait().unwrap();
    }
    assert!(hears.try_recv().is_err(), "told before anything failed");
    if let Err(e) = shut_down(&std::fs::File::open(&at).unwrap()) {
        println!("skipped: this file system cannot be shut down ({e})");
        unmount();
        return;
    }
    let failed = journal.append(vec![record(100)], Urgency::Finish).unwrap().wait().unwrap_err();
    assert!(matches!(failed, JournalError::Io { .. }), "{failed}");
    // Before the caller had its answer, and once.
    let said = hears.try_recv().expect("nobody is told");
    assert!(matches!(said, JournalError::Poisoned { .. }), "{said}");
    assert!(hears.try_recv().is_err());
    let refused = journal.append(vec![record(101)], Urgency::Finish).unwrap_err();
    assert!(matches!(refused, JournalError::Poisoned { .. }), "{refused}");
    journal.on_poison(move |e| second.send(e).unwrap());
    assert!(hears.try_recv().is_ok(), "who asks late is not told");
    drop(journal);
    unmount();
    assert!(mount());
    let (journal, report) = open_with(options(&at.join("journal"))).unwrap();
    assert!(!report.has_alarm(), "{report:?}");
    assert!(numbers(&journal).starts_with(&(0..100).collect::<Vec<_>>()), "acknowledged records are lost");
    drop(journal);
    unmount();
}

/// An idle journal has not seen that its disk is gone; sled finds out when it is let go, and must not panic then.
#[test]
fn a_journal_is_let_go_after_its_disk_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (image, at) = (dir.path().join("disk"), dir.path().join("mnt"));
    std::fs::create_dir(&at).unwrap();
    std::fs::File::create(&image).unwrap().set_len(48 << 20).unwrap();
    let mkfs = Command::new("mkfs.ext4").arg("-q").arg(&image).status();
    let mount = || {
        let status = Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at).status();
        status.is_ok_and(|s| s.success())
    };
    if !mkfs.is_ok_and(|s| s.success()) || !mount() {
        println!("skipped: a loop device with ext4 needs root");
        return;
    }
    let unmount = || Command::new("umount").arg("-l").arg(&at).status().unwrap();
    let (journal, _) = open_with(options(&at.join("journal"))).unwrap();
    journal.append(vec![record(0)], Urgency::New).unwrap().wait().unwrap();
    let gone = shut_down(&std::fs::File::open(&at).unwrap());
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(journal)));
    unmount();
    if let Err(e) = gone {
        println!("skipped: this file system cannot be shut down ({e})");
        return;
    }
    assert!(dropped.is_ok(), "letting go of the journal panicked");
    assert!(mount());
    let (journal, _) = open_with(options(&at.join("journal"))).unwrap();
    assert_eq!(numbers(&journal), [0], "the acknowledged record is lost");
    drop(journal);
    unmount();
}

/// Cuts a file system off without flushing its log: every write fails from then on (`EXT4_IOC_SHUTDOWN`, linux/ext4.h).
#[allow(unsafe_code)]
fn shut_down(disk: &std::fs::File) -> rustix::io::Result<()> {
    const SHUTDOWN: rustix::ioctl::Opcode = rustix::ioctl::opcode::read::<u32>(b'X', 125);
    const NO_LOG_FLUSH: u32 = 2;
    // SAFETY: the call reads one u32, which Setter passes by pointer, and touches no memory of ours.
    unsafe { rustix::ioctl::ioctl(disk, rustix::ioctl::Setter::<SHUTDOWN, u32>::new(NO_LOG_FLUSH)) }
}
