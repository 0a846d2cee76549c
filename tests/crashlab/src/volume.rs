//! A real ext4 on a loop device, cut off while it is mounted and written to (`FS_IOC_SHUTDOWN` without a log flush):
//! the kernel's own answer to what a power cut leaves, on a device without a volatile cache.
#![allow(unsafe_code)] // one ioctl

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use till_powercut::Rng;

use crate::LabError;
use crate::cuts::Failure;
use crate::kills::Shop;
use crate::report::Line;
use crate::sale::Sale;

const NAME: &str = "ext4 on a loop device, cut by FS_IOC_SHUTDOWN";

/// `_IOR('X', 125, __u32)` of the kernel's `fs.h`.
const FS_IOC_SHUTDOWN: libc::Ioctl = 0x8004_587d;
/// `FS_SHUTDOWN_FLAGS_NOLOGFLUSH`.
const NO_LOG_FLUSH: u32 = 2;

/// A mounted image, unmounted when dropped.
struct Volume {
    image: PathBuf,
    at: PathBuf,
}

fn call(program: &str, args: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(args).output().map_err(|e| format!("{program}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

impl Volume {
    fn make(image: &Path, at: &Path) -> Result<Self, String> {
        let text = |e: std::io::Error| e.to_string();
        File::create(image).and_then(|f| f.set_len(512 << 20)).map_err(text)?;
        std::fs::create_dir_all(at).map_err(text)?;
        let volume = Self { image: image.to_owned(), at: at.to_owned() };
        call("mkfs.ext4", &["-q", "-F", &image.display().to_string()])?;
        volume.mount()?;
        Ok(volume)
    }

    fn mount(&self) -> Result<(), String> {
        let (image, at) = (self.image.display().to_string(), self.at.display().to_string());
        call("mount", &["-t", "ext4", "-o", "loop", &image, &at])
    }

    fn unmount(&self) -> Result<(), String> {
        // Whoever was killed a moment ago may still be letting go.
        let mut last = Ok(());
        for _ in 0..50 {
            last = call("umount", &[&self.at.display().to_string()]);
            if last.is_ok() {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        last
    }

    /// The power goes.
    fn cut(&self) -> Result<(), String> {
        let dir = File::open(&self.at).map_err(|e| e.to_string())?;
        let flags = NO_LOG_FLUSH;
        // SAFETY: the descriptor is open, and the argument is the address of an u32, as the call wants.
        let code = unsafe { libc::ioctl(dir.as_raw_fd(), FS_IOC_SHUTDOWN, &raw const flags) };
        if code == 0 { Ok(()) } else { Err(std::io::Error::last_os_error().to_string()) }
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _gone = call("umount", &["-l", &self.at.display().to_string()]);
    }
}

/// Cuts `rounds` times, each after at least `acks` promises to the front-end that listens.
pub async fn run(rounds: usize, acks: usize, seed: u64) -> Result<Line, LabError> {
    let begun = Instant::now();
    if !rustix::process::geteuid().is_root() {
        return Ok(Line::skipped(NAME, "needs root"));
    }
    let dir = tempfile::tempdir().map_err(LabError::file("directory of an image"))?;
    let image = dir.path().join("ext4.img");
    let mut made = Err("not tried".to_owned());
    // No leave for file systems without fsync here: this is a real one.
    let journal = "[journal]\nforce-filesystem = false\nfree-floor-mib = 16\nepoch-records = 1000\n";
    let opened = Shop::open(journal, |rig| {
        made = Volume::make(&image, &rig.dir.join("state"));
        match &made {
            Ok(_) => Ok(()),
            Err(e) => Err(LabError::Lab(e.clone())),
        }
    })
    .await;
    let (mut shop, volume) = match (opened, made) {
        (Ok(shop), Ok(volume)) => (shop, volume),
        (_, Err(e)) => return Ok(Line::skipped(NAME, &e)),
        (Err(e), _) => return Err(e),
    };
    let lab = |e: String| LabError::Lab(format!("{NAME}: {e}"));
    let mut rng = Rng(seed);
    let mut failed = Vec::new();
    for round in 0..rounds {
        let owed = shop.heard()? + acks;
        while shop.heard()? < owed {
            // Mostly cash: it is the fastest way to promises.
            let sale = if rng.below(20) == 0 { Sale::any(&mut rng) } else { Sale::Cash };
            shop.sell(sale).await?;
        }
        let more = async {
            let mut dice = Rng(rng.roll());
            let _ended = shop.load(&mut dice).await;
        };
        // The fault itself: at no particular moment of the next sales.
        let moment = std::time::Duration::from_millis(10 + (seed + round as u64) * 37 % 200);
        let _running = tokio::time::timeout(moment, more).await;
        volume.cut().map_err(lab)?;
        shop.kill();
        volume.unmount().map_err(lab)?;
        volume.mount().map_err(lab)?;
        shop.forgive();
        let cut = format!("cut {round}, seed {seed}");
        if let Err(e) = shop.start().await {
            failed.push(Failure { cut, said: format!("does not start: {e}") });
            break;
        }
        let wrong = shop.faults().await?;
        failed.extend(wrong.into_iter().map(|said| Failure { cut: cut.clone(), said }));
    }
    let told = shop.heard()?;
    shop.kill();
    drop(shop);
    Ok(Line::of(NAME, format!("{rounds} rounds, {told} records told"), failed, begun.elapsed()))
}
