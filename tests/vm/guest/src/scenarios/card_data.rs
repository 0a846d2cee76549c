//! After a card has paid, its number and its tracks are nowhere (C1 to C5, C8): not in the memory of any process of the till, not
//! in swap, in no file, in no block of the disk, in no log, and no process that dies leaves a core.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use rustix::process::Signal;
use till_simulators::acquirer::Terminal;
use till_simulators::acquirer::cards::Card;
use till_tests::memory;
use till_tests::scene::again;
use till_tests::search::{self, Found, Needle, Search};

use crate::error::{VmError, claim};
use crate::gadget::{Function, Gadget};
use crate::keyboard::swipe_usb;
use crate::system;
use crate::till::{CONFIG, Till, site_rules};

/// Of Visa's test range, and nowhere else in the guest.
const PAN: &str = "4761739001010143";
/// What `till-sim`, which is installed there, brings with it: the search of the disk must find it.
const CONTROL: &str = "4761739001010119";
const TRACK: &str = "7391586428";
const DEVICES: &str = "[device.reader]\nplugin = \"org.tilld.magstripe\"\ntransport = { kind = \"udev\" }\n";
const SWAP: &str = "/var/swap";
/// What a search reads at once, and how much of it is read again.
const PIECE: usize = 8 << 20;
const OVERLAP: usize = 1024;

/// Swap, and a name for cores.
struct Traps;

impl Traps {
    fn set() -> Result<Self, VmError> {
        let program =
            format!("fallocate -l 192M {SWAP} && chmod 600 {SWAP} && mkswap -q {SWAP} && swapon {SWAP}");
        system::run("sh", &["-c", &program])?;
        fs::write("/proc/sys/kernel/core_pattern", "/var/tmp/core.%p")
            .map_err(VmError::file("core_pattern"))?;
        Ok(Self)
    }
}

impl Drop for Traps {
    fn drop(&mut self) {
        let _off = system::run("sh", &["-c", &format!("swapoff {SWAP}; rm -f {SWAP}")]);
        let _said = system::unit("");
    }
}

/// Looks through a file or a disk of any size.
fn through(path: &str, search: &Search<'_>, found: &mut Vec<Found>) -> Result<u64, VmError> {
    let mut file = File::open(path).map_err(VmError::file(path))?;
    let (mut hay, mut kept, mut all) = (vec![0; OVERLAP + PIECE], 0, 0_u64);
    loop {
        let end = hay.len().min(kept + PIECE);
        let count = file.read(hay.get_mut(kept..end).unwrap_or_default()).map_err(VmError::file(path))?;
        if count == 0 {
            return Ok(all);
        }
        all += count as u64;
        let len = kept + count;
        search.bytes(path, hay.get(..len).unwrap_or_default(), found);
        let from = len.saturating_sub(OVERLAP);
        hay.copy_within(from..len, 0);
        kept = len - from;
    }
}

fn none(found: &[Found], what: &str) -> Result<(), VmError> {
    claim(found.is_empty(), format!("{what}: {found:?}"))
}

