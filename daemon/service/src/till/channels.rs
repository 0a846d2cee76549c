//! Channels: one task each, that follows its process and keeps it signed in.

use std::time::Duration;

use till_core::input::Input;
use till_core::routing::RouteHealth;
use till_hosts::{Events, HostError, Instance, InstanceEvent, InstanceState};
use till_plugin::channel::{ChannelEvent, SignedIn};
use till_plugin::driver::{DeviceState, Health};
use till_plugin::host::Level;

use super::effects::needs_sign_in;
use super::routes::ChannelView;
use super::{Change, Handle};

/// Pause before a sign-in is tried again.
const SIGN_IN_AGAIN: Duration = Duration::from_secs(5);

/// Starts channels.
pub struct Starter {
    pub(super) handle: Handle,
}

impl Starter {
    /// Adds a channel that cannot be started, with the reason.
    pub fn broken(&self, mut view: ChannelView, reason: String) {
        view.health = RouteHealth::Failed { reason };
        self.handle.routes.add(view);
    }

    /// Adds a channel and follows its process.
    pub fn start(&self, mut view: ChannelView, instance: Instance, events: Events) {
        let id = view.config.id.clone();
        view.instance = Some(instance.clone());
        self.handle.routes.add(view);
        tokio::spawn(follow(self.handle.clone(), id, instance, events));
    }
}

async fn follow(handle: Handle, id: String, instance: Instance, mut events: Events) {
    while let Some(event) = events.next().await {
        match event {
            InstanceEvent::State(InstanceState::Ready) => ready(&handle, &id, &instance),
            InstanceEvent::State(state) => {
                let health = match &state {
                    InstanceState::Starting => RouteHealth::Starting,
                    other => RouteHealth::Failed { reason: other.reason().to_owned() },
                };
                if !matches!(state, InstanceState::Starting | InstanceState::Stopped) {
                    tracing::warn!(CHANNEL = id, state = state.as_str(), "{}", state.reason());
                }
                set_health(&handle, &id, health);
            }
            InstanceEvent::Channel(ChannelEvent::SignedIn(false)) => sign_in(&handle, &id),
            InstanceEvent::Channel(ChannelEvent::SignedIn(true)) => {
                set_health(&handle, &id, RouteHealth::Ready);
            }
            InstanceEvent::Channel(ChannelEvent::Notice { order }) => notice(&handle, &id, &order).await,
            InstanceEvent::Channel(ChannelEvent::Health(health)) => told_health(&handle, &id, &health),
            InstanceEvent::Log { level, message } => log(&id, level, &message),
            _ => {}
        }
    }
}

fn ready(handle: &Handle, id: &str, instance: &Instance) {
    let host = instance.status().host;
    let description = host.as_ref().and_then(|h| h.channel());
    let signs_in = description.as_ref().is_some_and(|d| needs_sign_in(&d.operations));
    tracing::info!(CHANNEL = id, "ready");
    let legs = host.as_ref().map(|h| h.leg_rules.clone()).unwrap_or_default();
    let change = handle.routes.change(id, |view| {
        view.version = host.map(|h| h.version.clone()).unwrap_or_default();
        view.health = match description {
            Some(_) if signs_in => RouteHealth::SignedOff,
            Some(_) => RouteHealth::Ready,
            None => {
                RouteHealth::Failed { reason: "its description cannot be read: update the plugin".into() }
            }
        };
        view.description = description;
        view.legs = legs;
    });
    told(handle, id, change);
    if signs_in {
        sign_in(handle, id);
    }
}

/// Asks for a sign-in: its trace number is taken from the journal first.
pub(crate) fn sign_in(handle: &Handle, id: &str) {
    set_health(handle, id, RouteHealth::SignedOff);
    let (handle, channel) = (handle.clone(), id.to_owned());
    tokio::spawn(async move { handle.tell(Input::TakeTrace { channel }).await });
}

/// A sign-in was answered, or not.
pub(super) async fn signed_in(handle: &Handle, id: &str, result: Result<SignedIn, HostError>) {
    match result {
        Ok(signed) => {
            tracing::info!(CHANNEL = id, "signed in");
            handle.tell(Input::SignedIn { channel: id.into(), batch: signed.batch }).await;
            set_health(handle, id, RouteHealth::Ready);
            let _stopping = handle.messages.send(super::Message::Answers { channel: id.into() }).await;
            if signed.valid_s > 0 {
                later(handle, id, Duration::from_secs(signed.valid_s.into()));
            }
        }
        Err(e) => {
            tracing::warn!(CHANNEL = id, "sign-in: {e}");
            set_health(handle, id, RouteHealth::Failed { reason: format!("sign-in: {e}") });
            later(handle, id, SIGN_IN_AGAIN);
        }
    }
}

/// Signs in again later, if its process is still the one that runs.
fn later(handle: &Handle, id: &str, pause: Duration) {
    let (handle, id) = (handle.clone(), id.to_owned());
    let starts = handle.routes.get(&id).and_then(|c| c.instance).map(|i| i.status().starts);
    tokio::spawn(async move {
        tokio::time::sleep(pause).await;
        let now = handle.routes.get(&id).and_then(|c| c.instance).map(|i| i.status());
        if now.is_some_and(|s| Some(s.starts) == starts && s.state == InstanceState::Ready) {
            sign_in(&handle, &id);
        }
    });
}

/// What a channel says of itself: people hear of it; what it does about it is the channel's own business.
fn told_health(handle: &Handle, id: &str, health: &Health) {
    let level = match health.state {
        DeviceState::Ready => "info",
        _ => "warning",
    };
    let text = format!("{id}: {}", health.text);
    handle.published.tell(Change::Alarm { level, code: "channel-health".into(), payment: None, text });
}

/// A notice is a hint to ask now, never a result.
async fn notice(handle: &Handle, id: &str, order: &str) {
    let waiting =
        handle.published.ids().into_iter().filter_map(|p| handle.published.get(p)).find_map(|view| {
            let a = view.payment.open_attempt().filter(|a| a.channel == id && a.ids.order == order)?;
            Some(Input::Resolve { payment: view.payment.id, attempt: a.ids.attempt })
        });
    if let Some(input) = waiting {
        handle.tell(input).await;
    }
}

pub(super) fn set_health(handle: &Handle, id: &str, health: RouteHealth) {
    let change = handle.routes.change(id, |view| view.health = health);
    told(handle, id, change);
}

impl Handle {
    /// Nothing new is sent to networks for this reason, or again.
    pub(crate) fn power(&self, trouble: Option<&str>) {
        for view in self.routes.all().into_iter().filter(|v| v.network) {
            let id = &view.config.id;
            let change = self.routes.change(id, |view| view.power = trouble.map(str::to_owned));
            told(self, id, change);
        }
    }
}

fn told(handle: &Handle, id: &str, change: Option<(String, String)>) {
    if let Some((old, _)) = change {
        handle.published.tell(Change::Channel { id: id.into(), old });
    }
}

/// A plugin's line in our log, under its name.
pub(super) fn log(id: &str, level: Level, message: &str) {
    match level {
        Level::Error => tracing::error!(INSTANCE = id, "{message}"),
        Level::Warn => tracing::warn!(INSTANCE = id, "{message}"),
        Level::Info => tracing::info!(INSTANCE = id, "{message}"),
        Level::Debug => tracing::debug!(INSTANCE = id, "{message}"),
    }
}
