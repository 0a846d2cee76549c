//! What a model can do, as data: a TOML file a model in `profiles/`.

use serde::Deserialize;

/// A model.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Profile {
    /// Its name in the settings.
    pub name: String,
    /// Models that it is for.
    pub about: String,
    /// Its commands.
    pub protocol: Protocol,
    /// Columns of a line: 8 to 40.
    pub columns: usize,
    /// Lines: 1 or 2.
    pub lines: usize,
    /// What its font has.
    pub charset: Charset,
    /// Steps of brightness; 0: it has none.
    pub brightness: u8,
}

/// Families of commands.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// `ESC Q A … CR`: each line is one command with a terminator.
    Cd5220,
    /// `US $ column row`, then characters (Epson's display commands).
    Epson,
    /// `ESC Q A digits CR` and `ESC s n` for the lamps.
    Led8n,
}

/// What a font has.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Charset {
    /// 20h to 7Eh.
    Ascii,
    /// And double-byte Chinese (the two-byte codes of GB 18030), two columns each.
    Gb18030,
    /// Digits, point, minus sign, blank.
    Digits,
}

/// A profile that is not there or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// No such name.
    #[error("there is no display profile {name:?}; there are: {known}")]
    Unknown {
        /// Asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// Not a profile.
    #[error("display profile: {0}")]
    Bad(String),
}

const BUILT_IN: [(&str, &str); 5] = [
    ("cd5220", include_str!("../profiles/cd5220.toml")),
    ("cd5220-gb", include_str!("../profiles/cd5220-gb.toml")),
    ("epson-dm", include_str!("../profiles/epson-dm.toml")),
    ("epson-gb", include_str!("../profiles/epson-gb.toml")),
    ("led8n", include_str!("../profiles/led8n.toml")),
];

impl Profile {
    /// Names of the built-in profiles.
    pub fn names() -> Vec<&'static str> {
        BUILT_IN.iter().map(|(name, _)| *name).collect()
    }

    /// A built-in profile.
    pub fn built_in(name: &str) -> Result<Self, ProfileError> {
        let unknown = || ProfileError::Unknown {
            name: name.chars().take(40).collect(),
            known: Self::names().join(", "),
        };
        let (_, text) = BUILT_IN.iter().find(|(n, _)| *n == name).ok_or_else(unknown)?;
        Self::parse(text)
    }

    /// Reads and checks one.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        let bad = |what: String| Err(ProfileError::Bad(what));
        let profile: Self = match toml::from_str(text) {
            Ok(profile) => profile,
            Err(e) => return bad(e.to_string().trim_end().replace('\n', " ")),
        };
        let p = &profile;
        if !(8..=40).contains(&p.columns) || !(1..=2).contains(&p.lines) {
            return bad(format!(
                "{}: 8 to 40 columns and 1 or 2 lines, not {} x {}",
                p.name, p.lines, p.columns
            ));
        }
        if (p.protocol == Protocol::Led8n) != (p.charset == Charset::Digits) || p.brightness > 4 {
            return bad(format!(
                "{}: digits are led8n's and only its; brightness has at most 4 steps",
                p.name
            ));
        }
        Ok(profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_profile_is_good_and_called_as_its_file() {
        for name in Profile::names() {
            assert_eq!(Profile::built_in(name).map(|p| p.name), Ok(name.to_owned()));
        }
        assert!(Profile::built_in("vfd").unwrap_err().to_string().contains("cd5220"));
    }

    #[test]
    fn a_profile_out_of_bounds_is_refused() {
        let text = include_str!("../profiles/cd5220.toml");
        for (from, to) in
            [("columns = 20", "columns = 4000"), ("lines = 2", "lines = 0"), ("ascii", "digits")]
        {
            assert!(Profile::parse(&text.replace(from, to)).is_err(), "{to}");
        }
    }
}
