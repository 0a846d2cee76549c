//! Asks polkit, where it runs, about callers whom the configuration does not let in.
//!
//! polkit can only ever add: it is asked after the configuration has said no. Not there, not answering, answering with an
//! error, "no" and "somebody would have to give a password" are all a no, each with its own remedy. The caller is its
//! unique bus name, as a `system-bus-name` subject: a process id can be another process by the time it is looked at.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use zbus::fdo::DBusProxy;
use zbus::message::Header;
use zbus::names::{BusName, WellKnownName};
use zbus_polkit::policykit1::{AuthorityProxy, CheckAuthorizationFlags, Subject};

use super::actions::Verb;

/// polkit's bus name.
const NAME: &str = "org.freedesktop.PolicyKit1";
/// Longest for an answer: polkitd may have to be started first, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest for a person who types a password.
const PERSON: Duration = Duration::from_mins(2);
/// Longest for reading a property: the object server's tree is held meanwhile, and a sale waits for it.
const READING: Duration = Duration::from_secs(1);
/// Nobody is asked again for so long after an answer did not come.
const REST: Duration = Duration::from_secs(5);
/// The same, for properties.
const READING_REST: Duration = Duration::from_secs(10);
/// A yes to looking counts for so long: a screen reads fifty properties at its start.
const LOOKING: Duration = Duration::from_secs(10);
/// Callers whose yes is remembered.
const REMEMBERED: usize = 256;

/// What polkit said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// May.
    Yes,
    /// May not.
    No,
    /// A person would have to authenticate.
    Challenge,
    /// It is not on this machine.
    Absent,
    /// It did not answer in this time.
    Late(Duration),
    /// It could not decide.
    Failed(String),
}

/// How patiently it is asked.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// For a method.
    Method {
        /// The caller allowed that a person is asked.
        interactive: bool,
    },
    /// For a property: never a person.
    Property,
}

impl Asking {
    /// Longest for the machine's answer.
    const fn patience(self) -> Duration {
        match self {
            Self::Method { .. } => PATIENCE,
            Self::Property => READING,
        }
    }
}

/// The way to polkit.
#[derive(Default)]
pub(super) struct Polkit {
    /// Until when nobody is asked, because the last answer did not come: for methods.
    resting: Mutex<Option<Instant>>,
    /// The same, for properties.
    reading_rests: Mutex<Option<Instant>>,
    /// Callers who may look, and until when that counts.
    looking: Mutex<HashMap<String, Instant>>,
    /// Numbers of questions that may have to be taken back.
    questions: AtomicU64,
}

impl Polkit {
    /// Whether the sender of a message may. `details` are for the rules (`action.lookup`).
    pub(super) async fn ask(
        &self,
        connection: &zbus::Connection,
        header: &Header<'_>,
        verb: Verb,
        asking: Asking,
        details: &HashMap<&str, &str>,
    ) -> Answer {
        let sender = header.sender().map(ToString::to_string).unwrap_or_default();
        if verb == Verb::View && self.looks(&sender) {
            return Answer::Yes;
        }
        if self.rests(asking) {
            return Answer::Late(asking.patience());
        }
        let question = Question { connection, header, verb, details, person: None };
        let mut answer = question.put(asking.patience()).await;
        if answer == Answer::Challenge && asking == (Asking::Method { interactive: true }) {
            // Only once the machine has answered is a person waited for.
            let number = self.questions.fetch_add(1, Ordering::Relaxed);
            let question = Question { person: Some(format!("tilld-{number}")), ..question };
            answer = question.put(PERSON).await;
        } else if matches!(answer, Answer::Late(_)) {
            // A polkitd that is just being started may miss a property, and answer a method.
            let (rest, time) = match asking {
                Asking::Method { .. } => (&self.resting, REST),
                Asking::Property => (&self.reading_rests, READING_REST),
            };
            *lock(rest) = Some(Instant::now() + time);
        }
        match &answer {
            Answer::Yes if verb == Verb::View => self.remember(sender),
            Answer::Late(after) => {
                tracing::warn!(action = verb.id(), "polkit did not answer within {after:?}");
            }
            Answer::Failed(why) => tracing::warn!(action = verb.id(), "polkit could not be asked: {why}"),
            _ => {}
        }
        answer
    }

    fn looks(&self, sender: &str) -> bool {
        lock(&self.looking).get(sender).is_some_and(|until| Instant::now() < *until)
    }

    fn remember(&self, sender: String) {
        let now = Instant::now();
        let mut looking = lock(&self.looking);
        if looking.len() >= REMEMBERED {
            looking.retain(|_, until| now < *until);
        }
        if looking.len() < REMEMBERED {
            looking.insert(sender, now + LOOKING);
        }
    }

    fn rests(&self, asking: Asking) -> bool {
        let now = Instant::now();
        let rests = |of: &Mutex<Option<Instant>>| lock(of).is_some_and(|until| now < until);
        rests(&self.resting) || (asking == Asking::Property && rests(&self.reading_rests))
    }
}

/// One question.
struct Question<'a> {
    connection: &'a zbus::Connection,
    header: &'a Header<'a>,
    verb: Verb,
    details: &'a HashMap<&'a str, &'a str>,
    /// A person may be asked: then it has a name, by which it can be taken back.
    person: Option<String>,
}

impl Question<'_> {
    async fn put(&self, patience: Duration) -> Answer {
        match tokio::time::timeout(patience, self.asked()).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(e)) => Answer::Failed(e.to_string()),
            Err(_late) => {
                if let Some(name) = &self.person {
                    take_back(self.connection.clone(), name.clone());
                }
                Answer::Late(patience)
            }
        }
    }

    async fn asked(&self) -> zbus::Result<Answer> {
        if !there(self.connection).await? {
            return Ok(Answer::Absent);
        }
        let subject = match Subject::new_for_message_header(self.header) {
            Ok(subject) => subject,
            Err(e) => return Ok(Answer::Failed(e.to_string())),
        };
        let (flags, name) = match &self.person {
            Some(name) => (CheckAuthorizationFlags::ALLOW_USER_INTERACTION, name.as_str()),
            None => (CheckAuthorizationFlags::empty(), ""),
        };
        let authority = authority(self.connection).await?;
        let said = authority.check_authorization(&subject, self.verb.id(), self.details, flags, name).await?;
        Ok(match (said.is_authorized, said.is_challenge) {
            (true, _) => Answer::Yes,
            (false, true) => Answer::Challenge,
            (false, false) => Answer::No,
        })
    }
}

async fn authority(connection: &zbus::Connection) -> zbus::Result<AuthorityProxy<'_>> {
    AuthorityProxy::builder(connection).cache_properties(zbus::proxy::CacheProperties::No).build().await
}

/// Whether polkit runs, or the bus would start it. Asked first: some buses never answer a call to a name nobody owns.
async fn there(connection: &zbus::Connection) -> zbus::Result<bool> {
    let bus = DBusProxy::new(connection).await?;
    let name = WellKnownName::from_static_str_unchecked(NAME);
    if bus.name_has_owner(BusName::from(name)).await? {
        return Ok(true);
    }
    Ok(bus.list_activatable_names().await?.iter().any(|n| n.as_str() == NAME))
}

/// Closes the dialogue that nobody answered.
fn take_back(connection: zbus::Connection, question: String) {
    tokio::spawn(async move {
        let told = async { authority(&connection).await?.cancel_check_authorization(&question).await };
        if let Ok(Err(e)) = tokio::time::timeout(PATIENCE, told).await {
            tracing::debug!("a question to polkit could not be taken back: {e}");
        }
    });
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
