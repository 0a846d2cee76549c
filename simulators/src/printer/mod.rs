//! A receipt printer that renders what it is sent: ESC/POS on TCP, Chinese double-byte text, paper that ends.
//!
//! [`VirtualPrinter`] listens like a network printer on port 9100. What it prints becomes [`Receipt`]s at each cut: as text
//! with Chinese characters two columns wide, and as a picture dot by dot. It runs out of paper at the line it is told,
//! holds what it cannot print up to its buffer, stops reading beyond it, and goes on where it stood. A hand at the printer is a
//! [`Command`].
//!
//! ```no_run
//! use till_simulators::printer::{Command, PrinterConfig, VirtualPrinter};
//! use std::time::Duration;
//!
//! let printer = VirtualPrinter::start(PrinterConfig::default())?;
//! printer.command(&Command::Paper { lines: 5 });
//! // … the till prints to printer.addr() and finds the paper out …
//! printer.command(&Command::Refill { lines: None });
//! let receipts = printer.wait_receipts(1, Duration::from_secs(5));
//! # Ok::<(), till_simulators::printer::PrinterError>(())
//! ```

mod server;
#[cfg(test)]
mod tests;

use crate::background::Background;
use server::{Inner, Shared};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use thiserror::Error;
pub use till_paper::{
    Bitmap, Block, Cell, Command, Content, Cut, Fault, LINE, Machine, Model, NotACommand, Pulse, Receipt,
    Status, Style, Symbol, font, token,
};
use tokio::sync::Notify;

/// Something a person watching wants to see.
#[derive(Debug, Clone)]
pub enum Event {
    /// A receipt was cut off.
    Receipt(Receipt),
    /// The drawer was kicked.
    Drawer(Pulse),
    /// The printer went on or off line.
    Status(Status),
}

/// Told of events as they happen.
pub type Observer = Arc<dyn Fn(Event) + Send + Sync>;

/// How a printer is started.
#[derive(Clone)]
pub struct PrinterConfig {
    /// Where the till connects; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the control port listens; `None` has none.
    pub control: Option<SocketAddr>,
    /// What kind of printer.
    pub model: Model,
    /// Who is told of events.
    pub observer: Option<Observer>,
}

impl Default for PrinterConfig {
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { listen, control: None, model: Model::default(), observer: None }
    }
}

/// The printer cannot be started.
#[derive(Debug, Error)]
pub enum PrinterError {
    /// The address is taken or not ours.
    #[error("printer cannot listen on {addr}: {source}; choose another address or end what holds it")]
    Listen {
        /// Asked for.
        addr: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// No thread or runtime.
    #[error("printer cannot start its thread: {0}")]
    Thread(io::Error),
}

/// A running printer. Dropping it closes its connection.
pub struct VirtualPrinter {
    addr: SocketAddr,
    control: Option<SocketAddr>,
    shared: Arc<Shared>,
    _background: Background,
}

fn listen(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), PrinterError> {
    let bound = || {
        let listener = TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        Ok((listener, addr))
    };
    bound().map_err(|source| PrinterError::Listen { addr, source })
}

impl VirtualPrinter {
    /// Starts on its own thread; works inside and outside another runtime.
    pub fn start(config: PrinterConfig) -> Result<Self, PrinterError> {
        let (listener, addr) = listen(config.listen)?;
        let control = config.control.map(listen).transpose()?;
        let control_addr = control.as_ref().map(|(_, addr)| *addr);
        let shared = Arc::new(Shared {
            inner: Mutex::new(Inner::new(Machine::new(config.model))),
            changed: Condvar::new(),
            wake: Notify::new(),
            observer: config.observer,
        });
        let theirs = Arc::clone(&shared);
        let background = Background::spawn("printer", move || async move {
            if let Some((control, _)) = control
                && let Ok(control) = tokio::net::TcpListener::from_std(control)
            {
                tokio::spawn(server::control(Arc::clone(&theirs), control));
            }
            if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                server::accept(theirs, listener).await;
            }
        })
        .map_err(PrinterError::Thread)?;
        Ok(Self { addr, control: control_addr, shared, _background: background })
    }

    /// Where the till connects.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where the control port listens.
    pub fn control_addr(&self) -> Option<SocketAddr> {
        self.control
    }

    /// Does something to the printer, at once.
    pub fn command(&self, command: &Command) {
        self.shared.command(command);
    }

    /// Carries out one line of the control language; the answer is what the control port would send.
    pub fn control_line(&self, line: &str) -> serde_json::Value {
        self.shared.line(line)
    }

    /// The state.
    pub fn status(&self) -> Status {
        self.shared.lock().machine.status()
    }

    /// Receipts cut so far.
    pub fn receipts(&self) -> Vec<Receipt> {
        self.shared.lock().machine.receipts().to_vec()
    }

    /// What hangs out of the printer uncut.
    pub fn uncut(&self) -> Receipt {
        self.shared.lock().machine.uncut()
    }

    /// Drawer pulses so far.
    pub fn pulses(&self) -> Vec<Pulse> {
        self.shared.lock().machine.pulses().to_vec()
    }

    /// Bytes that were no command of this printer; a clean driver sends none.
    pub fn unknown(&self) -> Vec<Vec<u8>> {
        self.shared.lock().machine.unknown().to_vec()
    }

    /// Commands understood but without effect here, and symbols not printed, in words.
    pub fn notes(&self) -> Vec<String> {
        self.shared.lock().machine.notes().to_vec()
    }

    /// Every byte received, over all connections.
    pub fn received(&self) -> Vec<u8> {
        self.shared.lock().received.clone()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.shared.lock().connections
    }

    /// Waits until so many receipts are cut, and returns them; `None` after `timeout`.
    pub fn wait_receipts(&self, count: usize, timeout: Duration) -> Option<Vec<Receipt>> {
        self.wait(timeout, |machine| machine.receipts().len() >= count).then(|| self.receipts())
    }

    /// Waits until the machine satisfies `condition`; false after `timeout`.
    pub fn wait(&self, timeout: Duration, mut condition: impl FnMut(&Machine) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        let mut guard = self.shared.lock();
        loop {
            if condition(&guard.machine) {
                return true;
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            guard = self.shared.changed.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
