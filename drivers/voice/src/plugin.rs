//! The shell: gives the queue announcements and time, and the transport words or sound.

use std::time::Duration;

use till_plugin::driver::{
    Announcement, DeviceState, DriverDescription, DriverEvent, Health, HealthLevel, Sentence, Spoken, class,
};
use till_plugin::host::{Host, Level, Read, Settings, TransportError};
use till_plugin::{Driver, ErrorCode, Extra, PluginError};

use crate::clips::Clips;
use crate::phrase::{self, Language};
use crate::queue::{Millis, Queue, Taken, Waiting};
use crate::settings::{Backend, Config, VoiceSettings};

/// Longest sentence, characters.
const LONGEST: usize = 400;
/// Sound written ahead of the time at which it is heard: so late an alarm comes at most.
const AHEAD_MS: u64 = 200;
/// Longest write.
const WRITE: Duration = Duration::from_millis(300);
/// A sentence that a stuck sink does not take is given up after this long.
const STUCK_MS: u64 = 5_000;
/// Where the keys of what was said are kept.
const SAID: &str = "said";

#[derive(Default)]
struct Counters {
    said: u64,
    repeated: u64,
    cut: u64,
    failed: u64,
}

/// What is being said.
struct Speaking {
    /// Bytes that have not gone out.
    left: Vec<u8>,
    /// When what went out has been heard.
    heard_at: Millis,
    /// When the sink took something last.
    moved: Millis,
    urgent: bool,
}

/// The driver.
pub struct Voice {
    host: Host,
    config: Config,
    clips: Option<Clips>,
    queue: Queue,
    speaking: Option<Speaking>,
    counters: Counters,
    state: (DeviceState, String),
    waiting: Vec<DriverEvent>,
}

impl Driver for Voice {
    fn open(host: Host, settings: Settings) -> Result<Self, PluginError> {
        let config = Config::new(settings.parse::<VoiceSettings>()?)?;
        if host.transport().is_none() && config.backend != Backend::None {
            return Err(TransportError::None.into());
        }
        let clips = match (&config.backend, &config.clips) {
            (Backend::Clips, Some(folder)) => {
                Some(Clips::read(folder).map_err(|e| PluginError::settings(e.to_string()))?)
            }
            _ => None,
        };
        let known = host.load(SAID).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
        let queue = Queue::new(known.lines().map(str::to_owned));
        Ok(Self {
            host,
            config,
            clips,
            queue,
            speaking: None,
            counters: Counters::default(),
            state: (DeviceState::Unknown, String::new()),
            waiting: Vec::new(),
        })
    }

    fn describe(&self) -> DriverDescription {
        let model = match self.config.backend {
            Backend::None => "voice (silent)".into(),
            Backend::Lines => "voice (speech program)".into(),
            Backend::Clips => format!("voice (clips, {} Hz)", self.clips.as_ref().map_or(0, Clips::rate)),
        };
        DriverDescription {
            classes: vec![class::VOICE.into()],
            model,
            capabilities: vec!["announce".into(), format!("language-{}", self.config.tag)],
            certified: false,
            extra: Extra::new(),
        }
    }

    fn poll(&mut self, budget: Duration) -> Result<Vec<DriverEvent>, PluginError> {
        let until = self.now().saturating_add(millis(budget));
        loop {
            let wait = self.turn()?.min(until.saturating_sub(self.now()));
            if !self.waiting.is_empty() || wait == 0 && self.now() >= until {
                break;
            }
            if self.host.transport().is_none() {
                self.host.sleep(Duration::from_millis(wait));
                break;
            }
            // Nothing is expected from the other end; reading notices that it went away.
            if self.host.read(256, Duration::from_millis(wait.max(1)))? == Read::Woken {
                break;
            }
            if self.now() >= until {
                break;
            }
        }
        Ok(std::mem::take(&mut self.waiting))
    }

    fn say(&mut self, sentence: Sentence) -> Result<(), PluginError> {
        self.take(Waiting {
            key: String::new(),
            language: sentence.language,
            text: sentence.text,
            urgent: false,
            until: None,
        })
    }

    fn announce(&mut self, a: Announcement) -> Result<(), PluginError> {
        if a.key.is_empty() || a.key.len() > 64 || a.key.chars().any(char::is_control) {
            return Err(PluginError::new(
                ErrorCode::BadRequest,
                "an announcement needs a key of 1 to 64 bytes",
            ));
        }
        let language = self.language(&a.language)?;
        let text = match a.spoken {
            Spoken::Text(text) => text,
            Spoken::Stage(content) => match phrase::stage(language, &content) {
                Some(text) => text,
                None => return Err(PluginError::unsupported("this stage")),
            },
            _ => return Err(PluginError::unsupported("this kind of announcement")),
        };
        let until = (a.valid_ms > 0).then(|| self.now().saturating_add(a.valid_ms.into()));
        self.take(Waiting { key: a.key, language: a.language, text, urgent: a.urgent, until })
    }

    fn health(&mut self, level: HealthLevel) -> Result<Health, PluginError> {
        if level != HealthLevel::Internal {
            let (tag, text) = match self.config.language {
                Language::Chinese => (self.config.tag.clone(), "一二三"),
                Language::English => (self.config.tag.clone(), "one two three"),
            };
            self.say(Sentence { language: tag, text: text.into() })?;
        }
        let (state, text) = self.state.clone();
        let text = match (text.is_empty(), level) {
            (false, _) => text,
            (true, HealthLevel::Internal) => "the way to the loudspeaker is open".into(),
            (true, _) => "one two three is being said: only an ear can tell".into(),
        };
        Ok(Health { state, text })
    }

