//! Who may call what. Closed by default: root, the daemon's own user, and the users that the configuration names.
//!
//! One table maps every method to what it is; a test holds it complete against the XML contract. The caller is the
//! message's unique bus name, asked of the bus itself, never a process id. (polkit, where it runs, comes between in
//! issue 6; the table is what it will map.)

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use zbus::message::Header;
use zbus::names::UniqueName;

use super::errors::Error;
use crate::config::AccessConfig;

/// What a method is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Only looks.
    View,
    /// Part of selling.
    Sell,
    /// Changes how the till works, or opens the drawer without a sale.
    Supervise,
}

/// Every method of every interface.
pub const TABLE: &[(&str, &str, Action)] = &[
    ("org.tilld.Terminal1", "OpenPayment", Action::Sell),
    ("org.tilld.Terminal1", "SelectChannel", Action::Sell),
    ("org.tilld.Terminal1", "AnnounceMaintenance", Action::Supervise),
    ("org.tilld.Terminal1", "WithdrawMaintenance", Action::Supervise),
    ("org.tilld.Terminal1", "DeliverMaintenance", Action::Sell),
    ("org.tilld.Terminal1", "ListMaintenance", Action::View),
    ("org.tilld.Terminal1", "AuthenticateMerchant", Action::Sell),
    ("org.tilld.Terminal1", "SignOutMerchant", Action::Sell),
    ("org.tilld.Terminal1", "UnlockMerchant", Action::Supervise),
    ("org.tilld.Terminal1", "SetTraining", Action::Supervise),
    ("org.tilld.Terminal1", "SuspendChannel", Action::Supervise),
    ("org.tilld.Terminal1", "ResumeChannel", Action::Supervise),
    ("org.tilld.Terminal1", "ListSuspensions", Action::View),
    ("org.tilld.Terminal1", "OpenDrawer", Action::Supervise),
    ("org.tilld.Terminal1", "ListPayments", Action::View),
    ("org.tilld.Terminal1", "FindPayment", Action::View),
    ("org.tilld.Terminal1", "Explain", Action::View),
    ("org.tilld.Terminal1", "WhatIf", Action::View),
    ("org.tilld.Payment1", "ConfirmAmount", Action::Sell),
    ("org.tilld.Payment1", "PayCash", Action::Sell),
    ("org.tilld.Payment1", "PayCode", Action::Sell),
    ("org.tilld.Payment1", "Cancel", Action::Sell),
    ("org.tilld.Payment1", "Describe", Action::View),
    ("org.tilld.Payment1", "ReceiptText", Action::View),
    ("org.tilld.Payment1", "Abandon", Action::Sell),
    ("org.tilld.Payment1", "Resume", Action::Sell),
    ("org.tilld.Payment1", "NextTender", Action::Sell),
    ("org.tilld.AfterSales1", "Refund", Action::Supervise),
    ("org.tilld.AfterSales1", "Void", Action::Supervise),
    ("org.tilld.AfterSales1", "Capture", Action::Sell),
    ("org.tilld.AfterSales1", "Release", Action::Sell),
    ("org.tilld.AfterSales1", "Reprint", Action::Sell),
    ("org.tilld.AfterSales1", "ProposeReview", Action::Supervise),
    ("org.tilld.AfterSales1", "ConfirmReview", Action::Supervise),
    ("org.tilld.AfterSales1", "Acknowledge", Action::Sell),
    ("org.tilld.AfterSales1", "Find", Action::View),
    ("org.tilld.AfterSales1", "Bill", Action::View),
    ("org.tilld.Settlement1", "Close", Action::Supervise),
    ("org.tilld.Settlement1", "ListBatches", Action::View),
    ("org.tilld.Settlement1", "ListParts", Action::View),
    ("org.tilld.Settlement1", "ListOperators", Action::View),
    ("org.tilld.Settlement1", "ListExceptions", Action::View),
    ("org.tilld.Settlement1", "ListPayouts", Action::View),
    ("org.tilld.Settlement1", "SlipText", Action::View),
    ("org.tilld.Settlement1", "ReprintSlip", Action::Sell),
    ("org.tilld.Settlement1", "SettleAgain", Action::Supervise),
    ("org.tilld.Settlement1", "CloseAnyway", Action::Supervise),
    ("org.tilld.Prepaid1", "PresentCard", Action::Sell),
    ("org.tilld.Prepaid1", "ReadCard", Action::Sell),
    ("org.tilld.Prepaid1", "Issue", Action::Sell),
    ("org.tilld.Prepaid1", "Query", Action::Sell),
    ("org.tilld.Prepaid1", "History", Action::Sell),
    ("org.tilld.Prepaid1", "Block", Action::Sell),
    ("org.tilld.Prepaid1", "Unblock", Action::Supervise),
    ("org.tilld.Prepaid1", "Reactivate", Action::Supervise),
    ("org.tilld.Prepaid1", "Redeem", Action::Supervise),
    ("org.tilld.Prepaid1", "TopUp", Action::Sell),
    ("org.tilld.Channel1", "SignIn", Action::Supervise),
    ("org.tilld.Channel1", "Probe", Action::Sell),
    ("org.tilld.Device1", "Restart", Action::Supervise),
    ("org.tilld.Device1", "Statistics", Action::View),
    ("org.tilld.Device1", "ResetStatistics", Action::Supervise),
    ("org.tilld.Device1", "Record", Action::Supervise),
    ("org.tilld.Device1", "RecordRaw", Action::Supervise),
    ("org.tilld.Device1", "StopRecording", Action::Supervise),
    ("org.tilld.Device1", "Claim", Action::Sell),
    ("org.tilld.Device1", "Release", Action::Sell),
    ("org.tilld.Device1", "Enable", Action::Sell),
    ("org.tilld.Device1", "Disable", Action::Sell),
    ("org.tilld.Plugins1", "ListPlugins", Action::View),
    ("org.tilld.Journal1", "Verify", Action::View),
    ("org.tilld.Journal1", "Export", Action::Supervise),
    ("org.tilld.Journal1", "ExportEvidence", Action::Supervise),
    ("org.tilld.Journal1", "Backup", Action::Supervise),
    ("org.tilld.Journal1", "RotateKeys", Action::Supervise),
    ("org.tilld.Notices1", "List", Action::View),
    ("org.tilld.Notices1", "ListReceivers", Action::View),
    ("org.tilld.Notices1", "Acknowledge", Action::Sell),
    ("org.tilld.Disputes1", "Open", Action::Supervise),
    ("org.tilld.Disputes1", "Note", Action::Sell),
    ("org.tilld.Disputes1", "Answer", Action::Supervise),
    ("org.tilld.Disputes1", "Close", Action::Supervise),
    ("org.tilld.Disputes1", "List", Action::View),
    ("org.tilld.Disputes1", "Show", Action::View),
    ("org.tilld.AfterSales1", "Receipt", Action::View),
    ("org.tilld.AfterSales1", "History", Action::View),
];

