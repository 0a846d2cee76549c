//! Which mode the settings describe: key mode, or certificate mode. Two of them, half of one and none are refused.

use std::path::Path;

use till_plugin::PluginError;
use till_wallet::given;

use crate::settings::Config;

/// How an application and Alipay prove who they are, with the PEM texts of the settings.
#[derive(Clone, Debug)]
pub enum Mode {
    /// By one key each: Alipay's public key.
    Key(String),
    /// By certificates (公钥证书模式).
    Certificates {
        /// The application's.
        app: String,
        /// Alipay's.
        alipay: String,
        /// Alipay's roots.
        roots: String,
    },
}

impl Config {
    /// The three certificates of certificate mode: name, file, text.
    fn certificates(&self) -> [(&'static str, Option<&Path>, Option<&str>); 3] {
        [
            ("app_certificate", self.app_certificate_file.as_deref(), self.app_certificate_pem.as_deref()),
            (
                "alipay_certificate",
                self.alipay_certificate_file.as_deref(),
                self.alipay_certificate_pem.as_deref(),
            ),
            ("alipay_root", self.alipay_root_file.as_deref(), self.alipay_root_pem.as_deref()),
        ]
    }

    /// Refuses two modes, half a mode and none.
    pub(crate) fn check_mode(&self) -> Result<(), PluginError> {
        let certificates = self.certificates();
        let given = certificates.iter().find(|(_, file, pem)| file.is_some() || pem.is_some());
        match (&self.alipay_public_key, given) {
            (Some(_), None) => return Ok(()),
            (Some(_), Some((what, ..))) => {
                return Err(PluginError::settings(format!(
                    "alipay_public_key and {what} are both set; keep the one that the application's page at open.alipay.com \
                     gives: a key, or certificates"
                )));
            }
            (None, None) => {
                return Err(PluginError::settings(
                    "alipay_public_key is not set, nor app_certificate, alipay_certificate and alipay_root (each as _file or \
                     _pem); set what the application's page at open.alipay.com gives",
                ));
            }
            (None, Some(_)) => {}
        }
        for (what, file, pem) in certificates {
            given::at_most_one(what, file, pem)?;
            if file.is_none() && pem.is_none() {
                return Err(PluginError::settings(format!(
                    "certificate mode needs {what}_file or {what}_pem too; download it from the application's page at \
                     open.alipay.com"
                )));
            }
        }
        Ok(())
    }

    /// The mode, files read.
    pub fn mode(&self) -> Result<Mode, PluginError> {
        self.check_mode()?;
        if let Some(key) = &self.alipay_public_key {
            return Ok(Mode::Key(key.clone()));
        }
        let [app, alipay, roots] =
            self.certificates().map(|(what, file, pem)| given::pem(&format!("{what}_file"), file, pem));
        Ok(Mode::Certificates { app: app?, alipay: alipay?, roots: roots? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use till_plugin::Settings;

    #[test]
    fn one_mode_is_set_and_whole() {
        let mode = |json: &str| {
            let json = format!("{{\"app_id\":\"2021000000000001\"{json}}}");
            Settings::from_json(json).parse::<Config>().and_then(|c| c.check()).map_err(|e| e.message)
        };
        let all = ",\"app_certificate_pem\":\"a\",\"alipay_certificate_pem\":\"b\",\"alipay_root_pem\":\"c\"";
        mode(all).unwrap();
        for (bad, named) in [
            (String::new(), "alipay_public_key is not set"),
            (
                format!("{all},\"alipay_public_key\":\"k\""),
                "alipay_public_key and app_certificate are both set",
            ),
            (",\"alipay_public_key\":\"k\",\"alipay_root_file\":\"/c\"".into(), "alipay_root are both set"),
            (",\"alipay_root_file\":\"/c\"".into(), "app_certificate_file or app_certificate_pem"),
            (all.replace(",\"alipay_root_pem\":\"c\"", ""), "alipay_root_file or alipay_root_pem"),
            (
                format!("{all},\"alipay_root_file\":\"/c\""),
                "alipay_root_file and alipay_root_pem are both set",
            ),
        ] {
            let said = mode(&bad).unwrap_err();
            assert!(said.contains(named), "{bad}: {said}");
        }
    }
}
