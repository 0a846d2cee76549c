//! A bank's host as Chinese POS terminals see it: ISO 8583 in the lineage of Q/CUP 009.1 (channels.md §1).
//!
//! Written from the public protocol, with its own codec, keys and ledger; it shares nothing with the till's client. It
//! signs terminals in with fresh keys, checks MACs and PINs, books sales, voids, refunds, pre-authorisations and their
//! completions, undoes what is reversed, compares settlement totals, hands out parameters ([`downloads`]), and does wrong what a script tells it to
//! ([`faults`]). The cards it knows stand in [`cards`].
//!
//! ```no_run
//! use till_simulators::acquirer::{Acquirer, AcquirerConfig};
//! use till_simulators::faults::{Fault, Rule};
//!
//! let acquirer = Acquirer::start(AcquirerConfig::default())?;
//! println!("the till connects to {}", acquirer.addr());
//! acquirer.faults().add(Rule::once("sale", Fault::DropAfterBooking {}))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batches;
mod booking;
pub mod cards;
mod config;
mod control;
mod decide;
pub mod downloads;
pub mod faults;
pub mod fields;
pub mod framing;
mod host;
mod inquiry;
pub mod keys;
pub mod ledger;
pub mod mac;
pub mod message;
pub mod money;
mod pins;
mod reply;
mod reversal;
mod server;
mod settlement;
mod sm4;
#[cfg(test)]
mod tests;
mod upload;

use crate::background::Background;
use crate::faults::Plan;
use cards::{Card, Instrument};
pub use config::{ConfigError, HostConfig, Profile, Terminal};
use ledger::{Entry, Key, Totals};
use money::Fen;
use serde::Serialize;
use server::{Inner, Shared};
pub use settlement::Closed;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::watch;

/// Told of each request in one line, without card numbers.
pub type Observer = Arc<dyn Fn(&str) + Send + Sync>;

/// How an acquirer is started.
#[derive(Clone)]
pub struct AcquirerConfig {
    /// Where terminals connect; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the control port listens; `None` has none.
    pub control: Option<SocketAddr>,
    /// Terminals, MAC, field table.
    pub host: HostConfig,
    /// How long the rest of a frame may take once its first bytes are here.
    pub frame_timeout: Duration,
    /// Who is told of each request.
    pub observer: Option<Observer>,
}

impl Default for AcquirerConfig {
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let frame_timeout = Duration::from_mins(1);
        Self { listen, control: None, host: HostConfig::default(), frame_timeout, observer: None }
    }
}

/// The acquirer cannot be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("acquirer cannot listen on {addr}: {source}; choose another address or end what holds it")]
    Listen {
        /// Asked for.
        addr: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The configuration.
    #[error("acquirer configuration: {0}")]
    Config(#[from] ConfigError),
    /// No thread or runtime.
    #[error("acquirer cannot start its thread: {0}")]
    Thread(io::Error),
}

/// What came in so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// TCP connections accepted.
    pub connections: u64,
    /// Messages decoded.
    pub received: u64,
    /// Messages that reached the host (the rest were lost by script).
    pub answered: u64,
    /// Frames of length 0.
    pub keep_alives: u64,
    /// Why frames were refused.
    pub refused: Vec<String>,
}

/// A running acquirer. Dropping it closes every connection.
pub struct Acquirer {
    addr: SocketAddr,
    control: Option<SocketAddr>,
    shared: Arc<Shared>,
    up: watch::Sender<bool>,
    _background: Background,
}

fn listen(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let bound = || {
        let listener = TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        Ok((listener, addr))
    };
    bound().map_err(|source| StartError::Listen { addr, source })
}

