//! Why a tap paid nothing: one reason for front-ends, one line for the operator. No card data in either.

use super::aid::DirectoryError;
use super::apdu::ApduError;
use super::dol::DolError;
use super::holder::HolderError;
use super::oda::Oda;
use super::options::OptionsError;

/// The card was read, or not, and cannot pay here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The card has no directory of payment applications.
    #[error("this is no payment card: use another card or another way to pay")]
    NoApplication,
    /// Its directory is not readable.
    #[error("{0}: use another card or another way to pay")]
    Directory(DirectoryError),
    /// Its applications are none of this terminal's.
    #[error("this till takes none of the card's schemes: use another card or another way to pay")]
    NotAccepted,
    /// The card is blocked by its issuer.
    #[error("the card is blocked by its bank: use another card")]
    CardBlocked,
    /// The application is.
    #[error("the card's payment application is blocked by its bank: use another card")]
    ApplicationBlocked,
    /// An application whose answer to SELECT is not sound.
    #[error("the card's payment application could not be read: tap again, or use another card")]
    Application,
    /// A status word that ends the tap.
    #[error("the card answered {0:04X}: tap again, or use another card")]
    Status(u16),
    /// The card wants the chip or stripe.
    #[error("the card does not pay by tap now: insert or swipe it, or use another way to pay")]
    OtherInterface,
    /// A phone that must be unlocked first.
    #[error("the phone asks its owner to confirm: look at the phone, then hold it again")]
    SeePhone,
    /// Its data object list.
    #[error("{0}: use another card")]
    List(DolError),
    /// Its data.
    #[error("{0}: tap again, or use another card")]
    Data(OptionsError),
    /// An answer that is none.
    #[error("{0}: tap again")]
    Apdu(ApduError),
    /// No cryptogram to go online with.
    #[error("the card gave nothing that its bank could check: tap again, or use another card")]
    NoCryptogram,
    /// The card declined.
    #[error("the card declined: use another card or another way to pay")]
    DeclinedByCard,
    /// The card approved by itself.
    #[error("the card approved without its bank, which this till does not take: use another way to pay")]
    OfflineApproval,
    /// Its number.
    #[error("{0}: tap again, or use another card")]
    Holder(HolderError),
    /// Its signatures, where the settings ask for them.
    #[error("the card did not prove that it is genuine ({}): use another card", .0.name())]
    Authentication(Oda),
    /// More than may be paid by tap.
    #[error("the amount is above the limit for tapping: insert or swipe the card, or use another way to pay")]
    OverLimit,
    /// It never ends.
    #[error("the card needs more commands than a payment takes: use another card")]
    Endless,
}

impl Refusal {
    /// Lower-kebab, for front-ends.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoApplication | Self::Directory(_) => "no-application",
            Self::NotAccepted => "not-accepted",
            Self::CardBlocked => "card-blocked",
            Self::ApplicationBlocked => "application-blocked",
            Self::OtherInterface => "use-other-interface",
            Self::SeePhone => "see-phone",
            Self::DeclinedByCard => "declined-by-card",
            Self::OfflineApproval => "offline-approval",
            Self::Authentication(_) => "not-genuine",
            Self::OverLimit => "over-limit",
            Self::NoCryptogram => "no-cryptogram",
            Self::Application
            | Self::Status(_)
            | Self::List(_)
            | Self::Data(_)
            | Self::Apdu(_)
            | Self::Holder(_)
            | Self::Endless => "bad-card-data",
        }
    }
}
