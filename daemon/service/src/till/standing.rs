//! How channels do: breakers, told by what the journal holds, and maintenance, told by the clock. The rest of the daemon sees
//! it as the [`Standing`] of each channel.

use std::sync::Arc;
use std::time::{Duration, Instant};

use till_core::announce::Announced;
use till_core::batch::Rules;
use till_core::breaker::{Breakers, Moved, Reader, Told, told};
use till_core::merchant::{Merchants, Passes};
use till_core::record::{KIND, Record};
use till_core::routing::{RouteView, Routing};
use till_core::windows::{Outlook, Window, outlook};
use till_core::{Context, PaymentId, Till};
use till_hosts::{ChannelClient, HostError};
use till_journal::Journal;
use till_plugin::channel::Operation;
use till_plugin::driver::DeviceState;

use super::{Change, Handle, Message};

/// Records that are read back after a restart.
const READ_BACK: u64 = 512;
/// Longest that an echo may take.
const ECHO: Duration = Duration::from_secs(20);

/// How a channel stands besides its own state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Maintenance, now and next.
    pub outlook: Outlook,
    /// Breakers that are not closed: operation, state, faults in a row, since when (Unix ms).
    pub breakers: Vec<(&'static str, &'static str, u32, i64)>,
    /// Whether it asks for the merchant, and how that stands.
    pub merchant: MerchantStanding,
}

/// How a channel's merchant authentication stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MerchantStanding {
    /// not-required, required, passed, locked.
    pub state: &'static str,
    /// Wrong tries in a row.
    pub wrong: u32,
    /// Whose sales it is passed for; empty: those of nobody in particular.
    pub operator: String,
}

impl MerchantStanding {
    fn of(passes: &Passes, merchants: &Merchants, channel: &str) -> Self {
        let tries = merchants.of(channel);
        let pass = passes.pass(channel);
        let state = match (passes.terms(channel), pass, tries.locked) {
            (None, ..) => "not-required",
            (_, Some(_), _) => "passed",
            (_, None, true) => "locked",
            (_, None, false) => "required",
        };
        let operator = pass.and_then(|p| p.operator.clone()).unwrap_or_default();
        Self { state, wrong: tries.wrong, operator }
    }
}

/// Breakers and windows as they are, in the actor.
pub(super) struct Standings {
    routing: Routing,
    /// Windows of the configuration; those of the plan come to them.
    configured: Vec<Window>,
    began: Instant,
    /// When the task wakes that asks next.
    wakes: Option<u64>,
}

impl Standings {
    /// As configured, and with what the newest records say of each channel.
    pub(super) fn new(configured: &Rules, journal: &Journal, till: &Till, boottime_ms: u64) -> Self {
        let mut standings = Self {
            routing: configured.routing.clone(),
            configured: configured.routing.policy.windows.clone(),
            began: Instant::now(),
            wakes: None,
        };
        let asked = standings.routing.policy.merchants.clone();
        standings.routing.merchants = Arc::new(Passes::new(asked, till.merchants(), boottime_ms));
        standings.plan(till.announced());
        let head = journal.head().seq;
        let mut reader = Reader::default();
        let mut at = head.saturating_sub(READ_BACK).max(1);
        while at <= head {
            // Unreadable or removed: breakers begin closed, which costs a failed sale at most.
            let Ok(page) = journal.range(at, 512) else { break };
            let Some(last) = page.last() else { break };
            at = last.seq.saturating_add(1);
            for r in page.iter().filter(|r| r.kind == KIND) {
                if let Some(told) = Record::decode(&r.payload).ok().and_then(|record| reader.read(&record)) {
                    standings.breakers().outcome(&told, 0, r.stamp.wall_ms);
                }
            }
        }
        standings.breakers().restarted(0);
        standings
    }

    /// For the next choice, at this boot time.
    pub(super) fn routing(&self, boottime_ms: u64) -> Routing {
        let mut routing = self.routing.clone();
        if !routing.merchants.is_idle() {
            Arc::make_mut(&mut routing.merchants).at(boottime_ms);
        }
        routing
    }

    /// What is announced now comes to what is configured.
    fn plan(&mut self, announced: &Announced) {
        let windows = self.configured.iter().chain(announced.windows()).cloned().collect();
        if self.routing.policy.windows != windows {
            Arc::make_mut(&mut self.routing.policy).windows = windows;
        }
    }

    /// Something happened to a merchant's authentication or to announced maintenance; `till`: after it.
    pub(super) fn changed(&mut self, record: &Record, till: &Till, boottime_ms: u64) {
        if matches!(record, Record::Maintenance { .. }) {
            self.plan(till.announced());
        }
        if let Record::Merchant { channel, event, operator } = record {
            let passes = Arc::make_mut(&mut self.routing.merchants);
            passes.at(boottime_ms);
            passes.event(channel, *event, operator.as_deref(), till.merchants());
        }
    }

