//! When what is written: new content at once, long lines step by step, everything again after a doubt. Time is a number.

use till_plugin::driver::ShowContent;

use crate::encode;
use crate::layout::{self, Frame, NoRoom};
use crate::settings::Config;
use crate::text;

/// Milliseconds of the boot clock.
pub type Millis = u64;
/// A line stands still so long before it scrolls again.
const REST: usize = 4;
/// A display that took not all is tried again after this long.
pub const AGAIN_MS: u64 = 1_000;

/// The state of one display. Holds two lines of at most 256 characters, and one frame of bytes.
#[derive(Debug)]
pub struct Screen {
    config: Config,
    frame: Frame,
    steps: [usize; 2],
    next_step: Millis,
    /// What the display shows is not known before this has been written: reset first, at this time.
    reset_at: Option<Millis>,
    changed: bool,
    refreshed: Millis,
}

impl Screen {
    /// A display whose state is not known.
    pub fn new(config: Config, now: Millis) -> Self {
        let frame = layout::lay(&config.profile, &config.words, &ShowContent::Clear)
            .unwrap_or_else(|_| layout::blank());
        Self {
            config,
            frame,
            steps: [0; 2],
            next_step: now,
            reset_at: Some(now),
            changed: true,
            refreshed: now,
        }
    }

    /// New content. One that has no room shows nothing at all, so that no old amount stands there as if it were this one's.
    pub fn show(&mut self, now: Millis, content: &ShowContent) -> Result<(), NoRoom> {
        let laid = layout::lay(&self.config.profile, &self.config.words, content);
        let (frame, result) = match laid {
            Ok(frame) => (frame, Ok(())),
            Err(e) => (layout::blank(), Err(e)),
        };
        if frame != self.frame {
            self.frame = frame;
            self.steps = [0; 2];
            self.next_step = now.saturating_add(self.config.scroll_ms * u64::try_from(REST).unwrap_or(1));
            self.changed = true;
        }
        result
    }

    /// Everything is to be written again: a check, or the display may have lost power.
    pub fn again(&mut self, now: Millis) {
        self.reset_at = Some(now);
    }

    /// The display took only a part: nothing is known of it, and it is left alone for a moment.
    pub fn doubt(&mut self, now: Millis) {
        self.reset_at = Some(now.saturating_add(AGAIN_MS));
    }

    /// Whether what should be there has not been written yet.
    pub const fn is_behind(&self) -> bool {
        self.reset_at.is_some() || self.changed
    }

    /// The bytes to write now; empty: nothing. They count as written unless [`Screen::doubt`] follows.
    pub fn bytes(&mut self, now: Millis) -> Vec<u8> {
        let refresh = self.config.refresh_ms;
        if refresh > 0 && self.reset_at.is_none() && now.saturating_sub(self.refreshed) >= refresh {
            self.reset_at = Some(now);
        }
        let mut out = match self.reset_at {
            Some(at) if at > now => return Vec::new(),
            Some(_) => encode::reset(&self.config.profile, self.config.brightness),
            None => Vec::new(),
        };
        let stepped = self.step(now);
        if out.is_empty() && !self.changed && !stepped {
            return out;
        }
        out.extend(encode::frame(&self.config.profile, &self.frame, self.columns()));
        if self.reset_at.take().is_some() {
            self.refreshed = now;
        }
        self.changed = false;
        out
    }

    /// When there is something to do by itself, at the latest.
    pub fn due(&self, now: Millis) -> Millis {
        let far = now.saturating_add(60_000);
        let scroll = if self.scrolls() { self.next_step } else { far };
        let refresh = match self.config.refresh_ms {
            0 => far,
            ms => self.refreshed.saturating_add(ms),
        };
        let behind = match (self.reset_at, self.changed) {
            (Some(at), _) => at,
            (None, true) => now,
            (None, false) => far,
        };
        scroll.min(refresh).min(behind).max(now)
    }

    fn overhang(&self, line: usize) -> usize {
        let p = &self.config.profile;
        text::columns(p.charset, &self.frame.lines[line]).saturating_sub(p.columns)
    }

    fn scrolls(&self) -> bool {
        self.config.scroll_ms > 0 && (0..2).any(|line| self.overhang(line) > 0)
    }

    /// Moves long lines on by one column; whether anything moved.
    fn step(&mut self, now: Millis) -> bool {
        if !self.scrolls() || now < self.next_step {
            return false;
        }
        self.next_step = now.saturating_add(self.config.scroll_ms);
        for line in 0..2 {
            // To the end, a rest there, and from the beginning, with a rest there too.
            let round = self.overhang(line) + 2 * REST;
            self.steps[line] = (self.steps[line] + 1) % round.max(1);
        }
        true
    }

    fn columns(&self) -> [usize; 2] {
        [0, 1].map(|line| self.steps[line].min(self.overhang(line)))
    }
}
