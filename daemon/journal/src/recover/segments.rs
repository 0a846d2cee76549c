//! Bringing the segments of the live epoch to a whole chain up to the newest record either copy has.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::{Recovery, read_start};
use crate::disk;
use crate::error::{JournalError, Result};
use crate::frame::{Frame, Hash};
use crate::report::OpenEvent;
use crate::segment::{self, Found, Header, Image, Tail};
use crate::store::Store;

/// What a settling of segments rests on besides the files.
pub(super) struct Known<'a> {
    pub(super) store: Option<&'a Arc<Store>>,
    /// Seq and hash the epoch's first record must follow.
    pub(super) before: (u64, Hash),
    /// Reads every segment, not the last one only.
    pub(super) deep: bool,
    /// A later epoch follows: nothing can be an unfinished commit.
    pub(super) closed: bool,
}

/// A stretch of records to write anew, and the files it goes to.
struct Gap {
    /// First and last file number; the last may be exceeded when nothing follows.
    files: (u32, u32),
    /// Last record that must be there.
    limit: u64,
    /// A readable segment follows: all must fit in these files.
    bounded: bool,
    /// What was wrong with the first file.
    why: String,
}

impl Recovery<'_> {
    /// Returns the last segment as it stands on disk afterwards.
    pub(super) fn settle_segments(
        &mut self,
        epoch: u32,
        found: &[Found],
        known: &Known<'_>,
    ) -> Result<Image> {
        let &Known { store, before, deep, closed } = known;
        let files: Vec<&Found> = found.iter().filter(|f| f.epoch == epoch).collect();
        let store_head = match store {
            Some(store) => store.last()?.map_or(0, |(seq, _)| seq),
            None => 0,
        };
        if !deep
            && !closed
            && let Some(last) = self.settle_quickly(&files, before, store_head)?
        {
            return Ok(last);
        }
        self.settle_thoroughly(epoch, &files, known, store_head)
    }

    /// The usual case: headers in order, lengths right, the last segment whole and not behind the store.
    fn settle_quickly(
        &self,
        files: &[&Found],
        before: (u64, Hash),
        store_head: u64,
    ) -> Result<Option<Image>> {
        let mut first_seq = before.0.saturating_add(1);
        for (index, file) in files.iter().enumerate() {
            let Ok(header) = Header::decode(&read_start(&file.path)?) else { return Ok(None) };
            let len = fs::metadata(&file.path).map_err(|e| JournalError::io("inspect", &file.path, e))?.len();
            let in_order =
                if index == 0 { header.first_seq == first_seq } else { header.first_seq >= first_seq };
            if file.number as usize != index + 1 || len != header.size || !in_order {
                return Ok(None);
            }
            first_seq = header.first_seq;
        }
        let Some(last) = files.last() else { return Ok(None) };
        Ok(match Image::read(&last.path, self.key)? {
            Ok(image) if !matches!(image.tail, Tail::Damaged(_)) && image.next_seq() > store_head => {
                Some(image)
            }
            _ => None,
        })
    }

    fn settle_thoroughly(
        &mut self,
        epoch: u32,
        files: &[&Found],
        known: &Known<'_>,
        store_head: u64,
    ) -> Result<Image> {
        let &Known { store, before, closed, .. } = known;
        let dir = self.options.segments();
        let max = files.last().map_or(1, |f| f.number);
        let mut expect = (before.0.saturating_add(1), before.1);
        let mut number = 1;
        let mut last = None;
        while number <= max {
            let presumed = self.header(epoch, number, expect);
            let path = presumed.path(&dir);
            let next = next_readable(files, number)?;
            let (image, why) = self.examine(&path, &presumed, next.as_ref(), (store_head, closed))?;
            let Some(why) = why else {
                if let Some(image) = image {
                    expect = (image.next_seq(), image.last_hash);
                    last = Some(image.path);
                }
                number += 1;
                continue;
            };
            let gap = match &next {
                Some(header) => Gap {
                    files: (number, header.number - 1),
                    limit: header.first_seq.saturating_sub(1),
                    bounded: true,
                    why: why.clone(),
                },
                None => Gap {
                    files: (number, max),
                    limit: store_head.max(
                        image.as_ref().map_or(0, |i| i.newest_stray.max(i.next_seq().saturating_sub(1))),
                    ),
                    bounded: false,
                    why: why.clone(),
                },
            };
            let end = self.rewrite_gap(epoch, &gap, &mut expect, store, image.as_ref())?;
            self.report.add(OpenEvent::SegmentRepaired { path, why });
            last = Some(self.header(epoch, end, expect).path(&dir));
            number = end + 1;
        }
        let path = last.unwrap_or_else(|| self.header(epoch, max, expect).path(&dir));
        match Image::read(&path, self.key)? {
            Ok(image) => Ok(image),
            Err(why) => Err(self.damaged(expect.0, &why)),
        }
    }

    fn header(&self, epoch: u32, number: u32, expect: (u64, Hash)) -> Header {
        Header {
            epoch,
            number,
            first_seq: expect.0,
            size: self.options.segment_bytes,
            prev_hash: expect.1,
            fingerprint: self.key.fingerprint(epoch),
        }
    }

    /// What can be read of a segment, and why it cannot stay as it is.
    fn examine(
        &self,
        path: &Path,
        presumed: &Header,
        next: Option<&Header>,
        (store_head, closed): (u64, bool),
    ) -> Result<(Option<Image>, Option<String>)> {
        if !path.exists() {
            return Ok((None, Some("the file is gone".into())));
        }
        let image = match Image::read(path, self.key)? {
            Ok(image) => image,
            Err(why) => return Ok((Some(Image::read_as(path, presumed.clone(), self.key)?), Some(why))),
        };
        let why = if (image.header.first_seq, image.header.prev_hash)
            != (presumed.first_seq, presumed.prev_hash)
        {
            Some("it does not follow the segment before it".into())
        } else if image.wrong_length() {
            Some("its length is wrong".into())
        } else if let Tail::Damaged(why) = &image.tail {
            Some(why.clone())
        } else {
            match next {
                _ if image.tail == Tail::Torn && (closed || next.is_some()) => {
                    Some("bytes that are no record follow its last one".into())
                }
                Some(next) if next.number == presumed.number + 1 && image.next_seq() != next.first_seq => {
                    Some("its last records are missing".into())
                }
                None if image.next_seq() <= store_head => Some("the store has newer records".into()),
                _ => None,
            }
        };
        Ok((Some(image), why))
    }

    /// Writes the records from `expect` to the gap's limit into its files; returns the last file's number.
    fn rewrite_gap(
        &mut self,
        epoch: u32,
        gap: &Gap,
        expect: &mut (u64, Hash),
        store: Option<&Arc<Store>>,
        image: Option<&Image>,
    ) -> Result<u32> {
        let mut number = gap.files.0;
        let mut header = self.header(epoch, number, *expect);
        let mut body: Vec<u8> = Vec::new();
        let mut group: Vec<u8> = Vec::new();
        while expect.0 <= gap.limit {
            let (bytes, record) = self.source(expect.0, store, image)?;
            if record.prev_hash != expect.1 {
                return Err(self.damaged(expect.0, "it does not follow the record before it"));
            }
            group.extend_from_slice(&bytes);
            *expect = (expect.0.saturating_add(1), record.hash);
            if record.group_left > 0 {
                continue;
            }
            let full = segment::HEADER_LEN + body.len() + group.len() > usize_of(header.size);
            // Bounded by a following segment the last file takes all: it may grow, never spill over.
            if full && !body.is_empty() && !(gap.bounded && number == gap.files.1) {
                self.replace(&header, &body, &gap.why)?;
                number += 1;
                let first = Frame::decode(&group).map_err(|e| self.damaged(expect.0, &e.to_string()))?.0;
                header = self.header(epoch, number, (first.seq, first.prev_hash));
                body.clear();
            }
            body.append(&mut group);
        }
        if !group.is_empty() {
            return Err(self.damaged(expect.0, "the rest of an atomic group is lost"));
        }
        header.size = header.size.max((segment::HEADER_LEN + body.len()).next_multiple_of(4096) as u64);
        self.replace(&header, &body, &gap.why)?;
        while gap.files.1 > number {
            number += 1;
            self.replace(&self.header(epoch, number, *expect), &[], &gap.why)?;
        }
        Ok(number)
    }

    /// One record from the store, or from what the damaged segment still holds.
    fn source(
        &self,
        seq: u64,
        store: Option<&Arc<Store>>,
        image: Option<&Image>,
    ) -> Result<(Vec<u8>, Frame)> {
        if let Some(store) = store
            && let Ok(Some(bytes)) = store.get(seq)
            && let Ok(record) = Frame::decode_exact(&bytes, self.key)
            && record.seq == seq
        {
            return Ok((bytes.to_vec(), record));
        }
        let Some(bytes) = image.and_then(|i| i.frame_of(seq)) else {
            return Err(self.damaged(seq, "neither the store nor the segments hold it"));
        };
        match Frame::decode_exact(bytes, self.key) {
            Ok(record) => Ok((bytes.to_vec(), record)),
            Err(e) => Err(self.damaged(seq, &e.to_string())),
        }
    }

    /// Puts a new segment in the old one's place; the old one stays in quarantine.
    fn replace(&self, header: &Header, frames: &[u8], why: &str) -> Result<()> {
        let dir = self.options.segments();
        let path = header.path(&dir);
        if path.exists() {
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("segment");
            let kept = self.quarantine(name, why)?;
            // A second name, not a move: until the new file has the name, the old one keeps it.
            if fs::hard_link(&path, &kept).is_err() {
                fs::copy(&path, &kept).map_err(|e| JournalError::io("copy", &path, e))?;
                disk::sync_path(&kept)?;
            }
            disk::sync_path(kept.parent().unwrap_or(&kept))?;
        }
        segment::rewrite(&dir, header, frames)
    }
}

fn usize_of(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

/// The first segment after `number` whose header can be read.
fn next_readable(files: &[&Found], number: u32) -> Result<Option<Header>> {
    for file in files.iter().filter(|f| f.number > number) {
        if let Ok(header) = Header::decode(&read_start(&file.path)?) {
            return Ok(Some(header));
        }
    }
    Ok(None)
}
