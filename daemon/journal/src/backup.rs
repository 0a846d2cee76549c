//! Backup while running, and back.
//!
//! A backup is one tar file: the records from the first kept to the head at its begin as segments, a manifest with a
//! hash of each, and the manifest's keyed digest. Keys are not in it. The stores are not in it either: they are made
//! anew from the segments. Whichever copy holds a record serves it, so a backup can be taken of a damaged journal too.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::disk;
use crate::error::{JournalError, Result};
use crate::frame::{Frame, Hash};
use crate::journal::Journal;
use crate::key::DeviceKey;
use crate::maintain::Progress;
use crate::options::Options;
use crate::read::walk_frames;
use crate::segment::{self, Header};
use crate::shared::lock;
use crate::tar;

const FORMAT: &str = "till-journal-backup";
const VERSION: u32 = 1;
const MANIFEST: &str = "manifest.json";
const MAC: &str = "manifest.mac";
/// Largest file of a backup: a segment's largest size.
const LIMIT: u64 = (1 << 30) + 4096;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupSummary {
    /// First record in it.
    pub first: u64,
    /// Newest record in it.
    pub last: u64,
    /// Records in it.
    pub records: u64,
    /// Hash of the newest record.
    pub head_hash: Hash,
    /// Bytes of the file.
    pub bytes: u64,
    /// Epochs whose records are sealed: each needs its `record-<epoch>` of the keyring to be read again.
    pub sealed_epochs: Vec<u32>,
    /// After a restore: records whose chain holds, but whose key is not there. The journal goes on; what they say is back
    /// with the keyring of the backup's day.
    pub unopened: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Manifest {
    format: String,
    version: u32,
    /// When it was made, ms since 1970, and whether the clock was believed.
    made_ms: i64,
    clock_ok: bool,
    /// Epoch of the newest record, and the fingerprint of the device key that is in force in it.
    epoch: u32,
    key: String,
    first: u64,
    last: u64,
    records: u64,
    /// Hash the first record follows, and hash of the last.
    prev_hash: String,
    head_hash: String,
    /// Epochs with sealed records: each is read with its `record-<epoch>` of the keyring.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sealed_epochs: Vec<u32>,
    segments: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    name: String,
    epoch: u32,
    first: u64,
    last: u64,
    bytes: u64,
    blake3: String,
}

/// Counts what goes through.
struct Counted<'a> {
    out: &'a mut dyn Write,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The segment being gathered.
#[derive(Default)]
struct Gather {
    header: Option<Header>,
    body: Vec<u8>,
    group: Vec<u8>,
    group_first: Option<(u64, Hash)>,
    last: u64,
}

impl Journal {
    /// Writes a backup of everything up to the present head. Appends go on meanwhile (a snapshot or a removal waits).
    /// The caller makes `out` durable.
    pub fn backup(&self, out: &mut dyn Write, progress: Progress<'_>) -> Result<BackupSummary> {
        let shared = self.shared();
        let _one_at_a_time = lock(&shared.maintenance);
        let (head, head_hash) = shared.head();
        let (first, epoch) = {
            let map = lock(&shared.map);
            (map.first_seq(), map.epoch_of(head).0)
        };
        let stamp = shared.clock.now();
        let mut out = Counted { out, bytes: 0 };
        let mut manifest = Manifest {
            format: FORMAT.into(),
            version: VERSION,
            made_ms: stamp.wall_ms,
            clock_ok: stamp.clock_ok,
            epoch,
            key: hex::encode(shared.key.fingerprint(epoch)),
            first,
            last: head,
            records: 0,
            prev_hash: hex::encode([0; 32]),
            head_hash: hex::encode(head_hash),
            sealed_epochs: Vec::new(),
            segments: Vec::new(),
        };
        let mut at = first;
        let mut gather = Gather::default();
        let room = usize::try_from(shared.options.segment_bytes).unwrap_or(usize::MAX) - segment::HEADER_LEN;
        while at <= head {
            // A stretch at a time: what is written must not wait in memory.
            let to = head.min(at.saturating_add(4095));
            let mut full: Vec<(Header, Vec<u8>, u64)> = Vec::new();
            walk_frames(shared, at, Some(to), |record| {
                if manifest.records == 0 {
                    manifest.prev_hash = hex::encode(record.prev_hash);
                }
                if record.sealed && manifest.sealed_epochs.last() != Some(&record.epoch) {
                    manifest.sealed_epochs.push(record.epoch);
                }
                manifest.records += 1;
                full.extend(gather.add(record, room, &shared.options, &shared.key));
                Ok(())
            })?;
            for segment in full {
                write_segment(&mut out, &mut manifest, segment)?;
            }
            at = to.saturating_add(1);
            progress("records copied", to.saturating_sub(first).saturating_add(1), head + 1 - first);
        }
        if let Some(rest) = gather.take() {
            write_segment(&mut out, &mut manifest, rest)?;
        }
        let text = serde_json::to_vec_pretty(&manifest).map_err(|e| failed(&e.into()))?;
        let mac = hex::encode(shared.key.payload_digest(epoch, &text));
        let seconds = seconds(manifest.made_ms);
        tar::put(&mut out, MANIFEST, seconds, &[&text]).map_err(|e| failed(&e))?;
        tar::put(&mut out, MAC, seconds, &[mac.as_bytes()]).map_err(|e| failed(&e))?;
        tar::end(&mut out).and_then(|()| out.flush()).map_err(|e| failed(&e))?;
        Ok(BackupSummary {
            first,
            last: head,
            records: manifest.records,
            head_hash,
            bytes: out.bytes,
            sealed_epochs: manifest.sealed_epochs,
            unopened: 0,
        })
    }
}

impl Gather {
    /// Takes a record; gives a segment back that is full with the records before it.
    fn add(
        &mut self,
        record: &Frame,
        room: usize,
        options: &Options,
        key: &DeviceKey,
    ) -> Option<(Header, Vec<u8>, u64)> {
        let (first, prev) = *self.group_first.get_or_insert((record.seq, record.prev_hash));
        record.encode_into(&mut self.group);
        if record.group_left > 0 {
            return None;
        }
        let turns = self
            .header
            .as_ref()
            .is_none_or(|h| h.epoch != record.epoch || self.body.len() + self.group.len() > room);
        let done = if turns { self.begin(record.epoch, (first, prev), options, key) } else { None };
        self.body.append(&mut self.group);
        self.group_first = None;
        self.last = record.seq;
        done
    }

    fn begin(
        &mut self,
        epoch: u32,
        (first_seq, prev_hash): (u64, Hash),
        options: &Options,
        key: &DeviceKey,
    ) -> Option<(Header, Vec<u8>, u64)> {
        let number = self.header.as_ref().filter(|h| h.epoch == epoch).map_or(1, |h| h.number + 1);
        let (size, fingerprint) = (options.segment_bytes, key.fingerprint(epoch));
        let done = self.take();
        self.header = Some(Header { epoch, number, first_seq, size, prev_hash, fingerprint });
        done
    }

    fn take(&mut self) -> Option<(Header, Vec<u8>, u64)> {
        Some((self.header.take()?, std::mem::take(&mut self.body), self.last))
    }
}

fn write_segment(
    out: &mut Counted<'_>,
    manifest: &mut Manifest,
    (header, body, last): (Header, Vec<u8>, u64),
) -> Result<()> {
    let path = header.path(Path::new("segments"));
    let name = path.to_str().unwrap_or_default().to_owned();
    let head = header.encode();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&head).update(&body);
    tar::put(out, &name, seconds(manifest.made_ms), &[&head, &body]).map_err(|e| failed(&e))?;
    manifest.segments.push(Entry {
        name,
        epoch: header.epoch,
        first: header.first_seq,
        last,
        bytes: (head.len() + body.len()) as u64,
        blake3: hasher.finalize().to_hex().to_string(),
    });
    Ok(())
}

