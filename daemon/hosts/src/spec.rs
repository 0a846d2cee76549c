//! What an instance is made from.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use till_plugin::Sensitive;
use till_plugin::manifest::ManifestError;

use crate::catalog::Plugin;
use crate::transport::TransportSpec;

/// What an instance is made from: checked before anything is started.
#[derive(Clone)]
pub struct InstanceSpec {
    /// Id of the instance, unique in the till: lower-case letters, digits, dots and dashes; names its store file.
    pub id: String,
    /// The plugin.
    pub plugin: Arc<Plugin>,
    /// Its `settings` table.
    pub settings: toml::Table,
    /// Its secrets, by the names in the manifest.
    pub secrets: Vec<(String, Sensitive<Vec<u8>>)>,
    /// Its transport, for plugins that have one.
    pub transport: Option<TransportSpec>,
}

impl fmt::Debug for InstanceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Settings are an author's own; a secret may stand there by mistake.
        f.debug_struct("InstanceSpec")
            .field("id", &self.id)
            .field("plugin", &self.plugin.id())
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

impl InstanceSpec {
    /// A spec without settings, secrets or transport.
    pub fn new(id: impl Into<String>, plugin: Arc<Plugin>) -> Self {
        Self { id: id.into(), plugin, settings: toml::Table::new(), secrets: Vec::new(), transport: None }
    }

    /// Checks id, settings, secrets and transport against the manifest.
    pub fn check(&self) -> Result<(), SpecError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
        if self.id.is_empty()
            || self.id.len() > 63
            || !self.id.chars().all(plain)
            || self.id.starts_with(['.', '-'])
        {
            return Err(SpecError::Id { id: self.id.chars().take(64).collect() });
        }
        let manifest = &self.plugin.manifest;
        manifest
            .check_settings(&self.settings)
            .map_err(|error| SpecError::Settings { instance: self.id.clone(), error })?;
        for (name, _) in &self.secrets {
            if !manifest.needs.secrets.contains(name) {
                return Err(SpecError::Secret {
                    instance: self.id.clone(),
                    name: name.clone(),
                    known: manifest.needs.secrets.join(", "),
                });
            }
        }
        if let (Some(driver), Some(transport)) = (&manifest.driver, &self.transport)
            && let Some(kind) = transport.kind()
            && !driver.transports.contains(&kind)
        {
            let known: Vec<_> = driver.transports.iter().map(|k| k.as_str()).collect();
            return Err(SpecError::Transport {
                instance: self.id.clone(),
                kind: kind.as_str(),
                plugin: self.plugin.id().to_owned(),
                known: known.join(", "),
            });
        }
        if let Some(TransportSpec::Udev(wish)) = &self.transport
            && wish.properties.is_empty()
            && manifest.driver.as_ref().is_none_or(|d| d.matches.is_empty())
        {
            return Err(SpecError::NoRules {
                instance: self.id.clone(),
                plugin: self.plugin.id().to_owned(),
            });
        }
        self.readable().map(|_| ())
    }

    /// Files that the plugin may read, `setting:` names put in place.
    pub(crate) fn readable(&self) -> Result<Vec<PathBuf>, SpecError> {
        let bad =
            |entry: &str| SpecError::Read { plugin: self.plugin.id().to_owned(), entry: entry.to_owned() };
        let mut paths = Vec::new();
        for entry in &self.plugin.manifest.needs.read {
            let path = if let Some(name) = entry.strip_prefix("setting:") {
                if !self.plugin.manifest.settings.contains_key(name) {
                    return Err(bad(entry));
                }
                match self.settings.get(name).and_then(toml::Value::as_str) {
                    Some(path) => PathBuf::from(path),
                    None => continue,
                }
            } else {
                PathBuf::from(entry)
            };
            if !path.is_absolute() {
                return Err(bad(entry));
            }
            paths.push(path);
        }
        Ok(paths)
    }
}

/// Why a spec is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// The id cannot name a file and an object.
    #[error(
        "instance id {id:?}: use 1 to 63 lower-case letters, digits, dots and dashes, a letter or digit first"
    )]
    Id {
        /// What was given.
        id: String,
    },
    /// Settings do not fit the manifest.
    #[error("{instance}: {error}")]
    Settings {
        /// Instance.
        instance: String,
        /// Why.
        error: ManifestError,
    },
    /// A secret that the plugin does not ask for.
    #[error("{instance}: the plugin asks for no secret {name:?}; it asks for: {known}")]
    Secret {
        /// Instance.
        instance: String,
        /// Name.
        name: String,
        /// Names there are.
        known: String,
    },
    /// A transport that the driver cannot use.
    #[error("{instance}: the plugin {plugin} cannot use a {kind} transport; it can use: {known}")]
    Transport {
        /// Instance.
        instance: String,
        /// Kind.
        kind: &'static str,
        /// Plugin.
        plugin: String,
        /// Kinds there are.
        known: String,
    },
    /// Nothing says which device is meant.
    #[error(
        "{instance}: the plugin {plugin} knows no hardware by itself: say which device is meant, such as \
         properties = {{ ID_SERIAL = \"…\" }} (`udevadm info /dev/…` shows what there is), or name its port"
    )]
    NoRules {
        /// Instance.
        instance: String,
        /// Plugin.
        plugin: String,
    },
    /// `needs.read` of the manifest (or the setting it names) is no absolute path.
    #[error(
        "plugin {plugin}: {entry:?} in needs.read must be an absolute path, or `setting:` and a path setting that holds one"
    )]
    Read {
        /// Plugin.
        plugin: String,
        /// Entry.
        entry: String,
    },
}
