//! Channels as they are right now: configuration, what the plugin says of itself, and its health.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use till_core::LegKind;
use till_core::routing::{LegTerms, RouteHealth, RouteView};
use till_core::suspension::Suspension;
use till_hosts::Instance;
use till_plugin::channel::{ChannelDescription, LegRule, Operation};

use crate::config::ChannelConfig;

/// A channel.
#[derive(Clone)]
pub struct ChannelView {
    /// Configuration.
    pub config: ChannelConfig,
    /// Name: English, Chinese.
    pub name: (String, String),
    /// Plugin version, once loaded.
    pub version: String,
    /// What it says of itself, once it runs.
    pub description: Option<ChannelDescription>,
    /// What it does after an approval, and on what terms.
    pub legs: Vec<LegRule>,
    /// Families of its manifest, until it runs.
    pub manifest_families: Vec<till_plugin::Family>,
    /// Health.
    pub health: RouteHealth,
    /// Its process.
    pub instance: Option<Instance>,
    /// Why it is suspended, if it is.
    pub suspended: Option<Suspension>,
    /// It sends to a network.
    pub network: bool,
    /// Nothing new is sent there because the power is about to go: why.
    pub power: Option<String>,
    /// Maintenance and breakers, once the till has looked.
    pub standing: Option<super::Standing>,
}

impl ChannelView {
    /// State as on D-Bus.
    pub fn state(&self) -> (&'static str, String) {
        if !self.config.enabled {
            return ("disabled", String::new());
        }
        if let Some(s) = &self.suspended {
            return ("suspended", s.by.text(&s.reason).0);
        }
        match &self.health {
            RouteHealth::Ready => match &self.power {
                Some(why) => ("power", why.clone()),
                None => ("ready", String::new()),
            },
            RouteHealth::Starting => ("starting", String::new()),
            RouteHealth::SignedOff => ("signed-off", "waiting for its sign-in".into()),
            RouteHealth::Failed { reason } => ("failed", reason.clone()),
        }
    }

    /// Families it takes.
    pub fn families(&self) -> Vec<till_plugin::Family> {
        self.description.as_ref().map_or_else(|| self.manifest_families.clone(), |d| d.families.clone())
    }

    /// Whether it does an operation.
    pub fn does(&self, operation: Operation) -> bool {
        self.description.as_ref().is_some_and(|d| d.operations.contains(&operation))
    }

    fn route(&self) -> RouteView {
        let d = self.description.as_ref();
        RouteView {
            id: self.config.id.clone(),
            families: self.families(),
            // Until it runs, sales and yuan are assumed: its health excludes it anyway, with the better reason.
            operations: d.map_or_else(|| vec![Operation::Sale], |d| d.operations.clone()),
            currencies: d.map_or_else(|| vec!["CNY".into()], |d| d.currencies.clone()),
            priority: self.config.priority,
            enabled: self.config.enabled,
            health: match (&self.health, &self.power) {
                (RouteHealth::Ready, Some(why)) => RouteHealth::Failed { reason: why.clone() },
                (health, _) => health.clone(),
            },
            needs_clock: d.is_some_and(|d| d.needs_clock),
            resolve: d.map_or(
                till_plugin::channel::ResolveProfile { query: None, undo: None, single_slot: false },
                |d| d.resolve.clone(),
            ),
            merchant: d.and_then(|d| d.merchant.clone()),
            terminal: d.and_then(|d| d.terminal.clone()),
            authorise_timeout_ms: d.map_or(60_000, |d| d.authorise_timeout_ms),
            legs: self.legs.iter().filter_map(terms).collect(),
        }
    }
}

/// A plugin's rule as the core's terms.
fn terms(rule: &LegRule) -> Option<LegTerms> {
    let kind = match rule.operation {
        Operation::Void => LegKind::Void,
        Operation::Refund => LegKind::Refund,
        Operation::Capture => LegKind::Capture,
        Operation::Release => LegKind::Release,
        Operation::Account => LegKind::Load,
        _ => return None,
    };
    let (resolve, instrument, partial) = (rule.resolve.clone(), rule.instrument, rule.partial);
    Some(LegTerms { kind, resolve, instrument, partial })
}

/// All channels.
pub struct Routes {
    views: Mutex<BTreeMap<String, ChannelView>>,
    /// Suspensions as the daemon found them when it started.
    found: BTreeMap<String, Suspension>,
}

impl Routes {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, ChannelView>> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// None yet; these are suspended.
    pub(super) fn new(found: BTreeMap<String, Suspension>) -> Self {
        Self { views: Mutex::default(), found }
    }

    /// Adds a channel.
    pub(super) fn add(&self, mut view: ChannelView) {
        view.suspended = self.found.get(&view.config.id).cloned();
        self.lock().insert(view.config.id.clone(), view);
    }

    /// Changes a channel; gives the states before and after when something differs that clients are told.
    pub(super) fn change(&self, id: &str, f: impl FnOnce(&mut ChannelView)) -> Option<(String, String)> {
        let mut all = self.lock();
        let view = all.get_mut(id)?;
        // What a suspended channel does is told too once its process has said so.
        let look = |view: &ChannelView| (view.state(), (view.health.clone(), view.power.clone()));
        let ((before, was), (after, is)) = {
            let before = look(view);
            f(view);
            (before, look(view))
        };
        (before != after || was != is).then(|| (before.0.to_owned(), after.0.to_owned()))
    }

    /// Sets how channels stand; gives those that changed, with their state.
    pub(super) fn stand(&self, standings: Vec<(String, super::Standing)>) -> Vec<(String, String)> {
        let mut all = self.lock();
        let mut changed = Vec::new();
        for (id, standing) in standings {
            if let Some(view) = all.get_mut(&id)
                && view.standing.as_ref() != Some(&standing)
            {
                view.standing = Some(standing);
                changed.push((id, view.state().0.to_owned()));
            }
        }
        changed
    }

    /// A channel.
    pub fn get(&self, id: &str) -> Option<ChannelView> {
        self.lock().get(id).cloned()
    }

    /// All channels, by id.
    pub fn all(&self) -> Vec<ChannelView> {
        self.lock().values().cloned().collect()
    }

    /// Most items in one batch of a network, of the channels that say so.
    pub(super) fn batch_limits(&self) -> Vec<(String, u32)> {
        let said = |(id, view): (&String, &ChannelView)| {
            let limit = view.description.as_ref()?.extra.get("batch-limit")?.parse().ok()?;
            (limit > 0).then(|| (id.clone(), limit))
        };
        self.lock().iter().filter_map(said).collect()
    }

    /// As routing sees them.
    pub(super) fn views(&self) -> Vec<RouteView> {
        self.lock().values().map(ChannelView::route).collect()
    }
}
