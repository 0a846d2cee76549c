//! The rules of one running simulator, and what has struck.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Fault, Rule};

/// What a simulator can be asked to get wrong.
#[derive(Clone, Copy, Debug)]
pub struct Abilities {
    /// Its name in error texts.
    pub simulator: &'static str,
    /// Its operations.
    pub operations: &'static [&'static str],
    /// The kinds it knows to do.
    pub kinds: &'static [&'static str],
}

/// Why a script was refused. Nothing of a refused script is taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultError {
    /// Not the documented JSON.
    #[error("the fault script cannot be read: {0}; see the simulators' README for its form")]
    Form(String),
    /// No such operation.
    #[error("{simulator} has no operation `{operation}`; it has {known}")]
    Operation {
        /// Whose script it was.
        simulator: &'static str,
        /// What was asked for.
        operation: String,
        /// What there is.
        known: String,
    },
    /// The simulator cannot do that kind.
    #[error("{simulator} cannot do `{kind}`; it can do {known}")]
    Kind {
        /// Whose script it was.
        simulator: &'static str,
        /// What was asked for.
        kind: &'static str,
        /// What it can do.
        known: String,
    },
    /// A number out of its range.
    #[error("a rule on `{on}` {what}")]
    Value {
        /// The rule's operation.
        on: String,
        /// What is wrong and what to write.
        what: &'static str,
    },
}

/// One fault that struck.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fired {
    /// The operation.
    pub on: String,
    /// The order number or trace of the request, where it had one.
    pub reference: Option<String>,
    /// What went wrong.
    pub fault: Fault,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    fired: Vec<Fired>,
}

/// The faults of one running simulator. Clones are handles on the same plan.
#[derive(Clone, Debug)]
pub struct Plan(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    abilities: Abilities,
    state: Mutex<State>,
    struck: Condvar,
    released: watch::Sender<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    rules: Vec<Rule>,
}

impl Plan {
    /// A plan without rules.
    pub fn new(abilities: Abilities) -> Self {
        Self(Arc::new(Inner {
            abilities,
            state: Mutex::default(),
            struck: Condvar::new(),
            released: watch::Sender::new(0),
        }))
    }

    /// Adds a rule behind those there are.
    pub fn add(&self, rule: Rule) -> Result<(), FaultError> {
        self.check(&rule)?;
        self.state().rules.push(rule);
        Ok(())
    }

    /// Adds the rules of a JSON script: all, or none if one is refused. Returns how many there were.
    pub fn load(&self, json: &str) -> Result<usize, FaultError> {
        let script: Script =
            serde_json::from_str(json).map_err(|error| FaultError::Form(error.to_string()))?;
        script.rules.iter().try_for_each(|rule| self.check(rule))?;
        let count = script.rules.len();
        self.state().rules.extend(script.rules);
        Ok(count)
    }

    /// Takes all rules away; what struck stays on record. Requests that are held are released.
    pub fn clear(&self) {
        self.state().rules.clear();
        self.release();
    }

    /// The rules that have turns left.
    pub fn pending(&self) -> Vec<Rule> {
        self.state().rules.clone()
    }

    /// What has struck so far, in order.
    pub fn fired(&self) -> Vec<Fired> {
        self.state().fired.clone()
    }

    /// Waits until at least `count` faults have struck; false when `limit` passes first.
    pub fn wait_fired(&self, count: usize, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.state();
        while state.fired.len() < count {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            state = self.0.struck.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Lets every request go that `hold-reply` or `hold-booking` holds now.
    pub fn release(&self) {
        self.0.released.send_modify(|generation| *generation += 1);
    }

    /// For simulators: the fault that strikes this request, if one does; it counts as fired.
    pub fn take(&self, operation: &str, reference: Option<&str>) -> Option<Fault> {
        self.take_held(operation, reference).map(|(fault, _)| fault)
    }

    /// For simulators: as [`Plan::take`], with the hold to wait on if the fault is one of the `hold-…` kinds. The hold is
    /// made here, so that a release between the two is not missed.
    pub fn take_held(&self, operation: &str, reference: Option<&str>) -> Option<(Fault, Hold)> {
        let mut state = self.state();
        let fits = |rule: &Rule| {
            (rule.on == "*" || rule.on == operation)
                && rule.reference.as_deref().is_none_or(|wanted| Some(wanted) == reference)
        };
        // A rule that still lets requests through does not stand in the way of the rules behind it.
        let mut strikes = None;
        for (at, rule) in state.rules.iter_mut().enumerate().filter(|(_, rule)| fits(rule)) {
            if rule.after > 0 {
                rule.after -= 1;
            } else {
                strikes = Some(at);
                break;
            }
        }
        let rule = state.rules.get_mut(strikes?)?;
        let fault = rule.fault.clone();
        if !rule.always {
            rule.times -= 1;
            if rule.times == 0 {
                state.rules.remove(strikes?);
            }
        }
        state.fired.push(Fired {
            on: operation.to_owned(),
            reference: reference.map(str::to_owned),
            fault: fault.clone(),
        });
        let mut hold = self.0.released.subscribe();
        hold.mark_unchanged();
        self.0.struck.notify_all();
        Some((fault, Hold(hold)))
    }

    fn check(&self, rule: &Rule) -> Result<(), FaultError> {
        let Abilities { simulator, operations, kinds } = self.0.abilities;
        if rule.on != "*" && !operations.contains(&rule.on.as_str()) {
            let (operation, known) = (rule.on.clone(), operations.join(", "));
            return Err(FaultError::Operation { simulator, operation, known });
        }
        if !kinds.contains(&rule.fault.kind()) {
            return Err(FaultError::Kind { simulator, kind: rule.fault.kind(), known: kinds.join(", ") });
        }
        let value = |what| Err(FaultError::Value { on: rule.on.clone(), what });
        match rule.fault {
            _ if rule.times == 0 && !rule.always => value("strikes 0 times; write `times` of 1 or more"),
            Fault::HttpStatus { status } if !(400..600).contains(&status) => {
                value("answers an HTTP status that is no error; write 400 to 599")
            }
            Fault::WrongAmount { by: 0 } => value("changes the amount by 0; write another number"),
            _ => Ok(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the plan as it was: every change here is a single step.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that waits for [`Plan::release`].
#[derive(Debug)]
pub struct Hold(watch::Receiver<u64>);

impl Hold {
    /// Returns once the plan releases what it holds, or is gone.
    pub async fn released(mut self) {
        let _ = self.0.changed().await;
    }
}
