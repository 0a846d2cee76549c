//! Under which numbers parameters are downloaded.

use serde::Deserialize;

/// 60.1 and 60.3 of downloads (channels.md §1.3).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DownloadRules {
    /// 60.1.
    #[serde(rename = "type")]
    pub kind: String,
    /// Contactless limits.
    pub limits: String,
    /// Their end; empty: not sent. Two public terminals have it, channels.md has it not.
    pub limits_end: String,
    /// A page of the list of keys.
    pub keys_list: String,
    /// A key.
    pub keys: String,
    /// End of the keys.
    pub keys_end: String,
    /// A page of the list of applications.
    pub applications_list: String,
    /// An application.
    pub applications: String,
    /// End of the applications.
    pub applications_end: String,
}

impl Default for DownloadRules {
    fn default() -> Self {
        Self {
            kind: "00".into(),
            limits: "394".into(),
            limits_end: String::new(),
            keys_list: "372".into(),
            keys: "370".into(),
            keys_end: "371".into(),
            applications_list: "382".into(),
            applications: "380".into(),
            applications_end: "381".into(),
        }
    }
}

impl DownloadRules {
    pub(super) fn check(&self) -> Result<(), String> {
        let codes = [
            ("limits", &self.limits),
            ("keys_list", &self.keys_list),
            ("keys", &self.keys),
            ("keys_end", &self.keys_end),
            ("applications_list", &self.applications_list),
            ("applications", &self.applications),
            ("applications_end", &self.applications_end),
        ];
        let end = Some(("limits_end", &self.limits_end)).filter(|(_, code)| !code.is_empty());
        let digits = |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
        if let Some((name, _)) = codes.into_iter().chain(end).find(|(_, code)| !digits(code, 3)) {
            return Err(format!("downloads.{name} is three digits"));
        }
        if digits(&self.kind, 2) { Ok(()) } else { Err("downloads.type is two digits".into()) }
    }
}
