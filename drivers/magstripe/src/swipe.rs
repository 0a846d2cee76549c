//! Typed bytes to swipes: where one ends, and what cannot be one.
//!
//! Time comes in with each byte ([`Times`]) and as [`Assembler::idle`], so nothing here waits. A swipe ends
//! with Enter or with silence, whichever is first; whether it is whole is for the tracks to say, which have end
//! sentinels. Whatever is damaged on the way is dropped to its end: the tail of a bad swipe must not look like a card.

use std::time::Duration;

use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

/// Longest swipe: three full tracks, a separator behind each, and their error marks.
pub const MAX_SWIPE: usize = 256;

/// How a swipe ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With Enter (CR or LF), at once; or with silence, for readers that send none.
    Enter,
    /// With silence only: for readers that send Enter behind each track.
    Silence,
}

/// Why there is no swipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SwipeFault {
    /// More bytes than three tracks have.
    #[error("more was typed than a card holds ({MAX_SWIPE} characters)")]
    TooLong,
    /// The kernel lost key events.
    #[error("key events were lost on the way")]
    Dropped,
    /// Something was typed that is no character.
    #[error("the reader typed a key that is no character")]
    NotText,
}

/// A swipe, or why there is none.
pub enum Outcome {
    /// The text, separators between tracks removed.
    Swipe(Zeroizing<String>),
    /// Nothing usable came.
    Fault(SwipeFault),
    /// The same swipe again within the window: the head read the same stripe twice.
    Again,
    /// It began before anybody wanted it ([`Assembler::discard`]).
    Unwanted,
}

/// When a byte came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// By the source: the kernel's stamp of a key event, zero for a source that has none. Tells the pauses within a
    /// swipe, however late it is read; a clock set back is no pause.
    pub typed: Duration,
    /// By the host, when it was read. Tells whether two swipes are one, also where stamps are a recording's.
    pub now: Duration,
}

/// Collects bytes into swipes.
pub struct Assembler {
    end: End,
    silence: Duration,
    again_within: Duration,
    held: Zeroizing<String>,
    fault: Option<SwipeFault>,
    unwanted: bool,
    began: Option<Duration>,
    last: Times,
    last_swipe: Option<(u64, Duration)>,
    hasher: std::collections::hash_map::RandomState,
}

impl Assembler {
    /// An assembler with nothing held.
    ///
    /// `silence`: a pause this long ends the swipe. `again_within`: an equal swipe
    /// this soon after another is the same one.
    pub fn new(end: End, silence: Duration, again_within: Duration) -> Self {
        Self {
            end,
            silence,
            again_within,
            // Never grows, so no copy of a track is left behind in a freed buffer.
            held: Zeroizing::new(String::with_capacity(MAX_SWIPE)),
            fault: None,
            unwanted: false,
            began: None,
            last: Times::default(),
            last_swipe: None,
            hasher: std::collections::hash_map::RandomState::new(),
        }
    }

    /// Whether a swipe has begun: then [`Self::idle`] is due once nothing came for the silence.
    pub fn pending(&self) -> bool {
        self.began.is_some()
    }

    /// Feeds one byte. A pause before it may end one swipe before it begins the next, hence the sink.
    pub fn push(&mut self, byte: u8, times: Times, mut sink: impl FnMut(Outcome)) {
        self.pause(times, &mut sink);
        match byte {
            b'\r' | b'\n' if self.end == End::Enter => {
                // An Enter with nothing before it is the second half of CR LF, or somebody's elbow.
                if self.began.is_some() {
                    sink(self.finish());
                }
                return;
            }
            // Separators between tracks and before the end.
            b'\r' | b'\n' | b'\t' => return,
            _ => {}
        }
        self.began.get_or_insert(times.now);
        if self.fault.is_some() || self.unwanted {
            return;
        }
        if !(b' '..=b'~').contains(&byte) {
            self.spoil(SwipeFault::NotText);
        } else if self.held.len() == MAX_SWIPE {
            self.spoil(SwipeFault::TooLong);
        } else {
            self.held.push(char::from(byte));
        }
    }

    fn spoil(&mut self, fault: SwipeFault) {
        self.fault.get_or_insert(fault);
        self.held.zeroize();
    }

    /// Something happened that damages the swipe under way: it will end as this fault, and so will one that has only lost
    /// its beginning.
    pub fn damage(&mut self, fault: SwipeFault, times: Times, mut sink: impl FnMut(Outcome)) {
        self.pause(times, &mut sink);
        self.began.get_or_insert(times.now);
        self.spoil(fault);
    }

    fn pause(&mut self, times: Times, sink: &mut impl FnMut(Outcome)) {
        if self.pending() && times.typed.saturating_sub(self.last.typed) >= self.silence {
            self.idle().into_iter().for_each(sink);
        }
        self.last = times;
    }

    /// Nothing came for the silence.
    pub fn idle(&mut self) -> Option<Outcome> {
        self.began?;
        Some(self.finish())
    }

    /// Drops what is held: for a device that went away.
    pub fn reset(&mut self) {
        self.held.zeroize();
        self.fault = None;
        self.unwanted = false;
        self.began = None;
    }

    /// The swipe under way, if any, is not wanted: it ends as [`Outcome::Unwanted`].
    pub fn discard(&mut self) {
        if self.pending() {
            self.unwanted = true;
            self.held.zeroize();
        }
    }

    fn finish(&mut self) -> Outcome {
        let text = std::mem::replace(&mut self.held, Zeroizing::new(String::with_capacity(MAX_SWIPE)));
        let began = self.began.take().unwrap_or(self.last.now);
        let fault = self.fault.take();
        if std::mem::take(&mut self.unwanted) {
            return Outcome::Unwanted;
        }
        if let Some(fault) = fault {
            return Outcome::Fault(fault);
        }
        // Compared by keyed hash: a track is not kept just to notice that it came twice.
        let hash = std::hash::BuildHasher::hash_one(&self.hasher, text.as_str());
        let again = self
            .last_swipe
            .is_some_and(|(last, at)| last == hash && began.saturating_sub(at) <= self.again_within);
        self.last_swipe = Some((hash, self.last.now));
        if again { Outcome::Again } else { Outcome::Swipe(text) }
    }
}
