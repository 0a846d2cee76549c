//! A card swiped through a keyboard-wedge reader, as kernel events (devices.md §1.1).

use super::event::{EV_KEY, EV_MSC, EV_SYN, InputEvent, MSC_SCAN, SYN_DROPPED, SYN_REPORT};
use super::keymap::{self, Modifier};
use super::recording::{Chunk, Direction, Recording};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// What goes wrong during a swipe. Positions count characters of the tracks from 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SwipeFault {
    /// The key of this character never comes up.
    MissingKeyUp {
        /// Which character.
        at: usize,
    },
    /// The kernel repeats a held key (value 2).
    Autorepeat {
        /// Which character.
        at: usize,
        /// How often.
        count: u32,
    },
    /// The kernel's buffer overran before this character: `SYN_DROPPED`, and `lost` characters are missing.
    SynDropped {
        /// Which character.
        at: usize,
        /// Characters lost.
        lost: usize,
    },
    /// The card stopped: nothing after this many characters, no terminator.
    Half {
        /// Characters read.
        chars: usize,
    },
    /// The card is swiped again after a pause.
    Double {
        /// The pause, milliseconds.
        gap_ms: u64,
    },
    /// The reader pauses before this character.
    Pause {
        /// Which character.
        at: usize,
        /// How long, milliseconds.
        ms: u64,
    },
    /// Caps Lock is on and the reader does not compensate: letters come with the wrong case.
    CapsLock {},
}

/// A swipe that cannot be typed.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("character {at} of the tracks is not on a US keyboard")]
pub struct Untypeable {
    /// Position from 0.
    pub at: usize,
}

/// One swipe. Its tracks are card data: test cards only, and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Swipe {
    tracks: String,
    /// From one key to the next.
    pub key_gap: Duration,
    /// From key down to key up.
    pub hold: Duration,
    /// `MSC_SCAN` before each key, as real keyboards have it.
    pub scan_codes: bool,
    /// Enter at the end.
    pub enter: bool,
    /// What goes wrong.
    pub faults: Vec<SwipeFault>,
}

impl fmt::Debug for Swipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Swipe")
            .field("characters", &self.tracks.chars().count())
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

struct Player {
    at: Duration,
    events: Vec<InputEvent>,
    scan_codes: bool,
}

impl Player {
    fn push(&mut self, kind: u16, code: u16, value: i32) {
        self.events.push(InputEvent { at: self.at, kind, code, value });
    }

    fn key(&mut self, code: u16, value: i32) {
        if self.scan_codes && value != 2 {
            self.push(EV_MSC, MSC_SCAN, i32::try_from(keymap::scan_code(code)).unwrap_or(0));
        }
        self.push(EV_KEY, code, value);
        self.push(EV_SYN, SYN_REPORT, 0);
    }
}

impl Swipe {
    /// A swipe of these tracks, sentinels included (`%B…?;…?`), at the pace of a common reader: 2 ms a key, then Enter.
    pub fn new(tracks: impl Into<String>) -> Self {
        Self {
            tracks: tracks.into(),
            key_gap: Duration::from_millis(2),
            hold: Duration::from_millis(1),
            scan_codes: true,
            enter: true,
            faults: Vec::new(),
        }
    }

    /// Adds a fault.
    #[must_use]
    pub fn with(mut self, fault: SwipeFault) -> Self {
        self.faults.push(fault);
        self
    }

    /// The events, in order of time.
    pub fn events(&self) -> Result<Vec<InputEvent>, Untypeable> {
        let mut player = Player { at: Duration::ZERO, events: Vec::new(), scan_codes: self.scan_codes };
        self.once(&mut player)?;
        for fault in &self.faults {
            if let SwipeFault::Double { gap_ms } = fault {
                player.at += Duration::from_millis(*gap_ms);
                self.once(&mut player)?;
            }
        }
        Ok(player.events)
    }

    fn once(&self, player: &mut Player) -> Result<(), Untypeable> {
        let mut lost = 0;
        // Held through neighbours that need it too, as readers do.
        let mut down: Option<u16> = None;
        for (at, ch) in self.tracks.chars().enumerate() {
            let (code, modifier) = keymap::key(ch).ok_or(Untypeable { at })?;
            let mut up = true;
            let mut repeats = 0;
            let mut caps = false;
            for fault in &self.faults {
                match fault {
                    SwipeFault::Half { chars } if *chars <= at => {
                        hold(player, &mut down, None);
                        return Ok(());
                    }
                    SwipeFault::MissingKeyUp { at: here } if *here == at => up = false,
                    SwipeFault::Autorepeat { at: here, count } if *here == at => repeats = *count,
                    SwipeFault::Pause { at: here, ms } if *here == at => {
                        player.at += Duration::from_millis(*ms);
                    }
                    SwipeFault::SynDropped { at: here, lost: many } if *here == at => {
                        player.push(EV_SYN, SYN_DROPPED, 0);
                        player.push(EV_SYN, SYN_REPORT, 0);
                        lost = *many;
                    }
                    SwipeFault::CapsLock {} => caps = true,
                    _ => {}
                }
            }
            if lost > 0 {
                lost -= 1;
                continue;
            }
            let held = match (modifier, caps && ch.is_ascii_alphabetic()) {
                (Modifier::Ctrl, _) => Some(keymap::LEFT_CTRL),
                (Modifier::Shift, false) | (Modifier::Plain, true) => Some(keymap::LEFT_SHIFT),
                _ => None,
            };
            hold(player, &mut down, held);
            self.strike(player, code, repeats, up);
        }
        hold(player, &mut down, None);
        if self.enter {
            self.strike(player, keymap::ENTER, 0, true);
        }
        Ok(())
    }

    fn strike(&self, player: &mut Player, code: u16, repeats: u32, up: bool) {
        player.key(code, 1);
        for _ in 0..repeats {
            player.at += self.hold;
            player.key(code, 2);
        }
        player.at += self.hold;
        if up {
            player.key(code, 0);
        }
        player.at += self.key_gap.saturating_sub(self.hold);
    }

    /// The events as a recording of kind `evdev`, one chunk a report.
    pub fn recording(&self) -> Result<Recording, Untypeable> {
        let mut chunks: Vec<Chunk> = Vec::new();
        let mut open = false;
        for event in self.events()? {
            if !open {
                chunks.push(Chunk { at: event.at, direction: Direction::In, bytes: Vec::new() });
            }
            if let Some(chunk) = chunks.last_mut() {
                chunk.bytes.extend_from_slice(&event.to_bytes());
            }
            open = (event.kind, event.code) != (EV_SYN, SYN_REPORT);
        }
        Ok(Recording { kind: "evdev".into(), chunks })
    }
}

/// Changes which modifier is down.
fn hold(player: &mut Player, down: &mut Option<u16>, wanted: Option<u16>) {
    if *down == wanted {
        return;
    }
    if let Some(code) = *down {
        player.key(code, 0);
    }
    if let Some(code) = wanted {
        player.key(code, 1);
    }
    *down = wanted;
}
