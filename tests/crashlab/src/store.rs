//! sled alone, as the only copy: what the controls are made of. Compiled into two programs: one links till-journal and
//! so its shim of `sync_file_range`, the other does not. A module of the programs, not of the library, for that reason.
//!
//! `write DIR COUNT SIZE` · `judge HEAL`

#![allow(unsafe_code)] // asks libc whether the shim is there

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Whether this program's `sync_file_range` is the shim.
fn shimmed() -> bool {
    // SAFETY: plain values; −1 is never an open descriptor.
    let code = unsafe { libc::sync_file_range(-1, 0, 0, 0) };
    code == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS)
}

pub(crate) fn main(shim: bool, args: &[String]) -> ExitCode {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        _ if shimmed() != shim => Err("this program's sync_file_range is not what the control needs".into()),
        ["write", dir, count, size] => write(Path::new(dir), count, size),
        ["judge", heal] => judge(*heal == "heal"),
        _ => Err("usage: write DIR COUNT SIZE | judge heal|no-heal".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn open(dir: &Path) -> sled::Result<sled::Db> {
    sled::Config::new()
        .path(dir)
        .cache_capacity(4 << 20)
        .mode(sled::Mode::LowSpace)
        .flush_every_ms(Some(2000))
        .open()
}

fn sync_tree(dir: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_tree(&path)?;
        } else {
            fs::File::open(&path)?.sync_all()?;
        }
    }
    fs::File::open(dir)?.sync_all()
}

/// The store is made durably, so that what the controls show is what they are about.
fn create(root: &Path) -> Outcome<sled::Db> {
    let (path, aside) = (root.join("store"), root.join("store.new"));
    if !path.exists() {
        drop(open(&aside)?);
        sync_tree(&aside)?;
        fs::rename(&aside, &path)?;
        fs::File::open(root)?.sync_all()?;
    }
    Ok(open(&path)?)
}

fn write(root: &Path, count: &str, size: &str) -> Outcome<()> {
    let (count, size): (u64, usize) = (count.parse()?, size.parse()?);
    let db = create(root)?;
    let from = db.len() as u64;
    for at in from + 1..=from + count {
        db.insert(at.to_be_bytes(), value(at, size))?;
        db.flush()?;
        std::io::stdout().write_all(format!("acked 0 {at}\n").as_bytes())?;
    }
    Ok(())
}

fn value(at: u64, size: usize) -> Vec<u8> {
    // Not the same byte all over: sled compresses nothing, but a reader shall notice a piece that is missing.
    (0..size as u64).map(|i| (i.wrapping_mul(31).wrapping_add(at) & 0xff) as u8).collect()
}

fn judge(heal: bool) -> Outcome<()> {
    for line in std::io::stdin().lines() {
        let line = line?;
        // Records, destroyed keys (a store has none), quiet, directory.
        let mut words = line.splitn(4, ' ');
        let need: u64 = words.next().unwrap_or_default().parse()?;
        let dir = Path::new(words.nth(2).unwrap_or_default()).join("store");
        let answer = look(&dir, need, heal).map_or_else(|e| format!("FAILED {e}"), |()| "fine".into());
        println!("{}", answer.replace('\n', " "));
    }
    Ok(())
}

fn look(dir: &Path, need: u64, heal: bool) -> Outcome<()> {
    if need == 0 && !dir.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(dir)?.flatten() {
        if heal && entry.file_name().to_string_lossy().ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    let db = open(dir).map_err(|e| format!("does not open: {e}"))?;
    for at in 1..=need {
        let Some(found) = db.get(at.to_be_bytes())? else {
            return Err(format!("LOST: {need} promised, {at} is gone").into());
        };
        if found != value(at, found.len()) {
            return Err(format!("LOST: {at} is another than was promised").into());
        }
    }
    Ok(())
}