fn seconds(ms: i64) -> u64 {
    u64::try_from(ms / 1000).unwrap_or_default()
}

fn failed(e: &io::Error) -> JournalError {
    JournalError::Io {
        what: "write the backup to",
        path: Path::new("its destination").into(),
        source: Arc::new(io::Error::new(e.kind(), e.to_string())),
    }
}

/// Makes the journal that a backup holds, in `options.dir`, which must be missing or empty. Nothing is there before
/// every hash, the manifest and the whole chain were checked with `key`.
///
/// The journal goes on from the backup's head: what was recorded after it is not known any more. Never let the
/// machine it came from go on beside it.
pub fn restore(
    input: &mut dyn Read,
    options: &Options,
    key: DeviceKey,
    clock: Arc<dyn Clock>,
    progress: Progress<'_>,
) -> Result<BackupSummary> {
    let dir = &options.dir;
    if disk::list(dir)?.iter().any(|p| !p.ends_with("lock")) {
        return Err(JournalError::NotEmpty { dir: dir.clone() });
    }
    let aside = aside(dir);
    if aside.exists() {
        // Of a restore that did not end; the backup has it all.
        fs::remove_dir_all(&aside).map_err(|e| JournalError::io("remove", &aside, e))?;
    }
    disk::make_dir(&aside)?;
    let checked = place(input, &aside, &key, progress).and_then(|manifest| {
        let mut at = options.clone();
        at.dir.clone_from(&aside);
        prove(at, key, clock, &manifest)
    });
    let summary = match checked {
        Ok(summary) => summary,
        Err(e) => {
            let _ = fs::remove_dir_all(&aside);
            return Err(e);
        }
    };
    disk::sync_tree(&aside)?;
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(|e| JournalError::io("replace", dir, e))?;
    }
    disk::rename(&aside, dir)?;
    progress("restored", summary.records, summary.records);
    Ok(summary)
}

