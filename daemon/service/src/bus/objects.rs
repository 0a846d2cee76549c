//! The smaller interfaces: `org.tilld.Channel1`, `Printer1`, `Plugins1`.

use std::sync::Arc;
use std::time::Duration;

use till_core::windows::{Kind, Standing};
use till_hosts::ChannelClient;
use till_plugin::channel::Operation;
use zbus::ObjectPath;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;

use super::World;
use super::errors::Error;
use super::options::{self, Options};
use crate::till::ChannelView;

/// Longest for a probe.
const PROBE: Duration = Duration::from_secs(20);

/// One channel.
pub(super) struct Channel1 {
    pub(super) world: Arc<World>,
    pub(super) id: String,
}

impl Channel1 {
    fn seen<T: Default>(&self, f: impl FnOnce(&ChannelView) -> T) -> T {
        self.world.handle.routes.get(&self.id).map_or_else(T::default, |v| f(&v))
    }
}

#[zbus::interface(name = "org.tilld.Channel1")]
impl Channel1 {
    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> String {
        self.id.clone()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn name(&self) -> (String, String) {
        self.seen(|v| v.name.clone())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn plugin(&self) -> String {
        self.seen(|v| v.config.plugin.clone())
    }

    #[zbus(property)]
    fn families(&self) -> Vec<String> {
        self.seen(|v| v.families().iter().map(ToString::to_string).collect())
    }

    #[zbus(property)]
    fn operations(&self) -> Vec<String> {
        self.seen(operations)
    }

    #[zbus(property)]
    fn state(&self) -> String {
        self.seen(|v| v.state().0.to_owned())
    }

    #[zbus(property)]
    fn state_reason(&self) -> String {
        self.seen(|v| v.state().1)
    }

    #[zbus(property)]
    fn unresolved(&self) -> u32 {
        self.world.unresolved(&self.id)
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn priority(&self) -> u32 {
        self.seen(|v| v.config.priority)
    }

    #[zbus(property)]
    fn maintenance(&self) -> MaintenanceRow {
        self.seen(maintenance)
    }

    #[zbus(property)]
    fn breakers(&self) -> Vec<(String, String, u32, i64)> {
        self.seen(breakers)
    }

    #[zbus(property)]
    fn merchant(&self) -> (String, u32, String) {
        self.seen(merchant)
    }

    async fn sign_in(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        let view = self.world.handle.routes.get(&self.id).ok_or_else(|| Error::NotFound(self.id.clone()))?;
        if !view.does(Operation::SignIn) {
            return Err(Error::Unsupported(format!("the channel {} has no sign-in", self.id)));
        }
        crate::till::channels::sign_in(&self.world.handle, &self.id);
        Ok(())
    }

    #[zbus(out_args("state", "text"))]
    async fn probe(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<(String, String), Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        let instance = self
            .world
            .handle
            .routes
            .get(&self.id)
            .and_then(|v| v.instance)
            .ok_or_else(|| Error::PluginFailed(format!("the channel {} has no process", self.id)))?;
        let health = ChannelClient::new(instance).probe(PROBE).await?;
        Ok((health.state.as_str().into(), health.text))
    }

    #[zbus(signal, name = "StateChanged")]
    pub(super) async fn moved(
        emitter: &SignalEmitter<'_>,
        old: &str,
        new: &str,
        reason: &str,
    ) -> zbus::Result<()>;
}

/// Maintenance as on D-Bus: standing, until, next beginning, next end, kind.
pub(super) type MaintenanceRow = (String, i64, i64, i64, String);

/// Maintenance of a channel.
pub(super) fn maintenance(view: &ChannelView) -> MaintenanceRow {
    let Some(outlook) = view.standing.as_ref().map(|s| s.outlook) else {
        return ("open".into(), 0, 0, 0, String::new());
    };
    let until_ms = match outlook.standing {
        Standing::Degraded { until_ms }
        | Standing::Draining { until_ms, .. }
        | Standing::Closed { until_ms } => until_ms,
        Standing::Open | Standing::Unsure => 0,
    };
    let (from, until, kind) = outlook.next.map_or((0, 0, ""), |(span, kind)| {
        (span.from_ms, span.until_ms, if kind == Kind::Down { "down" } else { "degraded" })
    });
    (outlook.standing.code().into(), until_ms, from, until, kind.into())
}

/// Breakers of a channel that are not closed: operation, state, faults in a row, since when.
pub(super) fn breakers(view: &ChannelView) -> Vec<(String, String, u32, i64)> {
    let all = view.standing.iter().flat_map(|s| &s.breakers);
    all.map(|(operation, state, faults, since)| ((*operation).into(), (*state).into(), *faults, *since))
        .collect()
}

/// Merchant authentication of a channel: state, wrong tries in a row, whose sales it is passed for.
pub(super) fn merchant(view: &ChannelView) -> (String, u32, String) {
    let m = view.standing.as_ref().map(|s| s.merchant.clone()).unwrap_or_default();
    (if m.state.is_empty() { "not-required" } else { m.state }.into(), m.wrong, m.operator)
}

/// Why a channel that works takes no sales now: code, and what it does, English and Chinese.
pub(super) fn in_the_way(view: &ChannelView) -> Option<(&'static str, String, String)> {
    let standing = view.standing.as_ref()?;
    let time = |ms: i64| {
        let zoned = jiff::Timestamp::from_millisecond(ms).map(|t| t.to_zoned(jiff::tz::TimeZone::system()));
        zoned.map_or_else(|_| ms.to_string(), |t| t.strftime("%Y-%m-%d %H:%M").to_string())
    };
    match standing.outlook.standing {
        Standing::Closed { until_ms } => {
            let until = time(until_ms);
            let zh = format!("维护中，至 {until}");
            return Some(("channel-closed", format!("is closed for maintenance until {until}"), zh));
        }
        Standing::Draining { from_ms, until_ms } => {
            let (from, until) = (time(from_ms), time(until_ms));
            let en = format!("takes no new sales before its maintenance, {from} until {until}");
            return Some(("channel-draining", en, format!("即将维护（{from} 至 {until}），暂停受理")));
        }
        Standing::Open | Standing::Degraded { .. } | Standing::Unsure => {}
    }
    match standing.merchant.state {
        "required" => {
            let en = "asks for the merchant's number and password before it sells";
            return Some(("merchant-required", en.into(), "须先验证商户号与密码".into()));
        }
        "locked" => {
            let en = "is locked after too many wrong passwords of the merchant";
            return Some(("merchant-locked", en.into(), "商户密码错误次数过多，已锁定".into()));
        }
        _ => {}
    }
    let open =
        standing.breakers.iter().any(|(operation, state, ..)| (*operation, *state) == ("sale", "open"));
    open.then(|| {
        let en = "failed again and again and is asked without money until it answers";
        ("breaker-open", en.to_owned(), "连续失败，正以不涉资金的方式探测".to_owned())
    })
}

/// Operations of a channel by name; none until it runs.
pub(super) fn operations(view: &ChannelView) -> Vec<String> {
    view.description
        .as_ref()
        .map(|d| d.operations.iter().filter_map(|o| kebab(*o)).collect())
        .unwrap_or_default()
}

fn kebab(operation: Operation) -> Option<String> {
    serde_json::to_value(operation).ok()?.as_str().map(String::from)
}

/// Printing side of a device.
pub(super) struct Printer1 {
    pub(super) world: Arc<World>,
}

#[zbus::interface(name = "org.tilld.Printer1")]
impl Printer1 {
    #[zbus(property)]
    fn jobs(&self) -> Vec<(u64, String, String)> {
        let jobs = self.world.handle.published.jobs();
        jobs.into_iter().map(crate::till::JobView::row).collect()
    }

    #[zbus(signal)]
    pub(super) async fn job_changed(
        emitter: &SignalEmitter<'_>,
        job: u64,
        payment: ObjectPath<'_>,
        state: &str,
        reason: &str,
    ) -> zbus::Result<()>;
}

/// Installed plugins.
pub(super) struct Plugins1 {
    pub(super) world: Arc<World>,
}

/// A row of `ListPlugins`: id, kind, name, version, instances, problem, trust.
type PluginRow = (String, String, String, String, Vec<String>, String, String);

#[zbus::interface(name = "org.tilld.Plugins1")]
impl Plugins1 {
    #[zbus(out_args("plugins"))]
    async fn list_plugins(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &zbus::Connection,
    ) -> Result<Vec<PluginRow>, Error> {
        self.world.access.check(connection, &header).await?;
        options::only(&options, &[])?;
        let devices = self.world.handle.published.devices();
        let channels = self.world.handle.routes.all();
        let mut rows: Vec<PluginRow> = self
            .world
            .catalog
            .plugins()
            .map(|plugin| {
                let id = plugin.id();
                let mine = |p: &str| p == id;
                let users = devices.iter().filter(|d| mine(&d.plugin)).map(|d| (&d.id, &d.version));
                let users = users.chain(
                    channels.iter().filter(|c| mine(&c.config.plugin)).map(|c| (&c.config.id, &c.version)),
                );
                let users: Vec<_> = users.collect();
                let version = users.iter().map(|u| u.1.clone()).find(|v| !v.is_empty()).unwrap_or_default();
                let kind = if plugin.manifest.driver.is_some() { "driver" } else { "channel" };
                let instances = users.iter().map(|u| u.0.clone()).collect();
                (
                    id.into(),
                    kind.into(),
                    plugin.manifest.plugin.name.clone(),
                    version,
                    instances,
                    String::new(),
                    plugin.trusted.to_string(),
                )
            })
            .collect();
        let refused = self.world.catalog.errors().iter();
        rows.extend(refused.map(|e| {
            let none = String::new;
            (none(), none(), none(), none(), Vec::new(), e.to_string(), none())
        }));
        Ok(rows)
    }
}