    fn breakers(&mut self) -> &mut Breakers {
        Arc::make_mut(&mut self.routing.breakers)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// What a record says that is about to be taken in.
    pub(super) fn before(till: &Till, record: &Record) -> Option<Noted> {
        match record {
            Record::Tendered { payment, ids, decision, kind, .. } => {
                let channel = decision.chosen.clone().filter(|c| c != till_core::training::CHANNEL)?;
                Some(Noted::Tendered { channel, kind: *kind, who: (*payment, ids.attempt) })
            }
            _ => told(till, record).map(Noted::Outcome),
        }
    }

    /// It is durable. Gives whether there is anything to be seen of it.
    pub(super) fn after(&mut self, noted: &Noted, handle: &Handle, wall_ms: i64) -> bool {
        let channel = match noted {
            Noted::Tendered { channel, kind, who } => {
                self.breakers().tendered(channel, *kind, *who);
                channel
            }
            Noted::Outcome(told) => {
                let now = self.now_ms();
                if let Some(moved) = self.breakers().outcome(told, now, wall_ms) {
                    self.moved(handle, told, moved);
                }
                &told.channel
            }
        };
        self.routing.breakers.iter().any(|b| b.channel == *channel)
    }

    fn moved(&mut self, handle: &Handle, told: &Told, moved: Moved) {
        let (channel, operation) = (&told.channel, told.kind.as_str());
        match moved {
            Moved::Opened => {
                let text = format!(
                    "{channel} failed again and again: no {operation} goes there until it has answered without money"
                );
                tracing::warn!(CHANNEL = channel, "{text}");
                let code = "breaker-open".into();
                handle.published.tell(Change::Alarm { level: "warning", code, payment: None, text });
                self.ask_later(handle);
            }
            Moved::Closed => {
                let text = format!("{channel} works again: {operation}s go there");
                tracing::info!(CHANNEL = channel, "{text}");
                let code = "breaker-closed".into();
                handle.published.tell(Change::Alarm { level: "info", code, payment: None, text });
            }
        }
    }

    /// A network answered without money.
    pub(super) fn answers(&mut self, channel: &str) {
        let now = self.now_ms();
        self.breakers().asked(channel, true, now);
    }

    /// Asks the networks whose time has come.
    pub(super) fn ask(&mut self, handle: &Handle) {
        for channel in self.routing.breakers.to_ask(self.now_ms()) {
            // Counted as no answer until there is one.
            let now = self.now_ms();
            self.breakers().asked(&channel, false, now);
            let handle = handle.clone();
            tokio::spawn(async move {
                if answers(&handle, &channel).await {
                    let _stopping = handle.messages.send(Message::Answers { channel }).await;
                }
            });
        }
        self.ask_later(handle);
    }

    /// Comes back when the next network is to be asked.
    fn ask_later(&mut self, handle: &Handle) {
        let now = self.now_ms();
        let Some(at) = self.routing.breakers.next_ask() else { return };
        // One task is enough.
        if self.wakes.is_some_and(|wakes| now < wakes && wakes <= at) {
            return;
        }
        self.wakes = Some(at);
        let handle = handle.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(at.saturating_sub(now))).await;
            let _stopping = handle.messages.send(Message::AskNetworks).await;
        });
    }

    /// How each channel stands now.
    pub(super) fn all(&self, ctx: &Context, merchants: &Merchants) -> Vec<(String, Standing)> {
        let (now, passes) = (ctx.rules.now(ctx.wall_ms, ctx.clock_trusted), &ctx.rules.routing.merchants);
        let windows = &self.routing.policy.windows;
        let one = |r: &RouteView| {
            let outlook = outlook(windows, &r.id, now, r.settles_within_ms());
            let mine = self.routing.breakers.iter().filter(|b| b.channel == r.id);
            let breakers = mine
                .filter_map(|b| Some((b.kind.as_str(), b.state.code(), b.in_a_row, b.state.since_ms()?)))
                .collect();
            let merchant = MerchantStanding::of(passes, merchants, &r.id);
            (r.id.clone(), Standing { outlook, breakers, merchant })
        };
        ctx.routes.iter().map(one).collect()
    }
}

/// What a record said of a channel.
pub(super) enum Noted {
    /// A tender goes there.
    Tendered { channel: String, kind: till_core::LegKind, who: (PaymentId, u32) },
    /// An attempt had its first outcome.
    Outcome(Told),
}

/// Whether a network answers, asked without money: its echo, or a sign-in where that is all it has. A network that cannot be
/// asked at all is tried with the next sale.
async fn answers(handle: &Handle, channel: &str) -> bool {
    let Some(instance) = handle.routes.get(channel).and_then(|view| view.instance) else { return false };
    // After a restart it is only just coming.
    if !matches!(tokio::time::timeout(ECHO, instance.ready()).await, Ok(Ok(()))) {
        return false;
    }
    let Some(view) = handle.routes.get(channel) else { return false };
    if view.does(Operation::Probe) {
        return match ChannelClient::new(instance).probe(ECHO).await {
            Ok(health) => matches!(health.state, DeviceState::Ready | DeviceState::Attention),
            Err(e) => quiet(channel, &e),
        };
    }
    if view.does(Operation::SignIn) {
        // Its answer comes by itself (`channels::signed_in`).
        super::channels::sign_in(handle, channel);
        return false;
    }
    matches!(view.health, till_core::routing::RouteHealth::Ready)
}

fn quiet(channel: &str, e: &HostError) -> bool {
    tracing::info!(CHANNEL = channel, "does not answer yet: {e}");
    false
}
