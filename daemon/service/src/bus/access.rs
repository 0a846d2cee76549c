//! Who may call and read what. Closed by default: root, the daemon's own user, the users that the configuration names,
//! and whom polkit lets in beyond them, where it runs (`polkit.rs` beside this).
//!
//! The tables of [`super::actions`] map every member to what it is. The caller is the message's unique bus name, asked of
//! the bus itself, never a process id.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use zbus::message::{Flags, Header};
use zbus::names::UniqueName;

use super::actions::{self, Role, Verb};
use super::errors::Error;
use super::polkit::{Answer, Asking, Polkit};
use crate::config::AccessConfig;

/// Decides.
pub struct Access {
    config: AccessConfig,
    own: u32,
    /// User ids by unique name; a unique name is never used again on a bus.
    known: Mutex<HashMap<String, u32>>,
    polkit: Polkit,
}

impl Access {
    /// With the configured users.
    pub fn new(config: AccessConfig) -> Self {
        Self {
            config,
            own: rustix::process::geteuid().as_raw(),
            known: Mutex::default(),
            polkit: Polkit::default(),
        }
    }

    /// Whether the configuration lets a user.
    pub fn allows(&self, user: u32, role: Role) -> bool {
        if user == 0 || user == self.own || self.config.supervisors.contains(&user) {
            return true;
        }
        match role {
            Role::Supervise => false,
            Role::Sell => self.config.operators.contains(&user),
            Role::View => self.config.operators.contains(&user) || self.config.viewers.contains(&user),
        }
    }

    /// Refuses a call whose sender may not make it.
    pub async fn check(&self, connection: &zbus::Connection, header: &Header<'_>) -> Result<(), Error> {
        let (Some(interface), Some(member)) = (header.interface(), header.member()) else {
            return Err(Error::NotAuthorized(
                "a call without sender, interface and member is refused".into(),
            ));
        };
        let verb = actions::of_method(interface.as_str(), member.as_str())
            .ok_or_else(|| Error::NotAuthorized(format!("{interface}.{member} is in no role")))?;
        let interactive = header.primary().flags().contains(Flags::ALLOW_INTERACTIVE_AUTH);
        let what = (interface.as_str(), member.as_str());
        self.decide(connection, header, verb, Asking::Method { interactive }, what).await
    }

    /// Refuses a caller who may not read the properties of an interface.
    pub async fn check_read(
        &self,
        connection: &zbus::Connection,
        header: &Header<'_>,
        interface: &str,
    ) -> Result<(), Error> {
        // What has no property has nothing to read; what has one and is in no table is refused.
        let verb = actions::of_properties(interface).unwrap_or(Verb::Configure);
        self.decide(connection, header, verb, Asking::Property, (interface, "properties")).await
    }

    async fn decide(
        &self,
        connection: &zbus::Connection,
        header: &Header<'_>,
        verb: Verb,
        asking: Asking,
        (interface, member): (&str, &str),
    ) -> Result<(), Error> {
        let Some(sender) = header.sender() else {
            return Err(Error::NotAuthorized(
                "a call without sender, interface and member is refused".into(),
            ));
        };
        let user = self.user(connection, sender).await?;
        if self.allows(user, verb.role()) {
            return Ok(());
        }
        let answer = if self.config.polkit {
            let path = header.path().map(zbus::ObjectPath::as_str).unwrap_or_default();
            let details = [("interface", interface), ("member", member), ("path", path)].into();
            self.polkit.ask(connection, header, verb, asking, &details).await
        } else {
            Answer::Absent
        };
        refusal(answer, user, verb, interface, member)
    }

    /// The user id behind a unique name.
    pub(super) async fn user(
        &self,
        connection: &zbus::Connection,
        sender: &UniqueName<'_>,
    ) -> Result<u32, Error> {
        let remembered = self.lock().get(sender.as_str()).copied();
        if let Some(user) = remembered {
            return Ok(user);
        }
        let bus = zbus::fdo::DBusProxy::new(connection).await?;
        let user = bus
            .get_connection_unix_user(sender.clone().into())
            .await
            .map_err(|e| Error::NotAuthorized(format!("the bus does not know the user of {sender}: {e}")))?;
        let mut known = self.lock();
        // Names of clients that left are never used again; do not keep them for ever.
        if known.len() >= 1024 {
            known.clear();
        }
        known.insert(sender.to_string(), user);
        Ok(user)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, u32>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the caller is told.
fn refusal(answer: Answer, user: u32, verb: Verb, interface: &str, member: &str) -> Result<(), Error> {
    let who = match member {
        "properties" => format!("user {user} may not read the properties of {interface}"),
        _ => format!("user {user} may not call {member}"),
    };
    let list = format!("add it to access.{} in tilld.toml", verb.role().list());
    let id = verb.id();
    Err(match answer {
        Answer::Yes => return Ok(()),
        Answer::Absent => Error::NotAuthorized(format!("{who}: {list}")),
        Answer::No => Error::NotAuthorized(format!("{who}: {list}, or grant it {id} by a polkit rule")),
        Answer::Challenge => Error::NotAuthorized(format!(
            "{who} until somebody authenticates ({id}): call again and allow interaction, with an authentication \
             agent running, or {list}"
        )),
        Answer::Failed(why) => Error::NotAuthorized(format!(
            "{who}: polkit could not be asked about {id}: {why}; see `systemctl status polkit` and `pkaction \
             --action-id {id}`, or {list}"
        )),
        Answer::Late(patience) => Error::Timeout(format!(
            "{who}: polkit did not say within {} s whether it may ({id}), and nothing was done; `systemctl restart \
             polkit`, or {list}",
            patience.as_secs_f32()
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_may_nothing_and_each_role_only_its_own() {
        let access = Access {
            config: AccessConfig {
                operators: vec![1001],
                viewers: vec![1002],
                supervisors: vec![1003],
                polkit: false,
            },
            own: 990,
            known: Mutex::default(),
            polkit: Polkit::default(),
        };
        let may = |user| [Role::View, Role::Sell, Role::Supervise].map(|r| access.allows(user, r));
        assert_eq!(may(5000), [false, false, false]);
        assert_eq!(may(1002), [true, false, false]);
        assert_eq!(may(1001), [true, true, false]);
        for all in [0, 990, 1003] {
            assert_eq!(may(all), [true, true, true]);
        }
    }

    #[test]
    fn only_a_yes_lets_in_and_every_no_says_what_to_do() {
        let patience = std::time::Duration::from_secs(5);
        let told = |answer| refusal(answer, 5000, Verb::Refund, "org.tilld.AfterSales1", "Refund");
        assert!(told(Answer::Yes).is_ok());
        let noes = [
            (Answer::No, "polkit rule"),
            (Answer::Challenge, "authenticates"),
            (Answer::Absent, "access.supervisors"),
            (Answer::Failed("Action org.tilld.refund is not registered".into()), "pkaction"),
        ];
        for (no, remedy) in noes {
            match told(no.clone()) {
                Err(Error::NotAuthorized(text)) => assert!(text.contains(remedy), "{no:?}: {text}"),
                other => panic!("{no:?}: {other:?}"),
            }
        }
        match told(Answer::Late(patience)) {
            Err(Error::Timeout(text)) => {
                assert!(text.contains("within 5 s") && text.contains("restart polkit"));
            }
            other => panic!("{other:?}"),
        }
    }
}