impl Acquirer {
    /// Starts on its own thread; works inside and outside another runtime.
    pub fn start(config: AcquirerConfig) -> Result<Self, StartError> {
        let (listener, addr) = listen(config.listen)?;
        let control = config.control.map(listen).transpose()?;
        let control_addr = control.as_ref().map(|(_, addr)| *addr);
        let inner = Inner { host: host::Host::new(config.host)?, stats: Stats::default(), listening: true };
        let shared = Arc::new(Shared {
            inner: Mutex::new(inner),
            changed: Condvar::new(),
            plan: Plan::new(faults::ABILITIES),
            observer: config.observer,
            frame_timeout: config.frame_timeout,
        });
        let (up, is_up) = watch::channel(true);
        let (theirs, switch) = (Arc::clone(&shared), up.clone());
        let background = Background::spawn("acquirer", move || async move {
            if let Some((control, _)) = control
                && let Ok(control) = tokio::net::TcpListener::from_std(control)
            {
                tokio::spawn(control::serve(Arc::clone(&theirs), control, switch));
            }
            if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                server::accept(theirs, listener, addr, is_up).await;
            }
        })
        .map_err(StartError::Thread)?;
        Ok(Self { addr, control: control_addr, shared, up, _background: background })
    }

    /// Where terminals connect.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where the control port listens.
    pub fn control_addr(&self) -> Option<SocketAddr> {
        self.control
    }

    /// The faults: add rules, see which struck, release what is held.
    pub fn faults(&self) -> &Plan {
        &self.shared.plan
    }

    /// Adds or replaces a card.
    pub fn set_card(&self, pan: &str, card: Card) {
        self.shared.lock().host.cards.set(Instrument::new(pan), card);
    }

    /// What approvals say of the shop from now on.
    pub fn answer_profile(&self, profile: Profile) {
        self.shared.lock().host.profile = profile;
    }

    /// What terminals may download from now on, and what goes wrong with it.
    pub fn set_parameters(&self, parameters: downloads::Parameters) {
        self.shared.lock().host.parameters = parameters;
    }

    /// Questions of downloads so far: network code, and field 62 in hex digits.
    pub fn downloaded(&self) -> Vec<String> {
        self.shared.lock().host.downloaded.clone()
    }

    /// What is left on a card.
    pub fn card_balance(&self, pan: &str) -> Option<Fen> {
        self.shared.lock().host.cards.balance(&Instrument::new(pan))
    }

    /// Every booking, by terminal, batch and trace.
    pub fn ledger(&self) -> Vec<Entry> {
        self.shared.lock().host.ledger.entries().cloned().collect()
    }

    /// The ledger as JSON, card numbers masked.
    pub fn ledger_json(&self) -> serde_json::Value {
        serde_json::json!(self.ledger())
    }

    /// Takes a booking back out of the ledger, as a host that lost it after answering: totals will differ. False where
    /// there is no approved one. What it did to a card and to its original is undone too.
    pub fn lose(&self, key: &Key) -> bool {
        let lost = self.shared.lock().host.lose(key);
        self.shared.changed.notify_all();
        lost
    }

    /// The newest batch of a terminal, which it is told at sign-in; `None` for a terminal this host does not know.
    pub fn batch(&self, tid: &str) -> Option<u32> {
        self.shared.lock().host.sessions.get(tid).map(|s| s.batches.newest())
    }

    /// Debit and credit of a batch (six digits, as in field 60.2).
    pub fn totals(&self, tid: &str, batch: &str) -> Totals {
        self.shared.lock().host.ledger.totals(tid, batch)
    }

    /// Batches closed, oldest first.
    pub fn closed(&self) -> Vec<Closed> {
        self.shared.lock().host.closed.clone()
    }

    /// How often a terminal has signed in.
    pub fn sign_ins(&self, tid: &str) -> u32 {
        self.shared.lock().host.sessions.get(tid).map_or(0, |s| s.sign_ins)
    }

    /// The working keys of a terminal's last sign-in in clear, for a test that looks for them where they must not be.
    pub fn working_keys(&self, tid: &str) -> Vec<Vec<u8>> {
        let guard = self.shared.lock();
        let keys = guard.host.sessions.get(tid).and_then(|s| s.keys.as_ref());
        keys.map(|k| vec![k.pik.clone(), k.mak.clone(), k.tdk.clone()]).unwrap_or_default()
    }

    /// Forgets a terminal's working keys, as a host restarted without its key store: the next request is answered 77.
    pub fn forget_keys(&self, tid: &str) {
        if let Some(session) = self.shared.lock().host.sessions.get_mut(tid) {
            session.keys = None;
        }
    }

    /// Frames, connections, refusals.
    pub fn stats(&self) -> Stats {
        self.shared.lock().stats.clone()
    }

    /// Closes the port (connections are refused; open ones live on) or opens it again, and waits until that is so.
    pub fn set_up(&self, up: bool) -> bool {
        self.up.send_replace(up);
        self.wait(Duration::from_secs(10), |inner| inner.listening == up)
    }

    /// Waits until the ledger satisfies `condition`; false after `timeout`.
    pub fn wait_ledger(&self, timeout: Duration, mut condition: impl FnMut(&[&Entry]) -> bool) -> bool {
        self.wait(timeout, |inner| condition(&inner.host.ledger.entries().collect::<Vec<_>>()))
    }

    /// Waits until the counters satisfy `condition`; false after `timeout`.
    pub fn wait_stats(&self, timeout: Duration, mut condition: impl FnMut(&Stats) -> bool) -> bool {
        self.wait(timeout, |inner| condition(&inner.stats))
    }

    fn wait(&self, timeout: Duration, mut condition: impl FnMut(&Inner) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        let mut guard = self.shared.lock();
        loop {
            if condition(&guard) {
                return true;
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            guard = self.shared.changed.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
