//! What was found: a stable id, of what, how it is, and what to do.

use serde::Serialize;

/// Declares every id once: the list is what tests hold complete.
macro_rules! ids {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal),+ $(,)?) => {
        /// What kind of finding it is. Ids are stable: new ones may come, none changes its meaning.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Id { $($(#[doc = $doc])+ $name),+ }

        impl Id {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// As printed: `area.finding`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

ids! {
    /// Nothing is configured.
    ConfigMissing = "config.missing",
    /// `tilld --check-config` says something.
    ConfigWrong = "config.wrong",
    /// A setting could not be judged by who asks.
    ConfigUnseen = "config.unseen",
    /// Changed after tilld has read it.
    ConfigStale = "config.stale",
    /// Others may write it.
    ConfigWritable = "config.writable",
    /// No systemd on this machine.
    UnitNoSystemd = "unit.no-systemd",
    /// systemd does not know tilld.
    UnitMissing = "unit.missing",
    /// Masked.
    UnitMasked = "unit.masked",
    /// Ended with a failure.
    UnitFailed = "unit.failed",
    /// Not started.
    UnitStopped = "unit.stopped",
    /// Not started at boot.
    UnitDisabled = "unit.disabled",
    /// Changed on disk, not in systemd.
    UnitReload = "unit.reload",
    /// It was started again by systemd.
    UnitRestarts = "unit.restarts",
    /// No user to run as.
    UserMissing = "user.missing",
    /// No bus.
    BusUnreachable = "bus.unreachable",
    /// Nobody has the name.
    BusNoTill = "bus.no-till",
    /// The policy is not installed.
    BusPolicyMissing = "bus.policy-missing",
    /// The policy lacks an interface.
    BusPolicyOld = "bus.policy-old",
    /// A call does not start the till.
    BusActivation = "bus.activation",
    /// tilld does not tell who asks.
    AccessDenied = "access.denied",
    /// Nobody but root may sell.
    AccessNobody = "access.nobody",
    /// A user id that nobody has.
    AccessUnknown = "access.unknown-user",
    /// A folder of ours is somebody else's.
    FolderOwner = "folder.owner",
    /// A folder of ours is open to others.
    FolderOpen = "folder.open",
    /// Not there.
    FolderMissing = "folder.missing",
    /// The running journal says it is not well.
    JournalState = "journal.state",
    /// A check of the files found something.
    JournalProblems = "journal.problems",
    /// Not looked into.
    JournalUnseen = "journal.unseen",
    /// On a file system that does not keep promises.
    JournalFilesystem = "journal.filesystem",
    /// Such a file system was forced.
    JournalForced = "journal.forced",
    /// Too little space: no new payments.
    DiskFull = "disk.full",
    /// Soon too little.
    DiskLow = "disk.low",
    /// No more files.
    DiskInodes = "disk.inodes",
    /// Mounted read-only.
    DiskReadOnly = "disk.read-only",
    /// Nothing keeps the clock.
    ClockUnsynchronised = "clock.unsynchronised",
    /// Configured never to be trusted.
    ClockNever = "clock.never",
    /// Years behind.
    ClockPast = "clock.past",
    /// A plugin is refused.
    PluginRefused = "plugin.refused",
    /// The program that loads plugins is missing.
    PluginHost = "plugin.host-missing",
    /// No plugin at all.
    PluginNone = "plugin.none",
    /// A secret's file is missing.
    SecretMissing = "secret.missing",
    /// A secret's file can be read by others.
    SecretOpen = "secret.open",
    /// The unit does not load it.
    SecretNotLoaded = "secret.not-loaded",
    /// Who asks cannot look there.
    SecretUnseen = "secret.unseen",
    /// No udev.
    UdevAbsent = "udev.absent",
    /// The rules are not installed.
    UdevRules = "udev.rules-missing",
    /// A marked node has not the rules' group and mode.
    UdevNotApplied = "udev.not-applied",
    /// The node is not there.
    DeviceMissing = "device.node-missing",
    /// The node may not be opened.
    DeviceClosed = "device.node-closed",
    /// The unit does not let it be opened.
    DeviceUnit = "device.unit-closed",
    /// udev has marked nothing.
    DeviceUnmarked = "device.unmarked",
    /// A layer of its confinement is off.
    DeviceUnconfined = "device.unconfined",
    /// No channel takes payments.
    ChannelNone = "channel.none",
    /// Outcomes are not known yet.
    ChannelUnresolved = "channel.unresolved",
    /// A breaker is open.
    ChannelBreaker = "channel.breaker",
    /// Maintenance.
    ChannelMaintenance = "channel.maintenance",
    /// It wants the merchant, or is locked.
    ChannelMerchant = "channel.merchant",
    /// It is not ready.
    ChannelState = "channel.state",
    /// It is not ready.
    DeviceState = "device.state",
    /// Something that tilld says is in the way.
    TillBlocked = "till.blocked",
    /// Training.
    TillTraining = "till.training",
    /// Two people have to decide.
    PaymentReview = "payment.review",
    /// Nothing prints.
    PrinterNone = "printer.none",
    /// Receipts wait.
    PrinterWaiting = "printer.waiting",
    /// No drawer.
    DrawerNone = "drawer.none",
}

/// How it is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// As it should be.
    Well,
    /// To be known; nothing has to be done.
    Note,
    /// Could not be looked at by who asks.
    Unseen,
    /// Wrong, and the fix is said.
    Fix,
}

/// A text in both languages; Chinese may be empty where it is a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// English.
    pub en: String,
    /// Chinese.
    pub zh: String,
}

