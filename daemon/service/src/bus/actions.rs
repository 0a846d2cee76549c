//! What each member of the contract is: one verb each, which is one polkit action (`dbus/org.tilld.policy`).
//!
//! A test (`tests/actions.rs`) holds the tables complete: every method, every interface with properties, every action.

/// Which list of users of the configuration may do it (`[access]`).
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Only looks.
    View,
    /// Part of selling.
    Sell,
    /// Changes how the till works, gives money back, or opens the drawer without a sale.
    Supervise,
}

impl Role {
    /// The key below `[access]` that names users for it.
    pub const fn list(self) -> &'static str {
        match self {
            Self::View => "viewers",
            Self::Sell => "operators",
            Self::Supervise => "supervisors",
        }
    }
}

/// What a member does, as polkit knows it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Looks at payments, channels, devices, batches, and their properties.
    View,
    /// Takes money, and what belongs to a sale.
    Sell,
    /// Claims and switches a device on and off.
    UseDevice,
    /// Presents, issues, loads and blocks the shop's own cards.
    UseCards,
    /// Asks a bank for the balance of a customer's card.
    AskBalance,
    /// Unblocks and reactivates the shop's own cards.
    ManageCards,
    /// Gives money back.
    Refund,
    /// Says what became of a payment that nobody knows of, and keeps disputes.
    Review,
    /// Closes the business day.
    Settle,
    /// Opens the drawer without a sale.
    OpenDrawer,
    /// Changes how the till works.
    Configure,
    /// Takes records, evidence and backups out.
    Export,
    /// Records what passes a device, masked.
    Record,
    /// Records what passes a device as it is (in training only).
    RecordRaw,
}

impl Verb {
    /// Every one.
    pub const ALL: [Self; 14] = [
        Self::View,
        Self::Sell,
        Self::UseDevice,
        Self::UseCards,
        Self::AskBalance,
        Self::ManageCards,
        Self::Refund,
        Self::Review,
        Self::Settle,
        Self::OpenDrawer,
        Self::Configure,
        Self::Export,
        Self::Record,
        Self::RecordRaw,
    ];

    /// The polkit action.
    pub const fn id(self) -> &'static str {
        match self {
            Self::View => "org.tilld.view",
            Self::Sell => "org.tilld.sell",
            Self::UseDevice => "org.tilld.use-device",
            Self::UseCards => "org.tilld.use-cards",
            Self::AskBalance => "org.tilld.ask-balance",
            Self::ManageCards => "org.tilld.manage-cards",
            Self::Refund => "org.tilld.refund",
            Self::Review => "org.tilld.review",
            Self::Settle => "org.tilld.settle",
            Self::OpenDrawer => "org.tilld.open-drawer",
            Self::Configure => "org.tilld.configure",
            Self::Export => "org.tilld.export",
            Self::Record => "org.tilld.record",
            Self::RecordRaw => "org.tilld.record-raw",
        }
    }

    /// Whom the configuration lets do it.
    pub const fn role(self) -> Role {
        match self {
            Self::View => Role::View,
            Self::Sell | Self::UseDevice | Self::UseCards | Self::AskBalance => Role::Sell,
            Self::ManageCards
            | Self::Refund
            | Self::Review
            | Self::Settle
            | Self::OpenDrawer
            | Self::Configure
            | Self::Export
            | Self::Record
            | Self::RecordRaw => Role::Supervise,
        }
    }
}

/// The method that tells everything at once: a property read, as far as rights go.
pub const MANAGED: (&str, &str, Verb) =
    ("org.freedesktop.DBus.ObjectManager", "GetManagedObjects", Verb::View);

