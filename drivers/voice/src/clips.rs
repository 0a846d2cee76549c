//! Recorded words: a folder of WAV files named by what they say (`请支付.wav`, `一.wav`, `yuan.wav`), put together to a
//! sentence by the longest name that fits.

use std::collections::BTreeMap;
use std::path::Path;

use crate::wav::{self, Clip, WavError};

/// Most clips of a folder.
pub const MOST: usize = 512;
/// Most bytes of sound of a folder.
pub const BYTES: usize = 24 << 20;
/// Silence between two clips of English words, ms.
const GAP_MS: usize = 60;

/// A folder of clips.
#[derive(Debug, Default)]
pub struct Clips {
    by_text: BTreeMap<String, Vec<u8>>,
    /// Characters of the longest name.
    longest: usize,
    rate: u32,
}

/// A folder or a sentence that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClipsError {
    /// The folder or a file cannot be read.
    #[error("the clips {path}: {error}; the folder must be readable for tilld's user")]
    Read {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// A file is no such sound.
    #[error("the clip {path}: {error}")]
    Wav {
        /// Which.
        path: String,
        /// Why.
        error: WavError,
    },
    /// Clips of two rates cannot follow each other.
    #[error("the clip {path} has {rate} samples a second, the others {others}: record all at one rate")]
    Rates {
        /// Which.
        path: String,
        /// Its rate.
        rate: u32,
        /// Theirs.
        others: u32,
    },
    /// Too much.
    #[error("the clips have more than {MOST} files or {BYTES} bytes of sound")]
    Much,
    /// No file at all.
    #[error("the folder {0} has no .wav file")]
    None(String),
    /// A word without a clip; a sentence with a hole would say another amount.
    #[error("there is no clip for {0:?}: record it, or the sentence cannot be said")]
    Missing(String),
}

impl Clips {
    /// Reads a folder.
    pub fn read(folder: &Path) -> Result<Self, ClipsError> {
        let error = |path: &Path| {
            let path = path.display().to_string();
            move |error| ClipsError::Read { path, error }
        };
        let mut clips = Self::default();
        let mut total = 0;
        for entry in std::fs::read_dir(folder).map_err(error(folder))? {
            let path = entry.map_err(error(folder))?.path();
            if path.extension().is_none_or(|e| e != "wav") {
                continue;
            }
            let Some(name) = path.file_stem().and_then(|s| s.to_str()).map(str::to_lowercase) else {
                continue;
            };
            // One byte more than can be taken: a device or an endless file is not read to its end.
            let most = u64::try_from(wav::LONGEST + 4096).unwrap_or(u64::MAX);
            let mut bytes = Vec::new();
            let file = std::fs::File::open(&path).map_err(error(&path))?;
            std::io::Read::read_to_end(&mut std::io::Read::take(file, most), &mut bytes)
                .map_err(error(&path))?;
            let shown = || path.display().to_string();
            let clip = wav::read(&bytes).map_err(|error| ClipsError::Wav { path: shown(), error })?;
            total += clip.samples.len();
            clips.add(name, clip).map_err(|rate| ClipsError::Rates {
                path: shown(),
                rate,
                others: clips.rate,
            })?;
            if clips.by_text.len() > MOST || total > BYTES {
                return Err(ClipsError::Much);
            }
        }
        if clips.by_text.is_empty() {
            return Err(ClipsError::None(folder.display().to_string()));
        }
        Ok(clips)
    }

    /// Adds one, or gives its rate when that is not the others'.
    pub fn add(&mut self, name: String, clip: Clip) -> Result<(), u32> {
        if self.rate != 0 && self.rate != clip.rate {
            return Err(clip.rate);
        }
        self.rate = clip.rate;
        self.longest = self.longest.max(name.chars().count());
        self.by_text.insert(name, clip.samples);
        Ok(())
    }

    /// Samples a second.
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    /// The clips that say a text, in order. Spaces and punctuation are silence; anything else without a clip refuses the whole.
    pub fn words(&self, text: &str) -> Result<Vec<&str>, ClipsError> {
        let text = text.to_lowercase();
        let chars: Vec<char> = text.chars().collect();
        let mut out = Vec::new();
        let mut at = 0;
        while at < chars.len() {
            if !chars[at].is_alphanumeric() {
                at += 1;
                continue;
            }
            let found = (1..=self.longest.min(chars.len() - at)).rev().find_map(|length| {
                let end = at + length;
                // A name ends where a word ends: "six" is not the beginning of "sixty".
                let inside = |c: char| c.is_ascii_alphanumeric();
                if inside(chars[end - 1]) && chars.get(end).copied().is_some_and(inside) {
                    return None;
                }
                let name: String = chars[at..end].iter().collect();
                self.by_text.get_key_value(&name).map(|(name, _)| (name.as_str(), length))
            });
            let Some((name, length)) = found else {
                let hole = chars[at..].iter().take_while(|c| c.is_alphanumeric()).take(12).collect();
                return Err(ClipsError::Missing(hole));
            };
            out.push(name);
            at += length;
        }
        Ok(out)
    }

    /// The sound of a text.
    pub fn sound(&self, text: &str) -> Result<Vec<u8>, ClipsError> {
        let words = self.words(text)?;
        let gap = usize::try_from(self.rate).unwrap_or(0) * 2 * GAP_MS / 1000 / 2 * 2;
        let mut out = Vec::new();
        for word in words {
            out.extend_from_slice(self.by_text.get(word).map_or(&[][..], Vec::as_slice));
            if word.is_ascii() {
                out.resize(out.len() + gap, 0);
            }
        }
        Ok(out)
    }
}
