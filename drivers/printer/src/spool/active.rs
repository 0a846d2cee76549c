//! The work under way, and how a job is divided.

use crate::encode::Atom;
use crate::job::{Direct, Hold, Job, Millis, Progress};
use crate::profile::Profile;
use std::collections::VecDeque;

#[derive(Debug)]
pub(super) enum Work {
    Print(Job),
    Direct(Direct),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Is it well?
    Check,
    /// Does it answer `GS r`?
    Probe,
    /// Chunks go out.
    Send,
    /// All written; is it on paper?
    Drain,
    /// A void mark goes out, then the job ends as cancelled.
    Void,
}

#[derive(Debug)]
pub(super) struct Active {
    pub(super) work: Work,
    /// First atom of each chunk, and the end.
    pub(super) bounds: Vec<usize>,
    pub(super) phase: Phase,
    /// Number of the first round of questions that counts.
    pub(super) since: u64,
    /// Next chunk.
    pub(super) next: usize,
    /// Chunks whose fence is unanswered.
    pub(super) fences: VecDeque<usize>,
    pub(super) confirmed: usize,
    pub(super) started: bool,
    /// Chunks carry fences.
    pub(super) fenced: bool,
    /// After a hold: what was sent before it is to be confirmed first. It may have been switched off meanwhile.
    pub(super) settle: bool,
    pub(super) held: Option<(Hold, Millis)>,
    /// Time from which an unanswered fence counts, or a real-time drain.
    pub(super) clear_from: Millis,
    /// Time of the last byte.
    pub(super) written_at: Millis,
    /// A chunk waits to be taken by the transport.
    pub(super) chunk_out: bool,
    pub(super) silent: u8,
    pub(super) restarts: u8,
}

impl Active {
    pub(super) fn new(work: Work, profile: &Profile, since: u64, now: Millis) -> Self {
        let bounds = match &work {
            Work::Print(job) => bounds(&job.atoms, profile.chunk_bytes),
            Work::Direct(_) => vec![0],
        };
        Self {
            work,
            bounds,
            phase: Phase::Check,
            since,
            next: 0,
            fences: VecDeque::new(),
            confirmed: 0,
            started: false,
            fenced: false,
            settle: false,
            held: None,
            clear_from: now,
            written_at: now,
            chunk_out: false,
            silent: 0,
            restarts: 0,
        }
    }

    /// How far it got, with `unsent` bytes of the last chunk still here.
    pub(super) fn progress(&self, unsent: usize) -> Progress {
        let Work::Print(job) = &self.work else { return Progress::default() };
        let up_to = |chunk: usize| {
            let end = self.bounds.get(chunk).copied().unwrap_or(job.atoms.len());
            length(&job.atoms[..end])
        };
        let written = up_to(self.next).saturating_sub(unsent);
        let confirmed = if self.confirmed == 0 { 0 } else { up_to(self.confirmed) };
        Progress { total: length(&job.atoms), written, confirmed }
    }
}

pub(super) fn length(atoms: &[Atom]) -> usize {
    atoms.iter().map(|atom| atom.bytes.len()).sum()
}

pub(super) fn bytes_of(atoms: &[Atom]) -> Vec<u8> {
    atoms.iter().flat_map(|atom| atom.bytes.iter().copied()).collect()
}

/// Divides a job into chunks of about `most` bytes, never inside an atom, a drawer pulse and a cut always by themselves.
pub(super) fn bounds(atoms: &[Atom], most: usize) -> Vec<usize> {
    let mut bounds = vec![0];
    let mut bytes = 0;
    for (at, atom) in atoms.iter().enumerate() {
        let single = |atom: &Atom| atom.pulse || atom.cut;
        let alone = single(atom) || at.checked_sub(1).is_some_and(|before| single(&atoms[before]));
        if bytes > 0 && (bytes + atom.bytes.len() > most || alone) {
            bounds.push(at);
            bytes = 0;
        }
        bytes += atom.bytes.len();
    }
    bounds.push(atoms.len());
    bounds
}