/// Both languages.
pub fn text(en: impl Into<String>, zh: impl Into<String>) -> Text {
    Text { en: en.into(), zh: zh.into() }
}

/// The same in both: a command, a line to write.
pub fn both(line: impl Into<String>) -> Text {
    Text { en: line.into(), zh: String::new() }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// `area.finding`, or `area` of what is well.
    pub id: &'static str,
    /// Device, channel, plugin, file …; empty: the area itself.
    pub subject: String,
    /// How it is.
    pub level: Level,
    /// What is so.
    pub text: Text,
    /// What to do: a command or a line to change.
    pub fix: Option<Text>,
}

impl Finding {
    /// Wrong, with its fix.
    pub fn fix(id: Id, subject: impl Into<String>, text: Text, fix: Text) -> Self {
        Self { id: id.as_str(), subject: subject.into(), level: Level::Fix, text, fix: Some(fix) }
    }

    /// To be known.
    pub fn note(id: Id, subject: impl Into<String>, text: Text, fix: Option<Text>) -> Self {
        Self { id: id.as_str(), subject: subject.into(), level: Level::Note, text, fix }
    }

    /// Not to be seen by who asks; `fix`: how it is seen.
    pub fn unseen(id: Id, subject: impl Into<String>, text: Text, fix: Text) -> Self {
        Self { id: id.as_str(), subject: subject.into(), level: Level::Unseen, text, fix: Some(fix) }
    }

    /// As it should be.
    pub fn well(area: &'static str, subject: impl Into<String>, text: Text) -> Self {
        Self { id: area, subject: subject.into(), level: Level::Well, text, fix: None }
    }

    /// What stands before the point of the id.
    pub fn area(&self) -> &'static str {
        self.id.split('.').next().unwrap_or(self.id)
    }

    /// As JSON; texts pass through [`crate::redact::digits`].
    pub fn json(&self) -> serde_json::Value {
        let shown = |t: &str| crate::redact::digits(t);
        serde_json::json!({
            "id": self.id,
            "area": self.area(),
            "subject": shown(&self.subject),
            "level": self.level,
            "text": shown(&self.text.en),
            "text-zh": shown(&self.text.zh),
            "fix": self.fix.as_ref().map(|f| shown(&f.en)),
            "fix-zh": self.fix.as_ref().map(|f| shown(&f.zh)),
        })
    }
}

/// A text, which must not be taken for a command, in a command: only what no shell looks at.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-:@+,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", crate::look::clean(text).replace('\'', r"'\''"))
}
