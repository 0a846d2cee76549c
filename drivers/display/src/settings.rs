//! The `settings` table of a display.

use serde::Deserialize;
use till_plugin::PluginError;
use till_plugin::driver::Stage;

use crate::profile::{Charset, Profile};

/// As written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct DisplaySettings {
    profile: String,
    language: Language,
    idle: Vec<String>,
    brightness: Option<u8>,
    scroll_ms: u32,
    refresh_s: u32,
}

impl Default for DisplaySettings {
    fn default() -> Self {
        Self {
            profile: "cd5220".into(),
            language: Language::Auto,
            idle: Vec::new(),
            brightness: None,
            scroll_ms: 400,
            refresh_s: 30,
        }
    }
}

/// Language of the labels.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// Chinese where the display has a Chinese font, else English.
    Auto,
    /// Chinese.
    Zh,
    /// English.
    En,
}

/// The words around an amount.
#[derive(Clone, Debug)]
pub struct Words {
    chinese: bool,
    /// Lines while there is no payment.
    pub idle: Vec<String>,
}

impl Words {
    /// Words in Chinese or English.
    pub const fn new(chinese: bool, idle: Vec<String>) -> Self {
        Self { chinese, idle }
    }

    /// Label of a stage.
    pub const fn label(&self, stage: Stage) -> &'static str {
        match (stage, self.chinese) {
            (Stage::Total, true) => "合计",
            (Stage::Total, false) => "TOTAL",
            (Stage::Due, true) => "应付",
            (Stage::Due, false) => "TO PAY",
            (Stage::Change, true) => "找零",
            (Stage::Change, false) => "CHANGE",
            (Stage::Approved, true) => "支付成功",
            (Stage::Approved, false) => "PAID, THANK YOU",
            (Stage::Declined, true) => "未成功 请换方式付款",
            (Stage::Declined, false) => "DECLINED, TO PAY",
            (Stage::Refunded, true) => "已退款",
            (Stage::Refunded, false) => "REFUNDED",
            (Stage::Receipt, true) => "请取小票",
            (Stage::Receipt, false) => "TAKE YOUR RECEIPT",
            // Stages of later daemons: the amount alone.
            _ => "",
        }
    }

    /// Label beside a code that another screen shows.
    pub const fn scan(&self) -> &'static str {
        if self.chinese { "请扫码支付" } else { "SCAN TO PAY" }
    }
}

/// Checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Model.
    pub profile: Profile,
    /// Words.
    pub words: Words,
    /// Step of brightness, from 1; 0: not touched.
    pub brightness: u8,
    /// Time of one step of scrolling, ms; 0: long lines are cut.
    pub scroll_ms: u64,
    /// Everything is written again after this long, ms; 0: never.
    pub refresh_ms: u64,
}

impl Config {
    /// Checks.
    pub fn new(s: DisplaySettings) -> Result<Self, PluginError> {
        let profile = Profile::built_in(&s.profile).map_err(|e| PluginError::settings(e.to_string()))?;
        let most = profile.brightness;
        let brightness = match s.brightness {
            None => most,
            Some(n) if (1..=most).contains(&n) => n,
            Some(n) => {
                let text = format!("brightness {n}: the display {} has 1 to {most} (0: none)", profile.name);
                return Err(PluginError::settings(text));
            }
        };
        if s.scroll_ms != 0 && !(100..=5_000).contains(&s.scroll_ms) {
            return Err(PluginError::settings("scroll-ms is 0 (cut) or 100 to 5000"));
        }
        if s.refresh_s > 3_600 || s.idle.len() > 2 {
            return Err(PluginError::settings("refresh-s is at most 3600, idle has at most two lines"));
        }
        let chinese = match s.language {
            Language::Auto | Language::Zh => profile.charset == Charset::Gb18030,
            Language::En => false,
        };
        if s.language == Language::Zh && !chinese {
            return Err(PluginError::settings(format!("the display {} has no Chinese font", profile.name)));
        }
        Ok(Self {
            words: Words::new(chinese, s.idle),
            profile,
            brightness,
            scroll_ms: s.scroll_ms.into(),
            refresh_ms: u64::from(s.refresh_s) * 1_000,
        })
    }
}
