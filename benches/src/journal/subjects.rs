//! What is compared, each behind the same two calls: append one record durably, and many writers at once.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use till_journal::{
    DeviceKey, HASH_LEN, HEADER_LEN, Journal, Keyring, NewRecord, Options, SystemClock, Urgency,
};

use crate::Outcome;

const FRAME: usize = 300;
const AHEAD: u64 = 8 << 20;
const GROUP: usize = 64;

/// Which subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Appends to a growing file.
    Raw,
    /// Blocks allocated ahead, not written.
    RawAllocated,
    /// Blocks allocated and written with zeros ahead.
    RawZeroed,
    /// Ours.
    Journal,
    /// In write-ahead mode, `synchronous=FULL`.
    Sqlite,
}

/// All subjects.
pub const KINDS: [Kind; 5] = [Kind::Raw, Kind::RawAllocated, Kind::RawZeroed, Kind::Journal, Kind::Sqlite];

impl Kind {
    /// As in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw append + fdatasync",
            Self::RawAllocated => "raw, fallocated",
            Self::RawZeroed => "raw, zeroed ahead",
            Self::Journal => "till-journal",
            Self::Sqlite => "SQLite WAL FULL",
        }
    }
}

/// Something that takes frames and makes them durable in one go.
pub trait Log: Send {
    /// Writes the frames; they are durable on return.
    fn commit(&mut self, frames: &[Vec<u8>]) -> Outcome<()>;
}

struct RawLog {
    file: File,
    at: u64,
}

impl Log for RawLog {
    fn commit(&mut self, frames: &[Vec<u8>]) -> Outcome<()> {
        let all = frames.concat();
        self.file.write_all_at(&all, self.at)?;
        self.file.sync_data()?;
        self.at += all.len() as u64;
        Ok(())
    }
}

struct SqliteLog {
    connection: Connection,
}

