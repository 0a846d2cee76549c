//! Settings and secrets as text.

use std::path::Path;

use till_plugin::{PluginError, Sensitive};

/// A secret's text.
pub fn secret<'a>(secret: &'a Sensitive<Vec<u8>>, name: &str) -> Result<&'a str, PluginError> {
    std::str::from_utf8(secret.expose()).map_err(|_| {
        PluginError::settings(format!("the secret {name:?} is not text; give it as exported (PEM or base64)"))
    })
}

/// The text of a file that the setting `key` names, or the text given in its place; empty when neither is set.
pub fn pem(key: &str, file: Option<&Path>, pem: Option<&str>) -> Result<String, PluginError> {
    let Some(path) = file else { return Ok(pem.unwrap_or_default().to_owned()) };
    std::fs::read_to_string(path).map_err(|e| {
        PluginError::settings(format!(
            "{key} {} cannot be read ({e}); check the path and that the till's user may read it",
            path.display()
        ))
    })
}

/// Refuses a thing that is given twice, by file and as text.
pub fn at_most_one(what: &str, file: Option<&Path>, pem: Option<&str>) -> Result<(), PluginError> {
    if file.is_some() && pem.is_some() {
        return Err(PluginError::settings(format!("{what}_file and {what}_pem are both set; keep one")));
    }
    Ok(())
}
