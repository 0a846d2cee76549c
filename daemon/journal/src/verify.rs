//! Verification of everything: each record against the key, the chain, both copies and the index.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{JournalError, Result};
use crate::frame::{Frame, Hash, OpenError};
use crate::journal::Journal;
use crate::read::store_of;
use crate::recover::Deep;
use crate::retain;
use crate::rotation::{KIND_KEY_LINK, KeyLink};
use crate::segment::{Image, Tail};
use crate::shared::{Shared, lock};
use crate::store::Store;

/// Most findings listed one by one; all are counted.
const LISTED: usize = 100;

/// What verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// First record looked at.
    pub first_seq: u64,
    /// Newest record looked at.
    pub head_seq: u64,
    /// Its hash: compare it with one noted elsewhere to know that nothing was cut off.
    pub head_hash: Hash,
    /// Records that hold in at least one copy and follow the one before.
    pub records: u64,
    /// Records the store lacks or holds altered.
    pub store_damage: u64,
    /// Records the segments lack or hold altered.
    pub segment_damage: u64,
    /// Records the index does not find, and entries that find none.
    pub index_damage: u64,
    /// Records lost in both copies, or that break the chain.
    pub lost: u64,
    /// Records whose chain holds, but that could not be looked into: the key of their epoch's records is not there, or
    /// another one. No damage: what is needed is the folder of keys.
    pub unopened: u64,
    /// The first findings, in words.
    pub findings: Vec<String>,
}

impl VerifyReport {
    /// Both copies, the chain and the index are without fault.
    pub fn is_whole(&self) -> bool {
        self.store_damage == 0 && self.segment_damage == 0 && self.index_damage == 0 && self.lost == 0
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        if self.findings.len() < LISTED {
            self.findings.push(text());
        }
    }
}

impl Journal {
    /// Checks every record up to the present head. Takes one segment and one page of the store into memory at a time;
    /// appends go on meanwhile.
    ///
    /// Damage in a segment leaves a mark in the journal's directory: the next open reads all segments and rewrites
    /// the damaged ones from the store, and makes the index anew. A record the store lost is put back here.
    pub fn verify(&self) -> Result<VerifyReport> {
        let shared = self.shared();
        let head = shared.head();
        shared.drained()?;
        let (live, epochs, paths) = {
            let map = lock(&shared.map);
            let epochs: Vec<(u32, u64)> = map.epochs.iter().map(|(n, e)| (*n, e.first_seq)).collect();
            (map.live, epochs, map.segments.clone())
        };
        let mut report = VerifyReport { first_seq: lock(&shared.map).first_seq(), ..VerifyReport::default() };
        // What was removed by a summary is not missing; what is missing beyond it is.
        let expect = match retain::newest(shared)? {
            Some(summary) => (summary.last.saturating_add(1), summary.head_hash),
            None => (1, [0; 32]),
        };
        if report.first_seq > expect.0 {
            let gone = report.first_seq - expect.0;
            report.lost += gone;
            report.note(|| {
                format!("records {} to {} are gone, no summary covers them", expect.0, expect.0 + gone - 1)
            });
        }
        let expect = (report.first_seq == expect.0).then_some(expect);
        let mut marked = BTreeSet::new();
        let mut walk = Walk {
            shared,
            report: &mut report,
            expect,
            epoch: 0,
            link: None,
            unopened_epoch: None,
            head: head.0,
        };
        for (index, (epoch, first)) in epochs.iter().enumerate() {
            let end = epochs.get(index + 1).map_or(head.0, |(_, next)| next.saturating_sub(1));
            let files: Vec<_> = paths.iter().filter(|s| s.epoch == *epoch).map(|s| s.path.clone()).collect();
            let before = walk.report.segment_damage + walk.report.index_damage;
            walk.epoch(*epoch, *first, end, &files, *epoch == live)?;
            if walk.report.segment_damage + walk.report.index_damage > before {
                marked.insert(*epoch);
            }
        }
        report.head_seq = head.0;
        report.head_hash = head.1;
        if !marked.is_empty() {
            Deep::add(&shared.options.dir, &marked)?;
        }
        Ok(report)
    }
}

struct Walk<'a> {
    shared: &'a Arc<Shared>,
    report: &'a mut VerifyReport,
    /// Seq and link the next record must have; nothing is expected of the very first kept one.
    expect: Option<(u64, Hash)>,
    /// The epoch being looked at; a record of another has no place in it.
    epoch: u32,
    /// The newest hand-over to another device key.
    link: Option<Frame>,
    /// The newest epoch that was told not to open.
    unopened_epoch: Option<u32>,
    head: u64,
}

