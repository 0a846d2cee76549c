//! From the start of the process to READY, with an empty journal and with one of 100,000 records.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use till_core::PaymentId;
use till_core::record::{KIND, Record};
use till_journal::{Journal, NewRecord, Urgency};
use till_tests::staging;

use crate::figures::{median, time};
use crate::journal::subjects::open_keyed;
use crate::table::Row;
use crate::till::{Bench, PATIENCE};
use crate::{Effort, Outcome};

/// Records of the long journal.
const RECORDS: u64 = 100_000;

/// A `tilld` of its own; gone with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Stops the till of `bench`, then starts it again and again: as it is, and with its own sales repeated to 100,000
/// records.
pub fn rows(bench: &mut Bench, effort: Effort) -> Outcome<Vec<Row>> {
    bench.rig.stop_till();
    let state = bench.dir().join("state");
    let (dir, config) = (state.join("journal"), bench.rig.config_file());
    let key: [u8; 32] = fs::read(state.join("keys/journal-key"))?.as_slice().try_into()?;

    let templates = read_all(&dir, &key)?;
    fs::remove_dir_all(&dir)?;
    let mut rows = Vec::new();
    let first = start(&config, bench.dir())?;
    rows.push(Row::new("start to READY, first start: the journal is made", time(first)));
    let short = starts(&config, bench.dir(), effort)?;
    rows.push(Row::new("start to READY, a journal without sales", time(short)));

    fs::remove_dir_all(&dir)?;
    fill(&dir, &key, &templates)?;
    let long = starts(&config, bench.dir(), effort)?;
    rows.push(
        Row::new(format!("start to READY, a journal of {RECORDS} records"), time(long))
            .beside(format!("without sales, {}", time(short)), long / short)
            .aim("< 1 s", long < 1e6),
    );
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

fn read_all(dir: &Path, key: &[u8; 32]) -> Outcome<Vec<Record>> {
    let journal = open_keyed(dir, key)?;
    let mut records = Vec::new();
    let mut failed = None;
    journal.replay(1, |r| {
        if r.kind == KIND {
            match Record::decode(&r.payload) {
                Ok(record) => records.push(record),
                Err(e) => failed = Some(e),
            }
        }
    })?;
    journal.close()?;
    failed.map_or(Ok(records), |e| Err(e.into()))
}

/// Writes what the till itself wrote for its sales, again and again as other payments, until there are [`RECORDS`].
fn fill(dir: &Path, key: &[u8; 32], templates: &[Record]) -> Outcome {
    let journal = open_keyed(dir, key)?;
    let mut last = None;
    let mut cycle = 0_u32;
    while journal.head().seq < RECORDS {
        cycle += 1;
        for chunk in templates.chunks(10) {
            let records = chunk.iter().map(|r| again(r, cycle)).collect::<Outcome<Vec<_>>>()?;
            last = Some(append(&journal, records)?);
        }
        // Bounds what waits, and keeps the head current.
        if let Some(ticket) = last.take() {
            ticket.wait()?;
        }
    }
    journal.close()?;
    Ok(())
}

fn append(journal: &Journal, records: Vec<NewRecord>) -> Outcome<till_journal::Ticket> {
    Ok(journal.append(records, Urgency::New)?)
}

/// The same record of another payment.
fn again(record: &Record, cycle: u32) -> Outcome<NewRecord> {
    let mut payload = record.encode()?;
    let Some(id) = record.payment() else {
        return Ok(NewRecord { kind: KIND, subject: [0; 16], payload });
    };
    let mut new = id;
    for (byte, mask) in new.0[12..].iter_mut().zip(cycle.to_be_bytes()) {
        *byte ^= mask;
    }
    // An id is sixteen plain bytes wherever it stands in a record.
    for at in 0..payload.len().saturating_sub(15) {
        if payload[at..at + 16] == id.0 {
            payload[at..at + 16].copy_from_slice(&new.0);
        }
    }
    let mut changed = Record::decode(&payload)?;
    if changed.payment() != Some(new) {
        return Err("a record kept its old payment".into());
    }
    if let Record::Opened { key, .. } = &mut changed {
        *key = keyed(new);
    }
    Ok(NewRecord { kind: KIND, subject: new.0, payload: changed.encode()? })
}

/// A front-end's idempotency key: as long as a UUID's text.
fn keyed(id: PaymentId) -> String {
    format!("pos1-{id}")
}