    fn statistics(&mut self) -> Vec<(String, u64)> {
        let c = &self.counters;
        [
            ("said", c.said),
            ("repeated", c.repeated),
            ("cut-off", c.cut),
            ("failed", c.failed),
            ("dropped", self.queue.dropped()),
        ]
        .map(|(name, n)| (name.to_owned(), n))
        .to_vec()
    }
}

impl Voice {
    fn now(&self) -> Millis {
        self.host.now().boot_ms
    }

    fn language(&self, tag: &str) -> Result<Language, PluginError> {
        let language = if tag.is_empty() { Some(self.config.language) } else { Language::from_tag(tag) };
        language.filter(|l| *l == self.config.language).ok_or_else(|| {
            let (tag, ours) = (tag.chars().take(20).collect::<String>(), &self.config.tag);
            PluginError::unsupported(&format!("language {tag:?} (this voice speaks {ours})"))
        })
    }

    fn take(&mut self, mut sentence: Waiting) -> Result<(), PluginError> {
        self.language(&sentence.language)?;
        // A line feed would be a second sentence, an escape a command of the program behind.
        sentence.text = sentence.text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        if sentence.text.trim().is_empty() {
            return Err(PluginError::new(ErrorCode::BadRequest, "there is nothing to say"));
        }
        if let Some(clips) = &self.clips
            && let Err(e) = clips.words(&sentence.text)
        {
            self.counters.failed += 1;
            return Err(PluginError::new(ErrorCode::NotReady, e.to_string()));
        }
        let keyed = !sentence.key.is_empty();
        match self.queue.push(sentence) {
            Taken::Known => self.counters.repeated += 1,
            Taken::Waits { now } => {
                if keyed {
                    self.keep();
                }
                if now && self.speaking.as_ref().is_some_and(|s| !s.urgent) {
                    self.counters.cut += 1;
                    self.speaking = None;
                }
            }
        }
        Ok(())
    }

    /// Before it is said: said once or not at all is better than twice.
    fn keep(&self) {
        let keys: Vec<&str> = self.queue.known().collect();
        if let Err(e) = self.host.store(SAID, keys.join("\n").as_bytes()) {
            self.host.log(Level::Warn, format!("after a restart something may be said twice: {e}"));
        }
    }

    /// Says on, or begins the next sentence; how long nothing is to be done, ms.
    fn turn(&mut self) -> Result<u64, PluginError> {
        loop {
            let now = self.now();
            let Some(speaking) = &mut self.speaking else {
                let Some(next) = self.queue.pop(now) else { return Ok(60_000) };
                self.begin(now, &next);
                continue;
            };
            if speaking.left.is_empty() {
                if now >= speaking.heard_at {
                    self.speaking = None;
                    self.counters.said += 1;
                    continue;
                }
                return Ok(speaking.heard_at - now);
            }
            let ahead = speaking.heard_at.saturating_sub(now);
            if self.clips.is_some() && ahead >= AHEAD_MS {
                return Ok(ahead - AHEAD_MS / 2);
            }
            if !self.write(now)? {
                return Ok(100);
            }
        }
    }

    fn begin(&mut self, now: Millis, next: &Waiting) {
        let (left, lasts) = match (&self.clips, self.config.backend) {
            (_, Backend::None) => (Vec::new(), 0),
            (Some(clips), _) => (clips.sound(&next.text).unwrap_or_default(), 0),
            (None, _) => {
                // The program behind does not tell when it is done: by the length of the text.
                let wide = next.text.chars().filter(|c| !c.is_ascii()).count();
                let narrow = next.text.chars().count() - wide;
                let characters = u64::try_from(wide * 3 + narrow).unwrap_or(0);
                (format!("{}\n", next.text).into_bytes(), characters * self.config.char_ms / 3)
            }
        };
        self.speaking =
            Some(Speaking { left, heard_at: now.saturating_add(lasts), moved: now, urgent: next.urgent });
    }

    /// Writes a piece; whether the sink took it.
    fn write(&mut self, now: Millis) -> Result<bool, PluginError> {
        let rate = self.clips.as_ref().map_or(0, Clips::rate);
        let Some(speaking) = &mut self.speaking else { return Ok(true) };
        // 50 ms of sound, in whole samples; a line of text at once.
        let piece =
            if rate > 0 { usize::try_from(rate / 20).unwrap_or(400) * 2 } else { speaking.left.len() };
        let piece = piece.min(speaking.left.len());
        let (written, gone) =
            match self.host.write(&speaking.left[..piece], WRITE.min(self.host.remaining() / 2)) {
                Ok(()) => (piece, None),
                Err(e) => (e.written, e.error),
            };
        if let Some(gone) = gone {
            return Err(gone.into());
        }
        speaking.left.drain(..written);
        if rate > 0 {
            let ms = u64::try_from(written / 2).unwrap_or(0) * 1000 / u64::from(rate);
            speaking.heard_at = speaking.heard_at.max(now).saturating_add(ms);
        }
        let stuck = written < piece;
        if written > 0 {
            speaking.moved = now;
        } else if now.saturating_sub(speaking.moved) >= STUCK_MS {
            // What was cut off inside a line or a sample is ended by the next connection: give this one up.
            self.counters.failed += 1;
            return Err(PluginError::new(ErrorCode::Timeout, "the sound sink has taken nothing for 5 s"));
        }
        let state = if stuck {
            (DeviceState::Blocked, "the sound sink takes nothing".to_owned())
        } else {
            (DeviceState::Unknown, String::new())
        };
        if state != self.state {
            self.state = state.clone();
            self.waiting.push(DriverEvent::State { state: state.0, text: state.1 });
        }
        Ok(!stuck)
    }
}

fn millis(time: Duration) -> Millis {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

till_plugin::export_driver!(Voice, id = "org.tilld.voice");
