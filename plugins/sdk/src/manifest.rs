//! `manifest.toml`, beside the `.so`: what the daemon must know before it loads anything.
//!
//! ```toml
//! [plugin]
//! id = "org.example.scanner"          # reverse domain; also the folder's name
//! kind = "driver"                     # or "channel"
//! library = "libexample_scanner.so"   # in the same folder
//! name = "Example scanner"
//! name-zh = "示例扫码枪"
//!
//! [driver]
//! classes = ["scanner"]
//! transports = ["serial", "unix"]
//!
//! [[driver.match]]                    # hardware it knows, by udev properties; all of one table must hold
//! SUBSYSTEM = "tty"
//! ID_VENDOR_ID = "1eab"
//!
//! [needs]
//! network = false
//! secrets = []
//!
//! [settings.suffix]
//! type = "string"
//! default = "cr"
//! help = "how a scan ends: cr, lf, crlf, tab or none"
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::channel::Operation;
use crate::host::TransportKind;
use crate::instrument::Family;

/// A whole manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Who it is.
    pub plugin: Identity,
    /// For drivers.
    pub driver: Option<DriverManifest>,
    /// For channels.
    pub channel: Option<ChannelManifest>,
    /// What it touches.
    #[serde(default)]
    pub needs: Needs,
    /// Its settings.
    #[serde(default)]
    pub settings: BTreeMap<String, Setting>,
}

/// Who a plugin is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Identity {
    /// Reverse-domain id, the same as in the `.so`'s descriptor.
    pub id: String,
    /// Driver or channel.
    pub kind: Kind,
    /// File name of the `.so`, in the manifest's folder.
    pub library: String,
    /// Name for people, English.
    pub name: String,
    /// Name for people, Chinese.
    #[serde(default)]
    pub name_zh: String,
}

/// Driver or channel.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Hardware.
    Driver,
    /// Payment network.
    Channel,
}

/// What a driver is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriverManifest {
    /// Device classes ([`crate::driver::class`]).
    pub classes: Vec<String>,
    /// Transports it can use.
    pub transports: Vec<TransportKind>,
    /// Hardware it knows: each table is a set of udev properties that must all be equal.
    #[serde(default, rename = "match")]
    pub matches: Vec<BTreeMap<String, String>>,
}

/// What a channel is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelManifest {
    /// Families it takes.
    pub families: Vec<Family>,
    /// Operations it does.
    pub operations: Vec<Operation>,
}

/// What a plugin touches; everything else is closed to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// Opens network connections of its own.
    #[serde(default)]
    pub network: bool,
    /// Secrets it asks for by name.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// Files it reads, beyond its own `.so` (fonts, certificates): absolute paths or names of `path` settings as
    /// `setting:NAME`.
    #[serde(default)]
    pub read: Vec<String>,
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: SettingType,
    /// Must be given.
    #[serde(default)]
    pub required: bool,
    /// Value when not given, for people to read; the plugin applies it.
    #[serde(default)]
    pub default: Option<toml::Value>,
    /// One line.
    pub help: String,
}

/// Types of settings.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SettingType {
    /// Text.
    String,
    /// Whole number.
    Integer,
    /// Yes or no.
    Boolean,
    /// File path.
    Path,
    /// List of texts.
    StringList,
    /// A table with keys of the plugin's own.
    Table,
}

/// Why a manifest or a plugin's settings are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not TOML, unknown key, missing key.
    #[error("manifest: {0}")]
    Toml(String),
    /// Says driver and has no `[driver]`, or the same for channels.
    #[error("manifest of {id}: kind is {kind:?} but there is no [{table}] table")]
    Missing {
        /// Plugin.
        id: String,
        /// Kind.
        kind: Kind,
        /// Table that is missing.
        table: &'static str,
    },
    /// The id is not reverse-domain text.
    #[error(
        "manifest: id {0:?} must be letters, digits, dots and dashes with at least one dot, at most 63 characters"
    )]
    Id(String),
    /// The library is not a plain file name.
    #[error(
        "manifest of {id}: library {library:?} must be a file name in the manifest's folder, without a path"
    )]
    Library {
        /// Plugin.
        id: String,
        /// What it says.
        library: String,
    },
    /// A setting that the manifest does not have.
    #[error("unknown setting {name:?} for plugin {id}; it has: {known}")]
    UnknownSetting {
        /// Plugin.
        id: String,
        /// Setting.
        name: String,
        /// Settings there are.
        known: String,
    },
    /// A required setting is missing.
    #[error("setting {name:?} of plugin {id} is missing: {help}")]
    RequiredSetting {
        /// Plugin.
        id: String,
        /// Setting.
        name: String,
        /// Its help line.
        help: String,
    },
    /// A setting of the wrong type.
    #[error("setting {name:?} of plugin {id} must be {expected:?}: {help}")]
    SettingType {
        /// Plugin.
        id: String,
        /// Setting.
        name: String,
        /// Type.
        expected: SettingType,
        /// Its help line.
        help: String,
    },
}

