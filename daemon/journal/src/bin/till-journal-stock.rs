//! The laboratory's negative control: sled as it comes, without the shim, as the only copy.
//!
//! Not installed. It links no code of till-journal, so `sync_file_range` is libc's. Its flush says "durable" and is
//! not: a power-cut test that does not catch this program proves nothing.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["write", dir, count, ..] => write(dir, count),
        ["verify", dir, acked @ ..] => verify(dir, acked),
        _ => Err("usage: write DIR COUNT | verify DIR 0:COUNT".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            println!("FAILED {e}");
            ExitCode::FAILURE
        }
    }
}

fn open(dir: &str) -> sled::Result<sled::Db> {
    sled::Config::new().path(dir).cache_capacity(4 << 20).flush_every_ms(Some(2000)).open()
}

fn write(dir: &str, count: &str) -> Result<(), Box<dyn Error>> {
    let db = open(dir)?;
    let count: u64 = count.parse()?;
    for at in 1..=count {
        db.insert(at.to_be_bytes(), vec![7u8; 300])?;
        db.flush()?;
        std::io::stdout().write_all(format!("acked 0 {at}\n").as_bytes())?;
    }
    Ok(())
}

fn verify(dir: &str, acked: &[&str]) -> Result<(), Box<dyn Error>> {
    let db = open(dir)?;
    for pair in acked {
        let count: u64 = pair.split_once(':').ok_or("0:COUNT expected")?.1.parse()?;
        for at in 1..=count {
            if db.get(at.to_be_bytes())?.is_none() {
                return Err(format!("LOST: {count} acknowledged, {at} is gone").into());
            }
        }
    }
    println!("fine");
    Ok(())
}