fn aside(dir: &Path) -> PathBuf {
    let name = dir.file_name().and_then(|n| n.to_str()).unwrap_or("journal");
    dir.with_file_name(format!("{name}.restoring"))
}

fn bad(detail: impl Into<String>) -> JournalError {
    JournalError::BadBackup { detail: detail.into() }
}

/// Puts the segments into `aside` and checks them against the manifest.
fn place(input: &mut dyn Read, aside: &Path, key: &DeviceKey, progress: Progress<'_>) -> Result<Manifest> {
    let segments = aside.join("segments");
    disk::make_dir(&segments)?;
    let mut found: Vec<(String, u64, String)> = Vec::new();
    let (mut manifest, mut mac) = (None, None);
    let mut bytes = 0;
    while let Some((name, mut content)) = tar::next(input, LIMIT).map_err(|e| bad(e.to_string()))? {
        if name == MANIFEST {
            manifest = Some(content);
        } else if name == MAC {
            mac = Some(content);
        } else {
            let header = Header::decode(&content).map_err(|e| bad(format!("{name}: {e}")))?;
            // The name is made from the header, never taken from the file: it cannot lead elsewhere.
            if header.path(Path::new("segments")).to_str() != Some(name.as_str()) {
                return Err(bad(format!("{name} holds another segment")));
            }
            if header.size < content.len() as u64 || header.size > LIMIT {
                return Err(bad(format!("{name} has an impossible size")));
            }
            let path = header.path(&segments);
            let file = disk::create(&path)?;
            let write = |e: io::Error| JournalError::io("write", &path, e);
            found.push((name, content.len() as u64, blake3::hash(&content).to_hex().to_string()));
            bytes += content.len() as u64;
            // Zeros written, not a hole: a commit must not need new blocks.
            content.resize(usize::try_from(header.size).unwrap_or(usize::MAX), 0);
            file.write_all_at(&content, 0).map_err(write)?;
            file.sync_all().map_err(|e| JournalError::io("sync", &path, e))?;
            progress("bytes read", bytes, 0);
        }
    }
    let (Some(text), Some(mac)) = (manifest, mac) else { return Err(bad("it has no manifest")) };
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|e| bad(format!("its manifest: {e}")))?;
    if manifest.format != FORMAT || manifest.version != VERSION {
        return Err(bad("not a backup of a known version"));
    }
    if manifest.key != hex::encode(key.fingerprint(manifest.epoch)) {
        return Err(JournalError::WrongKey { dir: aside.to_owned() });
    }
    if mac != hex::encode(key.payload_digest(manifest.epoch, &text)).as_bytes() {
        return Err(bad("its manifest was altered"));
    }
    let said: Vec<_> =
        manifest.segments.iter().map(|s| (s.name.clone(), s.bytes, s.blake3.clone())).collect();
    if said != found {
        return Err(bad("its segments are not those of its manifest"));
    }
    Ok(manifest)
}

/// Opens what was placed as the journal would be, and verifies everything in it.
fn prove(
    options: Options,
    key: DeviceKey,
    clock: Arc<dyn Clock>,
    manifest: &Manifest,
) -> Result<BackupSummary> {
    let (journal, _) = Journal::open(options, key, clock)?;
    let head = journal.head();
    let report = journal.verify()?;
    if !report.is_whole() {
        return Err(bad(format!("the records in it do not hold: {}", report.findings.join("; "))));
    }
    let wanted = (manifest.first, manifest.last, manifest.head_hash.clone(), manifest.records);
    if (report.first_seq, head.seq, hex::encode(head.hash), report.records) != wanted && manifest.records > 0
    {
        return Err(bad("the records in it are not those of its manifest"));
    }
    journal.close()?;
    Ok(BackupSummary {
        first: manifest.first,
        last: manifest.last,
        records: manifest.records,
        head_hash: head.hash,
        bytes: manifest.segments.iter().map(|s| s.bytes).sum(),
        sealed_epochs: manifest.sealed_epochs.clone(),
        unopened: report.unopened,
    })
}