impl Manifest {
    /// Reads and checks a manifest.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text)
            .map_err(|e| ManifestError::Toml(e.to_string().trim_end().replace('\n', " ")))?;
        let Identity { id, kind, library, .. } = &manifest.plugin;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if id.len() > 63 || !id.contains('.') || !id.chars().all(plain) || id.starts_with('.') {
            return Err(ManifestError::Id(id.chars().take(64).collect()));
        }
        if library.is_empty() || !library.chars().all(plain) || library.starts_with('.') {
            return Err(ManifestError::Library { id: id.clone(), library: library.clone() });
        }
        match kind {
            Kind::Driver if manifest.driver.is_none() => {
                Err(ManifestError::Missing { id: id.clone(), kind: *kind, table: "driver" })
            }
            Kind::Channel if manifest.channel.is_none() => {
                Err(ManifestError::Missing { id: id.clone(), kind: *kind, table: "channel" })
            }
            _ => Ok(manifest),
        }
    }

    /// Checks a `settings` table from the configuration against the schema.
    pub fn check_settings(&self, settings: &toml::Table) -> Result<(), ManifestError> {
        let id = || self.plugin.id.clone();
        for (name, value) in settings {
            let Some(setting) = self.settings.get(name) else {
                let known = self.settings.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                return Err(ManifestError::UnknownSetting { id: id(), name: name.clone(), known });
            };
            if !setting.kind.takes(value) {
                return Err(ManifestError::SettingType {
                    id: id(),
                    name: name.clone(),
                    expected: setting.kind,
                    help: setting.help.clone(),
                });
            }
        }
        match self.settings.iter().find(|(name, s)| s.required && !settings.contains_key(*name)) {
            Some((name, s)) => {
                Err(ManifestError::RequiredSetting { id: id(), name: name.clone(), help: s.help.clone() })
            }
            None => Ok(()),
        }
    }
}

impl SettingType {
    fn takes(self, value: &toml::Value) -> bool {
        match self {
            Self::String | Self::Path => value.is_str(),
            Self::Integer => value.is_integer(),
            Self::Boolean => value.is_bool(),
            Self::StringList => value.as_array().is_some_and(|a| a.iter().all(toml::Value::is_str)),
            Self::Table => value.is_table(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        [plugin]
        id = "org.example.scanner"
        kind = "driver"
        library = "libexample.so"
        name = "Example"
        [driver]
        classes = ["scanner"]
        transports = ["serial"]
        [[driver.match]]
        ID_VENDOR_ID = "1eab"
        [settings.suffix]
        type = "string"
        required = true
        help = "how a scan ends"
    "#;

    #[test]
    fn a_good_manifest_is_read() {
        let m = Manifest::parse(GOOD).unwrap();
        assert_eq!(m.driver.unwrap().matches[0]["ID_VENDOR_ID"], "1eab");
    }

    #[test]
    fn defects_are_named() {
        let e = |from: &str, to: &str| Manifest::parse(&GOOD.replace(from, to)).unwrap_err().to_string();
        assert!(e("name = ", "nmae = ").contains("nmae"));
        assert!(e("libexample.so", "../evil.so").contains("without a path"));
        assert!(
            e("org.example.scanner", "scanner").contains("reverse")
                || e("org.example.scanner", "scanner").contains("dot")
        );
        assert!(e("kind = \"driver\"", "kind = \"channel\"").contains("[channel]"));
    }

    #[test]
    fn settings_are_checked_before_the_plugin_is_loaded() {
        let m = Manifest::parse(GOOD).unwrap();
        let check = |text: &str| m.check_settings(&toml::from_str(text).unwrap()).map_err(|e| e.to_string());
        assert_eq!(check("suffix = 'cr'"), Ok(()));
        assert!(check("").unwrap_err().contains("how a scan ends"));
        assert!(check("suffix = 1").unwrap_err().contains("String"));
        assert!(check("suffix = 'cr'\nsufix = 'lf'").unwrap_err().contains("it has: suffix"));
    }
}
