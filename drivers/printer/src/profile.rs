//! What a printer model can do, as data. A profile is a TOML file; settings override single values of it.

use crate::text::Charset;
use serde::Deserialize;

/// What cuts the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cutter {
    /// Nothing: the paper is fed to the tear bar.
    None,
    /// Leaves a small bridge.
    Partial,
    /// Cuts through.
    Full,
}

/// How QR codes are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QrKind {
    /// By the printer (`GS ( k`).
    Native,
    /// As a picture.
    Raster,
}

/// What the printer takes text for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CharsetKind {
    /// Chinese, two-byte codes of GB 18030.
    Gb18030,
    /// Chinese, GBK.
    Gbk,
    /// UTF-8.
    #[serde(rename = "utf-8")]
    Utf8,
    /// 7-bit.
    Ascii,
    /// Windows-1252 on `code_page`.
    #[serde(rename = "windows-1252")]
    Windows1252,
    /// Windows-1251 on `code_page`.
    #[serde(rename = "windows-1251")]
    Windows1251,
    /// CP866 on `code_page`.
    Cp866,
}

/// What counts as the printer's word that a job is on paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confirm {
    /// Find out: queued if it answers `GS r`, else real-time if it answers `DLE EOT`, else none.
    Auto,
    /// It answers `GS r 1` when it comes to it in its buffer.
    Queued,
    /// It answers `DLE EOT` only; the time its buffer needs is waited for.
    RealTime,
    /// It never answers (no way back, or a clone): a job ends unconfirmed.
    None,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Name, as used in settings.
    pub name: String,
    /// For which printers, for people.
    pub about: String,
    /// Columns of the normal font, 16 to 96.
    pub columns: usize,
    /// Dots of the print head, 128 to 1024.
    pub dots: usize,
    /// What it takes text for.
    pub charset: CharsetKind,
    /// The printer's number of the code page, for single-byte character sets.
    #[serde(default)]
    pub code_page: u8,
    /// Cutter.
    pub cutter: Cutter,
    /// Lines fed before tearing where there is no cutter.
    #[serde(default = "six")]
    pub tear_feed: u8,
    /// QR codes.
    pub qr: QrKind,
    /// The `DLE EOT n` it answers.
    pub status: Vec<u8>,
    /// Confirmation.
    pub confirm: Confirm,
    /// Rows of dots in one raster command, 8 to 128.
    #[serde(default = "twenty_four")]
    pub band_rows: usize,
    /// Bytes sent between two looks at the status, 64 to 4096. Twice as many at most are in its buffer.
    #[serde(default = "five_hundred")]
    pub chunk_bytes: usize,
    /// Slowest time for one line of text, ms.
    #[serde(default = "sixty")]
    pub line_ms: u64,
}

fn six() -> u8 {
    6
}
fn twenty_four() -> usize {
    24
}
fn five_hundred() -> usize {
    512
}
fn sixty() -> u64 {
    60
}

/// Values of a profile that settings may replace. All are optional.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// See [`Profile::columns`].
    pub columns: Option<usize>,
    /// See [`Profile::dots`].
    pub dots: Option<usize>,
    /// See [`Profile::charset`].
    pub charset: Option<CharsetKind>,
    /// See [`Profile::code_page`].
    pub code_page: Option<u8>,
    /// See [`Profile::cutter`].
    pub cutter: Option<Cutter>,
    /// See [`Profile::tear_feed`].
    pub tear_feed: Option<u8>,
    /// See [`Profile::qr`].
    pub qr: Option<QrKind>,
    /// See [`Profile::status`].
    pub status: Option<Vec<u8>>,
    /// See [`Profile::confirm`].
    pub confirm: Option<Confirm>,
    /// See [`Profile::band_rows`].
    pub band_rows: Option<usize>,
    /// See [`Profile::chunk_bytes`].
    pub chunk_bytes: Option<usize>,
    /// See [`Profile::line_ms`].
    pub line_ms: Option<u64>,
}

/// Why a profile cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// No such profile.
    #[error("printer profile {0:?} is not known: use one of {known}", known = Profile::names().join(", "))]
    Unknown(String),
    /// The TOML does not read.
    #[error("printer profile {name}: {text}")]
    Syntax {
        /// Which.
        name: String,
        /// What is wrong and where.
        text: String,
    },
    /// A value outside its limits.
    #[error("printer setting {key} is {value}: it must be {want}")]
    Range {
        /// Setting.
        key: &'static str,
        /// Value.
        value: String,
        /// Limits.
        want: &'static str,
    },
}

const BUILT_IN: [(&str, &str); 5] = [
    ("generic-58", include_str!("../profiles/generic-58.toml")),
    ("generic-80", include_str!("../profiles/generic-80.toml")),
    ("pos-5890", include_str!("../profiles/pos-5890.toml")),
    ("epson-tm-80", include_str!("../profiles/epson-tm-80.toml")),
    ("latin-80", include_str!("../profiles/latin-80.toml")),
];