impl Walk<'_> {
    fn epoch(&mut self, epoch: u32, first: u64, end: u64, files: &[PathBuf], live: bool) -> Result<()> {
        self.check_hand_over(epoch, first);
        let store = match store_of(self.shared, epoch) {
            Ok(store) => store,
            // Lost in the segments too, else the store had been made from them.
            Err(e @ JournalError::Damaged { .. }) => {
                self.report.lost += end.saturating_sub(first).saturating_add(1);
                self.report.note(|| format!("epoch {epoch}, records {first} to {end}: {e}"));
                self.expect = None;
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        let mut at = first;
        let mut indexed = 0u64;
        for (index, path) in files.iter().enumerate() {
            let image = match Image::read(path, &self.shared.key)? {
                Ok(image) => Some(image),
                Err(why) => {
                    self.report.segment_damage += 1;
                    self.report.note(|| format!("{}: {why}", path.display()));
                    None
                }
            };
            // A commit in flight looks like a torn tail: only in the live epoch's last segment.
            let in_flight = live && index + 1 == files.len();
            let to = match image.as_ref() {
                Some(image) => {
                    let bad = image.wrong_length() || (image.tail != Tail::Clean && !in_flight);
                    if bad || matches!(image.tail, Tail::Damaged(_)) {
                        self.report.segment_damage += 1;
                        self.report.note(|| {
                            format!("{}: damaged behind record {}", path.display(), image.next_seq() - 1)
                        });
                    }
                    image.next_seq().saturating_sub(1).min(end)
                }
                None => at.saturating_sub(1),
            };
            indexed += self.records(&store, image.as_ref(), at, to)?;
            at = at.max(to.saturating_add(1));
            // What the segment should have held up to the next one's begin is looked for in the store alone.
            let next_first = match files.get(index + 1) {
                Some(next) => match Image::read(next, &self.shared.key)? {
                    Ok(next) => next.header.first_seq,
                    Err(_) => at,
                },
                None => end.saturating_add(1),
            };
            if at < next_first {
                indexed += self.records(&store, None, at, next_first - 1)?;
                at = next_first;
            }
        }
        self.index(&store, indexed, end)
    }

    /// Where the device key changes, the old key must have handed the chain over to the new one.
    fn check_hand_over(&mut self, epoch: u32, first: u64) {
        let key = &self.shared.key;
        let before = std::mem::replace(&mut self.epoch, epoch);
        let link = self.link.take();
        // What came before the first epoch that is kept cannot be looked at.
        if before == 0 || key.fingerprint(before) == key.fingerprint(epoch) {
            return;
        }
        if !link.and_then(|frame| frame.in_clear()).is_some_and(|record| KeyLink::holds(&record, key, epoch))
        {
            self.report.lost += 1;
            self.report
                .note(|| format!("record {first} has another device key, which nobody handed the chain to"));
        }
    }

    /// Checks records `from` to `to` in both copies; returns how many belong in the index.
    fn records(&mut self, store: &Store, image: Option<&Image>, from: u64, to: u64) -> Result<u64> {
        let mut indexed = 0;
        let mut at = from;
        while at <= to {
            let page_end = to.min(at.saturating_add(255));
            let mut page = store.page(at, 256).unwrap_or_default().into_iter().peekable();
            for seq in at..=page_end {
                while page.next_if(|(k, _)| *k < seq).is_some() {}
                let stored = page.next_if(|(k, _)| *k == seq).map(|(_, bytes)| bytes);
                indexed += u64::from(self.record(store, seq, stored.as_deref(), image)?);
            }
            at = page_end.saturating_add(1);
        }
        Ok(indexed)
    }

    /// Returns whether the record belongs in the index.
    fn record(
        &mut self,
        store: &Store,
        seq: u64,
        stored: Option<&[u8]>,
        image: Option<&Image>,
    ) -> Result<bool> {
        let (key, epoch) = (&self.shared.key, self.epoch);
        let read =
            |bytes: &[u8]| Frame::decode_exact(bytes, key).ok().filter(|r| r.seq == seq && r.epoch == epoch);
        let in_store = stored.and_then(read);
        let in_segment = image.and_then(|i| i.frame_of(seq)).and_then(read);
        if in_segment.is_none() {
            self.report.segment_damage += 1;
            self.report.note(|| format!("record {seq} is missing or altered in the segments"));
        }
        let differs = in_segment.is_some() && in_store.is_some() && in_segment != in_store;
        if in_store.is_none() || differs {
            self.report.store_damage += 1;
            self.report.note(|| format!("record {seq} is missing or altered in the store"));
            if let Some((record, bytes)) = in_segment.as_ref().zip(image.and_then(|i| i.frame_of(seq))) {
                store.put(seq, &record.subject, bytes)?;
            }
        }
        let Some(record) = in_segment.or(in_store) else {
            self.report.lost += 1;
            self.report.note(|| format!("record {seq} is lost in both copies"));
            self.expect = None;
            return Ok(false);
        };
        if self.expect.is_some_and(|e| e != (seq, record.prev_hash)) {
            self.report.lost += 1;
            self.report.note(|| format!("record {seq} does not follow the record before it"));
        }
        self.expect = Some((seq.saturating_add(1), record.hash));
        self.report.records += 1;
        self.look_into(&record);
        if record.kind == KIND_KEY_LINK {
            self.link = Some(record.clone());
        }
        if record.subject == [0; 16] {
            return Ok(false);
        }
        if !store.is_indexed(&record.subject, seq)? {
            self.report.index_damage += 1;
            self.report.note(|| format!("record {seq} is missing in the index"));
            store.put_index(&record.subject, seq)?;
        }
        Ok(true)
    }

    /// Whether what the chain says is whole can be read, too.
    fn look_into(&mut self, record: &Frame) {
        if !record.sealed {
            return;
        }
        let Err(e) = self.shared.key.open(record, &record.body) else { return };
        self.report.unopened += 1;
        let (OpenError::NoKey { epoch, .. } | OpenError::WrongKey { epoch }) = &e;
        if self.unopened_epoch.replace(*epoch) != Some(*epoch) {
            self.report.note(|| JournalError::from(e).to_string());
        }
    }

    /// Entries too many: only told when nothing was appended meanwhile, else the count is not comparable.
    fn index(&mut self, store: &Store, indexed: u64, end: u64) -> Result<()> {
        let entries = store.index_len()?;
        if end <= self.head && self.shared.head().0 == self.head && entries > indexed {
            self.report.index_damage += entries - indexed;
            self.report.note(|| format!("the index has {} entries that find no record", entries - indexed));
        }
        Ok(())
    }
}
