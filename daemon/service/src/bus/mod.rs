//! The D-Bus side: objects, roles, errors, and the one task that tells clients what changed.
//!
//! Names and shapes are the XML in `dbus/`; a test compares it with live introspection.

pub mod access;
pub mod actions;
mod aftersales;
mod bill;
mod code;
mod describe;
mod device;
mod disputes;
pub mod errors;
mod fees;
pub mod gone;
mod guard;
mod inquiry;
mod journal;
mod lookup;
mod maintenance;
mod merchant;
mod notices;
pub(crate) use journal::hex;
mod leases;
mod objects;
mod options;
pub mod paths;
mod payment;
mod polkit;
mod prepaid;
mod present;
mod pump;
mod recording;
mod settlement;
mod sleep;
mod terminal;
mod told;
mod why;

use std::sync::Arc;

use till_hosts::{Catalog, Supervisor};
use till_journal::Journal;
use till_plugin::Currency;
use tokio::sync::mpsc;
use zbus::fdo::RequestNameFlags;

use crate::config::Config;
use crate::keys::Keys;
use crate::receipts::Receipts;
use crate::till::{Change, Handle};
use errors::Error;
use guard::Guard;

/// Well-known name.
pub const NAME: &str = "org.tilld.Till1";

/// What the objects need.
pub struct World {
    /// The till.
    pub handle: Handle,
    /// The journal, for reading.
    pub journal: Journal,
    /// Installed plugins.
    pub catalog: Arc<Catalog>,
    /// Running instances.
    pub supervisor: Arc<Supervisor>,
    /// Configuration.
    pub config: Arc<Config>,
    /// Makes receipts.
    pub receipts: Arc<Receipts>,
    /// Keys: the identity that signs evidence.
    pub keys: Keys,
    /// Roles.
    pub access: access::Access,
    /// Devices that are being recorded.
    pub recordings: recording::Recordings,
    /// One password is compared at a time: each takes a thread and memory.
    pub comparing: tokio::sync::Mutex<()>,
}

/// What stands in the way: subject, code, English, Chinese.
type Blocker = (String, String, String, String);

impl World {
    /// Payments on a channel whose outcome is not known.
    pub(crate) fn unresolved(&self, channel: &str) -> u32 {
        let published = &self.handle.published;
        let open = published.ids().into_iter().filter_map(|id| published.get(id));
        let armed = open
            .filter(|v| v.payment.open_attempt().is_some_and(|a| a.channel == channel && a.state.is_armed()));
        u32::try_from(armed.count()).unwrap_or(u32::MAX)
    }

    /// Whether somebody at the till waits for a network's answer. An undoing that goes on by itself is none: it bears a sleep.
    pub(crate) fn on_its_way(&self) -> bool {
        use till_core::AttemptState;
        let published = &self.handle.published;
        let mut open = published.ids().into_iter().filter_map(|id| published.get(id));
        open.any(|v| {
            let state = v.payment.open_attempt().map(|a| a.state);
            matches!(state, Some(AttemptState::Created | AttemptState::Sent | AttemptState::Querying))
        })
    }

    /// `ready`, `degraded` or `blocked`, and everything that stands in the way.
    pub(crate) fn readiness(&self) -> (&'static str, Vec<Blocker>) {
        let mut blockers = Vec::new();
        if let Some(problem) = self.handle.published.journal_trouble() {
            blockers.push((
                "journal".into(),
                "journal".into(),
                problem.clone(),
                format!("流水日志不可用：{problem}"),
            ));
            return ("blocked", blockers);
        }
        let channels = self.handle.routes.all();
        let mut any = false;
        for c in channels.iter().filter(|c| c.config.enabled) {
            match c.state() {
                ("ready", _) => match objects::in_the_way(c) {
                    None => any = true,
                    Some((code, en, zh)) => blockers.push((
                        c.config.id.clone(),
                        code.into(),
                        format!("channel {} {en}", c.name.0),
                        format!("{}：{zh}", c.name.1),
                    )),
                },
                ("suspended", _) => blockers.push(suspended(c)),
                (state, reason) => blockers.push((
                    c.config.id.clone(),
                    format!("channel-{state}"),
                    format!("channel {} is {state}: {reason}", c.name.0),
                    format!("{}：{state} {reason}", c.name.1),
                )),
            }
        }
        for d in self.handle.published.devices() {
            if !matches!(d.state.as_str(), "ready" | "disabled" | "attention") {
                blockers.push((
                    d.id.clone(),
                    format!("device-{}", d.state),
                    format!("device {} is {}: {}", d.name.0, d.state, d.reason),
                    format!("{}：{} {}", d.name.1, d.state, d.reason),
                ));
            }
        }
        if let Some(trouble) = self.receipts.trouble() {
            blockers.push((
                "receipt".into(),
                "receipt-template".into(),
                format!("receipts are printed in the built-in layout: {trouble}"),
                format!("小票按内置版式打印：{trouble}"),
            ));
        }
        let state = match (any, blockers.is_empty()) {
            (false, _) => "blocked",
            (true, true) => "ready",
            (true, false) => "degraded",
        };
        (state, blockers)
    }
}