/// Every method of every interface.
pub const TABLE: &[(&str, &str, Verb)] = &[
    ("org.tilld.Terminal1", "OpenPayment", Verb::Sell),
    ("org.tilld.Terminal1", "SelectChannel", Verb::Sell),
    ("org.tilld.Terminal1", "AnnounceMaintenance", Verb::Configure),
    ("org.tilld.Terminal1", "WithdrawMaintenance", Verb::Configure),
    ("org.tilld.Terminal1", "DeliverMaintenance", Verb::Sell),
    ("org.tilld.Terminal1", "ListMaintenance", Verb::View),
    ("org.tilld.Terminal1", "AuthenticateMerchant", Verb::Sell),
    ("org.tilld.Terminal1", "SignOutMerchant", Verb::Sell),
    ("org.tilld.Terminal1", "UnlockMerchant", Verb::Configure),
    ("org.tilld.Terminal1", "SetTraining", Verb::Configure),
    ("org.tilld.Terminal1", "SuspendChannel", Verb::Configure),
    ("org.tilld.Terminal1", "ResumeChannel", Verb::Configure),
    ("org.tilld.Terminal1", "ListSuspensions", Verb::View),
    ("org.tilld.Terminal1", "OpenDrawer", Verb::OpenDrawer),
    ("org.tilld.Terminal1", "ListPayments", Verb::View),
    ("org.tilld.Terminal1", "FindPayment", Verb::View),
    ("org.tilld.Terminal1", "Explain", Verb::View),
    ("org.tilld.Terminal1", "WhatIf", Verb::View),
    ("org.tilld.Payment1", "ConfirmAmount", Verb::Sell),
    ("org.tilld.Payment1", "PayCash", Verb::Sell),
    ("org.tilld.Payment1", "PayCode", Verb::Sell),
    ("org.tilld.Payment1", "PayShownCode", Verb::Sell),
    ("org.tilld.Payment1", "Cancel", Verb::Sell),
    ("org.tilld.Payment1", "Describe", Verb::View),
    ("org.tilld.Payment1", "ReceiptText", Verb::View),
    ("org.tilld.Payment1", "Abandon", Verb::Sell),
    ("org.tilld.Payment1", "Resume", Verb::Sell),
    ("org.tilld.Payment1", "NextTender", Verb::Sell),
    ("org.tilld.AfterSales1", "Refund", Verb::Refund),
    ("org.tilld.AfterSales1", "Void", Verb::Refund),
    ("org.tilld.AfterSales1", "Capture", Verb::Sell),
    ("org.tilld.AfterSales1", "Release", Verb::Sell),
    ("org.tilld.AfterSales1", "Reprint", Verb::Sell),
    ("org.tilld.AfterSales1", "ProposeReview", Verb::Review),
    ("org.tilld.AfterSales1", "ConfirmReview", Verb::Review),
    ("org.tilld.AfterSales1", "Acknowledge", Verb::Sell),
    ("org.tilld.AfterSales1", "Find", Verb::View),
    ("org.tilld.AfterSales1", "Bill", Verb::View),
    ("org.tilld.Settlement1", "Close", Verb::Settle),
    ("org.tilld.Settlement1", "ListBatches", Verb::View),
    ("org.tilld.Settlement1", "ListParts", Verb::View),
    ("org.tilld.Settlement1", "ListOperators", Verb::View),
    ("org.tilld.Settlement1", "ListExceptions", Verb::View),
    ("org.tilld.Settlement1", "ListPayouts", Verb::View),
    ("org.tilld.Settlement1", "FeeReport", Verb::View),
    ("org.tilld.Settlement1", "SlipText", Verb::View),
    ("org.tilld.Settlement1", "ReprintSlip", Verb::Sell),
    ("org.tilld.Settlement1", "SettleAgain", Verb::Settle),
    ("org.tilld.Settlement1", "CloseAnyway", Verb::Settle),
    ("org.tilld.Prepaid1", "PresentCard", Verb::UseCards),
    ("org.tilld.Prepaid1", "ReadCard", Verb::UseCards),
    ("org.tilld.Prepaid1", "Issue", Verb::UseCards),
    ("org.tilld.Prepaid1", "Query", Verb::UseCards),
    ("org.tilld.Prepaid1", "History", Verb::UseCards),
    ("org.tilld.Prepaid1", "Block", Verb::UseCards),
    ("org.tilld.Prepaid1", "Unblock", Verb::ManageCards),
    ("org.tilld.Prepaid1", "Reactivate", Verb::ManageCards),
    ("org.tilld.Prepaid1", "Redeem", Verb::Refund),
    ("org.tilld.Prepaid1", "TopUp", Verb::UseCards),
    ("org.tilld.Inquiry1", "ReadCard", Verb::AskBalance),
    ("org.tilld.Inquiry1", "Balance", Verb::AskBalance),
    ("org.tilld.Inquiry1", "Stop", Verb::AskBalance),
    ("org.tilld.Channel1", "SignIn", Verb::Configure),
    ("org.tilld.Channel1", "Probe", Verb::Sell),
    ("org.tilld.Device1", "Restart", Verb::Configure),
    ("org.tilld.Device1", "Statistics", Verb::View),
    ("org.tilld.Device1", "ResetStatistics", Verb::Configure),
    ("org.tilld.Device1", "Record", Verb::Record),
    ("org.tilld.Device1", "RecordRaw", Verb::RecordRaw),
    ("org.tilld.Device1", "StopRecording", Verb::Record),
    ("org.tilld.Device1", "Claim", Verb::UseDevice),
    ("org.tilld.Device1", "Release", Verb::UseDevice),
    ("org.tilld.Device1", "Enable", Verb::UseDevice),
    ("org.tilld.Device1", "Disable", Verb::UseDevice),
    ("org.tilld.Plugins1", "ListPlugins", Verb::View),
    ("org.tilld.Journal1", "Verify", Verb::View),
    ("org.tilld.Journal1", "Export", Verb::Export),
    ("org.tilld.Journal1", "ExportEvidence", Verb::Export),
    ("org.tilld.Journal1", "Backup", Verb::Export),
    ("org.tilld.Journal1", "RotateKeys", Verb::Configure),
    ("org.tilld.Notices1", "List", Verb::View),
    ("org.tilld.Notices1", "ListReceivers", Verb::View),
    ("org.tilld.Notices1", "Acknowledge", Verb::Sell),
    ("org.tilld.Disputes1", "Open", Verb::Review),
    ("org.tilld.Disputes1", "Note", Verb::Sell),
    ("org.tilld.Disputes1", "Answer", Verb::Review),
    ("org.tilld.Disputes1", "Close", Verb::Review),
    ("org.tilld.Disputes1", "List", Verb::View),
    ("org.tilld.Disputes1", "Show", Verb::View),
    ("org.tilld.AfterSales1", "Receipt", Verb::View),
    ("org.tilld.AfterSales1", "History", Verb::View),
];

/// Every interface that has properties: reading one of them, or all.
pub const PROPERTIES: &[(&str, Verb)] = &[
    ("org.tilld.Terminal1", Verb::View),
    ("org.tilld.Payment1", Verb::View),
    ("org.tilld.Channel1", Verb::View),
    ("org.tilld.Device1", Verb::View),
    ("org.tilld.Printer1", Verb::View),
    ("org.tilld.Settlement1", Verb::View),
    ("org.tilld.Journal1", Verb::View),
];

/// What a method is.
pub(super) fn of_method(interface: &str, member: &str) -> Option<Verb> {
    let rows = TABLE.iter().chain([&MANAGED]);
    rows.copied().find(|(i, m, _)| *i == interface && *m == member).map(|(_, _, verb)| verb)
}

/// What reading an interface's properties is.
pub(super) fn of_properties(interface: &str) -> Option<Verb> {
    PROPERTIES.iter().copied().find(|(i, _)| *i == interface).map(|(_, verb)| verb)
}
