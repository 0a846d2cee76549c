//! From settings and secrets to an interface that can be asked. Talks to nobody.

use std::time::Duration;

use till_plugin::{Host, PluginError, Sensitive};
use till_wallet::certificate::Certificate;
use till_wallet::given;
use till_wallet::keys::{PlatformKey, SigningKey};
use till_wallet::link::{Identity, Target};

use crate::api::{Line, Three, Two};
use crate::resource::ApiV3Key;
use crate::seal::{Sealer, Seals};
use crate::settings::Config;
use crate::v3::Merchant;

fn wrong(e: impl std::fmt::Display) -> PluginError {
    PluginError::settings(e.to_string())
}

fn merchant(config: &Config) -> Merchant {
    Merchant {
        appid: config.appid.clone(),
        mchid: config.mchid.clone(),
        notify_url: config.notify_url.clone(),
        store_id: config.store_id.clone(),
        terminal_id: config.terminal_id.clone(),
    }
}

fn line(config: &Config, identity: Option<&Identity<'_>>) -> Result<Line, PluginError> {
    let ca = config.ca()?;
    let connect = Duration::from_millis(config.connect_timeout_ms.into());
    let target = |url: &String| {
        Target::with_identity(url, &ca, config.insecure_http_for_tests, connect, identity).map_err(wrong)
    };
    let targets = std::iter::once(&config.gateway).chain(&config.second_gateway).map(target);
    Ok(Line {
        targets: targets.collect::<Result<_, _>>()?,
        patience: Duration::from_millis(config.exchange_timeout_ms.into()),
    })
}

/// Interface v3, from settings and secrets.
pub(crate) fn three(host: &Host, config: &Config) -> Result<Three, PluginError> {
    let secret = host.secret("merchant_private_key")?;
    let key = SigningKey::from_text(given::secret(&secret, "merchant_private_key")?).map_err(wrong)?;
    let mut seals = Seals::default();
    for (key, id) in [
        (&config.platform_public_key, &config.platform_public_key_id),
        (&config.next_platform_public_key, &config.next_platform_public_key_id),
    ] {
        if let (Some(key), Some(id)) = (key, id) {
            seals.trust_key(id, PlatformKey::from_text(key).map_err(wrong)?);
        }
    }
    for certificate in
        Certificate::all_of_pem(config.platform_certificates.as_deref().unwrap_or_default()).map_err(wrong)?
    {
        seals.trust_certificate(certificate);
    }
    // Optional where a public key of the platform is set.
    let api_key = match host.secret("api_v3_key") {
        Ok(secret) => {
            Some(ApiV3Key::new(given::secret(&secret, "api_v3_key")?.trim().as_bytes()).map_err(wrong)?)
        }
        Err(_) => None,
    };
    if seals.is_empty() && api_key.is_none() {
        return Err(PluginError::settings(
            "no key of the platform is known: set platform_public_key with its id, or give the secret api_v3_key so that the \
             till can fetch the platform's certificates",
        ));
    }
    Ok(Three {
        merchant: merchant(config),
        sealer: Sealer {
            mchid: config.mchid.clone(),
            serial: config.merchant_serial.clone().unwrap_or_default(),
            key,
        },
        seals,
        api_key,
        wanted_key: config.platform_public_key_id.clone(),
        line: line(config, None)?,
        fetched_ms: None,
    })
}

/// Interface v2, from settings and secrets.
pub(crate) fn two(host: &Host, config: &Config) -> Result<Two, PluginError> {
    let secret = host.secret("api_v2_key")?;
    let key = given::secret(&secret, "api_v2_key")?.trim();
    if key.len() != 32 {
        return Err(PluginError::settings(
            "the secret api_v2_key does not have 32 characters; copy it again from the merchant console (API security)",
        ));
    }
    let certificate_pem = config.merchant_certificate()?;
    let line = if certificate_pem.is_empty() {
        line(config, None)?
    } else {
        let secret = host.secret("merchant_private_key")?;
        let key_pem = given::secret(&secret, "merchant_private_key")?;
        line(config, Some(&Identity { certificate_pem: &certificate_pem, key_pem }))?
    };
    Ok(Two {
        merchant: merchant(config),
        method: config.v2_sign_type,
        key: Sensitive::new(key.to_owned()),
        device_ip: config.v2_device_ip.clone(),
        seals: Seals::default(),
        line,
    })
}
