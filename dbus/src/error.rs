//! Typed errors: `org.tilld.Error.*`, and what a bus itself can answer.

use zbus::fdo;

/// Prefix of the daemon's error names.
pub const PREFIX: &str = "org.tilld.Error.";

macro_rules! errors {
    ($($(#[doc = $doc:literal])+ $name:ident),+ $(,)?) => {
        /// Why a call failed. The text of each is the daemon's: what failed, on what, and what to do next.
        #[derive(Debug, thiserror::Error)]
        #[non_exhaustive]
        pub enum Error {
            $($(#[doc = $doc])+ #[error("{0}")] $name(String),)+
            /// An error of the daemon that this version of the crate does not know.
            #[error("{text}")]
            Other {
                /// The name after `org.tilld.Error.`.
                code: String,
                /// What it said.
                text: String,
            },
            /// Nobody owns the bus name.
            #[error("tilld is not running on this bus ({bus}): systemctl start tilld, or ./demo")]
            NotRunning {
                /// Which bus.
                bus: String,
            },
            /// There is no bus to be had.
            #[error("cannot reach the bus {bus}: {detail}; give another with --bus ADDRESS or TILLD_BUS")]
            NoBus {
                /// Which bus.
                bus: String,
                /// Why.
                detail: String,
            },
            /// The daemon, or the bus, did not answer within the connection's timeout.
            #[error("tilld did not answer in time; whether it did what was asked can be seen in `tillctl status`")]
            NoAnswer,
            /// The bus refused, or what came over it makes no sense.
            #[error("D-Bus: {0}")]
            Bus(zbus::Error),
        }

        /// The names of all errors, as after `org.tilld.Error.`.
        pub const CODES: &[&str] = &[$(stringify!($name)),+];

        impl Error {
            /// The error of the daemon with this name after `org.tilld.Error.`.
            pub fn from_code(code: &str, text: String) -> Self {
                match code {
                    $(stringify!($name) => Self::$name(text),)+
                    _ => Self::Other { code: code.to_owned(), text },
                }
            }

            /// A stable name: what stands after `org.tilld.Error.`, or `NotRunning`, `NoBus`, `NoAnswer`, `Bus`.
            pub fn code(&self) -> &str {
                match self {
                    $(Self::$name(_) => stringify!($name),)+
                    Self::Other { code, .. } => code,
                    Self::NotRunning { .. } => "NotRunning",
                    Self::NoBus { .. } => "NoBus",
                    Self::NoAnswer => "NoAnswer",
                    Self::Bus(_) => "Bus",
                }
            }
        }
    };
}

errors! {
    /// Another payment holds the till; nothing changed.
    Busy,
    /// No such payment, channel or device.
    NotFound,
    /// Its records were removed after their time.
    Gone,
    /// An argument or option makes no sense.
    InvalidArgs,
    /// The caller may not.
    NotAuthorized,
    /// The idempotency key belongs to another request.
    KeyReuse,
    /// The amount confirmed is not the amount owed.
    WrongAmount,
    /// The payment or device is not in a state for this.
    WrongState,
    /// What was presented cannot be paid with.
    NotPayable,
    /// The code was used a moment ago.
    UsedAlready,
    /// The channel is suspended.
    Suspended,
    /// The channel is not suspended: there is nothing to resume.
    NotSuspended,
    /// No channel can take it.
    NoRoute,
    /// Not enough cash.
    TooLittle,
    /// The same amount was taken with the same card a moment ago.
    PossibleDuplicate,
    /// Not the card that paid.
    OtherCard,
    /// More than is left.
    TooMuch,
    /// A leg that cannot be done.
    NotPossible,
    /// A review needs two people.
    Review,
    /// The merchant's number or password is not right.
    WrongPassword,
    /// Too many wrong passwords; a supervisor unlocks it.
    Locked,
    /// The next password is taken later.
    TooSoon,
    /// A signature is not that of the configured key.
    NotGenuine,
    /// A newer message is in force.
    Outdated,
    /// The journal cannot take it: no room, read-only, or broken.
    JournalUnavailable,
    /// The device or channel does not do this.
    Unsupported,
    /// A device or network gave no answer in time.
    Timeout,
    /// The plugin failed.
    PluginFailed,
    /// The network refused.
    Refused,
    /// The network's answer cannot be believed, or says nothing.
    BadAnswer,
    /// The card owes its PIN, and none came.
    NoPin,
    /// The daemon is stopping.
    Stopping,
}

impl Error {
    /// The daemon itself said no: asking again changes nothing until what it says is done.
    pub fn is_refusal(&self) -> bool {
        !matches!(
            self,
            Self::NotRunning { .. } | Self::NoBus { .. } | Self::NoAnswer | Self::Bus(_) | Self::Stopping(_)
        )
    }
}

impl From<zbus::Error> for Error {
    fn from(e: zbus::Error) -> Self {
        match e {
            zbus::Error::MethodError(name, text, _) if name.as_str().starts_with(PREFIX) => {
                let code = name.as_str().trim_start_matches(PREFIX);
                Self::from_code(code, text.unwrap_or_default())
            }
            zbus::Error::FDO(e) => Self::from(*e),
            zbus::Error::InputOutput(e) if e.kind() == std::io::ErrorKind::TimedOut => Self::NoAnswer,
            e => Self::Bus(e),
        }
    }
}

impl From<fdo::Error> for Error {
    fn from(e: fdo::Error) -> Self {
        match e {
            fdo::Error::ZBus(e) => Self::from(e),
            fdo::Error::NoReply(_) | fdo::Error::Timeout(_) | fdo::Error::TimedOut(_) => Self::NoAnswer,
            fdo::Error::AccessDenied(text) => {
                Self::NotAuthorized(format!("the bus refuses the call: {text}"))
            }
            fdo::Error::InvalidArgs(text) => Self::InvalidArgs(text),
            fdo::Error::ServiceUnknown(_) | fdo::Error::NameHasNoOwner(_) => {
                Self::NotRunning { bus: "it left".into() }
            }
            fdo::Error::UnknownObject(text) => Self::NotFound(text),
            e => Self::Bus(zbus::Error::FDO(Box::new(e))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back_as_itself_and_a_new_one_keeps_its_name() {
        for code in CODES.iter().chain(&["FromTheFuture"]) {
            let e = Error::from_code(code, "why".into());
            assert_eq!(
                (e.code(), e.to_string().as_str(), e.is_refusal()),
                (*code, "why", *code != "Stopping")
            );
        }
    }
}