pub(super) async fn run(till: &Till) -> Result<String, VmError> {
    site_rules("")?;
    system::unit("[Service]\nEnvironment=TILLD_LOG=debug\n")?;
    let traps = Traps::set()?;
    let mut reader = Gadget::new("wedge", (0x0801, 0x0001), "W1", Function::Keyboard)?;
    reader.plug()?;
    till.devices(DEVICES).await?;
    till.device("reader", "ready").await?;
    let swipe = again(&format!("%B{PAN}^TEST/CARD^3012101{TRACK}?;{PAN}=3012101{TRACK}?"));
    let end = reader.end()?;
    till.acquirer.set_card(PAN, Card::default());
    let payment = till.sale(1_310).await?;
    till.pays(&payment, || swipe_usb(&end, &swipe, usize::MAX)).await?;

    let cards = [Needle::digits("card number", PAN), Needle::digits("track data", TRACK)];
    let search = Search::new(&cards);
    let mut found = Vec::new();
    let (mut looked, processes) = (0, system::processes()?);
    claim(processes.len() > 3, format!("only {processes:?} are there"))?;
    for pid in &processes {
        looked +=
            memory::search(*pid, &pid.to_string(), &search, &mut found).map_err(VmError::file("memory"))?;
    }
    none(&found, "in memory after the sale")?;
    claim(looked > 4 << 20, format!("only {looked} bytes of memory were looked at"))?;
    // The control: whoever presented the card still has it.
    memory::search(std::process::id(), "the scenario", &search, &mut found)
        .map_err(VmError::file("memory"))?;
    claim(!found.is_empty(), "the search does not find what is there")?;
    found.clear();

    // All that can be swapped out is.
    let group = "/sys/fs/cgroup/system.slice/tilld.service/memory.reclaim";
    let _as_much_as_goes = fs::write(group, "256M");
    let swapped =
        system::run("sh", &["-c", "cat /sys/fs/cgroup/system.slice/tilld.service/memory.swap.current"])?;
    claim(swapped.parse::<u64>().unwrap_or(0) > 1 << 20, format!("only {swapped} bytes were swapped out"))?;
    let log = system::run("journalctl", &["--no-pager", "--output=export", "--unit=tilld.service"])?;
    claim(log.contains("DEBUG") || log.len() > 10_000, "the log is not the long one")?;
    search.bytes("the system's log", log.as_bytes(), &mut found);
    search.bytes("the kernel's log", system::run("dmesg", &[])?.as_bytes(), &mut found);
    for folder in ["/run/log", "/run/tilld", "/tmp", "/dev/shm"].into_iter().filter(|f| Path::new(f).exists())
    {
        search::files(Path::new(folder), &[], &cards, &mut found).map_err(VmError::file(folder))?;
    }
    none(&found, "in logs and files in memory")?;

    // Cores, had there been any, would be on the disk.
    for pid in processes.iter().rev() {
        system::signal(*pid, Signal::ABORT);
    }
    let first = processes.first().copied().unwrap_or(0);
    till.until("the unit starts tilld again", || async {
        system::pid().is_ok_and(|pid| pid != 0 && pid != first) && till.client.is_up().await
    })
    .await?;
    let cores = system::run(
        "sh",
        &["-c", "ls -d /var/tmp/core* /var/lib/tilld/core* /core* /var/crash 2>/dev/null || true"],
    )?;
    claim(cores.is_empty(), format!("cores were left: {cores}"))?;

    let mut all = cards.to_vec();
    all.push(Needle::digits("control", CONTROL));
    // Every block of the disk: files, what files had there before, the file system's journal, swap.
    system::run("sync", &[])?;
    fs::write("/proc/sys/vm/drop_caches", "3").map_err(VmError::file("drop_caches"))?;
    let disk = system::run("findmnt", &["--noheadings", "--output=SOURCE", "/var/lib/tilld/.."])
        .or_else(|_| system::run("findmnt", &["--noheadings", "--output=SOURCE", "/"]))?;
    let bytes = through(&disk, &Search::new(&all), &mut found)?;
    claim(found.iter().any(|f| f.what == "control"), "the search of the disk does not find what is there")?;
    found.retain(|f| f.what != "control");
    none(&found, "on the disk")?;
    // Its key is in the one file that it came in, and in no other.
    let tmk = [Needle::bytes("terminal master key", &Terminal::default().tmk)];
    let mut keys = Vec::new();
    search::files(Path::new(CONFIG), &[], &tmk, &mut keys).map_err(VmError::file(CONFIG))?;
    claim(!keys.is_empty() && keys.iter().all(|k| k.place.contains("/secrets/")), format!("{keys:?}"))?;
    search::files(Path::new("/var/lib/tilld"), &[], &tmk, &mut found)
        .map_err(VmError::file("/var/lib/tilld"))?;
    none(&found, "a bank's key in the till's state")?;
    drop(traps);
    till.devices("").await?;
    Ok(format!("{} processes, {} MiB of memory, {} MiB of disk", processes.len(), looked >> 20, bytes >> 20))
}
