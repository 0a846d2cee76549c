//! Whose plugins are loaded, as the file has it.

use till_hosts::{Rule, RuleError, Trust};

use super::file::Plugins;
use super::load::{ConfigError, bad};

/// The site's rule: `plugins.trust`, `plugins.keys`, `plugins.allow`.
pub(super) fn trust(plugins: &Plugins) -> Result<Trust, ConfigError> {
    let rule = match &plugins.trust {
        None => Rule::Any,
        Some(name) => Rule::parse(name).ok_or_else(|| {
            bad("plugins.trust", format!("{name:?} is none of \"any\", \"signed\", \"allow-list\""))
        })?,
    };
    Trust::new(rule, plugins.keys.clone(), &plugins.allow).map_err(|e| {
        let key = match &e {
            RuleError::Key(name) => format!("plugins.keys.{name}"),
            RuleError::Digest(_) => "plugins.allow".into(),
            RuleError::NoKeys | RuleError::NothingListed => "plugins.trust".into(),
        };
        bad(key, e.to_string())
    })
}