impl Log for SqliteLog {
    fn commit(&mut self, frames: &[Vec<u8>]) -> Outcome<()> {
        let transaction = self.connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO j (frame) VALUES (?1)")?;
            for frame in frames {
                insert.execute([frame])?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

/// A subject that has been started.
pub enum Subject {
    /// A log that commits on the caller's thread.
    Log(Box<dyn Log>),
    /// The journal, with its own committer.
    Journal(Journal),
}

fn raw(kind: Kind, dir: &Path) -> Outcome<RawLog> {
    let file = File::create_new(dir.join("log"))?;
    if kind != Kind::Raw {
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, AHEAD)?;
    }
    if kind == Kind::RawZeroed {
        file.write_all_at(&vec![0; usize::try_from(AHEAD)?], 0)?;
    }
    file.sync_all()?;
    Ok(RawLog { file, at: 0 })
}

/// Opens a journal of the measurement's own key in `dir`.
pub fn open_journal(dir: &Path) -> Outcome<Journal> {
    // Sealed, as a till's is.
    let keyring = Keyring::load(&dir.join("keyring"), &[2; 32])?;
    open_keyed(&dir.join("journal"), DeviceKey::new(&[1; 32]).sealing(keyring))
}

/// Opens the journal `dir` that belongs to `key`. The running program must answer `probe DIRECTORY` with
/// [`till_journal::probe_main`].
pub fn open_keyed(dir: &Path, key: DeviceKey) -> Outcome<Journal> {
    let mut options = Options::new(dir);
    options.force_filesystem = true;
    options.probe =
        till_journal::Probe::Command { program: std::env::current_exe()?, args: vec!["probe".into()] };
    let (journal, report) = Journal::open(options, key, Arc::new(SystemClock::new()))?;
    if report.has_alarm() {
        return Err(format!("{:?}", report.events).into());
    }
    Ok(journal)
}

/// A record of `FRAME` bytes; eight share a subject.
pub fn record(n: u64) -> NewRecord {
    let mut subject = [1u8; 16];
    subject[..8].copy_from_slice(&(n / 8).to_be_bytes());
    NewRecord { kind: 1, subject, payload: vec![0x5a; FRAME - HEADER_LEN - HASH_LEN] }
}

impl Subject {
    /// Makes the subject in an empty directory.
    pub fn start(kind: Kind, dir: &Path) -> Outcome<Self> {
        Ok(match kind {
            Kind::Raw | Kind::RawAllocated | Kind::RawZeroed => Self::Log(Box::new(raw(kind, dir)?)),
            Kind::Journal => Self::Journal(open_journal(dir)?),
            Kind::Sqlite => {
                let connection = Connection::open(dir.join("sqlite"))?;
                connection.pragma_update(None, "journal_mode", "WAL")?;
                connection.pragma_update(None, "synchronous", "FULL")?;
                connection.execute("CREATE TABLE j (seq INTEGER PRIMARY KEY, frame BLOB NOT NULL)", [])?;
                Self::Log(Box::new(SqliteLog { connection }))
            }
        })
    }

    /// Appends one record; it is durable on return.
    pub fn append(&mut self) -> Outcome<()> {
        match self {
            Self::Log(log) => log.commit(&[vec![0x5a; FRAME]]),
            Self::Journal(journal) => {
                journal.append(vec![record(7)], Urgency::New)?.wait()?;
                Ok(())
            }
        }
    }

    /// Ends it in order.
    pub fn stop(self) -> Outcome<()> {
        if let Self::Journal(journal) = self {
            journal.close()?;
        }
        Ok(())
    }

    /// `writers` threads, each one record at a time; the time from the common start to the last answer.
    pub fn group(self, writers: usize, each: usize) -> Outcome<Duration> {
        match self {
            Self::Journal(journal) => {
                let took = race(writers, |id| {
                    let journal = journal.clone();
                    move || {
                        for n in 0..each {
                            let made = record((id * each + n) as u64);
                            let done =
                                journal.append(vec![made], Urgency::New).and_then(till_journal::Ticket::wait);
                            done.map_err(|e| e.to_string())?;
                        }
                        Ok(())
                    }
                })?;
                journal.close()?;
                Ok(took)
            }
            Self::Log(log) => {
                // The same group commit as the journal's: one thread, at most 64 a sync, bounded queue.
                let (queue, incoming) = mpsc::sync_channel::<(Vec<u8>, SyncSender<()>)>(1024);
                let committer = thread::spawn(move || commit_all(log, &incoming).map_err(|e| e.to_string()));
                let took = race(writers, |_| {
                    let queue = queue.clone();
                    move || {
                        for _ in 0..each {
                            let (answer, answered) = mpsc::sync_channel(1);
                            queue.send((vec![0x5a; FRAME], answer)).map_err(|e| e.to_string())?;
                            answered.recv().map_err(|e| e.to_string())?;
                        }
                        Ok(())
                    }
                })?;
                drop(queue);
                committer.join().map_err(|_| "the committer panicked")??;
                Ok(took)
            }
        }
    }
}

fn commit_all(mut log: Box<dyn Log>, incoming: &Receiver<(Vec<u8>, SyncSender<()>)>) -> Outcome<()> {
    while let Ok(first) = incoming.recv() {
        let mut frames = vec![first.0];
        let mut answers = vec![first.1];
        while frames.len() < GROUP
            && let Ok((frame, answer)) = incoming.try_recv()
        {
            frames.push(frame);
            answers.push(answer);
        }
        log.commit(&frames)?;
        for answer in answers {
            let _ = answer.send(());
        }
    }
    Ok(())
}

fn race<W>(writers: usize, mut make: impl FnMut(usize) -> W) -> Outcome<Duration>
where
    W: FnOnce() -> Result<(), String> + Send + 'static,
{
    let start = Arc::new(Barrier::new(writers + 1));
    let threads: Vec<_> = (0..writers)
        .map(|id| {
            let (start, work) = (Arc::clone(&start), make(id));
            thread::spawn(move || {
                start.wait();
                work()
            })
        })
        .collect();
    start.wait();
    let begun = Instant::now();
    for thread in threads {
        thread.join().map_err(|_| "a writer panicked")??;
    }
    Ok(begun.elapsed())
}
