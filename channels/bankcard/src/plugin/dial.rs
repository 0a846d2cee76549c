//! How to reach the host: TLS with the acquirer's own roots, or plain TCP.

use crate::link::{Dialer, TcpDialer};
use crate::settings::{Config, Security};
use crate::tls::{ClientIdentity, TlsDialer};
use std::fmt::Display;
use std::path::Path;
use till_plugin::{Host, PluginError};
use zeroize::Zeroizing;

pub(super) fn dialer(host: &Host, config: &Config) -> Result<Box<dyn Dialer>, PluginError> {
    let Security::Tls { ca, name, client_certificate } = &config.security else {
        return Ok(Box::new(TcpDialer { address: config.address.clone() }));
    };
    let roots = read("tls_ca", ca)?;
    let certificate =
        client_certificate.as_ref().map(|path| read("tls_client_certificate", path)).transpose()?;
    let key = certificate.as_ref().map(|_| host.secret("tls-client-key")).transpose()?;
    let identity = certificate
        .as_ref()
        .zip(key.as_ref())
        .map(|(certificate, key)| ClientIdentity { certificate, key: key.expose() });
    let dialer = TlsDialer::new(config.address.clone(), name, &roots, identity)
        .map_err(|error| PluginError::settings(error.to_string()))?;
    Ok(Box::new(dialer))
}

fn read(setting: &str, path: &Path) -> Result<Zeroizing<Vec<u8>>, PluginError> {
    let told = |error: &dyn Display| {
        PluginError::settings(format!("setting {setting}: {}: {error}", path.display()))
    };
    std::fs::read(path).map(Zeroizing::new).map_err(|error| told(&error))
}
