//! Starts an instance for every configured device and channel. One that cannot be started is shown with its reason and
//! keeps nobody else from starting.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use till_hosts::{Catalog, InstanceSpec, Plugin, Supervisor};
use till_plugin::Sensitive;

use crate::config::{ChannelConfig, Config, DeviceConfig};
use crate::merchant::MerchantError;
use crate::secrets::SecretError;
use crate::till::{ChannelView, DeviceView};

pub(super) fn start(
    config: &Config,
    catalog: &Catalog,
    supervisor: &Supervisor,
    devices: &crate::till::DeviceStarter,
    channels: &crate::till::ChannelStarter,
) {
    for channel in config.channels.values() {
        let plugin = catalog.get(&channel.plugin);
        let view = channel_view(channel, plugin);
        if !channel.enabled {
            channels.broken(view, "switched off in the configuration".into());
            continue;
        }
        let started = find(plugin, catalog, &channel.plugin).and_then(|plugin| {
            let spec = spec(&channel.id, plugin, &channel.settings, secrets(config, &channel.secrets)?);
            supervisor.start(spec).map_err(|e| e.to_string())
        });
        match started {
            Ok((instance, events)) => channels.start(view, instance, events),
            Err(reason) => {
                tracing::error!(CHANNEL = channel.id, "{reason}");
                channels.broken(view, reason);
            }
        }
    }
    for device in config.devices.values() {
        let plugin = catalog.get(&device.plugin);
        let mut view = device_view(device, plugin);
        if !device.enabled {
            view.state = "disabled".into();
            devices.broken(&view);
            continue;
        }
        let started = find(plugin, catalog, &device.plugin).and_then(|plugin| {
            let mut spec = spec(&device.id, plugin, &device.settings, secrets(config, &device.secrets)?);
            spec.transport = Some(device.transport.clone());
            supervisor.start(spec).map_err(|e| e.to_string())
        });
        match started {
            Ok((instance, events)) => devices.start(view, device.service_after.clone(), instance, events),
            Err(reason) => {
                tracing::error!(DEVICE = device.id, "{reason}");
                view.state = "failed".into();
                view.reason = reason;
                devices.broken(&view);
            }
        }
    }
}

/// Names of the secrets that no folder is known for here: the unit brings them.
pub(super) fn secrets_of_the_unit(config: &Config) -> BTreeSet<String> {
    if config.secrets_dir.is_some() {
        return BTreeSet::new();
    }
    let channels = config.channels.values().filter(|c| c.enabled);
    let hashes = channels.clone().filter_map(|c| Some(c.merchant.as_ref()?.password_hash.clone()));
    let devices = config.devices.values().filter(|d| d.enabled);
    let given = channels.map(|c| &c.secrets).chain(devices.map(|d| &d.secrets));
    given.flat_map(|secrets| secrets.values().cloned()).chain(hashes).collect()
}

/// Checks what `start` would start, without starting it. Secrets that only the unit has are not looked at.
pub(super) fn problems(config: &Config, catalog: &Catalog) -> Vec<String> {
    let mut problems: Vec<String> = catalog.errors().iter().map(ToString::to_string).collect();
    let mut check = |id: &str, what: &str, checked: Result<(), String>| {
        if let Err(e) = checked {
            problems.push(format!("{what} {id}: {e}"));
        }
    };
    for c in config.channels.values().filter(|c| c.enabled) {
        let checked = find(catalog.get(&c.plugin), catalog, &c.plugin)
            .and_then(|plugin| Ok(spec(&c.id, plugin, &c.settings, seen(config, &c.secrets)?)))
            .and_then(|spec| spec.check().map_err(|e| e.to_string()));
        check(&c.id, "channel", checked);
        let merchant = match crate::merchant::known(config, c) {
            Err(MerchantError::Secret(SecretError::NoFolder { .. })) => Ok(()),
            known => known.map(drop).map_err(|e| e.to_string()),
        };
        check(&c.id, "channel", merchant);
    }
    for d in config.devices.values().filter(|d| d.enabled) {
        let checked = find(catalog.get(&d.plugin), catalog, &d.plugin)
            .and_then(|plugin| Ok(spec(&d.id, plugin, &d.settings, seen(config, &d.secrets)?)))
            .and_then(|mut spec| {
                spec.transport = Some(d.transport.clone());
                spec.check().map_err(|e| e.to_string())
            });
        check(&d.id, "device", checked);
    }
    problems
}

