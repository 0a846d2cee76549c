//! What a record is about, and how it is called.

use super::Record;
use crate::merchant::MerchantEvent;
use crate::payment::PaymentId;

impl Record {
    /// The payment it is about.
    pub fn payment(&self) -> Option<PaymentId> {
        match self {
            Self::On { event, .. } => event.payment(),
            Self::OpenedFor { payment, .. }
            | Self::OpenedTraining { payment, .. }
            | Self::Tendered { payment, .. }
            | Self::LegCreated { payment, .. }
            | Self::LegPresented { payment, .. }
            | Self::Dispute { payment, .. }
            | Self::ReturnDecided { payment, .. }
            | Self::PaymentToReview { payment, .. }
            | Self::HoldExpired { payment, .. }
            | Self::Abandoned { payment, .. }
            | Self::Reopened { payment, .. }
            | Self::ReviewProposed { payment, .. }
            | Self::ReviewDecided { payment, .. }
            | Self::AcknowledgementAsked { payment }
            | Self::Parked { payment }
            | Self::CopyRequested { payment, .. }
            | Self::Resealed { payment, .. }
            | Self::Acknowledged { payment, .. }
            | Self::Resumed { payment, .. }
            | Self::Opened { payment, .. }
            | Self::AmountConfirmed { payment }
            | Self::AttemptCreated { payment, .. }
            | Self::NotSent { payment, .. }
            | Self::Sent { payment, .. }
            | Self::Approved { payment, .. }
            | Self::Declined { payment, .. }
            | Self::BecameUnknown { payment, .. }
            | Self::QueryStarted { payment }
            | Self::QueryOpen { payment, .. }
            | Self::UndoDecided { payment, .. }
            | Self::UndoStarted { payment }
            | Self::UndoAnswered { payment, .. }
            | Self::WentToReview { payment, .. }
            | Self::CancelRequested { payment, .. }
            | Self::Cancelled { payment, .. }
            | Self::LateAnswer { payment, .. } => Some(*payment),
            Self::ChannelSelected { .. }
            | Self::TraceTaken { .. }
            | Self::SignedIn { .. }
            | Self::JobSent { .. }
            | Self::JobEnded { .. }
            | Self::NoticesTaken { .. }
            | Self::DrawerOpened { .. }
            | Self::TrainingSet { .. }
            | Self::Merchant { .. }
            | Self::Maintenance { .. }
            | Self::ChannelSuspended { .. }
            | Self::ChannelResumed { .. }
            | Self::Batch(_) => None,
        }
    }

    /// Lower-kebab name, for exports and people.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::AmountConfirmed { .. } => "amount-confirmed",
            Self::AttemptCreated { .. } => "attempt-created",
            Self::NotSent { .. } => "not-sent",
            Self::Sent { .. } => "sent",
            Self::Approved { .. } => "approved",
            Self::Declined { .. } => "declined",
            Self::BecameUnknown { .. } => "became-unknown",
            Self::QueryStarted { .. } => "query-started",
            Self::QueryOpen { .. } => "query-open",
            Self::UndoDecided { .. } => "undo-decided",
            Self::UndoStarted { .. } => "undo-started",
            Self::UndoAnswered { .. } => "undo-answered",
            Self::WentToReview { .. } => "went-to-review",
            Self::CancelRequested { .. } => "cancel-requested",
            Self::Cancelled { .. } => "cancelled",
            Self::LateAnswer { .. } => "late-answer",
            Self::ChannelSelected { .. } => "channel-selected",
            Self::TraceTaken { .. } => "trace-taken",
            Self::SignedIn { .. } => "signed-in",
            Self::JobSent { .. } => "job-sent",
            Self::JobEnded { .. } => "job-ended",
            Self::DrawerOpened { .. } => "drawer-opened",
            Self::OpenedFor { .. } => "opened-for",
            Self::Tendered { .. } => "tendered",
            Self::LegCreated { .. } => "leg-created",
            Self::LegPresented { .. } => "leg-presented",
            Self::ReturnDecided { .. } => "return-decided",
            Self::PaymentToReview { .. } => "payment-to-review",
            Self::HoldExpired { .. } => "hold-expired",
            Self::Abandoned { .. } => "abandoned",
            Self::Reopened { .. } => "reopened",
            Self::ReviewProposed { .. } => "review-proposed",
            Self::ReviewDecided { .. } => "review-decided",
            Self::AcknowledgementAsked { .. } => "acknowledgement-asked",
            Self::Acknowledged { .. } => "acknowledged",
            Self::Resumed { .. } => "resumed",
            Self::Parked { .. } => "parked",
            Self::CopyRequested { .. } => "copy-requested",
            Self::NoticesTaken { .. } => "notices-taken",
            Self::On { .. } => "on",
            Self::Batch(event) => event.name(),
            Self::Dispute { event, .. } => event.name(),
            Self::Resealed { .. } => "resealed",
            Self::OpenedTraining { .. } => "opened-training",
            Self::TrainingSet { .. } => "training-set",
            Self::Merchant { event, .. } => event.name(),
            Self::Maintenance { event, .. } => event.name(),
            Self::ChannelSuspended { .. } => "channel-suspended",
            Self::ChannelResumed { .. } => "channel-resumed",
        }
    }

    /// The payment that it opens.
    pub const fn opens(&self) -> Option<PaymentId> {
        match self {
            Self::Opened { payment, .. }
            | Self::OpenedFor { payment, .. }
            | Self::OpenedTraining { payment, .. } => Some(*payment),
            _ => None,
        }
    }

    /// Finishes or protects something begun: must go to disk even when space is scarce.
    pub const fn is_finishing(&self) -> bool {
        !matches!(
            self,
            Self::Opened { .. }
                | Self::OpenedFor { .. }
                | Self::OpenedTraining { .. }
                | Self::AmountConfirmed { .. }
                | Self::AttemptCreated { .. }
                | Self::Tendered { .. }
                | Self::LegCreated { .. }
                | Self::LegPresented { .. }
                | Self::Sent { .. }
                // Without room nobody guesses either.
                | Self::Merchant { event: MerchantEvent::Tried { .. }, .. }
        )
    }
}
