//! A polkitd that says what it is told to, from the public D-Bus interface of polkit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zbus::OwnedVariant;

/// What it says about an action.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// May.
    Yes,
    /// May not.
    No,
    /// A person has to give a password; where that is allowed, one does.
    Password,
    /// Nothing, ever.
    Silence,
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// `system-bus-name` and the name, or whatever came.
    pub subject: (String, String),
    /// The action.
    pub action: String,
    /// What rules can look at.
    pub details: HashMap<String, String>,
    /// A person may be asked.
    pub interactive: bool,
    /// Its name, if it may have to be taken back.
    pub name: String,
}

#[derive(Default)]
struct State {
    says: HashMap<String, Said>,
    asked: Vec<Question>,
}

/// The running one. Dropping it takes it from the bus.
pub struct Polkit {
    state: Arc<Mutex<State>>,
    _connection: zbus::Connection,
}

impl Polkit {
    /// Comes to a bus; says no to everything.
    pub async fn start(address: &str) -> zbus::Result<Self> {
        let state = Arc::<Mutex<State>>::default();
        let connection = zbus::connection::Builder::address(address)
            .serve_at("/org/freedesktop/PolicyKit1/Authority", Authority { state: state.clone() })
            .name("org.freedesktop.PolicyKit1")
            .build()
            .await?;
        Ok(Self { state, _connection: connection })
    }

    /// From now on says this about an action.
    pub fn say(&self, action: &str, said: Said) {
        lock(&self.state).says.insert(action.to_owned(), said);
    }

    /// What it was asked since the last time.
    pub fn asked(&self) -> Vec<Question> {
        std::mem::take(&mut lock(&self.state).asked)
    }
}

struct Authority {
    state: Arc<Mutex<State>>,
}

#[zbus::interface(name = "org.freedesktop.PolicyKit1.Authority")]
impl Authority {
    async fn check_authorization(
        &self,
        subject: (String, HashMap<String, OwnedVariant>),
        action_id: String,
        details: HashMap<String, String>,
        flags: u32,
        cancellation_id: String,
    ) -> ((bool, bool, HashMap<String, String>),) {
        let name = subject.1.get("name").and_then(|n| <&str>::try_from(n).ok()).unwrap_or_default();
        let interactive = flags & 1 == 1;
        let said = {
            let mut state = lock(&self.state);
            let said = state.says.get(&action_id).copied().unwrap_or(Said::No);
            let subject = (subject.0.clone(), name.to_owned());
            state.asked.push(Question {
                subject,
                action: action_id,
                details,
                interactive,
                name: cancellation_id,
            });
            said
        };
        let (may, challenge) = match said {
            Said::Yes => (true, false),
            Said::No => (false, false),
            Said::Password => (interactive, !interactive),
            Said::Silence => std::future::pending().await,
        };
        ((may, challenge, HashMap::new()),)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
