//! From the start of the process to READY, with an empty journal and with ones of a thousand to a million records, with
//! a snapshot of the state at their end and without any.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use till_journal::SystemClock;
use till_tests::staging;

use crate::figures::{median, time};
use crate::stock::Stock;
use crate::table::Row;
use crate::till::{Bench, PATIENCE};
use crate::{Effort, Outcome};

/// Records of the journals.
const RECORDS: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// A `tilld` of its own; gone with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Starts the stopped till of `bench` again and again, on journals of its own sales repeated.
pub fn rows(bench: &Bench, stock: &mut Stock, effort: Effort) -> Outcome<Vec<Row>> {
    let config = bench.rig.config_file();
    let dir = stock.dir().to_owned();
    fs::remove_dir_all(&dir)?;
    let mut rows = Vec::new();
    let first = start(&config, bench.dir())?;
    rows.push(Row::new("start to READY, first start: the journal is made", time(first)));
    let short = starts(&config, bench.dir(), effort)?;
    rows.push(Row::new("start to READY, a journal without sales", time(short)));

    for records in &RECORDS[..effort.pick(4, 3)] {
        eprintln!("  … a journal of {records} records");
        // Anew each time: a snapshot of the shorter journal would shorten the way of the longer one.
        let _old = fs::remove_dir_all(&dir);
        let store = stock.open(None, Arc::new(SystemClock::new()))?;
        stock.fill(&store, *records)?;
        store.journal.close()?;
        drop(store);
        let whole = starts(&config, bench.dir(), effort)?;
        let store = stock.open(None, Arc::new(SystemClock::new()))?;
        store.snapshot()?;
        store.journal.close()?;
        drop(store);
        let snapped = starts(&config, bench.dir(), effort)?;
        rows.push(
            Row::new(
                format!("start to READY, {records} records, newest snapshot at their end"),
                time(snapped),
            )
            .beside(format!("no snapshot: every record is folded, {}", time(whole)), snapped / whole)
            .aim("< 1 s", snapped < 1e6),
        );
    }
    Ok(rows)
}

fn starts(config: &Path, dir: &Path, effort: Effort) -> Outcome<f64> {
    let times = (0..effort.pick(7, 3)).map(|_| start(config, dir)).collect::<Outcome<Vec<f64>>>()?;
    Ok(median(&times))
}

/// Microseconds from the start of the process to READY=1, which comes after the bus name.
fn start(config: &Path, dir: &Path) -> Outcome<f64> {
    let address: PathBuf = dir.join("run/notify");
    let _left = fs::remove_file(&address);
    let notify = UnixDatagram::bind(&address)?;
    notify.set_read_timeout(Some(PATIENCE))?;
    let program = staging::built()?.join("tilld");
    let begun = Instant::now();
    let mut running = Running(
        Command::new(program)
            .arg("--config")
            .arg(config)
            .env("NOTIFY_SOCKET", &address)
            .env_remove("JOURNAL_STREAM")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?,
    );
    let mut message = [0; 4096];
    loop {
        let read = notify.recv(&mut message).map_err(|e| format!("tilld did not get ready: {e}"))?;
        if message[..read].split(|b| *b == b'\n').any(|line| line == b"READY=1") {
            break;
        }
    }
    let took = begun.elapsed();
    stop(&mut running)?;
    Ok(took.as_secs_f64() * 1e6)
}

/// Ends it as systemd does: what is measured is a start after an orderly stop.
fn stop(running: &mut Running) -> Outcome {
    let pid = rustix::process::Pid::from_child(&running.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    let deadline = Instant::now() + PATIENCE;
    while running.0.try_wait()?.is_none() {
        if Instant::now() > deadline {
            return Err("tilld does not stop".into());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