impl Profile {
    /// Names of the profiles in the driver.
    pub fn names() -> Vec<&'static str> {
        BUILT_IN.iter().map(|(name, _)| *name).collect()
    }

    /// A profile of the driver by name.
    pub fn built_in(name: &str) -> Result<Self, ProfileError> {
        let (_, text) = BUILT_IN
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| ProfileError::Unknown(name.to_owned()))?;
        Self::from_toml(name, text)
    }

    /// A profile from TOML text; `name` is for error texts.
    pub fn from_toml(name: &str, text: &str) -> Result<Self, ProfileError> {
        let profile: Self = toml::from_str(text)
            .map_err(|error| ProfileError::Syntax { name: name.to_owned(), text: error.to_string() })?;
        profile.checked()
    }

    /// This profile with the given values replaced.
    pub fn with(self, over: &Overrides) -> Result<Self, ProfileError> {
        let confirm = over.confirm.unwrap_or(self.confirm);
        Self {
            name: self.name,
            about: self.about,
            columns: over.columns.unwrap_or(self.columns),
            dots: over.dots.unwrap_or(self.dots),
            charset: over.charset.unwrap_or(self.charset),
            code_page: over.code_page.unwrap_or(self.code_page),
            cutter: over.cutter.unwrap_or(self.cutter),
            tear_feed: over.tear_feed.unwrap_or(self.tear_feed),
            qr: over.qr.unwrap_or(self.qr),
            status: over.status.clone().unwrap_or(self.status),
            confirm,
            band_rows: over.band_rows.unwrap_or(self.band_rows),
            chunk_bytes: over.chunk_bytes.unwrap_or(self.chunk_bytes),
            line_ms: over.line_ms.unwrap_or(self.line_ms),
        }
        .checked()
    }

    fn checked(self) -> Result<Self, ProfileError> {
        let in_range = |key, value: usize, low: usize, high: usize, want| {
            let error = || ProfileError::Range { key, value: value.to_string(), want };
            (low..=high).contains(&value).then_some(()).ok_or_else(error)
        };
        in_range("columns", self.columns, 16, 96, "16 to 96")?;
        in_range("dots", self.dots, 128, crate::raster::MAX_DOTS, "128 to 1024")?;
        in_range("band_rows", self.band_rows, 8, 128, "8 to 128")?;
        in_range("chunk_bytes", self.chunk_bytes, 64, 4096, "64 to 4096")?;
        in_range("line_ms", usize::try_from(self.line_ms).unwrap_or(usize::MAX), 1, 2000, "1 to 2000")?;
        if self.status.iter().any(|n| !(1..=4).contains(n)) || self.status.len() > 4 {
            let value = format!("{:?}", self.status);
            return Err(ProfileError::Range { key: "status", value, want: "a list out of 1, 2, 3, 4" });
        }
        Ok(self)
    }

    /// The character set.
    pub fn charset(&self) -> Charset {
        let page = self.code_page;
        match self.charset {
            CharsetKind::Gb18030 => Charset::Gb18030,
            CharsetKind::Gbk => Charset::Gbk,
            CharsetKind::Utf8 => Charset::Utf8,
            CharsetKind::Ascii => Charset::Ascii,
            CharsetKind::Windows1252 => Charset::SingleByte { encoding: encoding_rs::WINDOWS_1252, page },
            CharsetKind::Windows1251 => Charset::SingleByte { encoding: encoding_rs::WINDOWS_1251, page },
            CharsetKind::Cp866 => Charset::SingleByte { encoding: encoding_rs::IBM866, page },
        }
    }

    /// Whether the printer can be asked for its status at all.
    pub fn asks(&self) -> bool {
        self.confirm != Confirm::None && !self.status.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_of_the_driver_reads() {
        for name in Profile::names() {
            assert_eq!(Profile::built_in(name).map(|p| p.name), Ok(name.to_owned()));
        }
    }

    #[test]
    fn settings_override_single_values_and_wrong_ones_are_named() {
        let base = Profile::built_in("generic-80").unwrap();
        let over = Overrides { columns: Some(42), ..Overrides::default() };
        assert_eq!(base.clone().with(&over).unwrap().columns, 42);
        let over = Overrides { columns: Some(4), ..Overrides::default() };
        let error = base.clone().with(&over).unwrap_err().to_string();
        assert_eq!(error, "printer setting columns is 4: it must be 16 to 96");
        let over = Overrides { status: Some(vec![9]), ..Overrides::default() };
        assert!(base.with(&over).unwrap_err().to_string().contains("status"));
        assert!(Profile::built_in("nope").unwrap_err().to_string().contains("generic-58"));
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let error = Profile::from_toml("x", "name = \"x\"\ncolour = 1").unwrap_err().to_string();
        assert!(error.contains("colour"), "{error}");
    }
}