/// A suspended channel.
fn suspended(c: &crate::till::ChannelView) -> Blocker {
    let (en, zh) = c.suspended.as_ref().map(|s| s.by.text(&s.reason)).unwrap_or_default();
    let (en, zh) = (format!("channel {} is {en}", c.name.0), format!("{}：{zh}", c.name.1));
    (c.config.id.clone(), "channel-suspended".into(), en, zh)
}

/// The currency of a channel's cards.
fn currency_of(view: &crate::till::ChannelView) -> Result<Currency, Error> {
    match view.description.as_ref().and_then(|d| d.currencies.first()) {
        Some(code) => currency(code),
        None => Err(Error::PluginFailed(format!("the channel {} has not said its currency", view.config.id))),
    }
}

/// Reads a currency code.
fn currency(code: &str) -> Result<Currency, Error> {
    code.parse().map_err(|e: till_plugin::money::CurrencyError| Error::InvalidArgs(e.to_string()))
}

/// Tells everybody something a person must know, at once.
pub(crate) async fn alarm(
    connection: &zbus::Connection,
    level: &str,
    code: &str,
    text: &str,
) -> zbus::Result<()> {
    let emitter = zbus::object_server::SignalEmitter::new(connection, paths::ROOT)?;
    terminal::Terminal1::alarm(&emitter, level, code, paths::none().into_inner(), text).await
}

/// Tells that one property of a device changed.
async fn device_changed(
    connection: &zbus::Connection,
    device: &str,
    property: &'static str,
    value: zbus::Variant<'_>,
) {
    let told = async {
        let emitter = zbus::object_server::SignalEmitter::new(connection, paths::device(device))?;
        let interface = zbus::names::InterfaceName::from_static_str_unchecked("org.tilld.Device1");
        let changed = [(property, value)].into_iter().collect();
        let none = std::borrow::Cow::Borrowed(&[][..]);
        zbus::fdo::Properties::properties_changed(&emitter, interface, changed, none).await
    };
    if let Err(e) = told.await {
        tracing::debug!("a change could not be told: {e}");
    }
}

/// What the bus is made from.
pub struct Parts {
    /// The till.
    pub handle: Handle,
    /// The journal.
    pub journal: Journal,
    /// Installed plugins.
    pub catalog: Arc<Catalog>,
    /// Running instances.
    pub supervisor: Arc<Supervisor>,
    /// Configuration.
    pub config: Arc<Config>,
    /// Makes receipts.
    pub receipts: Arc<Receipts>,
    /// Keys: the identity that signs evidence.
    pub keys: Keys,
}

/// Serves all objects, then takes the name.
pub async fn serve(parts: Parts, changes: mpsc::UnboundedReceiver<Change>) -> zbus::Result<zbus::Connection> {
    let Parts { handle, journal, catalog, supervisor, config, receipts, keys } = parts;
    let address = config.bus.clone();
    let access = access::Access::new(config.access.clone());
    let recordings = recording::Recordings::default();
    let world = Arc::new(World {
        handle,
        journal,
        catalog,
        supervisor,
        config,
        receipts,
        keys,
        access,
        recordings,
        comparing: tokio::sync::Mutex::default(),
    });
    let builder = match address.as_str() {
        "system" => zbus::connection::Builder::system(),
        "session" => zbus::connection::Builder::session(),
        address => zbus::connection::Builder::address(address),
    };
    let (w, copies) = (&world, tokio::sync::Mutex::default());
    let connection = builder
        .serve_at(paths::ROOT, Guard::new(w, zbus::fdo::ObjectManager))
        .serve_at(paths::ROOT, Guard::new(w, terminal::Terminal1 { world: world.clone() }))
        .serve_at(paths::ROOT, Guard::new(w, objects::Plugins1 { world: world.clone() }))
        .serve_at(paths::ROOT, Guard::new(w, aftersales::AfterSales1 { world: world.clone() }))
        .serve_at(paths::ROOT, Guard::new(w, settlement::Settlement1 { world: world.clone(), copies }))
        .serve_at(paths::ROOT, Guard::new(w, disputes::Disputes1 { world: world.clone() }))
        .serve_at(paths::ROOT, Guard::new(w, notices::Notices1 { world: world.clone() }))
        .serve_at(paths::ROOT, Guard::new(w, journal::Journal1 { world: world.clone() }))
        .build()
        .await?;
    let mut pump = pump::Pump::new(world, connection.clone());
    pump.objects().await?;
    // A second tilld must not take the name over: there is one till on a bus.
    connection.request_name_with_flags(NAME, RequestNameFlags::DO_NOT_QUEUE).await?;
    tokio::spawn(pump.run(changes));
    Ok(connection)
}
