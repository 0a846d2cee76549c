//! What sealing costs: the same appends, and a replay of them, in clear and sealed, turn by turn.
//!
//! `cargo run --release -p till-journal --example sealing -- DIRECTORY`. On a memory file system it is what the
//! processor does; on a disk the sync hides most of it.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use till_journal::{DeviceKey, Journal, Keyring, NewRecord, Options, SystemClock, Urgency};

const RECORDS: u32 = 5_000;
const TURNS: usize = 7;
/// A usual record of a till.
const PAYLOAD: usize = 180;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// An append that is waited for, one record of a replay, bytes of a frame.
fn turn(dir: &Path, sealed: bool) -> Outcome<(Duration, Duration, usize)> {
    let mut options = Options::new(dir.join("journal"));
    options.force_filesystem = true;
    (options.free_floor, options.ballast_bytes) = (0, 0);
    let clear = DeviceKey::new(&[1; 32]);
    let key = if sealed { clear.sealing(Keyring::load(&dir.join("keyring"), &[2; 32])?) } else { clear };
    let (journal, _) = Journal::open(options, key, Arc::new(SystemClock::new()))?;
    let begun = Instant::now();
    for n in 0..RECORDS {
        let record = NewRecord { kind: 1, subject: [7; 16], payload: vec![n.to_le_bytes()[0]; PAYLOAD] };
        journal.append(vec![record], Urgency::New)?.wait()?;
    }
    let append = begun.elapsed() / RECORDS;
    let bytes = journal.frame(100)?.len();
    journal.close()?;
    let begun = Instant::now();
    journal.replay(1, |_| ())?;
    Ok((append, begun.elapsed() / RECORDS, bytes))
}

fn main() -> Outcome<()> {
    let root = std::env::args().nth(1).ok_or("usage: sealing DIRECTORY")?;
    let mut rows: [Vec<(Duration, Duration, usize)>; 2] = [Vec::new(), Vec::new()];
    for n in 0..TURNS {
        for (sealed, rows) in [false, true].into_iter().zip(&mut rows) {
            let dir = Path::new(&root).join(format!("sealing-{n}-{sealed}"));
            std::fs::create_dir_all(&dir)?;
            rows.push(turn(&dir, sealed)?);
            std::fs::remove_dir_all(&dir)?;
        }
    }
    for (name, rows) in ["clear", "sealed"].into_iter().zip(&mut rows) {
        // The middle one: other work on the machine falls on a turn, not on all.
        rows.sort();
        let (append, _, bytes) = rows[rows.len() / 2];
        rows.sort_by_key(|row| row.1);
        let replay = rows[rows.len() / 2].1;
        println!("{name}: append {append:?}, replay {replay:?} a record, frame {bytes} bytes");
    }
    Ok(())
}