/// The plugin, or why it is not there: not installed, or installed and refused.
fn find(plugin: Option<&Arc<Plugin>>, catalog: &Catalog, id: &str) -> Result<Arc<Plugin>, String> {
    plugin.cloned().ok_or_else(|| {
        let refused = catalog.errors().iter().map(ToString::to_string).find(|e| e.contains(id));
        refused.unwrap_or_else(|| format!("plugin {id} is not installed; `tillctl plugins` lists what is"))
    })
}

fn spec(id: &str, plugin: Arc<Plugin>, settings: &toml::Table, secrets: Secrets) -> InstanceSpec {
    let mut spec = InstanceSpec::new(id, plugin);
    spec.settings = settings.clone();
    spec.secrets = secrets;
    spec
}

/// By the plugin's names for them.
type Secrets = Vec<(String, Sensitive<Vec<u8>>)>;

fn secrets(config: &Config, named: &BTreeMap<String, String>) -> Result<Secrets, String> {
    let read = |file: &str| crate::secrets::read(config.secrets_dir.as_deref(), file);
    let each = named.iter().map(|(name, file)| Ok((name.clone(), read(file).map_err(|e| e.to_string())?)));
    each.collect()
}

/// The same for a check: without a folder they are not looked at, and stand empty.
fn seen(config: &Config, named: &BTreeMap<String, String>) -> Result<Secrets, String> {
    let read = |file: &str| match crate::secrets::read(config.secrets_dir.as_deref(), file) {
        Err(SecretError::NoFolder { .. }) => Ok(Sensitive::new(Vec::new())),
        read => read.map_err(|e| e.to_string()),
    };
    named.iter().map(|(name, file)| Ok((name.clone(), read(file)?))).collect()
}

fn names(given: &str, plugin: Option<&Arc<Plugin>>, id: &str) -> (String, String) {
    if !given.is_empty() {
        return (given.into(), given.into());
    }
    plugin.map_or_else(
        || (id.into(), id.into()),
        |p| (p.manifest.plugin.name.clone(), p.manifest.plugin.name_zh.clone()),
    )
}

fn channel_view(c: &ChannelConfig, plugin: Option<&Arc<Plugin>>) -> ChannelView {
    ChannelView {
        name: names(&c.name, plugin, &c.id),
        version: String::new(),
        description: None,
        legs: Vec::new(),
        network: plugin.is_some_and(|p| p.manifest.needs.network),
        power: None,
        manifest_families: plugin
            .and_then(|p| p.manifest.channel.as_ref())
            .map(|m| m.families.clone())
            .unwrap_or_default(),
        health: till_core::routing::RouteHealth::Starting,
        suspended: None,
        standing: None,
        instance: None,
        config: c.clone(),
    }
}

fn device_view(d: &DeviceConfig, plugin: Option<&Arc<Plugin>>) -> DeviceView {
    DeviceView {
        id: d.id.clone(),
        name: names(&d.name, plugin, &d.id),
        plugin: d.plugin.clone(),
        version: String::new(),
        classes: plugin
            .and_then(|p| p.manifest.driver.as_ref())
            .map(|m| m.classes.clone())
            .unwrap_or_default(),
        transport: d.transport.name(),
        state: "starting".into(),
        reason: String::new(),
        sandbox: Vec::new(),
    }
}