/// Decides.
pub struct Access {
    config: AccessConfig,
    own: u32,
    /// User ids by unique name; a unique name is never used again on a bus.
    known: Mutex<HashMap<String, u32>>,
}

impl Access {
    /// With the configured users.
    pub fn new(config: AccessConfig) -> Self {
        Self { config, own: rustix::process::geteuid().as_raw(), known: Mutex::default() }
    }

    /// Whether a user may.
    pub fn allows(&self, user: u32, action: Action) -> bool {
        if user == 0 || user == self.own || self.config.supervisors.contains(&user) {
            return true;
        }
        match action {
            Action::Supervise => false,
            Action::Sell => self.config.operators.contains(&user),
            Action::View => self.config.operators.contains(&user) || self.config.viewers.contains(&user),
        }
    }

    /// Refuses a call whose sender may not make it.
    pub async fn check(&self, connection: &zbus::Connection, header: &Header<'_>) -> Result<(), Error> {
        let (Some(sender), Some(interface), Some(member)) =
            (header.sender(), header.interface(), header.member())
        else {
            return Err(Error::NotAuthorized(
                "a call without sender, interface and member is refused".into(),
            ));
        };
        let action = TABLE
            .iter()
            .find(|(i, m, _)| *i == interface.as_str() && *m == member.as_str())
            .map(|(_, _, action)| *action)
            .ok_or_else(|| Error::NotAuthorized(format!("{interface}.{member} is in no role")))?;
        let user = self.user(connection, sender).await?;
        if self.allows(user, action) {
            return Ok(());
        }
        let list = match action {
            Action::View => "viewers",
            Action::Sell => "operators",
            Action::Supervise => "supervisors",
        };
        Err(Error::NotAuthorized(format!(
            "user {user} may not call {member}: add it to access.{list} in tilld.toml"
        )))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_may_nothing_and_each_role_only_its_own() {
        let access = Access {
            config: AccessConfig { operators: vec![1001], viewers: vec![1002], supervisors: vec![1003] },
            own: 990,
            known: Mutex::default(),
        };
        let may = |user| [Action::View, Action::Sell, Action::Supervise].map(|a| access.allows(user, a));
        assert_eq!(may(5000), [false, false, false]);
        assert_eq!(may(1002), [true, false, false]);
        assert_eq!(may(1001), [true, true, false]);
        for all in [0, 990, 1003] {
            assert_eq!(may(all), [true, true, true]);
        }
    }
}
