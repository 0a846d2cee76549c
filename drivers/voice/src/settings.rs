//! The `settings` table of a voice.

use std::path::PathBuf;

use serde::Deserialize;
use till_plugin::PluginError;

use crate::phrase::Language;

/// What makes the sound.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// Nothing: everything is taken and nothing said.
    None,
    /// A speech program behind the transport: one line of UTF-8 a sentence.
    Lines,
    /// Recorded clips, as PCM on the transport.
    Clips,
}

/// As written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct VoiceSettings {
    backend: Backend,
    language: String,
    clips: Option<PathBuf>,
    char_ms: u32,
}

impl Default for VoiceSettings {
    fn default() -> Self {
        Self { backend: Backend::Lines, language: "zh-CN".into(), clips: None, char_ms: 220 }
    }
}

/// Checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// What makes the sound.
    pub backend: Backend,
    /// Language where an announcement names none.
    pub language: Language,
    /// Its tag.
    pub tag: String,
    /// Folder of clips.
    pub clips: Option<PathBuf>,
    /// How long a speech program takes for a character of Chinese, ms.
    pub char_ms: u64,
}

impl Config {
    /// Checks.
    pub fn new(s: VoiceSettings) -> Result<Self, PluginError> {
        let Some(language) = Language::from_tag(&s.language) else {
            let text = format!("language {:?}: there are words for zh and en", s.language);
            return Err(PluginError::settings(text));
        };
        if s.backend == Backend::Clips && s.clips.as_ref().is_none_or(|c| !c.is_absolute()) {
            return Err(PluginError::settings(
                "backend clips needs `clips`: the absolute path of the folder of recordings",
            ));
        }
        if !(50..=2_000).contains(&s.char_ms) {
            return Err(PluginError::settings("char-ms is 50 to 2000"));
        }
        Ok(Self { backend: s.backend, language, tag: s.language, clips: s.clips, char_ms: s.char_ms.into() })
    }
}
