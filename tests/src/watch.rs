//! Everything the till tells one front-end, in order, for as long as it listens.

use std::sync::{Arc, Mutex, PoisonError};

use till_dbus::events::{Change, Event, Events};
use tokio::sync::watch;

use crate::RigError;
use crate::client::Client;
use crate::scene::PATIENCE;

/// A listening front-end.
pub struct Watch {
    seen: Arc<Mutex<Vec<Event>>>,
    grew: watch::Receiver<usize>,
    task: tokio::task::JoinHandle<()>,
}

impl Watch {
    /// Listens from now on, on a connection of its own.
    pub async fn new(address: &str) -> Result<Self, RigError> {
        let client = Client::connect(address).await?;
        let mut events = Events::subscribe(client.connection())
            .await
            .map_err(|e| RigError::Till(format!("cannot listen: {e}")))?;
        let seen: Arc<Mutex<Vec<Event>>> = Arc::default();
        let (told, grew) = watch::channel(0);
        let theirs = seen.clone();
        let task = tokio::spawn(async move {
            // The connection lives as long as the listener.
            let _client = client;
            while let Some(event) = events.next().await {
                let count = {
                    let mut seen = theirs.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.push(event);
                    seen.len()
                };
                if told.send(count).is_err() {
                    return;
                }
            }
        });
        Ok(Self { seen, grew, task })
    }

    /// Nothing more will come: the bus has ended, or has sent a listener away that fell behind.
    pub fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Everything so far.
    pub fn all(&self) -> Vec<Event> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at everything so far, without a copy of it: a long day is long.
    pub fn look<T>(&self, at: impl FnOnce(&[Event]) -> T) -> T {
        at(&self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until `find` finds what it looks for in everything so far.
    pub async fn wait<T>(
        &self,
        what: &str,
        mut find: impl FnMut(&[Event]) -> Option<T>,
    ) -> Result<T, RigError> {
        let mut grew = self.grew.clone();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            grew.borrow_and_update();
            if let Some(found) = self.look(&mut find) {
                return Ok(found);
            }
            if !matches!(tokio::time::timeout_at(deadline, grew.changed()).await, Ok(Ok(()))) {
                return Err(RigError::Till(format!("nobody was told within {PATIENCE:?}: {what}")));
            }
        }
    }

    /// Waits for one more refusal than there were, and gives it: reason, text, families.
    pub async fn refusal(&self, after: usize) -> Result<(String, String, Vec<String>), RigError> {
        self.wait("InputRefused", |seen| refusals(seen).get(after).cloned()).await
    }

    /// How many refusals there were.
    pub fn refusals(&self) -> usize {
        self.look(refusals).len()
    }

    /// The values a property has been said to have, in order.
    pub fn property(&self, interface: &str, name: &str) -> Vec<String> {
        self.look(|seen| property(seen, interface, name))
    }

    /// States of the object at the end of this path, in order, with their reasons.
    pub fn states(&self, end: &str) -> Vec<(String, String)> {
        self.look(|seen| states(seen, end))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn refusals(seen: &[Event]) -> Vec<(String, String, Vec<String>)> {
    let mut found = Vec::new();
    for event in seen {
        if let Change::InputRefused { reason, text, families, .. } = &event.change {
            found.push((reason.clone(), text.clone(), families.clone()));
        }
    }
    found
}

/// The values that a text property has been said to have.
pub fn property(seen: &[Event], wanted: &str, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    for event in seen {
        if let Change::Properties { interface, changed, .. } = &event.change
            && interface == wanted
            && let Some(value) = changed.get(name)
        {
            found.push(<&str>::try_from(&**value).map_or_else(|_| format!("{value:?}"), str::to_owned));
        }
    }
    found
}

/// States of the object at the end of this path, with their reasons.
pub fn states(seen: &[Event], end: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for event in seen.iter().filter(|e| e.path.as_str().ends_with(end)) {
        match &event.change {
            Change::DeviceState { new, reason, .. }
            | Change::ChannelState { new, reason, .. }
            | Change::PaymentState { new, reason, .. } => found.push((new.clone(), reason.clone())),
            _ => {}
        }
    }
    found
}
