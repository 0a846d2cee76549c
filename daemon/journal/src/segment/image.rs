//! A segment read back: which frames hold, where they end, and what the rest means.

use std::fs;
use std::path::{Path, PathBuf};

use super::{HEADER_LEN, Header};
use crate::error::{JournalError, Result};
use crate::frame::{Frame, Hash, MAGIC};
use crate::key::DeviceKey;

/// Where a good frame lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameRef {
    pub(crate) seq: u64,
    pub(crate) at: usize,
    pub(crate) len: usize,
}

/// What follows the last good frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Zeros, or the end of the file.
    Clean,
    /// Bytes of a commit that never finished: it was acknowledged to nobody.
    Torn,
    /// A frame of a later commit follows: an acknowledged record is missing here.
    Damaged(String),
}

/// A whole segment in memory.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) path: PathBuf,
    pub(crate) header: Header,
    data: Vec<u8>,
    pub(crate) frames: Vec<FrameRef>,
    /// Good frames behind a hole; in order, not a chain.
    stray: Vec<FrameRef>,
    /// With [`Tail::Damaged`]: the newest record that certainly was written whole behind the hole.
    pub(crate) newest_stray: u64,
    /// Hash of the last good frame (of the header when there is none).
    pub(crate) last_hash: Hash,
    /// Where the next frame belongs.
    pub(crate) end: usize,
    pub(crate) tail: Tail,
}

impl Image {
    /// Reads a segment and checks every frame: form, CRC, keyed hash, order, chain.
    ///
    /// `Ok(Err(reason))`: the file is there but its header does not hold.
    pub(crate) fn read(path: &Path, key: &DeviceKey) -> Result<std::result::Result<Self, String>> {
        let data = fs::read(path).map_err(|e| JournalError::io("read", path, e))?;
        Ok(match Header::decode(&data) {
            // Its epoch says with which key its frames are checked: a file does not choose that by itself.
            Ok(header) if header.path(Path::new("")).file_name() != path.file_name() => {
                Err("segment header: of another segment".into())
            }
            Ok(header) => Ok(Self::new(path, header, data, key)),
            Err(e) => Err(format!("segment header: {e}")),
        })
    }

    /// Reads the frames of a segment whose own header is gone, as following what is known from its neighbours.
    pub(crate) fn read_as(path: &Path, header: Header, key: &DeviceKey) -> Result<Self> {
        let data = fs::read(path).map_err(|e| JournalError::io("read", path, e))?;
        Ok(Self::new(path, header, data, key))
    }

    fn new(path: &Path, header: Header, data: Vec<u8>, key: &DeviceKey) -> Self {
        let mut image = Self {
            path: path.to_owned(),
            last_hash: header.prev_hash,
            header,
            data,
            frames: Vec::new(),
            stray: Vec::new(),
            newest_stray: 0,
            end: HEADER_LEN,
            tail: Tail::Clean,
        };
        image.scan(key);
        image
    }

    /// Seq of the frame that would come next.
    pub(crate) fn next_seq(&self) -> u64 {
        self.frames.last().map_or(self.header.first_seq, |f| f.seq.saturating_add(1))
    }

    /// Bytes of a good frame.
    pub(crate) fn bytes(&self, frame: &FrameRef) -> &[u8] {
        &self.data[frame.at..frame.at + frame.len]
    }

    /// A good frame, not opened.
    pub(crate) fn frame(&self, frame: &FrameRef) -> Option<Frame> {
        Frame::decode(self.bytes(frame)).ok().map(|(frame, _)| frame)
    }

    /// Bytes of the frame of one record, wherever in the file it still is.
    pub(crate) fn frame_of(&self, seq: u64) -> Option<&[u8]> {
        let at = self.frames.iter().chain(&self.stray).find(|f| f.seq == seq)?;
        Some(self.bytes(at))
    }

    /// Bytes after the last good frame.
    fn rest(&self) -> &[u8] {
        &self.data[self.end.min(self.data.len())..]
    }

    /// The file has not the length it was made with.
    pub(crate) fn wrong_length(&self) -> bool {
        self.data.len() as u64 != self.header.size
    }

    fn accept(&self, at: usize, key: &DeviceKey) -> Option<(Frame, usize)> {
        let (frame, len) = Frame::decode(self.data.get(at..)?).ok()?;
        (frame.epoch == self.header.epoch && frame.is_authentic(key)).then_some((frame, len))
    }

    fn scan(&mut self, key: &DeviceKey) {
        let mut at = HEADER_LEN;
        let mut seq = self.header.first_seq;
        let mut prev = self.header.prev_hash;
        // Frames count only once their atomic group is whole.
        let mut group: Vec<FrameRef> = Vec::new();
        while let Some((record, len)) = self.accept(at, key) {
            if record.seq != seq || record.prev_hash != prev {
                break;
            }
            group.push(FrameRef { seq, at, len });
            at += len;
            seq = seq.saturating_add(1);
            prev = record.hash;
            if record.group_left == 0 {
                self.frames.append(&mut group);
                self.end = at;
                self.last_hash = prev;
            }
        }
        self.tail = self.judge_rest(key);
    }

    /// Tells an unfinished last commit from damage: in one commit pages reach the disk in any order, so a hole may
    /// be followed by good frames of the same commit, but never by a later commit's.
    fn judge_rest(&mut self, key: &DeviceKey) -> Tail {
        if self.rest().iter().all(|b| *b == 0) {
            return Tail::Clean;
        }
        let mut tail = Tail::Torn;
        let next = self.next_seq();
        let mut at = self.end;
        while let Some(skip) = self.data.get(at..).and_then(|d| find(d, MAGIC)) {
            at += skip;
            if let Some((record, len)) = self.accept(at, key) {
                self.stray.push(FrameRef { seq: record.seq, at, len });
                if record.seq > next && record.commit_first() > next {
                    if tail == Tail::Torn {
                        tail = Tail::Damaged(format!(
                            "record {next} is missing or altered, record {} of a later commit follows",
                            record.seq
                        ));
                    }
                    // An atomic group that does not end was never acknowledged.
                    if record.group_left == 0 {
                        self.newest_stray = record.seq;
                    }
                }
                at += len;
            } else {
                at += 1;
            }
        }
        tail
    }
}

fn find(haystack: &[u8], needle: [u8; 4]) -> Option<usize> {
    haystack.windows(4).position(|w| w == needle)
}
